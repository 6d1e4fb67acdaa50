//! What the page needs of `evidence`: payloads to sign, certificates and statements to show.

use crate::error;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::B64;
use domain::policy::Statement;
use evidence::grant::{Approval, Request};
use evidence::identity::TrustMap;
use serde_json::json;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, JsError> {
    serde_json::from_str(text).map_err(error)
}

/// SHA-256, base64url.
#[wasm_bindgen]
pub fn sha256(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(evidence::sha256(bytes))
}
/// SHA-256 of a certificate request, base64url: the nonce of the login.
#[wasm_bindgen]
pub fn csr_hash(csr: &[u8]) -> String {
    sha256(csr)
}
/// What a certificate says (judged by nobody): JSON.
#[wasm_bindgen]
pub fn inspect_certificate(der: &[u8]) -> Result<String, JsError> {
    let identity = evidence::identity::inspect(der).map_err(error)?;
    let hash = B64(identity.certificate_hash.to_vec());
    Ok(json!({
        "participant": identity.participant, "role": identity.role, "name": identity.name,
        "not_before_s": identity.not_before_s, "not_after_s": identity.not_after_s, "certificate_hash": hash,
    })
    .to_string())
}
/// SHA-256 of a trust map (JSON), base64url.
#[wasm_bindgen]
pub fn trust_hash(trust: &str) -> Result<String, JsError> {
    Ok(URL_SAFE_NO_PAD.encode(read::<TrustMap>(trust)?.hash()))
}
/// Verifies a signed statement under its firm's policy key and returns it as JSON.
#[wasm_bindgen]
pub fn judge_statement(trust: &str, signed: &[u8]) -> Result<String, JsError> {
    let statement = evidence::statement::judge_statement(&read(trust)?, signed).map_err(error)?;
    serde_json::to_string(&statement).map_err(error)
}
/// Payload of a statement (JSON in, CBOR out), to sign under `strongroom statement consent v1`.
#[wasm_bindgen]
pub fn encode_statement(statement: &str) -> Result<Vec<u8>, JsError> {
    let statement: Statement = read(statement)?;
    evidence::statement::check_ranges(&statement).map_err(error)?;
    Ok(evidence::statement::encode(&statement))
}
/// Payload of a replay request (JSON in, CBOR out), to sign under `strongroom replay request v1`.
#[wasm_bindgen]
pub fn encode_request(request: &str) -> Result<Vec<u8>, JsError> {
    Ok(evidence::cbor::encode(&read::<Request>(request)?))
}
/// Payload of an approval (JSON in, CBOR out), to sign under `strongroom replay approval v1`.
#[wasm_bindgen]
pub fn encode_approval(approval: &str) -> Result<Vec<u8>, JsError> {
    Ok(evidence::cbor::encode(&read::<Approval>(approval)?))
}

//! The leaf key of this page: made here, never leaves.

use crate::error;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ParticipantId;
use e2ee::leaf::LeafKey;
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

/// A device's signing key (P-256).
#[wasm_bindgen]
pub struct Key(LeafKey);

impl Key {
    /// A session holds its own handle on the key, so the page's object stays usable.
    pub(crate) fn duplicate(&self) -> LeafKey {
        LeafKey::from_secret(self.0.to_secret().as_ref()).expect("bytes of a valid key")
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::new()
    }
}

#[wasm_bindgen]
impl Key {
    /// A new random key.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self(LeafKey::generate())
    }
    /// PKCS#10 request for `firm/user/device`, DER.
    pub fn csr(&self, participant: &str, name: &str) -> Result<Vec<u8>, JsError> {
        let participant: ParticipantId = participant.parse().map_err(error)?;
        self.0.csr(&participant, name).map_err(error)
    }
    /// r||s over SHA-256 of `bytes`: ES256, for DPoP proofs and other JWS.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.sign(bytes).to_vec()
    }
    /// The public key as JWK (RFC 7517), JSON.
    pub fn jwk(&self) -> String {
        let point = self.0.public_sec1();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        // members in the order that a thumbprint wants (RFC 7638)
        format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
    }
    /// COSE_Sign1 over `payload` under `label`, with the certificate in the protected header where given.
    pub fn sign_cose(&self, label: &str, payload: &[u8], certificate: Option<Vec<u8>>) -> Vec<u8> {
        self.0.sign_cose(label, payload, certificate.as_deref())
    }
}

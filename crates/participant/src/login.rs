//! Login and enrolment at the firm's front, as its page does: session at the identity provider, authorization code with
//! PKCE, token bound to the CSR and to the leaf key (DPoP, RFC 9449), certificate.

use crate::{ParticipantError, environment};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::message::custody::LeafRole;
use domain::message::front::{
    AuthorizationCode, Authorize, Enrol, Enrolled, Login, LoginSession, PageConfig, TokenAnswer, TokenRequest,
};
use domain::{DeviceId, ParticipantId};
use e2ee::leaf::LeafKey;
use evidence::identity::TrustMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// A front answers within this, or something is wrong: custody has 5 s for each call.
const ANSWER: Duration = Duration::from_secs(10);

/// What enrolment gives.
pub struct Enrolment {
    /// Leaf key.
    pub key: LeafKey,
    /// Leaf certificate.
    pub chain: Vec<Vec<u8>>,
    /// The firm's trust map.
    pub trust: TrustMap,
    /// Who we are.
    pub participant: ParticipantId,
    /// Where signaling is.
    pub signaling: String,
    /// Session at the front (officers).
    pub session: String,
}

/// A client that resolves `*.localhost` to this machine itself (RFC 6761 section 6.3); /etc/hosts stays untouched.
pub fn http_client(address: &str) -> Result<reqwest::Client, ParticipantError> {
    let url = reqwest::Url::parse(address).map_err(environment("read the front's address"))?;
    let mut builder = reqwest::Client::builder().timeout(ANSWER);
    if let Some(host) = url.host_str().filter(|host| host.ends_with(".localhost")) {
        let port = url.port_or_known_default().unwrap_or(80);
        builder = builder.resolve(host, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    builder.build().map_err(environment("make an HTTP client"))
}

async fn post<A: Serialize, B: DeserializeOwned>(
    client: &reqwest::Client,
    url: String,
    body: &A,
    dpop: Option<String>,
    doing: &'static str,
) -> Result<B, ParticipantError> {
    let mut request = client.post(url).json(body);
    if let Some(proof) = dpop {
        request = request.header("DPoP", proof);
    }
    let response = request.send().await.map_err(environment(doing))?;
    if !response.status().is_success() {
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        return Err(ParticipantError::Refused { doing, what: format!("{status} {text}") });
    }
    response.json().await.map_err(environment(doing))
}

/// ES256 DPoP proof by the leaf key.
pub fn dpop(key: &LeafKey, method: &str, url: &str, now_s: u64) -> String {
    let (x, y) = coordinates(key);
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": x, "y": y});
    let head = json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk});
    let jti: [u8; 16] = rand::random();
    let body = json!({"jti": URL_SAFE_NO_PAD.encode(jti), "htm": method, "htu": url, "iat": now_s});
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(body.to_string()));
    let signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn coordinates(key: &LeafKey) -> (String, String) {
    // SEC1, uncompressed: 04, x, y
    let point = key.public_sec1();
    (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]))
}

/// Binds the ID token to the CSR and to the key of the DPoP proofs, by its thumbprint (RFC 7638).
pub fn nonce(csr: &[u8], key: &LeafKey) -> String {
    let (x, y) = coordinates(key);
    let holder = Sha256::digest(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
    URL_SAFE_NO_PAD.encode(Sha256::digest([Sha256::digest(csr), holder].concat()))
}

fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Logs in and enrols with a fresh key.
pub async fn enrol(
    front: &str,
    user: &str,
    password: &str,
    device: DeviceId,
    role: LeafRole,
) -> Result<Enrolment, ParticipantError> {
    let client = http_client(front)?;
    let config: PageConfig = client
        .get(format!("{front}/api/config"))
        .send()
        .await
        .map_err(environment("ask the front for its configuration"))?
        .json()
        .await
        .map_err(environment("read the front's configuration"))?;
    let trust: TrustMap = serde_json::from_value(config.trust.clone()).map_err(environment("read the trust map"))?;
    let login = Login { user: user.to_owned(), password: password.to_owned() };
    let session: LoginSession = post(&client, format!("{front}/idp/login"), &login, None, "log in").await?;
    let participant = ParticipantId {
        firm: config.firm.clone(),
        user: session.user.parse().map_err(environment("read our user id"))?,
        device,
    };
    let key = LeafKey::generate();
    let csr = key.csr(&participant, &session.name).map_err(environment("write a CSR"))?;
    let verifier = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let authorize = Authorize {
        session: session.session,
        client_id: config.client_id.clone(),
        code_challenge: URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())),
        nonce: nonce(&csr, &key),
    };
    let code: AuthorizationCode =
        post(&client, format!("{front}/idp/authorize"), &authorize, None, "ask for an authorization code").await?;
    let token_url = format!("{front}/idp/token");
    let request = TokenRequest { code: code.code, code_verifier: verifier, client_id: config.client_id };
    let proof = dpop(&key, "POST", &token_url, now_s());
    let token: TokenAnswer = post(&client, token_url, &request, Some(proof), "ask for a token").await?;
    let enrol_url = format!("{front}/enrol");
    let proof = dpop(&key, "POST", &enrol_url, now_s());
    let body = Enrol { csr: csr.into(), id_token: token.id_token, role };
    let enrolled: Enrolled = post(&client, enrol_url, &body, Some(proof), "enrol").await?;
    let chain = enrolled.chain.into_iter().map(|certificate| certificate.0).collect();
    Ok(Enrolment { key, chain, trust, participant, signaling: config.signaling, session: enrolled.session })
}

//! Who we are at pod, agent and key manager: a JWT signed by our RSA key buys two session tokens; a session that ended is begun
//! anew, once a call.

use super::SymphonyConfig;
use crate::directory::DirectoryError;
use crate::outside::{Answer, CallBody, call, secret, url};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA512, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, Url};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Mutex;

/// Life of the JWT, s: the API takes five minutes at most, and clocks differ.
const JWT_LIFE_S: u64 = 240;
/// Separates the parts of a message; no text of ours has it.
const BOUNDARY: &str = "strongroom-7f3a9c41d2e85b60";

/// What an agent is sent.
pub enum Body<'a> {
    /// Nothing.
    None,
    /// JSON.
    Json(&'a Value),
    /// A line of text, as MessageML.
    Message(&'a str),
}

#[derive(Clone)]
struct Tokens {
    session: String,
    key_manager: String,
}

/// Calls under our account.
pub struct Session {
    config: SymphonyConfig,
    client: reqwest::Client,
    key: RsaKeyPair,
    tokens: Mutex<Option<Tokens>>,
}

impl Session {
    /// Reads the key; calls nobody.
    pub fn open(config: SymphonyConfig, client: reqwest::Client) -> Result<Self, DirectoryError> {
        let pem = secret(&config.key_file, "directory.symphony.key_file")?;
        let key = rsa(pem.as_bytes()).ok_or_else(|| {
            DirectoryError::Refused("no RSA key in PEM; correct `directory.symphony.key_file`".to_owned())
        })?;
        Ok(Self { config, client, key, tokens: Mutex::new(None) })
    }

    fn jwt(&self) -> Result<String, DirectoryError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = json!({ "sub": self.config.account, "exp": now + JWT_LIFE_S });
        let head = json!({ "alg": "RS512", "typ": "JWT" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA512, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| DirectoryError::Refused("the key signs no RS512".to_owned()))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    async fn authenticate(&self, base: &Url, below: &str) -> Result<String, DirectoryError> {
        let body = json!({ "token": self.jwt()? });
        let address = url(base, &[below, "pubkey", "authenticate"])?;
        let answer = call(&self.client, Method::POST, address, &[], CallBody::Json(&body)).await?.good()?;
        let token = answer["token"].as_str();
        token.map(str::to_owned).ok_or_else(|| DirectoryError::Unusable("a session without a token".to_owned()))
    }

    async fn tokens(&self) -> Result<Tokens, DirectoryError> {
        let mut tokens = self.tokens.lock().await;
        if let Some(tokens) = tokens.as_ref() {
            return Ok(tokens.clone());
        }
        let session = self.authenticate(&self.config.pod, "login").await?;
        let key_manager = self.authenticate(&self.config.key_manager, "relay").await?;
        Ok(tokens.insert(Tokens { session, key_manager }).clone())
    }

    /// A call that is made again where the session ended.
    async fn call(&self, method: Method, address: Url, body: &Body<'_>) -> Result<Answer, DirectoryError> {
        let mut again = true;
        loop {
            let tokens = self.tokens().await?;
            let mut headers = vec![("sessionToken", tokens.session.as_str()), ("keyManagerToken", &tokens.key_manager)];
            let typed = format!("multipart/form-data; boundary={BOUNDARY}");
            let text;
            let sent = match body {
                Body::None => CallBody::None,
                Body::Json(value) => CallBody::Json(value),
                Body::Message(line) => {
                    headers.push(("content-type", &typed));
                    text = multipart(line);
                    CallBody::Text(&text)
                }
            };
            let answer = call(&self.client, method.clone(), address.clone(), &headers, sent).await?;
            if answer.status.as_u16() != 401 || !again {
                return Ok(answer);
            }
            again = false;
            *self.tokens.lock().await = None;
        }
    }

    /// Below `/pod`.
    pub async fn pod(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Answer, DirectoryError> {
        let mut address = url(&self.config.pod, &[&["pod"], path].concat())?;
        if !query.is_empty() {
            address.query_pairs_mut().extend_pairs(query);
        }
        self.call(method, address, &body.map_or(Body::None, Body::Json)).await
    }

    /// Below `/agent`.
    pub async fn agent(&self, method: Method, path: &[&str], body: Body<'_>) -> Result<Answer, DirectoryError> {
        self.call(method, url(&self.config.agent, &[&["agent"], path].concat())?, &body).await
    }
}

/// An RSA key in PKCS#1 or PKCS#8.
fn rsa(pem: &[u8]) -> Option<RsaKeyPair> {
    match PrivateKeyDer::from_pem_slice(pem).ok()? {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
        _ => None,
    }
}

/// A form with the one field `message`.
fn multipart(line: &str) -> String {
    let line = line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\n<messageML>{line}</messageML>\r\n--{BOUNDARY}--\r\n"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_notice_cannot_be_markup() {
        assert!(super::multipart("<b>&</b>").contains("<messageML>&lt;b&gt;&amp;&lt;/b&gt;</messageML>"));
    }
}

//! The firm's OpenID provider as a front sees it over HTTP: discovery, its keys with rotation, the token endpoint. Every answer
//! is bounded in time and size; nothing is followed anywhere else.

use custody::id_token::MAX_JWT;
use domain::UnixMillis;
use jsonwebtoken::jwk::JwkSet;
use reqwest::{Client, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use crate::config::{Oidc as Settings, is_localhost_name};

/// A provider answers within this, or people wait for nothing.
const ANSWER: Duration = Duration::from_secs(5);
/// Largest document read: the key set of a provider with dozens of tenants' keys has some 30 kB.
const MAX_DOCUMENT: usize = 256 * 1024;
/// Keys read at most.
const MAX_KEYS: usize = 64;
/// Discovery and keys are read anew after this, ms.
const REFRESH_MS: u64 = 3_600_000;
/// ... and at once for a key that is not known, but so seldom, ms: a stranger may send tokens with any key id.
const RELOAD_MS: u64 = 10_000;
/// A provider that does not answer is believed by its last keys for so long, ms.
const STALE_MS: u64 = 24 * 3_600_000;

/// Why the provider could not be used, for the log.
#[derive(Debug, thiserror::Error)]
#[error("the identity provider {what}")]
pub struct ProviderError {
    what: String,
}

fn failed<T>(what: impl Into<String>) -> Result<T, ProviderError> {
    Err(ProviderError { what: what.into() })
}

// not a wire type: OpenID Connect Discovery 1.0 section 3 names it
#[derive(Clone, Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

// not a wire type: RFC 6749 section 5.1
#[derive(Deserialize)]
struct TokenAnswer {
    id_token: String,
}

/// What is known of the provider.
#[derive(Clone)]
pub struct Known {
    /// Where people are sent.
    pub authorization: Url,
    /// Does it name itself in its redirects (RFC 9207)?
    pub names_itself: bool,
    /// Its keys.
    pub keys: JwkSet,
    token: Url,
    read_at: UnixMillis,
}

/// The provider.
pub struct Provider {
    settings: Settings,
    client_id: String,
    secret: Option<String>,
    http: Client,
    known: Mutex<Option<Known>>,
    /// One asks, the others wait for the answer.
    asking: tokio::sync::Mutex<Option<UnixMillis>>,
}

impl Provider {
    /// From configuration; asks nobody yet, so that a front starts while its provider is down.
    ///
    /// # Errors
    /// A text for the configuration's reader.
    pub fn new(settings: &Settings, client_id: &str) -> Result<Self, String> {
        let issuer = address(&settings.issuer).map_err(|e| e.to_string())?;
        let mut builder = Client::builder().timeout(ANSWER).redirect(reqwest::redirect::Policy::none());
        if let Some(host) = issuer.host_str().filter(|host| is_localhost_name(host)) {
            let port = issuer.port_or_known_default().unwrap_or(80);
            builder = builder.resolve(host, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        }
        if let Some(path) = &settings.ca_file {
            let pem = std::fs::read(path).map_err(|e| format!("`ca_file` {}: {e}", path.display()))?;
            let root =
                reqwest::Certificate::from_pem(&pem).map_err(|e| format!("`ca_file` {}: {e}", path.display()))?;
            builder = builder.tls_built_in_root_certs(false).add_root_certificate(root);
        }
        let secret = settings.client_secret_file.as_deref();
        let secret = secret.map(|path| read_secret("client_secret_file", path)).transpose()?;
        Ok(Self {
            settings: settings.clone(),
            client_id: client_id.to_owned(),
            secret,
            http: builder.build().map_err(|e| e.to_string())?,
            known: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })
    }

    /// What is known, fresh enough; `unknown_key` asks for the keys again.
    ///
    /// # Errors
    /// [`ProviderError`] if nothing is known and nothing can be learnt.
    pub async fn known(&self, now: UnixMillis, unknown_key: bool) -> Result<Known, ProviderError> {
        let kept = || self.known.lock().expect("nothing panics while it is held").clone();
        let fresh = |known: &Known| !unknown_key && now.since(known.read_at) < REFRESH_MS;
        if let Some(known) = kept().filter(fresh) {
            return Ok(known);
        }
        let mut last = self.asking.lock().await;
        if last.is_some_and(|last| now.since(last) < RELOAD_MS) {
            return kept().map_or_else(|| failed("does not answer"), Ok);
        }
        *last = Some(now);
        match self.read(now).await {
            Ok(read) => {
                *self.known.lock().expect("nothing panics while it is held") = Some(read.clone());
                Ok(read)
            }
            Err(error) => match kept().filter(|known| now.since(known.read_at) < STALE_MS) {
                Some(known) => {
                    tracing::warn!("{error}; its keys of before are used");
                    Ok(known)
                }
                None => Err(error),
            },
        }
    }

    async fn read(&self, now: UnixMillis) -> Result<Known, ProviderError> {
        let issuer = self.settings.issuer.trim_end_matches('/');
        let found: Discovery = self.get(&format!("{issuer}/.well-known/openid-configuration")).await?;
        if found.issuer != self.settings.issuer {
            return failed("calls itself by another name than `oidc.issuer`");
        }
        let keys: JwkSet = self.get(&found.jwks_uri).await?;
        if keys.keys.is_empty() || keys.keys.len() > MAX_KEYS {
            return failed(format!("has {} keys; 1 to {MAX_KEYS} are expected", keys.keys.len()));
        }
        Ok(Known {
            authorization: address(&found.authorization_endpoint)?,
            token: address(&found.token_endpoint)?,
            names_itself: found.authorization_response_iss_parameter_supported,
            keys,
            read_at: now,
        })
    }

    async fn get<T: DeserializeOwned>(&self, at: &str) -> Result<T, ProviderError> {
        let answer = self.http.get(address(at)?).send().await;
        read(answer.or_else(|e| failed(format!("does not answer: {e}")))?).await
    }

    /// The ID token for a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
    ///
    /// # Errors
    /// [`ProviderError`].
    pub async fn redeem(&self, known: &Known, code: &str, verifier: &str, back: &str) -> Result<String, ProviderError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", back),
            ("code_verifier", verifier),
            ("client_id", &self.client_id),
        ];
        let mut request = self.http.post(known.token.clone()).form(&form);
        if let Some(secret) = &self.secret {
            request = request.basic_auth(encoded(&self.client_id), Some(encoded(secret)));
        }
        let answer = request.send().await.or_else(|e| failed(format!("does not answer: {e}")))?;
        let TokenAnswer { id_token } = read(answer).await?;
        if id_token.len() > MAX_JWT { failed("sent a token that is too long") } else { Ok(id_token) }
    }
}

/// The text of a secret file, without surrounding white space. `key` is its name in the configuration.
///
/// # Errors
/// A text that names key and file.
pub fn read_secret(key: &str, path: &Path) -> Result<String, String> {
    use std::os::unix::fs::PermissionsExt;
    let bad = |why: String| format!("`{key}` {}: {why}", path.display());
    let mode = std::fs::metadata(path).map_err(|e| bad(e.to_string()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(bad("others can read it; run chmod 600 on it".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?.trim().to_owned();
    if text.is_empty() { Err(bad("it is empty".to_owned())) } else { Ok(text) }
}

/// An address of the provider: TLS, or a name of this machine.
fn address(text: &str) -> Result<Url, ProviderError> {
    let url = Url::parse(text).or_else(|_| failed("has an address that is none"))?;
    let local = url.host_str().is_some_and(is_localhost_name);
    if url.scheme() == "https" || url.scheme() == "http" && local {
        Ok(url)
    } else {
        failed("has an address that is neither https nor on a name under .localhost")
    }
}

async fn read<T: DeserializeOwned>(mut answer: Response) -> Result<T, ProviderError> {
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.or_else(|e| failed(format!("stopped answering: {e}")))? {
        body.extend_from_slice(&part);
        if body.len() > MAX_DOCUMENT {
            return failed("sent more than was asked for");
        }
    }
    if !status.is_success() {
        return failed(format!("answered {status}"));
    }
    serde_json::from_slice(&body).or_else(|e| failed(format!("sent something else than was asked for: {e}")))
}

/// Form encoding, which RFC 6749 section 2.3.1 wants under Basic.
fn encoded(text: &str) -> String {
    let mut url = Url::parse("form:").expect("a scheme and nothing else");
    url.query_pairs_mut().append_key_only(text);
    url.query().unwrap_or_default().to_owned()
}

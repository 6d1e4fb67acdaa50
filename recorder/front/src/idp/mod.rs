//! The **development identity provider**: login by password, authorization code with PKCE (RFC 7636, S256), ID token
//! with the nonce it was asked for, which binds it to a CSR and a key. Exists only where the configuration has `[development_idp]`; a firm in
//! production has its own provider. It issues tokens and knows nothing of certificates.

mod dpop;
mod password;
mod users;

pub use password::ROUNDS;
pub use users::hash as hash_users;

use crate::problem::ApiProblem;
use dashmap::DashMap;
use domain::message::custody::LeafRole;
use domain::message::front::{Authorize, LoginSession, TokenAnswer, TokenRequest};
use domain::{B64, UnixMillis, UserId};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use password::PasswordHash;
use serde::Serialize;
use sha2::{Digest, Sha256};
use users::User;

/// A code is good for one minute and once.
const CODE_LIFE_MS: u64 = 60_000;
/// A login lasts a working day, then the password is asked for again.
const SESSION_LIFE_MS: u64 = 12 * 3600 * 1000;
/// An ID token is used at once, within seconds; custody refuses more than 5 minutes.
const TOKEN_LIFE_S: u64 = 300;
/// Wrong passwords for one name within [`FAILURE_WINDOW_MS`] before the name has to wait.
const MAX_FAILURES: u32 = 5;
/// One minute: slow for a guesser, short for a person with a typing error.
const FAILURE_WINDOW_MS: u64 = 60_000;
/// Sessions and codes kept at once; the oldest expire first. A development provider has no more people.
const MAX_ENTRIES: usize = 10_000;
/// Longest password taken.
const MAX_PASSWORD: usize = 256;

struct Session {
    user: usize,
    until: UnixMillis,
}

struct Code {
    user: usize,
    client_id: String,
    challenge: String,
    nonce: String,
    until: UnixMillis,
}

struct Failures {
    count: u32,
    until: UnixMillis,
}

/// The provider.
pub struct DevelopmentIdp {
    users: Vec<User>,
    issuer: String,
    client_id: String,
    key: EncodingKey,
    key_id: String,
    jwks: serde_json::Value,
    token_address: String,
    sessions: DashMap<String, Session>,
    codes: DashMap<String, Code>,
    failures: DashMap<UserId, Failures>,
    seen: dpop::Seen,
    stranger: PasswordHash,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    name: &'a str,
    roles: &'a [LeafRole],
    nonce: &'a str,
    iat: u64,
    exp: u64,
}

/// A new signing key: PKCS#8 PEM and the JWKS custody needs (`oidc.jwks_file`).
pub fn new_key() -> (String, serde_json::Value) {
    // 32 random bytes are a P-256 scalar but for one in 2^32 draws
    let key = std::iter::repeat_with(|| p256::SecretKey::from_slice(&rand::random::<[u8; 32]>()))
        .find_map(Result::ok)
        .expect("an endless iterator ends only by finding");
    let pem = key.to_pkcs8_pem(p256::pkcs8::LineEnding::LF).expect("a P-256 key encodes").to_string();
    (pem, jwks(&key).0)
}

fn jwks(key: &p256::SecretKey) -> (serde_json::Value, String) {
    let point = p256::EncodedPoint::from(key.public_key());
    let part = |bytes: Option<&p256::FieldBytes>| B64(bytes.map(|b| b.to_vec()).unwrap_or_default()).encode();
    let key_id = hex::encode(&Sha256::digest(point.as_bytes())[..8]);
    let jwk = serde_json::json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key_id,
        "x": part(point.x()), "y": part(point.y()),
    });
    (serde_json::json!({ "keys": [jwk] }), key_id)
}

/// 256 random bits as text.
pub fn secret() -> String {
    B64(rand::random::<[u8; 32]>().to_vec()).encode()
}

impl DevelopmentIdp {
    /// Reads users and key.
    ///
    /// # Errors
    /// A text that says what is wrong with which of the two.
    pub fn new(users: &[u8], key_pem: &str, issuer: String, client_id: String) -> Result<Self, String> {
        let users = users::parse(users)?;
        let secret_key = p256::SecretKey::from_pkcs8_pem(key_pem).map_err(|_| {
            "the key is not a PKCS#8 PEM P-256 key; make one with `strongroom-front idp-key`".to_owned()
        })?;
        let der = secret_key.to_pkcs8_der().map_err(|e| e.to_string())?;
        let (jwks, key_id) = jwks(&secret_key);
        Ok(Self {
            users,
            token_address: format!("{issuer}/token"),
            issuer,
            client_id,
            key: EncodingKey::from_ec_der(der.as_bytes()),
            key_id,
            jwks,
            sessions: DashMap::new(),
            codes: DashMap::new(),
            failures: DashMap::new(),
            seen: dpop::Seen::default(),
            stranger: PasswordHash::new(&secret(), ROUNDS),
        })
    }

    /// Keys that verify ID tokens.
    pub fn jwks(&self) -> &serde_json::Value {
        &self.jwks
    }

    /// Judges a password; slow by design. A wrong name takes as long as a wrong password and reads the same.
    pub fn login(&self, user: &str, password: &str, now: UnixMillis) -> Result<LoginSession, ApiProblem> {
        let refused =
            || ApiProblem::new(axum::http::StatusCode::UNAUTHORIZED, "bad-login", "Name or password is wrong.");
        let name: UserId = user.parse().map_err(|_| refused())?;
        if password.len() > MAX_PASSWORD {
            return Err(refused());
        }
        self.count_attempt(&name, now)?;
        let index = self.users.iter().position(|known| known.user == name);
        let hash = index.map_or(&self.stranger, |index| &self.users[index].password);
        let right = hash.verify(password);
        let (Some(index), true) = (index, right) else { return Err(refused()) };
        self.failures.remove(&name);
        expire(&self.sessions, |session| session.until, now);
        let session = secret();
        self.sessions.insert(session.clone(), Session { user: index, until: now.plus(SESSION_LIFE_MS) });
        let user = &self.users[index];
        Ok(LoginSession { session, name: user.name.clone(), user: user.user.to_string(), roles: user.roles.clone() })
    }

    /// Counts before the hash is computed, so that attempts in parallel do not slip through.
    fn count_attempt(&self, name: &UserId, now: UnixMillis) -> Result<(), ApiProblem> {
        expire(&self.failures, |failures| failures.until, now);
        let mut entry =
            self.failures.entry(name.clone()).or_insert(Failures { count: 0, until: now.plus(FAILURE_WINDOW_MS) });
        entry.count += 1;
        if entry.count > MAX_FAILURES {
            return Err(ApiProblem::slow_down("Too many attempts for this name. Wait one minute."));
        }
        Ok(())
    }

    /// The person behind a login session.
    pub fn session_user(&self, session: &str, now: UnixMillis) -> Option<UserId> {
        let session = self.sessions.get(session)?;
        (session.until > now).then(|| self.users[session.user].user.clone())
    }

    /// A code for this session, bound to the PKCE challenge and the nonce.
    pub fn authorize(&self, ask: &Authorize, now: UnixMillis) -> Result<String, ApiProblem> {
        let user = self.sessions.get(&ask.session).filter(|session| session.until > now).map(|session| session.user);
        let user = user.ok_or_else(ApiProblem::signed_out)?;
        if ask.client_id != self.client_id {
            return Err(ApiProblem::bad("Unknown client."));
        }
        let is_hash = |text: &str| B64::decode(text).is_some_and(|bytes| bytes.len() == 32);
        if !is_hash(&ask.code_challenge) || !is_hash(&ask.nonce) {
            return Err(ApiProblem::bad("Challenge and nonce must be base64url of a SHA-256 each."));
        }
        expire(&self.codes, |code| code.until, now);
        let code = secret();
        self.codes.insert(
            code.clone(),
            Code {
                user,
                client_id: ask.client_id.clone(),
                challenge: ask.code_challenge.clone(),
                nonce: ask.nonce.clone(),
                until: now.plus(CODE_LIFE_MS),
            },
        );
        Ok(code)
    }

    /// An ID token for a code. The code is used up by the first attempt, right or wrong.
    pub fn token(&self, ask: &TokenRequest, proof: &str, now: UnixMillis) -> Result<TokenAnswer, ApiProblem> {
        let refused = |why: &str| ApiProblem::new(axum::http::StatusCode::BAD_REQUEST, "bad-token", why);
        let (_, code) =
            self.codes.remove(&ask.code).ok_or_else(|| refused("This code is unknown or was used before."))?;
        if code.until <= now {
            return Err(refused("This code has expired."));
        }
        let challenge = B64(Sha256::digest(ask.code_verifier.as_bytes()).to_vec()).encode();
        if challenge != code.challenge || ask.client_id != code.client_id {
            return Err(refused("The verifier does not fit this code."));
        }
        if !dpop::holds(&self.seen, proof, "POST", &self.token_address, now) {
            return Err(refused("The DPoP proof is missing, malformed, old or used before."));
        }
        let user = &self.users[code.user];
        let iat = now.seconds();
        let claims = Claims {
            iss: &self.issuer,
            aud: &self.client_id,
            sub: user.user.as_str(),
            name: &user.name,
            roles: &user.roles,
            nonce: &code.nonce,
            iat,
            exp: iat + TOKEN_LIFE_S,
        };
        let header = Header { kid: Some(self.key_id.clone()), ..Header::new(Algorithm::ES256) };
        let id_token =
            encode(&header, &claims, &self.key).map_err(|_| ApiProblem::internal("The token was not signed."))?;
        Ok(TokenAnswer { id_token })
    }
}

/// Drops what has expired; at the limit also what expires next.
fn expire<K: std::hash::Hash + Eq + Clone, V>(map: &DashMap<K, V>, until: impl Fn(&V) -> UnixMillis, now: UnixMillis) {
    map.retain(|_, value| until(value) > now);
    if map.len() >= MAX_ENTRIES {
        let next = map.iter().min_by_key(|entry| until(entry.value())).map(|entry| entry.key().clone());
        if let Some(key) = next {
            map.remove(&key);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;

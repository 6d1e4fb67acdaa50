//! DPoP proofs (RFC 9449) at the development provider's token endpoint: form, method, address, age, single use. Answers
//! the thumbprint that goes into the token's `cnf.jkt`.

use domain::UnixMillis;
use jsonwebtoken::jwk::ThumbprintHash;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Mutex;

/// A proof is taken so long around its `iat`: clocks differ.
pub const MAX_AGE_S: u64 = 60;
/// Longest `jti`.
const MAX_JTI: usize = 128;
/// Proofs remembered at once: 60 s of the busiest development provider.
const MAX_SEEN: usize = 10_000;

// not a wire type: claims of a DPoP proof, as RFC 9449 defines them
#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
}

/// Proofs seen in the last minutes: each is good once.
#[derive(Default)]
pub struct Seen(Mutex<HashMap<String, u64>>);

impl Seen {
    fn first(&self, jti: &str, now_s: u64) -> bool {
        let mut seen = self.0.lock().expect("nothing panics while it is held");
        seen.retain(|_, until| *until > now_s);
        if seen.len() >= MAX_SEEN || seen.contains_key(jti) {
            return false;
        }
        seen.insert(jti.to_owned(), now_s + 2 * MAX_AGE_S);
        true
    }
}

/// Judges a proof for `method` at `address`; answers the key's thumbprint (RFC 7638, SHA-256).
pub fn judge(seen: &Seen, proof: &str, method: &str, address: &str, now: UnixMillis) -> Option<String> {
    let header = decode_header(proof).ok()?;
    if header.typ.as_deref() != Some("dpop+jwt") || header.alg != Algorithm::ES256 {
        return None;
    }
    let jwk = header.jwk?;
    let mut rules = Validation::new(Algorithm::ES256);
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    rules.validate_aud = false;
    let claims = decode::<Claims>(proof, &DecodingKey::from_jwk(&jwk).ok()?, &rules).ok()?.claims;
    let fits = claims.htm == method
        && claims.htu == address
        && claims.jti.len() <= MAX_JTI
        && claims.iat.abs_diff(now.seconds()) <= MAX_AGE_S
        && seen.first(&claims.jti, now.seconds());
    if fits { jwk.thumbprint(ThumbprintHash::SHA256).ok() } else { None }
}

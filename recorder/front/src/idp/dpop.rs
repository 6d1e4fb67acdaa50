//! DPoP proofs (RFC 9449) at the development provider's token endpoint: form, method, address, age, single use.

use domain::UnixMillis;
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

/// Is it a proof for `method` at `address`, of now and not seen before?
pub fn holds(seen: &Seen, proof: &str, method: &str, address: &str, now: UnixMillis) -> bool {
    claims(proof).is_some_and(|claims| {
        claims.htm == method
            && claims.htu == address
            && claims.jti.len() <= MAX_JTI
            && claims.iat.abs_diff(now.seconds()) <= MAX_AGE_S
            && seen.first(&claims.jti, now.seconds())
    })
}

/// What a proof says, if it verifies with its own key.
fn claims(proof: &str) -> Option<Claims> {
    let header = decode_header(proof).ok()?;
    if header.typ.as_deref() != Some("dpop+jwt") || header.alg != Algorithm::ES256 {
        return None;
    }
    let jwk = header.jwk?;
    let mut rules = Validation::new(Algorithm::ES256);
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    rules.validate_aud = false;
    decode::<Claims>(proof, &DecodingKey::from_jwk(&jwk).ok()?, &rules).ok().map(|data| data.claims)
}

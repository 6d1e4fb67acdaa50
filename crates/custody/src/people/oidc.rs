//! Judging an ID token and the DPoP proof that goes with it (RFC 9449) by keys and algorithms that this process reads from its
//! own configuration. The front and signaling have no say in it.

use crate::config::Oidc as Settings;
use crate::refusal::{Refusal, refuse};
use custody::id_token::{Person, Rules, SKEW_S, header, is_p256};
use domain::{B64, UnixMillis};
use jsonwebtoken::jwk::{JwkSet, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

/// A DPoP proof is so old at most, s.
const MAX_PROOF_AGE_S: u64 = 60;
/// Proofs remembered: far above one firm's logins within their life; beyond it enrolment waits rather than forgets.
const MAX_PROOFS: usize = 100_000;
/// Longest `jti`.
const MAX_JTI: usize = 128;

// not a wire type: claims of a DPoP proof, RFC 9449 section 4.2
#[derive(Deserialize)]
struct Proof {
    jti: String,
    htm: String,
    htu: String,
    iat: u64,
}

/// The firm's identity provider as this process sees it.
pub struct Oidc {
    settings: Settings,
    seen: Mutex<Seen>,
}

/// Proofs used, oldest first.
#[derive(Default)]
struct Seen {
    known: HashSet<String>,
    order: VecDeque<(u64, String)>,
}

impl Oidc {
    /// From configuration.
    pub fn new(settings: Settings) -> Self {
        Self { settings, seen: Mutex::default() }
    }

    /// Judges token and proof for a CSR (its SHA-256).
    ///
    /// # Errors
    /// `bad-token`.
    pub fn judge(&self, now: UnixMillis, id_token: &str, dpop: &str, csr_hash: &[u8; 32]) -> Result<Person, Refusal> {
        let now_s = now.seconds();
        let person = self.token(now_s, id_token)?;
        let (proof, holder) = self.proof(now_s, dpop)?;
        if person.nonce != nonce(csr_hash, &holder) {
            return bad("the ID token was issued for another CSR, or the DPoP proof is by another key");
        }
        self.use_once(now_s, proof)?;
        Ok(person)
    }

    fn token(&self, now_s: u64, jwt: &str) -> Result<Person, Refusal> {
        let unavailable = |why: &str| {
            tracing::error!(file = %self.settings.jwks_file.display(), "{why}");
            refuse("unavailable", "the identity provider's keys cannot be read on this host; see custody's log")
        };
        let Ok(bytes) = std::fs::read(&self.settings.jwks_file) else { return unavailable("cannot read the JWK set") };
        let Ok(keys) = serde_json::from_slice::<JwkSet>(&bytes) else { return unavailable("not a JWK set") };
        let Settings { issuer, audience, claims, .. } = &self.settings;
        Ok(Rules { issuer, audience, claims }.id_token(&keys, now_s, jwt)?)
    }

    /// The proof, and the thumbprint of its key (RFC 7638, SHA-256).
    fn proof(&self, now_s: u64, jwt: &str) -> Result<(Proof, [u8; 32]), Refusal> {
        let header = header(jwt)?;
        if header.typ.as_deref() != Some("dpop+jwt") {
            return bad("the DPoP proof has the wrong type");
        }
        let Some(jwk) = header.jwk.filter(is_p256) else { return bad("the DPoP proof carries no P-256 key") };
        let thumbprint = jwk.thumbprint(ThumbprintHash::SHA256).ok().and_then(|text| B64::decode(&text));
        let Some(holder) = thumbprint.and_then(|bytes| <[u8; 32]>::try_from(bytes.0).ok()) else {
            return bad("the DPoP proof carries no P-256 key");
        };
        let Ok(key) = DecodingKey::from_jwk(&jwk) else { return bad("the DPoP proof carries no P-256 key") };
        let Ok(data) = decode::<Proof>(jwt, &key, &validation()) else {
            return bad("the DPoP proof does not verify with its own key, or a claim is missing");
        };
        let proof = data.claims;
        if proof.htm != "POST" || proof.htu != self.settings.dpop_htu {
            return bad("the DPoP proof is for another request");
        }
        if proof.iat.saturating_add(MAX_PROOF_AGE_S) < now_s || proof.iat > now_s + SKEW_S {
            return bad("the DPoP proof is older than a minute, or from the future");
        }
        if proof.jti.is_empty() || proof.jti.len() > MAX_JTI {
            return bad("the DPoP proof has no usable `jti`");
        }
        Ok((proof, holder))
    }

    fn use_once(&self, now_s: u64, proof: Proof) -> Result<(), Refusal> {
        let mut seen = self.seen.lock().expect("no holder panics");
        // kept a little longer than a proof can be fresh, from either side of the clock
        let forget = now_s.saturating_sub(MAX_PROOF_AGE_S + 2 * SKEW_S);
        while seen.order.front().is_some_and(|(at, _)| *at < forget) {
            if let Some((_, jti)) = seen.order.pop_front() {
                seen.known.remove(&jti);
            }
        }
        if seen.known.len() >= MAX_PROOFS {
            return refuse("rate", "too many enrolments in a minute; try again");
        }
        if !seen.known.insert(proof.jti.clone()) {
            return bad("the DPoP proof was used before");
        }
        seen.order.push_back((now_s, proof.jti));
        Ok(())
    }
}

/// What a person's page asks its provider to put into the ID token: it binds the token to the CSR and to the key that proves
/// who sends it. Providers sign every nonce they are given and few put `cnf` into an ID token, so that this binds with all.
fn nonce(csr_hash: &[u8; 32], holder: &[u8; 32]) -> String {
    B64::from(evidence::sha256(&[csr_hash.as_slice(), holder].concat())).encode()
}

fn bad<T>(detail: &str) -> Result<T, Refusal> {
    refuse("bad-token", detail)
}

/// Signature and algorithm (ES256) of a proof only: its times are judged here, by the time we are told.
fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

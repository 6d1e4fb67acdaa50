//! Judging an ID token (OpenID Connect Core section 3.1.3.7) and the DPoP proof that goes with it (RFC 9449): ES256 only, by
//! keys that this process reads from its own configuration. The front and signaling have no say in it.

use crate::config::Oidc as Settings;
use crate::refusal::{Refusal, refuse};
use domain::message::custody::LeafRole;
use domain::{B64, UnixMillis, UserId};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;
use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

/// An ID token lives so long at most, s.
const MAX_TOKEN_LIFE_S: u64 = 300;
/// A DPoP proof is so old at most, s.
const MAX_PROOF_AGE_S: u64 = 60;
/// Clocks may differ so much, s.
const SKEW_S: u64 = 30;
/// Proofs remembered: far above one firm's logins within their life; beyond it enrolment waits rather than forgets.
const MAX_PROOFS: usize = 100_000;
/// Longest token or proof read.
const MAX_JWT: usize = 16 * 1024;
/// Longest `jti`.
const MAX_JTI: usize = 128;

/// Whom an identity provider vouches for.
pub struct Person {
    /// `sub`.
    pub user: UserId,
    /// `name`.
    pub name: String,
    /// `roles`.
    pub roles: Vec<LeafRole>,
}

// not a wire type: claims of an ID token, as OpenID Connect names them
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: OneOrMany,
    exp: u64,
    iat: u64,
    sub: String,
    name: Option<String>,
    nonce: String,
    #[serde(default)]
    roles: Vec<String>,
}

// not a wire type: RFC 7519 section 4.1.3 allows both forms of `aud`
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

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
        let claims = self.token(now_s, id_token)?;
        let (proof, holder) = self.proof(now_s, dpop)?;
        if claims.nonce != nonce(csr_hash, &holder) {
            return bad("the ID token was issued for another CSR, or the DPoP proof is by another key");
        }
        self.use_once(now_s, proof)?;
        let Ok(user) = claims.sub.parse::<UserId>() else { return bad("`sub` of the ID token is no user id") };
        let roles = claims.roles.iter().filter_map(|text| role(text)).collect();
        Ok(Person { name: claims.name.unwrap_or_else(|| user.to_string()), user, roles })
    }

    fn token(&self, now_s: u64, jwt: &str) -> Result<Claims, Refusal> {
        let header = header(jwt)?;
        if !matches!(header.typ.as_deref(), None | Some("JWT")) {
            return bad("this is no ID token");
        }
        let key = self.issuer_key(header.kid.as_deref())?;
        let Ok(data) = decode::<Claims>(jwt, &key, &validation()) else {
            return bad("the ID token is not signed by the firm's identity provider with ES256, or a claim is missing");
        };
        let claims = data.claims;
        if claims.iss != self.settings.issuer {
            return bad("the ID token is of another issuer");
        }
        let audience = &self.settings.audience;
        let for_us = match &claims.aud {
            OneOrMany::One(one) => one == audience,
            // a token that others may use too is no proof made for us
            OneOrMany::Many(many) => many.len() == 1 && many[0] == *audience,
        };
        if !for_us {
            return bad("the ID token is for another audience");
        }
        if claims.exp <= now_s {
            return bad("the ID token has expired; log in again");
        }
        if claims.iat > now_s + SKEW_S || claims.exp.saturating_sub(claims.iat) > MAX_TOKEN_LIFE_S {
            return bad("the ID token lives longer than five minutes, or is from the future");
        }
        Ok(claims)
    }

    fn issuer_key(&self, kid: Option<&str>) -> Result<DecodingKey, Refusal> {
        let unavailable = |why: &str| {
            tracing::error!(file = %self.settings.jwks_file.display(), "{why}");
            refuse("unavailable", "the identity provider's keys cannot be read on this host; see custody's log")
        };
        let Ok(bytes) = std::fs::read(&self.settings.jwks_file) else { return unavailable("cannot read the JWK set") };
        let Ok(set) = serde_json::from_slice::<JwkSet>(&bytes) else { return unavailable("not a JWK set") };
        let jwk = match (kid, set.keys.as_slice()) {
            (Some(kid), _) => set.find(kid),
            (None, [only]) => Some(only),
            _ => None,
        };
        let key = jwk.filter(|jwk| is_p256(jwk)).and_then(|jwk| DecodingKey::from_jwk(jwk).ok());
        key.map_or_else(|| bad("the ID token names no P-256 key of the identity provider"), Ok)
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

fn header(jwt: &str) -> Result<Header, Refusal> {
    let header = (jwt.len() <= MAX_JWT).then(|| decode_header(jwt).ok()).flatten();
    match header {
        Some(header) if header.crit.is_none() => Ok(header),
        _ => bad("token or proof is no JWT, or asks for an extension that nobody here knows"),
    }
}

/// Signature and algorithm (ES256) only: times, issuer and audience are judged here, by the time we are told.
fn validation() -> Validation {
    let mut validation = Validation::new(Algorithm::ES256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation
}

fn is_p256(jwk: &Jwk) -> bool {
    matches!(&jwk.algorithm, AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256)
}

fn role(text: &str) -> Option<LeafRole> {
    match text {
        "member" => Some(LeafRole::Member),
        "compliance" => Some(LeafRole::Compliance),
        "administrator" => Some(LeafRole::Administrator),
        _ => None,
    }
}

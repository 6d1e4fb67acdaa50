//! Judging what a firm's OpenID provider signed: ID tokens (OpenID Connect Core section 3.1.3.7) and logout tokens (OpenID
//! Connect Back-Channel Logout 1.0 section 2.6). Told keys, rules and time; reads nothing. The token process judges by its own
//! configuration whom it certifies; a front judges by its own whom it shows a list of rooms. Must not trust a key that a token
//! brings along.

use domain::message::custody::LeafRole;
use domain::{B64, UserId};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// An ID token is used so soon after it was issued, s: it is fetched for one enrolment.
pub const MAX_AGE_S: u64 = 300;
/// Clocks may differ so much, s.
pub const SKEW_S: u64 = 30;
/// Longest token read: a provider that lists hundreds of groups still stays below.
pub const MAX_JWT: usize = 16 * 1024;
/// Longest `jti`, `sid` or `nonce`.
const MAX_TEXT: usize = 256;
/// Smallest RSA modulus, bytes (NIST SP 800-131A: 2,048 bits).
const MIN_RSA: usize = 256;
/// What a logout token says it is (Back-Channel Logout section 2.4).
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What counts, by configuration. Every field but issuer and audience has a usual value.
// not a wire type: configuration of how tokens are judged
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// Signature algorithms that are taken: ES256, RS256, PS256, EdDSA.
    #[serde(default = "es256")]
    pub algorithms: Vec<Algorithm>,
    /// Claim with the user id.
    #[serde(default = "sub")]
    pub user: String,
    /// Claim with the roles, a dot between levels (`realm_access.roles`).
    #[serde(default = "roles")]
    pub roles: String,
    /// What the provider calls a role, and which role that is; without it the roles' own names.
    #[serde(default)]
    pub role_names: BTreeMap<String, LeafRole>,
}

impl Default for Claims {
    fn default() -> Self {
        Self { algorithms: es256(), user: sub(), roles: roles(), role_names: BTreeMap::new() }
    }
}

fn es256() -> Vec<Algorithm> {
    vec![Algorithm::ES256]
}
fn sub() -> String {
    "sub".to_owned()
}
fn roles() -> String {
    "roles".to_owned()
}

impl Claims {
    /// Is it safe to judge by?
    ///
    /// # Errors
    /// A text that names the key.
    pub fn check(&self) -> Result<(), String> {
        let known = |algorithm: &Algorithm| {
            matches!(algorithm, Algorithm::ES256 | Algorithm::RS256 | Algorithm::PS256 | Algorithm::EdDSA)
        };
        if self.algorithms.is_empty() || !self.algorithms.iter().all(known) {
            return Err("`algorithms` lists ES256, RS256, PS256 or EdDSA, at least one and nothing else".to_owned());
        }
        if self.role_names.values().any(|role| matches!(role, LeafRole::Recorder | LeafRole::Guest)) {
            return Err("`role_names` cannot make a recorder or a guest: those are not people of the firm".to_owned());
        }
        Ok(())
    }

    fn role(&self, text: &str) -> Option<LeafRole> {
        if !self.role_names.is_empty() {
            return self.role_names.get(text).copied();
        }
        match text {
            "member" => Some(LeafRole::Member),
            "compliance" => Some(LeafRole::Compliance),
            "administrator" => Some(LeafRole::Administrator),
            _ => None,
        }
    }
}

/// By what a token is judged.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// `aud`, and `azp` where there is one.
    pub audience: &'a str,
    /// Algorithms and names of claims.
    pub claims: &'a Claims,
}

/// Whom an ID token vouches for.
#[derive(Clone)]
pub struct Person {
    /// User id.
    pub user: UserId,
    /// Name for people.
    pub name: String,
    /// Roles.
    pub roles: Vec<LeafRole>,
    /// `nonce`.
    pub nonce: String,
    /// `sub`, for a later logout token.
    pub subject: String,
    /// `sid`, for a later logout token.
    pub sid: Option<String>,
}

/// Whom a logout token logs out. At least one of subject and session is there.
pub struct Logout {
    /// `sub`.
    pub subject: Option<String>,
    /// `sid`.
    pub sid: Option<String>,
    /// `jti`: each is taken once, by whoever keeps them.
    pub jti: String,
}

/// Why a token is refused, in words for a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub &'static str);

fn bad<T>(why: &'static str) -> Result<T, Refused> {
    Err(Refused(why))
}

impl Rules<'_> {
    /// Judges an ID token. The nonce is the caller's to compare: it is never empty.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn id_token(&self, keys: &JwkSet, now_s: u64, jwt: &str) -> Result<Person, Refused> {
        let header = header(jwt)?;
        if !matches!(header.typ.as_deref(), None | Some("JWT")) {
            return bad("this is no ID token");
        }
        let claims = self.signed(&header, keys, jwt)?;
        self.common(&claims, now_s)?;
        // a logout token of the same provider carries this claim; an ID token never does
        if claims.contains_key("events") {
            return bad("this is no ID token");
        }
        let Some(nonce) = text(&claims, "nonce") else { return bad("the ID token has no nonce") };
        let Some(subject) = text(&claims, "sub") else { return bad("`sub` of the ID token is missing") };
        let user = text(&claims, &self.claims.user).and_then(|user| user.parse::<UserId>().ok());
        let Some(user) = user else { return bad("the ID token's claim with the user is no user id") };
        Ok(Person {
            name: text(&claims, "name").unwrap_or_else(|| user.to_string()),
            roles: self.roles(&claims),
            sid: text(&claims, "sid"),
            user,
            nonce,
            subject,
        })
    }

    /// Judges a logout token.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn logout_token(&self, keys: &JwkSet, now_s: u64, jwt: &str) -> Result<Logout, Refused> {
        let header = header(jwt)?;
        // section 2.4 recommends `logout+jwt`; providers of before send `JWT` or nothing
        if !matches!(header.typ.as_deref(), None | Some("JWT" | "logout+jwt")) {
            return bad("this is no logout token");
        }
        let claims = self.signed(&header, keys, jwt)?;
        self.common(&claims, now_s)?;
        let is_logout = claims.get("events").and_then(|events| events.get(LOGOUT_EVENT)).is_some_and(Value::is_object);
        if !is_logout || claims.contains_key("nonce") {
            return bad("this is no logout token");
        }
        let (subject, sid) = (text(&claims, "sub"), text(&claims, "sid"));
        if subject.is_none() && sid.is_none() {
            return bad("the logout token names nobody");
        }
        let Some(jti) = text(&claims, "jti") else { return bad("the logout token has no `jti`") };
        Ok(Logout { subject, sid, jti })
    }

    fn signed(&self, header: &Header, keys: &JwkSet, jwt: &str) -> Result<Map<String, Value>, Refused> {
        if !self.claims.algorithms.contains(&header.alg) {
            return bad("the token is not signed by an algorithm that this firm takes");
        }
        let jwk = match (header.kid.as_deref(), keys.keys.as_slice()) {
            (Some(kid), _) => keys.find(kid),
            (None, [only]) => Some(only),
            _ => None,
        };
        let key = jwk.filter(|jwk| fits(jwk, header.alg)).and_then(|jwk| DecodingKey::from_jwk(jwk).ok());
        let Some(key) = key else { return bad("the token names no key of the firm's identity provider") };
        // times, issuer and audience are judged here, by the time we are told
        let mut validation = Validation::new(header.alg);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let Ok(data) = decode::<Map<String, Value>>(jwt, &key, &validation) else {
            return bad("the token is not signed by the firm's identity provider");
        };
        Ok(data.claims)
    }

    fn common(&self, claims: &Map<String, Value>, now_s: u64) -> Result<(), Refused> {
        if claims.get("iss").and_then(Value::as_str) != Some(self.issuer) {
            return bad("the token is of another issuer");
        }
        let audience = Value::from(self.audience);
        let for_us = match claims.get("aud") {
            // a token that others may use too is no proof made for us
            Some(Value::Array(many)) => many.as_slice() == [audience.clone()],
            one => one == Some(&audience),
        };
        if !for_us {
            return bad("the token is for another audience");
        }
        if claims.get("azp").is_some_and(|party| *party != audience) {
            return bad("the token was given to another party");
        }
        let time = |name: &str| claims.get(name).and_then(Value::as_u64);
        let Some(issued) = time("iat") else { return bad("the token does not say when it was issued") };
        let Some(end) = time("exp") else { return bad("the token has no end") };
        if end <= now_s {
            return bad("the token has expired; log in again");
        }
        if issued > now_s + SKEW_S {
            return bad("the token is from the future");
        }
        if issued.saturating_add(MAX_AGE_S) < now_s {
            return bad("the token was issued more than five minutes ago; log in again");
        }
        Ok(())
    }

    fn roles(&self, claims: &Map<String, Value>) -> Vec<LeafRole> {
        let mut path = self.claims.roles.split('.');
        let first = path.next().and_then(|name| claims.get(name));
        let found = path.fold(first, |value, name| value.and_then(|value| value.get(name)));
        let names = match found {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        names.into_iter().filter_map(|name| self.claims.role(name)).collect()
    }
}

/// Header of a token or proof.
///
/// # Errors
/// [`Refused`] for what is no JWT, is too long, or wants an extension understood (RFC 7515 section 4.1.11).
pub fn header(jwt: &str) -> Result<Header, Refused> {
    let header = (jwt.len() <= MAX_JWT).then(|| decode_header(jwt).ok()).flatten();
    match header {
        Some(header) if header.crit.is_none() => Ok(header),
        _ => bad("token or proof is no JWT, or asks for an extension that nobody here knows"),
    }
}

/// Is the key on P-256?
pub fn is_p256(jwk: &Jwk) -> bool {
    matches!(&jwk.algorithm, AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256)
}

/// A key is used for the algorithm it is for, and never for encryption.
fn fits(jwk: &Jwk, algorithm: Algorithm) -> bool {
    let right_kind = match (&jwk.algorithm, algorithm) {
        (AlgorithmParameters::EllipticCurve(_), Algorithm::ES256) => is_p256(jwk),
        (AlgorithmParameters::RSA(rsa), Algorithm::RS256 | Algorithm::PS256) => {
            B64::decode(&rsa.n).is_some_and(|modulus| modulus.len() >= MIN_RSA)
        }
        (AlgorithmParameters::OctetKeyPair(pair), Algorithm::EdDSA) => pair.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let named = jwk.common.key_algorithm.is_none_or(|named| named.to_string() == format!("{algorithm:?}"));
    let signs = jwk.common.public_key_use.as_ref().is_none_or(|use_| *use_ == PublicKeyUse::Signature);
    right_kind && named && signs
}

fn text(claims: &Map<String, Value>, name: &str) -> Option<String> {
    let text = claims.get(name)?.as_str()?;
    (!text.is_empty() && text.len() <= MAX_TEXT).then(|| text.to_owned())
}

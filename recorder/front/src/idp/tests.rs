//! The provider's flow: what gets a token and what does not.

use super::*;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::Signer;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const VERIFIER: &str = "a verifier of at least forty-three characters, as the RFC wants";

pub(crate) fn provider() -> DevelopmentIdp {
    let users = br#"[{"user":"anna","name":"Anna Berg","roles":["member"],"password":"anna-demo"},
        {"user":"carol","name":"Carol Diaz","roles":["compliance"],"password":"carol-demo"},
        {"user":"chris","name":"Chris Ek","roles":["compliance"],"password":"chris-demo"}]"#;
    // few rounds: the tests judge the flow, not the cost
    let users = hash_users(users, 5).expect("hashed");
    let (pem, _) = new_key();
    DevelopmentIdp::new(&users, &pem, "http://bank-a.localhost:8441/idp".to_owned(), "strongroom-page".to_owned())
        .expect("made")
}

/// A DPoP proof by `key`.
pub(crate) fn proof(key: &SigningKey, method: &str, address: &str, iat: u64, jti: &str) -> String {
    let point = key.verifying_key().to_encoded_point(false);
    let part = |bytes: &[u8]| B64(bytes.to_vec()).encode();
    let (x, y) = (part(point.x().expect("not infinity")), part(point.y().expect("uncompressed")));
    let head = serde_json::json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", "x": x, "y": y, "ext": true}});
    let body = serde_json::json!({"jti": jti, "htm": method, "htu": address, "iat": iat});
    let signed = format!("{}.{}", part(head.to_string().as_bytes()), part(body.to_string().as_bytes()));
    let signature: p256::ecdsa::Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", part(&signature.to_bytes()))
}

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).expect("a scalar")
}

fn code(idp: &DevelopmentIdp) -> String {
    let session = idp.login("anna", "anna-demo", NOW).expect("logged in").session;
    let ask = Authorize {
        session,
        client_id: "strongroom-page".to_owned(),
        code_challenge: B64(Sha256::digest(VERIFIER).to_vec()).encode(),
        nonce: B64(vec![9; 32]).encode(),
    };
    idp.authorize(&ask, NOW).expect("authorized")
}

fn exchange(
    idp: &DevelopmentIdp,
    code: &str,
    verifier: &str,
    proof: &str,
    now: UnixMillis,
) -> Result<TokenAnswer, ApiProblem> {
    let ask = TokenRequest {
        code: code.to_owned(),
        code_verifier: verifier.to_owned(),
        client_id: "strongroom-page".to_owned(),
    };
    idp.token(&ask, proof, now)
}

fn good_proof(jti: &str) -> String {
    proof(&key(), "POST", "http://bank-a.localhost:8441/idp/token", NOW.seconds(), jti)
}

#[test]
fn a_token_names_person_roles_nonce_and_key_and_ends_within_five_minutes() {
    let idp = provider();
    let answer = exchange(&idp, &code(&idp), VERIFIER, &good_proof("1"), NOW).expect("a token");
    let jwk: jsonwebtoken::jwk::JwkSet = serde_json::from_value(idp.jwks().clone()).expect("a key set");
    let mut rules = jsonwebtoken::Validation::new(Algorithm::ES256);
    rules.validate_exp = false;
    rules.set_audience(&["strongroom-page"]);
    rules.set_issuer(&["http://bank-a.localhost:8441/idp"]);
    let key = jsonwebtoken::DecodingKey::from_jwk(&jwk.keys[0]).expect("a key");
    let claims = jsonwebtoken::decode::<serde_json::Value>(&answer.id_token, &key, &rules).expect("verifies").claims;
    assert_eq!(claims["sub"], "anna");
    assert_eq!(claims["roles"], serde_json::json!(["member"]));
    assert_eq!(claims["nonce"], B64(vec![9; 32]).encode());
    assert_eq!(claims["exp"].as_u64().expect("exp") - claims["iat"].as_u64().expect("iat"), 300);
}

#[test]
fn a_wrong_verifier_gets_no_token_and_uses_the_code_up() {
    let idp = provider();
    let code = code(&idp);
    assert!(exchange(&idp, &code, "another verifier", &good_proof("1"), NOW).is_err());
    assert!(exchange(&idp, &code, VERIFIER, &good_proof("2"), NOW).is_err());
}

#[test]
fn a_code_is_good_once_and_for_one_minute() {
    let idp = provider();
    let first = code(&idp);
    assert!(exchange(&idp, &first, VERIFIER, &good_proof("1"), NOW).is_ok());
    assert!(exchange(&idp, &first, VERIFIER, &good_proof("2"), NOW).is_err());
    let late = code(&idp);
    assert!(exchange(&idp, &late, VERIFIER, &good_proof("3"), NOW.plus(CODE_LIFE_MS)).is_err());
}

#[test]
fn a_dpop_proof_is_for_this_address_now_and_once() {
    let idp = provider();
    let token = "http://bank-a.localhost:8441/idp/token";
    let wrong = [
        proof(&key(), "GET", token, NOW.seconds(), "a"),
        proof(&key(), "POST", "http://bank-b.localhost:8442/idp/token", NOW.seconds(), "b"),
        proof(&key(), "POST", token, NOW.seconds() - 61, "c"),
        String::new(),
    ];
    for proof in wrong {
        assert!(exchange(&idp, &code(&idp), VERIFIER, &proof, NOW).is_err());
    }
    assert!(exchange(&idp, &code(&idp), VERIFIER, &good_proof("d"), NOW).is_ok());
    assert!(exchange(&idp, &code(&idp), VERIFIER, &good_proof("d"), NOW).is_err());
    let mut forged = good_proof("e");
    forged.replace_range(forged.len() - 4.., "AAAA");
    assert!(exchange(&idp, &code(&idp), VERIFIER, &forged, NOW).is_err());
}

#[test]
fn guessing_a_password_is_slowed_down_for_right_ones_too() {
    let idp = provider();
    for _ in 0..MAX_FAILURES {
        assert_eq!(idp.login("anna", "guess", NOW).err().expect("refused").code, "bad-login");
    }
    assert_eq!(idp.login("anna", "anna-demo", NOW).err().expect("refused").code, "rate-limited");
    assert!(idp.login("carol", "carol-demo", NOW).is_ok());
    assert!(idp.login("anna", "anna-demo", NOW.plus(FAILURE_WINDOW_MS)).is_ok());
}

#[test]
fn a_session_ends() {
    let idp = provider();
    let session = idp.login("anna", "anna-demo", NOW).expect("logged in").session;
    assert!(idp.session_user(&session, NOW).is_some());
    assert!(idp.session_user(&session, NOW.plus(SESSION_LIFE_MS)).is_none());
    let ask = Authorize {
        session,
        client_id: "strongroom-page".to_owned(),
        code_challenge: B64(vec![1; 32]).encode(),
        nonce: B64(vec![2; 32]).encode(),
    };
    assert_eq!(idp.authorize(&ask, NOW.plus(SESSION_LIFE_MS)).expect_err("refused").code, "signed-out");
}

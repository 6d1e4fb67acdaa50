//! What is judged without a secret: COSE, certificates, signed documents, and what a firm's identity provider signs.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use custody::id_token::{Claims, Rules};
use domain::UnixMillis;
use evidence::key::PublicKey;
use evidence::ledger::Head;
use evidence::{cose, grant, identity, ledger, order, receipt, sender_manifest, statement};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use std::sync::OnceLock;
use strongroom_tests::firms::{Firms, MEETING, T0};

/// Firms that everything here is judged under: one pair a process.
pub fn firms() -> &'static Firms {
    static FIRMS: OnceLock<Firms> = OnceLock::new();
    FIRMS.get_or_init(|| Firms::new(domain::policy::Rule::Must, domain::policy::Rule::Off, 2_000))
}

/// COSE_Sign1 under a known key.
pub fn cose(data: &[u8]) {
    let key = PublicKey::from_spki(&firms().trust.firms[0].policy_key).expect("a key");
    let _ = cose::verify(statement::LABEL, data, &key);
    let _ = cose::verify_by_leaf(receipt::RECEIPT_LABEL, data, &firms().trust, T0.seconds());
    let _ = (cose::certificate(data), cose::payload_unverified(data));
}

/// Leaf certificates and keys.
pub fn certificate(data: &[u8]) {
    let read = identity::inspect(data);
    if let Ok(judged) = identity::judge(&firms().trust, data, T0.seconds()) {
        let read = read.expect("what judges well reads");
        assert_eq!(read.participant, judged.participant);
    }
    let _ = (PublicKey::from_spki(data), PublicKey::from_sec1(data));
}

/// Everything signed that travels.
pub fn documents(data: &[u8]) {
    let Firms { trust, a, .. } = firms();
    let key = PublicKey::from_spki(&trust.firms[0].policy_key).expect("a key");
    let now = UnixMillis(T0.0);
    let _ = statement::judge_statement(trust, data);
    let _ = order::judge(trust, data);
    let _ = receipt::judge_receipt(trust, data, now.seconds());
    let _ = receipt::judge_beacon(trust, data, now.seconds());
    let _ = sender_manifest::judge(&key, data);
    let _ = grant::judge_request(trust, &a.id, data, now);
    let subject = MEETING.as_bytes();
    let _ = evidence::recorder_csr::RecorderCsr::covers(data, subject, now);
    let _ = evidence::said::judge_kept(trust, data, now);
    let _ = evidence::acknowledgement::judge(trust, data, now.seconds());
    if let Some(card) = e2ee::file::Card::decode(data) {
        assert_eq!(domain::files::plain_name(card.name()), card.name(), "plain once is plain for good");
    }
    let name = domain::files::plain_name(&String::from_utf8_lossy(data));
    assert!(name.len() <= domain::files::MAX_NAME + 1 && !name.contains(['/', '\\', '"', '\n']), "{name}");
    let _ = ledger::judge(&key, &a.id, &Head { next: 0, hash: [0; 32] }, data);
}

/// Issuer of the tokens here.
pub const ISSUER: &str = "https://idp.bank-a.example";
/// ... and whom they are for.
pub const AUDIENCE: &str = "strongroom-page";

/// Its key.
fn provider() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).expect("a key")
}

/// Its key set, JSON (RFC 7517).
pub fn provider_keys() -> String {
    let point = provider().verifying_key().to_encoded_point(false);
    let part = |part: Option<&p256::FieldBytes>| URL_SAFE_NO_PAD.encode(part.expect("not the identity"));
    let (x, y) = (part(point.x()), part(point.y()));
    format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","use":"sig","alg":"ES256","kid":"1"}}]}}"#)
}

/// A token that says this, rightly signed (RFC 7515 section 7.1).
pub fn signed_token(claims: &[u8]) -> String {
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","typ":"JWT","kid":"1"}"#);
    let said = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature: Signature = provider().sign(said.as_bytes());
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// Tokens of a firm's identity provider: as a whole, as what a good key signed, and the provider's keys.
pub fn id_token(data: &[u8]) {
    let names = Claims { roles: "realm_access.roles".to_owned(), ..Claims::default() };
    let good = serde_json::from_str(&provider_keys()).expect("a key set");
    for claims in [&Claims::default(), &names] {
        let rules = Rules { issuer: ISSUER, audience: AUDIENCE, claims };
        if let Ok(text) = std::str::from_utf8(data) {
            let _ = rules.id_token(&good, T0.seconds(), text);
            let _ = rules.logout_token(&good, T0.seconds(), text);
        }
        let token = signed_token(data);
        let person = rules.id_token(&good, T0.seconds(), &token);
        let logout = rules.logout_token(&good, T0.seconds(), &token);
        assert!(person.is_err() || logout.is_err(), "no token is both");
        if let Ok(person) = person {
            assert!(!person.nonce.is_empty() && !person.subject.is_empty());
        }
        if let Ok(keys) = serde_json::from_slice(data) {
            let _ = rules.id_token(&keys, T0.seconds(), &signed_token(b"{}"));
        }
    }
}

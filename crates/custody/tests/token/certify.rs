//! Certificates and statements: what is issued is judged well by everybody, and each way of asking wrongly is refused.

use crate::house::{House, call, on_each_token};
use crate::idp::{Enrolment, Key, build_csr, csr, enrol, nonce, now};
use domain::B64;
use domain::limits::CONSENT_MAX_AGE_MS;
use domain::message::custody::{Answer, Ask, CustodyProblem, LeafRole};
use domain::policy::{Rule, Statement, Tier};
use evidence::grant::STATEMENT_CONSENT_LABEL;
use evidence::identity::judge;
use evidence::invitation::{self, Invitation, LABEL as INVITATION, code_hash};
use evidence::recorder_csr::{LABEL, RecorderCsr};
use evidence::statement::{encode, judge_statement};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use serde_json::json;
use test_tokens::Kind;

async fn an_issued_certificate_is_judged_well_by_everybody(kind: Kind) {
    let house = House::new(kind);
    let people = house.start("people");
    for (user, role) in [("anna", LeafRole::Member), ("carol", LeafRole::Compliance), ("adam", LeafRole::Administrator)]
    {
        let (key, certificate) = enrol(&house, &people, user, role).await;
        let identity = judge(&house.trust, &certificate, now().seconds()).unwrap();
        assert_eq!(identity.participant.to_string(), format!("bank-a/{user}/d1"));
        assert_eq!((identity.role, identity.name), (role, format!("{user} of A")));
        assert_eq!(identity.public_key, key.public());
        assert_eq!(identity.not_after_s - identity.not_before_s, 3600);
    }
}

/// One change to a good enrolment; code and words it is refused with.
type Wrong = (&'static str, &'static str, fn(&mut Enrolment));

const WRONG: &[Wrong] = &[
    ("audience of another firm", "bad-token: another audience", |e| e.claims["aud"] = json!("strongroom-bank-b")),
    ("two audiences", "bad-token: another audience", |e| e.claims["aud"] = json!([crate::house::AUDIENCE, "other"])),
    ("another issuer", "bad-token: another issuer", |e| e.claims["iss"] = json!("https://idp.bank-b.test")),
    ("expired", "bad-token: expired", |e| {
        e.claims["iat"] = json!(now().seconds() - 200);
        e.claims["exp"] = json!(now().seconds() - 1);
    }),
    ("issued long ago", "bad-token: more than five minutes ago", |e| e.claims["iat"] = json!(now().seconds() - 305)),
    ("of no age", "bad-token: when it was issued", |e| drop(e.claims.as_object_mut().unwrap().remove("iat"))),
    ("without an end", "bad-token: no end", |e| drop(e.claims.as_object_mut().unwrap().remove("exp"))),
    ("given to another party", "bad-token: another party", |e| e.claims["azp"] = json!("strongroom-bank-b")),
    ("without a nonce", "bad-token: no nonce", |e| drop(e.claims.as_object_mut().unwrap().remove("nonce"))),
    ("a logout token as ID token", "bad-token: no ID token", |e| {
        e.claims["events"] = json!({"http://schemas.openid.net/event/backchannel-logout": {}})
    }),
    ("by a key that the token names itself", "bad-token: not signed by the firm's", |e| {
        e.issuer_key = Key::new();
        e.token_header.jwk = Some(serde_json::from_value(e.issuer_key.jwk()).unwrap());
    }),
    ("an access token as ID token", "bad-token: no ID token", |e| e.token_header.typ = Some("at+jwt".into())),
    ("from the future", "bad-token: from the future", |e| e.claims["iat"] = json!(now().seconds() + 90)),
    ("nonce of another CSR", "bad-token: another CSR", |e| e.claims["nonce"] = json!(B64::from([0u8; 32]).encode())),
    ("signed by another provider", "bad-token: not signed by the firm's", |e| e.issuer_key = Key::new()),
    ("DPoP by another key", "bad-token: by another key", |e| {
        e.dpop_key = Key::new();
        e.proof_header.jwk = Some(serde_json::from_value(e.dpop_key.jwk()).unwrap());
    }),
    ("DPoP not by the key it carries", "bad-token: does not verify", |e| e.dpop_key = Key::new()),
    ("DPoP for another address", "bad-token: another request", |e| {
        e.proof["htu"] = json!("http://bank-b.localhost:8442/enrol")
    }),
    ("DPoP for another method", "bad-token: another request", |e| e.proof["htm"] = json!("GET")),
    ("DPoP too old", "bad-token: older than a minute", |e| e.proof["iat"] = json!(now().seconds() - 70)),
    ("DPoP from the end of time", "bad-token: from the future", |e| e.proof["iat"] = json!(u64::MAX)),
    ("DPoP without a number", "bad-token: jti", |e| e.proof["jti"] = json!("")),
    ("DPoP with a number too long", "bad-token: jti", |e| e.proof["jti"] = json!("x".repeat(129))),
    ("DPoP of another type", "bad-token: wrong type", |e| e.proof_header.typ = Some("JWT".into())),
    ("a DPoP proof as ID token", "bad-token: no ID token", |e| e.token_header.typ = Some("dpop+jwt".into())),
    ("a critical header that nobody knows", "bad-token: extension", |e| e.token_header.crit = Some(vec!["x".into()])),
    ("role not in the token", "role: does not give", |e| e.role = LeafRole::Compliance),
    ("a recorder by the door of persons", "role: certified this way", |e| {
        e.role = LeafRole::Recorder;
        e.claims["roles"] = json!(["recorder"]);
    }),
    ("CSR for another person", "bad-csr: another firm or person", |e| for_name(e, "sr://bank-a/ben/d1")),
    ("CSR for another firm", "bad-csr: another firm or person", |e| for_name(e, "sr://bank-b/anna/d1")),
    ("a person under a recorder's name", "bad-csr: kept for recorders", |e| {
        e.claims["sub"] = json!("recorder-9");
        for_name(e, "sr://bank-a/recorder-9/d1");
    }),
    ("a name with control characters", "bad-token: control characters", |e| e.claims["name"] = json!("Anna\nB")),
    ("CSR without a participant", "bad-csr: not one participant", |e| for_name(e, "https://bank-a/anna/d1")),
    ("CSR changed after it was signed", "bad-csr: does not verify", |e| {
        let at = e.csr.windows(4).position(|w| w == b"anna").unwrap();
        e.csr[at] = b'x';
        e.claims["sub"] = json!("xnna");
        rebind(e);
    }),
    ("CSR on another curve", "bad-csr: not on P-256", |e| {
        let group = EcGroup::from_curve_name(Nid::SECP384R1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        e.csr = build_csr("sr://bank-a/anna/d1", &key);
        rebind(e);
    }),
];

fn for_name(enrolment: &mut Enrolment, uri: &str) {
    enrolment.csr = csr(uri, &enrolment.leaf_key);
    rebind(enrolment);
}

fn rebind(enrolment: &mut Enrolment) {
    enrolment.claims["nonce"] = json!(nonce(&enrolment.csr, &enrolment.dpop_key));
}

async fn each_wrong_enrolment_is_refused_for_its_own_reason(kind: Kind) {
    let house = House::new(kind);
    let people = house.start("people");
    for (what, why, change) in WRONG {
        let mut enrolment = Enrolment::new(&house, "anna", LeafRole::Member);
        change(&mut enrolment);
        let problem = enrolment.send(&people).await.expect_err(what);
        let (code, words) = why.split_once(": ").unwrap();
        assert_eq!((problem.code.as_str(), problem.detail.contains(words)), (code, true), "{what}: {}", problem.detail);
    }
    println!("rooms: {{\"tokens_refused\":{}}}", WRONG.len());
}

async fn a_proof_is_taken_once(kind: Kind) {
    let house = House::new(kind);
    let people = house.start("people");
    let enrolment = Enrolment::new(&house, "anna", LeafRole::Member);
    assert!(enrolment.send(&people).await.is_ok());
    let again = enrolment.send(&people).await.unwrap_err();
    assert_eq!((again.code.as_str(), again.detail.contains("used before")), ("bad-token", true));
}

async fn no_algorithm_that_is_not_configured_is_taken(kind: Kind) {
    let house = House::new(kind);
    let people = house.start("people");
    let enrolment = Enrolment::new(&house, "anna", LeafRole::Member);
    let Ask::CertifyMember { csr, id_token, dpop, role } = enrolment.ask() else { unreachable!() };
    let by_hmac = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &enrolment.claims,
        &EncodingKey::from_secret(&enrolment.issuer_key.public().to_spki()),
    )
    .unwrap();
    let mut parts = id_token.split('.');
    let none = B64::from(&br#"{"alg":"none","typ":"JWT"}"#[..]).encode();
    let unsigned = format!("{none}.{}.", parts.nth(1).unwrap());
    for id_token in [by_hmac, unsigned, "x.y.z".into(), String::new()] {
        let ask = Ask::CertifyMember { csr: csr.clone(), id_token, dpop: dpop.clone(), role };
        assert_eq!(people.ask(ask).await.unwrap_err().code, "bad-token");
    }
}

async fn a_recorder_is_certified_against_the_record_tokens_signature_only(kind: Kind) {
    let house = House::new(kind);
    let (people, record) = (house.start("people"), house.start("record"));
    let key = Key::new();
    let request = csr("sr://bank-a/recorder-1/r1", &key);
    let countersign = |csr: &[u8]| record.ask(Ask::CountersignCsr { csr: csr.into() });
    let Ok(Answer::Signed { signed }) = countersign(&request).await else { panic!("own recorder") };
    let certify = |csr: &[u8], countersignature: &B64| {
        people.ask(Ask::CertifyRecorder { csr: csr.into(), countersignature: countersignature.clone() })
    };
    let Ok(Answer::Certificate { certificate }) = certify(&request, &signed).await else { panic!("countersigned") };
    let identity = judge(&house.trust, &certificate, now().seconds()).unwrap();
    assert_eq!((identity.role, identity.name.as_str()), (LeafRole::Recorder, "recorder-1"));

    let code = |answer: Result<Answer, CustodyProblem>| answer.unwrap_err().code;
    let other = csr("sr://bank-a/recorder-1/r1", &Key::new());
    assert_eq!(code(certify(&other, &signed).await), "bad-csr", "of another CSR");
    let forged = Key::new().sign(LABEL, &RecorderCsr::of(&request, now()).encode(), None);
    assert_eq!(code(certify(&request, &forged.into()).await), "bad-csr", "by another key");
    let person = csr("sr://bank-a/anna/d1", &key);
    let Ok(Answer::Signed { signed }) = countersign(&person).await else { panic!("own firm") };
    assert_eq!(code(certify(&person, &signed).await), "bad-csr", "a person is no recorder");
    let foreign = csr("sr://bank-b/recorder-1/r1", &key);
    assert_eq!(code(countersign(&foreign).await), "bad-csr", "of another firm");
}

/// A statement of the firm that a test may sign.
pub fn statement(serial: u64) -> Statement {
    Statement {
        version: 1,
        serial,
        firm: "bank-a".parse().unwrap(),
        room: "deal-room".parse().unwrap(),
        audio_video: Rule::Must,
        chat: Rule::Must,
        files: Rule::Off,
        tier: Tier::Full,
        retention_years: 7,
        pause: None,
        copies: domain::policy::Copies::None,
        archive: domain::policy::Archive::Worm,
        recorder_grace_ms: 2000,
        archive_key_ids: Vec::new(),
        issued_at: now(),
        conditions: Box::default(),
    }
}

async fn a_statement_wants_as_many_administrators_as_the_firm_says(kind: Kind) {
    for needed in [1, 2] {
        let house = House::with(kind, needed);
        let people = house.start("people");
        let wanted = statement(3);
        let (adam, adam_leaf) = enrol(&house, &people, "adam", LeafRole::Administrator).await;
        let (eve, eve_leaf) = enrol(&house, &people, "eve", LeafRole::Administrator).await;
        let (anna, anna_leaf) = enrol(&house, &people, "anna", LeafRole::Member).await;
        let consent = |key: &Key, leaf: &[u8], statement: &Statement| {
            B64(key.sign(STATEMENT_CONSENT_LABEL, &encode(statement), Some(leaf)))
        };
        let by_adam = consent(&adam, &adam_leaf, &wanted);
        let sign =
            |administrators: Vec<B64>| people.ask(Ask::SignStatement { statement: wanted.clone(), administrators });
        for (what, consents) in [
            ("nobody", Vec::new()),
            ("a member", vec![consent(&anna, &anna_leaf, &wanted)]),
            ("another statement", vec![consent(&adam, &adam_leaf, &statement(4))]),
        ] {
            assert_eq!(sign(consents).await.unwrap_err().code, "two-persons", "{what}");
        }
        let alone = sign(vec![by_adam.clone(), by_adam.clone()]).await;
        assert_eq!(alone.is_ok(), needed == 1, "one person signing twice is one person");
        let Ok(Answer::Signed { signed }) = sign(vec![by_adam, consent(&eve, &eve_leaf, &wanted)]).await else {
            panic!("two administrators")
        };
        assert_eq!(judge_statement(&house.trust, &signed).unwrap(), wanted);
    }
}

async fn a_guest_is_certified_by_a_members_invitation_and_its_code_for_one_device(kind: Kind) {
    let house = House::new(kind);
    let people = house.start("people");
    let (anna, anna_leaf) = enrol(&house, &people, "anna", LeafRole::Member).await;
    let (carol, carol_leaf) = enrol(&house, &people, "carol", LeafRole::Compliance).await;
    let guest: domain::UserId = "guest-00112233445566aa".parse().unwrap();
    let good = Invitation {
        room: "deal-room".parse().unwrap(),
        guest: guest.clone(),
        name: "Gus Guest".into(),
        code_hash: code_hash(&guest, "ABCDE23456"),
        issued_at: now(),
        valid_from: now(),
        valid_until: now().plus(600_000),
    };
    let invite =
        |key: &Key, leaf: &[u8], said: &Invitation| B64(key.sign(INVITATION, &invitation::encode(said), Some(leaf)));
    let by_anna = invite(&anna, &anna_leaf, &good);
    let key = Key::new();
    let ask = |invitation: &B64, device: &str, code: &str| Ask::CertifyGuest {
        csr: csr(&format!("sr://bank-a/{guest}/{device}"), &key).into(),
        invitation: invitation.clone(),
        code: code.to_owned(),
    };
    let later = Invitation { valid_from: now().plus(3_600_000), valid_until: now().plus(7_200_000), ..good.clone() };
    let mut bent = by_anna.clone();
    bent.0[300] ^= 1;
    for (what, ask, code) in [
        ("by an officer", ask(&invite(&carol, &carol_leaf, &good), "d1", "ABCDE23456"), "bad-invitation"),
        ("bent", ask(&bent, "d1", "ABCDE23456"), "bad-invitation"),
        ("for later", ask(&invite(&anna, &anna_leaf, &later), "d1", "ABCDE23456"), "too-early"),
        ("wrong code", ask(&by_anna, "d1", "ABCDE23457"), "bad-code"),
    ] {
        assert_eq!(people.ask(ask).await.unwrap_err().code, code, "{what}");
    }
    let other = Ask::CertifyGuest {
        csr: csr("sr://bank-a/anna/d1", &key).into(),
        invitation: by_anna.clone(),
        code: "ABCDE23456".into(),
    };
    assert_eq!(people.ask(other).await.unwrap_err().code, "bad-csr", "under a member's name");
    let Ok(Answer::Certificate { certificate }) = people.ask(ask(&by_anna, "d1", "abcde-23456")).await else {
        panic!("the invited guest")
    };
    let identity = judge(&house.trust, &certificate, now().seconds()).unwrap();
    assert_eq!((identity.role, identity.name.as_str()), (LeafRole::Guest, "Gus Guest"));
    assert!(identity.not_after_s <= good.valid_until.seconds(), "no longer than the invitation");
    assert_eq!(people.ask(ask(&by_anna, "d2", "ABCDE23456")).await.unwrap_err().code, "code-used");
}

async fn a_statement_out_of_range_old_or_of_another_firm_is_not_signed(kind: Kind) {
    let house = House::new(kind);
    let people = house.start("people");
    let (adam, leaf) = enrol(&house, &people, "adam", LeafRole::Administrator).await;
    for (words, wanted) in [
        ("own firm", Statement { firm: "bank-b".parse().unwrap(), ..statement(1) }),
        ("out of range", Statement { recorder_grace_ms: 1, ..statement(1) }),
        (
            "last hours",
            Statement { issued_at: domain::UnixMillis(now().0 - CONSENT_MAX_AGE_MS - 60_000), ..statement(1) },
        ),
    ] {
        let consent = adam.sign(STATEMENT_CONSENT_LABEL, &encode(&wanted), Some(&leaf));
        let ask = Ask::SignStatement { statement: wanted, administrators: vec![consent.into()] };
        let problem = people.ask(ask).await.unwrap_err();
        assert_eq!(
            (problem.code.as_str(), problem.detail.contains(words)),
            ("bad-request", true),
            "{}",
            problem.detail
        );
    }
}

fn the_ceremony_signs_the_first_statement_at_the_token(kind: Kind) {
    let house = House::new(kind);
    let (input, out) = (house.path("statement.json"), house.path("statement.cose"));
    std::fs::write(&input, serde_json::to_vec(&statement(1)).unwrap()).unwrap();
    let config = house.config("people");
    let arguments =
        ["sign-statement", "--config", &config, "--statement", input.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let output = call(&arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(judge_statement(&house.trust, &std::fs::read(&out).unwrap()).unwrap().serial, 1);
    let foreign = Statement { firm: "bank-b".parse().unwrap(), ..statement(1) };
    std::fs::write(&input, serde_json::to_vec(&foreign).unwrap()).unwrap();
    assert_eq!(call(&arguments).status.code(), Some(2));
}

on_each_token! {
    the_ceremony_signs_the_first_statement_at_the_token;
    async an_issued_certificate_is_judged_well_by_everybody, each_wrong_enrolment_is_refused_for_its_own_reason, a_proof_is_taken_once, no_algorithm_that_is_not_configured_is_taken, a_recorder_is_certified_against_the_record_tokens_signature_only, a_guest_is_certified_by_a_members_invitation_and_its_code_for_one_device, a_statement_wants_as_many_administrators_as_the_firm_says, a_statement_out_of_range_old_or_of_another_firm_is_not_signed
}

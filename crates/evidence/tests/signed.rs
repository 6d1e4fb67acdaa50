//! Statements, terms, orders and sender manifests: who may have signed them, and in which range they hold.
#![expect(clippy::unwrap_used, reason = "tests")]

use domain::message::client::MeetingTerms;
use domain::policy::{Conditions, Language, Rule, Statement, Tier};
use domain::{B64, Ctr, Epoch, Slot, UnixMillis};
use evidence::cose::{self, CoseError};
use evidence::identity::{FirmTrust, TrustMap};
use evidence::key::PublicKey;
use evidence::order::{self, OrderError, Reason, RemovalOrder};
use evidence::policy::{PolicyError, rules};
use evidence::sender_manifest::{self, MAX_FRAMES, SenderManifest};
use evidence::statement::{self, StatementError, judge_statement};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}
fn public(seed: u8) -> PublicKey {
    PublicKey::from_sec1(key(seed).verifying_key().to_encoded_point(false).as_bytes()).unwrap()
}
fn sign(seed: u8, label: &str, payload: &[u8]) -> B64 {
    let signer = |hash: &[u8; 32]| {
        let signature: Signature = key(seed).sign_prehash(hash).map_err(|_| ())?;
        Ok::<[u8; 64], ()>(signature.to_bytes().into())
    };
    B64(cose::sign(label, payload, None, signer).unwrap())
}
fn firm(id: &str, seed: u8) -> FirmTrust {
    let spki = B64(public(seed).to_spki());
    FirmTrust {
        firm: id.parse().unwrap(),
        name: id.to_owned(),
        roots: vec![],
        policy_key: spki.clone(),
        recorder_identity: spki.clone(),
        record_key: spki.clone(),
        ledger_key: spki,
        archive_keys: vec![],
        stamp_roots: Vec::new(),
    }
}
fn trust() -> TrustMap {
    TrustMap { version: 1, firms: vec![firm("bank-a", 1), firm("bank-b", 2)], order_key: B64(public(3).to_spki()) }
}
fn statement(id: &str, rule: Rule) -> Statement {
    Statement {
        version: 1,
        serial: 1,
        firm: id.parse().unwrap(),
        room: "deal-room".parse().unwrap(),
        audio_video: rule,
        chat: Rule::Off,
        files: Rule::Off,
        tier: Tier::Full,
        retention_years: 5,
        pause: None,
        copies: domain::policy::Copies::None,
        archive: domain::policy::Archive::Worm,
        recorder_grace_ms: 5_000,
        archive_key_ids: vec![],
        issued_at: UnixMillis(1),
        conditions: Box::default(),
    }
}
fn signed(seed: u8, statement: &Statement) -> B64 {
    sign(seed, statement::LABEL, &statement::encode(statement))
}
fn terms(statements: Vec<B64>) -> MeetingTerms {
    MeetingTerms {
        meeting: "m1".parse().unwrap(),
        room: "deal-room".parse().unwrap(),
        title: String::new(),
        statements,
        trust: B64(trust().hash().to_vec()),
        started_at: UnixMillis(1),
    }
}

#[test]
fn a_statement_holds_under_its_own_firms_policy_key_and_in_range() {
    let good = statement("bank-a", Rule::Must);
    assert_eq!(judge_statement(&trust(), &signed(1, &good)), Ok(good.clone()));
    let why = CoseError::BadSignature;
    let forged = Err(StatementError::Signature { firm: good.firm.clone(), why });
    assert_eq!(judge_statement(&trust(), &signed(2, &good)), forged, "another firm's key");
    let unknown = statement("bank-x", Rule::Off);
    assert!(matches!(judge_statement(&trust(), &signed(1, &unknown)), Err(StatementError::UnknownFirm(_))));
    for grace in [0, 1_999, 30_001] {
        let odd = Statement { recorder_grace_ms: grace, ..good.clone() };
        assert!(matches!(judge_statement(&trust(), &signed(1, &odd)), Err(StatementError::OutOfRange { .. })));
    }
    let version = Statement { version: 3, ..good.clone() };
    let keys = Statement { archive_key_ids: vec![String::new(); 9], ..good.clone() };
    for odd in [version, keys] {
        assert!(matches!(judge_statement(&trust(), &signed(1, &odd)), Err(StatementError::OutOfRange { .. })));
    }
    let elsewhere = sign(1, order::LABEL, &statement::encode(&good));
    assert!(judge_statement(&trust(), &elsewhere).is_err(), "another label");
}

#[test]
fn terms_bind_by_all_their_statements_and_clashes_are_named() {
    let (a, b) = (signed(1, &statement("bank-a", Rule::Must)), signed(2, &statement("bank-b", Rule::Off)));
    let both = rules(&trust(), &terms(vec![a.clone(), b.clone()])).unwrap();
    assert_eq!(both.must_firms(), [&"bank-a".parse().unwrap()]);
    assert!(
        both.has_recorder_place(&"bank-a".parse().unwrap()) && !both.has_recorder_place(&"bank-b".parse().unwrap())
    );
    let one = rules(&trust(), &terms(vec![a.clone()])).unwrap();
    assert_ne!(one.meeting_policy(), both.meeting_policy());
    assert_eq!(rules(&trust(), &terms(vec![b.clone(), a.clone()])), Err(PolicyError::Order));
    assert_eq!(rules(&trust(), &terms(vec![a.clone(), a.clone()])), Err(PolicyError::Order));
    let veto = signed(2, &statement("bank-b", Rule::Forbidden));
    assert!(matches!(rules(&trust(), &terms(vec![a.clone(), veto])), Err(PolicyError::Clash { .. })));
    let elsewhere = Statement { room: "coffee-room".parse().unwrap(), ..statement("bank-b", Rule::Off) };
    assert!(matches!(rules(&trust(), &terms(vec![signed(2, &elsewhere)])), Err(PolicyError::WrongRoom(_))));
    let other = MeetingTerms { trust: B64(vec![0; 32]), ..terms(vec![a]) };
    assert_eq!(rules(&trust(), &other), Err(PolicyError::TrustMismatch));
}

#[test]
fn what_one_firm_forbids_no_firm_keeps() {
    let (a, b) = (signed(1, &statement("bank-a", Rule::Should)), signed(2, &statement("bank-b", Rule::Forbidden)));
    let both = rules(&trust(), &terms(vec![a.clone(), b])).unwrap();
    let bank_a = "bank-a".parse().unwrap();
    assert!(!both.has_recorder_place(&bank_a), "no recorder of it is let in");
    assert_eq!(both.firm_rule(&bank_a).unwrap().audio_video, Rule::Off);
    let alone = rules(&trust(), &terms(vec![a])).unwrap();
    assert!(alone.has_recorder_place(&bank_a));
    let chat = Statement { chat: Rule::Forbidden, ..statement("bank-b", Rule::Off) };
    let kept = rules(&trust(), &terms(vec![signed(1, &statement("bank-a", Rule::Should)), signed(2, &chat)])).unwrap();
    assert!(kept.has_recorder_place(&bank_a), "another class is not concerned");
}

#[test]
fn a_statement_of_version_1_still_reads_and_has_no_conditions() {
    let old = signed(1, &statement("bank-a", Rule::Must));
    assert!(judge_statement(&trust(), &old).unwrap().conditions.is_none());
    let conditions = || Conditions { contact: "Desk 12".to_owned(), ..Conditions::default() };
    let with = |version, conditions: Conditions| {
        let wanted = Statement { version, conditions: Box::new(conditions), ..statement("bank-a", Rule::Must) };
        judge_statement(&trust(), &signed(1, &wanted))
    };
    assert_eq!(with(2, conditions()).unwrap().conditions.contact, "Desk 12");
    assert!(matches!(with(1, conditions()), Err(StatementError::OutOfRange { .. })));
    let many = (0..65).map(|n| format!("r{n}")).collect();
    for (what, odd) in [
        ("contact", Conditions { contact: "one\ntwo".to_owned(), ..Conditions::default() }),
        ("contact", Conditions { contact: "x".repeat(201), ..Conditions::default() }),
        ("notice", Conditions { notice: [(Language::De, "x".repeat(601))].into(), ..Conditions::default() }),
        ("regions", Conditions { regions: Some(many), ..Conditions::default() }),
        ("previous", Conditions { previous: Some("ab".to_owned()), ..Conditions::default() }),
    ] {
        let refused = with(2, odd).unwrap_err();
        assert!(matches!(refused, StatementError::OutOfRange { what: named, .. } if named == what), "{refused}");
    }
}

#[test]
fn a_clash_names_both_statements_and_whom_to_call() {
    let stated = |seed, id: &str, rule, contact: &str| {
        let conditions = Box::new(Conditions { contact: contact.to_owned(), ..Conditions::default() });
        signed(seed, &Statement { version: 2, serial: 7, conditions, ..statement(id, rule) })
    };
    let must = stated(1, "bank-a", Rule::Must, "Policy desk, +44 20 7946 0000");
    let forbidden = stated(2, "bank-b", Rule::Forbidden, "Compliance, +49 69 900000");
    let said = rules(&trust(), &terms(vec![must, forbidden])).unwrap_err().to_string();
    assert_eq!(
        said,
        "bank-a must keep audio and video (statement 7), bank-b forbids it (statement 7). \
         Call bank-a: Policy desk, +44 20 7946 0000. Call bank-b: Compliance, +49 69 900000."
    );
}

#[test]
fn an_order_is_the_delivery_services_alone() {
    let order = RemovalOrder {
        meeting: "m1".parse().unwrap(),
        participant: "bank-b/ben/1".parse().unwrap(),
        leaf: None,
        epoch: Epoch(4),
        reason: Reason::Silent,
        issued_at: UnixMillis(9),
    };
    assert_eq!(order::judge(&trust(), &sign(3, order::LABEL, &order::encode(&order))), Ok(order.clone()));
    let forged = order::judge(&trust(), &sign(1, order::LABEL, &order::encode(&order)));
    assert_eq!(forged, Err(OrderError::Signature(CoseError::BadSignature)));
    assert_eq!(order::judge(&trust(), &sign(3, order::LABEL, b"nonsense")), Err(OrderError::Malformed));
}

#[test]
fn a_sender_manifest_names_each_counter_once_and_in_range() {
    let manifest = |hashes: usize, slot: u8, first: u64| {
        let manifest = SenderManifest {
            meeting: "m1".parse().unwrap(),
            epoch: Epoch(1),
            slot: Slot(slot),
            first_ctr: Ctr(first),
            hashes: vec![7; hashes],
        };
        sender_manifest::judge(&public(1), &sign(1, sender_manifest::LABEL, &sender_manifest::encode(&manifest)))
    };
    let read = manifest(48, 2, 100).unwrap();
    assert_eq!(read.iter().map(|(ctr, _)| ctr.0).collect::<Vec<_>>(), [100, 101, 102]);
    assert!(manifest(0, 2, 0).is_err() && manifest(47, 2, 0).is_err() && manifest(16, 40, 0).is_err());
    assert!(manifest(16 * (MAX_FRAMES + 1), 2, 0).is_err() && manifest(16, 2, u64::MAX).is_err());
}

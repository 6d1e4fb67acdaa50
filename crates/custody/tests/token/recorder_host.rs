//! A recorder's host that somebody else owns: its configuration, the record socket, its leaf and key, every file of its
//! archive, and the front's open addresses. With all of it nobody mints a person and nobody opens a meeting that is over.

use crate::certify::statement;
use crate::house::{Custody, House, call, on_each_token};
use crate::idp::{Enrolment, Key, csr, now};
use crate::opening::{MEETING, manifest};
use custody::probe::{self, Challenge};
use domain::B64;
use domain::message::custody::{Answer, Ask, LeafRole, RecordKind};
use evidence::cbor;
use evidence::grant::{APPROVAL_LABEL, Approval, REQUEST_LABEL, Request, STATEMENT_CONSENT_LABEL};
use evidence::identity::judge;
use test_tokens::Kind;
use zeroize::Zeroizing;

/// What the owner holds: the record token's socket, and a recorder leaf with its key.
struct Owned {
    house: House,
    record: Custody,
    people: Custody,
    archive: Custody,
    key: Key,
    leaf: Vec<u8>,
}

impl Owned {
    async fn new(kind: Kind) -> Self {
        let house = House::new(kind);
        let (people, record, archive) = (house.start("people"), house.start("record"), house.start("archive"));
        let key = Key::new();
        let request = csr("sr://bank-a/recorder-1/r1", &key);
        let Ok(Answer::Signed { signed }) = record.ask(Ask::CountersignCsr { csr: request.clone().into() }).await
        else {
            panic!("the recorder's own leaf")
        };
        let ask = Ask::CertifyRecorder { csr: request.into(), countersignature: signed };
        let Ok(Answer::Certificate { certificate }) = people.ask(ask).await else { panic!("the recorder's own leaf") };
        Self { house, record, people, archive, key, leaf: certificate.0 }
    }

    async fn signed_manifest(&self) -> B64 {
        let payload = manifest(&self.house, &MEETING.parse().unwrap()).to_cbor().into();
        match self.record.ask(Ask::SignRecord { kind: RecordKind::Meeting, payload }).await {
            Ok(Answer::Signed { signed }) => signed,
            other => panic!("{other:?}"),
        }
    }
}

async fn an_owned_recorder_host_mints_no_person(kind: Kind) {
    let owned = Owned::new(kind).await;
    // the record socket knows no such work
    let enrolment = Enrolment::new(&owned.house, "anna", LeafRole::Member);
    assert_eq!(owned.record.ask(enrolment.ask()).await.unwrap_err().code, "bad-request");
    // it countersigns what it is given, but custody people takes recorders by that way alone
    for name in ["sr://bank-a/anna/d1", "sr://bank-a/carol/d1", "sr://bank-a/adam/d1"] {
        let request = csr(name, &owned.key);
        let Ok(Answer::Signed { signed }) = owned.record.ask(Ask::CountersignCsr { csr: request.clone().into() }).await
        else {
            panic!("countersigned")
        };
        let ask = Ask::CertifyRecorder { csr: request.into(), countersignature: signed };
        assert_eq!(owned.people.ask(ask).await.unwrap_err().code, "bad-csr", "{name}");
    }
    // an ID token of its own making is no provider's
    for role in [LeafRole::Member, LeafRole::Compliance, LeafRole::Administrator] {
        let mut forged = Enrolment::new(&owned.house, "anna", role);
        forged.issuer_key = Key::new();
        assert_eq!(owned.people.ask(forged.ask()).await.unwrap_err().code, "bad-token", "{role:?}");
    }
    // its own leaf speaks for a recorder and nobody else, and signs no policy
    let identity = judge(&owned.house.trust, &owned.leaf, now().seconds()).unwrap();
    assert_eq!(identity.role, LeafRole::Recorder);
    let statement = statement(9);
    let consent = owned.key.sign(STATEMENT_CONSENT_LABEL, &evidence::statement::encode(&statement), Some(&owned.leaf));
    let ask = |administrators| Ask::SignStatement { statement: statement.clone(), administrators };
    assert_eq!(owned.record.ask(ask(Vec::new())).await.unwrap_err().code, "bad-request");
    assert_eq!(owned.people.ask(ask(vec![consent.into()])).await.unwrap_err().code, "two-persons");
}

async fn an_owned_recorder_host_opens_no_past_meeting(kind: Kind) {
    let owned = Owned::new(kind).await;
    let past = manifest(&owned.house, &MEETING.parse().unwrap());
    // the sealed meeting key lies in its archive; as a probe it is opened by nobody
    for sealed in &past.sealed_keys[0].keys {
        let problem = owned.archive.ask(Ask::OpenProbe { sealed: sealed.sealed.clone() }).await.unwrap_err();
        assert_eq!(problem.code, "bad-request", "{}", problem.detail);
        assert!(problem.detail.contains("no probe"), "{}", problem.detail);
    }
    // with its own manifest, an empty roster and its own leaf as both officers
    let signed = owned.signed_manifest().await;
    let request = Request {
        firm: "bank-a".parse().unwrap(),
        meeting: MEETING.parse().unwrap(),
        manifest_hash: evidence::sha256(&signed).into(),
        case: "C-1".into(),
        reason: "curiosity".into(),
        from_ms: 0,
        to_ms: 1000,
        issued_at: now(),
        handed: None,
        paired: None,
    };
    let request = owned.key.sign(REQUEST_LABEL, &cbor::encode(&request), Some(&owned.leaf));
    let approval =
        Approval { request_hash: evidence::sha256(&request).into(), until: now().plus(60_000), issued_at: now() };
    let approval = owned.key.sign(APPROVAL_LABEL, &cbor::encode(&approval), Some(&owned.leaf));
    let open = || Ask::OpenMeetingKey {
        manifest: signed.clone(),
        request: request.clone().into(),
        approval: approval.clone().into(),
    };
    assert_eq!(owned.archive.ask(open()).await.unwrap_err().code, "role");
    assert_eq!(owned.record.ask(open()).await.unwrap_err().code, "bad-request", "the record token opens nothing");
    // the state key of a meeting that is over is gone: what was checkpointed under it stays closed
    let state = || owned.record.ask(Ask::StateKey { meeting: MEETING.parse().unwrap() });
    let Ok(Answer::Key { key: before }) = state().await else { panic!("while it runs") };
    owned.record.ask(Ask::ForgetStateKey { meeting: MEETING.parse().unwrap() }).await.unwrap();
    let Ok(Answer::Key { key: after }) = state().await else { panic!("a new one") };
    assert_ne!(before, after);
}

/// What `check` says of the archive keys' probes, as (JSON, text).
fn checked(owned: &Owned) -> (serde_json::Value, String) {
    let config = owned.house.config("archive");
    let json = call(&["check", "--json", "--config", &config]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    (report["probes"].clone(), String::from_utf8(call(&["check", "--config", &config]).stdout).unwrap())
}

async fn a_probe_proves_the_archive_key_that_it_was_sealed_to_and_check_shows_when(kind: Kind) {
    let owned = Owned::new(kind).await;
    let firm = &owned.house.trust.firms[0];
    let (probes, text) = checked(&owned);
    let fresh = |probes: &serde_json::Value| -> Vec<bool> {
        probes.as_array().unwrap().iter().map(|one| one["fresh"].as_bool().unwrap()).collect()
    };
    assert_eq!(fresh(&probes), vec![false; firm.archive_keys.len()]);
    assert!(text.contains("was never opened") && text.contains("do not begin"), "{text}");
    for (index, spki) in firm.archive_keys.iter().enumerate() {
        let random = [u8::try_from(index).unwrap() + 1; 32];
        let challenge = Challenge::new(&firm.firm, spki, Zeroizing::new(random)).unwrap();
        let asked = owned.archive.ask(Ask::OpenProbe { sealed: challenge.sealed.clone() }).await;
        let Ok(Answer::Probed { digest }) = asked else { panic!("{asked:?}") };
        assert!(challenge.is_answered_by(&digest));
        assert!(!challenge.is_answered_by(&probe::digest(&[0; 32])), "of another probe");
    }
    let (probes, text) = checked(&owned);
    assert_eq!(fresh(&probes), vec![true; firm.archive_keys.len()], "{probes}");
    let ids: Vec<&str> = probes.as_array().unwrap().iter().map(|one| one["key_id"].as_str().unwrap()).collect();
    assert!(firm.archive_keys.iter().all(|spki| ids.contains(&evidence::key::key_id(spki).as_str())), "{probes}");
    assert!(text.contains("was last opened at 20") && !text.contains("STALE"), "{text}");
    let foreign: domain::FirmId = "bank-b".parse().unwrap();
    let challenge = Challenge::new(&foreign, &firm.archive_keys[0], Zeroizing::new([7; 32])).unwrap();
    let asked = owned.archive.ask(Ask::OpenProbe { sealed: challenge.sealed }).await;
    assert_eq!(asked.unwrap_err().code, "bad-request", "another firm's probe");
}

on_each_token! {
    ;
    async an_owned_recorder_host_mints_no_person,
    an_owned_recorder_host_opens_no_past_meeting,
    a_probe_proves_the_archive_key_that_it_was_sealed_to_and_check_shows_when
}

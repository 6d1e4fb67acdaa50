//! The archive token from end to end: seal to its public keys, open by two officers, read the ledger.

use crate::house::{Custody, House, on_each_token};
use crate::idp::{Key, enrol, now};
use custody::sealing::{Sealed, seal_meeting_key};
use domain::message::custody::{Answer, Ask, CustodyProblem, LeafRole, LedgerEvent, RecordKind};
use domain::{B64, MeetingId};
use evidence::archive::manifest::Closed;
use evidence::archive::{ClockState, Digest, MeetingManifest, SealedKey, SealedKeys, SegmentManifest};
use evidence::cbor;
use evidence::grant::{APPROVAL_LABEL, Approval, REQUEST_LABEL, Request};
use evidence::key::{PublicKey, key_id};
use evidence::ledger::{self, Head};
use test_tokens::Kind;
use test_tokens::faulty::{Fault, Faulty};

/// A meeting of the tests.
pub const MEETING: &str = "0123456789abcdef0123456789abcdef";

/// Its manifest, sealed to every archive key of the trust map.
pub fn manifest(house: &House, meeting: &MeetingId) -> MeetingManifest {
    let own = &house.trust.firms[0];
    let sealed = seal_meeting_key(&own.firm, meeting, 1, &[0xab; 32], &own.archive_keys).unwrap();
    let keys = own.archive_keys.iter().zip(sealed);
    let keys = keys.map(|(spki, sealed)| SealedKey { key_id: key_id(spki), sealed: sealed.into() }).collect();
    let zero = Digest([0; 32]);
    MeetingManifest {
        record: "meeting".into(),
        version: 1,
        firm: own.firm.clone(),
        meeting: meeting.clone(),
        room: "deal-room".parse().unwrap(),
        title: "Project Alder".into(),
        started_at: now(),
        ended_at: now(),
        closed: Closed::Ended,
        software: "test".into(),
        roster: Vec::new(),
        statements: Vec::new(),
        trust: zero,
        retention_years: 7,
        retain_until: now(),
        sealed_keys: vec![SealedKeys { incarnation: 1, recorder: "bank-a/recorder-1/r".parse().unwrap(), keys }],
        sealed_keys_hash: zero,
        epochs: Vec::new(),
        epochs_hash: zero,
        tracks: Vec::new(),
        segments: Vec::new(),
        frames: 0,
        rejected: 0,
        gaps: Vec::new(),
        clock: ClockState { synchronised: true, estimated_error_us: 0, against_sfu_ms: 0 },
        tags: Default::default(),
        copies_wanted: Vec::new(),
        files: Vec::new(),
    }
}

/// The three processes and two officers of a firm, and a meeting of it.
struct Desk {
    house: House,
    faulty: Faulty,
    record: Custody,
    archive: Custody,
    carol: (Key, Vec<u8>),
    chris: (Key, Vec<u8>),
    meeting: MeetingId,
}

impl Desk {
    async fn new(kind: Kind) -> Self {
        let house = House::new(kind);
        let faulty = house.spoil("archive");
        let (people, record, archive) = (house.start("people"), house.start("record"), house.start("archive"));
        let carol = enrol(&house, &people, "carol", LeafRole::Compliance).await;
        let chris = enrol(&house, &people, "chris", LeafRole::Compliance).await;
        let meeting = MEETING.parse().unwrap();
        Self { house, faulty, record, archive, carol, chris, meeting }
    }

    async fn manifest(&self, change: impl FnOnce(&mut MeetingManifest)) -> B64 {
        let mut manifest = manifest(&self.house, &self.meeting);
        change(&mut manifest);
        let ask = Ask::SignRecord { kind: RecordKind::Meeting, payload: manifest.to_cbor().into() };
        match self.record.ask(ask).await {
            Ok(Answer::Signed { signed }) => signed,
            other => panic!("{other:?}"),
        }
    }

    /// Carol asks, somebody approves.
    async fn open(&self, manifest: &B64, (key, leaf): &(Key, Vec<u8>)) -> Result<Answer, CustodyProblem> {
        let request = Request {
            firm: "bank-a".parse().unwrap(),
            meeting: self.meeting.clone(),
            manifest_hash: evidence::sha256(manifest).into(),
            case: "C-17".into(),
            reason: "complaint".into(),
            from_ms: 0,
            to_ms: 1000,
            issued_at: now(),
            handed: None,
            paired: None,
        };
        let request = self.carol.0.sign(REQUEST_LABEL, &cbor::encode(&request), Some(&self.carol.1));
        let approval =
            Approval { request_hash: evidence::sha256(&request).into(), until: now().plus(60_000), issued_at: now() };
        let approval = B64(key.sign(APPROVAL_LABEL, &cbor::encode(&approval), Some(leaf)));
        let ask = Ask::OpenMeetingKey { manifest: manifest.clone(), request: request.into(), approval };
        self.archive.ask(ask).await
    }

    /// Actions in the ledger, whose whole chain is verified.
    async fn ledger(&self) -> Vec<String> {
        let Ok(Answer::Entries { entries }) = self.archive.ask(Ask::Ledger { from: 0 }).await else {
            panic!("readable")
        };
        let own = &self.house.trust.firms[0];
        let key = PublicKey::from_spki(&own.ledger_key).unwrap();
        let (read, _) = ledger::verify(&key, &own.firm, Head::EMPTY, entries.iter().map(B64::as_slice)).unwrap();
        read.into_iter().map(|entry| entry.event.action).collect()
    }
}

async fn a_meeting_key_goes_from_recorder_to_officer_through_the_token(kind: Kind) {
    let desk = Desk::new(kind).await;
    let manifest = desk.manifest(|_| {}).await;
    assert_eq!(desk.open(&manifest, &desk.carol).await.unwrap_err().code, "two-persons");
    let Ok(Answer::MeetingKeys { keys }) = desk.open(&manifest, &desk.chris).await else { panic!("two officers") };
    assert_eq!((keys.len(), keys[0].incarnation, keys[0].key.as_slice()), (1, 1, &[0xab; 32][..]));
    let event = LedgerEvent {
        at: now(),
        actor: "sr://bank-a/carol/d1".into(),
        action: "play".into(),
        meeting: desk.meeting.clone(),
        note: "0 to 1000 ms".into(),
    };
    assert!(matches!(desk.archive.ask(Ask::Append { entry: event }).await, Ok(Answer::Appended { index: 2 })));
    assert_eq!(desk.ledger().await, ["refused", "open", "play"]);
    assert!(matches!(desk.archive.ask(Ask::Probe {}).await, Ok(Answer::Done {})));
}

async fn the_record_key_signs_nothing_of_another_firm(kind: Kind) {
    let desk = Desk::new(kind).await;
    let mut meeting = manifest(&desk.house, &desk.meeting);
    meeting.firm = "bank-b".parse().unwrap();
    let segment = SegmentManifest {
        record: "segment".into(),
        version: 1,
        firm: meeting.firm.clone(),
        meeting: desk.meeting.clone(),
        path: "events.seg".into(),
        track: 0,
        index: 1,
        first_seq: 0,
        records: 0,
        frames: 0,
        size: 0,
        root: Digest([0; 32]),
        chunks: Vec::new(),
        closed_at: now(),
    };
    let own = SegmentManifest { firm: "bank-a".parse().unwrap(), ..segment.clone() };
    let sign = |kind, payload: Vec<u8>| desk.record.ask(Ask::SignRecord { kind, payload: payload.into() });
    assert!(sign(RecordKind::Segment, own.to_cbor()).await.is_ok());
    assert_eq!(sign(RecordKind::Meeting, own.to_cbor()).await.unwrap_err().code, "bad-request", "another kind");
    assert_eq!(sign(RecordKind::Segment, segment.to_cbor()).await.unwrap_err().code, "bad-request");
    assert_eq!(sign(RecordKind::Meeting, meeting.to_cbor()).await.unwrap_err().code, "bad-request");
    let foreign = b"bank-b/archive\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n".to_vec();
    assert_eq!(sign(RecordKind::Checkpoint, foreign).await.unwrap_err().code, "bad-request");
}

async fn a_changed_sealed_key_is_told_from_a_token_that_is_away(kind: Kind) {
    let desk = Desk::new(kind).await;
    let changed = |manifest: &mut MeetingManifest| {
        for key in &mut manifest.sealed_keys[0].keys {
            let mut form: Sealed = ciborium::from_reader(key.sealed.as_slice()).unwrap();
            form.sealed.0[100] ^= 1;
            key.sealed = cbor::encode(&form).into();
        }
    };
    let (good, bad) = (desk.manifest(|_| {}).await, desk.manifest(changed).await);
    let problem = desk.open(&bad, &desk.chris).await.unwrap_err();
    assert_eq!((problem.code.as_str(), problem.detail.contains("although it works")), ("bad-request", true));
    desk.faulty.set(&[Fault::Removed]);
    for manifest in [&good, &bad] {
        let code = desk.open(manifest, &desk.chris).await.unwrap_err().code;
        assert!(["token-missing", "unavailable"].contains(&code.as_str()), "{code}");
    }
    desk.faulty.set(&[]);
    assert!(desk.open(&good, &desk.chris).await.is_ok());
}

async fn each_of_two_archive_tokens_opens_alone_what_was_sealed_to_both(kind: Kind) {
    let mut desk = Desk::new(kind).await;
    // the second token is of the other make, with a ledger of its own
    let second = House::new(Kind::ALL.into_iter().find(|other| *other != kind).unwrap());
    let further = second.trust.firms[0].clone();
    desk.house.trust.firms[0].archive_keys.extend(further.archive_keys);
    let mut trust = desk.house.trust.clone();
    trust.firms[0].ledger_key = further.ledger_key;
    for (house, trust) in [(&desk.house, &desk.house.trust), (&second, &trust)] {
        std::fs::write(house.path("trust.json"), serde_json::to_vec(trust).unwrap()).unwrap();
    }
    let manifest = desk.manifest(|_| {}).await;
    for house in [&desk.house, &second] {
        // the one before is gone for good
        desk.archive.child.kill().unwrap();
        desk.archive.child.wait().unwrap();
        desk.archive = house.start("archive");
        let Ok(Answer::MeetingKeys { keys }) = desk.open(&manifest, &desk.chris).await else { panic!("alone") };
        assert_eq!(keys[0].key.as_slice(), &[0xab; 32]);
        assert!(matches!(desk.archive.ask(Ask::Probe {}).await, Ok(Answer::Done {})));
    }
}

on_each_token! {
    ;
    async a_meeting_key_goes_from_recorder_to_officer_through_the_token, the_record_key_signs_nothing_of_another_firm, a_changed_sealed_key_is_told_from_a_token_that_is_away, each_of_two_archive_tokens_opens_alone_what_was_sealed_to_both
}

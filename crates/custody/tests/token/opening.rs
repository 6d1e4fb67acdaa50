//! The archive token from end to end: seal to its public keys, open by two officers, read the ledger.

use crate::house::House;
use crate::idp::{Key, enrol, now};
use custody::sealing::seal_meeting_key;
use domain::message::custody::{Answer, Ask, LeafRole, LedgerEvent, RecordKind};
use domain::{B64, MeetingId};
use evidence::archive::manifest::Closed;
use evidence::archive::{ClockState, Digest, MeetingManifest, SealedKey, SealedKeys};
use evidence::cbor;
use evidence::grant::{APPROVAL_LABEL, Approval, REQUEST_LABEL, Request};
use evidence::key::{PublicKey, key_id};
use evidence::ledger::{self, Head};

fn manifest(house: &House, meeting: &MeetingId) -> MeetingManifest {
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
    }
}

#[tokio::test]
async fn a_meeting_key_goes_from_recorder_to_officer_through_the_token() {
    let house = House::new();
    let (people, record, archive) = (house.start("people"), house.start("record"), house.start("archive"));
    let meeting: MeetingId = "0123456789abcdef0123456789abcdef".parse().unwrap();
    let payload = manifest(&house, &meeting).to_cbor().into();
    let Ok(Answer::Signed { signed: manifest }) =
        record.ask(Ask::SignRecord { kind: RecordKind::Meeting, payload }).await
    else {
        panic!("own manifest")
    };
    let (carol, carol_leaf) = enrol(&house, &people, "carol", LeafRole::Compliance).await;
    let (chris, chris_leaf) = enrol(&house, &people, "chris", LeafRole::Compliance).await;
    let request = Request {
        firm: "bank-a".parse().unwrap(),
        meeting: meeting.clone(),
        manifest_hash: evidence::sha256(&manifest).into(),
        case: "C-17".into(),
        reason: "complaint".into(),
        from_ms: 0,
        to_ms: 1000,
        issued_at: now(),
    };
    let request = carol.sign(REQUEST_LABEL, &cbor::encode(&request), Some(&carol_leaf));
    let approve = |key: &Key, leaf: &[u8]| {
        let approval =
            Approval { request_hash: evidence::sha256(&request).into(), until: now().plus(60_000), issued_at: now() };
        B64(key.sign(APPROVAL_LABEL, &cbor::encode(&approval), Some(leaf)))
    };
    let open = |approval: B64| {
        archive.ask(Ask::OpenMeetingKey { manifest: manifest.clone(), request: request.clone().into(), approval })
    };
    assert_eq!(open(approve(&carol, &carol_leaf)).await.unwrap_err().code, "two-persons");
    let Ok(Answer::MeetingKeys { keys }) = open(approve(&chris, &chris_leaf)).await else { panic!("two officers") };
    assert_eq!((keys.len(), keys[0].incarnation, keys[0].key.as_slice()), (1, 1, &[0xab; 32][..]));

    let event = LedgerEvent {
        at: now(),
        actor: "sr://bank-a/carol/d1".into(),
        action: "play".into(),
        meeting,
        note: "0 to 1000 ms".into(),
    };
    assert!(matches!(archive.ask(Ask::Append { entry: event }).await, Ok(Answer::Appended { index: 2 })));
    let Ok(Answer::Entries { entries }) = archive.ask(Ask::Ledger { from: 0 }).await else { panic!("readable") };
    let key = PublicKey::from_spki(&house.trust.firms[0].ledger_key).unwrap();
    let (read, _) =
        ledger::verify(&key, &"bank-a".parse().unwrap(), Head::EMPTY, entries.iter().map(B64::as_slice)).unwrap();
    let actions: Vec<_> = read.iter().map(|entry| entry.event.action.as_str()).collect();
    assert_eq!(actions, ["refused", "open", "play"]);
    assert!(matches!(archive.ask(Ask::Probe {}).await, Ok(Answer::Done {})));
}

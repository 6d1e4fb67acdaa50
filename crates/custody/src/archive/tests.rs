//! Two officers, the ledger and the keys: every guard of an opening, on a token in software.

use super::opening::Asked;
use super::*;
use crate::fixture::{self, Firm, NOW, SoftToken, key, signed};
use custody::sealing::seal_meeting_key;
use domain::message::custody::LeafRole;
use domain::{Epoch, MeetingId, RoomId};
use evidence::archive::{Attendance, ClockState, Digest, MEETING_LABEL, MeetingManifest, SealedKey, SealedKeys};
use evidence::cbor;
use evidence::grant::{APPROVAL_LABEL, Approval, MAX_GRANT_MS, MAX_REQUEST_AGE_MS, REQUEST_LABEL, Request};
use evidence::ledger::{self, Head};
use p256::ecdsa::SigningKey;
use std::time::Duration;

const CAROL: u8 = 20;
const CHRIS: u8 = 21;
const ANNA: u8 = 22;

struct Bench {
    archive: Archive,
    firm: Firm,
    asked: fixture::Asked,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(opens_per_hour: u32) -> Self {
        let firm = Firm::new();
        let folder = tempfile::tempdir().unwrap();
        let ledger_key = fixture::public(&key(3));
        let ledger = LedgerFile::open(&folder.path().join("ledger.bin"), firm.id.clone(), &ledger_key).unwrap();
        let spki = fixture::archive_spki();
        let asked = fixture::Asked::default();
        let archive = Archive {
            firm: firm.id.clone(),
            trust: firm.trust(),
            record_key: fixture::public(&key(2)),
            keys: vec![ArchiveKey { name: "archive-1".into(), id: key_id(&spki), spki, oaep: Oaep::Sha256 }],
            ledger: Mutex::new(ledger),
            opens: Mutex::new(Rate::per_hour(opens_per_hour)),
            refusals: Mutex::new(Rate::per_hour(10)),
            probes: Mutex::new(Rate::per_hour(PROBES_PER_HOUR)),
            opened: Mutex::new(Opened::read(&folder.path().join("ledger.bin"))),
            token: Handle::start(SoftToken(asked.clone()), Duration::from_secs(5)).0,
        };
        Self { archive, firm, asked, _folder: folder }
    }

    fn officer(&self, seed: u8) -> (SigningKey, Vec<u8>) {
        let (name, role) = match seed {
            CAROL => ("carol", LeafRole::Compliance),
            CHRIS => ("chris", LeafRole::Compliance),
            _ => ("anna", LeafRole::Member),
        };
        (key(seed), self.firm.leaf(name, role, &key(seed), NOW))
    }

    fn request(&self, seed: u8, manifest: &[u8], change: impl FnOnce(&mut Request)) -> Vec<u8> {
        let mut request = Request {
            firm: self.firm.id.clone(),
            meeting: meeting(),
            manifest_hash: evidence::sha256(manifest).into(),
            case: "C-17".into(),
            reason: "complaint of a client".into(),
            from_ms: 0,
            to_ms: 60_000,
            issued_at: NOW,
            handed: None,
            paired: None,
        };
        change(&mut request);
        let (key, leaf) = self.officer(seed);
        signed(&key, REQUEST_LABEL, &cbor::encode(&request), Some(&leaf))
    }

    fn approval(&self, seed: u8, request: &[u8], change: impl FnOnce(&mut Approval)) -> Vec<u8> {
        let request_hash = evidence::sha256(request).into();
        let mut approval = Approval { request_hash, until: NOW.plus(3_600_000), issued_at: NOW };
        change(&mut approval);
        let (key, leaf) = self.officer(seed);
        signed(&key, APPROVAL_LABEL, &cbor::encode(&approval), Some(&leaf))
    }

    fn open(
        &self,
        now: UnixMillis,
        manifest: &[u8],
        request: &[u8],
        approval: &[u8],
    ) -> Result<Vec<(u64, B64)>, String> {
        match self.archive.open(now, Asked { manifest, request, approval }) {
            Ok(Answer::MeetingKeys { keys }) => Ok(keys.into_iter().map(|one| (one.incarnation, one.key)).collect()),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal.0.code),
        }
    }

    /// Actions in the ledger, whose whole chain is verified.
    fn ledger(&self) -> Vec<String> {
        let Ok(Answer::Entries { entries }) = self.archive.entries(0) else { panic!("readable") };
        let key = fixture::public(&key(3));
        let (entries, _) = ledger::verify(&key, &self.firm.id, Head::EMPTY, entries.iter().map(B64::as_slice)).unwrap();
        entries.into_iter().map(|entry| format!("{} {}", entry.event.action, entry.event.note)).collect()
    }

    fn opened_on_token(&self) -> bool {
        self.asked.lock().unwrap().iter().any(|call| call.starts_with("open"))
    }
}

fn meeting() -> MeetingId {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

fn manifest(roster: &[&str], change: impl FnOnce(&mut MeetingManifest)) -> Vec<u8> {
    let firm: FirmId = "bank-a".parse().unwrap();
    let attended = |who: &&str| Attendance {
        participant: format!("bank-a/{who}/d9").parse().unwrap(),
        name: (*who).to_owned(),
        role: LeafRole::Member,
        joined_epoch: Epoch(1),
        joined_at: NOW,
        left_epoch: None,
        left_at: NOW,
    };
    let incarnation = |number: u64| {
        let spki = fixture::archive_spki();
        let fill = u8::try_from(number).unwrap();
        let sealed = seal_meeting_key(&firm, &meeting(), number, &[fill; 32], &[spki.clone().into()]).unwrap();
        let keys = vec![SealedKey { key_id: key_id(&spki), sealed: sealed[0].clone().into() }];
        SealedKeys { incarnation: number, recorder: "bank-a/recorder-1/r".parse().unwrap(), keys }
    };
    let zero = Digest([0; 32]);
    let mut manifest = MeetingManifest {
        record: "meeting".into(),
        version: 1,
        firm: firm.clone(),
        meeting: meeting(),
        room: "deal-room".parse::<RoomId>().unwrap(),
        title: "Project Alder".into(),
        started_at: NOW,
        ended_at: NOW,
        closed: evidence::archive::manifest::Closed::Ended,
        software: "test".into(),
        roster: roster.iter().map(attended).collect(),
        statements: Vec::new(),
        trust: zero,
        retention_years: 7,
        retain_until: NOW,
        sealed_keys: vec![incarnation(1), incarnation(2)],
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
    };
    change(&mut manifest);
    signed(&key(2), MEETING_LABEL, &manifest.to_cbor(), None)
}

#[test]
fn two_officers_open_every_incarnation_and_the_ledger_says_so_first() {
    let bench = Bench::new(10);
    let manifest = manifest(&["anna"], |_| {});
    let request = bench.request(CAROL, &manifest, |_| {});
    let approval = bench.approval(CHRIS, &request, |_| {});
    let keys = bench.open(NOW, &manifest, &request, &approval).unwrap();
    assert_eq!(keys, vec![(1, B64(vec![1; 32])), (2, B64(vec![2; 32]))]);
    assert_eq!(*bench.asked.lock().unwrap(), ["sign ledger", "open archive-1", "open archive-1"]);
    let ledger = bench.ledger();
    assert!(ledger[0].starts_with("open case C-17; approved by sr://bank-a/chris/d1"), "{ledger:?}");
}

#[test]
fn without_a_ledger_entry_no_key_is_opened() {
    let bench = Bench::new(10);
    let manifest = manifest(&["anna"], |_| {});
    let request = bench.request(CAROL, &manifest, |_| {});
    let approval = bench.approval(CHRIS, &request, |_| {});
    bench.archive.ledger.lock().unwrap().break_disk();
    assert_eq!(bench.open(NOW, &manifest, &request, &approval), Err("unavailable".into()));
    assert!(!bench.opened_on_token());
}

#[test]
fn one_person_is_not_two_even_on_two_devices() {
    let bench = Bench::new(10);
    let manifest = manifest(&["anna"], |_| {});
    let request = bench.request(CAROL, &manifest, |_| {});
    let approval = bench.approval(CAROL, &request, |_| {});
    assert_eq!(bench.open(NOW, &manifest, &request, &approval), Err("two-persons".into()));
    assert!(!bench.opened_on_token());
    assert_eq!(bench.ledger(), ["refused two-persons"]);
}

#[test]
fn an_officer_who_was_in_the_meeting_is_refused() {
    for inside in ["carol", "chris"] {
        let bench = Bench::new(10);
        let manifest = manifest(&["anna", inside], |_| {});
        let request = bench.request(CAROL, &manifest, |_| {});
        let approval = bench.approval(CHRIS, &request, |_| {});
        assert_eq!(bench.open(NOW, &manifest, &request, &approval), Err("in-roster".into()));
        assert!(!bench.opened_on_token());
    }
}

#[test]
fn a_member_is_no_officer() {
    let bench = Bench::new(10);
    let manifest = manifest(&["ben"], |_| {});
    let by_member = bench.request(ANNA, &manifest, |_| {});
    let approval = bench.approval(CHRIS, &by_member, |_| {});
    assert_eq!(bench.open(NOW, &manifest, &by_member, &approval), Err("role".into()));
    let request = bench.request(CAROL, &manifest, |_| {});
    let by_member = bench.approval(ANNA, &request, |_| {});
    assert_eq!(bench.open(NOW, &manifest, &request, &by_member), Err("role".into()));
}

#[test]
fn an_officer_of_another_firm_is_none_here() {
    let mut bench = Bench::new(10);
    let other = Firm::of("bank-b", 7);
    bench.archive.trust.firms.extend(other.trust().firms);
    let manifest = manifest(&["anna"], |_| {});
    let request = bench.request(CAROL, &manifest, |_| {});
    let approval =
        Approval { request_hash: evidence::sha256(&request).into(), until: NOW.plus(3_600_000), issued_at: NOW };
    let leaf = other.leaf("chris", LeafRole::Compliance, &key(CHRIS), NOW);
    let foreign = signed(&key(CHRIS), APPROVAL_LABEL, &cbor::encode(&approval), Some(&leaf));
    assert_eq!(bench.open(NOW, &manifest, &request, &foreign), Err("role".into()));
    assert!(!bench.opened_on_token());
}

#[test]
fn a_grant_is_for_its_manifest_meeting_and_request_only() {
    let bench = Bench::new(10);
    let manifest_a = manifest(&["anna"], |_| {});
    let request = bench.request(CAROL, &manifest_a, |_| {});
    let approval = bench.approval(CHRIS, &request, |_| {});
    let refused = Err("bad-request".to_owned());
    let other_manifest = manifest(&["ben"], |_| {});
    assert_eq!(bench.open(NOW, &other_manifest, &request, &approval), refused);
    let other_meeting = bench.request(CAROL, &manifest_a, |r| r.meeting = "other".parse().unwrap());
    let its_approval = bench.approval(CHRIS, &other_meeting, |_| {});
    assert_eq!(bench.open(NOW, &manifest_a, &other_meeting, &its_approval), refused);
    let other_firm = bench.request(CAROL, &manifest_a, |r| r.firm = "bank-b".parse().unwrap());
    let its_approval = bench.approval(CHRIS, &other_firm, |_| {});
    assert_eq!(bench.open(NOW, &manifest_a, &other_firm, &its_approval), refused);
    type Change = fn(&mut Request);
    let empty: [Change; 4] =
        [|r| r.to_ms = r.from_ms, |r| r.case = " ".into(), |r| r.reason.clear(), |r| r.case = "C-1\n".into()];
    for change in empty {
        let request = bench.request(CAROL, &manifest_a, change);
        let its_approval = bench.approval(CHRIS, &request, |_| {});
        assert_eq!(bench.open(NOW, &manifest_a, &request, &its_approval), refused);
    }
    let other_request = bench.request(CAROL, &manifest_a, |r| r.case = "C-18".into());
    assert_eq!(bench.open(NOW, &manifest_a, &other_request, &approval), refused);
    assert!(!bench.opened_on_token());
}

#[test]
fn a_manifest_that_the_record_key_did_not_sign_is_refused() {
    let bench = Bench::new(10);
    let payload = cose_payload(&manifest(&["anna"], |_| {}));
    let forged = signed(&key(9), MEETING_LABEL, &payload, None);
    let request = bench.request(CAROL, &forged, |_| {});
    let approval = bench.approval(CHRIS, &request, |_| {});
    assert_eq!(bench.open(NOW, &forged, &request, &approval), Err("bad-request".into()));
    assert!(!bench.opened_on_token());
}

fn cose_payload(signed: &[u8]) -> Vec<u8> {
    evidence::cose::payload_unverified(signed).unwrap()
}

#[test]
fn times_are_kept() {
    let bench = Bench::new(10);
    let manifest = manifest(&["anna"], |_| {});
    let request = bench.request(CAROL, &manifest, |_| {});
    let refused = Err("bad-request".to_owned());
    let too_long = bench.approval(CHRIS, &request, |a| a.until = NOW.plus(MAX_GRANT_MS + 1));
    assert_eq!(bench.open(NOW, &manifest, &request, &too_long), refused);
    let approval = bench.approval(CHRIS, &request, |_| {});
    assert_eq!(bench.open(NOW.plus(3_600_001), &manifest, &request, &approval), refused, "the grant has ended");
    let unissued = UnixMillis(NOW.0 - 120_000);
    assert_eq!(bench.open(unissued, &manifest, &request, &approval), refused, "signed in the future");
    let early = bench.approval(CHRIS, &request, |a| a.issued_at = NOW.plus(120_000));
    assert_eq!(bench.open(NOW, &manifest, &request, &early), refused, "the approval is signed in the future");
    let expired_leaf = bench.request(CAROL, &manifest, |r| r.issued_at = NOW.plus(2 * 3_600_000));
    let its_approval = bench.approval(CHRIS, &expired_leaf, |_| {});
    assert_eq!(bench.open(NOW.plus(3_000_000), &manifest, &expired_leaf, &its_approval), refused);
    let late = NOW.plus(MAX_REQUEST_AGE_MS + 1);
    let approval = signed(
        &key(CHRIS),
        APPROVAL_LABEL,
        &cbor::encode(&Approval {
            request_hash: evidence::sha256(&request).into(),
            until: late.plus(1000),
            issued_at: late,
        }),
        Some(&bench.firm.leaf("chris", LeafRole::Compliance, &key(CHRIS), late)),
    );
    assert_eq!(bench.open(late, &manifest, &request, &approval), refused, "the request is older than a week");
    assert!(!bench.opened_on_token());
}

#[test]
fn a_manifest_of_another_firm_without_keys_or_with_too_many_opens_nothing() {
    type Change = fn(&mut MeetingManifest);
    let changes: [Change; 3] = [
        |m| m.firm = "bank-b".parse().unwrap(),
        |m| m.sealed_keys.clear(),
        |m| m.sealed_keys = vec![m.sealed_keys[0].clone(); 257],
    ];
    for change in changes {
        let bench = Bench::new(10);
        let manifest = manifest(&["anna"], change);
        let request = bench.request(CAROL, &manifest, |_| {});
        let approval = bench.approval(CHRIS, &request, |_| {});
        assert_eq!(bench.open(NOW, &manifest, &request, &approval), Err("bad-request".into()));
        assert!(!bench.opened_on_token() && bench.ledger().is_empty());
    }
}

#[test]
fn a_sealed_key_moved_from_another_meeting_does_not_open() {
    let bench = Bench::new(10);
    let manifest = manifest(&["anna"], |m| m.meeting = "another".parse().unwrap());
    let request = bench.request(CAROL, &manifest, |r| r.meeting = "another".parse().unwrap());
    let approval = bench.approval(CHRIS, &request, |_| {});
    assert_eq!(bench.open(NOW, &manifest, &request, &approval), Err("bad-request".into()));
}

#[test]
fn openings_are_rate_limited_and_refusals_do_not_flood_the_ledger() {
    let bench = Bench::new(1);
    let manifest = manifest(&["anna"], |_| {});
    let request = bench.request(CAROL, &manifest, |_| {});
    let approval = bench.approval(CHRIS, &request, |_| {});
    assert!(bench.open(NOW, &manifest, &request, &approval).is_ok());
    assert_eq!(bench.open(NOW, &manifest, &request, &approval), Err("rate".into()));
    for _ in 0..20 {
        assert_eq!(bench.open(NOW, &manifest, &request, &request), Err("bad-request".into()));
    }
    assert_eq!(bench.ledger().len(), 1 + 10);
}

#[test]
fn the_probe_opens_what_a_recorder_would_seal() {
    let bench = Bench::new(1);
    assert!(matches!(bench.archive.probe(), Ok(Answer::Done {})));
    assert!(bench.opened_on_token());
}

#[test]
fn a_ledger_event_with_control_characters_or_too_long_is_refused() {
    let bench = Bench::new(1);
    let event = |note: String| LedgerEvent {
        at: NOW,
        actor: "sr://bank-a/carol/d1".into(),
        action: "play".into(),
        meeting: meeting(),
        note,
    };
    let append = |event| bench.archive.append_told(NOW, event);
    assert_eq!(append(event("0 to 1".into())).unwrap(), 0);
    assert!(append(event("two\nlines".into())).is_err());
    assert!(append(event("x".repeat(MAX_NOTE + 1))).is_err());
}

#[test]
fn the_front_speaks_neither_for_custody_nor_for_others_nor_of_another_time() {
    let bench = Bench::new(1);
    let good = LedgerEvent {
        at: NOW,
        actor: "sr://bank-a/carol/d1".into(),
        action: "play".into(),
        meeting: meeting(),
        note: String::new(),
    };
    let append = |event| bench.archive.answer(NOW, Ask::Append { entry: event });
    for action in ["open", "refused", "opened", ""] {
        assert!(append(LedgerEvent { action: action.into(), ..good.clone() }).is_err(), "{action}");
    }
    for actor in ["custody", "sr://bank-b/ben/d1", "carol", ""] {
        assert!(append(LedgerEvent { actor: actor.into(), ..good.clone() }).is_err(), "{actor}");
    }
    for at in [UnixMillis(NOW.0 - 60_001), NOW.plus(60_001)] {
        assert!(append(LedgerEvent { at, ..good.clone() }).is_err(), "{at:?}");
    }
    assert!(append(good).is_ok());
    assert_eq!(bench.ledger(), ["play "]);
}

#[test]
fn the_longest_case_still_fits_its_ledger_entry() {
    let bench = Bench::new(1);
    let manifest = manifest(&["anna"], |_| {});
    let request = bench.request(CAROL, &manifest, |r| {
        r.case = "\u{1f512}".repeat(evidence::grant::MAX_CASE);
        r.to_ms = u64::MAX;
    });
    let approval = bench.approval(CHRIS, &request, |_| {});
    assert!(bench.open(NOW, &manifest, &request, &approval).is_ok());
}

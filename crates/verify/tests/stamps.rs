//! RFC 3161 stamps of a meeting's manifest, by an authority that is not ours: wrong, missing and back-dated ones are named.

use domain::{FirmId, UnixMillis};
use evidence::archive::manifest::Closed;
use evidence::archive::{ClockState, Digest, MEETING_LABEL, MeetingManifest, names};
use evidence::identity::{FirmTrust, TrustMap};
use evidence::key::PublicKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use stamp_authority::{Authority, P256, STAMPING};
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use verify::verify;

const DAY_MS: u64 = 24 * 3600 * 1000;

fn key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).expect("a key")
}

fn trust(root: Vec<u8>) -> TrustMap {
    let point = key().verifying_key().to_encoded_point(false);
    let spki = domain::B64(PublicKey::from_sec1(point.as_bytes()).expect("a point").to_spki());
    let own = FirmTrust {
        firm: firm(),
        name: "Bank A".to_owned(),
        roots: Vec::new(),
        policy_key: spki.clone(),
        recorder_identity: spki.clone(),
        record_key: spki.clone(),
        ledger_key: spki.clone(),
        archive_keys: Vec::new(),
        stamp_roots: vec![root.into()],
    };
    TrustMap { version: 1, firms: vec![own], order_key: spki }
}

fn firm() -> FirmId {
    "bank-a".parse().expect("an id")
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()).expect("fits")
}

/// A manifest, signed by whoever has the record key, that states this end.
fn signed(ended_at: u64, closed: Closed) -> Vec<u8> {
    let manifest = MeetingManifest {
        record: "meeting".to_owned(),
        version: 1,
        firm: firm(),
        meeting: "00112233445566778899aabbccddeeff".parse().expect("an id"),
        room: "deal-room".parse().expect("an id"),
        title: "Project".to_owned(),
        started_at: UnixMillis(ended_at - 60_000),
        ended_at: UnixMillis(ended_at),
        closed,
        software: "test".to_owned(),
        roster: Vec::new(),
        statements: Vec::new(),
        trust: Digest([0; 32]),
        retention_years: 5,
        retain_until: UnixMillis(ended_at).plus_years(5),
        sealed_keys_hash: Digest([0; 32]),
        sealed_keys: Vec::new(),
        epochs: Vec::new(),
        epochs_hash: Digest([0; 32]),
        tracks: Vec::new(),
        frames: 0,
        segments: Vec::new(),
        rejected: 0,
        gaps: Vec::new(),
        clock: ClockState { synchronised: true, estimated_error_us: 0, against_sfu_ms: 0 },
        tags: Default::default(),
        copies_wanted: Vec::new(),
        files: Vec::new(),
    };
    let signer = |hash: &[u8; 32]| {
        let signature: Signature = key().sign_prehash(hash).expect("32 bytes");
        Ok::<[u8; 64], std::convert::Infallible>(signature.to_bytes().into())
    };
    evidence::cose::sign(MEETING_LABEL, &manifest.to_cbor(), None, signer).expect("cannot fail")
}

/// What the verifier says of the stamp in a folder.
fn said(folder: &Path, trust: &TrustMap) -> (Option<u64>, Vec<String>) {
    let report = verify(folder, trust).expect("a manifest");
    let about = report.findings.into_iter().filter(|one| one.file == names::STAMP);
    (report.stamped_at, about.map(|one| one.problem).collect())
}

#[test]
fn c3_a_meeting_dated_back_by_who_has_the_record_key_is_named_by_its_stamp() {
    let authority = Authority::new(P256, STAMPING);
    let trust = trust(authority.root());
    let folder = tempfile::tempdir().expect("a folder");
    let stamped = |manifest: &[u8]| {
        let answer = authority.answer(&evidence::stamp::query(manifest, 1));
        std::fs::write(folder.path().join(names::MEETING), manifest).expect("written");
        std::fs::write(folder.path().join(names::STAMP), answer).expect("written");
        said(folder.path(), &trust)
    };
    let (at, findings) = stamped(&signed(now() - 60_000, Closed::Ended));
    assert!(findings.is_empty() && at.is_some_and(|at| at.abs_diff(now()) < DAY_MS), "{findings:?}");
    // made today, and says that it ended a year ago
    let (_, findings) = stamped(&signed(now() - 365 * DAY_MS, Closed::Ended));
    assert!(findings.len() == 1 && findings[0].contains("days after the meeting"), "{findings:?}");
    // a recorder that was away for long says so itself
    let (at, findings) = stamped(&signed(now() - 30 * DAY_MS, Closed::Recovered));
    assert!(findings.is_empty() && at.is_some(), "{findings:?}");
    // an authority's old answer cannot vouch for what came after it
    let (_, findings) = stamped(&signed(now() + DAY_MS, Closed::Ended));
    assert!(findings.len() == 1 && findings[0].contains("before the meeting"), "{findings:?}");
    // the stamp of the honest manifest beside one that was dated back
    let honest = signed(now() - 60_000, Closed::Ended);
    stamped(&honest);
    std::fs::write(folder.path().join(names::MEETING), signed(now() - 90 * DAY_MS, Closed::Ended)).expect("written");
    let (at, findings) = said(folder.path(), &trust);
    assert!(at.is_none() && findings.len() == 1, "{findings:?}");
}

#[test]
fn a_stamp_of_another_authority_or_none_at_all_is_named() {
    let (authority, other) = (Authority::new(P256, STAMPING), Authority::new(P256, STAMPING));
    let trust = trust(authority.root());
    let folder = tempfile::tempdir().expect("a folder");
    let manifest = signed(now() - 60_000, Closed::Ended);
    std::fs::write(folder.path().join(names::MEETING), &manifest).expect("written");
    std::fs::write(folder.path().join(names::STAMP), other.answer(&evidence::stamp::query(&manifest, 1)))
        .expect("written");
    let (at, findings) = said(folder.path(), &trust);
    assert!(at.is_none() && findings.len() == 1, "{findings:?}");
    std::fs::remove_file(folder.path().join(names::STAMP)).expect("there");
    assert_eq!(said(folder.path(), &trust), (None, Vec::new()), "it may still come: a note");
    let file = folder.path().join("trust.json");
    std::fs::write(&file, serde_json::to_vec(&trust).expect("plain data")).expect("written");
    let strict = Command::new(env!("CARGO_BIN_EXE_strongroom-verify")).arg(folder.path()).arg("--stamped").output();
    let out = strict.expect("it starts");
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.code() == Some(3) && text.contains("WRONG stamp.tsr: there is no time stamp"), "{text}");
}

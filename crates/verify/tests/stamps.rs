//! RFC 3161 stamps of a meeting's manifest, by an authority that is not ours: wrong, missing and back-dated ones are named.

use bank_kit::{Bank, RECORD};
use domain::UnixMillis;
use evidence::archive::manifest::Closed;
use evidence::archive::{MEETING_LABEL, MeetingManifest, names};
use evidence::identity::TrustMap;
use stamp_authority::{Authority, P256, STAMPING};
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use verify::verify;

const DAY_MS: u64 = 24 * 3600 * 1000;

fn trust(root: Vec<u8>) -> TrustMap {
    let mut trust = Bank::new(UnixMillis(now())).trust;
    trust.firms[0].stamp_roots = vec![root.into()];
    trust
}

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()).expect("fits")
}

/// A manifest, signed by whoever has the record key, that states this end.
fn signed(ended_at: u64, closed: Closed) -> Vec<u8> {
    let ended_at = UnixMillis(ended_at);
    let manifest = MeetingManifest { closed, ..bank_kit::manifest(ended_at, ended_at.plus_years(1)) };
    bank_kit::sign(RECORD, MEETING_LABEL, &manifest.to_cbor(), None)
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

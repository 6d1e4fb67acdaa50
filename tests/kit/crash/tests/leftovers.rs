//! What dead processes leave, made by hand: the moments that a campaign meets once in thousands.

use crash::firm;
use crash::recording::{Manner, Recording};
use std::path::Path;

fn record(meeting: &Path) -> anyhow::Result<()> {
    Recording::open(meeting, 0, Manner::Honest, Vec::new()).and_then(|one| one.run(5, 0, 200))
}

fn put(meeting: &Path, path: &str, bytes: &[u8]) {
    let path = meeting.join(path);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, bytes).expect("written");
}

/// A meeting that was never closed: its manifest, and with it the end of its events, were not written.
fn unfinished(meeting: &Path) {
    record(meeting).expect("a good disk");
    for name in ["meeting.cose", "proof.cbor", "segments/events.cose"] {
        std::fs::remove_file(meeting.join(name)).expect("there");
    }
    let events = std::fs::read(meeting.join("events.seg")).expect("there");
    put(meeting, "events.seg", &events[..events.len() / 2]);
}

fn is_whole(meeting: &Path) {
    let report = verify::verify(meeting, &firm::trust()).expect("a closed meeting");
    assert!(report.is_good(), "{:?}", report.findings);
}

#[test]
fn a_segment_whose_name_alone_was_durable_is_no_part_of_the_meeting() {
    let folder = tempfile::tempdir().expect("a folder");
    unfinished(folder.path());
    put(folder.path(), "tracks/0001/00009.seg", b"");
    record(folder.path()).expect("it goes on");
    is_whole(folder.path());
}

#[test]
fn what_was_written_before_the_first_commit_was_durable_is_not_written_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    put(folder.path(), "tracks/0001/00001.seg", b"half a segment");
    put(folder.path(), "keys/epochs.cbor", b"half a key");
    put(folder.path(), "events.seg", b"STRONG");
    record(folder.path()).expect_err("other letters are damage, not a torn head");
    put(folder.path(), "events.seg", b"");
    record(folder.path()).expect("a meeting");
    is_whole(folder.path());
}

#[test]
fn damaged_events_are_refused_and_nothing_is_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    unfinished(folder.path());
    let path = folder.path().join("events.seg");
    let good = std::fs::read(&path).expect("there");
    let mut bad = good.clone();
    bad[20] ^= 1;
    std::fs::write(&path, &bad).expect("written");
    let error = format!("{:#}", record(folder.path()).expect_err("damaged"));
    assert!(error.contains("events.seg") && error.contains("lay the folder aside"), "{error}");
    assert_eq!(std::fs::read(&path).expect("there"), bad);
    std::fs::remove_file(&path).expect("there");
    record(folder.path()).expect_err("signed segments are there");
    assert!(folder.path().join("tracks/0001/00001.seg").exists());
}

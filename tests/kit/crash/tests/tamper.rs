//! T21, C1 to C3: every kind of byte of a closed archive is flipped, cut, dropped, swapped, rolled back or dated back, and the
//! verifier names the file and the place, offline. The archive is a recorder's own: five sources in several segments, two
//! epochs, everything signed.

use crash::firm;
use crash::recording::{Manner, Recording};
use evidence::archive::{
    EpochKey, MEETING_LABEL, MeetingManifest, Record, SEGMENT_LABEL, SegmentHeader, SegmentManifest, SegmentReader,
    SegmentWriter, manifest, names,
};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use verify::{Report, VerifyError, verify};

/// Where the verifier must say that something is wrong.
#[derive(Debug, Clone, Copy)]
enum At {
    /// Exactly this byte.
    Byte(u64),
    /// Not behind this byte: what it belongs to begins before.
    UpTo(u64),
    /// This file.
    File,
}

fn recorded(seed: u64, messages: u64) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let one = Recording::open(folder.path(), 0, Manner::Honest, Vec::new()).expect("a good disk");
    one.run(seed, 0, messages).expect("a good disk");
    folder
}

thread_local! {
    /// One archive for a test; copies of it are changed.
    static ORIGINAL: TempDir = recorded(21, 3_600);
}

fn original() -> PathBuf {
    ORIGINAL.with(|folder| folder.path().to_owned())
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("there").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}

fn read(folder: &Path, path: &str) -> Vec<u8> {
    fs::read(folder.join(path)).expect("there")
}

fn size(path: &str) -> u64 {
    fs::metadata(original().join(path)).expect("there").len()
}

/// Offsets of the records of a segment.
fn offsets(path: &str) -> Vec<u64> {
    let bytes = read(&original(), path);
    let (_, mut reader) = SegmentReader::new(&bytes).expect("good");
    let mut all = Vec::new();
    while let Some(placed) = reader.next_record().expect("good") {
        all.push(placed.offset);
    }
    all
}

/// Does something to a copy; the verifier must say so, first of all about `file`, at the right place.
fn tried(what: &str, file: &str, at: At, change: impl FnOnce(&Path)) {
    let copied = tempfile::tempdir().expect("a folder");
    copy(&original(), copied.path());
    change(copied.path());
    let found: Result<Report, VerifyError> = verify(copied.path(), &firm::trust());
    let report = match found {
        Err(error) => return assert!(error.to_string().contains(file), "{what}: {error}"),
        Ok(report) => report,
    };
    let first = report.findings.first().unwrap_or_else(|| panic!("{what} was not seen"));
    assert_eq!(first.file, file, "{what}: {first:?}");
    match at {
        At::Byte(byte) => assert_eq!(first.offset, Some(byte), "{what}: {first:?}"),
        At::UpTo(byte) => assert!(first.offset.is_some_and(|offset| offset <= byte), "{what}: {first:?}"),
        At::File => {}
    }
}

fn edit(folder: &Path, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = read(folder, path);
    change(&mut bytes);
    fs::write(folder.join(path), bytes).expect("written");
}

fn swap(folder: &Path, a: &str, b: &str) {
    let (bytes_a, bytes_b) = (read(folder, a), read(folder, b));
    fs::write(folder.join(a), bytes_b).expect("written");
    fs::write(folder.join(b), bytes_a).expect("written");
}

/// Writes a segment anew with another head or other records: every checksum fits, nothing is signed.
fn rewritten(folder: &Path, path: &str, head: impl FnOnce(&mut SegmentHeader), each: impl Fn(usize, &mut u64) -> bool) {
    let bytes = read(folder, path);
    let (mut header, mut reader) = SegmentReader::new(&bytes).expect("good");
    head(&mut header);
    let mut out = Vec::new();
    let mut writer = SegmentWriter::new(header, &mut out);
    let mut n = 0;
    while let Some(placed) = reader.next_record().expect("good") {
        let mut at_us = placed.at_us;
        if each(n, &mut at_us) {
            writer.push(at_us, &placed.record, &mut out);
        }
        n += 1;
    }
    fs::write(folder.join(path), out).expect("written");
}

const TRACK: &str = "tracks/0004/00001.seg";

#[test]
fn t21_c1_a_flip_of_each_kind_of_byte_is_named_by_file_and_byte() {
    let records = offsets(TRACK);
    let third = records[2];
    // length u32, type u8, number u64, time u64, arrival u64, RTP time u32, source u32, epoch u64, flags, shim, frame, CRC
    let fields = [4, 5, 13, 21, 29, 33, 37, 45, 46, 48, 90].map(|field| third + field);
    for at in fields.into_iter().chain([records[3] - 1, records[3] - 4, size(TRACK) - 1]) {
        tried(&format!("a flip at {at}"), TRACK, At::Byte(at), |folder| {
            edit(folder, TRACK, |b| b[at as usize] ^= 0x40)
        });
    }
    for at in [third, third + 3] {
        let what = format!("a flip in the length at {at}");
        tried(&what, TRACK, At::UpTo(at), |folder| edit(folder, TRACK, |b| b[at as usize] ^= 0x40));
    }
    for at in [0, 9, 40, records[0] - 1] {
        let what = format!("a flip in the head at {at}");
        tried(&what, TRACK, At::UpTo(at), |folder| edit(folder, TRACK, |b| b[at as usize] ^= 0x40));
    }
    let event = offsets(names::EVENTS)[5] + 30;
    tried("a flip in an event", names::EVENTS, At::Byte(event), |folder| {
        edit(folder, names::EVENTS, |b| b[event as usize] ^= 1);
    });
    for file in [names::MEETING, names::PROOF, names::SEALED_KEYS, names::EPOCH_KEYS, "segments/0004-00001.cose"] {
        for part in 0..8 {
            let at = (size(file) - 1) * part / 7;
            tried(&format!("a flip of {file} at {at}"), file, At::File, |folder| {
                edit(folder, file, |b| b[at as usize] ^= 4);
            });
        }
    }
}

#[test]
fn t21_c1_a_cut_is_named_where_the_file_ends_and_an_addition_where_it_begins() {
    let records = offsets(TRACK);
    for at in [records[4], records[4] + 7, size(TRACK) - 1] {
        // between two records the rest is good: its end is where something is missing
        tried(&format!("cut at {at}"), TRACK, At::UpTo(at), |folder| edit(folder, TRACK, |b| b.truncate(at as usize)));
    }
    tried("cut in the head", TRACK, At::UpTo(20), |folder| edit(folder, TRACK, |b| b.truncate(20)));
    tried("bytes added", TRACK, At::Byte(size(TRACK)), |folder| edit(folder, TRACK, |b| b.extend([0; 40])));
    tried("events cut", names::EVENTS, At::UpTo(offsets(names::EVENTS)[6]), |folder| {
        let end = offsets(names::EVENTS)[6] as usize;
        edit(folder, names::EVENTS, |b| b.truncate(end));
    });
    for file in [names::MEETING, names::PROOF, names::SEALED_KEYS, names::EPOCH_KEYS, "segments/0004-00001.cose"] {
        let half = size(file) as usize / 2;
        tried(&format!("{file} cut"), file, At::File, |folder| edit(folder, file, |b| b.truncate(half)));
        tried(&format!("{file} longer"), file, At::File, |folder| edit(folder, file, |b| b.push(0)));
    }
}

#[test]
fn t21_c1_what_is_dropped_or_put_in_is_named() {
    let all = [
        TRACK,
        names::EVENTS,
        names::MEETING,
        names::PROOF,
        names::SEALED_KEYS,
        names::EPOCH_KEYS,
        "segments/0004-00001.cose",
        "segments/events.cose",
    ];
    for file in all {
        tried(&format!("{file} dropped"), file, At::File, |folder| {
            fs::remove_file(folder.join(file)).expect("there");
        });
    }
    for stranger in ["tracks/0004/00099.seg", "tracks/0099/00001.seg", "segments/0099-00001.cose"] {
        tried(&format!("{stranger} put in"), stranger, At::Byte(0), |folder| {
            fs::create_dir_all(folder.join(stranger).parent().expect("a folder")).expect("made");
            fs::copy(folder.join(TRACK), folder.join(stranger)).expect("copied");
        });
    }
    // one record taken out, every checksum made to fit
    tried("a record dropped", TRACK, At::UpTo(size(TRACK)), |folder| rewritten(folder, TRACK, |_| (), |n, _| n != 3));
}

#[test]
fn t21_c1_what_changed_places_is_named() {
    let other = "tracks/0005/00001.seg";
    tried("two sources swapped", TRACK, At::UpTo(16), |folder| swap(folder, TRACK, other));
    let (a, b) = ("segments/0004-00001.cose", "segments/0005-00001.cose");
    tried("two manifests swapped", a, At::Byte(0), |folder| swap(folder, a, b));
    tried("segment and manifest swapped with another's", a, At::Byte(0), |folder| {
        swap(folder, a, b);
        swap(folder, TRACK, other);
    });
    let keys = read(&original(), names::EPOCH_KEYS);
    let (items, _) = EpochKey::read_all(&keys);
    assert!(items.len() > 1, "two epochs are needed");
    let first = items[0].to_cbor();
    tried("two epochs' keys swapped", names::EPOCH_KEYS, At::Byte(0), |folder| {
        let swapped: Vec<u8> = items.iter().rev().flat_map(EpochKey::to_cbor).collect();
        fs::write(folder.join(names::EPOCH_KEYS), swapped).expect("written");
    });
    tried("an epoch's key under another's number", names::EPOCH_KEYS, At::Byte(first.len() as u64), |folder| {
        let mut changed = items.clone();
        changed[1].sealed = items[0].sealed.clone();
        let bytes: Vec<u8> = changed.iter().flat_map(EpochKey::to_cbor).collect();
        fs::write(folder.join(names::EPOCH_KEYS), bytes).expect("written");
    });
    let meeting = recorded(22, 3_600);
    for file in [names::MEETING, TRACK, names::EVENTS] {
        let named = if file == names::MEETING { names::PROOF } else { file };
        tried(&format!("{file} of another recording"), named, At::File, |folder| {
            fs::copy(meeting.path().join(file), folder.join(file)).expect("copied");
        });
    }
}

#[test]
fn t21_an_old_sealed_key_under_a_new_key_id_is_named() {
    tried("a sealed key renamed", names::SEALED_KEYS, At::File, |folder| {
        let mut keys = manifest::read_sealed_keys(&read(folder, names::SEALED_KEYS)).expect("ours");
        keys[0].incarnation += 1;
        fs::write(folder.join(names::SEALED_KEYS), manifest::write_sealed_keys(&keys)).expect("written");
    });
}

/// Everything as it was a while ago, each file once good and signed.
#[test]
fn c2_parts_rolled_back_to_an_older_state_do_not_fit_the_newer_rest() {
    let older = recorded(21, 150);
    assert!(verify(older.path(), &firm::trust()).expect("closed").is_good(), "the older state was good");
    for (file, named) in [
        (names::EVENTS, names::EVENTS),
        (TRACK, TRACK),
        (names::EPOCH_KEYS, names::EPOCH_KEYS),
        ("segments/0004-00001.cose", "segments/0004-00001.cose"),
        // an older manifest names fewer keys than are here; the log's proof does not lead from it either
        (names::MEETING, names::EPOCH_KEYS),
        (names::PROOF, names::PROOF),
    ] {
        tried(&format!("{file} rolled back"), named, At::File, |folder| {
            fs::copy(older.path().join(file), folder.join(file)).expect("copied");
        });
    }
}

#[test]
fn c3_a_date_set_back_holds_nowhere() {
    let year_us = 365 * 24 * 3_600 * 1_000_000;
    // the times of all records, checksums made to fit: no record is out of order, and no hash is as signed
    tried("records dated back", TRACK, At::UpTo(offsets(TRACK)[0]), |folder| {
        rewritten(
            folder,
            TRACK,
            |_| (),
            |_, at_us| {
                *at_us -= year_us;
                true
            },
        );
    });
    tried("a segment dated back", TRACK, At::UpTo(offsets(TRACK)[0]), |folder| {
        rewritten(folder, TRACK, |head| head.started_at.0 -= year_us / 1_000, |_, _| true);
    });
    // without the record key: the signature over the changed date is missing
    let dated = |folder: &Path, sign: &dyn Fn(&[u8]) -> Vec<u8>| {
        let signed = read(folder, names::MEETING);
        let payload = evidence::cose::payload_unverified(&signed).expect("ours");
        let mut manifest = MeetingManifest::from_cbor(&payload).expect("ours");
        manifest.ended_at.0 -= year_us / 1_000;
        manifest.retain_until.0 -= year_us / 1_000;
        fs::write(folder.join(names::MEETING), sign(&manifest.to_cbor())).expect("written");
    };
    tried("a meeting dated back, signed for another purpose", names::MEETING, At::Byte(0), |folder| {
        dated(folder, &|payload| firm::sign(SEGMENT_LABEL, payload));
    });
    // with the record key: the firm's log has the manifest that was signed first
    tried("a meeting dated back by who has the record key", names::PROOF, At::File, |folder| {
        dated(folder, &|payload| firm::sign(MEETING_LABEL, payload));
    });
    tried(
        "a segment manifest dated back by who has the record key",
        "segments/0004-00001.cose",
        At::Byte(0),
        |folder| {
            let path = "segments/0004-00001.cose";
            let payload = evidence::cose::payload_unverified(&read(folder, path)).expect("ours");
            let mut manifest = SegmentManifest::from_cbor(&payload).expect("ours");
            manifest.closed_at.0 -= year_us / 1_000;
            fs::write(folder.join(path), firm::sign(SEGMENT_LABEL, &manifest.to_cbor())).expect("written");
        },
    );
}

#[test]
fn c5_a_path_that_leads_out_of_the_bundle_is_not_followed() {
    tried("a path outside", "../outside.seg", At::File, |folder| {
        let signed = read(folder, names::MEETING);
        let payload = evidence::cose::payload_unverified(&signed).expect("ours");
        let mut manifest = MeetingManifest::from_cbor(&payload).expect("ours");
        manifest.segments[1].path = "../outside.seg".to_owned();
        // as if the recorder itself had been made to sign it: proof and strangers speak of it too, so they go
        fs::write(folder.join(names::MEETING), firm::sign(MEETING_LABEL, &manifest.to_cbor())).expect("written");
        let hash = evidence::archive::sha256(&read(folder, names::MEETING));
        let mut log = evidence::archive::log::Log::default();
        let index = log.append(&hash);
        let head = log.checkpoint(&firm::id());
        let label = evidence::archive::CHECKPOINT_LABEL;
        let note = head.note(&firm::sign(label, head.text().as_bytes()), &firm::spki());
        let proof = evidence::archive::LogProof { index, path: log.inclusion(index).expect("there"), checkpoint: note };
        fs::write(folder.join(names::PROOF), proof.to_cbor()).expect("written");
        let orphan = manifest.segments[1].track;
        fs::remove_file(folder.join(format!("tracks/{orphan:04}/{:05}.seg", manifest.segments[1].index)))
            .expect("there");
    });
}

/// Is it really the change that is seen?
#[test]
fn the_archive_that_is_changed_here_holds_and_has_what_is_changed() {
    let report = verify(&original(), &firm::trust()).expect("closed");
    assert!(report.is_good() && report.segments > 5 && report.epochs > 1, "{report:?}");
    let bytes = read(&original(), TRACK);
    let (_, mut reader) = SegmentReader::new(&bytes).expect("good");
    let mut media = 0;
    while let Some(placed) = reader.next_record().expect("good") {
        media += usize::from(matches!(placed.record, Record::Media(_)));
    }
    assert!(media > 5, "{media} frames");
}

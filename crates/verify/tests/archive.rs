//! A small archive, made as the recorder makes it, then damaged in every way an examiner should hear of.

use domain::{Codec, Ctr, Epoch, FirmId, Kid, LeafIndex, MeetingId, ParticipantId, Slot, UnixMillis};
use evidence::archive::log::Log;
use evidence::archive::manifest::{Closed, write_sealed_keys};
use evidence::archive::record::TrackInfo;
use evidence::archive::{
    ArchiveEvent, CHECKPOINT_LABEL, ClockState, Digest, EpochEntry, EpochKey, Gap, GapCause, LogProof, MEETING_LABEL,
    Media, MeetingManifest, Record, SEGMENT_LABEL, SealedKey, SealedKeys, SegmentEntry, SegmentHeader, SegmentManifest,
    SegmentWriter, sha256,
};
use evidence::identity::{FirmTrust, TrustMap};
use evidence::key::PublicKey;
use evidence::sender_manifest::{self, SenderManifest, frame_hash};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use std::convert::Infallible;
use std::path::Path;
use std::process::Command;
use verify::{Report, verify};

fn record_key() -> SigningKey {
    SigningKey::from_slice(&[7; 32]).expect("a key")
}

fn sign(label: &str, payload: &[u8]) -> Vec<u8> {
    let signer = |hash: &[u8; 32]| {
        let signature: Signature = record_key().sign_prehash(hash).expect("32 bytes");
        Ok::<[u8; 64], Infallible>(signature.to_bytes().into())
    };
    evidence::cose::sign(label, payload, None, signer).expect("cannot fail")
}

fn spki() -> Vec<u8> {
    let point = record_key().verifying_key().to_encoded_point(false);
    PublicKey::from_sec1(point.as_bytes()).expect("a point").to_spki()
}

fn firm() -> FirmId {
    "bank-a".parse().expect("an id")
}
fn meeting() -> MeetingId {
    "00112233445566778899aabbccddeeff".parse().expect("an id")
}
fn anna() -> ParticipantId {
    "bank-a/anna/d1".parse().expect("an id")
}

fn trust() -> TrustMap {
    let own = FirmTrust {
        firm: firm(),
        name: "Bank A".to_owned(),
        roots: Vec::new(),
        policy_key: spki().into(),
        recorder_identity: spki().into(),
        record_key: spki().into(),
        ledger_key: spki().into(),
        archive_keys: Vec::new(),
        stamp_roots: Vec::new(),
    };
    TrustMap { version: 1, firms: vec![own], order_key: spki().into() }
}

/// A frame of the microphone: one-byte numbers only, so that the header is easy to write.
fn sframe(ctr: u64) -> Vec<u8> {
    let kid = Kid::new(Slot(0), LeafIndex(0), Epoch(5));
    let mut out = vec![(kid.0 as u8) << 4 | if ctr < 8 { ctr as u8 } else { 8 }];
    if ctr >= 8 {
        out.push(ctr as u8);
    }
    out.extend((0..300u64).map(|n| (n * 13 + ctr * 7) as u8));
    out
}

struct Builder<'a> {
    folder: &'a Path,
    segments: Vec<SegmentEntry>,
}

impl Builder<'_> {
    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, bytes).expect("written");
    }

    fn segment(&mut self, header: SegmentHeader, path: &str, records: &[Record<'_>]) {
        let mut bytes = Vec::new();
        let mut writer = SegmentWriter::new(header, &mut bytes);
        for record in records {
            writer.push(1_000_000, record, &mut bytes);
        }
        let manifest = writer.close(path.to_owned(), UnixMillis(2_000), &mut bytes);
        self.put(path, &bytes);
        self.seal(&manifest);
    }

    fn seal(&mut self, manifest: &SegmentManifest) {
        let signed = sign(SEGMENT_LABEL, &manifest.to_cbor());
        let path = format!("segments/{:04}-{:05}.cose", manifest.track, manifest.index);
        self.put(&path, &signed);
        self.segments.push(SegmentEntry {
            path: manifest.path.clone(),
            manifest: path,
            manifest_hash: sha256(&signed),
            track: manifest.track,
            index: manifest.index,
            root: manifest.root,
            size: manifest.size,
            records: manifest.records,
            frames: manifest.frames,
        });
    }
}

fn header(track: Option<u32>, index: u32, first_seq: u64) -> SegmentHeader {
    SegmentHeader {
        version: 1,
        firm: firm(),
        meeting: meeting(),
        track: track.map(|track| TrackInfo { track, participant: anna(), slot: Slot(0), codec: Codec::Opus }),
        index,
        first_seq,
        suite: 5,
        clock_rate: 48_000,
        started_at: UnixMillis(1_000),
        monotonic_ms: 0,
    }
}

/// Frames kept: 0..240 but 100..103, in three segments of 80 or fewer.
fn build(folder: &Path, gaps: Vec<Gap>) {
    let mut builder = Builder { folder, segments: Vec::new() };
    let named = SenderManifest {
        meeting: meeting(),
        epoch: Epoch(5),
        slot: Slot(0),
        first_ctr: Ctr(0),
        hashes: (0..240).flat_map(|ctr| frame_hash(&sframe(ctr))).collect(),
    };
    let signed = sign(sender_manifest::LABEL, &sender_manifest::encode(&named));
    let mut events =
        vec![Record::Event(Box::new(ArchiveEvent::SenderManifest { participant: anna(), manifest: signed.into() }))];
    events.extend(gaps.iter().cloned().map(Record::Gap));
    builder.segment(header(None, 1, 0), "events.seg", &events);

    let frames: Vec<(u64, Vec<u8>)> =
        (0..240u64).filter(|ctr| !(100..103).contains(ctr)).map(|ctr| (ctr, sframe(ctr))).collect();
    let mut first_seq = 0;
    for (n, part) in frames.chunks(80).enumerate() {
        let records: Vec<Record<'_>> = part
            .iter()
            .map(|(ctr, sframe)| {
                Record::Media(Media {
                    sfu_us: ctr * 20_000,
                    rtp_timestamp: *ctr as u32 * 960,
                    ssrc: 9,
                    epoch: Epoch(5),
                    flags: 4,
                    shim: &[],
                    sframe,
                })
            })
            .collect();
        let index = n as u32 + 1;
        builder.segment(header(Some(1), index, first_seq), &format!("tracks/0001/{index:05}.seg"), &records);
        first_seq += records.len() as u64;
    }
    close(&builder, gaps);
}

/// Keys, meeting manifest, log.
fn close(builder: &Builder<'_>, gaps: Vec<Gap>) {
    let key =
        EpochKey { incarnation: 1, epoch: Epoch(5), sealed: vec![3; 60].into(), transcript_hash: Digest([4; 32]) };
    builder.put("keys/epochs.cbor", &key.to_cbor());
    let sealed = vec![SealedKeys {
        incarnation: 1,
        recorder: "bank-a/recorder-1/r".parse().expect("an id"),
        keys: vec![SealedKey { key_id: "00".to_owned(), sealed: vec![1; 400].into() }],
    }];
    builder.put("keys/sealed.cbor", &write_sealed_keys(&sealed));
    let manifest = MeetingManifest {
        record: "meeting".to_owned(),
        version: 1,
        firm: firm(),
        meeting: meeting(),
        room: "deal-room".parse().expect("an id"),
        title: "Project".to_owned(),
        started_at: UnixMillis(1_000),
        ended_at: UnixMillis(9_000),
        closed: Closed::Ended,
        software: "test".to_owned(),
        roster: Vec::new(),
        statements: Vec::new(),
        trust: Digest(trust().hash()),
        retention_years: 5,
        retain_until: UnixMillis(10_000),
        sealed_keys_hash: sha256(&write_sealed_keys(&sealed)),
        sealed_keys: sealed,
        epochs: vec![EpochEntry {
            incarnation: 1,
            epoch: Epoch(5),
            sealed_hash: sha256(&key.sealed),
            transcript_hash: key.transcript_hash,
            at: UnixMillis(1_000),
        }],
        epochs_hash: sha256(&key.to_cbor()),
        tracks: Vec::new(),
        frames: 237,
        segments: builder.segments.clone(),
        rejected: 0,
        gaps,
        clock: ClockState { synchronised: true, estimated_error_us: 0, against_sfu_ms: 0 },
        tags: Default::default(),
        copies_wanted: Vec::new(),
        files: Vec::new(),
    };
    let signed = sign(MEETING_LABEL, &manifest.to_cbor());
    let mut log = Log::default();
    for n in 0..5u8 {
        log.append(&sha256(&[n]));
    }
    let index = log.append(&sha256(&signed));
    let head = log.checkpoint(&firm());
    let checkpoint = head.note(&sign(CHECKPOINT_LABEL, head.text().as_bytes()), &spki());
    let proof = LogProof { index, path: log.inclusion(index).expect("there"), checkpoint };
    builder.put("proof.cbor", &proof.to_cbor());
    builder.put("meeting.cose", &signed);
    builder.put("trust.json", &serde_json::to_vec(&trust()).expect("plain data"));
}

fn gap() -> Gap {
    Gap {
        participant: Some(anna()),
        slot: Some(Slot(0)),
        epoch: Epoch(5),
        first_ctr: 100,
        count: 3,
        cause: GapCause::LostBeforeSfu,
        from: UnixMillis(1),
        to: UnixMillis(2),
    }
}

fn good() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    build(folder.path(), vec![gap()]);
    folder
}

fn report(folder: &Path) -> Report {
    verify(folder, &trust()).expect("a bundle")
}

fn change(folder: &Path, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = folder.join(path);
    let mut bytes = std::fs::read(&path).expect("there");
    change(&mut bytes);
    std::fs::write(&path, bytes).expect("written");
}

fn run(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_strongroom-verify")).arg(folder).args(arguments).output().expect("runs");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_good_archive_holds_and_the_program_ends_with_0() {
    let folder = good();
    let report = report(folder.path());
    assert_eq!(report.findings, []);
    assert_eq!((report.segments, report.frames, report.frames_named, report.missing_frames), (4, 237, 237, 3));
    assert_eq!(report.log_index, Some(5));
    let (code, text) = run(folder.path(), &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("everything holds"), "{text}");
}

#[test]
fn a_flipped_bit_anywhere_in_a_segment_is_named_by_file_and_byte() {
    let folder = good();
    for path in ["events.seg", "tracks/0001/00002.seg"] {
        let len = std::fs::metadata(folder.path().join(path)).expect("there").len() as usize;
        for at in (0..len).step_by(len / 37) {
            change(folder.path(), path, |bytes| bytes[at] ^= 0x20);
            let report = report(folder.path());
            let first = report.findings.first().unwrap_or_else(|| panic!("a flip in {path} at {at} was not seen"));
            assert_eq!(first.file, path);
            let named = first.offset.expect("a byte");
            let header = at < 250;
            assert!(
                named == at as u64 || (header && named <= at as u64),
                "{path}: flipped {at}, named {named}: {first:?}"
            );
            change(folder.path(), path, |bytes| bytes[at] ^= 0x20);
        }
    }
    let at = 5_000;
    change(folder.path(), "tracks/0001/00002.seg", |bytes| bytes[at] ^= 1);
    let (code, text) = run(folder.path(), &["--json"]);
    assert_eq!(code, 3);
    assert!(text.contains("tracks/0001/00002.seg") && text.contains("5000"), "{text}");
}

#[test]
fn a_flipped_bit_in_any_other_file_is_named_by_file() {
    for path in ["meeting.cose", "proof.cbor", "keys/sealed.cbor", "keys/epochs.cbor", "segments/0001-00002.cose"] {
        let folder = good();
        let len = std::fs::metadata(folder.path().join(path)).expect("there").len() as usize;
        for at in (0..len).step_by(1 + len / 23) {
            change(folder.path(), path, |bytes| bytes[at] ^= 4);
            let found = verify(folder.path(), &trust());
            if let Ok(report) = found {
                assert!(!report.is_good(), "a flip in {path} at {at} was not seen");
                assert_eq!(report.findings[0].file, path, "flip at {at}");
            }
            change(folder.path(), path, |bytes| bytes[at] ^= 4);
        }
    }
}

#[test]
fn swapped_segments_are_told_apart() {
    let folder = good();
    let (a, b) = (folder.path().join("tracks/0001/00001.seg"), folder.path().join("tracks/0001/00003.seg"));
    let spare = folder.path().join("spare");
    std::fs::rename(&a, &spare).expect("moved");
    std::fs::rename(&b, &a).expect("moved");
    std::fs::rename(&spare, &b).expect("moved");
    let report = report(folder.path());
    assert_eq!(report.findings[0].file, "tracks/0001/00001.seg");
    assert!(report.findings[0].problem.contains("segment 3 of track 1 of this meeting"), "{:?}", report.findings);
}

#[test]
fn a_deleted_middle_segment_is_missed_and_a_foreign_one_is_seen() {
    let folder = good();
    std::fs::remove_file(folder.path().join("tracks/0001/00002.seg")).expect("removed");
    let found = report(folder.path()).findings;
    assert_eq!((found[0].file.as_str(), found[0].offset), ("tracks/0001/00002.seg", Some(0)));

    let folder = good();
    std::fs::copy(folder.path().join("tracks/0001/00002.seg"), folder.path().join("tracks/0001/00004.seg"))
        .expect("copied");
    assert_eq!(report(folder.path()).findings[0].file, "tracks/0001/00004.seg");
}

#[test]
fn a_cut_segment_is_named_at_its_last_byte_and_an_extended_one_at_its_first_new_one() {
    let folder = good();
    let path = "tracks/0001/00003.seg";
    let len = std::fs::metadata(folder.path().join(path)).expect("there").len();
    change(folder.path(), path, |bytes| bytes.truncate(len as usize - 100));
    assert_eq!(report(folder.path()).findings[0].offset, Some(len - 100));
    let folder = good();
    change(folder.path(), path, |bytes| bytes.extend([0; 9]));
    let found = report(folder.path()).findings;
    assert_eq!((found[0].file.as_str(), found[0].offset), (path, Some(len)), "{found:?}");
}

#[test]
fn a_change_with_checksums_made_to_fit_does_not_hold() {
    let folder = good();
    // the same frames with one byte changed, written anew: every CRC is right, nothing is signed
    let other = tempfile::tempdir().expect("a folder");
    let mut builder = Builder { folder: other.path(), segments: Vec::new() };
    let mut frames: Vec<Vec<u8>> = (0..80).map(sframe).collect();
    frames[40][100] ^= 1;
    let records: Vec<Record<'_>> = frames
        .iter()
        .enumerate()
        .map(|(ctr, sframe)| {
            Record::Media(Media {
                sfu_us: ctr as u64 * 20_000,
                rtp_timestamp: ctr as u32 * 960,
                ssrc: 9,
                epoch: Epoch(5),
                flags: 4,
                shim: &[],
                sframe,
            })
        })
        .collect();
    builder.segment(header(Some(1), 1, 0), "tracks/0001/00001.seg", &records);
    let path = "tracks/0001/00001.seg";
    std::fs::copy(other.path().join(path), folder.path().join(path)).expect("copied");
    let found = report(folder.path()).findings;
    assert_eq!(found[0].file, path);
    assert!(found[0].problem.contains("made to fit"), "{found:?}");
}

#[test]
fn a_hole_that_no_gap_declares_is_a_finding() {
    let folder = tempfile::tempdir().expect("a folder");
    build(folder.path(), Vec::new());
    let found = report(folder.path()).findings;
    assert!(found.iter().any(|one| one.problem.contains("frame 100")), "{found:?}");
}

#[test]
fn a_manifest_of_another_key_does_not_hold_and_another_firm_is_unknown() {
    let folder = good();
    let mut other = trust();
    let point = SigningKey::from_slice(&[9; 32]).expect("a key").verifying_key().to_encoded_point(false);
    other.firms[0].record_key = PublicKey::from_sec1(point.as_bytes()).expect("a point").to_spki().into();
    let found = verify(folder.path(), &other).expect("a bundle").findings;
    assert_eq!(found[0].file, "meeting.cose");
    other.firms.clear();
    assert!(verify(folder.path(), &other).is_err());
}

//! Going on after a stop: by the indexes beside the segments, and what becomes of an index that is torn, of another
//! segment, or forged.

use domain::message::record_link::FromSfuRecord;
use domain::{Codec, Epoch, Kid, LeafIndex, ParticipantId, Slot, UnixMillis};
use e2ee::sframe::{BaseKey, SealKey};
use evidence::archive::{SegmentWriter, sha256};
use recorder_core::index::{EVERY_BYTES, IndexWriter};
use recorder_core::{
    Config, FileId, FileRule, FrameRuns, Index, Input, Meeting, Now, Opener, Output, Recovered, Verdict, Wants,
};
use recorder_journal::journal::Journal;
use recorder_journal::store::{Disk, Store};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const FRAMES: u64 = 300;
const LOST: std::ops::Range<u64> = 40..43;
const FRAME: usize = 6_000;
const SEALED: FileId = FileId::Track { track: 1, index: 1 };
const OPEN: FileId = FileId::Track { track: 1, index: 2 };

struct AllKeys;

impl Opener for AllKeys {
    fn open(&mut self, _: UnixMillis, _: &ParticipantId, _: Slot, _: Codec, _: &[u8]) -> Verdict {
        Verdict::Opened
    }
}

/// Counts the bytes of segments that are read.
struct Counting(Disk, Arc<AtomicU64>);

impl Counting {
    fn count(&self, path: &str, bytes: &Option<Vec<u8>>) {
        let len = bytes.as_ref().filter(|_| path.starts_with("tracks/")).map_or(0, Vec::len);
        self.1.fetch_add(len as u64, Ordering::Relaxed);
    }
}

impl Store for Counting {
    fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.append(path, bytes)
    }
    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.0.sync(path)
    }
    fn put(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.put(path, bytes)
    }
    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.read(path).inspect(|bytes| self.count(path, bytes))
    }
    fn read_part(&mut self, path: &str, from: u64, len: u64) -> io::Result<Option<Vec<u8>>> {
        self.0.read_part(path, from, len).inspect(|bytes| self.count(path, bytes))
    }
    fn size(&mut self, path: &str) -> io::Result<Option<u64>> {
        self.0.size(path)
    }
    fn note(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.0.note(path, bytes)
    }
    fn ended(&mut self, path: &str) {
        self.0.ended(path);
    }
    fn cut(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.0.cut(path, len)
    }
    fn list(&mut self, folder: &str) -> io::Result<Vec<String>> {
        self.0.list(folder)
    }
}

fn config() -> Config {
    Config {
        firm: "bank-a".parse().expect("an id"),
        meeting: "00112233445566778899aabbccddeeff".parse().expect("an id"),
        recorder: "bank-a/recorder-1/r".parse().expect("an id"),
        incarnation: 1,
        software: "test".to_owned(),
        wants: Wants::Media,
        files: FileRule::Kept,
    }
}

fn at(ms: u64) -> Now {
    Now { wall: UnixMillis(1_795_305_600_000 + ms), mono_ms: ms }
}

fn journal(folder: &Path) -> Journal {
    Journal::new(Box::new(Disk::new(folder.to_owned())))
}

/// Does what the core asks for.
fn pump(core: &mut Meeting, now: Now, journal: &mut Journal) {
    while let Some(output) = core.poll_output() {
        match output {
            Output::Commit(batch) => {
                journal.commit(&batch).expect("a good disk");
                core.handle(now, Input::Committed { ticket: batch.ticket }, &mut AllKeys);
            }
            Output::Seal(manifest) => {
                let signed = evidence::cose::sign::<std::convert::Infallible>(
                    "test",
                    &manifest.to_cbor(),
                    None,
                    |_| Ok([0; 64]),
                );
                let Ok(signed) = signed;
                let file = FileId::Track { track: manifest.track, index: manifest.index };
                journal.store().put(&file.manifest_path(), &signed).expect("a good disk");
            }
            _ => {}
        }
    }
}

/// A camera whose first segment is signed and whose second is open; some frames were lost. The process is gone then.
fn recorded(folder: &Path) {
    let mut journal = journal(folder);
    let mut core = Meeting::new(config(), at(0));
    let mut give = |ms: u64, message: FromSfuRecord| {
        core.handle(at(ms), Input::Link(message), &mut AllKeys);
        core.handle_timeout(at(ms), &mut AllKeys);
        pump(&mut core, at(ms), &mut journal);
    };
    let participant: ParticipantId = "bank-a/anna/d1".parse().expect("an id");
    give(0, FromSfuRecord::Welcome { oldest: 1 });
    give(1, FromSfuRecord::Track { seq: 1, track: 7, participant, slot: Slot::CAMERA, codec: Codec::Vp8 });
    let base = BaseKey::from_bytes(&[9; 32]).expect("a key");
    let mut seal = SealKey::new(&base, Kid::new(Slot::CAMERA, LeafIndex(1), Epoch(1)), Codec::Vp8);
    let mut wire = Vec::new();
    for n in 0..FRAMES {
        // the second half comes after the first segment's time is over
        let ms = 100 + n * 33 + if n < FRAMES / 2 { 0 } else { 301_000 };
        seal.seal(n % 50 == 0, &vec![u8::from(n % 50 != 0); FRAME], n, &mut wire).expect("sealed");
        if LOST.contains(&n) {
            continue;
        }
        let mut rtp = vec![0x80, 0x80 | 96];
        rtp.extend((n as u16).to_be_bytes());
        rtp.extend((n as u32 * 3_000).to_be_bytes());
        rtp.extend([0, 0, 0, 1, 0x10]);
        rtp.extend(&wire);
        let arrival_us = at(ms).wall.0 * 1_000;
        give(ms, FromSfuRecord::Packet { seq: n + 2, track: 7, arrival_us, rtp });
    }
    give(340_000, FromSfuRecord::Idle { seq: FRAMES + 2 });
}

fn said_of(found: &Recovered) -> String {
    format!("{:?}", found.summary())
}

/// What the segments themselves say.
fn truth(folder: &Path) -> (String, Vec<Vec<u8>>) {
    let found = journal(folder).read_all().expect("readable").expect("a meeting");
    let said = said_of(&found);
    (said, roots(found))
}

/// What is signed of the segments that were open.
fn roots(found: Recovered) -> Vec<Vec<u8>> {
    let (mut core, mut signed) = (found.go_on(config(), at(400_000)), Vec::new());
    core.handle_timeout(at(401_000), &mut AllKeys);
    while let Some(output) = core.poll_output() {
        match output {
            Output::Commit(batch) => core.handle(at(401_000), Input::Committed { ticket: batch.ticket }, &mut AllKeys),
            Output::Seal(manifest) => signed.push(manifest.to_cbor()),
            _ => {}
        }
    }
    signed
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a folder");
    let done = std::process::Command::new("cp").arg("-r").arg(from.join(".")).arg(to.path()).status().expect("cp");
    assert!(done.success());
    to
}

fn index_of(folder: &Path, file: FileId) -> std::path::PathBuf {
    folder.join(file.index_path().expect("a track has one"))
}

#[test]
fn a_restart_reads_the_ends_of_segments_alone_and_knows_what_reading_all_would_tell() {
    let folder = tempfile::tempdir().expect("a folder");
    recorded(folder.path());
    let sizes: Vec<u64> = [SEALED, OPEN]
        .iter()
        .map(|file| std::fs::metadata(folder.path().join(file.path())).expect("there").len())
        .collect();
    assert!(sizes.iter().all(|size| *size > 3 * EVERY_BYTES), "{sizes:?}");
    let by_index = copy(folder.path());
    let read = Arc::new(AtomicU64::new(0));
    let mut journal = Journal::new(Box::new(Counting(Disk::new(by_index.path().to_owned()), read.clone())));
    let found = journal.recover().expect("readable").expect("a meeting");
    let bytes = read.load(Ordering::Relaxed);
    assert!(bytes < 2 * (EVERY_BYTES + 3 * 64 * 1024), "{bytes} of {sizes:?}");
    let said = (said_of(&found), roots(found));
    assert_eq!(said, truth(folder.path()));
    assert_eq!(said.1.len(), 1, "the open segment is closed, with the root that its records have");
    assert!(journal.recheck().expect("readable"), "and the segments say the same");
}

#[test]
fn an_index_that_is_torn_damaged_gone_or_of_another_segment_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    recorded(folder.path());
    let truth = truth(copy(folder.path()).path());
    let same = |what: &str, damage: &dyn Fn(&Path)| {
        let hurt = copy(folder.path());
        damage(hurt.path());
        let found = journal(hurt.path()).recover().expect("readable").expect("a meeting");
        assert_eq!((said_of(&found), roots(found)), truth, "{what}");
        // it was made anew where it was of no use
        let found = journal(hurt.path()).recover().expect("readable").expect("a meeting");
        assert_eq!(said_of(&found), truth.0, "{what}, again");
    };
    for file in [SEALED, OPEN] {
        let good = std::fs::read(index_of(folder.path(), file)).expect("there");
        for cut in [0, 3, 200, good.len() / 2, good.len() - 1] {
            same("cut", &|at| std::fs::write(index_of(at, file), &good[..cut]).expect("written"));
        }
        for flip in (0..good.len()).step_by(good.len() / 7) {
            let mut bad = good.clone();
            bad[flip] ^= 4;
            same("flipped", &|at| std::fs::write(index_of(at, file), &bad).expect("written"));
        }
        same("gone", &|at| std::fs::remove_file(index_of(at, file)).expect("there"));
        same("of a file that no longer ends there", &|at| {
            let mut longer = good.clone();
            longer.extend(&good);
            std::fs::write(index_of(at, file), longer).expect("written");
        });
    }
    same("exchanged", &|at| {
        let [one, two] = [SEALED, OPEN].map(|file| std::fs::read(index_of(at, file)).expect("there"));
        std::fs::write(index_of(at, SEALED), two).expect("written");
        std::fs::write(index_of(at, OPEN), one).expect("written");
    });
}

#[test]
fn a_forged_index_hides_no_gap_from_the_meeting_that_is_signed() {
    let folder = tempfile::tempdir().expect("a folder");
    recorded(folder.path());
    let truth = truth(copy(folder.path()).path());
    // well formed, of this very segment, and silent about the frames that are missing
    let bytes = std::fs::read(folder.path().join(SEALED.path())).expect("there");
    let (mut writer, _) = SegmentWriter::resume(&bytes).expect("a segment");
    let mut forged = IndexWriter::new(SEALED);
    let runs = FrameRuns::of_segment(&bytes).expect("whole");
    assert_eq!(runs.iter().count(), 2, "before and after the hole");
    let mut whole = *runs.iter().next().expect("a run");
    whole.count = FRAMES / 2;
    forged.frame(whole);
    let forged = forged.entry(&mut writer);
    assert_eq!(Index::read(SEALED, &forged).marks.len(), 1);
    std::fs::write(index_of(folder.path(), SEALED), forged).expect("written");

    let mut journal = journal(folder.path());
    let believed = journal.recover().expect("readable").expect("a meeting");
    assert_ne!(said_of(&believed), truth.0, "recording goes on by it");
    assert!(!journal.recheck().expect("readable"), "but nothing is signed by it");
    assert!(!index_of(folder.path(), SEALED).exists());
    let found = journal.recover().expect("readable").expect("a meeting");
    assert_eq!((said_of(&found), roots(found)), truth);
    assert!(journal.recheck().expect("readable"));
}

#[test]
fn a_signed_segment_of_another_length_or_root_than_was_signed_is_read_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    recorded(folder.path());
    let path = folder.path().join(SEALED.path());
    let mut bytes = std::fs::read(&path).expect("there");
    let last = bytes.len() - 100;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).expect("written");
    let mut journal = journal(folder.path());
    let found = journal.recover().expect("readable").expect("a meeting");
    assert_eq!(said_of(&found), truth(folder.path()).0, "what the segment still says");
    assert_ne!(sha256(&bytes), sha256(&std::fs::read(&path).expect("there")), "cut where it breaks, as always");
}

//! Each call that changes the disk fails once, in turn: an I/O error, or no space after half of what was to be written. After
//! a failed fsync the disk has lost what it should have written, as Linux does it. Whatever fails, nothing acknowledged is
//! lost, nothing is acknowledged between the failure and the reopening, and the meeting can be closed.

use crash::firm;
use crash::judge::judge;
use crash::promise::Promises;
use crash::recording::{Manner, Recording};
use recorder_journal::store::{Disk, Gate, Site};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const SEED: u64 = 77;
const MESSAGES: u64 = 150;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Io,
    NoSpace,
}

/// Fails the call `at`, counted from 0 over all kinds.
struct Once {
    at: u64,
    fault: Fault,
    calls: Arc<Mutex<Vec<Site>>>,
    /// Bytes of each file that a sync covered.
    synced: BTreeMap<PathBuf, u64>,
}

impl Once {
    /// The kernel marks what it could not write as clean and forgets it: the next sync says that all is well.
    fn forget(&self, path: &Path) {
        let (Some(kept), Ok(bytes)) = (self.synced.get(path).copied().or(Some(0)), std::fs::read(path)) else { return };
        let kept = usize::try_from(kept).expect("small files").min(bytes.len());
        let mut after = bytes[..kept].to_vec();
        after.resize(bytes.len(), 0);
        std::fs::write(path, after).expect("a file in memory");
    }
}

impl Gate for Once {
    fn before(&mut self, site: Site, path: &Path, bytes: usize) -> Result<(), (io::Error, usize)> {
        let mut calls = self.calls.lock().expect("no holder panics");
        calls.push(site);
        if calls.len() as u64 - 1 != self.at {
            if site == Site::SyncFile {
                let len = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
                self.synced.insert(path.to_owned(), len);
            }
            return Ok(());
        }
        if site == Site::SyncFile {
            self.forget(path);
        }
        Err(match self.fault {
            Fault::Io => (io::Error::from_raw_os_error(5), 0),
            Fault::NoSpace => (io::ErrorKind::StorageFull.into(), bytes / 2),
        })
    }
}

/// Memory where there is some for files: thousands of syncs take no time there.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// One recording with one fault; what it said, and which calls it made.
fn recorded(folder: &Path, at: u64, fault: Fault) -> (anyhow::Result<()>, String, Vec<Site>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let gate = Once { at, fault, calls: calls.clone(), synced: BTreeMap::new() };
    let disk = Disk::behind(folder.join("meeting"), gate);
    let said = Arc::new(Mutex::new(Vec::new()));
    let out = Said(said.clone());
    let done = Recording::on(Box::new(disk), 0, Manner::Honest, out).and_then(|one| one.run(SEED, 0, MESSAGES));
    let text = String::from_utf8(said.lock().expect("no holder panics").clone()).expect("text");
    let calls = calls.lock().expect("no holder panics").clone();
    (done, text, calls)
}

struct Said(Arc<Mutex<Vec<u8>>>);

impl io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no holder panics").write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fails one sync of a track, which a group commit makes.
struct OneCommit {
    syncs_before: u32,
}

impl Gate for OneCommit {
    fn before(&mut self, site: Site, path: &Path, _: usize) -> Result<(), (io::Error, usize)> {
        let of_track = path.components().any(|part| part.as_os_str() == "tracks");
        if site != Site::SyncFile || !of_track {
            return Ok(());
        }
        let now = self.syncs_before == 0;
        self.syncs_before = self.syncs_before.checked_sub(1).unwrap_or(u32::MAX);
        if now { Err((io::Error::from_raw_os_error(5), 0)) } else { Ok(()) }
    }
}

#[test]
fn what_was_lost_while_the_archive_failed_says_so_in_its_gap() {
    let folder = folder();
    let disk = Disk::behind(folder.path().join("meeting"), OneCommit { syncs_before: 6 });
    let said = Arc::new(Mutex::new(Vec::new()));
    let one = Recording::on(Box::new(disk), 0, Manner::Honest, Said(said.clone())).expect("a good disk until then");
    // a group commit fails, and the SFU has not kept all of what came after it
    one.forgetting(60).run(SEED, 0, 4 * MESSAGES).expect("it is opened again");
    let said = String::from_utf8(said.lock().expect("no holder panics").clone()).expect("text");
    assert!(said.contains("opened again"), "{said}");
    let report = verify::verify(&folder.path().join("meeting"), &firm::trust()).expect("a closed meeting");
    assert!(report.is_good() && report.gaps > 0, "{:?}", report.findings);
    assert!(report.gap_list.iter().all(|gap| gap.contains("(archive-failed)")), "{:?}", report.gap_list);
}

/// Everything promised is there, also when a later process has to finish what this one could not.
fn judged(folder: &Path, said: &str, context: &str) {
    let meeting = folder.join("meeting");
    let mut promises = Promises::default();
    promises.take(said);
    let found = judge(&meeting, SEED, &promises).expect("readable");
    assert_eq!((found.lost, found.broken), (0, 0), "{context}: {said}");
    if !promises.done {
        let mut more = Vec::new();
        let again = Recording::open(&meeting, 0, Manner::Honest, &mut more).expect("a good disk");
        again.run(SEED, promises.acknowledged, MESSAGES).expect("a good disk");
        promises.take(&String::from_utf8(more).expect("text"));
    }
    let found = judge(&meeting, SEED, &promises).expect("readable");
    assert_eq!((found.lost, found.broken), (0, 0), "{context}, closed: {said}");
    let report = verify::verify(&meeting, &firm::trust()).expect("a closed meeting");
    assert!(report.is_good() && report.gaps == 0, "{context}: {:?} {:?}", report.findings, report.gap_list);
}

#[test]
fn whatever_write_or_fsync_fails_nothing_acknowledged_is_lost_and_nothing_is_acknowledged_before_the_reopening() {
    let good = folder();
    let (done, said, calls) = recorded(good.path(), u64::MAX, Fault::Io);
    done.expect("nothing fails");
    judged(good.path(), &said, "no fault");
    let kinds = [Site::MakeFolder, Site::Open, Site::Write, Site::SyncFile, Site::SyncFolder, Site::Rename];
    assert!(kinds.iter().all(|kind| calls.contains(kind)), "every kind of call is tried: {calls:?}");
    let mut reopened = 0;
    for fault in [Fault::Io, Fault::NoSpace] {
        for at in 0..calls.len() as u64 {
            let folder = folder();
            let (_, said, _) = recorded(folder.path(), at, fault);
            judged(folder.path(), &said, &format!("{fault:?} at call {at}, {:?}", calls[at as usize]));
            if let Some((_, after)) = said.split_once("failed ") {
                let between = after.split_once("opened again").map_or(after, |(between, _)| between);
                assert!(!between.contains("ack") && !between.contains("key"), "{fault:?} at {at}: {said}");
                reopened += 1;
            }
        }
    }
    println!("{} calls failed twice each, {reopened} times the archive was opened again", calls.len());
    assert!(reopened > 20, "group commits were among them: {reopened}");
}

//! Group commits on a store, on a thread of its own, and what may be believed after one failed.

use crate::store::Store;
use evidence::archive::SegmentManifest;
use evidence::archive::record::{MAX_HEADER, RecordProblem};
use evidence::cose::payload_unverified;
use recorder_core::{Batch, FileId, Found, Index, Part, Recovered};
use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc;
use tokio::sync::oneshot;

/// Bytes of the write that must succeed before a failed archive is used again.
const PROBE: usize = 64 * 1024;

/// Bytes of a segment that hold its header.
const HEAD: u64 = 2 * MAX_HEADER as u64;

/// What to do with what lies in `index/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Indexes {
    Believe,
    Rebuild,
}

/// Files of one meeting with their durable sizes.
pub struct Journal {
    store: Box<dyn Store>,
    durable: BTreeMap<FileId, u64>,
    /// Whole files that a dead process wrote, with their sizes: durable once they are synced, together.
    unsynced: Vec<(FileId, u64)>,
    /// Segment of each track that grows.
    current: BTreeMap<u32, u32>,
    /// Signed segments whose index was believed.
    believed: Vec<FileId>,
    /// A write or fsync failed: nothing is committed before [`Self::reopen`].
    broken: bool,
}

impl Journal {
    /// On a store.
    pub fn new(store: Box<dyn Store>) -> Self {
        Self {
            store,
            durable: BTreeMap::new(),
            unsynced: Vec::new(),
            current: BTreeMap::new(),
            believed: Vec::new(),
            broken: false,
        }
    }

    /// The files themselves: manifests and keys go around the journal.
    pub fn store(&mut self) -> &mut dyn Store {
        &mut *self.store
    }

    /// Writes a group commit: all files, then (when these are durable) the events.
    ///
    /// # Errors
    /// The store's. From then on every commit fails until the journal is reopened: after a failed fsync the system may
    /// forget what it could not write and call the next one good.
    pub fn commit(&mut self, batch: &Batch) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("the archive failed before and was not reopened"));
        }
        let done = self.write(batch);
        self.broken = done.is_err();
        done
    }

    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        let mut grown: BTreeMap<FileId, u64> = BTreeMap::new();
        let mut paths = Vec::with_capacity(batch.writes.len());
        for (file, bytes) in &batch.writes {
            let path = file.path();
            self.store.append(&path, bytes)?;
            paths.push(path);
            *grown.entry(*file).or_default() += bytes.len() as u64;
        }
        self.store.sync_all(&paths)?;
        if !batch.events.is_empty() {
            self.store.append(&FileId::Events.path(), &batch.events)?;
            self.store.sync(&FileId::Events.path())?;
            *grown.entry(FileId::Events).or_default() += batch.events.len() as u64;
        }
        self.end_older(grown.keys());
        for (file, bytes) in grown {
            *self.durable.entry(file).or_default() += bytes;
        }
        for (file, bytes) in &batch.indexes {
            // an index with a hole ends there: it costs time at the next start, and nothing else
            let _ = file.index_path().map(|path| self.store.note(&path, bytes));
        }
        Ok(())
    }

    /// Segments before the one that a track is at grow no more: their files need not stay open.
    fn end_older<'a>(&mut self, grown: impl Iterator<Item = &'a FileId>) {
        for file in grown {
            let FileId::Track { track, index } = *file else { continue };
            let now = self.current.entry(track).or_insert(index);
            let before = std::mem::replace(now, index.max(*now));
            for old in (before..*now).map(|index| FileId::Track { track, index }) {
                self.store.ended(&old.path());
                old.index_path().into_iter().for_each(|path| self.store.ended(&path));
            }
        }
    }

    /// After a failure: tries the store, cuts every file back to what is known to be durable, reads it all again.
    /// `None`: nothing was durable yet, begin anew.
    ///
    /// # Errors
    /// The store still fails.
    pub fn reopen(&mut self) -> io::Result<Option<Recovered>> {
        self.store.put("probe", &vec![0x5a; PROBE])?;
        self.store.cut("probe", 0)?;
        for file in self.files()? {
            let durable = self.durable.get(&file).copied().unwrap_or(0);
            self.store.cut(&file.path(), durable)?;
        }
        self.broken = false;
        self.recover()
    }

    fn files(&mut self) -> io::Result<Vec<FileId>> {
        let mut files = Vec::new();
        for folder in self.store.list("tracks")? {
            for name in self.store.list(&format!("tracks/{folder}"))? {
                let index = name.strip_suffix(".seg").and_then(|number| number.parse().ok());
                if let (Ok(track), Some(index)) = (folder.parse(), index) {
                    files.push(FileId::Track { track, index });
                }
            }
        }
        files.extend([FileId::EpochKeys, FileId::Events]);
        let mut there = Vec::new();
        for file in files {
            let (folder, name) = match file.path().rsplit_once('/') {
                Some((folder, name)) => (folder.to_owned(), name.to_owned()),
                None => (String::new(), file.path()),
            };
            if self.store.list(&folder)?.contains(&name) {
                there.push(file);
            }
        }
        Ok(there)
    }

    /// Reads what is on disk, cuts torn ends off. `None`: there is nothing to go on with.
    ///
    /// # Errors
    /// The store's; or the event segment is damaged (not torn), or gone from beside signed segments: then nothing is
    /// touched, because what lies there may have been acknowledged.
    pub fn recover(&mut self) -> io::Result<Option<Recovered>> {
        self.recover_by(Indexes::Believe)
    }

    /// The same without a look at any index: everything is read.
    ///
    /// # Errors
    /// As [`Self::recover`].
    pub fn read_all(&mut self) -> io::Result<Option<Recovered>> {
        self.recover_by(Indexes::Rebuild)
    }

    fn recover_by(&mut self, indexes: Indexes) -> io::Result<Option<Recovered>> {
        self.believed.clear();
        self.unsynced.clear();
        let events = self.store.read(&FileId::Events.path())?;
        let keys = self.store.read(&FileId::EpochKeys.path())?.unwrap_or_default();
        let Some(events) = events.filter(|bytes| bytes.iter().any(|byte| *byte != 0)) else { return self.begin_anew() };
        let mut recovered = match Recovered::new(&events, &keys) {
            Ok(recovered) => recovered,
            Err(error) if error.problem == RecordProblem::Cut => return self.begin_anew(),
            Err(error) => {
                let why =
                    format!("{} is damaged: {error}; lay the folder aside and look into it", FileId::Events.path());
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        };
        self.durable.clear();
        for (file, good) in recovered.sizes() {
            let len = if file == FileId::Events { events.len() } else { keys.len() } as u64;
            self.settle(file, len, good)?;
        }
        for file in self.files()? {
            let FileId::Track { .. } = file else { continue };
            self.segment(file, indexes, &mut recovered)?;
        }
        self.sync_settled()?;
        Ok(Some(recovered))
    }

    fn segment(&mut self, file: FileId, indexes: Indexes, recovered: &mut Recovered) -> io::Result<()> {
        let size = self.store.size(&file.path())?.unwrap_or(0);
        let signed = self.store.read(&file.manifest_path())?;
        if indexes == Indexes::Believe
            && let Some(good) = self.indexed(file, size, signed.as_deref(), recovered)?
        {
            if signed.is_some() && good == size {
                // it was signed once it was durable
                self.durable.insert(file, good);
                return Ok(());
            }
            return self.settle(file, size, good);
        }
        let bytes = self.store.read(&file.path())?.unwrap_or_default();
        let sealed = if signed.is_some() { Found::Sealed } else { Found::Unsealed };
        let (good, index) = recovered.rebuilt(&bytes, sealed);
        self.settle(file, bytes.len() as u64, good)?;
        if let Some(path) = file.index_path() {
            // as in a group commit: without it the next start takes longer
            let _ = self.store.cut(&path, 0).and_then(|()| self.store.note(&path, &index));
        }
        Ok(())
    }

    /// Takes a segment by its index; `None` if that cannot be believed.
    fn indexed(
        &mut self,
        file: FileId,
        size: u64,
        signed: Option<&[u8]>,
        recovered: &mut Recovered,
    ) -> io::Result<Option<u64>> {
        let Some(index) = file.index_path().map(|path| self.store.read(&path)).transpose()?.flatten() else {
            return Ok(None);
        };
        let manifest = signed.and_then(payload_unverified).and_then(|payload| SegmentManifest::from_cbor(&payload));
        if signed.is_some() != manifest.is_some() {
            return Ok(None);
        }
        let head = self.store.read_part(&file.path(), 0, HEAD)?.unwrap_or_default();
        let part = Part { head: &head, size, manifest: manifest.as_ref() };
        let read = |from, len| Ok::<_, io::Error>(self.store.read_part(&file.path(), from, len)?.unwrap_or_default());
        let good = recovered.indexed(Index::read(file, &index), &part, read)?;
        if good.is_some() && signed.is_some() {
            self.believed.push(file);
        }
        Ok(good)
    }

    /// Reads the signed segments again whose indexes were believed at the start: do the frames lie there that the indexes
    /// spoke of? Before a meeting's gaps are signed. `false`: one lied; that index is gone, so the next [`Self::recover`]
    /// reads the segment itself.
    ///
    /// # Errors
    /// The store's.
    pub fn recheck(&mut self) -> io::Result<bool> {
        let mut all_good = true;
        while let Some(file) = self.believed.last().copied() {
            let path = file.index_path().unwrap_or_default();
            let bytes = self.store.read(&file.path())?.unwrap_or_default();
            let index = self.store.read(&path)?.unwrap_or_default();
            let runs = Index::read(file, &index).covers(&bytes);
            if !runs {
                self.store.cut(&path, 0)?;
                all_good = false;
            }
            self.believed.pop();
        }
        Ok(all_good)
    }

    /// The meeting is closed: its indexes are of no more use.
    ///
    /// # Errors
    /// The store's.
    pub fn forget_indexes(&mut self) -> io::Result<()> {
        for path in self.files()?.into_iter().filter_map(FileId::index_path) {
            if self.store.size(&path)?.is_some() {
                self.store.cut(&path, 0)?;
            }
        }
        Ok(())
    }

    /// The head of the first file was never durable: nothing was acknowledged. What a dead process wrote around it goes, or
    /// the next one would write behind it.
    fn begin_anew(&mut self) -> io::Result<Option<Recovered>> {
        if !self.store.list("segments")?.is_empty() {
            let why = format!("{} is missing beside signed segments; lay the folder aside", FileId::Events.path());
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        for file in self.files()? {
            self.store.cut(&file.path(), 0)?;
            file.index_path().map(|path| self.store.cut(&path, 0)).transpose()?;
        }
        self.durable.clear();
        Ok(None)
    }

    fn settle(&mut self, file: FileId, len: u64, good: u64) -> io::Result<()> {
        // an empty file too: its name alone was durable, and no manifest will ever speak of it
        if good == len && good > 0 {
            // what a killed process wrote is in the page cache, perhaps not on the disk
            self.unsynced.push((file, good));
            return Ok(());
        }
        self.store.cut(&file.path(), good)?;
        if good > 0 {
            self.durable.insert(file, good);
        } else if let Some(path) = file.index_path() {
            self.store.cut(&path, 0)?;
        }
        Ok(())
    }

    /// Together they cost little more than one. None of them counts as durable before all are.
    fn sync_settled(&mut self) -> io::Result<()> {
        let settled = std::mem::take(&mut self.unsynced);
        let paths: Vec<String> = settled.iter().map(|(file, _)| file.path()).collect();
        self.store.sync_all(&paths)?;
        self.durable.extend(settled);
        Ok(())
    }
}

type Job = Box<dyn FnOnce(&mut Journal) + Send>;

/// The thread that owns a journal. Dropped: the thread ends after its last job.
#[derive(Clone)]
pub struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub fn start(store: Box<dyn Store>) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("archive".to_owned()).spawn(move || {
            let mut journal = Journal::new(store);
            for job in queue {
                job(&mut journal);
            }
        })?;
        Ok(Self { jobs })
    }

    /// Does something with the journal, in order after what was asked before.
    pub fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Journal) -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (answer, receiver) = oneshot::channel();
        // without a thread the answer is dropped and the receiver says so
        let _ = self.jobs.send(Box::new(move |journal| {
            let _ = answer.send(work(journal));
        }));
        receiver
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use domain::{Codec, Slot, UnixMillis};
    use evidence::archive::{SegmentHeader, SegmentWriter, TrackInfo};
    use std::sync::{Arc, Mutex};

    /// A disk in memory that can be full, read-only, or lose what it promised to write.
    #[derive(Clone, Default)]
    pub struct FaultyDisk(pub Arc<Mutex<Faults>>);

    /// Its state.
    #[derive(Default)]
    pub struct Faults {
        /// What programs see.
        pub seen: BTreeMap<String, Vec<u8>>,
        /// What would survive a power loss.
        pub kept: BTreeMap<String, Vec<u8>>,
        /// Bytes that still fit.
        pub room: Option<usize>,
        /// Every write fails.
        pub read_only: bool,
        /// The next fsync fails and forgets what it should have written, as Linux does.
        pub fail_sync: bool,
    }

    impl Faults {
        fn take(&mut self, bytes: usize) -> io::Result<usize> {
            if self.read_only {
                return Err(io::ErrorKind::ReadOnlyFilesystem.into());
            }
            let Some(room) = &mut self.room else { return Ok(bytes) };
            let fits = bytes.min(*room);
            *room -= fits;
            Ok(fits)
        }
    }

    impl Store for FaultyDisk {
        fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
            let mut disk = self.0.lock().expect("no holder panics");
            let fits = disk.take(bytes.len())?;
            disk.seen.entry(path.to_owned()).or_default().extend(&bytes[..fits]);
            if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
        fn sync(&mut self, path: &str) -> io::Result<()> {
            let mut disk = self.0.lock().expect("no holder panics");
            if std::mem::take(&mut disk.fail_sync) {
                return Err(io::Error::other("I/O error"));
            }
            let bytes = disk.seen.get(path).cloned().unwrap_or_default();
            disk.kept.insert(path.to_owned(), bytes);
            Ok(())
        }
        fn put(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
            let mut disk = self.0.lock().expect("no holder panics");
            if disk.take(bytes.len())? < bytes.len() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            disk.seen.insert(path.to_owned(), bytes.to_vec());
            disk.kept.insert(path.to_owned(), bytes.to_vec());
            Ok(())
        }
        fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
            Ok(self.0.lock().expect("no holder panics").seen.get(path).cloned())
        }
        fn read_part(&mut self, path: &str, from: u64, len: u64) -> io::Result<Option<Vec<u8>>> {
            let bytes = self.read(path)?;
            Ok(bytes.map(|bytes| bytes.into_iter().skip(from as usize).take(len as usize).collect()))
        }
        fn size(&mut self, path: &str) -> io::Result<Option<u64>> {
            Ok(self.read(path)?.map(|bytes| bytes.len() as u64))
        }
        fn note(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
            self.append(path, bytes)
        }
        fn ended(&mut self, _: &str) {}
        fn cut(&mut self, path: &str, len: u64) -> io::Result<()> {
            let mut disk = self.0.lock().expect("no holder panics");
            if len == 0 {
                disk.seen.remove(path);
                disk.kept.remove(path);
            } else if let Some(bytes) = disk.seen.get_mut(path) {
                bytes.truncate(len as usize);
                let bytes = bytes.clone();
                disk.kept.insert(path.to_owned(), bytes);
            }
            Ok(())
        }
        fn list(&mut self, folder: &str) -> io::Result<Vec<String>> {
            let disk = self.0.lock().expect("no holder panics");
            let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
            let mut names: Vec<String> = disk
                .seen
                .keys()
                .filter_map(|path| path.strip_prefix(&prefix)?.split('/').next().map(str::to_owned))
                .collect();
            names.dedup();
            Ok(names)
        }
    }

    /// First bytes of a segment: what recovery takes for good.
    fn head(track: Option<u32>) -> Vec<u8> {
        let info = |track| TrackInfo {
            track,
            participant: "bank-a/anna/d1".parse().expect("an id"),
            slot: Slot(0),
            codec: Codec::Opus,
        };
        let header = SegmentHeader {
            version: 1,
            firm: "bank-a".parse().expect("an id"),
            meeting: "00112233445566778899aabbccddeeff".parse().expect("an id"),
            track: track.map(info),
            index: 1,
            first_seq: 0,
            suite: 5,
            clock_rate: 48_000,
            started_at: UnixMillis(1),
            monotonic_ms: 1,
        };
        let mut out = Vec::new();
        SegmentWriter::new(header, &mut out);
        out
    }

    /// The first group commit of a meeting.
    fn first() -> Batch {
        batch(1, &head(Some(1)), &head(None))
    }

    fn batch(ticket: u64, sound: &[u8], events: &[u8]) -> Batch {
        Batch {
            ticket,
            writes: vec![(FileId::Track { track: 1, index: 1 }, sound.to_vec())],
            events: events.to_vec(),
            indexes: Vec::new(),
        }
    }

    #[test]
    fn a_full_disk_fails_the_commit_and_every_later_one_until_it_is_reopened() {
        let disk = FaultyDisk::default();
        let mut journal = Journal::new(Box::new(disk.clone()));
        journal.commit(&first()).expect("room enough");
        disk.0.lock().expect("no holder panics").room = Some(2);
        assert_eq!(journal.commit(&batch(2, b"lost", b"x")).expect_err("full").kind(), io::ErrorKind::StorageFull);
        disk.0.lock().expect("no holder panics").room = None;
        assert!(journal.commit(&batch(3, b"more", b"x")).is_err(), "room alone does not make it good again");
        assert!(journal.reopen().is_ok());
        let seen = disk.0.lock().expect("no holder panics").seen.clone();
        assert_eq!(seen["tracks/0001/00001.seg"], head(Some(1)), "cut back to what was acknowledged");
        journal.commit(&batch(4, b"more", b"x")).expect("works again");
    }

    #[test]
    fn after_a_failed_fsync_what_it_covered_is_never_believed() {
        let disk = FaultyDisk::default();
        let mut journal = Journal::new(Box::new(disk.clone()));
        journal.commit(&first()).expect("works");
        disk.0.lock().expect("no holder panics").fail_sync = true;
        assert!(journal.commit(&batch(2, b"lost", b"")).is_err());
        assert!(journal.commit(&batch(3, b"next", b"")).is_err(), "the next fsync would lie");
        assert!(journal.reopen().is_ok());
        journal.commit(&batch(4, b"again", b"")).expect("works again");
        let kept = disk.0.lock().expect("no holder panics").kept.clone();
        assert_eq!(kept["tracks/0001/00001.seg"], [head(Some(1)), b"again".to_vec()].concat());
    }

    #[test]
    fn a_read_only_archive_stays_failed_and_keeps_what_it_had() {
        let disk = FaultyDisk::default();
        let mut journal = Journal::new(Box::new(disk.clone()));
        journal.commit(&batch(1, b"good", b"")).expect("works");
        disk.0.lock().expect("no holder panics").read_only = true;
        assert!(journal.commit(&batch(2, b"lost", b"")).is_err());
        assert!(journal.reopen().is_err());
        assert!(journal.commit(&batch(3, b"lost", b"")).is_err());
        assert_eq!(disk.0.lock().expect("no holder panics").kept["tracks/0001/00001.seg"], b"good");
    }

    #[test]
    fn events_are_written_only_after_the_frames_they_speak_of_are_durable() {
        let disk = FaultyDisk::default();
        let mut journal = Journal::new(Box::new(disk.clone()));
        disk.0.lock().expect("no holder panics").fail_sync = true;
        assert!(journal.commit(&batch(1, b"frames", b"durable up to 9")).is_err());
        assert!(!disk.0.lock().expect("no holder panics").seen.contains_key("events.seg"));
    }
}

//! The process that is killed: the recorder's core and journal on a real folder, fed with a seeded meeting, every promise
//! said over standard output after what it speaks of is durable.
//!
//! Time is the stream's: a second of meeting takes as long as the disk needs for it.

use crate::firm;
use crate::promise::Promise;
use crate::stream::{BEGIN_MS, Stream, Told};
use anyhow::Context;
use domain::message::record_link::FromSfuRecord;
use domain::{Codec, Epoch, ParticipantId, Slot, UnixMillis};
use evidence::archive::log::Log;
use evidence::archive::manifest::{Closed, write_sealed_keys};
use evidence::archive::{
    ArchiveEvent, CHECKPOINT_LABEL, Digest, EpochKey, LogProof, MEETING_LABEL, SEGMENT_LABEL, SealedKeys,
    SegmentManifest, names, sha256,
};
use recorder_core::{Config, FileId, FileRule, Input, Meeting, Now, Opener, Output, Parts, Phase, Verdict, Wants};
use recorder_journal::journal::{Journal, Writer};
use recorder_journal::store::{Disk, Store};
use std::io::Write;
use std::path::Path;
use std::time::Instant;
use tokio::sync::oneshot;

/// Steps of meeting that may run ahead of the disk: as much as comes in while it writes.
const AHEAD: u64 = 40;

/// What a recorder may do wrong, to prove that a campaign sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Manner {
    /// As the recorder does it.
    Honest,
    /// Acknowledges before it wrote.
    Early,
    /// Acknowledges what is written and not synced.
    Unsynced,
}

/// Every tag is right: what is judged here is the disk.
pub struct AllKeys;

/// Closed segments with path and hash of their signed manifests.
pub type Segments = Vec<(SegmentManifest, String, Digest)>;

impl Opener for AllKeys {
    fn open(&mut self, _: UnixMillis, _: &ParticipantId, _: Slot, _: Codec, _: &[u8]) -> Verdict {
        Verdict::Opened
    }
}

/// A folder that forgets to sync.
struct Unsynced(Disk);

impl Store for Unsynced {
    fn append(&mut self, path: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.0.append(path, bytes)
    }
    fn sync(&mut self, _: &str) -> std::io::Result<()> {
        Ok(())
    }
    fn put(&mut self, path: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.0.put(path, bytes)
    }
    fn read(&mut self, path: &str) -> std::io::Result<Option<Vec<u8>>> {
        self.0.read(path)
    }
    fn read_part(&mut self, path: &str, from: u64, len: u64) -> std::io::Result<Option<Vec<u8>>> {
        self.0.read_part(path, from, len)
    }
    fn size(&mut self, path: &str) -> std::io::Result<Option<u64>> {
        self.0.size(path)
    }
    fn note(&mut self, path: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.0.note(path, bytes)
    }
    fn ended(&mut self, path: &str) {
        self.0.ended(path);
    }
    fn cut(&mut self, path: &str, len: u64) -> std::io::Result<()> {
        self.0.cut(path, len)
    }
    fn list(&mut self, folder: &str) -> std::io::Result<Vec<String>> {
        self.0.list(folder)
    }
}

/// A recording in this process.
pub struct Recording<W> {
    core: Meeting,
    files: Writer,
    incarnation: u64,
    epoch: Epoch,
    commit: Option<(u64, oneshot::Receiver<std::io::Result<()>>)>,
    segments: Segments,
    manner: Manner,
    at: Now,
    acknowledged: u64,
    failures: u32,
    /// Messages that the SFU did not keep while the archive failed.
    forgotten: u64,
    finished: bool,
    out: W,
}

fn config(incarnation: u64) -> Config {
    Config {
        firm: firm::id(),
        meeting: firm::meeting(),
        recorder: firm::recorder(),
        incarnation,
        software: "crash-campaign".to_owned(),
        wants: Wants::Media,
        files: FileRule::Kept,
    }
}

fn now(at_ms: u64) -> Now {
    Now { wall: UnixMillis(BEGIN_MS + at_ms), mono_ms: 1_000 + at_ms }
}

fn ask<T: Send + 'static>(
    files: &Writer,
    work: impl FnOnce(&mut Journal) -> std::io::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    Ok(files.ask(work).blocking_recv().context("the archive's thread")??)
}

/// Writes a whole file; a second time if it fails, as the recorder's sealer tries until it is done.
fn put(files: &Writer, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let once = || {
        let (path, bytes) = (path.to_owned(), bytes.to_vec());
        ask(files, move |journal| journal.store().put(&path, &bytes))
    };
    once().or_else(|_| once())
}

/// Segments whose signed manifests are there; events are signed at the end alone.
fn signed_before(journal: &mut Journal) -> std::io::Result<Segments> {
    let mut all = Vec::new();
    for name in journal.store().list("segments")?.into_iter().filter(|name| name.ends_with(".cose")) {
        let path = format!("segments/{name}");
        let bytes = journal.store().read(&path)?.unwrap_or_default();
        let payload = evidence::cose::payload_unverified(&bytes).unwrap_or_default();
        if let Some(manifest) = SegmentManifest::from_cbor(&payload).filter(|manifest| manifest.track != 0) {
            all.push((manifest, path, sha256(&bytes)));
        }
    }
    Ok(all)
}

impl<W: Write> Recording<W> {
    /// Opens the folder, whatever a dead process left in it. `at_ms`: the meeting's time.
    ///
    /// # Errors
    /// The disk's, or a promise that nobody hears.
    pub fn open(folder: &Path, at_ms: u64, manner: Manner, out: W) -> anyhow::Result<Self> {
        let disk = Disk::new(folder.to_owned());
        let store: Box<dyn Store> = if manner == Manner::Unsynced { Box::new(Unsynced(disk)) } else { Box::new(disk) };
        Self::on(store, at_ms, manner, out)
    }

    /// The same on any store.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn on(store: Box<dyn Store>, at_ms: u64, manner: Manner, mut out: W) -> anyhow::Result<Self> {
        let began = Instant::now();
        let files = Writer::start(store)?;
        let recovered = ask(&files, Journal::recover)?;
        let segments = ask(&files, signed_before)?;
        writeln!(out, "{}", Promise::Reopened(began.elapsed().as_millis() as u64))?;
        let known = ask(&files, |journal| journal.store().read(names::SEALED_KEYS))?;
        let mut keys =
            known.and_then(|bytes| evidence::archive::manifest::read_sealed_keys(&bytes)).unwrap_or_default();
        let incarnation = keys.len() as u64 + 1;
        keys.push(SealedKeys { incarnation, recorder: firm::recorder(), keys: Vec::new() });
        let bytes = write_sealed_keys(&keys);
        ask(&files, move |journal| journal.store().put(names::SEALED_KEYS, &bytes))?;
        let core = match recovered {
            Some(recovered) => recovered.go_on(config(incarnation), now(at_ms)),
            None => Meeting::new(config(incarnation), now(at_ms)),
        };
        let epoch = Epoch(0);
        let mut one = Self {
            core,
            files,
            incarnation,
            epoch,
            commit: None,
            segments,
            manner,
            at: now(at_ms),
            acknowledged: 0,
            failures: 0,
            forgotten: 0,
            finished: false,
            out,
        };
        if one.core.summary().terms.is_none() {
            one.core.handle(now(at_ms), Input::Terms(Box::new(terms())), &mut AllKeys);
        }
        Ok(one)
    }

    /// The SFU keeps so many messages less than it should while the archive fails.
    pub fn forgetting(mut self, messages: u64) -> Self {
        self.forgotten = messages;
        self
    }

    /// Records what comes after `acknowledged` for so many messages, then closes the meeting. When the archive fails it is
    /// opened again, once, and what was not acknowledged comes again.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn run(mut self, seed: u64, acknowledged: u64, messages: u64) -> anyhow::Result<()> {
        self.acknowledged = acknowledged;
        let last = acknowledged.saturating_add(messages);
        loop {
            let played = self.play(seed, last);
            match played {
                Ok(()) => return self.conclude(),
                Err(error) if self.core.phase() == Phase::Failed && self.failures == 0 => self.reopen(&error)?,
                Err(error) => return Err(error),
            }
        }
    }

    fn play(&mut self, seed: u64, last: u64) -> anyhow::Result<()> {
        let after = self.acknowledged;
        for (n, told) in Stream::new(seed).filter(|told| told.seq > after).enumerate() {
            if told.seq > last {
                break;
            }
            if n == 0 {
                let welcome = FromSfuRecord::Welcome { oldest: told.seq };
                self.core.handle(now(told.at_ms), Input::Link(welcome), &mut AllKeys);
            }
            self.take(told)?;
        }
        self.core.handle(self.at, Input::Finish, &mut AllKeys);
        while !self.finished {
            self.pump(true)?;
        }
        Ok(())
    }

    /// As the recorder does it: nothing is acknowledged until the store was tried, cut back and read anew.
    fn reopen(&mut self, why: &anyhow::Error) -> anyhow::Result<()> {
        self.failures += 1;
        writeln!(self.out, "failed {why}")?;
        let recovered = ask(&self.files, Journal::reopen)?;
        self.core = match recovered {
            Some(recovered) => recovered.go_on(config(self.incarnation), self.at),
            None => Meeting::new(config(self.incarnation), self.at),
        };
        if self.core.summary().terms.is_none() {
            self.core.handle(self.at, Input::Terms(Box::new(terms())), &mut AllKeys);
        }
        let failed = ArchiveEvent::ArchiveFailed { since: self.at.wall };
        self.core.handle(self.at, Input::Event(failed), &mut AllKeys);
        self.acknowledged += self.forgotten;
        self.epoch = Epoch(0);
        writeln!(self.out, "opened again")?;
        Ok(())
    }

    fn take(&mut self, told: Told) -> anyhow::Result<()> {
        let at = now(told.at_ms);
        self.at = at;
        if told.epoch != self.epoch {
            self.epoch = told.epoch;
            self.enter(at, told.epoch);
        }
        if self.core.poll_timeout().is_some_and(|due| due <= at.mono_ms) {
            self.core.handle_timeout(at, &mut AllKeys);
        }
        let new_step = told.seq.is_multiple_of(AHEAD);
        self.core.handle(at, Input::Link(told.message), &mut AllKeys);
        self.pump(new_step)
    }

    /// A new epoch and its base key, under this life's meeting key.
    fn enter(&mut self, at: Now, epoch: Epoch) {
        let transcript_hash = sha256(&epoch.0.to_be_bytes());
        self.core.handle(at, Input::Epoch { epoch, transcript_hash, members: Vec::new() }, &mut AllKeys);
        let sealed = sha256(&[self.incarnation.to_be_bytes(), epoch.0.to_be_bytes()].concat()).0.to_vec();
        let key = EpochKey { incarnation: self.incarnation, epoch, sealed: sealed.into(), transcript_hash };
        self.core.handle(at, Input::EpochKey { key, commitment: [0; 32] }, &mut AllKeys);
    }

    /// Does what the core asks for. `wait`: until the group commit that is on its way, if one is, is durable.
    fn pump(&mut self, wait: bool) -> anyhow::Result<()> {
        if let Some((ticket, receiver)) = self.commit.take() {
            if !wait && receiver.is_empty() {
                self.commit = Some((ticket, receiver));
            } else {
                let done = receiver.blocking_recv().context("the archive's thread")?;
                if let Err(error) = done {
                    self.core.handle(self.at, Input::StoreFailed, &mut AllKeys);
                    // whatever it still says must not be an acknowledgement
                    while let Some(output) = self.core.poll_output() {
                        self.act(output)?;
                    }
                    return Err(error.into());
                }
                // time stands still while the disk writes: the stream's own clock moves it on
                self.core.handle(self.at, Input::Committed { ticket }, &mut AllKeys);
            }
        }
        while let Some(output) = self.core.poll_output() {
            self.act(output)?;
        }
        Ok(())
    }

    fn act(&mut self, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Commit(batch) => {
                let ticket = batch.ticket;
                if self.manner == Manner::Early {
                    self.core.handle(self.at, Input::Committed { ticket }, &mut AllKeys);
                    std::mem::drop(self.files.ask(move |journal| journal.commit(&batch)));
                } else {
                    self.commit = Some((ticket, self.files.ask(move |journal| journal.commit(&batch))));
                }
            }
            Output::Ack { seq } => {
                self.acknowledged = self.acknowledged.max(seq);
                writeln!(self.out, "{}", Promise::Ack(seq))?;
            }
            Output::Receipt { epoch, sealed_hash, .. } => {
                let promise = Promise::Key { incarnation: self.incarnation, epoch: epoch.0, hash: sealed_hash.hex() };
                writeln!(self.out, "{promise}")?;
            }
            Output::Seal(manifest) => self.seal(manifest)?,
            Output::Finished => self.finished = true,
            _ => {}
        }
        Ok(())
    }

    fn seal(&mut self, manifest: SegmentManifest) -> anyhow::Result<()> {
        let (manifest, path, hash) = seal(&self.files, manifest)?;
        writeln!(self.out, "{}", Promise::Sealed { path: path.clone(), hash: hash.hex() })?;
        self.segments.push((manifest, path, hash));
        Ok(())
    }

    fn conclude(mut self) -> anyhow::Result<()> {
        conclude(&self.files, &self.core, &self.segments)?;
        writeln!(self.out, "{}", Promise::Done)?;
        Ok(())
    }
}

/// Signs and writes the manifest of a closed segment.
///
/// # Errors
/// The disk's.
pub fn seal(files: &Writer, manifest: SegmentManifest) -> anyhow::Result<(SegmentManifest, String, Digest)> {
    let signed = firm::sign(SEGMENT_LABEL, &manifest.to_cbor());
    let file = match manifest.track {
        0 => FileId::Events,
        track => FileId::Track { track, index: manifest.index },
    };
    let (path, hash) = (file.manifest_path(), sha256(&signed));
    put(files, &path, &signed)?;
    Ok((manifest, path, hash))
}

/// Meeting manifest, log, proof.
///
/// # Errors
/// The disk's.
pub fn conclude(files: &Writer, core: &Meeting, segments: &Segments) -> anyhow::Result<()> {
    anyhow::ensure!(ask(files, Journal::recheck)?, "an index spoke of frames that are not there");
    let keys = ask(files, |journal| {
        let store = journal.store();
        Ok((store.read(names::SEALED_KEYS)?.unwrap_or_default(), store.read(names::EPOCH_KEYS)?.unwrap_or_default()))
    })?;
    let parts = Parts {
        firm: &firm::id(),
        meeting: &firm::meeting(),
        software: "crash-campaign",
        closed: Closed::Ended,
        segments,
        sealed_keys: &keys.0,
        epoch_keys: &keys.1,
    };
    let signed = firm::sign(MEETING_LABEL, &core.summary().manifest(&parts)?.to_cbor());
    let mut log = Log::default();
    let index = log.append(&sha256(&signed));
    let head = log.checkpoint(&firm::id());
    let checkpoint = head.note(&firm::sign(CHECKPOINT_LABEL, head.text().as_bytes()), &firm::spki());
    let proof = LogProof { index, path: log.inclusion(index).context("a leaf")?, checkpoint }.to_cbor();
    put(files, names::PROOF, &proof)?;
    put(files, names::MEETING, &signed)?;
    // as the recorder does it: the meeting is closed, whether they go or stay
    std::mem::drop(files.ask(Journal::forget_indexes).blocking_recv());
    Ok(())
}

/// What binds the meeting.
pub fn terms() -> ArchiveEvent {
    ArchiveEvent::Terms {
        room: "deal-room".parse().expect("an id"),
        title: "Crash campaign".to_owned(),
        started_at: UnixMillis(BEGIN_MS),
        retention_years: 5,
        statements: Vec::new(),
        trust: Digest(firm::trust().hash()),
    }
}

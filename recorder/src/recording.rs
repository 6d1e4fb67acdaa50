//! One meeting being archived: the core, its files, its meeting key and what custody signs of it.

use crate::archive::Folder;
use crate::checkpoint::{self, StateKey};
use crate::clock;
use crate::enrol::Enrolment;
use crate::journal::Writer;
use crate::room::Shared;
use crate::seal::{self, Sealer};
use crate::store::Store;
use domain::message::client::MeetingTerms;
use domain::policy::{Rule, Statement};
use domain::{B64, MeetingId, ParticipantId, RoomId, UnixMillis};
use e2ee::escrow::MeetingKey;
use e2ee::session::Session;
use evidence::archive::manifest::{Closed, read_sealed_keys, write_sealed_keys};
use evidence::archive::{ArchiveEvent, Digest, SealedKey, SealedKeys, names};
use recorder_core::{Config, FileRule, Input, Meeting, Opener, Output, Parts, Recovered, Verdict, Wants};
use std::io;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A failed archive is tried again so often, ms.
const REOPEN_MS: u64 = 5_000;
/// Name and version in manifests.
const SOFTWARE: &str = concat!("strongroom-recorder ", env!("CARGO_PKG_VERSION"));

/// What a meeting that is only closed wants.
const CLOSING: (Wants, FileRule) = (Wants::Events, FileRule::Kept);

/// Opens nothing: for closing what is on disk.
pub struct NoKeys;

impl Opener for NoKeys {
    fn open(
        &mut self,
        _: domain::UnixMillis,
        _: &ParticipantId,
        _: domain::Slot,
        _: domain::Codec,
        _: &[u8],
    ) -> Verdict {
        Verdict::NoKey
    }
}

type Committed = (u64, io::Result<()>);

/// What happened on the disk.
pub enum FromDisk {
    /// A group commit ended.
    Commit(u64, io::Result<()>),
    /// An attempt to use the archive again ended.
    Reopened(Box<io::Result<Option<Recovered>>>),
}

/// A meeting being archived.
pub struct Recording {
    /// Which.
    pub meeting_id: MeetingId,
    /// The core.
    pub core: Meeting,
    /// Counts this recorder's starts in it.
    pub incarnation: u64,
    /// Seals base keys.
    pub key: MeetingKey,
    wants: (Wants, FileRule),
    /// Seals checkpoints; none while custody was away.
    state_key: Option<StateKey>,
    folder: Folder,
    files: Writer,
    sealer: Option<Sealer>,
    commit: Option<oneshot::Receiver<Committed>>,
    reopen: Option<oneshot::Receiver<io::Result<Option<Recovered>>>>,
    reopen_at_ms: Option<u64>,
    /// The first write that failed since the archive was last good.
    failed_at: Option<UnixMillis>,
}

fn core_config(shared: &Shared, meeting: &MeetingId, incarnation: u64, (wants, files): (Wants, FileRule)) -> Config {
    Config {
        firm: shared.config.firm.clone(),
        meeting: meeting.clone(),
        recorder: shared.participant.clone(),
        incarnation,
        software: SOFTWARE.to_owned(),
        wants,
        files,
    }
}

/// Where sound and picture are not kept there is no record link.
fn wants(statement: &Statement) -> (Wants, FileRule) {
    let keeps = |rule: Rule| matches!(rule, Rule::Must | Rule::Should);
    let media = if keeps(statement.audio_video) { Wants::Media } else { Wants::Events };
    let files = if keeps(statement.files) { FileRule::Kept } else { FileRule::Named };
    (media, files)
}

/// Every archive key that the firm's signed statement names.
fn archive_keys(shared: &Shared, statement: &Statement) -> Result<Vec<B64>, String> {
    let own = shared.trust.firm(&shared.config.firm).ok_or("the trust map does not know our firm")?;
    if statement.archive_key_ids.is_empty() {
        return Err("our statement names no archive key: nobody could ever open the recording".to_owned());
    }
    let find = |id: &String| {
        let key = own.archive_keys.iter().find(|key| evidence::key::key_id(key) == *id).cloned();
        key.ok_or_else(|| format!("our statement names the archive key {id}, the trust map has no such key"))
    };
    statement.archive_key_ids.iter().map(find).collect()
}

/// Makes a meeting key, seals it to every archive key, makes that durable. Returns it with its incarnation.
async fn new_key(
    shared: &Shared,
    files: &Writer,
    meeting: &MeetingId,
    statement: &Statement,
) -> Result<(MeetingKey, u64), String> {
    let gone = |_| "the archive's thread is gone".to_owned();
    let known = files.ask(|journal| journal.store().read(names::SEALED_KEYS)).await.map_err(gone)?;
    let known = known.map_err(|e| e.to_string())?;
    let mut all = match known {
        None => Vec::new(),
        Some(bytes) => read_sealed_keys(&bytes).ok_or_else(|| format!("{} cannot be read", names::SEALED_KEYS))?,
    };
    let incarnation = all.iter().map(|one| one.incarnation).max().unwrap_or(0) + 1;
    let key = MeetingKey::generate();
    let keys = archive_keys(shared, statement)?;
    let firm = &shared.config.firm;
    let sealed = custody::sealing::seal_meeting_key(firm, meeting, incarnation, key.expose(), &keys);
    let sealed = sealed.map_err(|e| e.to_string())?;
    let keys = keys
        .iter()
        .zip(sealed)
        .map(|(spki, sealed)| SealedKey { key_id: evidence::key::key_id(spki), sealed: sealed.into() })
        .collect();
    all.push(SealedKeys { incarnation, recorder: shared.participant.clone(), keys });
    let bytes = write_sealed_keys(&all);
    let written = files.ask(move |journal| journal.store().put(names::SEALED_KEYS, &bytes)).await.map_err(gone)?;
    written.map_err(|e| format!("the sealed meeting key cannot be written: {e}"))?;
    Ok((key, incarnation))
}

/// Lays the manifest of a meeting that was closed too early aside: it stays in the firm's log and in the folder.
fn supersede(store: &mut dyn Store) -> io::Result<()> {
    let Some(manifest) = store.read(names::MEETING)? else { return Ok(()) };
    let count = store.list("superseded")?.len();
    store.put(&format!("superseded/{:03}.cose", count + 1), &manifest)?;
    store.cut(names::MEETING, 0)
}

/// What binds the meeting, for its archive.
fn terms_event(terms: &MeetingTerms, statement: &Statement) -> ArchiveEvent {
    ArchiveEvent::Terms {
        room: terms.room.clone(),
        title: terms.title.clone(),
        started_at: terms.started_at,
        retention_years: statement.retention_years,
        statements: terms.statements.clone(),
        trust: Digest::from_slice(&terms.trust).unwrap_or(Digest([0; 32])),
    }
}

impl Recording {
    /// Begins, or goes on with what a stopped process left of this meeting. The meeting key is sealed and durable when it
    /// returns.
    ///
    /// # Errors
    /// Text for the log: disk, keys or statement.
    pub async fn open(shared: &Shared, terms: &MeetingTerms, statement: &Statement) -> Result<Self, String> {
        let folder = Folder::new(&shared.config.archive, &shared.config.firm, &terms.meeting, terms.started_at);
        let files = Writer::start(Box::new(folder.disk())).map_err(|e| e.to_string())?;
        if folder.is_finished() {
            tracing::warn!(meeting = %terms.meeting, "the meeting goes on after its archive was closed: it is opened again");
            let reopened = files.ask(|journal| supersede(journal.store())).await.map_err(|e| e.to_string())?;
            reopened.map_err(|e| format!("the closed archive cannot be opened again: {e}"))?;
        }
        let recovered = files.ask(|journal| journal.recover()).await.map_err(|e| e.to_string())?;
        let recovered = recovered.map_err(|e| format!("the archive cannot be used: {e}"))?;
        let before = seal::signed_before(&files).await?;
        let (key, incarnation) = new_key(shared, &files, &terms.meeting, statement).await?;
        let config = core_config(shared, &terms.meeting, incarnation, wants(statement));
        let now = clock::now();
        let mut core = match recovered {
            Some(recovered) => recovered.go_on(config, now),
            None => Meeting::new(config, now),
        };
        if core.summary().terms.is_none() {
            core.handle(now, Input::Terms(Box::new(terms_event(terms, statement))), &mut NoKeys);
        }
        core.clock(now, clock::state());
        let sealer = Some(Sealer::start(shared.custody.clone(), files.clone(), before));
        let state_key = StateKey::ask(shared, &terms.meeting)
            .await
            .inspect_err(|e| tracing::warn!("no checkpoints of the group state in this meeting: {e}"))
            .ok();
        tracing::info!(meeting = %terms.meeting, incarnation, "recording is armed: the meeting key is sealed");
        service::metrics::names::recorder::RECORDINGS.count();
        Ok(Self {
            meeting_id: terms.meeting.clone(),
            core,
            incarnation,
            key,
            wants: wants(statement),
            state_key,
            folder,
            files,
            sealer,
            commit: None,
            reopen: None,
            reopen_at_ms: None,
            failed_at: None,
        })
    }

    /// Another leaf of this recorder takes over: another meeting key in the same archive.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn renew(&mut self, shared: &Shared, statement: &Statement) -> Result<(), String> {
        let (key, incarnation) = new_key(shared, &self.files, &self.meeting_id, statement).await?;
        (self.key, self.incarnation) = (key, incarnation);
        self.core.begin_incarnation(clock::now(), incarnation);
        Ok(())
    }

    /// Puts the group state on disk, sealed, for a restart inside this meeting.
    pub fn checkpoint(&self, room: &RoomId, session: &mut Session, leaf: &[u8; 32], certificate: &[u8]) {
        let Some(state_key) = &self.state_key else { return };
        let sealed = state_key.seal(room, session, leaf, certificate);
        // an older one is good enough if this one cannot be written
        drop(self.files.ask(move |journal| journal.store().put(checkpoint::FILE, &sealed)));
    }

    /// Does what concerns disk and custody; returns the rest.
    pub fn pump(&mut self) -> Vec<Output> {
        let mut rest = Vec::new();
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Commit(batch) => {
                    self.commit = Some(self.files.ask(move |journal| (batch.ticket, journal.commit(&batch))));
                }
                Output::Seal(manifest) => {
                    if let Some(sealer) = &self.sealer {
                        sealer.seal(manifest);
                    }
                }
                other => rest.push(other),
            }
        }
        rest
    }

    /// The next thing the disk says.
    pub async fn disk(&mut self) -> FromDisk {
        let gone = || io::Error::other("the archive's thread is gone");
        if let Some(commit) = &mut self.commit {
            let (ticket, done) = commit.await.unwrap_or_else(|_| (0, Err(gone())));
            self.commit = None;
            return FromDisk::Commit(ticket, done);
        }
        if let Some(reopen) = &mut self.reopen {
            let done = reopen.await.unwrap_or_else(|_| Err(gone()));
            self.reopen = None;
            return FromDisk::Reopened(Box::new(done));
        }
        std::future::pending().await
    }

    /// The archive cannot be written.
    pub fn failed(&mut self, error: &io::Error) {
        tracing::error!(
            "the archive {} cannot be written ({error}): nothing is acknowledged from now on, people of this firm stop \
             sending. Free space or make it writable; it is tried again every {} s",
            self.folder.path.display(),
            REOPEN_MS / 1000
        );
        let now = clock::now();
        self.core.handle(now, Input::StoreFailed, &mut NoKeys);
        self.failed_at.get_or_insert(now.wall);
        self.reopen_at_ms = Some(now.mono_ms + REOPEN_MS);
    }

    /// After [`FromDisk::Reopened`]: goes on from what is durable; the owner says epoch and key again and opens the record
    /// link anew.
    pub fn reopened(&mut self, shared: &Shared, found: io::Result<Option<Recovered>>, terms: &ArchiveEvent) -> bool {
        let now = clock::now();
        let found = match found {
            Ok(found) => found,
            Err(e) => {
                tracing::error!("the archive {} still fails: {e}", self.folder.path.display());
                self.reopen_at_ms = Some(now.mono_ms + REOPEN_MS);
                return false;
            }
        };
        let config = core_config(shared, &self.meeting_id, self.incarnation, self.wants);
        self.core = match found {
            Some(found) => found.go_on(config, now),
            None => Meeting::new(config, now),
        };
        if self.core.summary().terms.is_none() {
            self.core.handle(now, Input::Terms(Box::new(terms.clone())), &mut NoKeys);
        }
        let since = self.failed_at.take().unwrap_or(now.wall);
        self.core.handle(now, Input::Event(ArchiveEvent::ArchiveFailed { since }), &mut NoKeys);
        tracing::info!("the archive can be written again");
        true
    }

    /// Tries a failed archive again when it is time.
    pub fn tick(&mut self) {
        if self.reopen.is_none() && self.reopen_at_ms.is_some_and(|at| clock::now().mono_ms >= at) {
            self.reopen_at_ms = None;
            self.reopen = Some(self.files.ask(|journal| journal.reopen()));
        }
    }

    /// When [`Self::tick`] or the core's timer is due, monotonic ms.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.core.poll_timeout().into_iter().chain(self.reopen_at_ms).min()
    }

    /// What binds the meeting, as kept here.
    pub fn terms(terms: &MeetingTerms, statement: &Statement) -> ArchiveEvent {
        terms_event(terms, statement)
    }

    /// The core says that everything is closed: signs and logs the meeting. `closed` says how it came.
    pub async fn conclude(mut self, shared: Arc<Shared>, closed: Closed) {
        let meeting = self.meeting_id.clone();
        match self.write_manifest(&shared, closed).await {
            Ok(frames) => tracing::info!(%meeting, frames, "the meeting is archived and signed"),
            Err(e) => {
                tracing::error!(%meeting, "the meeting's archive is not closed ({e}); the next start tries again")
            }
        }
    }

    async fn write_manifest(&mut self, shared: &Shared, closed: Closed) -> Result<u64, String> {
        let sealer = self.sealer.take().ok_or("it was closed before")?;
        let segments = sealer.all().await?;
        let read = |journal: &mut crate::journal::Journal| -> io::Result<(Vec<u8>, Vec<u8>)> {
            let store = journal.store();
            Ok((
                store.read(names::SEALED_KEYS)?.unwrap_or_default(),
                store.read(names::EPOCH_KEYS)?.unwrap_or_default(),
            ))
        };
        let keys = self.files.ask(read).await.map_err(|e| e.to_string())?;
        let (sealed_keys, epoch_keys) = keys.map_err(|e| e.to_string())?;
        let parts = Parts {
            firm: &shared.config.firm,
            meeting: &self.meeting_id,
            software: SOFTWARE,
            closed,
            segments: &segments,
            sealed_keys: &sealed_keys,
            epoch_keys: &epoch_keys,
        };
        let checked = self.files.ask(|journal| journal.recheck()).await.map_err(|e| e.to_string())?;
        if !checked.map_err(|e| format!("kept segments cannot be read again: {e}"))? {
            return Err("the index of a segment spoke of frames that are not there".to_owned());
        }
        let manifest = self.core.summary().manifest(&parts).map_err(|e| e.to_string())?;
        // its keys are in the group's past: nothing of it may stay
        let removed =
            self.files.ask(|journal| journal.store().cut(checkpoint::FILE, 0)).await.map_err(|e| e.to_string())?;
        removed.map_err(|e| format!("the checkpoint cannot be removed: {e}"))?;
        checkpoint::forget(shared, &self.meeting_id).await;
        seal::finish(&shared.custody, &shared.log, &self.files, manifest.to_cbor()).await;
        // whatever stays of them is of no archive and tells nothing
        drop(self.files.ask(|journal| journal.forget_indexes()));
        Ok(manifest.frames)
    }
}

/// The room an unfinished meeting was in; `None` if it never got so far.
pub fn room_of(folder: &Folder) -> Option<RoomId> {
    let bytes = std::fs::read(folder.path.join(names::EVENTS)).ok()?;
    let recovered = Recovered::new(&bytes, &[]).ok()?;
    recovered.summary().terms.as_ref().map(|terms| terms.room.clone())
}

/// The session and leaf of a stopped process, if its meeting may still go on and custody still holds the state key.
pub async fn restore(shared: &Shared, room: &RoomId, folder: &Folder) -> Option<(Session, Enrolment)> {
    let bytes = std::fs::read(folder.path.join(checkpoint::FILE)).ok()?;
    let key = StateKey::ask(shared, &folder.meeting).await.ok()?;
    key.open(shared, room, &bytes, clock::wall())
}

/// Closes a meeting that a stopped process left and that is over.
pub async fn close_unfinished(shared: Arc<Shared>, folder: Folder) {
    let meeting = folder.meeting.clone();
    if let Err(e) = close(shared, folder).await {
        tracing::error!(%meeting, "an unfinished meeting cannot be closed ({e}); the next start tries again");
    }
}

async fn close(shared: Arc<Shared>, folder: Folder) -> Result<(), String> {
    let files = Writer::start(Box::new(folder.disk())).map_err(|e| e.to_string())?;
    let recovered = files.ask(|journal| journal.read_all()).await.map_err(|e| e.to_string())?;
    let Some(recovered) = recovered.map_err(|e| e.to_string())? else {
        return Err("nothing was written before the recorder stopped".to_owned());
    };
    let before = seal::signed_before(&files).await?;
    let incarnation = recovered.summary().incarnation;
    let core = recovered.close(core_config(&shared, &folder.meeting, incarnation, CLOSING), clock::now());
    let sealer = Some(Sealer::start(shared.custody.clone(), files.clone(), before));
    let mut recording = Recording {
        meeting_id: folder.meeting.clone(),
        core,
        incarnation,
        key: MeetingKey::generate(),
        wants: CLOSING,
        state_key: None,
        folder,
        files,
        sealer,
        commit: None,
        reopen: None,
        reopen_at_ms: None,
        failed_at: None,
    };
    loop {
        if recording.pump().contains(&Output::Finished) {
            recording.conclude(shared, Closed::Recovered).await;
            return Ok(());
        }
        match recording.disk().await {
            FromDisk::Commit(ticket, Ok(())) => {
                recording.core.handle(clock::now(), Input::Committed { ticket }, &mut NoKeys);
            }
            FromDisk::Commit(_, Err(e)) => return Err(e.to_string()),
            FromDisk::Reopened(_) => {}
        }
    }
}

//! Files: sealed here and carried by signaling chunk by chunk, told to the group once all of it lies there, fetched by
//! whoever wants it. What a lost connection swallowed is sent or asked for again.
//!
//! Owns what is on its way and what was told; the words around it, and who keeps them, are [`super::said`]'s.

use super::event::{Event, FileTrouble, IncidentKind, SayError, Shown};
use super::said::{Announced, Content};
use super::{Phase, Session};
use crate::file::{Card, FileKey, Place};
use domain::files::{chunks, sealed_len, sealed_size};
use domain::limits::{FILE_CHUNK, FILE_SPACING_MS, FILE_WINDOW, MAX_FILE};
use domain::message::client::{FileRefusal, ToClient, ToServer};
use domain::message::custody::LeafRole;
use domain::policy::ContentClass;
use domain::{B64, BlobId, ParticipantId, UnixMillis};
use evidence::archive::Digest;
use evidence::said::What;
use sha2::Digest as _;
use std::collections::{BTreeMap, VecDeque};
use zeroize::Zeroizing;

/// Files of one's own that wait or go out: each lies whole in memory.
const MAX_UPLOADS: usize = 4;
/// Files asked for; one comes at a time. A recorder asks for all of a busy hour.
const MAX_DOWNLOADS: usize = 256;
/// Files that were told and can be asked for.
const MAX_OFFERS: usize = 1_024;
/// Without an answer for so long what is on its way goes again, ms: several round trips of the slowest network.
const AGAIN_MS: u64 = 5_000;
/// Without any progress for so long, and connected, it is given up, ms.
const STALLED_MS: u64 = 60_000;
/// Progress is told every so many chunks: twice a second at the fastest.
const TELL_EVERY: u32 = 25;

/// Answers of signaling, in order: what was asked goes out in order, and so do they.
struct Flow {
    /// Chunks that the other side has, or that came.
    done: u32,
    /// Chunks sent, or asked for.
    asked: u32,
    of: u32,
    progress_at: UnixMillis,
    heard_at: UnixMillis,
}

impl Flow {
    fn new(now: UnixMillis, size: u64) -> Self {
        Self { done: 0, asked: 0, of: chunks(size).unwrap_or(0), progress_at: now, heard_at: now }
    }
    /// The next chunk may go, or be asked for.
    fn next(&self) -> Option<u32> {
        (self.asked < self.of && self.asked - self.done < FILE_WINDOW).then_some(self.asked)
    }
    fn advanced(&mut self, now: UnixMillis, done: u32) {
        if done > self.done {
            self.progress_at = now;
        }
        self.done = done;
        self.asked = self.asked.max(done);
        self.heard_at = now;
    }
    fn begin_again(&mut self, now: UnixMillis) {
        self.asked = self.done;
        self.heard_at = now;
    }
}

/// How far an upload is with signaling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is to be asked how much it has.
    Fresh,
    /// It was asked.
    Asked,
    /// It answered: chunks go.
    Going,
}

/// A file of one's own on its way to signaling.
struct Upload {
    blob: BlobId,
    name: String,
    media_type: String,
    bytes: Zeroizing<Vec<u8>>,
    key: FileKey,
    ciphertext: sha2::Sha256,
    /// Chunks that are in `ciphertext`.
    hashed: u32,
    stage: Stage,
    flow: Flow,
}

/// A file that somebody told of.
struct Offer {
    blob: BlobId,
    from: ParticipantId,
    size: u64,
    ciphertext: Digest,
    /// `None`: told in an epoch that was never held here.
    card: Option<Card>,
}

struct Download {
    file: [u8; 32],
    flow: Flow,
    bytes: Zeroizing<Vec<u8>>,
    ciphertext: sha2::Sha256,
}

/// Both ways.
#[derive(Default)]
pub(super) struct Files {
    uploads: VecDeque<Upload>,
    downloads: VecDeque<Download>,
    offers: BTreeMap<[u8; 32], Offer>,
    fetched: BTreeMap<[u8; 32], Zeroizing<Vec<u8>>>,
    next_at: UnixMillis,
}

impl Files {
    /// The connection is a new one: signaling is asked how far it is.
    pub(super) fn came_back(&mut self, now: UnixMillis) {
        for upload in &mut self.uploads {
            upload.stage = Stage::Fresh;
            upload.flow.begin_again(now);
        }
        self.downloads.iter_mut().for_each(|download| download.flow.begin_again(now));
    }
    /// The meeting is another one: nothing of the one before is here.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

fn fresh_blob() -> BlobId {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has a random source");
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.parse().expect("hexadecimal digits are an id")
}

fn trouble(why: FileRefusal) -> FileTrouble {
    match why {
        FileRefusal::Full => FileTrouble::Full,
        FileRefusal::Size => FileTrouble::Size,
        FileRefusal::Forbidden => FileTrouble::Forbidden,
        _ => FileTrouble::Gone,
    }
}

impl Session {
    /// Sends a file to the meeting: sealed and carried to signaling as soon as it may go, then told to the group. Returns
    /// its name there; [`Event::FileMoving`] tells how far it is, [`Event::Shared`] that everybody knows of it.
    pub fn share(&mut self, now: UnixMillis, name: &str, media_type: &str, bytes: Vec<u8>) -> Result<BlobId, SayError> {
        let bytes = Zeroizing::new(bytes);
        let Some(meeting) = self.meeting.as_ref().filter(|_| self.may_ever_say()) else { return Err(SayError::NotIn) };
        if bytes.is_empty() {
            return Err(SayError::Empty);
        }
        if bytes.len() as u64 > MAX_FILE {
            return Err(SayError::TooLong);
        }
        let blob = fresh_blob();
        let size = bytes.len() as u64;
        let kind = What::File { blob: blob.clone(), size, ciphertext: Digest([0; 32]), sealed: Vec::new() };
        kind.allowed(&self.own.participant, meeting.rules.statements())?;
        if self.files.uploads.len() >= MAX_UPLOADS {
            return Err(SayError::TooFast);
        }
        self.files.uploads.push_back(Upload {
            blob: blob.clone(),
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            bytes,
            key: FileKey::generate(),
            ciphertext: sha2::Sha256::new(),
            hashed: 0,
            stage: Stage::Fresh,
            flow: Flow::new(now, size),
        });
        self.settle(now);
        Ok(blob)
    }

    /// Takes a file back that is still on its way.
    pub fn cancel_share(&mut self, blob: &BlobId) {
        let before = self.files.uploads.len();
        self.files.uploads.retain(|upload| upload.blob != *blob);
        if self.files.uploads.len() < before {
            self.send(ToServer::FileDrop { blob: blob.clone() });
        }
    }

    /// Asks for a file by the SHA-256 of what announced it; [`Event::Fetched`] or [`Event::FileLost`] follows.
    pub fn fetch(&mut self, now: UnixMillis, file: [u8; 32]) -> Result<(), SayError> {
        let offer = self.files.offers.get(&file).filter(|offer| self.is_recorder() || offer.card.is_some());
        let Some(offer) = offer else { return Err(SayError::OutOfRange) };
        if self.files.downloads.iter().any(|download| download.file == file) {
            return Ok(());
        }
        if self.files.downloads.len() >= MAX_DOWNLOADS {
            return Err(SayError::TooFast);
        }
        let flow = Flow::new(now, offer.size);
        let (bytes, ciphertext) = (Zeroizing::new(Vec::new()), sha2::Sha256::new());
        self.files.downloads.push_back(Download { file, flow, bytes, ciphertext });
        self.settle(now);
        Ok(())
    }

    /// No longer wanted.
    pub fn cancel_fetch(&mut self, file: &[u8; 32]) {
        self.files.downloads.retain(|download| download.file != *file);
    }

    /// What was fetched: in clear; sealed as it came where this is a recorder.
    pub fn take_file(&mut self, file: &[u8; 32]) -> Option<Zeroizing<Vec<u8>>> {
        self.files.fetched.remove(file)
    }

    fn is_recorder(&self) -> bool {
        self.own.role == LeafRole::Recorder
    }

    pub(super) fn may_ever_say(&self) -> bool {
        !matches!(self.phase, Phase::Over) && !self.is_recorder()
    }

    /// Somebody, we included, told of a file.
    pub(super) fn offered(
        &mut self,
        from: &ParticipantId,
        what: &What,
        card: Option<Card>,
        signed: &[u8],
    ) -> Option<Shown> {
        let What::File { blob, size, ciphertext, .. } = what else { return None };
        let shown =
            card.as_ref().map(|card| Shown { name: card.name().to_owned(), media_type: card.media_type().to_owned() });
        if self.files.offers.len() < MAX_OFFERS {
            let (from, blob, size, ciphertext) = (from.clone(), blob.clone(), *size, *ciphertext);
            self.files.offers.insert(evidence::sha256(signed), Offer { blob, from, size, ciphertext, card });
        }
        shown
    }

    /// Sends what may go, asks for what is wanted, gives up what stands still.
    pub(super) fn move_files(&mut self, now: UnixMillis) {
        if !self.can_tell_group() {
            return;
        }
        self.upload(now);
        self.download(now);
    }

    fn upload(&mut self, now: UnixMillis) {
        let may = self.may_say(now, ContentClass::Files);
        let Some(upload) = self.files.uploads.front_mut() else { return };
        if !may {
            // it waits for a recorder: that is no standstill of the network
            upload.flow.progress_at = now;
            upload.flow.heard_at = now;
            return;
        }
        if now.since(upload.flow.progress_at) >= STALLED_MS {
            let blob = upload.blob.clone();
            self.send(ToServer::FileDrop { blob });
            return self.upload_failed(FileTrouble::Stalled);
        }
        if now.since(upload.flow.heard_at) >= AGAIN_MS {
            upload.stage = Stage::Fresh;
            upload.flow.begin_again(now);
        }
        if upload.stage == Stage::Fresh {
            upload.stage = Stage::Asked;
            let begin = ToServer::FileBegin { blob: upload.blob.clone(), size: upload.bytes.len() as u64 };
            return self.send(begin);
        }
        if upload.stage == Stage::Going {
            self.send_parts(now);
        }
    }

    fn send_parts(&mut self, now: UnixMillis) {
        let Some(meeting) = &self.meeting else { return };
        let Some(upload) = self.files.uploads.front_mut() else { return };
        let place = Place {
            meeting: &meeting.terms.meeting,
            participant: &self.own.participant,
            blob: &upload.blob,
            size: upload.bytes.len() as u64,
        };
        // a session that wakes up late makes up for it a little, and no more
        self.files.next_at = self.files.next_at.max(UnixMillis(now.0.saturating_sub(4 * FILE_SPACING_MS)));
        let mut parts = Vec::new();
        while self.files.next_at <= now
            && let Some(index) = upload.flow.next()
        {
            let chunk = upload.bytes.chunks(FILE_CHUNK).nth(index as usize).unwrap_or_default();
            let Some(part) = upload.key.seal(&place, index, chunk) else { break };
            if index == upload.hashed {
                upload.ciphertext.update(&part);
                upload.hashed += 1;
            }
            upload.flow.asked += 1;
            self.files.next_at = self.files.next_at.plus(FILE_SPACING_MS);
            parts.push(ToServer::FilePart { blob: upload.blob.clone(), index, part: B64(part) });
        }
        parts.into_iter().for_each(|part| self.send(part));
    }

    fn upload_failed(&mut self, why: FileTrouble) {
        if let Some(upload) = self.files.uploads.pop_front() {
            self.tell(Event::FileLost { file: upload.blob.to_string(), why });
        }
    }

    /// So many chunks of ours are there.
    pub(super) fn on_file_room(&mut self, now: UnixMillis, blob: &BlobId, parts: u32) {
        let Some(upload) =
            self.files.uploads.front_mut().filter(|upload| upload.blob == *blob && upload.stage != Stage::Fresh)
        else {
            return;
        };
        if parts > upload.hashed || parts > upload.flow.of {
            return self.incident(IncidentKind::BadMessage, None);
        }
        if parts < upload.flow.done {
            // signaling lost it and begins anew
            upload.flow.asked = parts;
        }
        upload.stage = Stage::Going;
        upload.flow.advanced(now, parts);
        let (done, of) = (upload.flow.done, upload.flow.of);
        if done == of || done.is_multiple_of(TELL_EVERY) {
            self.tell(Event::FileMoving { file: blob.to_string(), done, of });
        }
        if done == of {
            self.uploaded(now);
        }
    }

    fn uploaded(&mut self, now: UnixMillis) {
        let Some(upload) = self.files.uploads.pop_front() else { return };
        let sha256 = evidence::sha256(&upload.bytes);
        let card = Card::new(&upload.name, &upload.media_type, &upload.key, sha256);
        let announced = Announced {
            blob: upload.blob.clone(),
            size: upload.bytes.len() as u64,
            ciphertext: Digest(upload.ciphertext.finalize().into()),
            card,
        };
        if self.queue_free(now, Content::File(Box::new(announced))).is_err() {
            self.tell(Event::FileLost { file: upload.blob.to_string(), why: FileTrouble::Forbidden });
        }
    }

    fn download(&mut self, now: UnixMillis) {
        let Some(download) = self.files.downloads.front_mut() else { return };
        let Some(offer) = self.files.offers.get(&download.file) else { return };
        if now.since(download.flow.progress_at) >= STALLED_MS {
            return self.download_failed(now, FileTrouble::Stalled);
        }
        if now.since(download.flow.heard_at) >= AGAIN_MS {
            download.flow.begin_again(now);
        }
        self.files.next_at = self.files.next_at.max(UnixMillis(now.0.saturating_sub(4 * FILE_SPACING_MS)));
        let mut wanted = Vec::new();
        while self.files.next_at <= now
            && let Some(index) = download.flow.next()
        {
            download.flow.asked += 1;
            self.files.next_at = self.files.next_at.plus(FILE_SPACING_MS);
            wanted.push(ToServer::FileWanted { blob: offer.blob.clone(), index });
        }
        wanted.into_iter().for_each(|wish| self.send(wish));
    }

    fn download_failed(&mut self, now: UnixMillis, why: FileTrouble) {
        let Some(download) = self.files.downloads.pop_front() else { return };
        if let FileTrouble::Forged { .. } = why {
            self.incident(IncidentKind::BadFile, None);
        }
        self.tell(Event::FileLost { file: B64::from(download.file).encode(), why });
        // the next one has waited, and not stood still
        if let Some(next) = self.files.downloads.front_mut() {
            (next.flow.progress_at, next.flow.heard_at) = (now, now);
        }
    }

    /// A chunk came.
    pub(super) fn on_file_part(&mut self, now: UnixMillis, blob: &BlobId, index: u32, part: &[u8]) {
        let recorder = self.is_recorder();
        let Some(download) = self.files.downloads.front_mut() else { return };
        let Some(offer) = self.files.offers.get(&download.file).filter(|offer| offer.blob == *blob) else { return };
        // one that was asked for twice, or that nobody asked for
        if index != download.flow.done || index >= download.flow.asked {
            return;
        }
        let forged = FileTrouble::Forged { part: Some(index) };
        if sealed_len(offer.size, index) != Some(part.len()) {
            return self.download_failed(now, forged);
        }
        download.ciphertext.update(part);
        if recorder {
            download.bytes.extend_from_slice(part);
        } else {
            let Some(meeting) = &self.meeting else { return };
            let place = Place {
                meeting: &meeting.terms.meeting,
                participant: &offer.from,
                blob: &offer.blob,
                size: offer.size,
            };
            let opened = offer.card.as_ref().and_then(|card| card.key().open(&place, index, part));
            let Some(opened) = opened else { return self.download_failed(now, forged) };
            download.bytes.extend_from_slice(&opened);
        }
        download.flow.advanced(now, index + 1);
        let (done, of, file) = (download.flow.done, download.flow.of, B64::from(download.file).encode());
        if done == of || done.is_multiple_of(TELL_EVERY) {
            self.tell(Event::FileMoving { file, done, of });
        }
        if done == of {
            self.downloaded(now);
        }
    }

    /// All of it is here: is it what was signed for?
    fn downloaded(&mut self, now: UnixMillis) {
        let recorder = self.is_recorder();
        let Some(download) = self.files.downloads.front() else { return };
        let Some(offer) = self.files.offers.get(&download.file) else { return };
        let ciphertext: [u8; 32] = download.ciphertext.clone().finalize().into();
        let whole = if recorder {
            download.bytes.len() as u64 == sealed_size(offer.size)
        } else {
            offer.card.as_ref().is_some_and(|card| evidence::sha256(&download.bytes) == *card.sha256())
        };
        if ciphertext != offer.ciphertext.0 || !whole {
            return self.download_failed(now, FileTrouble::Forged { part: None });
        }
        let Some(download) = self.files.downloads.pop_front() else { return };
        let file = download.file;
        self.files.fetched.insert(file, download.bytes);
        self.tell(Event::Fetched { file: file.into() });
        if let Some(next) = self.files.downloads.front_mut() {
            (next.flow.progress_at, next.flow.heard_at) = (now, now);
        }
    }

    /// Signaling does not carry it.
    pub(super) fn on_file_refused(&mut self, now: UnixMillis, blob: &BlobId, why: FileRefusal) {
        if let Some(upload) = self.files.uploads.front_mut().filter(|upload| upload.blob == *blob) {
            if why == FileRefusal::Gone {
                // it was restarted in the middle
                upload.stage = Stage::Fresh;
                (upload.flow.done, upload.flow.asked) = (0, 0);
                return;
            }
            return self.upload_failed(trouble(why));
        }
        let asked = self.files.downloads.front().and_then(|download| self.files.offers.get(&download.file));
        if asked.is_some_and(|offer| offer.blob == *blob) {
            self.download_failed(now, trouble(why));
        }
    }

    /// Messages of signaling about files.
    pub(super) fn on_file(&mut self, now: UnixMillis, message: ToClient) {
        match message {
            ToClient::FileRoom { blob, parts } => self.on_file_room(now, &blob, parts),
            ToClient::FilePart { blob, index, part } => self.on_file_part(now, &blob, index, &part),
            ToClient::FileRefused { blob, why } => self.on_file_refused(now, &blob, why),
            _ => {}
        }
    }

    /// Next moment at which a chunk may go or is missed.
    pub(super) fn next_file(&self, now: UnixMillis) -> Option<UnixMillis> {
        if !self.can_tell_group() {
            return None;
        }
        let timer = |flow: &Flow, goes: bool| {
            let due = flow.heard_at.plus(AGAIN_MS).min(flow.progress_at.plus(STALLED_MS));
            flow.next().filter(|_| goes).map_or(due, |_| due.min(self.files.next_at))
        };
        let may = self.may_say(now, ContentClass::Files);
        let up = self.files.uploads.front().filter(|_| may);
        let up = up.map(|upload| timer(&upload.flow, upload.stage == Stage::Going));
        let down = self.files.downloads.front().map(|download| timer(&download.flow, true));
        up.into_iter().chain(down).min()
    }
}

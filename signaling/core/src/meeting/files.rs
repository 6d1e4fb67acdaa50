//! Sealed files on their way between members: held in memory chunk by chunk, given to members of the group alone, gone with
//! the meeting at the latest. Nothing here can be read.
//!
//! Owns how much is held and for how long; who keeps a file is between the members.

use super::Meeting;
use crate::limits::{BLOB_KEPT_MS, BLOB_STARTED_MS, MAX_BLOBS_MEETING, MAX_BLOBS_PERSON, MAX_HELD, MAX_HELD_MEETING};
use domain::files::{chunks, sealed_len, sealed_size};
use domain::message::client::{FileRefusal, ToClient};
use domain::policy::Rule;
use domain::{B64, BlobId, ParticipantId, UnixMillis};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of files that the whole service holds, counted over all meetings.
#[derive(Debug, Clone, Default)]
pub struct Held(Arc<AtomicU64>);

/// A part of it, given back when dropped.
#[derive(Debug)]
struct Reserved {
    held: Held,
    bytes: u64,
}

impl Held {
    fn reserve(&self, bytes: u64) -> Option<Reserved> {
        let fits = |now: u64| now.checked_add(bytes).filter(|sum| *sum <= MAX_HELD);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Reserved { held: self.clone(), bytes })
    }
    /// Bytes now.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Blob {
    owner: ParticipantId,
    size: u64,
    parts: Vec<B64>,
    /// Its last chunk came.
    at: UnixMillis,
    reserved: Reserved,
}

impl Blob {
    fn is_whole(&self) -> bool {
        chunks(self.size) == Some(self.parts.len() as u32)
    }
    fn ends_at(&self) -> UnixMillis {
        self.at.plus(if self.is_whole() { BLOB_KEPT_MS } else { BLOB_STARTED_MS })
    }
}

/// Files of one meeting.
#[derive(Default)]
pub(super) struct Files(BTreeMap<BlobId, Blob>);

impl Files {
    pub(super) fn expire(&mut self, now: UnixMillis) {
        self.0.retain(|_, blob| blob.ends_at() > now);
    }
    pub(super) fn next_end(&self) -> Option<UnixMillis> {
        self.0.values().map(Blob::ends_at).min()
    }
    fn has_room(&self, who: &ParticipantId, bytes: u64) -> bool {
        let own = self.0.values().filter(|blob| blob.owner == *who).count();
        let held: u64 = self.0.values().map(|blob| blob.reserved.bytes).sum();
        own < MAX_BLOBS_PERSON && self.0.len() < MAX_BLOBS_MEETING && held + bytes <= MAX_HELD_MEETING
    }
}

impl Meeting {
    fn may_share(&self, who: &ParticipantId) -> bool {
        let forbidden = self.rules.statements().iter().any(|statement| statement.files == Rule::Forbidden);
        let recorder = self.people.get(who).is_none_or(|person| person.entrant.recorder);
        !forbidden && !recorder && self.delivery.leaf_of(who).is_some()
    }

    /// Somebody has a file, or goes on with one.
    pub(super) fn file_begin(&mut self, now: UnixMillis, who: &ParticipantId, blob: BlobId, size: u64) {
        let answer = match self.make_room(now, who, &blob, size) {
            Ok(parts) => ToClient::FileRoom { blob, parts },
            Err(why) => ToClient::FileRefused { blob, why },
        };
        self.tell(who, answer);
    }

    fn make_room(
        &mut self,
        now: UnixMillis,
        who: &ParticipantId,
        blob: &BlobId,
        size: u64,
    ) -> Result<u32, FileRefusal> {
        if !self.may_share(who) {
            return Err(FileRefusal::Forbidden);
        }
        if chunks(size).is_none() {
            return Err(FileRefusal::Size);
        }
        if let Some(known) = self.files.0.get(blob) {
            let same = known.owner == *who && known.size == size;
            return if same { Ok(known.parts.len() as u32) } else { Err(FileRefusal::Malformed) };
        }
        let bytes = sealed_size(size);
        if !self.files.has_room(who, bytes) {
            return Err(FileRefusal::Full);
        }
        let reserved = self.ports.held.reserve(bytes).ok_or(FileRefusal::Full)?;
        let owner = who.clone();
        self.files.0.insert(blob.clone(), Blob { owner, size, parts: Vec::new(), at: now, reserved });
        Ok(0)
    }

    /// A chunk of one's own file: the next one, of the length that was announced, or none.
    pub(super) fn file_part(&mut self, now: UnixMillis, who: &ParticipantId, blob: BlobId, index: u32, part: B64) {
        let known = self.files.0.get_mut(&blob).filter(|known| known.owner == *who);
        let answer = match known {
            None => ToClient::FileRefused { blob, why: FileRefusal::Gone },
            Some(known) if sealed_len(known.size, index) != Some(part.len()) => {
                // larger than announced, or cut: none of it is kept
                self.files.0.remove(&blob);
                ToClient::FileRefused { blob, why: FileRefusal::Malformed }
            }
            Some(known) => {
                // one that is there already, or behind one that is not: the answer says which is next
                if index as usize == known.parts.len() {
                    known.parts.push(part);
                    known.at = now;
                }
                let parts = known.parts.len() as u32;
                ToClient::FileRoom { blob, parts }
            }
        };
        self.tell(who, answer);
    }

    /// A member asks for a chunk of a file that is whole.
    pub(super) fn file_wanted(&mut self, who: &ParticipantId, blob: BlobId, index: u32) {
        let member = self.delivery.leaf_of(who).is_some();
        let whole = self.files.0.get(&blob).filter(|known| member && known.is_whole());
        let part = whole.and_then(|known| known.parts.get(index as usize)).cloned();
        let answer = match part {
            Some(part) => ToClient::FilePart { blob, index, part },
            None => ToClient::FileRefused { blob, why: FileRefusal::Gone },
        };
        self.tell(who, answer);
    }

    pub(super) fn file_drop(&mut self, who: &ParticipantId, blob: &BlobId) {
        if self.files.0.get(blob).is_some_and(|known| known.owner == *who) {
            self.files.0.remove(blob);
        }
    }
}

//! The sending side: one epoch at a time, one counter per slot in it, and the manifests that name every frame.

use super::epochs::EpochState;
use super::event::SealError;
use crate::sframe::{BaseKey, SealKey};
use domain::limits::MANIFEST_MS;
use domain::{B64, Codec, Ctr, Epoch, Kid, LeafIndex, MeetingId, Slot, UnixMillis};
use evidence::sender_manifest::{MAX_FRAMES, SenderManifest, frame_hash};
use std::collections::{BTreeMap, VecDeque};

/// Manifests that wait while there is no group to send them in: a minute of audio and three layers.
const MAX_WAITING: usize = 256;
/// Manifests said to the group are kept so long, ms: a recorder that was away gets its frames from the SFU up to 60 s
/// late (the longest grace and 30 s), and asks for their names some seconds after.
const KEEP_SAID_MS: u64 = 90_000;
/// ... and at most so many: sound, three layers and a shared screen for that long, some 200 kB.
const MAX_SAID: usize = 512;
/// A manifest is said again at most once per, ms: several recorders ask for the same one.
const AGAIN_MS: u64 = 1_000;

/// A manifest that was said to the group.
struct Said {
    at: UnixMillis,
    manifest: SenderManifest,
    signed: B64,
}

/// Frames that a recorder has no manifest for.
pub(super) struct Wanted {
    pub(super) epoch: Epoch,
    pub(super) slot: Slot,
    pub(super) first_ctr: Ctr,
    pub(super) count: u64,
}

impl Wanted {
    fn names(&self, manifest: &SenderManifest) -> bool {
        let (first, end) = (manifest.first_ctr.0, manifest.first_ctr.0.saturating_add(manifest.frames() as u64));
        manifest.epoch == self.epoch
            && manifest.slot == self.slot
            && first < self.first_ctr.0.saturating_add(self.count)
            && self.first_ctr.0 < end
    }
}

struct Current {
    generation: u64,
    epoch: Epoch,
    own_leaf: LeafIndex,
    base: BaseKey,
    keys: BTreeMap<Slot, SealKey>,
}

/// Seals what this participant sends.
#[derive(Default)]
pub(super) struct Sender {
    sources: BTreeMap<Slot, Codec>,
    current: Option<Current>,
    /// Highest generation ever sealed in: never entered again, so no counter starts twice.
    used: u64,
    open: BTreeMap<Slot, SenderManifest>,
    flush_at: Option<UnixMillis>,
    waiting: VecDeque<SenderManifest>,
    said: VecDeque<Said>,
}

impl Sender {
    pub(super) fn add_source(&mut self, slot: Slot, codec: Codec) {
        if slot.kind() == Some(codec.kind()) {
            self.sources.insert(slot, codec);
        }
    }
    /// Generation it seals in.
    pub(super) fn generation(&self) -> Option<u64> {
        self.current.as_ref().map(|current| current.generation)
    }
    /// Goes over to a later epoch; never back.
    pub(super) fn switch(&mut self, state: &EpochState) {
        if state.generation <= self.used {
            return;
        }
        self.close_manifests();
        self.used = state.generation;
        self.current = Some(Current {
            generation: state.generation,
            epoch: state.epoch,
            own_leaf: state.own_leaf,
            base: state.base.duplicate(),
            keys: BTreeMap::new(),
        });
    }
    /// Stops sealing in the current epoch for good.
    pub(super) fn leave_epoch(&mut self) {
        self.close_manifests();
        self.current = None;
    }
    /// Forgets everything: the session is over.
    pub(super) fn clear(&mut self) {
        *self = Self { used: self.used, ..Self::default() };
    }

    /// Seals one frame and names it in the slot's manifest.
    #[expect(
        clippy::too_many_arguments,
        reason = "one frame has so many properties; a struct would be built per frame"
    )]
    pub(super) fn seal(
        &mut self,
        now: UnixMillis,
        meeting: &MeetingId,
        slot: Slot,
        key_frame: bool,
        frame: &[u8],
        capture_us: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), SealError> {
        let codec = *self.sources.get(&slot).ok_or(SealError::UnknownSource)?;
        let current = self.current.as_mut().ok_or(SealError::Stopped(super::StopReason::NoGroup))?;
        let kid = Kid::new(slot, current.own_leaf, current.epoch);
        let key = current.keys.entry(slot).or_insert_with(|| SealKey::new(&current.base, kid, codec));
        key.set_codec(codec);
        let sealed = key.seal(key_frame, frame, capture_us, out).map_err(SealError::Frame)?;
        let epoch = current.epoch;
        let manifest = self.open.entry(slot).or_insert_with(|| SenderManifest {
            meeting: meeting.clone(),
            epoch,
            slot,
            first_ctr: Ctr(sealed.ctr.0),
            hashes: Vec::new(),
        });
        manifest.hashes.extend(frame_hash(&out[sealed.shim..]));
        let full = manifest.frames() >= MAX_FRAMES;
        self.flush_at.get_or_insert(now.plus(MANIFEST_MS));
        if full {
            self.close_manifests();
        }
        Ok(())
    }

    fn close_manifests(&mut self) {
        self.waiting.extend(std::mem::take(&mut self.open).into_values());
        while self.waiting.len() > MAX_WAITING {
            self.waiting.pop_front();
        }
        self.flush_at = None;
    }
    /// Closes the open manifests when their time has come.
    pub(super) fn tick(&mut self, now: UnixMillis) {
        if self.flush_at.is_some_and(|at| at <= now) {
            self.close_manifests();
        }
    }
    /// When the open manifests close.
    pub(super) fn flush_at(&self) -> Option<UnixMillis> {
        self.flush_at
    }
    /// The next manifest to sign and send.
    pub(super) fn next_manifest(&mut self) -> Option<SenderManifest> {
        self.waiting.pop_front()
    }
    /// Puts one back that could not be sent yet.
    pub(super) fn put_back(&mut self, manifest: SenderManifest) {
        self.waiting.push_front(manifest);
    }
    /// Keeps one that was said, for a recorder that missed it.
    pub(super) fn said(&mut self, now: UnixMillis, manifest: SenderManifest, signed: B64) {
        while self.said.len() >= MAX_SAID || self.said.front().is_some_and(|old| now.since(old.at) > KEEP_SAID_MS) {
            self.said.pop_front();
        }
        self.said.push_back(Said { at: now, manifest, signed });
    }
    /// Those of the kept that name what is wanted and were not said a moment ago.
    pub(super) fn again(&mut self, now: UnixMillis, wanted: &Wanted) -> Vec<B64> {
        let due = |said: &Said| wanted.names(&said.manifest) && now.since(said.at) >= AGAIN_MS;
        let (again, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.said).into_iter().partition(due);
        self.said = rest.into();
        let signed = again.iter().map(|said| said.signed.clone()).collect();
        // still in order of time, so that the oldest go first
        self.said.extend(again.into_iter().map(|said| Said { at: now, ..said }));
        signed
    }
    /// Another meeting begins: nobody there may be told of frames of this one.
    pub(super) fn forget_manifests(&mut self) {
        self.open.clear();
        self.waiting.clear();
        self.said.clear();
        self.flush_at = None;
    }
}

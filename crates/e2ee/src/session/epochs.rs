//! The epochs whose keys are held: the newest, and those left in the last seconds, to open only.

use crate::mls::{Group, GroupError};
use crate::sframe::{BaseKey, Frame, OpenError, Opener};
use domain::limits::{KEEP_EPOCH_MS, KEEP_EPOCHS, MAX_LAYERS};
use domain::message::custody::LeafRole;
use domain::{Codec, Epoch, LeafIndex, ParticipantId, Slot, UnixMillis};
use evidence::identity::Identity;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A recorder keeps epochs longer: after a reconnection the SFU sends what was not acknowledged.
const RECORDER_KEEP_MS: u64 = 120_000;
/// ... and more of them.
const RECORDER_KEEP: usize = 256;
/// How many epochs ahead a frame may be and still be held.
const AHEAD: u16 = 8;

/// One epoch as this participant knows it.
pub(super) struct EpochState {
    pub(super) epoch: Epoch,
    /// Counts entered epochs, never repeats: the same epoch number may come twice when a commit is withdrawn.
    pub(super) generation: u64,
    pub(super) members: BTreeMap<LeafIndex, Identity>,
    pub(super) own_leaf: LeafIndex,
    pub(super) base: BaseKey,
    pub(super) commitment: [u8; 32],
    pub(super) transcript_hash: [u8; 32],
    pub(super) entered_at: UnixMillis,
    /// Somebody was removed by it: senders switch at once.
    pub(super) removal: bool,
    /// The delivery service says that everybody processes it.
    pub(super) ready: bool,
    pub(super) left_at: Option<UnixMillis>,
    pub(super) opener: Opener,
}

/// Who came and who went.
pub(super) struct Change {
    pub(super) added: Vec<ParticipantId>,
    pub(super) removed: Vec<ParticipantId>,
}

/// All epochs held, oldest first.
pub(super) struct Epochs {
    pub(super) states: VecDeque<EpochState>,
    next_generation: u64,
    /// Highest epoch the delivery service called ready; the word may come before the epoch.
    ready_through: Option<Epoch>,
    keep_ms: u64,
    keep: usize,
}

impl Epochs {
    pub(super) fn new(role: LeafRole) -> Self {
        let recorder = role == LeafRole::Recorder;
        Self {
            states: VecDeque::new(),
            next_generation: 1,
            ready_through: None,
            keep_ms: if recorder { RECORDER_KEEP_MS } else { KEEP_EPOCH_MS },
            keep: if recorder { RECORDER_KEEP } else { KEEP_EPOCHS },
        }
    }
    pub(super) fn latest(&self) -> Option<&EpochState> {
        self.states.back()
    }
    pub(super) fn by_epoch(&self, epoch: Epoch) -> Option<&EpochState> {
        self.states.iter().find(|state| state.epoch == epoch)
    }
    pub(super) fn by_generation(&self, generation: u64) -> Option<&EpochState> {
        self.states.iter().find(|state| state.generation == generation)
    }

    /// Takes the keys of the epoch the group has just reached. States of the same or a later number were of a withdrawn
    /// branch and go.
    pub(super) fn enter(&mut self, now: UnixMillis, group: &mut Group) -> Result<Change, GroupError> {
        let base = group.take_base_key()?;
        let epoch = group.epoch();
        self.states.retain(|state| state.epoch < epoch);
        let members: BTreeMap<LeafIndex, Identity> = group.members();
        let before: BTreeSet<&ParticipantId> = self.participants();
        let after: BTreeSet<&ParticipantId> = members.values().map(|member| &member.participant).collect();
        let added: Vec<_> = after.difference(&before).map(|p| (*p).clone()).collect();
        let removed: Vec<_> = before.difference(&after).map(|p| (*p).clone()).collect();
        let alone = members.len() == 1;
        if let Some(left) = self.states.back_mut() {
            left.left_at = Some(now);
        }
        self.states.push_back(EpochState {
            epoch,
            generation: self.next_generation,
            own_leaf: group.own_leaf(),
            commitment: base.commitment(),
            transcript_hash: group.transcript_hash(),
            entered_at: now,
            removal: !removed.is_empty(),
            ready: alone || self.ready_through.is_some_and(|through| through >= epoch),
            left_at: None,
            opener: Opener::live(base.duplicate(), epoch),
            base,
            members,
        });
        self.next_generation += 1;
        Ok(Change { added, removed })
    }
    fn participants(&self) -> BTreeSet<&ParticipantId> {
        self.latest().map(|state| state.members.values().map(|m| &m.participant).collect()).unwrap_or_default()
    }
    /// Puts a state of a checkpoint back.
    pub(super) fn put_back(&mut self, mut state: EpochState) {
        state.generation = self.next_generation;
        self.next_generation += 1;
        self.states.push_back(state);
    }
    /// Forgets an epoch and all after it.
    pub(super) fn withdraw(&mut self, epoch: Epoch) {
        self.states.retain(|state| state.epoch < epoch);
        self.ready_through = self.ready_through.filter(|through| *through < epoch);
        if let Some(last) = self.states.back_mut() {
            last.left_at = None;
        }
    }
    /// Everybody connected processes `epoch`.
    pub(super) fn ready(&mut self, epoch: Epoch) {
        self.ready_through = self.ready_through.max(Some(epoch));
        for state in self.states.iter_mut().filter(|state| state.epoch <= epoch) {
            state.ready = true;
        }
    }
    /// Erases what was left too long ago.
    pub(super) fn expire(&mut self, now: UnixMillis) {
        let keep_ms = self.keep_ms;
        self.states.retain(|state| state.left_at.is_none_or(|left| now.since(left) < keep_ms));
        while self.states.len() > self.keep + 1 {
            self.states.pop_front();
        }
    }
    /// When the next state expires.
    pub(super) fn next_expiry(&self) -> Option<UnixMillis> {
        self.states.iter().filter_map(|state| state.left_at).map(|left| left.plus(self.keep_ms)).min()
    }

    /// What opens a frame that came as `from`'s source `first_slot`: epoch, leaf and slot are judged before a key is tried.
    pub(super) fn opener(
        &mut self,
        now: UnixMillis,
        from: &ParticipantId,
        first_slot: Slot,
        codec: Codec,
        wire: &[u8],
    ) -> Result<&mut Opener, OpenError> {
        let kid = Frame::read(codec, wire)?.kid;
        if !kid.is_ours() {
            return Err(OpenError::Malformed);
        }
        if !belongs(kid.slot(), first_slot, codec) {
            return Err(OpenError::WrongSlot);
        }
        let (latest, keep_ms) = (self.latest().map(|state| state.epoch), self.keep_ms);
        let low = kid.epoch_low();
        let state = self.states.iter_mut().rev().find(|state| {
            (state.epoch.0 & 0xffff) as u16 == low && state.left_at.is_none_or(|left| now.since(left) < keep_ms)
        });
        let Some(state) = state else {
            let ahead = latest.is_none_or(|epoch| (1..=AHEAD).contains(&low.wrapping_sub((epoch.0 & 0xffff) as u16)));
            return Err(if ahead { OpenError::NotYet } else { OpenError::UnknownEpoch });
        };
        let sender = state.members.get(&kid.leaf()).ok_or(OpenError::WrongSender)?;
        if sender.participant != *from || sender.role == LeafRole::Recorder {
            return Err(OpenError::WrongSender);
        }
        Ok(&mut state.opener)
    }
}

/// Does a frame's slot belong to the source that starts at `first`?
fn belongs(slot: Slot, first: Slot, codec: Codec) -> bool {
    let group = |slot: Slot| match slot.0 {
        0 => Some(0),
        1 => Some(1),
        2..=15 => Some(2),
        16..=31 => Some(3),
        _ => None,
    };
    slot.kind() == Some(codec.kind())
        && group(slot).is_some()
        && group(slot) == group(first)
        && (first.0..first.0 + MAX_LAYERS).contains(&slot.0)
}

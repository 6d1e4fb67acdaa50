//! Removal orders: judged, never obeyed against a recorder, remembered until a commit has done them.

use super::epochs::EpochState;
use super::{IncidentKind, Session};
use domain::limits::REMOVAL_STOP_MS;
use domain::message::custody::LeafRole;
use domain::{Epoch, LeafIndex, ParticipantId, UnixMillis};
use evidence::order::{self, RemovalOrder};
use std::collections::{BTreeMap, BTreeSet};

struct Ordered {
    participant: ParticipantId,
    at: UnixMillis,
}

/// Orders not yet done, and since when each leaf is held: an order of before that is not about its holder.
#[derive(Default)]
pub(super) struct Orders {
    outstanding: BTreeMap<LeafIndex, Ordered>,
    held_since: BTreeMap<LeafIndex, (ParticipantId, Epoch)>,
    against_us: bool,
}

impl Orders {
    /// Takes note of a new epoch's members.
    pub(super) fn settle(&mut self, state: &EpochState) {
        let first = self.held_since.is_empty();
        let mut held = BTreeMap::new();
        for (leaf, member) in &state.members {
            let since = match self.held_since.get(leaf) {
                Some((participant, since)) if *participant == member.participant => *since,
                // members of before us may be the target of an order given before we came; we are not
                _ if first && *leaf != state.own_leaf => Epoch(0),
                _ => state.epoch,
            };
            held.insert(*leaf, (member.participant.clone(), since));
        }
        self.held_since = held;
        let held = &self.held_since;
        self.outstanding.retain(|leaf, ordered| {
            held.get(leaf)
                .is_some_and(|(participant, since)| *participant == ordered.participant && *since < state.epoch)
                || (first && held.get(leaf).is_some_and(|(participant, _)| *participant == ordered.participant))
        });
        self.against_us = self.outstanding.contains_key(&state.own_leaf);
    }
    /// When senders stop for want of a commit.
    pub(super) fn stop_at(&self) -> Option<UnixMillis> {
        self.outstanding.values().map(|ordered| ordered.at.plus(REMOVAL_STOP_MS)).min()
    }
    /// Are we ordered out?
    pub(super) fn against_us(&self) -> bool {
        self.against_us
    }
}

impl Session {
    pub(super) fn on_order(&mut self, now: UnixMillis, signed: &[u8]) {
        let judged = order::judge(&self.trust, signed).ok();
        let meeting = self.meeting.as_ref().map(|meeting| &meeting.terms.meeting);
        let Some(order) = judged.filter(|order| Some(&order.meeting) == meeting) else {
            return self.incident(IncidentKind::BadOrder, None);
        };
        let Some(state) = self.epochs.latest() else { return };
        let target = state.members.iter().find(|(leaf, member)| {
            member.participant == order.participant && order.leaf.is_none_or(|wanted| wanted == **leaf)
        });
        // gone already, or not in yet
        let Some((leaf, member)) = target.map(|(leaf, member)| (*leaf, member)) else { return };
        if member.role == LeafRole::Recorder {
            return self.incident(IncidentKind::OrderAgainstRecorder, Some(order.participant));
        }
        if is_stale(&self.orders, leaf, &order) {
            return;
        }
        if leaf == state.own_leaf {
            self.orders.against_us = true;
        }
        let participant = order.participant;
        self.orders.outstanding.entry(leaf).or_insert(Ordered { participant, at: now });
    }

    /// Leaves that are ordered out and still in.
    pub(super) fn ordered_leaves(&self) -> BTreeSet<LeafIndex> {
        self.orders.outstanding.keys().copied().collect()
    }
}

/// Given before this leaf's holder came (back): an old order said again.
fn is_stale(orders: &Orders, leaf: LeafIndex, order: &RemovalOrder) -> bool {
    orders.held_since.get(&leaf).is_some_and(|(_, since)| order.epoch < *since)
}

//! Who waits while the terms of the running meeting are about to change. Waiting recorders of no meeting are the room's.

use crate::limits::MAX_WAITING;
use crate::ports::ConnId;
use crate::room::{Parked, RoomRecord};
use domain::{FirmId, UnixMillis, UserId};
use std::sync::Arc;

/// The lobby of one room.
#[derive(Default)]
pub(crate) struct Lobby {
    waiting: Vec<Parked>,
    /// The newest view of the room that somebody came with, and when it begins to hold.
    next: Option<(Arc<RoomRecord>, UnixMillis)>,
}

impl Lobby {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }
    pub(crate) fn holds(&self, conn: ConnId) -> bool {
        self.waiting.iter().any(|one| one.conn == conn)
    }
    /// When the doors open.
    pub(crate) fn due(&self) -> Option<UnixMillis> {
        self.next.as_ref().map(|(_, due)| *due)
    }

    /// One more waits. What was announced first stays: who comes later puts nothing off. Gives back an older connection
    /// of the same participant.
    pub(crate) fn wait(&mut self, new: Parked, begins: UnixMillis, record: &Arc<RoomRecord>) -> Option<ConnId> {
        let first = self.next.as_ref().map_or(begins, |(_, due)| begins.min(*due));
        self.next = Some((record.clone(), first));
        let same = |old: &Parked| old.entrant.participant == new.entrant.participant;
        let old = self.waiting.iter().position(same).map(|at| self.waiting.remove(at).conn);
        self.waiting.push(new);
        old
    }

    /// A connection is gone. When nobody waits any more nothing changes.
    pub(crate) fn closed(&mut self, conn: ConnId) {
        self.waiting.retain(|one| one.conn != conn);
        if self.waiting.is_empty() {
            self.next = None;
        }
    }

    /// The directory took somebody out: connections to refuse.
    pub(crate) fn membership_ended(&mut self, firm: &FirmId, user: &UserId) -> Vec<ConnId> {
        let of = |one: &&Parked| one.entrant.participant.firm == *firm && one.entrant.participant.user == *user;
        let gone: Vec<ConnId> = self.waiting.iter().filter(of).map(|one| one.conn).collect();
        gone.iter().for_each(|conn| self.closed(*conn));
        gone
    }

    /// Opens the doors: the room as it is to be, and who waited, in order.
    pub(crate) fn open(&mut self) -> Option<(Arc<RoomRecord>, Vec<Parked>)> {
        let (record, _) = self.next.take()?;
        Some((record, std::mem::take(&mut self.waiting)))
    }
}

//! Who waits: while the terms of the running meeting are about to change, or until a host says yes. Waiting recorders of no
//! meeting are the room's.

use crate::limits::MAX_WAITING;
use crate::meeting::Entrant;
use crate::ports::ConnId;
use crate::problem::problem;
use crate::room::{Member, Parked, RoomRecord};
use domain::message::client::{Problem, ProblemCode, Waiter};
use domain::{FirmId, ParticipantId, UnixMillis, UserId};
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

    /// The directory says something else of somebody who waits.
    pub(crate) fn member_changed(&mut self, member: &Member) {
        for one in &mut self.waiting {
            one.entrant.follow(member);
        }
    }

    /// Their certificates were ended: connections to refuse.
    pub(crate) fn revoked(&mut self, ended: impl Fn(&Entrant) -> bool) -> Vec<ConnId> {
        let gone: Vec<ConnId> = self.waiting.iter().filter(|one| ended(&one.entrant)).map(|one| one.conn).collect();
        gone.iter().for_each(|conn| self.closed(*conn));
        gone
    }

    /// Opens the doors: the room as it is to be, and who waited, in order.
    pub(crate) fn open(&mut self) -> Option<(Arc<RoomRecord>, Vec<Parked>)> {
        let (record, _) = self.next.take()?;
        Some((record, std::mem::take(&mut self.waiting)))
    }
}

/// Who waits until a host says yes, each with the room as it was when it came.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Vec<(Parked, Arc<RoomRecord>)>,
    changed: bool,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
    pub(crate) fn holds(&self, conn: ConnId) -> bool {
        self.waiting.iter().any(|(one, _)| one.conn == conn)
    }

    /// One more. Gives back an older connection of the same participant.
    pub(crate) fn wait(&mut self, new: Parked, record: &Arc<RoomRecord>) -> Result<Option<ConnId>, Problem> {
        let same = |(old, _): &(Parked, Arc<RoomRecord>)| old.entrant.participant == new.entrant.participant;
        let old = self.waiting.iter().position(same).map(|at| self.waiting.remove(at).0.conn);
        if self.waiting.len() >= MAX_WAITING {
            return Err(problem(ProblemCode::MeetingFull, "too many people wait to be let in"));
        }
        self.waiting.push((new, record.clone()));
        self.changed = true;
        Ok(old)
    }

    /// A host answered about this one.
    pub(crate) fn take(&mut self, who: &ParticipantId) -> Option<(Parked, Arc<RoomRecord>)> {
        let at = self.waiting.iter().position(|(one, _)| one.entrant.participant == *who)?;
        self.changed = true;
        Some(self.waiting.remove(at))
    }

    /// A connection is gone.
    pub(crate) fn closed(&mut self, conn: ConnId) {
        let before = self.waiting.len();
        self.waiting.retain(|(one, _)| one.conn != conn);
        self.changed |= self.waiting.len() != before;
    }

    /// The directory took somebody out: connections to refuse.
    pub(crate) fn membership_ended(&mut self, firm: &FirmId, user: &UserId) -> Vec<ConnId> {
        let of = |one: &Parked| one.entrant.participant.firm == *firm && one.entrant.participant.user == *user;
        let gone: Vec<ConnId> = self.waiting.iter().filter(|(one, _)| of(one)).map(|(one, _)| one.conn).collect();
        gone.iter().for_each(|conn| self.closed(*conn));
        gone
    }

    /// The directory says something else of somebody who waits.
    pub(crate) fn member_changed(&mut self, member: &Member) {
        for (one, _) in &mut self.waiting {
            one.entrant.follow(member);
        }
    }

    /// Their certificates were ended: connections to refuse.
    pub(crate) fn revoked(&mut self, ended: impl Fn(&Entrant) -> bool) -> Vec<ConnId> {
        let gone = self.waiting.iter().filter(|(one, _)| ended(&one.entrant));
        let gone: Vec<ConnId> = gone.map(|(one, _)| one.conn).collect();
        gone.iter().for_each(|conn| self.closed(*conn));
        gone
    }

    /// Did it change since this was asked?
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// As hosts are told.
    pub(crate) fn shown(&self) -> Vec<Waiter> {
        let shown = |(one, _): &(Parked, Arc<RoomRecord>)| Waiter {
            participant: one.entrant.participant.clone(),
            certificate: one.certificate.clone(),
        };
        self.waiting.iter().map(shown).collect()
    }
}

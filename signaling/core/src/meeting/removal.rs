//! Leaving and being removed: an order signed with the order key, the SFU cut at once, the commit asked for, the
//! connection closed. Orders are never given against recorders: members would refuse them (T14).

use super::{Door, Entrant, Meeting};
use crate::ports::{ConnId, Output, Revoked};
use crate::problem::problem;
use domain::message::client::{Problem, ProblemCode, ToClient};
use domain::message::control::ToSfu;
use domain::{Epoch, FirmId, ParticipantId, UnixMillis, UserId};
use evidence::order::{LABEL, Reason, RemovalOrder, encode};
use std::convert::Infallible;

/// Who learns of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tell {
    /// Everybody connected.
    All,
    /// Everybody but its target, which stays.
    Others,
}

/// An order as it was given.
pub(super) struct Given {
    pub(super) order: domain::B64,
    pub(super) reason: Reason,
    pub(super) epoch: Epoch,
    pub(super) at: UnixMillis,
}

fn told(reason: Reason) -> Option<Problem> {
    let (code, detail) = match reason {
        Reason::Host => (ProblemCode::Removed, "the host removed you"),
        Reason::Silent => (ProblemCode::Removed, "nothing was heard of you for 30 s"),
        Reason::Membership => (ProblemCode::Removed, "your membership of the room ended"),
        Reason::Replaced => (ProblemCode::Replaced, "another connection took your place"),
        Reason::BadCommit => (ProblemCode::BadCommit, "the others could not process your commit"),
        Reason::Expired => (ProblemCode::BadCertificate, "your certificate expired: log in again"),
        Reason::Revoked => return Some(crate::problem::revoked()),
        Reason::Left => return None,
    };
    Some(problem(code, detail))
}

impl Meeting {
    /// Removes a person for good. Recorders keep their leaf: see [`Meeting::drop_connection`].
    pub(super) fn remove(&mut self, now: UnixMillis, who: &ParticipantId, reason: Reason) {
        let Some(person) = self.people.get(who) else { return };
        if person.entrant.recorder {
            self.drop_connection(now, who, told(reason));
            return;
        }
        self.note(Some(&who.firm), format!("participant removed: {reason:?}"));
        self.inform_sfu(ToSfu::Cut { meeting: self.terms.meeting.clone(), participant: who.clone() });
        self.order(now, who, reason, Tell::All);
        let conn = self.people.remove(who).and_then(|person| person.conn);
        if let Some(conn) = conn {
            self.conns.remove(&conn);
            match told(reason) {
                Some(problem) => self.refuse(conn, problem),
                None => self.out.push_back(Output::Close { conn }),
            }
        }
        self.tell_all(None, ToClient::RosterLeft { participant: who.clone() });
        self.delivery.remove(now, who);
        self.settle(now);
    }

    /// Signs a removal order and sends it.
    pub(super) fn order(&mut self, now: UnixMillis, who: &ParticipantId, reason: Reason, tell: Tell) {
        let order = RemovalOrder {
            meeting: self.terms.meeting.clone(),
            participant: who.clone(),
            leaf: self.delivery.leaf_of(who),
            epoch: self.delivery.epoch().unwrap_or(Epoch(0)),
            reason,
            issued_at: now,
        };
        let signer = self.ports.signer.clone();
        let signed = evidence::cose::sign::<Infallible>(LABEL, &encode(&order), None, |hash| Ok(signer.sign(hash)));
        let Ok(signed) = signed;
        let signed = domain::B64::from(signed);
        self.orders.insert(who.clone(), Given { order: signed.clone(), reason, epoch: order.epoch, at: now });
        let except = (tell == Tell::Others).then_some(who);
        self.tell_all(except, ToClient::RemovalOrder { order: signed });
    }

    /// It committed what the majority cannot process.
    pub(super) fn evict(&mut self, now: UnixMillis, who: &ParticipantId) {
        self.remove(now, who, Reason::BadCommit);
    }

    /// Ends a connection and keeps the leaf: the participant may come back.
    pub(super) fn drop_connection(&mut self, now: UnixMillis, who: &ParticipantId, why: Option<Problem>) {
        let Some(conn) = self.people.get(who).and_then(|person| person.conn) else { return };
        match why {
            Some(problem) => self.refuse(conn, problem),
            None => self.out.push_back(Output::Close { conn }),
        }
        self.closed(now, conn);
    }

    /// A connection is gone; its participant has 30 s to come back. A recorder's place stays.
    pub fn closed(&mut self, now: UnixMillis, conn: ConnId) {
        let Some(who) = self.conns.remove(&conn) else { return };
        if let Some(person) = self.people.get_mut(&who) {
            person.conn = None;
            person.heard = now;
        }
        self.note(Some(&who.firm), "connection closed");
        self.tell_all(None, ToClient::RosterLeft { participant: who.clone() });
        self.delivery.away(now, &who);
        self.settle(now);
    }

    /// The directory took someone out of the room.
    pub fn membership_ended(&mut self, now: UnixMillis, firm: &FirmId, user: &UserId) {
        let invited =
            |entrant: &Entrant| entrant.inviter.as_ref().is_some_and(|by| by.firm == *firm && by.user == *user);
        let guests =
            self.people.values().filter(|one| invited(&one.entrant)).map(|one| one.entrant.participant.clone());
        let guests: Vec<ParticipantId> = guests.collect();
        for who in self.devices(firm, user).into_iter().chain(guests) {
            self.remove(now, &who, Reason::Membership);
        }
    }

    /// Firms ended these certificates.
    pub fn revoked(&mut self, now: UnixMillis, certificates: &Revoked) {
        let ended = |entrant: &Entrant| certificates.contains(&entrant.certificate_hash);
        let gone = self.people.iter().filter(|(_, person)| ended(&person.entrant));
        for who in gone.map(|(who, _)| who.clone()).collect::<Vec<_>>() {
            self.remove(now, &who, Reason::Revoked);
        }
    }

    /// Taken out of this meeting, on all devices; a recorder is not ([`Meeting::remove`]).
    pub fn expel(&mut self, now: UnixMillis, firm: &FirmId, user: &UserId) {
        self.devices(firm, user).iter().for_each(|who| self.turn_away(who));
        self.membership_ended(now, firm, user);
    }

    /// Stays out of this meeting; a guest, whose invitation was for once, of all later ones too.
    fn turn_away(&mut self, who: &ParticipantId) {
        self.door.turn_away(who);
        if self.people.get(who).is_some_and(|person| person.entrant.inviter.is_some()) {
            self.out.push_back(Output::TurnedAway(who.clone()));
        }
    }

    pub(super) fn devices(&self, firm: &FirmId, user: &UserId) -> Vec<ParticipantId> {
        let of = |entrant: &Entrant| {
            !entrant.recorder && entrant.participant.firm == *firm && entrant.participant.user == *user
        };
        self.people.iter().filter(|(_, person)| of(&person.entrant)).map(|(who, _)| who.clone()).collect()
    }

    /// A host asks to remove someone: every device of that person, and it stays out of this meeting.
    pub(super) fn host_removes(
        &mut self,
        now: UnixMillis,
        host: &ParticipantId,
        target: &ParticipantId,
    ) -> Result<(), Problem> {
        if !self.people.get(host).is_some_and(|person| self.is_host(&person.entrant)) {
            return Err(problem(ProblemCode::NotHost, "only a host removes participants"));
        }
        match self.people.get(target) {
            None => return Err(problem(ProblemCode::BadMessage, "no such participant")),
            Some(person) if person.entrant.recorder => {
                return Err(problem(ProblemCode::BadMessage, "a recorder cannot be removed"));
            }
            Some(_) => {}
        }
        self.turn_away(target);
        for who in self.devices(&target.firm, &target.user) {
            self.remove(now, &who, Reason::Host);
        }
        Ok(())
    }

    /// The door of a meeting that is over.
    pub fn take_door(&mut self) -> Door {
        std::mem::take(&mut self.door)
    }

    /// A meeting that goes on under a new group: whom a host removed stays out, what is locked stays locked.
    pub fn keep_door(&mut self, door: Door) {
        self.door = door;
    }

    /// The last person is gone, or a host ended it: everybody is told, the SFU forgets the meeting.
    pub fn end(&mut self) {
        let code = if self.hosting.is_over() { ProblemCode::Ended } else { ProblemCode::Removed };
        let conns: Vec<ConnId> = std::mem::take(&mut self.conns).into_keys().collect();
        for conn in conns {
            self.refuse(conn, problem(code, "the meeting ended"));
        }
        self.people.clear();
        self.note(None, "meeting ends");
        self.inform_sfu(ToSfu::MeetingEnded { meeting: self.terms.meeting.clone() });
    }

    /// The group is lost: hands out who is connected, people first, in order of their names.
    pub fn dissolve(&mut self) -> Vec<(ConnId, Entrant)> {
        self.note(None, "group lost, a new one begins");
        self.inform_sfu(ToSfu::MeetingEnded { meeting: self.terms.meeting.clone() });
        let people = std::mem::take(&mut self.people);
        let mut entrants: Vec<_> =
            people.into_values().filter_map(|person| person.conn.map(|conn| (conn, person.entrant))).collect();
        entrants.sort_by_key(|(_, entrant)| entrant.recorder);
        entrants
    }
}

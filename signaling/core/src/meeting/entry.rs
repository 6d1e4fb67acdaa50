//! Admission to a meeting: a person or recorder enters, or comes back by a new connection.

use super::removal::{Given, Tell};
use super::roster::Person;
use super::{Entrant, Meeting};
use crate::delivery::identity::Seat;
use crate::ports::ConnId;
use crate::problem::problem;
use domain::limits::MAX_MEMBERS;
use domain::message::client::{Entry, Problem, ProblemCode, Resume, ToClient};
use domain::message::control::ToSfu;
use domain::message::custody::LeafRole;
use domain::{Epoch, LeafIndex, ParticipantId, UnixMillis};
use evidence::identity::Identity;
use evidence::order::Reason;

impl Meeting {
    /// A connection that may enter does so. A second one of the same participant takes the first one's place.
    pub fn enter(&mut self, now: UnixMillis, conn: ConnId, entrant: Entrant, resume: Option<Resume>) {
        let who = entrant.participant.clone();
        if let Err(problem) = self.may_enter(&entrant) {
            self.refuse(conn, problem);
            return;
        }
        let known = self.people.get_mut(&who);
        let old = known.and_then(|person| person.conn.replace(conn));
        if let Some(old) = old {
            self.conns.remove(&old);
            self.refuse(old, problem(ProblemCode::Replaced, "a newer connection took this place"));
        }
        self.conns.insert(conn, who.clone());
        self.note(Some(&who.firm), if entrant.recorder { "recorder enters" } else { "participant enters" });
        let seat =
            Seat { participant: who.clone(), recorder: entrant.recorder, certificate_hash: entrant.certificate_hash };
        let (meeting, recorder) = (self.terms.meeting.clone(), entrant.recorder);
        let person = self.people.entry(who.clone()).or_insert_with(|| Person::new(now, entrant.clone(), conn));
        if person.entrant.certificate_hash != entrant.certificate_hash {
            person.acknowledgement = None;
        }
        person.entrant = entrant;
        person.heard = now;
        person.sources.clear();
        let resume = resume.filter(|resume| resume.meeting == meeting).map(|resume| resume.epoch);
        self.inform_sfu(ToSfu::Participant { meeting, participant: who.clone(), recorder, may_publish: !recorder });
        let entered = self.delivery.enter(now, seat, resume);
        self.admit(now, &who, entered.entry, entered.replay);
        if let Some(entry) = self.people.get(&who).map(|person| self.row_of(person)) {
            self.tell_all(Some(&who), ToClient::RosterChanged { entry });
        }
        self.door.came_in(&who);
        self.hosting.entered();
        self.settle(now);
    }

    /// Somebody who is in it as it would come in again, with the certificate it shows now.
    pub fn entrant(&self, shown: &Identity) -> Option<Entrant> {
        let known = self.people.get(&shown.participant).map(|person| person.entrant.clone())?;
        let same = known.recorder == (shown.role == LeafRole::Recorder);
        let (certificate_hash, not_after_s) = (shown.certificate_hash, shown.not_after_s);
        same.then_some(Entrant { certificate_hash, not_after_s, ..known })
    }

    pub(super) fn may_enter(&self, entrant: &Entrant) -> Result<(), Problem> {
        let who = &entrant.participant;
        let known = self.people.contains_key(who);
        if !entrant.recorder {
            self.door.turned_away(who)?;
        }
        if entrant.recorder && !self.rules.has_recorder_place(&who.firm) {
            return Err(problem(ProblemCode::NotAMember, "your firm's statement keeps nothing in this room"));
        }
        if !known && self.people.len() >= MAX_MEMBERS {
            return Err(problem(ProblemCode::MeetingFull, "the meeting is full"));
        }
        if !known && !entrant.recorder && self.overloaded {
            let full = "the media server is full: try again in a minute";
            return Err(problem(ProblemCode::MediaFull, full));
        }
        if !known {
            self.barred(entrant)?;
        }
        if !known && self.sfu.is_none() {
            return Err(problem(ProblemCode::MediaUnavailable, "no media server is connected: try again"));
        }
        Ok(())
    }

    /// Sends `Admitted`, then what the entrant missed: orders, commits, receipts, suspensions.
    pub(super) fn admit(&mut self, now: UnixMillis, who: &ParticipantId, entry: Entry, replay: Vec<ToClient>) {
        let continues = matches!(entry, Entry::Continue {});
        let held = replay.iter().find_map(|message| match message {
            ToClient::Commit { epoch, .. } => Some(Epoch(epoch.0.saturating_sub(1))),
            _ => None,
        });
        let admitted = ToClient::Admitted {
            participant: who.clone(),
            terms: Box::new(self.terms.clone()),
            entry,
            roster: self.roster(),
            now,
        };
        self.tell(who, admitted);
        if continues {
            let held = held.or(self.delivery.epoch()).unwrap_or(Epoch(0));
            self.send_orders(who, OrdersOf::Since(held));
        }
        let others = self.people.iter().filter(|(other, _)| *other != who);
        let given: Vec<_> = others.filter_map(|(_, person)| person.acknowledgement.clone()).collect();
        given.into_iter().for_each(|acknowledgement| self.tell(who, ToClient::Acknowledged { acknowledgement }));
        self.tell_lasting_acts(who);
        replay.into_iter().for_each(|message| self.tell(who, message));
        if continues {
            self.send_receipts(who);
        }
        for firm in self.suspended.clone() {
            self.tell(who, ToClient::FirmSuspended { firm, suspended: true });
        }
    }

    /// Someone got or lost its leaf: the roster shows it, and newcomers learn the removals that are still open.
    pub(super) fn seated(&mut self, now: UnixMillis, who: &ParticipantId, leaf: Option<LeafIndex>) {
        self.row_changed(who);
        if leaf.is_some() {
            self.send_pending_orders(who);
            if self.delivery.is_leaving(who) {
                // it left while it was being added: the order of then named no leaf, and nobody kept it
                let reason = self.orders.get(who).map_or(Reason::Left, |given| given.reason);
                self.order(now, who, reason, Tell::Others);
            }
        } else {
            self.receipts.remove(who);
        }
    }

    /// Orders not done yet. A committer needs them to obey, whatever it missed.
    pub(super) fn send_pending_orders(&mut self, who: &ParticipantId) {
        self.send_orders(who, OrdersOf::Pending);
    }

    fn send_orders(&mut self, who: &ParticipantId, which: OrdersOf) {
        // an order that is done must not be said again to who came later: it would read it as one against who came back
        let wanted = |target: &ParticipantId, given: &Given| {
            let since = matches!(which, OrdersOf::Since(held) if given.epoch >= held);
            target != who && (since || self.delivery.is_leaving(target))
        };
        let orders: Vec<_> = self
            .orders
            .iter()
            .filter(|(target, given)| wanted(target, given))
            .map(|(_, given)| given.order.clone())
            .collect();
        orders.into_iter().for_each(|order| self.tell(who, ToClient::RemovalOrder { order }));
    }

    fn send_receipts(&mut self, who: &ParticipantId) {
        let epoch = self.delivery.epoch();
        let current = self.receipts.values().filter(|(of, _)| Some(*of) == epoch);
        let receipts: Vec<_> = current.map(|(_, receipt)| receipt.clone()).collect();
        receipts.into_iter().for_each(|receipt| self.tell(who, ToClient::Receipt { receipt }));
    }
}

/// Which removal orders are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OrdersOf {
    /// Not committed yet.
    Pending,
    /// And those given since this epoch: a replay from it may need them.
    Since(Epoch),
}

//! One row of the roster, and when its owner counts as silent or its certificate as too old.

use super::{Entrant, Meeting};
use crate::bucket::Bucket;
use crate::limits::EXPIRED_MS;
use crate::ports::ConnId;
use domain::limits::SILENT_MS;
use domain::message::client::{RosterEntry, Source, ToClient};
use domain::{B64, LeafIndex, ParticipantId, Slot, TransportKind, UnixMillis};
use evidence::order::Reason;

/// One participant of the meeting, connected or expected back.
pub(super) struct Person {
    pub(super) entrant: Entrant,
    pub(super) conn: Option<ConnId>,
    pub(super) sources: Vec<Source>,
    /// Last sign of life at signaling, or of its media.
    pub(super) heard: UnixMillis,
    /// Transports up at the SFU.
    pub(super) media: Vec<TransportKind>,
    /// That it knows who keeps what, as signed.
    pub(super) acknowledgement: Option<B64>,
    pub(super) bucket: Bucket,
    pub(super) token_at: Option<UnixMillis>,
    /// Microphones that a host turned off, until their owner turns them on.
    pub(super) silenced: Vec<Slot>,
}

impl Person {
    pub(super) fn new(now: UnixMillis, entrant: Entrant, conn: ConnId) -> Self {
        Self {
            entrant,
            conn: Some(conn),
            sources: Vec::new(),
            heard: now,
            media: Vec::new(),
            acknowledgement: None,
            bucket: Bucket::new(now),
            token_at: None,
            silenced: Vec::new(),
        }
    }

    pub(super) fn entry(&self, leaf: Option<LeafIndex>) -> RosterEntry {
        RosterEntry {
            participant: self.entrant.participant.clone(),
            recorder: self.entrant.recorder,
            host: self.entrant.host,
            leaf,
            sources: self.sources.clone(),
            invitation: self.entrant.inviter.as_ref().and(self.entrant.entering.invitation.clone()),
        }
    }

    /// Removed for an expired certificate at.
    fn expired_at(&self) -> Option<UnixMillis> {
        let end = UnixMillis(self.entrant.not_after_s.saturating_mul(1_000));
        (!self.entrant.recorder).then(|| end.plus(EXPIRED_MS))
    }

    /// Silent from then on, unless its media says otherwise.
    fn silent_at(&self) -> Option<UnixMillis> {
        let watched = self.media.is_empty() && (self.conn.is_some() || !self.entrant.recorder);
        watched.then(|| self.heard.plus(SILENT_MS))
    }
}

impl Meeting {
    /// A member whose certificate ran out stays a while: judged when it came in, it speaks for itself until then. A
    /// recorder is not removed for it: its receipts and beacons count for nothing from its expiry on.
    pub(super) fn expiry_timeout(&self) -> Option<UnixMillis> {
        self.people.values().filter_map(Person::expired_at).min()
    }

    pub(super) fn remove_expired(&mut self, now: UnixMillis) {
        let expired = |person: &Person| person.expired_at().is_some_and(|at| at <= now);
        let who: Vec<ParticipantId> =
            self.people.iter().filter(|(_, person)| expired(person)).map(|(who, _)| who.clone()).collect();
        for who in who {
            self.remove(now, &who, Reason::Expired);
        }
    }

    pub(super) fn silence_timeout(&self) -> Option<UnixMillis> {
        self.people.values().filter_map(Person::silent_at).min()
    }

    /// People silent here and at the SFU are removed; a silent recorder only loses its connection.
    pub(super) fn remove_silent(&mut self, now: UnixMillis) {
        let silent = |person: &Person| person.silent_at().is_some_and(|at| at <= now);
        let who: Vec<ParticipantId> =
            self.people.iter().filter(|(_, person)| silent(person)).map(|(who, _)| who.clone()).collect();
        for who in who {
            if self.people.get(&who).is_some_and(|person| person.entrant.recorder) {
                self.drop_connection(now, &who, None);
            } else {
                self.remove(now, &who, Reason::Silent);
            }
        }
    }

    /// The connection answered a ping.
    pub fn alive(&mut self, now: UnixMillis, conn: ConnId) {
        let person = self.conns.get(&conn).and_then(|who| self.people.get_mut(who));
        if let Some(person) = person {
            person.heard = now;
        }
    }

    pub(super) fn row_changed(&mut self, who: &ParticipantId) {
        let Some(person) = self.people.get(who).filter(|person| person.conn.is_some()) else { return };
        let entry = self.row_of(person);
        self.tell_all(None, ToClient::RosterChanged { entry });
    }
}

//! After a panic: whoever's state may be half changed is dropped whole, so that the shard goes on with the others. The
//! first panic of a meeting ends the participant whose packet or command it was; one that is nobody's, or a second one,
//! ends the meeting. Signaling is told to say again what it admitted: both begin anew with fresh state.

use crate::Micros;
use crate::engine::{Engine, Output};
use crate::meeting::Meeting;
use crate::participant::PeerKey;
use crate::record::LinkId;
use domain::message::control::FromSfu;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Whom the engine acts for at the moment: who is ended if it panics now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acting {
    /// Place of the meeting.
    pub(crate) meeting: u32,
    /// Place of the participant; `None` for what concerns the whole meeting.
    pub(crate) place: Option<u32>,
}

/// What was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contained {
    /// One participant.
    Participant,
    /// A whole meeting.
    Meeting,
    /// Nothing: whoever it was is gone already.
    Nothing,
}

impl Engine {
    /// The edge caught a panic. `peer` is whom the edge acted for; without one it is whom the engine acted for.
    pub fn contain(&mut self, now: Micros, peer: Option<PeerKey>) -> Contained {
        let acting = match peer {
            Some(peer) if self.name(peer).is_none() => return Contained::Nothing,
            Some(peer) => Acting { meeting: peer.meeting, place: Some(peer.place) },
            None => match self.acting.take() {
                Some(acting) => self.served(acting),
                None => return Contained::Nothing,
            },
        };
        let at = acting.meeting as usize;
        let Some(meeting) = self.meetings.get_mut(at).and_then(Option::as_mut) else { return Contained::Nothing };
        meeting.faults += 1;
        if let (Some(place), 1) = (acting.place, meeting.faults) {
            let shared = &mut self.shared;
            // sound to go on: the participant is taken out whole, and a meeting that cannot do that is dropped below
            let ended = catch_unwind(AssertUnwindSafe(|| {
                let id = meeting.name(place as usize).map(|(_, participant)| participant.clone())?;
                meeting.cut(shared, now, &id);
                shared.tell(FromSfu::Lost { meeting: meeting.id.clone(), participant: Some(id) });
                Some(())
            }));
            if let Ok(ended) = ended {
                return ended.map_or(Contained::Nothing, |()| Contained::Participant);
            }
        }
        self.bury(at);
        Contained::Meeting
    }

    /// The edge begins something that is nobody's until it says otherwise.
    pub fn acts_for_nobody(&mut self) {
        self.acting = None;
    }

    /// A run that was being written blames the subscriber it was written for.
    fn served(&self, acting: Acting) -> Acting {
        let run = self.shared.runs.front().filter(|run| run.meeting == acting.meeting);
        Acting { place: acting.place.or_else(|| run.and_then(|run| run.serving)), ..acting }
    }

    /// Drops a meeting without running any of its code.
    fn bury(&mut self, at: usize) {
        let Some(Some(meeting)) = self.meetings.get_mut(at).map(Option::take) else { return };
        self.by_id.remove(&meeting.id);
        self.shared.runs.retain(|run| run.meeting != meeting.place);
        let Meeting { id, place, participants, .. } = meeting;
        for mut gone in participants.into_iter().flatten() {
            if let Some(number) = gone.log().and_then(|log| log.link()) {
                let link = LinkId { meeting: place, place: gone.key.place, number };
                self.shared.outputs.push_back(Output::CloseLink(link));
            }
            self.shared.outputs.push_back(Output::Gone(gone.key));
        }
        self.shared.tell(FromSfu::Lost { meeting: id, participant: None });
    }
}

/// What a test puts into a packet to make its handling panic; there is no such thing outside the tests of this crate.
#[cfg(test)]
pub(crate) const TRAP: &[u8] = b"a trap for tests";

/// Panics on a packet that ends in [`TRAP`].
#[cfg(test)]
pub(crate) fn spring(packet: &[u8]) {
    assert!(!packet.ends_with(TRAP), "a trap was sprung");
}

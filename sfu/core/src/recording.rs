//! Record links of a meeting: who is connected, what each recorder is owed, and the acknowledgements that keep its
//! firm's gate open.

use crate::Micros;
use crate::engine::Output;
use crate::forward::Shared;
use crate::meeting::Meeting;
use crate::participant::Participant;
use crate::record::{LinkId, Record, Resumed};
use domain::ParticipantId;
use domain::message::control::FromSfu;
use domain::message::record_link::ToSfuRecord;

/// Why a record link is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkRefused {
    /// The meeting is not here, or is over.
    #[error("the meeting is not on this node")]
    NoMeeting,
    /// It is no recorder of this meeting.
    #[error("no such recorder is in the meeting")]
    NoRecorder,
}

impl Meeting {
    pub(crate) fn record_up(
        &mut self,
        shared: &mut Shared,
        now: Micros,
        id: &ParticipantId,
        durable: u64,
    ) -> Result<LinkId, LinkRefused> {
        let key = self.peer(id).ok_or(LinkRefused::NoRecorder)?;
        let place = key.place as usize;
        let number = shared.next_generation();
        let log = self.participants[place].as_mut().and_then(Participant::log).ok_or(LinkRefused::NoRecorder)?;
        let link = LinkId { meeting: self.place, place: key.place, number };
        if let Some(old) = log.link() {
            shared.outputs.push_back(Output::CloseLink(LinkId { number: old, ..link }));
        }
        let resumed = log.connect(now, number, durable);
        if resumed == Resumed::Fresh {
            for track in self.tracks.iter_mut().flatten() {
                track.recorders.retain(|(recorder, _)| *recorder != place);
            }
            for track in 0..self.tracks.len() {
                self.announce_track(shared, now, place, track);
            }
        }
        shared.tell(FromSfu::RecordLink { meeting: self.id.clone(), participant: id.clone(), up: true });
        for track in 0..self.tracks.len() {
            self.want_key(shared, now, track);
        }
        Ok(link)
    }

    /// Gives a track a number in a recorder's log, if the log has begun.
    pub(crate) fn announce_track(&mut self, shared: &mut Shared, now: Micros, recorder: usize, place: usize) {
        // a source is one track to recorders, whichever layer they are sent
        let Some(track) = self.tracks[place].as_mut().filter(|track| track.lead == place) else { return };
        let Some(owner) = self.participants[track.owner].as_ref().map(|p| p.id.clone()) else { return };
        let Some(log) = self.participants[recorder].as_mut().and_then(Participant::log) else { return };
        if !log.active() {
            return;
        }
        let number = log.number_track();
        track.recorders.push((recorder, number));
        let (slot, codec) = (track.section.slot, track.section.codec);
        log.push(now, Record::Track { track: number, participant: owner, slot, codec });
        shared.stats.recorded += 1;
    }

    pub(crate) fn record_message(&mut self, shared: &mut Shared, now: Micros, link: LinkId, message: ToSfuRecord) {
        let Some(Some(participant)) = self.participants.get_mut(link.place as usize) else { return };
        let firm = participant.id.firm.clone();
        let Some(log) = participant.log().filter(|log| log.link() == Some(link.number)) else { return };
        match message {
            ToSfuRecord::Ack { seq } => {
                log.acknowledge(seq);
                if let Some(clock) = self.firms.get_mut(&firm) {
                    clock.acknowledge(now);
                }
                self.announce_gates(shared, now);
            }
            ToSfuRecord::NeedKeyFrame { track } => {
                let recorder = link.place as usize;
                let wanted = self
                    .tracks
                    .iter()
                    .position(|t| t.as_ref().is_some_and(|t| t.recorders.contains(&(recorder, track))));
                let recorded = wanted.and_then(|lead| {
                    let recorded = &self.tracks[lead].as_ref()?.recorded;
                    recorded.target.or(recorded.feed).or(Some(lead))
                });
                if let Some(track) = recorded {
                    self.want_key(shared, now, track);
                }
            }
            // only the first message may be a hello; the edge took it
            ToSfuRecord::Hello { .. } => shared.outputs.push_back(Output::CloseLink(link)),
        }
    }

    pub(crate) fn record_down(&mut self, shared: &mut Shared, now: Micros, link: LinkId) {
        let Some(Some(participant)) = self.participants.get_mut(link.place as usize) else { return };
        let id = participant.id.clone();
        if participant.log().is_some_and(|log| log.disconnect(now, link.number)) {
            shared.tell(FromSfu::RecordLink { meeting: self.id.clone(), participant: id, up: false });
        }
    }

    pub(crate) fn poll_record(&mut self, link: LinkId) -> Option<(u64, Record)> {
        self.participants.get_mut(link.place as usize)?.as_mut()?.log()?.poll(link.number)
    }
}

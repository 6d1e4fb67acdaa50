//! The engine of one shard: routes events to meetings and collects what they say. It owns the meetings and nothing else.

use crate::contain::Acting;
use crate::forward::{Cut, Run, Shared};
use crate::layers::wishes::View;
use crate::meeting::Meeting;
use crate::participant::{LinkState, PeerKey};
use crate::record::{LinkId, Record};
use crate::recording::LinkRefused;
use crate::rtp::Header;
use crate::sdp::offer::OfferSection;
use crate::track::PublishSection;
use crate::{Micros, Stats};
use domain::message::client::SubscribedTrack;
use domain::message::control::{FromSfu, ToSfu};
use domain::message::record_link::ToSfuRecord;
use domain::{Codec, MeetingId, ParticipantId, TransportKind};
use std::collections::HashMap;

/// Housekeeping runs so often, microseconds: retransmission requests, reports, offers that wait.
pub const TICK_US: u64 = 20_000;
/// Meetings of one shard; beyond it new ones are refused by silence, signaling sees the offer fail.
pub const MAX_MEETINGS: usize = 10_000;

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A message of the control link. Those with SDP are the edge's: it reads them and says what follows.
    Control(ToSfu),
    /// A publish offer was answered.
    Published {
        /// Whose.
        peer: PeerKey,
        /// Its sending sections.
        sections: Vec<PublishSection>,
    },
    /// The page answered the subscribe offer.
    Answered {
        /// Whose.
        peer: PeerKey,
        /// Which revision.
        revision: u32,
        /// Mids that it takes.
        accepted: Vec<String>,
    },
    /// The page began anew: what it was sent no longer exists there.
    Renewed {
        /// Whose.
        peer: PeerKey,
    },
    /// The page's subscribe transport has new ICE parameters of ours: it is offered once more.
    Reoffer {
        /// Whose.
        peer: PeerKey,
    },
    /// The page's subscribe transport took another path: what was under way on the one before may be lost.
    Moved {
        /// Whose.
        peer: PeerKey,
    },
    /// A transport came up or went down.
    Transport {
        /// Whose.
        peer: PeerKey,
        /// Which.
        transport: TransportKind,
        /// Up or down.
        state: LinkState,
    },
    /// A message on a record link.
    Record {
        /// Which connection.
        link: LinkId,
        /// What it says.
        message: ToSfuRecord,
    },
    /// A record link ended.
    RecordDown {
        /// Which connection.
        link: LinkId,
    },
}

/// What is to be done.
#[derive(Debug)]
pub enum Output {
    /// Tell signaling.
    Control(FromSfu),
    /// Send RTCP.
    Rtcp {
        /// To whom.
        to: PeerKey,
        /// On which transport.
        transport: TransportKind,
        /// Compound packet, not yet sealed.
        packet: Vec<u8>,
    },
    /// Write and send a subscribe offer.
    Offer {
        /// To whom.
        to: PeerKey,
        /// Its revision.
        revision: u32,
        /// Its sections in order.
        sections: Vec<OfferSection>,
        /// Whose track each is.
        tracks: Vec<SubscribedTrack>,
    },
    /// Forget the subscribe transport; the next offer begins a new one.
    ResetSubscribe(PeerKey),
    /// Forget the participant and its transports.
    Gone(PeerKey),
    /// Close a record link.
    CloseLink(LinkId),
}

/// All meetings of one shard.
#[derive(Debug)]
pub struct Engine {
    pub(crate) meetings: Vec<Option<Meeting>>,
    pub(crate) by_id: HashMap<MeetingId, usize>,
    pub(crate) shared: Shared,
    pub(crate) acting: Option<Acting>,
    next_tick: Option<Micros>,
}

impl Engine {
    /// An engine without meetings. `seed` decides SSRCs; it is no secret.
    pub fn new(seed: u64) -> Self {
        Self { meetings: Vec::new(), by_id: HashMap::new(), shared: Shared::new(seed), acting: None, next_tick: None }
    }

    /// Takes an event.
    pub fn handle(&mut self, now: Micros, input: Input) {
        match input {
            Input::Control(message) => self.control(now, message),
            Input::Published { peer, sections } => {
                self.with(now, peer, |m, s, p| m.published(s, now, p, sections));
            }
            Input::Answered { peer, revision, accepted } => {
                self.with(now, peer, |m, s, p| m.answered(s, now, p, revision, &accepted));
            }
            Input::Renewed { peer } => self.with(now, peer, |m, s, p| m.renew_subscription(s, p)),
            Input::Reoffer { peer } => self.with(now, peer, |m, _, p| m.reoffer(p)),
            Input::Moved { peer } => self.with(now, peer, |m, s, p| m.moved(s, now, p)),
            Input::Transport { peer, transport, state } => {
                self.with(now, peer, |m, s, p| m.transport(s, now, p, transport, state));
            }
            Input::Record { link, message } => self.link(link, |m, s| m.record_message(s, now, link, message)),
            Input::RecordDown { link } => self.link(link, |m, s| m.record_down(s, now, link)),
        }
        if self.next_tick.is_none() && !self.by_id.is_empty() {
            self.next_tick = Some(now.plus(TICK_US));
        }
    }

    /// Acts on a participant's meeting, if the handle is not stale, and makes the offers that follow.
    fn with(&mut self, now: Micros, peer: PeerKey, act: impl FnOnce(&mut Meeting, &mut Shared, usize)) {
        if let Some((meeting, shared)) = self.current(peer) {
            act(meeting, shared, peer.place as usize);
            meeting.offers(shared, now);
        }
    }

    fn current(&mut self, peer: PeerKey) -> Option<(&mut Meeting, &mut Shared)> {
        let meeting = self.meetings.get_mut(peer.meeting as usize)?.as_mut()?;
        self.acting = Some(Acting { meeting: peer.meeting, place: Some(peer.place) });
        meeting.is_current(peer).then_some((meeting, &mut self.shared))
    }

    fn link(&mut self, link: LinkId, act: impl FnOnce(&mut Meeting, &mut Shared)) {
        if let Some(Some(meeting)) = self.meetings.get_mut(link.meeting as usize) {
            self.acting = Some(Acting { meeting: link.meeting, place: Some(link.place) });
            act(meeting, &mut self.shared);
        }
    }

    fn by_id(&mut self, id: &MeetingId) -> Option<(&mut Meeting, &mut Shared)> {
        let place = *self.by_id.get(id)?;
        self.acting = Some(Acting { meeting: place as u32, place: None });
        Some((self.meetings[place].as_mut()?, &mut self.shared))
    }

    fn control(&mut self, now: Micros, message: ToSfu) {
        match message {
            ToSfu::Meeting { meeting, firms } => {
                let Some(place) = self.place_of(&meeting) else { return };
                self.acting = Some(Acting { meeting: place as u32, place: None });
                if let Some(meeting) = &mut self.meetings[place] {
                    meeting.set_rules(&mut self.shared, now, firms);
                }
            }
            ToSfu::MeetingEnded { meeting } => {
                if let Some(place) = self.by_id.remove(&meeting)
                    && let Some(mut ended) = self.meetings[place].take()
                {
                    ended.end(&mut self.shared, now);
                }
            }
            ToSfu::Participant { meeting, participant, recorder, may_publish } => {
                if let Some((meeting, shared)) = self.by_id(&meeting) {
                    meeting.admit(shared, now, participant, recorder, may_publish);
                }
            }
            ToSfu::Leaves { meeting, epoch, leaves } => {
                if let Some((known, shared)) = self.by_id(&meeting) {
                    known.leaves.take(now, epoch, leaves);
                    shared.tell(FromSfu::LeavesTaken { meeting, epoch });
                }
            }
            ToSfu::Cut { meeting, participant } => {
                if let Some((meeting, shared)) = self.by_id(&meeting) {
                    meeting.cut(shared, now, &participant);
                }
            }
            ToSfu::Mute { meeting, participant, slot, muted } => {
                if let Some((meeting, _)) = self.by_id(&meeting) {
                    meeting.mute(&participant, slot, muted);
                }
            }
            ToSfu::View { meeting, participant, wishes } => {
                if let Some((meeting, shared)) = self.by_id(&meeting)
                    && let Some(peer) = meeting.peer(&participant)
                {
                    meeting.view(shared, now, peer.place as usize, View::new(wishes));
                }
            }
            ToSfu::Layers { meeting, participant, slot, heights } => {
                if let Some((meeting, _)) = self.by_id(&meeting) {
                    meeting.heights(&participant, slot, heights);
                }
            }
            // their SDP and tokens are the edge's
            ToSfu::PublishOffer { .. }
            | ToSfu::SubscribeAnswer { .. }
            | ToSfu::Candidate { .. }
            | ToSfu::RecordToken { .. }
            | ToSfu::Fence { .. } => {}
        }
    }

    fn place_of(&mut self, id: &MeetingId) -> Option<usize> {
        if let Some(place) = self.by_id.get(id) {
            return Some(*place);
        }
        if self.by_id.len() >= MAX_MEETINGS {
            return None;
        }
        let place = self.meetings.iter().position(Option::is_none).unwrap_or(self.meetings.len());
        if place == self.meetings.len() {
            self.meetings.push(None);
        }
        self.meetings[place] = Some(Meeting::new(id.clone(), place as u32));
        self.by_id.insert(id.clone(), place);
        Some(place)
    }

    /// The handle of a participant, once admitted.
    pub fn peer(&self, meeting: &MeetingId, participant: &ParticipantId) -> Option<PeerKey> {
        self.meetings[*self.by_id.get(meeting)?].as_ref()?.peer(participant)
    }

    /// Who a handle is.
    pub fn name(&self, peer: PeerKey) -> Option<(&MeetingId, &ParticipantId)> {
        let meeting = self.meetings.get(peer.meeting as usize)?.as_ref()?;
        meeting.is_current(peer).then(|| meeting.name(peer.place as usize)).flatten()
    }

    /// Codec of the track that a section of a subscribe transport carries or carried last.
    pub fn codec_of(&self, peer: PeerKey, mid: &str) -> Option<Codec> {
        let meeting = self.meetings.get(peer.meeting as usize)?.as_ref().filter(|meeting| meeting.is_current(peer))?;
        let participant = meeting.participants[peer.place as usize].as_ref()?;
        participant.subscribing.sections.iter().find(|section| section.mid == mid).map(|section| section.codec)
    }

    /// A recorder opened its record link and showed its token and certificate.
    pub fn record_up(
        &mut self,
        now: Micros,
        meeting: &MeetingId,
        participant: &ParticipantId,
        durable: u64,
    ) -> Result<LinkId, LinkRefused> {
        let (meeting, shared) = self.by_id(meeting).ok_or(LinkRefused::NoMeeting)?;
        meeting.record_up(shared, now, participant, durable)
    }

    /// The next message for a record link, with its sequence number (0 for the welcome).
    pub fn poll_record(&mut self, link: LinkId) -> Option<(u64, Record)> {
        self.acting = Some(Acting { meeting: link.meeting, place: Some(link.place) });
        self.meetings.get_mut(link.meeting as usize)?.as_mut()?.poll_record(link)
    }

    /// An opened RTP packet: `packet` is header and plaintext, `index` its extended sequence number at SRTP.
    pub fn handle_rtp(&mut self, now: Micros, from: PeerKey, header: &Header, index: u64, packet: &[u8]) {
        if let Some((meeting, shared)) = self.current(from) {
            meeting.rtp(shared, now, from.place as usize, header, index, packet);
        }
    }

    /// An opened RTCP compound.
    pub fn handle_rtcp(&mut self, now: Micros, from: PeerKey, transport: TransportKind, packet: &[u8]) {
        if let Some((meeting, shared)) = self.current(from) {
            meeting.rtcp(shared, now, from.place as usize, transport, packet);
        }
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Micros) {
        let tick = self.next_tick.is_some_and(|at| at <= now);
        for meeting in self.meetings.iter_mut().flatten() {
            self.acting = Some(Acting { meeting: meeting.place, place: None });
            meeting.release_held(&mut self.shared, now);
            meeting.announce_gates(&mut self.shared, now);
            if tick {
                meeting.tick(&mut self.shared, now);
            }
        }
        if tick {
            self.next_tick = (!self.by_id.is_empty()).then(|| now.plus(TICK_US));
        }
    }

    /// When [`Engine::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Micros> {
        let meetings = self.meetings.iter().flatten().filter_map(Meeting::deadline);
        self.next_tick.into_iter().chain(self.shared.wakes.next()).chain(meetings).min()
    }

    /// Writes the next packets for one subscriber to the end of `arena`, each followed by [`crate::TAG`] free bytes,
    /// and describes them in `cuts` (cleared first). `None` when nothing is left to forward.
    pub fn poll_forward(&mut self, now: Micros, arena: &mut Vec<u8>, cuts: &mut Vec<Cut>) -> Option<PeerKey> {
        cuts.clear();
        loop {
            while let Some(run) = self.shared.runs.front_mut() {
                let meeting = self.meetings.get_mut(run.meeting as usize).and_then(Option::as_mut);
                self.acting = Some(Acting { meeting: run.meeting, place: None });
                let aside = (self.shared.shed, &mut self.shared.stats, &mut self.shared.wakes);
                let step = meeting.and_then(|meeting| meeting.forward(now, run, aside, arena, cuts));
                match step {
                    Some(key) if !cuts.is_empty() => return Some(key),
                    Some(_) => {}
                    None => {
                        if let Some(done) = self.shared.runs.pop_front() {
                            self.shared.recycle(done);
                        }
                    }
                }
            }
            let (due, peer) = self.shared.wakes.due(now)?;
            self.acting = Some(Acting { meeting: peer.meeting, place: Some(peer.place) });
            if let Some(Some(meeting)) = self.meetings.get_mut(peer.meeting as usize) {
                meeting.serve(&mut self.shared, (now, due), peer, arena, cuts);
            }
            if !cuts.is_empty() {
                return Some(peer);
            }
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.shared.outputs.pop_front()
    }

    /// Counters.
    pub fn stats(&self) -> Stats {
        self.shared.stats
    }

    /// Bytes of all tracks' packet histories now.
    pub fn history_bytes(&self) -> usize {
        let tracks = self.meetings.iter().flatten().flat_map(|meeting| meeting.tracks.iter().flatten());
        tracks.map(|track| track.history.capacity()).sum()
    }

    /// Meetings and participants now.
    pub fn population(&self) -> (usize, usize) {
        (self.by_id.len(), self.meetings.iter().flatten().map(Meeting::population).sum())
    }
}

impl Shared {
    pub(crate) fn tell(&mut self, message: FromSfu) {
        self.outputs.push_back(Output::Control(message));
    }

    pub(crate) fn recycle(&mut self, mut run: Run) {
        run.indices.clear();
        if self.spare.len() < 64 {
            self.spare.push(run.indices);
        }
    }
}

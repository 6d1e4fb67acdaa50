//! A participant in a meeting: what it may do, what it publishes and what it is sent.

use crate::Micros;
use crate::congestion::{BitRate, Downlink};
use crate::layers::wishes::View;
use crate::record::RecordLog;
use crate::rtcp::twcc::Arrivals;
use crate::subscription::{Carried, Section};
use crate::track::Role;
use domain::{MediaKind, ParticipantId, Slot};

/// Sections of one subscribe transport: 250 members with two sources each. Beyond it tracks wait for a free one.
pub const MAX_SECTIONS: usize = 500;
/// SSRCs taken from one publisher: eight tracks with repair streams, over some changes of encoder.
pub const MAX_STREAMS: usize = 64;
/// Tracks of one publisher: microphone, screen sound, camera, screen, and as many again while one replaces the other.
pub const MAX_TRACKS: usize = 8;
/// An offer that was not answered for so long is made again.
pub const ANSWER_WAIT_US: u64 = 10_000_000;

/// Handle of a participant for the edge; stale ones are recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerKey {
    pub(crate) meeting: u32,
    pub(crate) place: u32,
    pub(crate) generation: u64,
}

/// Is a transport up?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkState {
    /// No.
    #[default]
    Down,
    /// ICE and DTLS are done.
    Up,
}

/// What a participant is in the meeting.
#[derive(Debug)]
pub enum Kind {
    /// A person, with transports.
    Member,
    /// A firm's recorder, with a record link.
    Recorder(Box<RecordLog>),
}

/// The publish side.
#[derive(Debug, Default)]
pub struct Publishing {
    /// Transport state.
    pub state: LinkState,
    /// Known SSRCs.
    pub streams: Vec<(u32, usize, Role)>,
    /// Places of own tracks.
    pub tracks: Vec<usize>,
    /// Id of the transport-wide sequence number, 0 if none.
    pub transport_sequence_id: u8,
    /// Arrivals for transport-wide feedback.
    pub arrivals: Arrivals,
    /// Sources muted by the host.
    pub muted: Vec<Slot>,
    /// When the last receiver report went.
    pub reported: Micros,
    /// When the last transport-wide feedback went.
    pub fed_back: Micros,
}

/// The subscribe side.
#[derive(Debug, Default)]
pub struct Subscribing {
    /// Transport state.
    pub state: LinkState,
    /// m-sections in order.
    pub sections: Vec<Section>,
    /// Last revision offered.
    pub revision: u32,
    /// Since when an offer is unanswered.
    pub outstanding: Option<Micros>,
    /// The next offer differs from the last.
    pub changed: bool,
    /// The way out: estimate, pacer, probes.
    pub downlink: Downlink,
    /// When the last sender reports went.
    pub reported: Micros,
    /// What its link carries now; `None`: not known yet, taken as unlimited.
    pub estimate: Option<BitRate>,
    /// Since when feedback says what its link carries.
    pub measured: Option<Micros>,
    /// What the page shows; `None`: it has not said, it gets everything.
    pub view: Option<View>,
    /// The estimate that they were chosen by.
    pub chosen_by: Option<BitRate>,
    /// When layers were last chosen for it.
    pub chosen: Micros,
    /// SSRCs given out on this transport.
    next_ssrc: u32,
}

impl Subscribing {
    /// A transport without sections; SSRCs count up from `first_ssrc`.
    pub fn new(first_ssrc: u32) -> Self {
        Self { next_ssrc: first_ssrc, ..Self::default() }
    }

    /// Gives the track a section: a free one of its kind, else a new one. Returns its place, `None` if full.
    pub fn carry(&mut self, carried: Carried) -> Option<usize> {
        let (ssrc, repair) = (self.next_ssrc, self.next_ssrc.wrapping_add(1));
        let kind: MediaKind = carried.codec.kind();
        let place = match self.sections.iter().position(|s| s.free && s.kind == kind) {
            Some(place) => {
                self.sections[place].reuse(carried, ssrc, repair);
                place
            }
            None if self.sections.len() < MAX_SECTIONS => {
                let mid = format!("s{}", self.sections.len());
                self.sections.push(Section::new(mid, carried, ssrc, repair));
                self.sections.len() - 1
            }
            None => return None,
        };
        self.next_ssrc = repair.wrapping_add(1);
        self.changed = true;
        Some(place)
    }
}

/// A participant.
#[derive(Debug)]
pub struct Participant {
    /// Its handle.
    pub key: PeerKey,
    /// Who.
    pub id: ParticipantId,
    /// Member or recorder.
    pub kind: Kind,
    /// May publish.
    pub may_publish: bool,
    /// Publish side.
    pub publishing: Publishing,
    /// Subscribe side.
    pub subscribing: Subscribing,
}

impl Participant {
    /// The record log, if it is a recorder.
    pub fn log(&mut self) -> Option<&mut RecordLog> {
        match &mut self.kind {
            Kind::Recorder(log) => Some(log),
            Kind::Member => None,
        }
    }

    /// Is it a person?
    pub fn is_member(&self) -> bool {
        matches!(self.kind, Kind::Member)
    }
}

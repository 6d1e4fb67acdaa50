//! A published track: one source of one participant, its last second of packets and what is asked of its publisher.

use crate::Micros;
use crate::gaps::Gaps;
use crate::grace::Gate;
use crate::history::History;
use crate::keyframe::KeyRequests;
use crate::reception::Reception;
use domain::{Codec, MediaKind, Slot};

/// Packets of an unfinished frame are held so long for its marker, microseconds: a frame then leaves in one send.
pub const HOLD_US: u64 = 1_000;

/// What the publish offer said about one sending section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishSection {
    /// `a=mid`.
    pub mid: String,
    /// First slot.
    pub slot: Slot,
    /// Codec.
    pub codec: Codec,
    /// Payload type of the codec.
    pub payload_type: u8,
    /// Payload type of its retransmissions.
    pub repair_payload_type: Option<u8>,
    /// SSRC of the media and of its retransmissions, where the offer names them.
    pub ssrcs: Option<(u32, Option<u32>)>,
    /// Id of the mid extension, 0 if none.
    pub mid_id: u8,
    /// Id of the transport-wide sequence number, 0 if none.
    pub transport_sequence_id: u8,
    /// Id of the audio level, 0 if none.
    pub level_id: u8,
}

/// Which role an SSRC plays for a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The media itself.
    Media,
    /// Retransmissions (RFC 4588).
    Repair,
}

/// A published track.
#[derive(Debug)]
pub struct Track {
    /// Place of the publisher.
    pub owner: usize,
    /// The negotiated section.
    pub section: PublishSection,
    /// SSRC once a packet came.
    pub ssrc: Option<u32>,
    /// Last second.
    pub history: History,
    /// Packets of the frame that is not complete yet.
    pub pending: Vec<u64>,
    /// Since when the oldest of them waits, and the frame's timestamp.
    pub pending_since: Option<(Micros, u32)>,
    /// Missing packets.
    pub gaps: Gaps,
    /// Key-frame requests.
    pub keys: KeyRequests,
    /// Start of the newest key frame.
    pub last_key: Option<u64>,
    /// Numbers for receiver reports.
    pub reception: Option<Reception>,
    /// Frame being refused: its later packets go too.
    pub refused: Option<u32>,
    /// Was the last packet let through? An opening needs a key frame.
    pub gate: Gate,
    /// Places of subscribers with their section.
    pub subscribers: Vec<(usize, usize)>,
    /// Places of recorders with the track's number there.
    pub recorders: Vec<(usize, u32)>,
}

impl Track {
    /// A track without packets.
    pub fn new(owner: usize, section: PublishSection) -> Self {
        Self {
            owner,
            section,
            ssrc: None,
            history: History::default(),
            pending: Vec::new(),
            pending_since: None,
            gaps: Gaps::default(),
            keys: KeyRequests::default(),
            last_key: None,
            reception: None,
            refused: None,
            gate: Gate::Closed,
            subscribers: Vec::new(),
            recorders: Vec::new(),
        }
    }

    /// Sound or picture.
    pub fn kind(&self) -> MediaKind {
        self.section.codec.kind()
    }

    /// The source starts anew under another SSRC (page reloaded its encoder): nothing of the old one counts.
    pub fn restart(&mut self, ssrc: u32) {
        self.ssrc = Some(ssrc);
        self.history = History::default();
        self.pending.clear();
        self.pending_since = None;
        self.gaps = Gaps::default();
        self.last_key = None;
        self.reception = None;
        self.refused = None;
    }

    /// Asks for a key frame if pictures are sent.
    pub fn want_key(&mut self) {
        if self.kind() == MediaKind::Video {
            self.keys.want();
        }
    }
}

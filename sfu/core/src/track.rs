//! A published track: one stream of one participant, its last second of packets and what is asked of its publisher. A
//! source in simulcast is several of them, one a layer; the first is the source's lead and stands for it.

use crate::Micros;
use crate::allowance::Allowance;
use crate::gaps::Gaps;
use crate::grace::Gate;
use crate::history::History;
use crate::keyframe::KeyRequests;
use crate::layers::needs::Needs;
use crate::layers::rate::Rate;
use crate::layers::record::Recorded;
use crate::reception::Reception;
use crate::rtp::dependency::Structure;
use domain::message::client::LinkQuality;
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
    /// Names of the simulcast layers, lowest first; empty: one encoding.
    pub rids: Vec<String>,
    /// Id of the extension that names a packet's layer, 0 if none.
    pub rid_id: u8,
    /// Id of the extension that names the layer of a retransmission, 0 if none.
    pub repair_rid_id: u8,
    /// Id of the extension that goes on to subscribers ([`crate::sdp::carried`]), 0 if none.
    pub carried_id: u8,
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
    /// Place of the source's first track: this one's own if there is one encoding.
    pub lead: usize,
    /// Which layer of the source it is, lowest 0.
    pub layer: u8,
    /// On a lead: places of all layers, lowest first.
    pub layers: Vec<usize>,
    /// On a lead: heights of the layers, as the page says; empty if it does not.
    pub heights: Vec<u16>,
    /// On a lead: the layers somebody needs.
    pub needs: Needs,
    /// On a lead: the layer that recorders are sent.
    pub recorded: Recorded,
    /// What it may send, if it is sound.
    pub allowance: Allowance,
    /// What its layers take.
    pub rate: Rate,
    /// How well its packets reach us.
    pub quality: LinkQuality,
    /// What its frames look like, where a dependency descriptor says.
    pub structure: Option<Structure>,
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
    pub fn new(owner: usize, section: PublishSection, lead: usize, layer: u8) -> Self {
        Self {
            owner,
            section,
            lead,
            layer,
            layers: Vec::new(),
            heights: Vec::new(),
            needs: Needs::default(),
            recorded: Recorded::default(),
            allowance: Allowance::default(),
            rate: Rate::default(),
            quality: LinkQuality::Good,
            structure: None,
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

    /// Is it one layer of several?
    pub fn is_layer(&self) -> bool {
        !self.section.rids.is_empty()
    }

    /// The slot that this very stream is sealed under.
    pub fn slot(&self) -> Slot {
        Slot(self.section.slot.0 + self.layer)
    }

    /// Its name in the offer, if it is one layer of several.
    pub fn rid(&self) -> Option<&str> {
        self.section.rids.get(usize::from(self.layer)).map(String::as_str)
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
        self.rate = Rate::default();
        self.structure = None;
    }

    /// Layers of the source that it leads and its page uses: a small camera is not sent in all sizes that were negotiated.
    pub fn used_layers(&self) -> usize {
        if self.heights.is_empty() { self.layers.len() } else { self.heights.len().min(self.layers.len()) }
    }

    /// Asks for a key frame if pictures are sent.
    pub fn want_key(&mut self) {
        if self.kind() == MediaKind::Video {
            self.keys.want();
        }
    }
}

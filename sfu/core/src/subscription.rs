//! A section of a participant's subscribe transport: one m-line that carries one track, is kept inactive when the track
//! ends, and is used again for another track of the same kind.

use crate::rewrite::Rewriter;
use domain::{Codec, MediaKind, ParticipantId, Slot};

/// Payload types of our own offers.
pub fn payload_types(codec: Codec) -> (u8, Option<u8>) {
    match codec {
        Codec::Opus => (111, None),
        Codec::Vp8 => (96, Some(97)),
        Codec::Vp9 => (98, Some(99)),
        Codec::Av1 => (45, Some(46)),
    }
}

/// One m-section.
#[derive(Debug)]
pub struct Section {
    /// `a=mid`, never changed.
    pub mid: String,
    /// Sound or picture, never changed.
    pub kind: MediaKind,
    /// Codec of the present track.
    pub codec: Codec,
    /// Our SSRC for the present track.
    pub ssrc: u32,
    /// Our SSRC for its retransmissions.
    pub repair_ssrc: u32,
    /// Whose track it is or was last.
    pub participant: ParticipantId,
    /// Its first slot.
    pub slot: Slot,
    /// Place of the track; `None` when it ended.
    pub track: Option<usize>,
    /// What the offer under way says of it.
    pub offered_active: bool,
    /// The page has answered an offer with the present track.
    pub answered: bool,
    /// ... and the transport is up: packets go.
    pub live: bool,
    /// The page has answered an offer in which it is inactive: it may be used again.
    pub free: bool,
    /// Numbers of the stream.
    pub rewriter: Rewriter,
    /// Pictures wait for a key frame.
    pub awaiting_key: bool,
    /// Next sequence number of retransmissions.
    pub repair_sequence: u64,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// The track a section is to carry.
#[derive(Debug, Clone)]
pub struct Carried {
    /// Place of the track.
    pub track: usize,
    /// Whose.
    pub participant: ParticipantId,
    /// First slot.
    pub slot: Slot,
    /// Codec.
    pub codec: Codec,
}

impl Section {
    /// A section for a track; SSRCs are the transport's own choice.
    pub fn new(mid: String, carried: Carried, ssrc: u32, repair_ssrc: u32) -> Self {
        Self {
            mid,
            kind: carried.codec.kind(),
            codec: carried.codec,
            ssrc,
            repair_ssrc,
            participant: carried.participant,
            slot: carried.slot,
            track: Some(carried.track),
            offered_active: false,
            answered: false,
            live: false,
            free: false,
            rewriter: Rewriter::new(carried.codec.kind()),
            awaiting_key: carried.codec.kind() == MediaKind::Video,
            repair_sequence: 1,
            packets: 0,
            octets: 0,
        }
    }

    /// Uses a free section again: new SSRCs, new numbers, same m-line.
    pub fn reuse(&mut self, carried: Carried, ssrc: u32, repair_ssrc: u32) {
        *self = Self::new(std::mem::take(&mut self.mid), carried, ssrc, repair_ssrc);
    }

    /// The track ended: nothing more goes, the m-line becomes inactive with the next offer.
    pub fn end(&mut self) {
        self.track = None;
        self.answered = false;
        self.live = false;
    }

    /// Packets were left out: go on without a hole, pictures from the next key frame.
    pub fn interrupt(&mut self) {
        self.rewriter.interrupt();
        self.awaiting_key = self.kind == MediaKind::Video;
    }
}

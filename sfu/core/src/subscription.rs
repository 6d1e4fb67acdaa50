//! A section of a participant's subscribe transport: one m-line that carries one track, is kept inactive when the track
//! ends, and is used again for another track of the same kind.

use crate::Micros;
use crate::history::Entry;
use crate::layers::follow::Room;
use crate::layers::retry::Retry;
use crate::rewrite::Rewriter;
use domain::message::client::Feed;
use domain::{Codec, MediaKind, ParticipantId, Slot};

/// A receiver asks for a missing packet for about so long at most.
const GIVEN_UP_US: u64 = 2_000_000;

/// Layers inside one stream that are sent, up to and with these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// Spatial.
    pub spatial: u8,
    /// Temporal.
    pub temporal: u8,
}

impl Cap {
    /// Everything.
    pub const NONE: Self = Self { spatial: u8::MAX, temporal: u8::MAX };
}

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
    /// Place of the source's lead track; `None` when it ended.
    pub track: Option<usize>,
    /// Place of the layer that is sent; `None` while paused.
    pub feed: Option<usize>,
    /// Place of the layer to go over to, at its next key frame.
    pub target: Option<usize>,
    /// What is sent of the layers inside the stream.
    pub cap: Cap,
    /// What is to be sent of them, from the next place where that is possible.
    pub goal: Cap,
    /// It had to give way to others on the link and does not rise until then.
    pub settles: Option<Micros>,
    /// Which of its layers did not last.
    pub retry: Retry,
    /// Packets up to this number are not sent again: they were given up at that time.
    pub given_up: Option<(u16, Micros)>,
    /// What the link leaves for it.
    pub room: Room,
    /// What the page was told of it.
    pub told: Option<Feed>,
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
    /// Frames were refused since the last key frame: one is asked for when there is room.
    pub starved: bool,
    /// Share of it that the subscriber lost lately, of 256.
    pub lost: u8,
    /// Middle 32 bits of the last sender report's NTP time, and when it went.
    pub reported: Option<(u32, Micros)>,
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
            feed: None,
            target: None,
            cap: Cap::NONE,
            goal: Cap::NONE,
            settles: None,
            retry: Retry::default(),
            given_up: None,
            room: Room::Any,
            told: None,
            offered_active: false,
            answered: false,
            live: false,
            free: false,
            rewriter: Rewriter::new(carried.codec.kind()),
            awaiting_key: carried.codec.kind() == MediaKind::Video,
            repair_sequence: 1,
            starved: false,
            lost: 0,
            reported: None,
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
        self.pause();
        self.answered = false;
        self.live = false;
    }

    /// Nothing goes until another layer is chosen.
    pub fn pause(&mut self) {
        (self.feed, self.target) = (None, None);
        self.interrupt();
    }

    /// Goes over to its target, whose key frame is there.
    pub fn switch(&mut self) {
        self.feed = self.target.take();
        self.cap = self.goal;
        self.rewriter.interrupt();
        self.awaiting_key = false;
    }

    /// Is this packet of a layer that is sent? Layers inside the stream come and go only where a decoder can follow:
    /// all at a key frame, down at the start of a picture, one temporal layer up where it says that it may begin.
    pub fn admits(&mut self, entry: &Entry) -> bool {
        if entry.key {
            self.cap = self.goal;
        } else if entry.begins && entry.spatial == 0 {
            self.cap.spatial = self.cap.spatial.min(self.goal.spatial);
            self.cap.temporal = self.cap.temporal.min(self.goal.temporal);
            let next = self.cap.temporal.saturating_add(1);
            if entry.sync && entry.temporal == next && next <= self.goal.temporal {
                self.cap.temporal = if self.goal.temporal == u8::MAX && entry.temporal >= 2 { u8::MAX } else { next };
            }
        }
        entry.spatial <= self.cap.spatial && entry.temporal <= self.cap.temporal
    }

    /// A frame was refused because too much waits: pictures go on from a key frame, which is asked for when there is room.
    pub fn starve(&mut self) {
        self.starved = true;
        self.interrupt();
    }

    /// What it is sent does not pass by far: nothing more of it, nor again what was lost, until a layer that fits begins.
    pub fn give_up(&mut self, now: Micros) {
        self.given_up = self.rewriter.newest().map(|newest| (newest, now));
        self.interrupt();
    }

    /// Was this packet given up? So for [`GIVEN_UP_US`]: then nobody asks for it any more.
    pub fn is_given_up(&self, now: Micros, sequence: u16) -> bool {
        let of = |(last, at): (u16, Micros)| now.since(at) < GIVEN_UP_US && last.wrapping_sub(sequence) < 1 << 15;
        self.given_up.is_some_and(of)
    }

    /// Packets were left out: go on without a hole, pictures from the next key frame.
    pub fn interrupt(&mut self) {
        self.rewriter.interrupt();
        self.awaiting_key = self.kind == MediaKind::Video;
    }
}

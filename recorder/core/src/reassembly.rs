//! Packets of one RTP source to whole frames, in order, under loss and reordering.
//!
//! It waits for a missing packet as long as a retransmission may take, then gives the frame up and says that there was
//! a hole. It knows the record-link number of what it still holds: nothing of that may be acknowledged.

use crate::depacketize;
use crate::rtp::RtpPacket;
use domain::Codec;
use domain::limits::MAX_FRAME;
use std::collections::BTreeMap;

/// How long a missing packet is waited for, by the SFU's clock: two NACK rounds at 150 ms round trip, and the
/// acknowledgement stays far below the smallest recorder grace.
pub const WAIT_US: u64 = 400_000;
/// The same by the recorder's own clock, counted to the newest message of the link, ms: for a source that fell silent.
/// Longer, because a backlog comes slowly over a bad link; shorter than the smallest recorder grace.
pub const WAIT_LOCAL_MS: u64 = 1_000;
/// Packets held at most: a 2 MiB frame of 1,100-byte packets.
pub const MAX_HELD: usize = 2_048;
/// A jump of more than this is a new numbering, not a loss.
const MAX_JUMP: u64 = 10_000;

/// What is missing between a frame and the one before it of its source, by RTP numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// The rest of a frame whose numbers have no hole: its sender did not send it. Browsers throw away what their pacer
    /// still holds of a stream when a key frame follows.
    Rest,
    /// Numbers: packets were lost on the way.
    Hole,
}

/// A frame as its sender's packetizer got it: shim, SFrame header, ciphertext, tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// RTP source.
    pub ssrc: u32,
    /// RTP timestamp.
    pub rtp_timestamp: u32,
    /// SFU's clock at its last packet.
    pub sfu_us: u64,
    /// Lowest record-link number among its packets.
    pub link_seq: u64,
    /// Bytes.
    pub bytes: Vec<u8>,
    /// A key frame, as its payload descriptor says (VP9 alone).
    pub key: bool,
    /// What is missing before it.
    pub before: Before,
}

/// When a packet came, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Came {
    /// SFU's clock, microseconds.
    pub sfu_us: u64,
    /// Recorder's monotonic clock, ms.
    pub local_ms: u64,
}

struct Held {
    link_seq: u64,
    came: Came,
    timestamp: u32,
    start: bool,
    end: bool,
    key: bool,
    data: Vec<u8>,
}

/// State of the frame at the front.
enum Look {
    /// Here up to this number.
    Whole(u64),
    /// The next frame begins at this number, before it ended.
    Cut(u64),
    /// Packets are missing, or not there yet.
    Missing { since: Came },
}

/// The packets of one source (SSRC).
pub struct Reassembly {
    codec: Codec,
    ssrc: u32,
    held: BTreeMap<u64, Held>,
    /// Next number wanted; `None` before the first packet.
    next: Option<u64>,
    highest: u64,
    before: Before,
    clock: Came,
    give_up: bool,
}

impl Reassembly {
    /// For a source of this codec.
    pub fn new(codec: Codec, ssrc: u32) -> Self {
        Self {
            codec,
            ssrc,
            held: BTreeMap::new(),
            next: None,
            highest: 0,
            before: Before::Nothing,
            clock: Came { sfu_us: 0, local_ms: 0 },
            give_up: false,
        }
    }

    /// The wire number closest to the highest seen (RFC 3550 appendix A.1, without its probation).
    fn extend(&self, wire: u16) -> u64 {
        let delta = wire.wrapping_sub(self.highest as u16) as i16;
        self.highest.saturating_add_signed(i64::from(delta))
    }

    /// Takes a packet. Late copies and malformed ones are dropped.
    pub fn push(&mut self, link_seq: u64, came: Came, packet: &RtpPacket<'_>, out: &mut Vec<Assembled>) {
        self.clock.sfu_us = self.clock.sfu_us.max(came.sfu_us);
        self.clock.local_ms = self.clock.local_ms.max(came.local_ms);
        if self.next.is_none() {
            // room below, so that a packet that overtook the first is not lost
            self.highest = (1 << 32) | u64::from(packet.sequence);
            self.next = Some(self.highest);
        }
        let number = self.extend(packet.sequence);
        if number.abs_diff(self.highest) > MAX_JUMP {
            self.flush(out);
            self.next = Some(number);
            self.before = Before::Hole;
        }
        self.highest = self.highest.max(number);
        if self.next.is_some_and(|next| number < next) {
            return;
        }
        // padding-only packets fill their number and carry nothing; so does what cannot be read
        let part = depacketize::part(self.codec, packet.payload).filter(|part| !part.data.is_empty());
        let held = Held {
            link_seq,
            came,
            timestamp: packet.timestamp,
            start: part.is_some_and(|part| part.start),
            end: part.is_some_and(|part| part.end.unwrap_or(packet.marker)),
            key: part.is_some_and(|part| part.key),
            data: part.map_or_else(Vec::new, |part| part.data.to_vec()),
        };
        self.held.entry(number).or_insert(held);
        self.drain(out);
    }

    /// Time passes without packets of this source; `local_ms` is when the link's newest message came.
    pub fn tick(&mut self, local_ms: u64, out: &mut Vec<Assembled>) {
        self.clock.local_ms = self.clock.local_ms.max(local_ms);
        self.drain(out);
    }

    /// Gives up what is not whole.
    pub fn flush(&mut self, out: &mut Vec<Assembled>) {
        self.give_up = true;
        self.drain(out);
        self.held.clear();
        self.give_up = false;
    }

    /// Lowest record-link number still needed here.
    pub fn oldest_link_seq(&self) -> Option<u64> {
        self.held.values().map(|held| held.link_seq).min()
    }

    /// Is something of this source not resolved?
    pub fn is_waiting(&self) -> bool {
        !self.held.is_empty()
    }

    fn drain(&mut self, out: &mut Vec<Assembled>) {
        while let Some(next) = self.next {
            let Some((&first, head)) = self.held.first_key_value() else { return };
            if first != next {
                if !self.is_overdue(head.came) {
                    return;
                }
                self.before = Before::Hole;
                self.next = Some(first);
                continue;
            }
            if !head.start {
                // the rest of a frame that was given up, padding, or a source joined in its middle
                if !head.data.is_empty() {
                    self.before = Before::Hole;
                }
                self.held.pop_first();
                self.next = Some(next + 1);
                continue;
            }
            match self.look(first) {
                Look::Whole(last) => self.take(first, last, out),
                Look::Cut(behind) => {
                    self.held = self.held.split_off(&behind);
                    self.next = Some(behind);
                    self.before = self.before.max(Before::Rest);
                }
                Look::Missing { since } if !self.is_overdue(since) => return,
                Look::Missing { .. } => {
                    self.before = Before::Hole;
                    self.held.pop_first();
                    self.next = Some(next + 1);
                }
            }
        }
    }

    fn is_overdue(&self, since: Came) -> bool {
        self.give_up
            || self.clock.sfu_us.saturating_sub(since.sfu_us) >= WAIT_US
            || self.clock.local_ms.saturating_sub(since.local_ms) >= WAIT_LOCAL_MS
            || self.held.len() > MAX_HELD
    }

    /// How the frame that starts at `first` stands.
    fn look(&self, first: u64) -> Look {
        let timestamp = self.held[&first].timestamp;
        let mut newest = self.held[&first].came;
        for (expected, (number, held)) in (first..).zip(self.held.range(first..)) {
            if *number != expected {
                // the first sign of the hole is the earliest arrival behind it
                let since = self.held.range(*number..).map(|(_, held)| held.came).min();
                return Look::Missing { since: since.unwrap_or(held.came) };
            }
            if held.timestamp != timestamp || (held.start && *number != first) {
                return Look::Cut(*number);
            }
            if held.end {
                return Look::Whole(*number);
            }
            newest = newest.max(held.came);
        }
        Look::Missing { since: newest }
    }

    fn take(&mut self, first: u64, last: u64, out: &mut Vec<Assembled>) {
        let rest = self.held.split_off(&(last + 1));
        let parts = std::mem::replace(&mut self.held, rest);
        let mut frame = Assembled {
            ssrc: self.ssrc,
            rtp_timestamp: parts[&first].timestamp,
            sfu_us: 0,
            link_seq: u64::MAX,
            bytes: Vec::with_capacity(parts.values().map(|held| held.data.len()).sum::<usize>().min(MAX_FRAME)),
            key: parts[&first].key,
            before: self.before,
        };
        for held in parts.into_values() {
            frame.link_seq = frame.link_seq.min(held.link_seq);
            frame.sfu_us = frame.sfu_us.max(held.came.sfu_us);
            if frame.bytes.len() + held.data.len() <= MAX_FRAME {
                frame.bytes.extend(held.data);
            } else {
                frame.bytes.clear();
                break;
            }
        }
        self.next = Some(last + 1);
        let too_large = frame.bytes.is_empty();
        self.before = if too_large { Before::Hole } else { Before::Nothing };
        if !too_large {
            frame.bytes = depacketize::restore(self.codec, frame.bytes);
            out.push(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packets(frames: usize, parts: usize) -> Vec<(u16, u32, bool, Vec<u8>)> {
        let mut out = Vec::new();
        for frame in 0..frames {
            for part in 0..parts {
                let number = 65_500u16.wrapping_add((frame * parts + part) as u16);
                let payload = vec![if part == 0 { 0x10 } else { 0 }, frame as u8, part as u8];
                out.push((number, frame as u32 * 3000, part + 1 == parts, payload));
            }
        }
        out
    }

    fn push(to: &mut Reassembly, seq: u64, us: u64, one: &(u16, u32, bool, Vec<u8>), out: &mut Vec<Assembled>) {
        let packet =
            RtpPacket { marker: one.2, payload_type: 96, sequence: one.0, timestamp: one.1, ssrc: 1, payload: &one.3 };
        to.push(seq, Came { sfu_us: us, local_ms: us / 1000 }, &packet, out);
    }

    #[test]
    fn a_lost_packet_costs_its_frame_after_the_wait_and_no_other() {
        let mut reassembly = Reassembly::new(Codec::Vp8, 1);
        let mut out = Vec::new();
        for (n, packet) in packets(30, 3).iter().enumerate() {
            if n != 16 {
                push(&mut reassembly, n as u64 + 1, n as u64 * 10_000, packet, &mut out);
            }
            if (17..30).contains(&n) {
                assert_eq!((out.len(), reassembly.oldest_link_seq()), (5, Some(16)), "packet {n} waits");
            }
        }
        let frames: Vec<u8> = out.iter().map(|frame| frame.bytes[0]).collect();
        assert_eq!(frames, (0..30u8).filter(|n| *n != 5).collect::<Vec<_>>());
        assert!(out.iter().all(|frame| (frame.before == Before::Hole) == (frame.bytes[0] == 6)));
        assert_eq!(reassembly.oldest_link_seq(), None);
    }

    #[test]
    fn a_frame_that_ends_in_its_middle_without_a_hole_in_the_numbers_was_not_sent_whole() {
        let mut reassembly = Reassembly::new(Codec::Vp8, 1);
        let mut out = Vec::new();
        let mut all = packets(4, 3);
        all.remove(5);
        for (n, one) in all.iter_mut().enumerate() {
            one.0 = 7_000 + n as u16;
            push(&mut reassembly, n as u64 + 1, n as u64 * 10_000, one, &mut out);
        }
        let found: Vec<_> = out.iter().map(|frame| (frame.bytes[0], frame.before)).collect();
        assert_eq!(found, [(0, Before::Nothing), (2, Before::Rest), (3, Before::Nothing)]);
    }

    #[test]
    fn a_packet_that_never_ends_its_frame_is_given_up_by_time_alone() {
        let mut reassembly = Reassembly::new(Codec::Vp8, 1);
        let mut out = Vec::new();
        push(&mut reassembly, 7, 0, &packets(1, 2)[0], &mut out);
        reassembly.tick(WAIT_LOCAL_MS - 1, &mut out);
        assert_eq!(reassembly.oldest_link_seq(), Some(7));
        reassembly.tick(WAIT_LOCAL_MS, &mut out);
        assert_eq!((reassembly.oldest_link_seq(), out.len()), (None, 0));
    }

    #[test]
    fn a_backlog_that_comes_at_once_after_a_silence_loses_nothing() {
        let mut reassembly = Reassembly::new(Codec::Vp8, 1);
        let mut out = Vec::new();
        let all = packets(20, 3);
        push(&mut reassembly, 1, 0, &all[0], &mut out);
        for (n, one) in all.iter().enumerate().skip(1) {
            let packet = RtpPacket {
                marker: one.2,
                payload_type: 96,
                sequence: one.0,
                timestamp: one.1,
                ssrc: 1,
                payload: &one.3,
            };
            let came = Came { sfu_us: n as u64 * 10_000, local_ms: 30_000 };
            reassembly.push(n as u64 + 1, came, &packet, &mut out);
        }
        assert_eq!(out.len(), 20);
    }

    proptest! {
        #[test]
        fn frames_come_whole_and_in_order_whatever_is_lost_or_late(
            lost in proptest::collection::vec(0usize..120, 0..12),
            swaps in proptest::collection::vec((0usize..119, 1usize..6), 0..40),
        ) {
            let all = packets(40, 3);
            let mut order: Vec<usize> = (1..120).collect();
            for (at, by) in swaps {
                let (a, b) = (at.min(118), (at + by).min(118));
                order.swap(a, b);
            }
            order.insert(0, 0);
            let lost: Vec<usize> = lost.into_iter().filter(|n| *n > 0).collect();
            let mut reassembly = Reassembly::new(Codec::Vp8, 1);
            let mut out = Vec::new();
            for (tick, n) in order.iter().enumerate().filter(|(_, n)| !lost.contains(n)) {
                push(&mut reassembly, tick as u64 + 1, tick as u64 * 10_000, &all[*n], &mut out);
            }
            reassembly.flush(&mut out);
            let got: Vec<u8> = out.iter().map(|frame| frame.bytes[0]).collect();
            let want: Vec<u8> = (0..40u8)
                .filter(|frame| (0..3).all(|part| !lost.contains(&(usize::from(*frame) * 3 + part))))
                .collect();
            prop_assert_eq!(got, want);
            prop_assert!(out.iter().all(|frame| frame.bytes.len() == 6));
            prop_assert_eq!(reassembly.oldest_link_seq(), None);
        }
    }
}

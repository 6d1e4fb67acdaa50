//! RTP packets of sealed frames: cuts a frame into packets, puts packets together into frames.
//!
//! Owns sequence numbers of what it sends; knows nothing of keys. VP8 after RFC 7741 (one-byte descriptor, no picture
//! id), Opus after RFC 7587 (one packet a frame).

use bytes::Bytes;
use domain::Codec;
use std::collections::BTreeMap;

/// Payload of one packet: with header, extensions and SRTP tag it stays under 1,200 B, what browsers send.
pub const MAX_PAYLOAD: usize = 1_100;
/// Packets kept of frames that are not complete: one second of 2.5 Mbit/s.
const MAX_PENDING: usize = 512;

/// One packet to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Last packet of its frame?
    pub marker: bool,
    /// Payload descriptor and part of the frame.
    pub payload: Bytes,
}

/// Cuts frames of one track.
pub struct Packetizer {
    codec: Codec,
    sequence: u16,
}

impl Packetizer {
    /// Starts at `sequence` (random, RFC 3550 section 5.1).
    pub fn new(codec: Codec, sequence: u16) -> Self {
        Self { codec, sequence }
    }

    /// Packets of one frame.
    pub fn cut(&mut self, frame: &[u8], timestamp: u32) -> Vec<Outgoing> {
        let parts = frame.len().div_ceil(MAX_PAYLOAD).max(1);
        let size = frame.len().div_ceil(parts).max(1);
        let mut out = Vec::with_capacity(parts);
        for (index, part) in frame.chunks(size).enumerate() {
            let mut payload = Vec::with_capacity(part.len() + 1);
            if self.codec == Codec::Vp8 {
                // RFC 7741 section 4.2: S bit on the first packet, partition 0
                payload.push(if index == 0 { 0x10 } else { 0x00 });
            }
            payload.extend_from_slice(part);
            let marker = self.codec != Codec::Opus && (index + 1) * size >= frame.len();
            out.push(Outgoing { sequence: self.sequence, timestamp, marker, payload: payload.into() });
            self.sequence = self.sequence.wrapping_add(1);
        }
        out
    }
}

/// Puts frames of one track together, in whatever order packets come.
pub struct Depacketizer {
    codec: Codec,
    highest: Option<u64>,
    pending: BTreeMap<u64, Incoming>,
}

struct Incoming {
    timestamp: u32,
    first: bool,
    last: bool,
    part: Bytes,
}

impl Depacketizer {
    /// For one track.
    pub fn new(codec: Codec) -> Self {
        Self { codec, highest: None, pending: BTreeMap::new() }
    }

    /// Takes a packet; gives the frame it completes, with its RTP timestamp.
    pub fn take(&mut self, sequence: u16, timestamp: u32, marker: bool, payload: &Bytes) -> Option<(u32, Vec<u8>)> {
        let index = self.extend(sequence);
        let (first, part) = match self.codec {
            Codec::Vp8 => vp8_part(payload)?,
            _ => (true, payload.clone()),
        };
        if part.is_empty() {
            return None;
        }
        let last = marker || self.codec == Codec::Opus;
        self.pending.insert(index, Incoming { timestamp, first, last, part });
        while self.pending.len() > MAX_PENDING {
            self.pending.pop_first();
        }
        self.complete(index)
    }

    fn extend(&mut self, sequence: u16) -> u64 {
        let index = match self.highest {
            None => u64::from(sequence) + (1 << 16),
            Some(top) => top.saturating_add_signed(i64::from(sequence.wrapping_sub(top as u16) as i16)),
        };
        self.highest = Some(self.highest.map_or(index, |top| top.max(index)));
        index
    }

    fn complete(&mut self, at: u64) -> Option<(u32, Vec<u8>)> {
        let timestamp = self.pending.get(&at)?.timestamp;
        let mut from = at;
        while !self.pending.get(&from)?.first {
            from -= 1;
            if self.pending.get(&from)?.timestamp != timestamp {
                return None;
            }
        }
        let mut to = at;
        while !self.pending.get(&to)?.last {
            to += 1;
            if self.pending.get(&to)?.timestamp != timestamp {
                return None;
            }
        }
        let mut frame = Vec::new();
        for index in from..=to {
            frame.extend_from_slice(&self.pending.remove(&index)?.part);
        }
        Some((timestamp, frame))
    }
}

/// Strips the VP8 payload descriptor: (first packet of a frame, part of the frame).
fn vp8_part(payload: &Bytes) -> Option<(bool, Bytes)> {
    let head = *payload.first()?;
    let mut at = 1;
    if head & 0x80 != 0 {
        let extended = *payload.get(at)?;
        at += 1;
        if extended & 0x80 != 0 {
            at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
        }
        if extended & 0x40 != 0 {
            at += 1;
        }
        if extended & 0x30 != 0 {
            at += 1;
        }
    }
    (at <= payload.len()).then(|| (head & 0x17 == 0x10, payload.slice(at..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_any_order_of_its_packets() {
        let frame: Vec<u8> = (0..5_000u32).map(|n| n as u8).collect();
        let mut cutter = Packetizer::new(Codec::Vp8, 65_533);
        let mut packets = cutter.cut(&frame, 90);
        packets.rotate_left(2);
        let mut joiner = Depacketizer::new(Codec::Vp8);
        let frames: Vec<_> =
            packets.iter().filter_map(|p| joiner.take(p.sequence, p.timestamp, p.marker, &p.payload)).collect();
        assert_eq!(frames, vec![(90, frame)]);
    }

    #[test]
    fn a_lost_packet_gives_no_frame_and_the_next_frame_comes_whole() {
        let mut cutter = Packetizer::new(Codec::Vp8, 1);
        let mut joiner = Depacketizer::new(Codec::Vp8);
        let mut packets = cutter.cut(&[1; 3_000], 1);
        packets.remove(1);
        packets.extend(cutter.cut(&[2; 10], 2));
        let frames: Vec<_> =
            packets.iter().filter_map(|p| joiner.take(p.sequence, p.timestamp, p.marker, &p.payload)).collect();
        assert_eq!(frames, vec![(2, vec![2; 10])]);
    }

    #[test]
    fn short_descriptors_are_refused() {
        for bytes in [&[][..], &[0x80], &[0x80, 0x80], &[0x90, 0xc0, 0x80]] {
            assert_eq!(vp8_part(&Bytes::copy_from_slice(bytes)).map(|(_, part)| part.len()).unwrap_or(0), 0);
        }
    }
}

//! What changes in a packet on its way to one subscriber: SSRC, sequence number, timestamp, payload type, extensions and
//! VP8 running numbers. A subscription may change or pause its source; the subscriber sees one unbroken stream.

use crate::Micros;
use crate::history::Entry;
use crate::rtp::FIXED_HEADER;
use domain::{Codec, MediaKind};
use std::collections::VecDeque;

/// Id of `abs-send-time` in every offer of ours.
pub const ABS_SEND_TIME_ID: u8 = 2;
/// Id of the transport-wide sequence number in every offer of ours.
pub const TRANSPORT_SEQUENCE_ID: u8 = 3;
/// Id of the dependency descriptor in our offers of AV1.
pub const DEPENDENCY_ID: u8 = 4;
/// Id of the color space in our offers of VP8 and VP9.
pub const COLOR_SPACE_ID: u8 = 5;
/// Header of a forwarded packet: fixed part and one extension block of constant size, so that packets of equal payload
/// stay equal and leave in one GSO send. An extension that its sender wrote makes it longer.
pub const FORWARD_HEADER: usize = FIXED_HEADER + 12;
/// Longest element of a block with one-byte heads (RFC 8285 section 4.2); the other form is for descriptors that bring
/// a structure.
const MAX_SHORT: usize = 16;
/// Spans whose numbers can still be asked for again: a second of a stream whose every second frame is left out.
const MAX_SPANS: usize = 64;
/// First sequence number: below 2^15, so that a receiver that guesses a roll-over count of 0 is right.
const FIRST_SEQUENCE: u64 = 1000;

/// Our id of the extension that a codec's packets carry on ([`crate::sdp::carried`]); 0 if they carry none.
pub fn carried_id(codec: Codec) -> u8 {
    match codec {
        Codec::Opus => 0,
        Codec::Vp8 | Codec::Vp9 => COLOR_SPACE_ID,
        Codec::Av1 => DEPENDENCY_ID,
    }
}

/// One unbroken stretch: out = source + offset.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// Place of the track that the packets are of.
    source: usize,
    /// First of its sequence numbers.
    from: u64,
    out_start: u64,
    offset: i64,
    timestamp_offset: u32,
    picture_offset: u16,
    tl0_offset: u8,
}

/// Where a packet goes in the subscriber's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewritten {
    /// Extended sequence number, never given twice.
    pub sequence: u64,
    /// Timestamp.
    pub timestamp: u32,
    picture_offset: u16,
    tl0_offset: u8,
}

/// State of one subscription's numbers.
#[derive(Debug)]
pub struct Rewriter {
    clock_rate: u32,
    spans: VecDeque<Span>,
    /// The next packet begins a new span.
    broken: bool,
    next: u64,
    last: Option<(Micros, u32)>,
    last_picture: u16,
    last_tl0: u8,
    /// Highest source number placed in the running span.
    highest: u64,
    left_out: LeftOut,
}

/// Packets left out since the running span began: the next one closes up.
#[derive(Debug, Default)]
struct LeftOut {
    packets: u64,
    pictures: u16,
    /// The last of them.
    to: u64,
}

impl Rewriter {
    /// A stream that has not begun.
    pub fn new(kind: MediaKind) -> Self {
        Self {
            clock_rate: kind.clock_rate(),
            spans: VecDeque::new(),
            broken: true,
            next: FIRST_SEQUENCE,
            last: None,
            last_picture: 0,
            last_tl0: 0,
            highest: 0,
            left_out: LeftOut::default(),
        }
    }

    /// Source changed, or packets were left out: numbers go on without a hole from the next packet.
    pub fn interrupt(&mut self) {
        self.broken = true;
    }

    /// Has the stream no running span?
    pub fn interrupted(&self) -> bool {
        self.broken
    }

    /// A packet of the running source is not sent: what follows closes up. `pictures` is 1 for the first packet of a
    /// picture whose number is to close up too. One that comes late stays a hole: its number may have been passed.
    pub fn leave_out(&mut self, index: u64, pictures: u16) {
        if !self.broken && index > self.highest && (self.left_out.packets == 0 || index > self.left_out.to) {
            self.left_out.packets += 1;
            self.left_out.pictures = self.left_out.pictures.wrapping_add(pictures);
            self.left_out.to = index;
        }
    }

    /// Places a packet of the track at `source`. `None` if it is from before the running span of that track: its number
    /// is taken or never was.
    pub fn place(&mut self, now: Micros, source: usize, entry: &Entry, payload: &[u8]) -> Option<Rewritten> {
        if self.broken || self.spans.back().is_none_or(|span| span.source != source) {
            self.begin(now, source, entry, payload);
        } else if self.left_out.packets > 0 && entry.index > self.left_out.to {
            self.close_up();
        }
        let at = self.spans.iter().rposition(|span| span.source == source && span.from <= entry.index)?;
        let (span, after) = (self.spans[at], self.spans.get(at + 1));
        let sequence = entry.index.checked_add_signed(span.offset)?;
        if sequence < span.out_start || after.is_some_and(|after| sequence >= after.out_start) {
            return None;
        }
        let out = self.with(&span, entry, sequence);
        self.highest = self.highest.max(entry.index);
        if sequence >= self.next {
            self.next = sequence + 1;
            self.last = Some((now, out.timestamp));
            self.last_picture =
                picture_id(entry, payload).map_or(0, |id| id.wrapping_add(span.picture_offset) & 0x7fff);
            self.last_tl0 = tl0(entry, payload).map_or(0, |id| id.wrapping_add(span.tl0_offset));
        }
        Some(out)
    }

    /// Begins a span in which the numbers of what was left out are not missed.
    fn close_up(&mut self) {
        let LeftOut { packets, pictures, to } = std::mem::take(&mut self.left_out);
        let Some(last) = self.spans.back().copied() else { return };
        let offset = last.offset - packets as i64;
        let Some(out_start) = (to + 1).checked_add_signed(offset) else { return };
        let picture_offset = last.picture_offset.wrapping_sub(pictures) & 0x7fff;
        self.push(Span { from: to + 1, out_start, offset, picture_offset, ..last });
    }

    fn push(&mut self, span: Span) {
        self.spans.push_back(span);
        if self.spans.len() > MAX_SPANS {
            self.spans.pop_front();
        }
    }

    fn with(&self, span: &Span, entry: &Entry, sequence: u64) -> Rewritten {
        Rewritten {
            sequence,
            timestamp: entry.timestamp.wrapping_add(span.timestamp_offset),
            picture_offset: span.picture_offset,
            tl0_offset: span.tl0_offset,
        }
    }

    fn begin(&mut self, now: Micros, source: usize, entry: &Entry, payload: &[u8]) {
        let first = self.last.is_none();
        let timestamp_offset = match self.last {
            None => 0,
            Some((at, last)) => {
                let elapsed = now.since(at) * u64::from(self.clock_rate) / 1_000_000;
                last.wrapping_add(elapsed.max(1) as u32).wrapping_sub(entry.timestamp)
            }
        };
        let after = |last: u16, id: Option<u16>| id.map_or(0, |id| last.wrapping_add(1).wrapping_sub(id));
        let span = Span {
            source,
            from: entry.index,
            out_start: self.next,
            offset: self.next as i64 - entry.index as i64,
            timestamp_offset,
            picture_offset: if first { 0 } else { after(self.last_picture, picture_id(entry, payload)) },
            tl0_offset: if first { 0 } else { after(self.last_tl0.into(), tl0(entry, payload).map(u16::from)) as u8 },
        };
        self.push(span);
        self.broken = false;
        self.highest = entry.index;
        self.left_out = LeftOut::default();
    }

    /// What was sent under this sequence number, if it is recent: the number extended, the track's place and its number
    /// there.
    pub fn source_of(&self, sequence: u16) -> Option<(u64, usize, u64)> {
        let back = (self.next as u16).wrapping_sub(1).wrapping_sub(sequence);
        let extended = (self.next - 1).checked_sub(u64::from(back))?;
        let span = self.spans.iter().rev().find(|span| span.out_start <= extended)?;
        Some((extended, span.source, extended.checked_add_signed(-span.offset)?))
    }

    /// The newest sequence number sent, if any was.
    pub fn newest(&self) -> Option<u16> {
        self.last.map(|_| (self.next - 1) as u16)
    }

    /// Rewrites again what was sent before as `sequence` (for retransmission).
    pub fn again(&self, entry: &Entry, sequence: u64) -> Option<Rewritten> {
        let span = self.spans.iter().rev().find(|span| span.out_start <= sequence)?;
        Some(self.with(span, entry, sequence))
    }

    /// A source timestamp in the subscriber's stream; `None` before the first packet.
    pub fn translate(&self, source: u32) -> Option<u32> {
        self.spans.back().map(|span| source.wrapping_add(span.timestamp_offset))
    }
}

fn picture_id(entry: &Entry, payload: &[u8]) -> Option<u16> {
    let at = usize::from(entry.picture_id?);
    Some(u16::from_be_bytes([*payload.get(at)?, *payload.get(at + 1)?]) & 0x7fff)
}

fn tl0(entry: &Entry, payload: &[u8]) -> Option<u8> {
    payload.get(usize::from(entry.tl0?)).copied()
}

/// The head of an outgoing packet.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Payload type.
    pub payload_type: u8,
    /// SSRC.
    pub ssrc: u32,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Padding bit.
    pub padding: bool,
}

impl Head {
    /// Appends the header, always [`FORWARD_HEADER`] bytes; [`stamp`] fills in what is known when it leaves.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut bytes = [0u8; FORWARD_HEADER];
        bytes[0] = 0x90 | u8::from(self.padding) << 5;
        bytes[1] = self.payload_type | u8::from(self.marker) << 7;
        bytes[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        bytes[12..16].copy_from_slice(&[0xbe, 0xde, 0, 2]);
        bytes[16] = ABS_SEND_TIME_ID << 4 | 2;
        bytes[20] = TRANSPORT_SEQUENCE_ID << 4 | 1;
        out.extend_from_slice(&bytes);
    }

    /// The same with an extension of at most 255 bytes behind the others, if it is not empty. Returns the header's length.
    pub fn write_with(&self, (id, value): (u8, &[u8]), out: &mut Vec<u8>) -> usize {
        let start = out.len();
        self.write(out);
        let len = value.len();
        let fits = u8::try_from(len);
        let Some(length) = fits.ok().filter(|length| *length > 0) else { return FORWARD_HEADER };
        // the block's last byte is padding: what follows the numbers begins there
        if len <= MAX_SHORT {
            out.pop();
            out.push(id << 4 | (length - 1));
        } else {
            out.truncate(start + FIXED_HEADER);
            out.extend_from_slice(&[0x10, 0, 0, 0, ABS_SEND_TIME_ID, 3, 0, 0, 0, TRANSPORT_SEQUENCE_ID, 2, 0, 0]);
            out.extend_from_slice(&[id, length]);
        }
        out.extend_from_slice(value);
        let block = start + FIXED_HEADER + 4;
        out.resize(block + (out.len() - block).next_multiple_of(4), 0);
        // 276 bytes at most
        out[block - 1] = ((out.len() - block) / 4) as u8;
        out.len() - start
    }
}

/// Puts the time of leaving and the transport-wide sequence number into a packet that [`Head::write`] or
/// [`Head::write_with`] began.
pub fn stamp(packet: &mut [u8], now: Micros, transport_sequence: u16) {
    let (time, number) = if packet[FIXED_HEADER] == 0xbe { (17, 21) } else { (18, 23) };
    packet[time..time + 3].copy_from_slice(&now.abs_send_time().to_be_bytes()[1..]);
    packet[number..number + 2].copy_from_slice(&transport_sequence.to_be_bytes());
}

/// Puts the running VP8 numbers of the subscriber's stream into a payload copied to `out`.
pub fn patch(entry: &Entry, rewritten: Rewritten, out: &mut [u8]) {
    if rewritten.picture_offset != 0
        && let Some(at) = entry.picture_id.map(usize::from)
        && let Some(id) = picture_id(entry, out)
    {
        let id = id.wrapping_add(rewritten.picture_offset) & 0x7fff | 0x8000;
        out[at..at + 2].copy_from_slice(&id.to_be_bytes());
    }
    if rewritten.tl0_offset != 0
        && let Some(byte) = entry.tl0.and_then(|at| out.get_mut(usize::from(at)))
    {
        *byte = byte.wrapping_add(rewritten.tl0_offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{History, Marks};
    use crate::rtp::Header;

    fn entry(index: u64, timestamp: u32) -> Entry {
        let mut p = vec![0x80, 96];
        p.extend((index as u16).to_be_bytes());
        p.extend(timestamp.to_be_bytes());
        p.extend([0; 4]);
        let header = Header::parse(&p).expect("well formed");
        let mut history = History::default();
        let marks = Marks { picture_id: Some(2), tl0: Some(4), key: true, ..Marks::default() };
        history.push(Micros(0), index, &header, (&[], &payload(index)), marks).expect("new");
        *history.get(index).expect("just pushed").0
    }

    fn payload(index: u64) -> Vec<u8> {
        vec![0x90, 0xe0, 0x80 | (index >> 8) as u8 & 0x7f, index as u8, index as u8, 0x20, 1]
    }

    #[test]
    fn numbers_keep_holes_of_the_source_and_close_those_of_interruptions() {
        let mut r = Rewriter::new(MediaKind::Video);
        let mut place =
            |now, index, ts| r.place(Micros(now), 0, &entry(index, ts), &payload(index)).map(|w| w.sequence);
        assert_eq!(place(0, 70_000, 900), Some(1000));
        assert_eq!(place(0, 70_003, 900), Some(1003));
        assert_eq!(place(0, 70_001, 900), Some(1001), "a late one fills its place");
        assert_eq!(place(0, 69_999, 900), None, "from before the span");
        r.interrupt();
        let after = r.place(Micros(1_000_000), 0, &entry(5, 17), &payload(5)).expect("new span");
        assert_eq!(after.sequence, 1004);
        assert_eq!(after.timestamp, 900 + 90_000);
        assert_eq!(r.source_of(1003), Some((1003, 0, 70_003)));
        assert_eq!(r.source_of(1004), Some((1004, 0, 5)));
        assert_eq!(r.source_of(1005).map(|s| s.0), None);
    }

    #[test]
    fn what_is_left_out_leaves_no_hole_and_what_was_lost_leaves_its_own() {
        let mut r = Rewriter::new(MediaKind::Video);
        let mut numbers = Vec::new();
        // pictures of two packets; every second picture is left out, the second packet of the third is lost
        for index in (100u64..112).filter(|index| *index != 105) {
            if index / 2 % 2 == 1 {
                r.leave_out(index, u16::from(index % 2 == 0));
            } else {
                numbers.push((index, r.place(Micros(index), 0, &entry(index, 9), &payload(index)).map(|w| w.sequence)));
            }
        }
        let expected = [(100, 1000), (101, 1001), (104, 1002), (108, 1004), (109, 1005)];
        assert_eq!(numbers, expected.map(|(index, sequence)| (index, Some(sequence))));
        assert_eq!(r.source_of(1003), Some((1003, 0, 105)), "the lost one can be asked for");
        assert_eq!(r.place(Micros(9), 0, &entry(105, 9), &payload(105)).map(|w| w.sequence), Some(1003));
        assert_eq!(r.source_of(1001), Some((1001, 0, 101)));
        let closed = r.place(Micros(9), 0, &entry(112, 9), &payload(112)).expect("placed");
        assert_eq!((closed.sequence, closed.picture_offset), (1006, 0x7fff & 0u16.wrapping_sub(3)));
    }

    #[test]
    fn no_sequence_number_is_given_twice_to_different_packets() {
        let mut r = Rewriter::new(MediaKind::Audio);
        let mut given = std::collections::HashMap::new();
        let mut seed = 7u64;
        for round in 0..5_000u64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if seed >> 60 == 0 {
                r.interrupt();
            }
            let index = 1_000_000 + round - (seed >> 40) % 16;
            if let Some(w) = r.place(Micros(round), 0, &entry(index, 0), &payload(index)) {
                let span = r.spans.len();
                let before = given.insert(w.sequence, (span, index));
                assert!(before.is_none_or(|b| b.1 == index), "{} for {index} and {before:?}", w.sequence);
            }
        }
    }

    #[test]
    fn picture_numbers_go_on_over_a_change_of_source() {
        let mut r = Rewriter::new(MediaKind::Video);
        r.place(Micros(0), 0, &entry(300, 1), &payload(300)).expect("placed");
        r.interrupt();
        let e = entry(9000, 1);
        let w = r.place(Micros(0), 0, &e, &payload(9000)).expect("placed");
        let mut out = payload(9000);
        patch(&e, w, &mut out);
        assert_eq!(u16::from_be_bytes([out[2], out[3]]), 0x8000 | 301);
        assert_eq!(out[4], (300u64 as u8).wrapping_add(1));
    }

    #[test]
    fn a_descriptor_follows_the_numbers_in_the_form_that_its_length_needs() {
        let head = Head { payload_type: 45, ssrc: 7, sequence: 8, timestamp: 9, marker: false, padding: false };
        for len in [0, 1, 3, 15, 16, 17, 104, 255] {
            let descriptor: Vec<u8> = (1..=255).cycle().take(len).collect();
            let mut out = vec![0xaa];
            let written = head.write_with((DEPENDENCY_ID, &descriptor), &mut out);
            stamp(&mut out[1..], Micros(1_500_000), 515);
            let h = Header::parse(&out[1..]).expect("well formed");
            assert_eq!((h.len, out.len(), h.ssrc), (written, 1 + written, 7), "{len} bytes");
            let read = |id| h.extension(&out[1..], id);
            assert_eq!(read(TRANSPORT_SEQUENCE_ID), Some(&[2, 3][..]), "{len} bytes");
            assert_eq!(read(ABS_SEND_TIME_ID), Some(&[6, 0, 0][..]), "{len} bytes");
            assert_eq!(read(DEPENDENCY_ID).unwrap_or_default(), descriptor, "{len} bytes");
        }
    }

    #[test]
    fn the_head_reads_back_and_has_constant_size() {
        let head = Head { payload_type: 96, ssrc: 7, sequence: 8, timestamp: 9, marker: true, padding: false };
        let mut out = Vec::new();
        head.write(&mut out);
        stamp(&mut out, Micros(1_500_000), 515);
        let h = Header::parse(&out).expect("well formed");
        assert_eq!((h.len, h.ssrc, h.sequence, h.timestamp, h.marker), (FORWARD_HEADER, 7, 8, 9, true));
        assert_eq!(h.extension(&out, TRANSPORT_SEQUENCE_ID), Some(&[2, 3][..]));
        assert_eq!(h.extension(&out, ABS_SEND_TIME_ID), Some(&[6, 0, 0][..]));
    }
}

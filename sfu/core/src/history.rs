//! The last second of a track's packets, once for all its subscribers: source of forwarding, of retransmission and of
//! the replay from a recent key frame. Bytes lie in one ring that grows to what the track needs.

use crate::Micros;
use crate::rtp::Header;
use std::collections::VecDeque;

/// How long packets are kept: a NACK of a 300 ms path may be repeated twice.
pub const KEEP_US: u64 = 1_000_000;
/// Largest ring: 1 s at 20 Mbit/s fits.
pub const MAX_BYTES: usize = 4 << 20;
/// First size of the ring.
const MIN_BYTES: usize = 64 << 10;
/// Largest jump ahead in sequence numbers that is still the same stream.
const MAX_JUMP: u64 = 10_000;

/// One kept packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Extended sequence number at the publisher's SRTP.
    pub index: u64,
    /// RTP timestamp of the publisher.
    pub timestamp: u32,
    /// Marker bit.
    pub marker: bool,
    /// Padding bit: the payload ends in padding of the publisher.
    pub padding: bool,
    /// Offset of a VP8 picture id in the payload, if any.
    pub picture_id: Option<u8>,
    /// Offset of a VP8 TL0PICIDX in the payload, if any.
    pub tl0: Option<u8>,
    /// A subscription may begin here: start of a key frame, or sound.
    pub key: bool,
    /// First packet of a frame (of one spatial layer's).
    pub begins: bool,
    /// Last packet of a frame (of one spatial layer's).
    pub ends: bool,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// Its temporal layer may begin here.
    pub sync: bool,
    start: usize,
    /// Bytes of the extension that goes on with it; they lie before the payload.
    carried: u8,
    len: usize,
    at: Micros,
}

impl Entry {
    fn whole(&self) -> std::ops::Range<usize> {
        self.start..self.start + usize::from(self.carried) + self.len
    }
}

/// Ring of packets in order of their extended sequence number; missing ones are holes.
#[derive(Debug, Default)]
pub struct History {
    ring: Vec<u8>,
    write: usize,
    used: usize,
    entries: VecDeque<Option<Entry>>,
    first: u64,
    // arrival order, to free ring space: (index, bytes taken with the skip at the end of the ring)
    arrivals: VecDeque<(u64, usize)>,
}

/// What the payload descriptor said, for [`History::push`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Marks {
    /// Offset of a VP8 picture id in the payload.
    pub picture_id: Option<usize>,
    /// Offset of a VP8 TL0PICIDX in the payload.
    pub tl0: Option<usize>,
    /// Start of a key frame, or sound.
    pub key: bool,
    /// First packet of a frame.
    pub begins: bool,
    /// Last packet of a frame.
    pub ends: bool,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// The temporal layer may begin here.
    pub sync: bool,
}

/// Why a packet was not kept, and so must not be forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotKept {
    /// It is there already, or so old that it may have been.
    #[error("the packet was seen before")]
    Seen,
    /// It does not fit.
    #[error("the packet is larger than the history")]
    TooLarge,
}

impl History {
    /// Keeps the payload of an opened packet under its extended sequence number, with the extension that goes on with it,
    /// if it came with one.
    pub fn push(
        &mut self,
        now: Micros,
        index: u64,
        header: &Header,
        (carried, payload): (&[u8], &[u8]),
        marks: Marks,
    ) -> Result<(), NotKept> {
        self.expire(now);
        let before = u8::try_from(carried.len()).map_err(|_| NotKept::TooLarge)?;
        if payload.len() > MAX_BYTES / 4 {
            return Err(NotKept::TooLarge);
        }
        self.make_place(index)?;
        let start = self.allocate(index, carried.len() + payload.len());
        let (place, from) = (&mut self.ring[start..], carried.len());
        place[..from].copy_from_slice(carried);
        place[from..from + payload.len()].copy_from_slice(payload);
        let narrow = |offset: Option<usize>| offset.and_then(|offset| u8::try_from(offset).ok());
        // the freeing of ring space may have moved the front: look the place up again
        let at = (index - self.first) as usize;
        self.entries[at] = Some(Entry {
            index,
            timestamp: header.timestamp,
            marker: header.marker,
            padding: header.padding,
            picture_id: narrow(marks.picture_id),
            tl0: narrow(marks.tl0),
            key: marks.key,
            begins: marks.begins,
            ends: marks.ends,
            spatial: marks.spatial,
            temporal: marks.temporal,
            sync: marks.sync,
            start,
            carried: before,
            len: payload.len(),
            at: now,
        });
        Ok(())
    }

    fn make_place(&mut self, index: u64) -> Result<(), NotKept> {
        let end = self.first + self.entries.len() as u64;
        if self.entries.is_empty() && self.arrivals.is_empty() && index >= self.first {
            self.first = index;
            self.entries.push_back(None);
            return Ok(());
        }
        if index < self.first {
            return Err(NotKept::Seen);
        }
        if index >= end {
            if index - end > MAX_JUMP {
                self.clear_to(index);
            }
            let end = self.first + self.entries.len() as u64;
            for _ in end..=index {
                self.entries.push_back(None);
            }
            return Ok(());
        }
        if self.entries[(index - self.first) as usize].is_some() { Err(NotKept::Seen) } else { Ok(()) }
    }

    fn clear_to(&mut self, index: u64) {
        self.entries.clear();
        self.arrivals.clear();
        (self.first, self.write, self.used) = (index, 0, 0);
    }

    fn allocate(&mut self, index: u64, len: usize) -> usize {
        if self.ring.is_empty() {
            self.ring.resize(MIN_BYTES, 0);
        }
        loop {
            // a write mark right at the end wraps too, and skips nothing
            let wraps = self.write + len > self.ring.len();
            let skip = if wraps { self.ring.len() - self.write } else { 0 };
            if self.used + skip + len <= self.ring.len() {
                let start = if wraps { 0 } else { self.write };
                self.write = start + len;
                self.used += skip + len;
                self.arrivals.push_back((index, skip + len));
                return start;
            }
            if self.ring.len() < MAX_BYTES {
                self.grow();
            } else {
                self.drop_oldest(Some(index));
            }
        }
    }

    /// Doubles the ring and packs the kept payloads to its start.
    fn grow(&mut self) {
        let mut ring = vec![0; (self.ring.len() * 2).min(MAX_BYTES)];
        let mut write = 0;
        for (index, taken) in &mut self.arrivals {
            let Some(Some(entry)) = self.entries.get_mut((*index - self.first) as usize) else {
                *taken = 0;
                continue;
            };
            let whole = &self.ring[entry.whole()];
            ring[write..write + whole.len()].copy_from_slice(whole);
            *taken = whole.len();
            entry.start = write;
            write += *taken;
        }
        (self.ring, self.write, self.used) = (ring, write, write);
    }

    /// Frees the packet that arrived first; `keep` is the place being filled and stays.
    fn drop_oldest(&mut self, keep: Option<u64>) {
        let Some((index, taken)) = self.arrivals.pop_front() else { return };
        self.used -= taken;
        if index >= self.first
            && let Some(place) = self.entries.get_mut((index - self.first) as usize)
        {
            *place = None;
        }
        // an empty place at the front may never be filled again: it might have been forwarded
        while matches!(self.entries.front(), Some(None)) && Some(self.first) != keep && self.first <= index {
            self.entries.pop_front();
            self.first += 1;
        }
    }

    fn expire(&mut self, now: Micros) {
        while let Some((index, _)) = self.arrivals.front() {
            let place = index.checked_sub(self.first).and_then(|at| self.entries.get(at as usize));
            if let Some(Some(entry)) = place
                && now.since(entry.at) <= KEEP_US
            {
                return;
            }
            self.drop_oldest(None);
        }
    }

    /// The packet with this extended sequence number.
    pub fn get(&self, index: u64) -> Option<(&Entry, &[u8])> {
        let entry = self.entries.get(index.checked_sub(self.first)? as usize)?.as_ref()?;
        Some((entry, &self.ring[entry.whole()][usize::from(entry.carried)..]))
    }

    /// The extension that goes on with a kept packet; empty if none does.
    pub fn carried(&self, entry: &Entry) -> &[u8] {
        &self.ring[entry.start..entry.start + usize::from(entry.carried)]
    }

    /// Everything kept from `index` on, in order.
    pub fn since(&self, index: u64) -> impl Iterator<Item = u64> + '_ {
        let skip = index.saturating_sub(self.first) as usize;
        self.entries.iter().skip(skip).flatten().map(|entry| entry.index)
    }

    /// Bytes of the ring.
    pub fn capacity(&self) -> usize {
        self.ring.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sequence: u16) -> Header {
        let [high, low] = sequence.to_be_bytes();
        Header::parse(&[0x80, 96, high, low, 0, 0, 0, 1, 0, 0, 0, 9]).expect("well formed")
    }

    #[test]
    fn a_ring_that_is_filled_to_its_last_byte_goes_on_at_its_first() {
        let mut history = History::default();
        for index in 0..64u64 {
            // the first half has expired when the last byte is written
            let now = Micros(if index < 32 { 0 } else { KEEP_US + 1 });
            let payload = [index as u8; MIN_BYTES / 64];
            history.push(now, index, &header(index as u16), (&[], &payload), Marks::default()).expect("kept");
        }
        history.push(Micros(KEEP_US + 1), 64, &header(64), (&[], &[64; 94]), Marks::default()).expect("kept");
        assert_eq!(history.capacity(), MIN_BYTES);
        for (index, len) in [(32, 1_024), (63, 1_024), (64, 94)] {
            assert_eq!(history.get(index).map(|(_, bytes)| bytes.to_vec()), Some(vec![index as u8; len]));
        }
    }

    #[test]
    fn packets_are_found_until_a_second_has_passed() {
        let mut history = History::default();
        for index in [70_000u64, 70_002, 70_001] {
            let payload = [index as u8; 300];
            history.push(Micros(0), index, &header(index as u16), (&[], &payload), Marks::default()).expect("new");
        }
        assert_eq!(history.get(70_001).map(|(e, p)| (e.index, p[0])), Some((70_001, 70_001u64 as u8)));
        assert_eq!(history.since(70_001).collect::<Vec<_>>(), [70_001, 70_002]);
        let late = Micros(KEEP_US + 1);
        history.push(late, 70_003, &header(3), (&[], &[1]), Marks::default()).expect("new");
        assert!(history.get(70_001).is_none());
        assert!(history.get(70_003).is_some());
    }

    #[test]
    fn nothing_is_taken_twice_even_after_it_was_dropped() {
        let mut history = History::default();
        let push = |history: &mut History, at, index| {
            history.push(Micros(at), index, &header(index as u16), (&[], &[1; 10]), Marks::default())
        };
        assert_eq!(push(&mut history, 0, 5), Ok(()));
        assert_eq!(push(&mut history, 0, 5), Err(NotKept::Seen));
        assert_eq!(push(&mut history, 0, 7), Ok(()));
        assert_eq!(push(&mut history, 2 * KEEP_US, 9), Ok(()));
        assert_eq!(push(&mut history, 2 * KEEP_US, 5), Err(NotKept::Seen));
        assert_eq!(push(&mut history, 2 * KEEP_US, 7), Err(NotKept::Seen));
        assert_eq!(push(&mut history, 2 * KEEP_US, 8), Err(NotKept::Seen));
        assert_eq!(push(&mut history, 2 * KEEP_US, 11), Ok(()));
        assert_eq!(push(&mut history, 2 * KEEP_US, 10), Ok(()));
    }

    #[test]
    fn the_ring_grows_to_its_bound_and_keeps_the_newest() {
        let mut history = History::default();
        let mut newest = 0;
        for index in 0..8_000u64 {
            let payload = [index as u8; 1_100];
            history.push(Micros(index), index, &header(index as u16), (&[], &payload), Marks::default()).expect("new");
            newest = index;
            assert!(history.get(index).is_some_and(|(_, p)| p.iter().all(|b| *b == index as u8)));
        }
        assert_eq!(history.capacity(), MAX_BYTES);
        let kept = history.since(0).count();
        assert!((3_000..=MAX_BYTES / 1_100).contains(&kept), "{kept}");
        for index in history.since(0).collect::<Vec<_>>() {
            assert!(history.get(index).is_some_and(|(_, p)| p.iter().all(|b| *b == index as u8)));
        }
        assert!(history.get(newest).is_some());
    }

    #[test]
    fn extensions_stay_with_their_packets_while_the_ring_grows() {
        let mut history = History::default();
        let descriptor = |index: u64| vec![index as u8; if index.is_multiple_of(40) { 104 } else { 3 }];
        for index in 0..200u64 {
            let (descriptor, payload) = (descriptor(index), [!(index as u8); 1_000]);
            let kept = (&descriptor[..], &payload[..]);
            history.push(Micros(index), index, &header(index as u16), kept, Marks::default()).expect("new");
        }
        assert!(history.capacity() > MIN_BYTES);
        for index in 0..200u64 {
            let (entry, payload) = history.get(index).expect("kept");
            assert_eq!((history.carried(entry), payload), (&descriptor(index)[..], &[!(index as u8); 1_000][..]));
        }
        let long = (&[0; 256][..], &[1][..]);
        assert_eq!(history.push(Micros(300), 300, &header(300), long, Marks::default()), Err(NotKept::TooLarge));
    }

    #[test]
    fn a_jump_of_the_numbers_starts_over() {
        let mut history = History::default();
        history.push(Micros(0), 1, &header(1), (&[], &[1]), Marks::default()).expect("new");
        history.push(Micros(0), 1_000_000, &header(1), (&[], &[2]), Marks::default()).expect("new");
        assert!(history.get(1).is_none());
        assert!(history.get(1_000_000).is_some());
    }
}

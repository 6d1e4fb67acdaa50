//! Packets on a byte stream (RFC 4571): two bytes of length before each. No I/O: the reader is given what was read, the
//! queue keeps what could not be written yet. Both have a bound that no peer can move.

use std::collections::VecDeque;
use std::io::IoSlice;

/// Bytes of a length.
pub const HEADER: usize = 2;
/// Longest frame taken: that of the largest datagram.
pub const MAX_FRAME: usize = 1500;
/// Pictures are queued up to here: about a second of a small one, beyond which a stalled receiver is better off with a new
/// key frame.
pub const PICTURES: usize = 128 << 10;
/// Sound, reports and handshakes are queued up to here: some seconds of sound more than pictures have.
pub const ALL: usize = 160 << 10;

/// A peer announced a frame that is none of ours: it is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes was announced")]
pub struct TooLong(pub usize);

/// Length of the frame that begins here, if its length is here.
fn announced(bytes: &[u8]) -> Result<Option<usize>, TooLong> {
    match bytes.first_chunk::<HEADER>().map(|header| usize::from(u16::from_be_bytes(*header))) {
        Some(len) if len > MAX_FRAME => Err(TooLong(len)),
        len => Ok(len),
    }
}

/// Cuts a stream into frames.
#[derive(Debug, Default)]
pub struct Reader {
    /// A frame that is not whole: at most its header and [`MAX_FRAME`] bytes.
    partial: Vec<u8>,
}

impl Reader {
    /// Takes the next bytes of the stream and hands over each frame that is whole, in place where it lies whole in them.
    /// Empty frames are none (RFC 4571 section 2). After an error the stream is of no use.
    pub fn take(&mut self, mut bytes: &mut [u8], mut each: impl FnMut(&mut [u8])) -> Result<(), TooLong> {
        while !bytes.is_empty() {
            let begins = if self.partial.is_empty() { announced(bytes)? } else { None };
            let whole = begins.filter(|len| bytes.len() >= HEADER + len);
            if let Some(len) = whole {
                let (frame, rest) = bytes.split_at_mut(HEADER + len);
                hand_over(&mut frame[HEADER..], &mut each);
                bytes = rest;
                continue;
            }
            let wanted = announced(&self.partial)?.map_or(HEADER, |len| HEADER + len);
            let (more, rest) = bytes.split_at_mut(bytes.len().min(wanted - self.partial.len()));
            self.partial.extend_from_slice(more);
            bytes = rest;
            if announced(&self.partial)?.is_some_and(|len| self.partial.len() == HEADER + len) {
                hand_over(&mut self.partial[HEADER..], &mut each);
                self.partial.clear();
            }
        }
        Ok(())
    }

    /// Bytes that wait for the rest of their frame.
    pub fn waiting(&self) -> usize {
        self.partial.len()
    }
}

fn hand_over(frame: &mut [u8], each: &mut impl FnMut(&mut [u8])) {
    if !frame.is_empty() {
        each(frame);
    }
}

/// What gives way when a receiver does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Pictures: first.
    Picture,
    /// Sound, reports, STUN and DTLS: last.
    Other,
}

/// Frames that the connection does not take yet, whole but for the first.
#[derive(Debug, Default)]
pub struct Queue {
    bytes: VecDeque<u8>,
}

impl Queue {
    /// Queues a packet; false if there is no room for it and it is dropped.
    pub fn push(&mut self, packet: &[u8], class: Class) -> bool {
        let bound = match class {
            Class::Picture => PICTURES,
            Class::Other => ALL,
        };
        let Ok(len) = u16::try_from(packet.len()) else { return false };
        if self.bytes.len() + HEADER + packet.len() > bound {
            return false;
        }
        self.bytes.extend(len.to_be_bytes());
        self.bytes.extend(packet);
        true
    }

    /// Queues the end of a packet whose frame was begun already: without it the stream is of no use, so there is always
    /// room. `done` bytes of the frame, header included, were written.
    pub fn push_rest(&mut self, packet: &[u8], done: usize) {
        let header = u16::try_from(packet.len()).unwrap_or(u16::MAX).to_be_bytes();
        self.bytes.extend(header.iter().chain(packet).skip(done));
    }

    /// What is to be written next.
    pub fn slices(&self) -> [IoSlice<'_>; 2] {
        let (first, second) = self.bytes.as_slices();
        [IoSlice::new(first), IoSlice::new(second)]
    }

    /// So many bytes were written.
    pub fn written(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
        if self.bytes.is_empty() {
            // most connections never wait: they keep no memory for it
            self.bytes = VecDeque::new();
        }
    }

    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(frames: &[Vec<u8>]) -> Vec<u8> {
        frames.iter().flat_map(|f| (f.len() as u16).to_be_bytes().into_iter().chain(f.iter().copied())).collect()
    }

    /// Numbers that are the same in every run.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % bound
        }
    }

    #[test]
    fn frames_come_out_as_they_went_in_however_the_stream_is_cut() {
        let mut chance = Chance(1);
        for round in 0..2_000 {
            let count = chance.below(12);
            let frames: Vec<Vec<u8>> = (0..count)
                .map(|n| {
                    let len = [0, 1, 2, chance.below(200), chance.below(MAX_FRAME), MAX_FRAME][chance.below(6)];
                    vec![n as u8 + 1; len]
                })
                .collect();
            let mut stream = framed(&frames);
            let (mut reader, mut got, mut at) = (Reader::default(), Vec::new(), 0);
            while at < stream.len() {
                let most = [1, 3, 1_400, 16_000][round % 4];
                let next = (at + 1 + chance.below(most)).min(stream.len());
                reader.take(&mut stream[at..next], |frame| got.push(frame.to_vec())).expect("short frames");
                assert!(reader.waiting() < HEADER + MAX_FRAME);
                at = next;
            }
            let sent: Vec<Vec<u8>> = frames.into_iter().filter(|f| !f.is_empty()).collect();
            assert_eq!(got, sent, "round {round}");
            assert_eq!(reader.waiting(), 0);
        }
    }

    #[test]
    fn a_length_beyond_the_bound_ends_the_stream_and_keeps_nothing() {
        for len in [MAX_FRAME + 1, 0x8000, usize::from(u16::MAX)] {
            let mut whole = (len as u16).to_be_bytes();
            assert_eq!(Reader::default().take(&mut whole, |_| panic!("no frame")), Err(TooLong(len)));
            let mut reader = Reader::default();
            let (first, second) = whole.split_at_mut(1);
            assert_eq!(reader.take(first, |_| panic!("no frame")), Ok(()));
            assert_eq!(reader.take(second, |_| panic!("no frame")), Err(TooLong(len)));
            assert!(reader.waiting() <= HEADER);
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm_and_within_the_bound() {
        let mut chance = Chance(7);
        for _ in 0..3_000 {
            let mut reader = Reader::default();
            for _ in 0..8 {
                let len = chance.below(300);
                // small lengths are as likely as any: else the second frame is never reached
                let mut bytes: Vec<u8> =
                    (0..len).map(|_| chance.below(256) as u8 & [0, 1, 255][chance.below(3)]).collect();
                if reader.take(&mut bytes, |frame| assert!((1..=MAX_FRAME).contains(&frame.len()))).is_err() {
                    break;
                }
                assert!(reader.waiting() < HEADER + MAX_FRAME);
            }
        }
    }

    #[test]
    fn pictures_give_way_before_sound_and_nothing_goes_beyond_the_bound() {
        let mut queue = Queue::default();
        let packet = vec![1; 1_100];
        while queue.push(&packet, Class::Picture) {}
        assert!(queue.len() <= PICTURES && queue.len() + packet.len() + HEADER > PICTURES);
        assert!(queue.push(&packet, Class::Other), "sound still has room");
        while queue.push(&packet, Class::Other) {}
        assert!(queue.len() <= ALL && !queue.push(&packet, Class::Picture));
        queue.written(usize::MAX);
        assert!(queue.is_empty() && queue.push(&packet, Class::Picture));
    }

    #[test]
    fn what_is_queued_and_written_in_parts_is_the_same_stream() {
        let (mut queue, mut chance) = (Queue::default(), Chance(3));
        let (mut wire, mut sent) = (Vec::new(), Vec::new());
        for n in 0..3_000u32 {
            let packet = vec![n as u8; 1 + chance.below(1_200)];
            if queue.is_empty() {
                // the beginning was written at once
                let done = chance.below(HEADER + packet.len());
                let frame = framed(std::slice::from_ref(&packet));
                wire.extend(&frame[..done]);
                queue.push_rest(&packet, done);
                sent.push(packet);
            } else if queue.push(&packet, Class::Other) {
                sent.push(packet);
            }
            let count = chance.below(2_000).min(queue.len());
            wire.extend(queue.slices().iter().flat_map(|slice| slice.iter().copied()).take(count));
            queue.written(count);
        }
        wire.extend(queue.slices().iter().flat_map(|slice| slice.iter().copied()));
        let mut got = Vec::new();
        Reader::default().take(&mut wire, |frame| got.push(frame.to_vec())).expect("our own frames");
        assert_eq!(got, sent);
    }
}

//! What waits before the socket for one subscriber. Sound never waits; packets again go before pictures. While the network
//! is at ease a frame leaves whole, in one send; otherwise in bursts of [`TIGHT_US`] so that it does not fill a queue.

use super::BitRate;
use super::sent::Purpose;
use crate::Micros;
use crate::forward::{Cut, TAG};
use std::collections::VecDeque;

/// Pictures leave so much faster than the estimate: a queue here must empty before the next key frame, and the network
/// takes a little more than a careful estimate says.
const PACE: f64 = 1.25;
/// A burst while the network is at ease: a frame of a rate below the estimate is shorter.
const CALM_US: u64 = 40_000;
/// A burst otherwise.
const TIGHT_US: u64 = 5_000;
/// Frames are refused while what waits would take longer than this: late pictures are worth nothing, and a key frame
/// that is already here still leaves whole.
const REFUSE_US: u64 = 300_000;
/// Bytes that wait at most: a large key frame and the frames around it.
const MAX_BYTES: usize = 512 << 10;
/// An empty queue keeps room for a usual frame, so that pacing costs no allocation; what a key frame took is given back.
const KEPT_BYTES: usize = 16 << 10;
/// Sleep between bursts at least: wake-ups cost more than packets.
const LEAST_SLEEP_US: u64 = 1_000;

/// May these packets go?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// At once.
    Now,
    /// Behind what waits already.
    Later,
    /// Not at all: too much waits.
    Refused,
}

/// Is the network at ease?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// No queue, no loss.
    Calm,
    /// A queue grew lately.
    Tight,
}

/// Packets that wait, unsealed and without transport-wide numbers.
#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    head: usize,
    cuts: VecDeque<Cut>,
}

impl Waiting {
    fn push(&mut self, packet: &[u8], cut: Cut) {
        if self.cuts.is_empty() {
            self.bytes.clear();
            self.head = 0;
        } else if self.head > self.bytes.len() / 2 {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
        self.bytes.extend_from_slice(packet);
        self.cuts.push_back(cut);
    }

    /// Moves the oldest packet to the arena.
    fn pop(&mut self, arena: &mut Vec<u8>) -> Option<Cut> {
        let cut = self.cuts.pop_front()?;
        let start = arena.len();
        arena.extend_from_slice(&self.bytes[self.head..self.head + cut.len]);
        arena.resize(start + cut.len + TAG, 0);
        self.head += cut.len;
        if self.cuts.is_empty() {
            self.bytes.clear();
            if self.bytes.capacity() > KEPT_BYTES {
                self.bytes = Vec::new();
            }
            self.head = 0;
        }
        Some(Cut { start, ..cut })
    }

    fn retain(&mut self, keep: impl Fn(&Cut) -> bool) {
        if self.cuts.iter().all(&keep) {
            return;
        }
        let (bytes, mut at) = (std::mem::take(&mut self.bytes), self.head);
        self.head = 0;
        self.cuts.retain(|cut| {
            let kept = keep(cut);
            if kept {
                self.bytes.extend_from_slice(&bytes[at..at + cut.len]);
            }
            at += cut.len;
            kept
        });
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.head
    }
}

/// The pacer of one transport.
#[derive(Debug, Default)]
pub struct Pacer {
    /// Bytes that may leave; below 0 after a packet that was larger than what was left.
    budget: i64,
    filled: Option<Micros>,
    depth_us: u64,
    rate: BitRate,
    repairs: Waiting,
    pictures: Waiting,
}

impl Pacer {
    /// Sets the pace from the estimate.
    pub fn set(&mut self, now: Micros, target: BitRate, mood: Mood) {
        let first = self.filled.is_none();
        self.fill(now);
        self.rate = target.scale(PACE);
        self.depth_us = match mood {
            Mood::Calm => CALM_US,
            Mood::Tight => TIGHT_US,
        };
        self.budget = if first { self.depth() } else { self.budget.min(self.depth()) };
    }

    fn depth(&self) -> i64 {
        self.rate.bytes_in(self.depth_us) as i64
    }

    fn fill(&mut self, now: Micros) {
        let elapsed = self.filled.map_or(u64::MAX / 16, |at| now.since(at)).min(1_000_000);
        let gained = self.rate.bytes_in(elapsed) as i64;
        // less than a byte's time is kept for later
        if gained > 0 || self.filled.is_none() {
            self.filled = Some(now);
            self.budget = (self.budget + gained).min(self.depth());
        }
    }

    /// May packets of this purpose go now?
    pub fn admit(&mut self, now: Micros, purpose: Purpose) -> Admission {
        match purpose {
            Purpose::Audio | Purpose::Probe => return Admission::Now,
            Purpose::Repair | Purpose::Video => {}
        }
        self.fill(now);
        let waits = self.waiting();
        if waits >= MAX_BYTES || purpose == Purpose::Video && self.rate.time_of(waits as u64) > REFUSE_US {
            return Admission::Refused;
        }
        let free = match purpose {
            Purpose::Repair => self.repairs.cuts.is_empty(),
            _ => waits == 0,
        };
        if free && self.budget > 0 { Admission::Now } else { Admission::Later }
    }

    /// May one more packet of an admitted run go at once? A run that is larger than the burst is cut here.
    pub fn has_budget(&self) -> bool {
        self.budget > 0
    }

    /// A packet left.
    pub fn spend(&mut self, bytes: usize) {
        // sound is never stopped, but its debt is bounded so that pictures come back
        self.budget = (self.budget - bytes as i64).max(-self.depth().max(3_000));
    }

    /// A packet waits.
    pub fn queue(&mut self, purpose: Purpose, packet: &[u8], cut: Cut) {
        match purpose {
            Purpose::Repair => self.repairs.push(packet, cut),
            _ => self.pictures.push(packet, cut),
        }
    }

    /// The next packet that may leave now.
    pub fn pop(&mut self, now: Micros, arena: &mut Vec<u8>) -> Option<(Cut, Purpose)> {
        self.fill(now);
        if self.budget <= 0 {
            return None;
        }
        let (cut, purpose) = match self.repairs.pop(arena) {
            Some(cut) => (cut, Purpose::Repair),
            None => (self.pictures.pop(arena)?, Purpose::Video),
        };
        self.spend(cut.len);
        Some((cut, purpose))
    }

    /// Takes back what waits of a stream and its repair stream.
    pub fn take_back(&mut self, streams: [u32; 2]) {
        self.pictures.retain(|cut| !streams.contains(&cut.ssrc));
        self.repairs.retain(|cut| !streams.contains(&cut.ssrc));
    }

    /// Bytes that wait.
    pub fn waiting(&self) -> usize {
        self.repairs.len() + self.pictures.len()
    }

    /// Time that what waits takes, microseconds.
    pub fn delay(&self) -> u64 {
        if self.waiting() == 0 { 0 } else { self.rate.time_of(self.waiting() as u64) }
    }

    /// When the next burst may leave, if something waits.
    pub fn next(&self, now: Micros) -> Option<Micros> {
        if self.waiting() == 0 {
            return None;
        }
        if self.budget > 0 {
            return Some(now);
        }
        let burst = self.rate.bytes_in(TIGHT_US).min(self.waiting() as u64).max(1);
        let missing = burst.saturating_add_signed(-self.budget);
        let at = self.filled.unwrap_or(now).plus(self.rate.time_of(missing));
        Some(at.max(now.plus(LEAST_SLEEP_US)))
    }

    /// Forgets what waits: the transport is gone.
    pub fn clear(&mut self) {
        (self.repairs, self.pictures) = (Waiting::default(), Waiting::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(index: u64, len: usize) -> Cut {
        Cut { start: 0, len, header: 12, ssrc: 1, index }
    }

    /// Sends `packets` of 1,000 B as one run at time 0; when each left.
    fn leave(mood: Mood, packets: u64) -> Vec<u64> {
        let mut pacer = Pacer::default();
        pacer.set(Micros(0), BitRate::kbps(1600), mood);
        let mut left = Vec::new();
        if pacer.admit(Micros(0), Purpose::Video) == Admission::Now {
            while (left.len() as u64) < packets && pacer.has_budget() {
                pacer.spend(1000);
                left.push(0);
            }
        }
        for n in left.len() as u64..packets {
            pacer.queue(Purpose::Video, &[n as u8; 1000], cut(n, 1000));
        }
        let mut now = Micros(0);
        while let Some(at) = pacer.next(now) {
            now = at;
            let mut arena = Vec::new();
            while let Some((popped, _)) = pacer.pop(now, &mut arena) {
                assert_eq!(arena[popped.start], popped.index as u8);
                assert_eq!(arena.len(), popped.start + 1000 + TAG);
                left.push(now.0);
            }
        }
        left
    }

    #[test]
    fn a_frame_leaves_whole_at_ease_and_in_bursts_of_five_milliseconds_otherwise() {
        assert_eq!(leave(Mood::Calm, 8), [0; 8]);
        let left = leave(Mood::Tight, 24);
        assert_eq!(left.len(), 24);
        let last = *left.last().expect("24");
        assert!((80_000..=100_000).contains(&last), "24 kB at 2 Mbit/s take 96 ms: {last}");
        let most = left.chunk_by(|a, b| a == b).map(<[u64]>::len).max();
        assert!(most <= Some(3), "1.5 kB a burst, and what was left of one: {left:?}");
    }

    #[test]
    fn sound_never_waits_and_repairs_go_before_pictures() {
        let mut pacer = Pacer::default();
        pacer.set(Micros(0), BitRate::kbps(300), Mood::Tight);
        pacer.spend(5_000);
        assert_eq!(pacer.admit(Micros(0), Purpose::Audio), Admission::Now);
        assert_eq!(pacer.admit(Micros(0), Purpose::Video), Admission::Later);
        pacer.queue(Purpose::Video, &[1; 500], cut(1, 500));
        assert_eq!(pacer.admit(Micros(0), Purpose::Repair), Admission::Later);
        pacer.queue(Purpose::Repair, &[2; 500], cut(2, 500));
        let now = pacer.next(Micros(0)).expect("something waits");
        let (first, purpose) = pacer.pop(now, &mut Vec::new()).expect("due");
        assert_eq!((first.index, purpose), (2, Purpose::Repair));
    }

    #[test]
    fn what_is_taken_back_never_leaves_and_the_rest_does_in_its_order() {
        let mut pacer = Pacer::default();
        pacer.set(Micros(0), BitRate::kbps(800), Mood::Tight);
        for n in 0..9u64 {
            let ssrc = if n % 3 == 0 { 7 } else { 1 };
            pacer.queue(Purpose::Video, &[n as u8; 300], Cut { ssrc, ..cut(n, 300) });
        }
        pacer.take_back([1, 2]);
        assert_eq!(pacer.waiting(), 900);
        let (mut left, mut arena) = (Vec::new(), Vec::new());
        for second in 1..9 {
            while let Some((popped, _)) = pacer.pop(Micros(second * 1_000_000), &mut arena) {
                left.push((popped.index, arena[popped.start]));
            }
        }
        assert_eq!(left, [(0, 0), (3, 3), (6, 6)]);
        assert_eq!(pacer.waiting(), 0);
    }

    #[test]
    fn frames_are_refused_while_too_much_waits_and_taken_again_after() {
        let mut pacer = Pacer::default();
        pacer.set(Micros(0), BitRate::kbps(400), Mood::Tight);
        let mut refused = None;
        for n in 0..100 {
            match pacer.admit(Micros(0), Purpose::Video) {
                Admission::Refused => refused = refused.or(Some(n)),
                _ => pacer.queue(Purpose::Video, &[0; 1000], cut(n, 1000)),
            }
        }
        assert_eq!(refused, Some(19), "19 kB take 300 ms at 500 kbit/s");
        let (mut now, mut arena) = (Micros(0), Vec::new());
        while let Some(at) = pacer.next(now) {
            now = at;
            while pacer.pop(now, &mut arena).is_some() {}
        }
        assert_ne!(pacer.admit(now.plus(10_000), Purpose::Video), Admission::Refused);
        assert_eq!(pacer.pictures.bytes.capacity(), 0, "memory is given back");
        pacer.queue(Purpose::Video, &[0; 1000], cut(100, 1000));
        while pacer.pop(now.plus(1_000_000), &mut arena).is_some() {}
        assert!((1000..=KEPT_BYTES).contains(&pacer.pictures.bytes.capacity()), "a usual frame's room is kept");
    }
}

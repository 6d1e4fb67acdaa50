//! What was sent on one subscribe transport, by transport-wide sequence number, until feedback told its fate. A ring that
//! grows to what the link needs and never above its bound.

use crate::Micros;

/// First size of the log: 1 s of sound and a small picture.
const MIN_ENTRIES: usize = 64;
/// Largest log: 2,048 packets are 0.6 s at 30 Mbit/s, longer than any feedback takes. Older ones are forgotten, and
/// then count neither as arrived nor as lost.
pub const MAX_ENTRIES: usize = 2048;
/// Feedback that is older than this no longer says anything of the present.
pub const KEEP_US: u64 = 2_000_000;

/// What a packet was sent for; the order is the order of leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Sound: never waits.
    Audio,
    /// A packet again that was asked for.
    Repair,
    /// Pictures.
    Video,
    /// To find out what the network carries.
    Probe,
}

/// A packet's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// No feedback yet.
    Open,
    /// Reported missing; it may still come.
    Missing,
    /// Reported arrived, or forgotten.
    Done,
}

/// One packet that was sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// When.
    pub at: Micros,
    /// Bytes on the wire above UDP.
    pub size: u16,
    /// Probe it belongs to, 0 for none.
    pub probe: u8,
    /// What for.
    pub purpose: Purpose,
    fate: Fate,
}

/// The log of one transport.
#[derive(Debug, Default)]
pub struct SentLog {
    ring: Vec<Sent>,
    next: u64,
    in_flight: u64,
    // everything below was seen to: it is neither in flight nor reported again
    settled: u64,
}

impl SentLog {
    /// The number of the next packet.
    pub fn next_sequence(&self) -> u16 {
        self.next as u16
    }

    /// A packet leaves under [`Self::next_sequence`].
    pub fn push(&mut self, at: Micros, size: usize, purpose: Purpose, probe: u8) {
        let entry = Sent { at, size: size.min(usize::from(u16::MAX)) as u16, probe, purpose, fate: Fate::Open };
        if self.next - self.settled >= self.ring.len() as u64 && self.ring.len() < MAX_ENTRIES {
            self.grow(entry);
        }
        let len = self.ring.len() as u64;
        if self.next - self.settled >= len {
            self.settle(self.next + 1 - len);
        }
        let at = (self.next % len) as usize;
        self.ring[at] = entry;
        self.in_flight += u64::from(entry.size);
        self.next += 1;
    }

    /// Doubles the ring; `filler` stands in places never used.
    fn grow(&mut self, filler: Sent) {
        let old = std::mem::take(&mut self.ring);
        let size = (old.len() * 2).clamp(MIN_ENTRIES, MAX_ENTRIES);
        self.ring = vec![Sent { fate: Fate::Done, ..filler }; size];
        for sequence in self.next.saturating_sub(old.len() as u64)..self.next {
            self.ring[(sequence % size as u64) as usize] = old[(sequence % old.len() as u64) as usize];
        }
    }

    /// Forgets everything below `to`.
    fn settle(&mut self, to: u64) {
        while self.settled < to {
            let at = (self.settled % self.ring.len() as u64) as usize;
            let entry = &mut self.ring[at];
            if entry.fate == Fate::Open {
                self.in_flight -= u64::from(entry.size);
            }
            entry.fate = Fate::Done;
            self.settled += 1;
        }
    }

    /// Forgets what is older than [`KEEP_US`].
    pub fn expire(&mut self, now: Micros) {
        while self.settled < self.next {
            let entry = self.ring[(self.settled % self.ring.len() as u64) as usize];
            if now.since(entry.at) <= KEEP_US && entry.fate != Fate::Done {
                return;
            }
            self.settle(self.settled + 1);
        }
    }

    fn find(&mut self, sequence: u16) -> Option<&mut Sent> {
        let last = self.next.checked_sub(1)?;
        let back = (last as u16).wrapping_sub(sequence);
        let extended = last.checked_sub(u64::from(back))?;
        if extended < self.settled {
            return None;
        }
        let len = self.ring.len() as u64;
        self.ring.get_mut((extended % len) as usize)
    }

    /// Feedback says that it arrived: the packet, once.
    pub fn arrived(&mut self, sequence: u16) -> Option<Sent> {
        let entry = self.find(sequence)?;
        let (found, before) = (*entry, entry.fate);
        entry.fate = Fate::Done;
        match before {
            Fate::Done => None,
            Fate::Missing => Some(found),
            Fate::Open => {
                self.in_flight -= u64::from(found.size);
                Some(found)
            }
        }
    }

    /// Feedback says that it is missing: the packet, the first time this is said.
    pub fn missing(&mut self, sequence: u16) -> Option<Sent> {
        let entry = self.find(sequence).filter(|entry| entry.fate == Fate::Open)?;
        entry.fate = Fate::Missing;
        let found = *entry;
        self.in_flight -= u64::from(found.size);
        Some(found)
    }

    /// Bytes without feedback.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// Bytes of memory that the log takes.
    pub fn memory(&self) -> usize {
        self.ring.capacity() * size_of::<Sent>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: u64) -> SentLog {
        let mut log = SentLog::default();
        for n in 0..count {
            assert_eq!(log.next_sequence(), n as u16);
            log.push(Micros(n), 100 + (n % 1000) as usize, Purpose::Video, 0);
        }
        log
    }

    #[test]
    fn every_fate_is_told_once_and_a_late_arrival_still_counts() {
        let mut log = filled(10);
        assert_eq!(log.arrived(3).map(|s| (s.at, s.size)), Some((Micros(3), 103)));
        assert!(log.arrived(3).is_none() && log.missing(3).is_none());
        assert!(log.missing(4).is_some() && log.missing(4).is_none());
        assert!(log.arrived(4).is_some() && log.arrived(4).is_none());
        assert!(log.arrived(10).is_none(), "never sent");
        assert_eq!(log.in_flight(), (100..110).sum::<u64>() - 103 - 104);
    }

    #[test]
    fn the_log_is_bounded_and_forgets_the_oldest() {
        let mut log = filled(200_000);
        assert!(log.memory() <= MAX_ENTRIES * 24, "{}", log.memory());
        let oldest = 200_000 - MAX_ENTRIES as u64;
        assert!(log.arrived((oldest - 1) as u16).is_none());
        assert_eq!(log.arrived(oldest as u16).map(|s| s.at), Some(Micros(oldest)));
        assert_eq!(log.arrived(199_999u64 as u16).map(|s| s.at), Some(Micros(199_999)));
        log.expire(Micros(199_000 + KEEP_US + 1));
        assert!(log.arrived(199_000u64 as u16).is_none());
        assert!(log.arrived(199_001u64 as u16).is_some());
        log.expire(Micros(10 * KEEP_US));
        assert_eq!(log.in_flight(), 0, "what is forgotten is not in flight");
    }

    #[test]
    fn a_growing_log_keeps_what_it_holds() {
        let mut log = filled(1_000);
        for n in 0..1_000u64 {
            assert_eq!(log.arrived(n as u16).map(|s| s.at), Some(Micros(n)));
        }
        assert_eq!(log.in_flight(), 0);
    }
}

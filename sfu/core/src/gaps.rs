//! Missing packets of a published stream, to be asked for again (NACK) until they come, are too old, or were asked for
//! often enough.

use crate::Micros;
use std::collections::BTreeMap;

/// A packet is asked for so many times.
const MAX_TRIES: u8 = 8;
/// Time between two asks for the same packet: more than a usual round trip.
const RETRY_US: u64 = 80_000;
/// Older ones are of no use to a live picture.
const GIVE_UP_US: u64 = 800_000;
/// More missing than this is an outage: a key frame repairs it, not retransmission.
const MAX_MISSING: usize = 256;

#[derive(Debug)]
struct Missing {
    since: Micros,
    asked: Option<Micros>,
    tries: u8,
}

/// Gap tracker of one stream.
#[derive(Debug, Default)]
pub struct Gaps {
    highest: Option<u64>,
    missing: BTreeMap<u64, Missing>,
    overrun: bool,
}

impl Gaps {
    /// A packet arrived, by itself or by retransmission.
    pub fn note(&mut self, now: Micros, index: u64) {
        let Some(highest) = self.highest else {
            self.highest = Some(index);
            return;
        };
        if index <= highest {
            self.missing.remove(&index);
            return;
        }
        self.highest = Some(index);
        let lost = index - highest - 1;
        if lost as usize + self.missing.len() > MAX_MISSING {
            self.missing.clear();
            self.overrun = true;
            return;
        }
        for gap in highest + 1..index {
            self.missing.insert(gap, Missing { since: now, asked: None, tries: 0 });
        }
    }

    /// Sequence numbers to ask for now.
    pub fn due(&mut self, now: Micros) -> Vec<u16> {
        self.missing.retain(|_, m| m.tries < MAX_TRIES && now.since(m.since) < GIVE_UP_US);
        let mut out = Vec::new();
        for (index, m) in &mut self.missing {
            if m.asked.is_none_or(|asked| now.since(asked) >= RETRY_US) {
                m.asked = Some(now);
                m.tries += 1;
                out.push(*index as u16);
            }
        }
        out
    }

    /// Too much was lost to be asked for: a key frame is needed. Reported once.
    pub fn take_overrun(&mut self) -> bool {
        std::mem::take(&mut self.overrun)
    }

    /// Highest extended sequence number seen.
    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_asked_for_until_it_is_filled() {
        let mut gaps = Gaps::default();
        for index in [65_534u64, 65_537] {
            gaps.note(Micros(0), index);
        }
        assert_eq!(gaps.due(Micros(0)), [65_535, 0]);
        assert!(gaps.due(Micros(RETRY_US - 1)).is_empty());
        gaps.note(Micros(RETRY_US), 65_535);
        assert_eq!(gaps.due(Micros(RETRY_US)), [0]);
        assert!(gaps.due(Micros(GIVE_UP_US)).is_empty());
    }

    #[test]
    fn an_outage_asks_for_a_key_frame_instead() {
        let mut gaps = Gaps::default();
        gaps.note(Micros(0), 1);
        gaps.note(Micros(0), 10_000);
        assert!(gaps.due(Micros(0)).is_empty());
        assert!(gaps.take_overrun());
        assert!(!gaps.take_overrun());
    }
}

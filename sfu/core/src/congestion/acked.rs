//! How fast what was sent arrives: bytes over arrival times, weighed by how much each window differs from the estimate.

use super::BitRate;

/// First window: an estimate from less is a guess.
const FIRST_WINDOW_US: u64 = 500_000;
/// Every later window.
const WINDOW_US: u64 = 150_000;
/// A window may be as much off as this times its distance from the estimate, relatively.
const DISTRUST: f64 = 10.0;
/// What the estimate loses in certainty per window, (kbit/s)².
const DRIFT: f64 = 5.0;
/// Certainty of a first estimate, (kbit/s)².
const FIRST_VARIANCE: f64 = 50.0;

/// Arrivals are also counted in slots of this, microseconds ...
const SLOT_US: u64 = 16_000;
/// ... of which so many are kept: what flows in an eighth of a second.
const SLOTS: usize = 8;

/// Rate of arrival of one transport's packets.
#[derive(Debug, Default)]
pub struct AckedRate {
    estimate: Option<f64>,
    variance: f64,
    bytes: u64,
    window_start: Option<u64>,
    last: u64,
    recent: Recent,
}

/// Bytes in the last eighth of a second.
#[derive(Debug, Default)]
pub struct Recent {
    slots: [u32; SLOTS],
    slot: u64,
}

impl Recent {
    /// So many bytes at a time, microseconds.
    pub fn note(&mut self, at: u64, bytes: u64) {
        let slot = at / SLOT_US;
        if slot > self.slot {
            for passed in (self.slot + 1..=slot).rev().take(SLOTS) {
                self.slots[(passed % SLOTS as u64) as usize] = 0;
            }
            self.slot = slot;
        }
        if self.slot - slot < SLOTS as u64 {
            self.slots[(slot % SLOTS as u64) as usize] += bytes as u32;
        }
    }

    /// The rate. The slot under way is not over and does not count.
    pub fn rate(&self) -> BitRate {
        let under_way = (self.slot % SLOTS as u64) as usize;
        let bytes: u32 = self.slots.iter().enumerate().filter(|(at, _)| *at != under_way).map(|(_, bytes)| bytes).sum();
        BitRate::of(bytes.into(), (SLOTS as u64 - 1) * SLOT_US)
    }
}

impl AckedRate {
    /// So many bytes arrived at `arrival` (receiver's clock, microseconds).
    pub fn note(&mut self, arrival: u64, bytes: u64) {
        let start = *self.window_start.get_or_insert(arrival);
        self.last = self.last.max(arrival);
        self.recent.note(arrival, bytes);
        let window = if self.estimate.is_none() { FIRST_WINDOW_US } else { WINDOW_US };
        let elapsed = arrival.saturating_sub(start);
        if elapsed >= window {
            // a silence is no rate: the next window begins with the next packet
            if elapsed < 4 * window && self.bytes > 0 {
                self.sample(BitRate::of(self.bytes, elapsed).0 as f64 / 1000.0);
            }
            (self.bytes, self.window_start) = (0, Some(arrival));
        }
        self.bytes += bytes;
    }

    fn sample(&mut self, kbps: f64) {
        let Some(estimate) = self.estimate else {
            (self.estimate, self.variance) = (Some(kbps), FIRST_VARIANCE);
            return;
        };
        let distance = DISTRUST * (estimate - kbps).abs() / (estimate + kbps.min(estimate)).max(1.0);
        let sample_variance = (distance * distance).max(1.0);
        let before = self.variance + DRIFT;
        let estimate = (sample_variance * estimate + before * kbps) / (sample_variance + before);
        self.variance = sample_variance * before / (sample_variance + before);
        self.estimate = Some(estimate.max(1.0));
    }

    /// The rate in the last eighth of a second: while a queue grows, this is what the bottleneck carries, also where a
    /// source has long pauses between its bursts.
    pub fn recent(&self) -> BitRate {
        self.recent.rate()
    }

    /// The rate, once known.
    pub fn rate(&self) -> Option<BitRate> {
        self.estimate.map(|kbps| BitRate((kbps * 1000.0) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(rate: &mut AckedRate, from: u64, until: u64, kbps: u64) -> u64 {
        let step = BitRate::kbps(kbps).time_of(1000);
        let mut at = from;
        while at < until {
            rate.note(at, 1000);
            at += step;
        }
        at
    }

    #[test]
    fn a_steady_rate_is_found_and_a_change_followed_within_a_second() {
        let mut rate = AckedRate::default();
        let at = feed(&mut rate, 0, 2_000_000, 1000);
        let near = |rate: &AckedRate, kbps: u64| {
            let found = rate.rate().expect("known").0 / 1000;
            assert!(found.abs_diff(kbps) * 10 <= kbps, "{found} for {kbps}");
        };
        near(&rate, 1000);
        feed(&mut rate, at, at + 1_000_000, 400);
        near(&rate, 400);
    }

    #[test]
    fn a_silence_says_nothing_of_the_rate() {
        let mut rate = AckedRate::default();
        let at = feed(&mut rate, 0, 2_000_000, 1000);
        let before = rate.rate();
        rate.note(at + 5_000_000, 1000);
        assert_eq!(rate.rate(), before);
    }
}

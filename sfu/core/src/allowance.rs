//! What one sound may send. Sound never waits and is never left out, so whoever floods it would crowd out the sound of all
//! others at every subscriber; pictures need no such bound, each subscriber's pacer has them.

use crate::Micros;

/// Bytes a second: twice what Opus makes at most (510 kbit/s), headers included.
const RATE: u64 = 128_000;
/// Bytes at once: two seconds of it, as after a stall of the network.
pub const BURST: u64 = 2 * RATE;

/// A byte, in what is counted: at [`RATE`] a microsecond earns so many millionths.
const WHOLE: u64 = 1_000_000;

/// The allowance of one sound.
#[derive(Debug)]
pub struct Allowance {
    /// Millionths of bytes.
    left: u64,
    at: Micros,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: BURST * WHOLE, at: Micros(0) }
    }
}

impl Allowance {
    /// May a packet of this size pass? It is counted if so.
    pub fn takes(&mut self, now: Micros, bytes: usize) -> bool {
        let earned = now.since(self.at).saturating_mul(RATE);
        (self.left, self.at) = (self.left.saturating_add(earned).min(BURST * WHOLE), now.max(self.at));
        let left = self.left.checked_sub(bytes as u64 * WHOLE);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_gets_its_burst_and_its_rate_and_the_best_opus_is_never_held_up() {
        let mut flood = Allowance::default();
        let passed = (0..100_000u64).filter(|n| flood.takes(Micros(n * 100), 200)).count() as u64 * 200;
        assert!((BURST + 9 * RATE..=BURST + 10 * RATE).contains(&passed), "{passed} bytes in 10 s");
        let mut opus = Allowance::default();
        assert!((0..5_000u64).all(|n| opus.takes(Micros(n * 20_000), 1_275 + 60)));
        let mut shortest = Allowance::default();
        assert!((0..50_000u64).all(|n| shortest.takes(Micros(n * 2_500), 160 + 60)));
    }
}

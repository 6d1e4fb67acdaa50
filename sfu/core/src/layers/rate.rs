//! How much each part of a published stream takes: bytes by spatial and temporal layer over half-second windows.

use crate::Micros;

/// One window: short enough to follow a scene change, long enough to average a key frame out.
const WINDOW_US: u64 = 500_000;
/// A layer that sent nothing for so long is not flowing. A camera sends 5 pictures a second at least.
pub const ALIVE_US: u64 = 1_500_000;
/// A still screen is sent about once a second.
pub const ALIVE_SCREEN_US: u64 = 5_000_000;
/// Most spatial layers of one stream.
pub const SPATIAL: usize = 4;
/// Most temporal layers of one stream.
pub const TEMPORAL: usize = 4;

/// Counts per `[spatial][temporal]`.
type Grid = [[u64; TEMPORAL]; SPATIAL];

/// Meter of one stream.
#[derive(Debug, Default)]
pub struct Rate {
    begun: Micros,
    now: Grid,
    /// bit/s of the last whole window, mixed with those before.
    settled: Option<Grid>,
    last: Option<Micros>,
}

impl Rate {
    /// A packet of `bytes` came.
    pub fn note(&mut self, now: Micros, spatial: u8, temporal: u8, bytes: usize) {
        self.roll(now);
        self.last = Some(now);
        self.now[usize::from(spatial).min(SPATIAL - 1)][usize::from(temporal).min(TEMPORAL - 1)] += bytes as u64;
    }

    fn roll(&mut self, now: Micros) {
        if self.last.is_none() {
            self.begun = now;
        }
        let elapsed = now.since(self.begun);
        if elapsed < WINDOW_US {
            return;
        }
        let mixed = |before: u64, fresh: u64| if before == 0 { fresh } else { (before + fresh) / 2 };
        let mut next = self.settled.unwrap_or_default();
        for (before, bytes) in next.iter_mut().flatten().zip(self.now.iter().flatten()) {
            *before = mixed(*before, bytes * 8_000_000 / elapsed);
        }
        (self.settled, self.now, self.begun) = (Some(next), Grid::default(), now);
    }

    /// bit/s of everything up to and with this spatial and temporal layer.
    pub fn up_to(&self, spatial: u8, temporal: u8) -> u64 {
        let grid = self.settled.unwrap_or_else(|| self.first_guess());
        grid.iter().take(usize::from(spatial) + 1).flat_map(|row| row.iter().take(usize::from(temporal) + 1)).sum()
    }

    /// Before the first window ended: what came so far, as if it were half a second's.
    fn first_guess(&self) -> Grid {
        self.now.map(|row| row.map(|bytes| bytes * 8_000_000 / WINDOW_US))
    }

    /// Highest spatial and temporal layer that carry anything.
    pub fn extent(&self) -> (u8, u8) {
        let grid = self.settled.unwrap_or(self.now);
        let used = |spatial: usize, temporal: usize| grid[spatial][temporal] + self.now[spatial][temporal] > 0;
        let spatial = (0..SPATIAL).rev().find(|s| (0..TEMPORAL).any(|t| used(*s, t))).unwrap_or(0);
        let temporal = (0..TEMPORAL).rev().find(|t| (0..SPATIAL).any(|s| used(s, *t))).unwrap_or(0);
        (spatial as u8, temporal as u8)
    }

    /// Did anything come within `alive`?
    pub fn flows(&self, now: Micros, alive: u64) -> bool {
        self.last.is_some_and(|last| now.since(last) < alive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_of_each_layer_is_that_of_the_last_windows_and_ends_with_the_packets() {
        let mut rate = Rate::default();
        assert!(!rate.flows(Micros(0), ALIVE_US));
        for n in 0..200u64 {
            rate.note(Micros(n * 10_000), 0, (n % 2) as u8, 1_000);
        }
        assert_eq!((rate.up_to(0, 0), rate.up_to(0, 3)), (400_000, 800_000));
        assert_eq!(rate.extent(), (0, 1));
        let last = Micros(1_990_000);
        assert!(rate.flows(last.plus(ALIVE_US - 1), ALIVE_US) && !rate.flows(last.plus(ALIVE_US), ALIVE_US));
    }
}

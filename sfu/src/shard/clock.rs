//! The shard's clock: the wall clock once, then the monotonic one.

use sfu_core::Micros;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Converts instants to the engine's microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    base: u64,
}

impl Clock {
    /// Reads both clocks.
    pub fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), base: since_epoch.as_micros() as u64 }
    }

    /// An instant in the engine's time.
    pub fn micros(&self, at: Instant) -> Micros {
        Micros(self.base + at.saturating_duration_since(self.start).as_micros() as u64)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

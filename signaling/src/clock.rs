//! The process's clock: wall time at the start, counted on by a clock that never jumps.

use domain::UnixMillis;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the time to the core.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    wall: u64,
    started: Instant,
}

impl Clock {
    /// Starts now.
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall: wall.as_millis() as u64, started: Instant::now() }
    }
    /// Milliseconds since 1970.
    pub fn now(&self) -> UnixMillis {
        UnixMillis(self.wall + self.started.elapsed().as_millis() as u64)
    }
    /// The moment `at`, for timers; the present when it is past.
    pub fn instant(&self, at: UnixMillis) -> Instant {
        Instant::now() + Duration::from_millis(at.since(self.now()))
    }
}

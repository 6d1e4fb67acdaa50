//! Wall clock, monotonic clock and whether the machine's clock is disciplined.

use domain::UnixMillis;
use evidence::archive::ClockState;
use recorder_core::Now;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Milliseconds since 1970.
pub fn wall() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Both clocks.
pub fn now() -> Now {
    Now { wall: wall(), mono_ms: u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX) }
}

/// The instant of a monotonic time.
pub fn instant(mono_ms: u64) -> tokio::time::Instant {
    tokio::time::Instant::from_std(*START + Duration::from_millis(mono_ms))
}

/// The monotonic time at which the wall clock will show `at`, as it runs now.
pub fn mono_of(at: UnixMillis, now: Now) -> u64 {
    now.mono_ms + at.since(now.wall)
}

/// What the time service says: systemd-timesyncd marks a disciplined clock with a file; other services are not asked.
pub fn state() -> ClockState {
    let synchronised = std::path::Path::new("/run/systemd/timesync/synchronized").exists();
    ClockState { synchronised, estimated_error_us: 0, against_sfu_ms: 0 }
}

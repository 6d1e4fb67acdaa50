//! The front's clock: the system's in service, a set one in tests, so that expiry is tested without waiting.

use domain::UnixMillis;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the time comes from.
#[derive(Clone)]
pub enum Clock {
    /// The machine's.
    System,
    /// Set by a test, ms since 1970.
    Set(Arc<AtomicU64>),
}

impl Clock {
    /// Now.
    pub fn now(&self) -> UnixMillis {
        match self {
            Self::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Self::Set(millis) => UnixMillis(millis.load(Ordering::Relaxed)),
        }
    }
}

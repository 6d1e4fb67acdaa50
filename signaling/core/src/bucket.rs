//! Token bucket, told the time: how many messages a connection may send.

use crate::limits::{MESSAGE_BURST, MESSAGES_PER_S};
use domain::UnixMillis;

/// Counts in thousandths of a message, so that slow clocks lose nothing.
#[derive(Debug, Clone)]
pub struct Bucket {
    milli: u64,
    at: UnixMillis,
}

impl Bucket {
    /// Full.
    pub fn new(now: UnixMillis) -> Self {
        Self { milli: MESSAGE_BURST * 1_000, at: now }
    }
    /// Takes one message; `false` when there is none left.
    pub fn take(&mut self, now: UnixMillis) -> bool {
        let refill = now.since(self.at).saturating_mul(MESSAGES_PER_S);
        self.milli = self.milli.saturating_add(refill).min(MESSAGE_BURST * 1_000);
        self.at = self.at.max(now);
        match self.milli.checked_sub(1_000) {
            Some(rest) => {
                self.milli = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_then_the_steady_rate() {
        let start = UnixMillis(1_000);
        let mut bucket = Bucket::new(start);
        let burst = (0..10_000).take_while(|_| bucket.take(start)).count();
        assert_eq!(burst as u64, MESSAGE_BURST);
        let second = (0..10_000).take_while(|_| bucket.take(start.plus(1_000))).count();
        assert_eq!(second as u64, MESSAGES_PER_S);
    }
}

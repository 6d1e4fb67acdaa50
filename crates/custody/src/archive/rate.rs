//! At most so many of something in an hour.

use domain::UnixMillis;
use std::collections::VecDeque;

const HOUR_MS: u64 = 3_600_000;

/// A sliding hour.
pub struct Rate {
    limit: usize,
    taken: VecDeque<UnixMillis>,
}

impl Rate {
    /// Nothing taken yet.
    pub fn per_hour(limit: u32) -> Self {
        Self { limit: limit as usize, taken: VecDeque::new() }
    }

    /// Takes one if there is one left.
    pub fn take(&mut self, now: UnixMillis) -> bool {
        while self.taken.front().is_some_and(|at| now.since(*at) >= HOUR_MS) {
            self.taken.pop_front();
        }
        let left = self.taken.len() < self.limit;
        if left {
            self.taken.push_back(now);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_comes_back_after_an_hour() {
        let mut rate = Rate::per_hour(2);
        assert!(rate.take(UnixMillis(0)) && rate.take(UnixMillis(10)));
        assert!(!rate.take(UnixMillis(HOUR_MS - 1)));
        assert!(rate.take(UnixMillis(HOUR_MS)));
        assert!(!rate.take(UnixMillis(HOUR_MS + 9)));
    }
}

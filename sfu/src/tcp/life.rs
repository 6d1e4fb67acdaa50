//! How long a connection is kept: as long as its peer says something, and takes what it is sent. Told the time, has none.

use std::time::{Duration, Instant};

/// A connection that is silent for so long is closed: checks of a path that is kept warm come every 15 s at least.
pub const IDLE: Duration = Duration::from_secs(60);
/// One whose peer takes not a byte of what waits for so long is closed, however much it says: a link that stalls three
/// times as long as a silent transport is kept has lost its picture and its sound already.
pub const DEAF: Duration = Duration::from_secs(15);

/// What a connection showed of its peer.
#[derive(Debug, Clone)]
pub struct Life {
    heard: Instant,
    /// When it last took something, or nothing waited.
    taking: Instant,
    written: u64,
    known: u64,
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Its peer says nothing.
    Silent,
    /// Its peer takes nothing.
    Deaf,
}

/// Does anything wait to be written?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// No.
    Nothing,
    /// Yes.
    Something,
}

impl Life {
    /// A connection whose first frame was just heard.
    pub fn new(now: Instant) -> Self {
        Self { heard: now, taking: now, written: 0, known: 0 }
    }

    /// The peer said something.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Its kernel, or ours, took so many bytes.
    pub fn wrote(&mut self, count: usize) {
        self.written += count as u64;
    }

    /// Is it over? To be asked often: what was taken since the last time counts as taken now.
    pub fn over(&mut self, now: Instant, queued: Queued) -> Option<Over> {
        if queued == Queued::Nothing || self.written != self.known {
            (self.taking, self.known) = (now, self.written);
        }
        if now >= self.heard + IDLE {
            return Some(Over::Silent);
        }
        (now >= self.taking + DEAF).then_some(Over::Deaf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(20);

    /// Looks every 20 ms until it is over; `each` says what happens before a look.
    fn end(mut each: impl FnMut(&mut Life, Instant, Duration) -> Queued) -> (Duration, Over) {
        let began = Instant::now();
        let (mut life, mut now) = (Life::new(began), began);
        while now < began + 10 * IDLE {
            now += STEP;
            let queued = each(&mut life, now, now - began);
            if let Some(over) = life.over(now, queued) {
                return (now - began, over);
            }
        }
        panic!("it is never over");
    }

    #[test]
    fn a_silent_connection_is_over_exactly_a_minute_after_its_last_word() {
        let last = Duration::from_secs(7);
        let over = end(|life, now, passed| {
            if passed <= last {
                life.heard(now);
            }
            Queued::Nothing
        });
        assert_eq!(over, (last + IDLE, Over::Silent));
    }

    #[test]
    fn a_peer_that_talks_and_takes_nothing_is_over_exactly_after_its_bound() {
        let waits = Duration::from_secs(3);
        let over = end(|life, now, passed| {
            life.heard(now);
            if passed <= waits { Queued::Nothing } else { Queued::Something }
        });
        assert_eq!(over, (waits + DEAF, Over::Deaf));
    }

    #[test]
    fn a_peer_that_always_has_something_to_take_and_takes_it_slowly_is_kept() {
        let stops = 5 * IDLE;
        let over = end(|life, now, passed| {
            life.heard(now);
            // a little, each time shortly before the bound
            if passed <= stops && passed.as_millis().is_multiple_of(DEAF.as_millis() - 1_000) {
                life.wrote(1);
            }
            Queued::Something
        });
        assert_eq!(over.1, Over::Deaf);
        assert!(over.0 > stops, "{over:?}");
    }
}

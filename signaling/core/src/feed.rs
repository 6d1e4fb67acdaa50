//! Does the directory's stream of changes live? Without it nobody knows who was taken out of a room: then nobody new comes
//! in, and meetings that run go on. Owns the judgement, not the stream.

use crate::limits::FEED_LOST_MS;
use domain::UnixMillis;

/// The feed as last heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed {
    heard: UnixMillis,
    lost: bool,
}

/// The feed is other than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Silent for too long: an alarm.
    Lost,
    /// Heard again.
    Back,
}

impl Feed {
    /// A start counts as heard.
    pub fn new(now: UnixMillis) -> Self {
        Self { heard: now, lost: false }
    }

    /// The directory answered.
    pub fn heard(&mut self, now: UnixMillis) {
        self.heard = now;
    }

    /// May somebody new come in?
    pub fn stands(&self, now: UnixMillis) -> bool {
        now.since(self.heard) <= FEED_LOST_MS
    }

    /// Has it turned since this was last asked?
    pub fn turn(&mut self, now: UnixMillis) -> Option<Turn> {
        let lost = !self.stands(now);
        let turned = lost != self.lost;
        self.lost = lost;
        turned.then_some(if lost { Turn::Lost } else { Turn::Back })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_lost_after_thirty_seconds_of_silence_and_back_at_the_first_answer() {
        let at = |ms: u64| UnixMillis(1_000_000 + ms);
        let mut feed = Feed::new(at(0));
        feed.heard(at(10_000));
        assert!(feed.stands(at(40_000)));
        assert_eq!(feed.turn(at(40_000)), None);
        assert!(!feed.stands(at(40_001)));
        assert_eq!((feed.turn(at(40_001)), feed.turn(at(640_000))), (Some(Turn::Lost), None), "ten minutes: one alarm");
        feed.heard(at(640_001));
        assert_eq!((feed.turn(at(640_001)), feed.stands(at(640_001))), (Some(Turn::Back), true));
    }
}

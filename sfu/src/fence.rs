//! Which signaling is believed, and what it forgot. Every control link begins with a fence, a number that counts up over all
//! links of all signaling processes: an older one is refused, and meetings that the newest link has not named again end. No
//! clock: told the time.

use domain::MeetingId;
use domain::message::control::ToSfu;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// A meeting that no signaling knows ends so long after the newest link began: its people had time to come back to signaling,
/// which gives them a new meeting, and nobody could be taken out of the old one any more.
pub const FORGOTTEN: Duration = Duration::from_secs(60);

/// Another signaling took this one's place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this signaling was replaced: its fence {said} is not above {newest}")]
pub struct Replaced {
    /// What it said.
    pub said: u64,
    /// What another said before.
    pub newest: u64,
}

/// What was heard of fences, over all links of this process.
#[derive(Debug, Default)]
pub struct Fence {
    newest: u64,
    since: Option<Instant>,
    /// By which fence each meeting was named last.
    meetings: HashMap<MeetingId, u64>,
}

impl Fence {
    /// A link begins.
    ///
    /// # Errors
    /// It is not above all before: the link is of a signaling that was replaced.
    pub fn begin(&mut self, now: Instant, said: u64) -> Result<(), Replaced> {
        if said <= self.newest {
            return Err(Replaced { said, newest: self.newest });
        }
        (self.newest, self.since) = (said, Some(now));
        Ok(())
    }

    /// Takes note of a meeting that is named or ends.
    pub fn hear(&mut self, message: &ToSfu) {
        match message {
            ToSfu::Meeting { meeting, .. } => {
                self.meetings.insert(meeting.clone(), self.newest);
            }
            ToSfu::MeetingEnded { meeting } => {
                self.meetings.remove(meeting);
            }
            _ => {}
        }
    }

    /// Meetings that signaling forgot, each once.
    pub fn forgotten(&mut self, now: Instant) -> Vec<MeetingId> {
        let due = self.since.is_some_and(|since| now.saturating_duration_since(since) >= FORGOTTEN);
        let newest = self.newest;
        self.meetings.extract_if(|_, named| due && *named < newest).map(|(meeting, _)| meeting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> MeetingId {
        format!("{n:032x}").parse().expect("an id")
    }

    fn named(n: u8) -> ToSfu {
        ToSfu::Meeting { meeting: id(n), firms: vec![] }
    }

    #[test]
    fn a_signaling_that_was_replaced_is_refused() {
        let (now, mut fence) = (Instant::now(), Fence::default());
        assert_eq!(fence.begin(now, 7), Ok(()));
        assert_eq!(fence.begin(now, 9), Ok(()));
        for said in [7, 9, 0] {
            assert_eq!(fence.begin(now, said), Err(Replaced { said, newest: 9 }));
        }
    }

    #[test]
    fn a_meeting_that_a_restarted_signaling_forgot_ends_after_a_minute_and_one_that_it_names_goes_on() {
        let (start, mut fence) = (Instant::now(), Fence::default());
        fence.begin(start, 1).expect("the first");
        [1, 2, 3].iter().for_each(|n| fence.hear(&named(*n)));
        assert_eq!(fence.forgotten(start + 2 * FORGOTTEN), [], "the link that named them stands");
        fence.hear(&ToSfu::MeetingEnded { meeting: id(3) });
        let again = start + 3 * FORGOTTEN;
        fence.begin(again, 2).expect("newer");
        fence.hear(&named(2));
        assert_eq!(fence.forgotten(again + FORGOTTEN - Duration::from_millis(1)), []);
        assert_eq!(fence.forgotten(again + FORGOTTEN), [id(1)]);
        assert_eq!(fence.forgotten(again + 2 * FORGOTTEN), [], "once");
    }
}

//! Which shard a meeting lives on: the least loaded when it begins, the same one until it ends. No clock and no chance:
//! the same messages give the same places.

use domain::message::control::ToSfu;
use domain::{MeetingId, ParticipantId};
use sfu_core::engine::MAX_MEETINGS;
use std::collections::{HashMap, HashSet};

/// One placed meeting.
#[derive(Debug)]
struct Placed {
    shard: usize,
    people: HashSet<ParticipantId>,
}

/// The places of all meetings of a node.
#[derive(Debug)]
pub struct Placement {
    /// Meetings and participants of each shard.
    loads: Vec<usize>,
    meetings: HashMap<MeetingId, Placed>,
}

impl Placement {
    /// No meetings on so many shards, at least one.
    pub fn new(shards: usize) -> Self {
        Self { loads: vec![0; shards.max(1)], meetings: HashMap::new() }
    }

    /// The shard of a meeting that is placed.
    pub fn of(&self, meeting: &MeetingId) -> Option<usize> {
        self.meetings.get(meeting).map(|placed| placed.shard)
    }

    /// The shard that a message is for. One about a meeting that is nowhere goes to the first, which answers so.
    pub fn route(&mut self, message: &ToSfu) -> usize {
        let (meeting, shard) = match message {
            ToSfu::Meeting { meeting, .. } => return self.place(meeting),
            ToSfu::MeetingEnded { meeting } => {
                let Some(placed) = self.meetings.remove(meeting) else { return 0 };
                self.loads[placed.shard] -= 1 + placed.people.len();
                return placed.shard;
            }
            other => match other.meeting() {
                Some(meeting) => (meeting, self.of(meeting)),
                None => return 0,
            },
        };
        let (Some(shard), Some(placed)) = (shard, self.meetings.get_mut(meeting)) else { return 0 };
        let before = placed.people.len();
        match message {
            ToSfu::Participant { participant, .. } if before < domain::limits::MAX_MEMBERS => {
                placed.people.insert(participant.clone());
            }
            ToSfu::Cut { participant, .. } => {
                placed.people.remove(participant);
            }
            _ => {}
        }
        self.loads[shard] = self.loads[shard] + placed.people.len() - before;
        shard
    }

    fn place(&mut self, meeting: &MeetingId) -> usize {
        if let Some(shard) = self.of(meeting) {
            return shard;
        }
        let least = self.loads.iter().enumerate().min_by_key(|(shard, load)| (**load, *shard));
        let shard = least.map_or(0, |(shard, _)| shard);
        // beyond what the shards take the engine refuses: nothing is kept about it here either
        if self.meetings.len() < self.loads.len() * MAX_MEETINGS {
            self.loads[shard] += 1;
            self.meetings.insert(meeting.clone(), Placed { shard, people: HashSet::new() });
        }
        shard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> MeetingId {
        format!("{n:032x}").parse().expect("an id")
    }

    fn begin(n: u8) -> ToSfu {
        ToSfu::Meeting { meeting: id(n), firms: vec![] }
    }

    fn admit(n: u8, name: &str) -> ToSfu {
        let participant = format!("bank-a/{name}/1").parse().expect("a participant");
        ToSfu::Participant { meeting: id(n), participant, recorder: false, may_publish: true }
    }

    #[test]
    fn a_meeting_goes_to_the_least_loaded_shard_and_stays_there() {
        let mut placement = Placement::new(3);
        assert_eq!([1, 2, 3, 4].map(|n| placement.route(&begin(n))), [0, 1, 2, 0]);
        for (n, name, shard) in [(2, "anna", 1), (2, "ben", 1), (2, "anna", 1), (3, "carol", 2)] {
            assert_eq!(placement.route(&admit(n, name)), shard);
        }
        assert_eq!(placement.loads, [2, 3, 2]);
        assert_eq!(placement.route(&begin(5)), 0, "of two equal ones the first");
        assert_eq!(placement.route(&begin(6)), 2);
        assert_eq!(placement.route(&begin(2)), 1, "said again it stays");
        let cut = ToSfu::Cut { meeting: id(2), participant: "bank-a/anna/1".parse().expect("a participant") };
        assert_eq!(placement.route(&cut), 1);
        assert_eq!(placement.loads, [3, 2, 3]);
        assert_eq!(placement.route(&ToSfu::MeetingEnded { meeting: id(2) }), 1);
        assert_eq!((placement.of(&id(2)), placement.loads[1]), (None, 0));
        assert_eq!(placement.route(&admit(2, "late")), 0, "nowhere: the first shard answers");
        assert_eq!(placement.route(&begin(2)), 1);
    }
}

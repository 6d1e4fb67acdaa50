//! Leaf lines: who owns which leaf in which epoch. The newest line stays; an older one is kept 5 s after it was
//! replaced, because frames of the old epoch are still on their way.

use crate::Micros;
use domain::{Epoch, Kid, LeafIndex, ParticipantId};
use std::collections::{HashMap, VecDeque};

/// How long a replaced line still counts (e2ee.md: receivers keep epochs left in the last 5 s).
pub const KEEP_US: u64 = domain::limits::KEEP_EPOCH_MS * 1000;
/// Most lines kept: epochs are 250 ms apart at least, so 5 s hold at most 20.
const MAX_LINES: usize = domain::limits::KEEP_EPOCHS;

#[derive(Debug)]
struct Line {
    epoch: Epoch,
    owners: HashMap<LeafIndex, ParticipantId>,
    replaced: Option<Micros>,
}

/// Judgement of a KID against the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The leaf is this participant's in that epoch.
    Owner,
    /// It is another's, or nobody's.
    Foreign,
    /// No line is known for that epoch: the check is suspended.
    Unknown,
}

/// The lines of one meeting.
#[derive(Debug, Default)]
pub struct LeafLines {
    lines: VecDeque<Line>,
}

impl LeafLines {
    /// Takes a line; the same epoch again replaces it.
    pub fn take(&mut self, now: Micros, epoch: Epoch, leaves: Vec<(LeafIndex, ParticipantId)>) {
        self.expire(now);
        self.lines.retain(|line| line.epoch != epoch);
        for line in &mut self.lines {
            line.replaced.get_or_insert(now);
        }
        self.lines.push_front(Line { epoch, owners: leaves.into_iter().collect(), replaced: None });
        self.lines.truncate(MAX_LINES);
    }

    fn expire(&mut self, now: Micros) {
        self.lines.retain(|line| line.replaced.is_none_or(|at| now.since(at) < KEEP_US));
    }

    /// Judges the leaf of a KID. Only 16 bits of the epoch travel: the newest line that fits counts.
    pub fn judge(&self, now: Micros, kid: Kid, participant: &ParticipantId) -> Verdict {
        let line = self.lines.iter().find(|line| {
            line.epoch.0 as u16 == kid.epoch_low() && line.replaced.is_none_or(|at| now.since(at) < KEEP_US)
        });
        match line {
            None => Verdict::Unknown,
            Some(line) if line.owners.get(&kid.leaf()) == Some(participant) => Verdict::Owner,
            Some(_) => Verdict::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Slot;

    #[test]
    fn a_line_counts_until_five_seconds_after_it_was_replaced() {
        let anna: ParticipantId = "bank-a/anna/1".parse().expect("well formed");
        let ben: ParticipantId = "bank-b/ben/1".parse().expect("well formed");
        let mut lines = LeafLines::default();
        let kid = |leaf, epoch| Kid::new(Slot::CAMERA, LeafIndex(leaf), Epoch(epoch));
        assert_eq!(lines.judge(Micros(0), kid(0, 1), &anna), Verdict::Unknown);
        lines.take(Micros(0), Epoch(1), vec![(LeafIndex(0), anna.clone())]);
        assert_eq!(lines.judge(Micros(1), kid(0, 1), &anna), Verdict::Owner);
        assert_eq!(lines.judge(Micros(1), kid(0, 1), &ben), Verdict::Foreign);
        assert_eq!(lines.judge(Micros(1), kid(1, 1), &ben), Verdict::Foreign);
        assert_eq!(lines.judge(Micros(1), kid(1, 2), &ben), Verdict::Unknown);
        lines.take(Micros(10), Epoch(2), vec![(LeafIndex(0), anna.clone()), (LeafIndex(1), ben.clone())]);
        assert_eq!(lines.judge(Micros(10 + KEEP_US - 1), kid(0, 1), &anna), Verdict::Owner);
        assert_eq!(lines.judge(Micros(10 + KEEP_US), kid(0, 1), &anna), Verdict::Unknown);
        assert_eq!(lines.judge(Micros(10 + KEEP_US), kid(1, 2), &ben), Verdict::Owner);
    }
}

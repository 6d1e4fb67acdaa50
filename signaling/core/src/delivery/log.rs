//! Commits kept for those who were away: at most 256 of the last 60 s (e2ee.md).

use domain::limits::{KEPT_COMMITS_MS, MAX_KEPT_COMMITS};
use domain::{B64, Epoch, UnixMillis};
use std::collections::VecDeque;

struct Kept {
    makes: Epoch,
    commit: B64,
    at: UnixMillis,
}

/// The commits of the last minute, oldest first, without holes.
#[derive(Default)]
pub struct CommitLog(VecDeque<Kept>);

impl CommitLog {
    /// The commit that made `makes`.
    pub fn push(&mut self, now: UnixMillis, makes: Epoch, commit: B64) {
        self.0.push_back(Kept { makes, commit, at: now });
        self.prune(now);
    }

    fn prune(&mut self, now: UnixMillis) {
        while self.0.len() > MAX_KEPT_COMMITS || self.0.front().is_some_and(|k| now.since(k.at) > KEPT_COMMITS_MS) {
            self.0.pop_front();
        }
    }

    /// Forgets the commits from the one that made `epoch` on.
    pub fn withdraw(&mut self, epoch: Epoch) {
        self.0.retain(|kept| kept.makes < epoch);
    }

    /// All commits after `from` up to `to`, in order; `None` if one of them is no longer kept.
    pub fn between(&mut self, now: UnixMillis, from: Epoch, to: Epoch) -> Option<Vec<(Epoch, B64)>> {
        self.prune(now);
        let found: Vec<_> =
            self.0.iter().filter(|k| k.makes > from && k.makes <= to).map(|k| (k.makes, k.commit.clone())).collect();
        (from <= to && found.len() as u64 == to.0 - from.0).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(n: u64, step_ms: u64) -> CommitLog {
        let mut log = CommitLog::default();
        for i in 1..=n {
            log.push(UnixMillis(i * step_ms), Epoch(i), vec![i as u8].into());
        }
        log
    }

    #[test]
    fn commits_are_kept_for_sixty_seconds_and_no_longer() {
        let mut log = filled(2, 1);
        assert_eq!(log.between(UnixMillis(60_001), Epoch(0), Epoch(2)).map(|c| c.len()), Some(2));
        assert_eq!(log.between(UnixMillis(60_002), Epoch(0), Epoch(2)), None);
        assert_eq!(log.between(UnixMillis(60_002), Epoch(1), Epoch(2)).map(|c| c.len()), Some(1));
    }

    #[test]
    fn at_most_256_commits_are_kept() {
        let mut log = filled(257, 1);
        assert_eq!(log.between(UnixMillis(257), Epoch(0), Epoch(257)), None);
        assert_eq!(log.between(UnixMillis(257), Epoch(1), Epoch(257)).map(|c| c.len()), Some(256));
    }

    #[test]
    fn a_resume_from_the_future_or_across_a_withdrawal_is_not_served() {
        let mut log = filled(3, 1);
        assert_eq!(log.between(UnixMillis(3), Epoch(4), Epoch(3)), None);
        log.withdraw(Epoch(2));
        assert_eq!(log.between(UnixMillis(3), Epoch(0), Epoch(3)), None);
        assert_eq!(log.between(UnixMillis(3), Epoch(0), Epoch(1)).map(|c| c.len()), Some(1));
    }
}

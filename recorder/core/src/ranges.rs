//! A set of counters as runs, each with the times of its ends: an hour of a source is one run when nothing is missing.

use domain::UnixMillis;
use std::collections::BTreeMap;

/// One run `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// First counter.
    pub start: u64,
    /// One past the last.
    pub end: u64,
    /// When the first came.
    pub first_at: UnixMillis,
    /// When the last came.
    pub last_at: UnixMillis,
}

/// Counters seen.
#[derive(Debug, Clone, Default)]
pub struct Ranges {
    runs: BTreeMap<u64, Run>,
}

impl Ranges {
    /// Is it in?
    pub fn contains(&self, value: u64) -> bool {
        self.runs.range(..=value).next_back().is_some_and(|(_, run)| value < run.end)
    }

    /// Puts `start..end` in.
    pub fn insert(&mut self, start: u64, end: u64, at: UnixMillis) {
        self.insert_between(start, end, (at, at));
    }

    /// Puts `start..end` in, of which the first came at one time and the last at another.
    pub fn insert_between(&mut self, start: u64, end: u64, (first_at, last_at): (UnixMillis, UnixMillis)) {
        if start >= end {
            return;
        }
        // by far the most come in order, behind the last run
        if let Some(mut last) = self.runs.last_entry().filter(|last| last.get().end == start) {
            let last = last.get_mut();
            (last.end, last.last_at) = (end, last_at);
            return;
        }
        let mut new = Run { start, end, first_at, last_at };
        let before = self.runs.range(..start).next_back().map(|(_, run)| *run).filter(|run| run.end >= start);
        let inside: Vec<Run> = self.runs.range(start..=end).map(|(_, run)| *run).collect();
        for run in before.into_iter().chain(inside) {
            self.runs.remove(&run.start);
            if run.start <= new.start {
                (new.start, new.first_at) = (run.start, run.first_at);
            }
            if run.end >= new.end {
                (new.end, new.last_at) = (run.end, run.last_at);
            }
        }
        self.runs.insert(new.start, new);
    }

    /// One past the highest, 0 if empty.
    pub fn end(&self) -> u64 {
        self.runs.last_key_value().map_or(0, |(_, run)| run.end)
    }

    /// The runs in order.
    pub fn iter(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// Nothing in it?
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Counters of `from..to` that are not in, as runs.
    pub fn missing(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        let mut at = from;
        for run in self.runs.values().filter(|run| run.end > from && run.start < to) {
            if run.start > at {
                out.push((at, run.start));
            }
            at = run.end;
        }
        if at < to {
            out.push((at, to));
        }
        out
    }

    /// The runs next to `value`: the one that ends at or before it, the one that starts at or after it.
    pub fn around(&self, value: u64) -> (Option<&Run>, Option<&Run>) {
        let before = self.runs.range(..value).next_back().map(|(_, run)| run).filter(|run| run.end <= value);
        (before, self.runs.range(value..).next().map(|(_, run)| run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn runs_agree_with_a_plain_set(parts in proptest::collection::vec((0u64..60, 0u64..8), 0..30)) {
            let (mut runs, mut set) = (Ranges::default(), BTreeSet::new());
            for (start, len) in parts {
                runs.insert(start, start + len, UnixMillis(1));
                set.extend(start..start + len);
            }
            for value in 0..80 {
                prop_assert_eq!(runs.contains(value), set.contains(&value));
            }
            let missing: Vec<u64> = runs.missing(5, 70).into_iter().flat_map(|(from, to)| from..to).collect();
            let want: Vec<u64> = (5..70).filter(|value| !set.contains(value)).collect();
            prop_assert_eq!(missing, want);
            prop_assert_eq!(runs.end(), set.last().map_or(0, |last| last + 1));
        }
    }
}

//! Probes: is what is sealed to an archive key today still opened by its token? A recorder seals a random key to each archive
//! key under a name that no meeting has; custody *archive* opens that name alone and answers a digest. [`Probes`] keeps when
//! each key last did. Told time and randomness; does no I/O.

use crate::sealing::{self, SealingError};
use domain::{B64, FirmId, MeetingId, UnixMillis};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// A key that opened a probe within this time is trusted to open what is sealed now, ms: a lost token is noticed within a day.
pub const FRESH_MS: u64 = 24 * 3_600_000;
/// So much later a meeting may still begin, ms: a night's maintenance of the token stops nobody in the morning.
pub const GRACE_MS: u64 = 2 * 3_600_000;
/// Between two probes that went well, ms: three may fail before the day is over.
pub const EVERY_MS: u64 = 6 * 3_600_000;
/// After one that failed, ms: whoever mends the token need not wait.
pub const RETRY_MS: u64 = 10 * 60_000;
/// A time further ahead than this is of a clock that was wrong, ms.
const AHEAD_MS: u64 = 60_000;
/// Archive keys of one firm that are probed at once: two tokens while the keys of both are rotated.
pub const MAX_KEYS: usize = 8;
/// Incarnation of a probe; meetings count theirs from 1.
pub const INCARNATION: u64 = 0;

/// The meeting in whose name probes are sealed; real ones have 32 hexadecimal digits.
pub fn meeting() -> MeetingId {
    "probe".parse().expect("an id")
}

/// What custody answers for an opened probe.
pub fn digest(key: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(b"strongroom archive probe v1");
    hash.update(key);
    hash.finalize().into()
}

/// One sealed probe and what proves that it was opened.
pub struct Challenge {
    /// Archive key.
    pub key_id: String,
    /// Sealed form.
    pub sealed: B64,
    expected: [u8; 32],
}

impl Challenge {
    /// Seals `random` to one archive key (SPKI).
    ///
    /// # Errors
    /// [`SealingError::BadKey`] for a key that is none of ours.
    pub fn new(firm: &FirmId, spki: &B64, random: Zeroizing<[u8; 32]>) -> Result<Self, SealingError> {
        let mut forms = sealing::seal_meeting_key(firm, &meeting(), INCARNATION, &random, std::slice::from_ref(spki))?;
        let sealed = forms.pop().expect("one key, one form").into();
        Ok(Self { key_id: sealing::key_id(spki), sealed, expected: digest(&random) })
    }

    /// Was it opened?
    pub fn is_answered_by(&self, digest: &[u8]) -> bool {
        self.expected == digest
    }
}

/// What is known of one key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    opened_at: Option<UnixMillis>,
    failing: bool,
}

impl Seen {
    fn is_within(self, now: UnixMillis, span_ms: u64) -> bool {
        self.opened_at.is_some_and(|at| now.since(at) <= span_ms && at.since(now) <= AHEAD_MS)
    }
}

/// When each archive key last opened a probe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Probes {
    keys: BTreeMap<String, Seen>,
}

impl Probes {
    /// Of these archive keys (SPKI), none proven yet.
    pub fn of(archive_keys: &[B64]) -> Self {
        Self { keys: archive_keys.iter().map(|spki| (sealing::key_id(spki), Seen::default())).collect() }
    }

    /// Takes over times that were kept; of keys that are none of these nothing is taken.
    pub fn remember(&mut self, kept: &BTreeMap<String, UnixMillis>) {
        for (key_id, seen) in &mut self.keys {
            seen.opened_at = kept.get(key_id).copied().or(seen.opened_at);
        }
    }

    /// What is worth keeping.
    pub fn kept(&self) -> BTreeMap<String, UnixMillis> {
        self.keys.iter().filter_map(|(key_id, seen)| Some((key_id.clone(), seen.opened_at?))).collect()
    }

    /// A key opened a probe.
    pub fn opened(&mut self, key_id: &str, now: UnixMillis) {
        if let Some(seen) = self.keys.get_mut(key_id) {
            *seen = Seen { opened_at: Some(now), failing: false };
        }
    }

    /// A key did not.
    pub fn failed(&mut self, key_id: &str) {
        if let Some(seen) = self.keys.get_mut(key_id) {
            seen.failing = true;
        }
    }

    /// Which of `wanted` have not opened a probe within [`FRESH_MS`] and [`GRACE_MS`], each with the last time it did. A key
    /// that is not known here is one of them.
    pub fn stale<'a>(&self, wanted: &'a [String], now: UnixMillis) -> Vec<(&'a str, Option<UnixMillis>)> {
        let seen = |key_id: &String| self.keys.get(key_id).copied().unwrap_or_default();
        let stale = wanted.iter().filter(|key_id| !seen(key_id).is_within(now, FRESH_MS + GRACE_MS));
        stale.map(|key_id| (key_id.as_str(), seen(key_id).opened_at)).collect()
    }

    /// Did a key just fail that has opened none within the time?
    pub fn is_blocking(&self, now: UnixMillis) -> bool {
        self.keys.values().any(|seen| seen.failing && !seen.is_within(now, FRESH_MS + GRACE_MS))
    }

    /// Every key with the last time it opened a probe.
    pub fn status(&self) -> impl Iterator<Item = (&str, Option<UnixMillis>)> {
        self.keys.iter().map(|(key_id, seen)| (key_id.as_str(), seen.opened_at))
    }

    /// How long to wait for the next round, ms.
    pub fn next_in_ms(&self, now: UnixMillis) -> u64 {
        let due = |seen: &Seen| match (seen.failing, seen.opened_at) {
            (true, _) => RETRY_MS,
            (false, Some(at)) if seen.is_within(now, EVERY_MS) => EVERY_MS - now.since(at),
            (false, _) => 0,
        };
        self.keys.values().map(due).min().unwrap_or(EVERY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_795_300_000_000);

    fn two() -> (Probes, [String; 2]) {
        let keys = [B64::from([1u8; 8]), B64::from([2u8; 8])];
        (Probes::of(&keys), keys.map(|spki| sealing::key_id(&spki)))
    }

    #[test]
    fn a_meeting_begins_until_a_day_and_its_grace_after_the_last_probe_of_every_key() {
        let (mut probes, keys) = two();
        assert_eq!(probes.stale(&keys, NOW).len(), 2, "nothing proven yet");
        probes.opened(&keys[0], NOW);
        assert_eq!(probes.stale(&keys, NOW), [(keys[1].as_str(), None)], "one of two keys is not enough");
        probes.opened(&keys[1], NOW);
        let last = NOW.plus(FRESH_MS + GRACE_MS);
        assert!(probes.stale(&keys, last).is_empty());
        assert_eq!(probes.stale(&keys, last.plus(1)).len(), 2);
        probes.opened(&keys[0], last);
        assert_eq!(probes.stale(&keys, last.plus(1)), [(keys[1].as_str(), Some(NOW))]);
        assert_eq!(probes.stale(&["another".to_owned()], NOW), [("another", None)], "a key of a newer statement");
    }

    #[test]
    fn a_failed_probe_blocks_nobody_within_the_day_and_everybody_after_it() {
        let (mut probes, keys) = two();
        assert!(!probes.is_blocking(NOW), "nobody asked yet");
        keys.iter().for_each(|key| probes.opened(key, NOW));
        probes.failed(&keys[0]);
        let last = NOW.plus(FRESH_MS + GRACE_MS);
        assert!(probes.stale(&keys, last).is_empty() && !probes.is_blocking(last));
        assert!(probes.is_blocking(last.plus(1)));
        probes.opened(&keys[0], last.plus(1));
        assert!(!probes.is_blocking(last.plus(1)));
    }

    #[test]
    fn probes_come_every_six_hours_and_ten_minutes_after_a_failure() {
        let (mut probes, keys) = two();
        assert_eq!(probes.next_in_ms(NOW), 0);
        keys.iter().for_each(|key| probes.opened(key, NOW));
        assert_eq!(probes.next_in_ms(NOW.plus(60_000)), EVERY_MS - 60_000);
        assert_eq!(probes.next_in_ms(NOW.plus(EVERY_MS)), 0);
        probes.failed(&keys[1]);
        assert_eq!(probes.next_in_ms(NOW.plus(60_000)), RETRY_MS);
    }

    #[test]
    fn a_clock_that_was_ahead_proves_nothing() {
        let (mut probes, keys) = two();
        keys.iter().for_each(|key| probes.opened(key, NOW.plus(AHEAD_MS + 1)));
        assert_eq!(probes.stale(&keys, NOW).len(), 2);
        assert!(probes.stale(&keys, NOW.plus(1)).is_empty());
    }

    #[test]
    fn what_is_kept_is_remembered_for_the_same_keys_alone() {
        let (mut probes, keys) = two();
        probes.opened(&keys[0], NOW);
        let mut kept = probes.kept();
        kept.insert("gone".to_owned(), NOW);
        let (mut again, _) = two();
        again.remember(&kept);
        assert_eq!(again, probes);
    }
}

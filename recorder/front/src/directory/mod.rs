//! The firm's people directory (LDAP), kept in sync: whoever is in it may enrol, whoever goes from it is out of running meetings.
//! [`People`] decides and has no I/O; [`ldap`] asks. An answer that would put out more people than a firm loses in a day is not
//! believed, and an empty one never: that is an alarm.

pub mod ldap;
pub mod settings;

use domain::{UnixMillis, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// Entries read at most: the largest banks have so many people.
pub const MAX_PEOPLE: usize = 500_000;
/// So many may go at once though they are more than [`MOST_GONE_SHARE`] says: small firms are small.
const MOST_GONE: usize = 20;
/// ... or one in so many.
const MOST_GONE_SHARE: usize = 4;
/// The time in which both count, ms.
const WINDOW_MS: u64 = 3_600_000;

/// An entry's own name that never changes: entryUUID, or the DN where there is none.
pub type Key = Vec<u8>;

/// Whether somebody may enrol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In the directory.
    Member,
    /// Not in it.
    Stranger,
    /// The directory was not heard of for too long, or never.
    Unknown,
}

/// Too many would go at once: nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{gone} of {known} people would go at once: this is not believed")]
pub struct Held {
    /// So many.
    pub gone: usize,
    /// Of so many.
    pub known: usize,
}

/// Who is in the directory, as far as it was heard.
pub struct People {
    known: BTreeMap<Key, UserId>,
    heard: Option<UnixMillis>,
    stale_ms: u64,
    /// Who went since when.
    window: (UnixMillis, usize),
}

impl People {
    /// Nobody yet. What was heard last counts for `stale_ms`.
    pub fn new(stale_ms: u64) -> Self {
        Self { known: BTreeMap::new(), heard: None, stale_ms, window: (UnixMillis(0), 0) }
    }

    /// The whole directory; answers who went.
    ///
    /// # Errors
    /// [`Held`].
    pub fn all(&mut self, now: UnixMillis, seen: BTreeMap<Key, UserId>) -> Result<BTreeSet<UserId>, Held> {
        let stay: BTreeSet<&UserId> = seen.values().collect();
        let gone: BTreeSet<UserId> = self.known.values().filter(|user| !stay.contains(user)).cloned().collect();
        if seen.is_empty() && !self.known.is_empty() {
            return Err(Held { gone: gone.len(), known: self.known.len() });
        }
        self.allow(now, gone.len())?;
        self.known = seen;
        self.heard = Some(now);
        Ok(gone)
    }

    /// An entry is there, or has changed; answers who went by that.
    ///
    /// # Errors
    /// [`Held`].
    pub fn came(&mut self, now: UnixMillis, key: Key, user: UserId) -> Result<Option<UserId>, Held> {
        let renamed = self.known.get(&key).filter(|old| **old != user).cloned();
        let gone = if renamed.is_some() { self.gone(now, &key)? } else { None };
        if self.known.len() < MAX_PEOPLE {
            self.known.insert(key, user);
        }
        self.heard = Some(now);
        Ok(gone)
    }

    /// An entry went; answers who that was, if nobody else has the name.
    ///
    /// # Errors
    /// [`Held`].
    pub fn gone(&mut self, now: UnixMillis, key: &Key) -> Result<Option<UserId>, Held> {
        self.heard = Some(now);
        if !self.known.contains_key(key) {
            return Ok(None);
        }
        self.allow(now, 1)?;
        let user = self.known.remove(key);
        Ok(user.filter(|user| !self.known.values().any(|other| other == user)))
    }

    /// The directory answers.
    pub fn alive(&mut self, now: UnixMillis) {
        if self.heard.is_some() {
            self.heard = Some(now);
        }
    }

    fn allow(&mut self, now: UnixMillis, gone: usize) -> Result<(), Held> {
        if now.since(self.window.0) >= WINDOW_MS {
            self.window = (now, 0);
        }
        let most = MOST_GONE.max(self.known.len() / MOST_GONE_SHARE);
        if self.window.1 + gone > most {
            return Err(Held { gone: self.window.1 + gone, known: self.known.len() });
        }
        self.window.1 += gone;
        Ok(())
    }

    /// May this person enrol now?
    pub fn standing(&self, now: UnixMillis, user: &UserId) -> Standing {
        match self.heard {
            Some(heard) if now.since(heard) < self.stale_ms => {
                if self.known.values().any(|known| known == user) {
                    Standing::Member
                } else {
                    Standing::Stranger
                }
            }
            _ => Standing::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> UnixMillis {
        UnixMillis(1_800_000_000_000 + ms)
    }

    fn seen(count: u32) -> BTreeMap<Key, UserId> {
        (0..count).map(|n| (n.to_be_bytes().to_vec(), format!("user-{n}").parse().unwrap())).collect()
    }

    fn user(n: u32) -> UserId {
        format!("user-{n}").parse().unwrap()
    }

    #[test]
    fn who_is_missing_from_a_whole_answer_or_deleted_has_gone() {
        let mut people = People::new(60_000);
        assert!(people.all(at(0), seen(10)).unwrap().is_empty());
        assert_eq!(people.all(at(1), seen(9)).unwrap().into_iter().collect::<Vec<_>>(), [user(9)]);
        assert_eq!(people.gone(at(2), &3u32.to_be_bytes().to_vec()).unwrap(), Some(user(3)));
        assert_eq!(people.gone(at(2), &3u32.to_be_bytes().to_vec()).unwrap(), None, "gone once");
        assert_eq!(people.came(at(3), 4u32.to_be_bytes().to_vec(), user(40)).unwrap(), Some(user(4)), "renamed");
        assert_eq!(people.standing(at(3), &user(3)), Standing::Stranger);
        assert_eq!(people.standing(at(3), &user(40)), Standing::Member);
    }

    #[test]
    fn an_empty_answer_and_a_mass_exit_put_nobody_out() {
        let mut people = People::new(60_000);
        people.all(at(0), seen(3)).unwrap();
        assert!(people.all(at(1), seen(0)).is_err(), "three people are few, and still not nobody");
        people.all(at(2), seen(1_000)).unwrap();
        assert!(people.all(at(3), seen(700)).is_err());
        assert_eq!(people.standing(at(3), &user(999)), Standing::Member);
        // one after the other is not another matter
        let gone = (0..1_000u32).filter(|n| people.gone(at(4), &n.to_be_bytes().to_vec()).is_ok()).count();
        assert!(gone <= 250, "{gone}");
    }

    #[test]
    fn what_was_heard_counts_for_a_bounded_time() {
        let mut people = People::new(60_000);
        assert_eq!(people.standing(at(0), &user(1)), Standing::Unknown, "never heard");
        people.alive(at(0));
        assert_eq!(people.standing(at(0), &user(1)), Standing::Unknown, "an answer without people");
        people.all(at(0), seen(2)).unwrap();
        assert_eq!(people.standing(at(59_999), &user(1)), Standing::Member);
        assert_eq!(people.standing(at(60_000), &user(1)), Standing::Unknown);
        people.alive(at(60_000));
        assert_eq!(people.standing(at(60_001), &user(1)), Standing::Member);
    }
}

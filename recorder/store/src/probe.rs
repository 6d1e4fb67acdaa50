//! The WORM probe: a small locked object, and everything that must not be possible with it.
//!
//! The store's answer alone is not believed: after each attack the object is read again, with its lock.

use crate::class::Class;
use crate::store::{ArchiveStore, Attack, Hold, Placing, StoreError};
use bytes::Bytes;
use domain::UnixMillis;

/// The probe's object is locked for so long: enough for all attacks on a slow link, soon gone.
pub const LOCK_MS: u64 = 60_000;
/// Dates of stores have seconds.
const SECOND_MS: u64 = 1_000;
/// A probe is fresh for a week and a day: it is made at every start and weekly.
pub const FRESH_MS: u64 = 8 * 24 * 3600 * 1000;
/// Where the probe's objects stand.
pub const PREFIX: &str = "probe/";

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Each attack and why it is thought to have succeeded; empty: the store is WORM.
    pub failures: Vec<(Attack, String)>,
    /// What is wrong with the lock itself.
    pub lock: Option<String>,
}

impl Probe {
    /// Did the store withstand everything?
    pub fn is_worm(&self) -> bool {
        self.failures.is_empty() && self.lock.is_none()
    }
    /// The class of a store that the configuration says is `claimed`.
    pub fn class(&self, claimed: Class) -> Class {
        match claimed {
            Class::Worm if self.is_worm() => Class::Worm,
            Class::Worm | Class::NotWorm => Class::NotWorm,
            modest => modest,
        }
    }
}

/// Probes a store. `nonce` makes the object's name new.
///
/// # Errors
/// [`StoreError::Unavailable`] and the like: nothing is known then.
pub async fn probe(store: &dyn ArchiveStore, now: UnixMillis, nonce: u64) -> Result<Probe, StoreError> {
    // whole seconds, so that what comes back can be compared
    let until = UnixMillis((now.0 / SECOND_MS) * SECOND_MS + LOCK_MS);
    let mut found = Probe { failures: Vec::new(), lock: None };
    for attack in Attack::ALL {
        // one object for each, so that each attack answers for itself
        let key = format!("{PREFIX}{}-{nonce:016x}-{}", now.seconds(), attack as u8);
        let bytes = Bytes::from(format!("strongroom probe {key}").into_bytes());
        let version = store.put(&key, bytes.clone(), until, Placing::First).await?;
        if found.lock.is_none() {
            found.lock = bad_lock(store, &key, &version, until).await?;
        }
        match store.attack(attack, &key, &version, until).await {
            // in a versioned bucket this only stands before the old version
            Ok(()) if attack == Attack::Overwrite => {}
            Ok(()) => found.failures.push((attack, "the store did it".to_owned())),
            Err(StoreError::Unavailable(why)) => return Err(StoreError::Unavailable(why)),
            Err(_) => {}
        }
        let blamed = found.failures.iter().any(|(known, _)| *known == attack);
        // without a lock from the start there is nothing to compare
        if !blamed
            && found.lock.is_none()
            && let Some(why) = harm(store, &key, &version, &bytes, until).await?
        {
            found.failures.push((attack, why));
        }
    }
    Ok(found)
}

async fn bad_lock(
    store: &dyn ArchiveStore,
    key: &str,
    version: &str,
    until: UnixMillis,
) -> Result<Option<String>, StoreError> {
    match store.lock(key, version).await {
        Ok(lock) if lock.until == Some(until) && lock.hold == Hold::Free => Ok(None),
        Ok(lock) => Ok(Some(format!("the lock that was asked for reads back as {lock:?}"))),
        Err(StoreError::Unavailable(why)) => Err(StoreError::Unavailable(why)),
        Err(e) => Ok(Some(format!("the lock cannot be read: {e}"))),
    }
}

async fn harm(
    store: &dyn ArchiveStore,
    key: &str,
    version: &str,
    bytes: &Bytes,
    until: UnixMillis,
) -> Result<Option<String>, StoreError> {
    match store.get(key, Some(version)).await {
        Ok((found, _)) if found == bytes => {}
        Ok(_) => return Ok(Some("the version has other bytes now".to_owned())),
        Err(StoreError::Unavailable(why)) => return Err(StoreError::Unavailable(why)),
        Err(e) => return Ok(Some(format!("the version cannot be read any more: {e}"))),
    }
    match store.lock(key, version).await {
        Ok(lock) if lock.until.is_some_and(|now| now >= until) => Ok(None),
        Ok(lock) => Ok(Some(format!("the lock is weaker now: {lock:?}"))),
        Err(StoreError::Unavailable(why)) => Err(StoreError::Unavailable(why)),
        Err(e) => Ok(Some(format!("the lock cannot be read any more: {e}"))),
    }
}

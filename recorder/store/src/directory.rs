//! A directory as a store. It keeps the dates by itself, and whoever may write the directory can lift them: never WORM.
//!
//! Every version is a file `<key>@<n>` that is never written again, its lock a file `<key>@<n>.lock` beside it.
//! Not a wire type: a lock is this store's own file.

use crate::retention::books::place;
use crate::store::{ArchiveStore, Attack, Hold, Latest, Lock, Placing, StoreError, Version};
use async_trait::async_trait;
use bytes::Bytes;
use domain::UnixMillis;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Where the time comes from.
pub type Clock = fn() -> UnixMillis;

/// A directory.
pub struct Directory {
    name: String,
    root: PathBuf,
    clock: Clock,
    /// One change at a time: the number of the next version is read before it is taken.
    changing: Mutex<()>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sidecar {
    until: UnixMillis,
    held: bool,
}

impl Directory {
    /// The directory, which may not be there yet.
    pub fn new(name: String, root: PathBuf, clock: Clock) -> Self {
        Self { name, root, clock, changing: Mutex::new(()) }
    }

    fn path(&self, key: &str, version: &str) -> PathBuf {
        self.root.join(format!("{key}@{version}"))
    }

    fn lock_path(&self, key: &str, version: &str) -> PathBuf {
        self.root.join(format!("{key}@{version}.lock"))
    }

    fn newest(&self, key: &str) -> Result<Option<u32>, StoreError> {
        let path = self.root.join(key);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let entries = match fs::read_dir(path.parent().unwrap_or(&self.root)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(unavailable)?,
        };
        let numbers = entries.filter_map(|entry| {
            let file = entry.ok()?.file_name();
            file.to_str()?.strip_prefix(&name)?.strip_prefix('@')?.parse::<u32>().ok()
        });
        Ok(numbers.max())
    }

    fn sidecar(&self, key: &str, version: &str) -> Result<Sidecar, StoreError> {
        let bytes = fs::read(self.lock_path(key, version)).map_err(missing)?;
        serde_json::from_slice(&bytes).map_err(|e| StoreError::Unavailable(format!("the lock is damaged: {e}")))
    }

    fn write_sidecar(&self, key: &str, version: &str, sidecar: &Sidecar) -> Result<(), StoreError> {
        let bytes = serde_json::to_vec(sidecar).expect("plain data");
        place(&self.lock_path(key, version), &bytes).map_err(unavailable)
    }

    fn changing(&self) -> std::sync::MutexGuard<'_, ()> {
        self.changing.lock().expect("no holder panics")
    }

    fn walk(&self, folder: &Path, prefix: &str, out: &mut Vec<(String, u32)>) -> Result<(), StoreError> {
        let entries = match fs::read_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(unavailable)?,
        };
        for entry in entries.filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                self.walk(&path, prefix, out)?;
                continue;
            }
            let Some(name) = path.strip_prefix(&self.root).ok().and_then(Path::to_str) else { continue };
            let Some((key, number)) = name.rsplit_once('@') else { continue };
            if let (true, Ok(number)) = (key.starts_with(prefix), number.parse()) {
                out.push((key.to_owned(), number));
            }
        }
        Ok(())
    }
}

fn unavailable(e: io::Error) -> StoreError {
    StoreError::Unavailable(e.to_string())
}

fn missing(e: io::Error) -> StoreError {
    if e.kind() == io::ErrorKind::NotFound { StoreError::Missing } else { unavailable(e) }
}

#[async_trait]
impl ArchiveStore for Directory {
    fn name(&self) -> &str {
        &self.name
    }

    async fn put(&self, key: &str, bytes: Bytes, until: UnixMillis, placing: Placing) -> Result<String, StoreError> {
        let _changing = self.changing();
        let newest = self.newest(key)?;
        if newest.is_some() && placing == Placing::First {
            return Err(StoreError::Exists);
        }
        let version = (newest.unwrap_or(0) + 1).to_string();
        // the lock first: bytes without one would be free to go
        self.write_sidecar(key, &version, &Sidecar { until, held: false })?;
        place(&self.path(key, &version), &bytes).map_err(unavailable)?;
        Ok(version)
    }

    async fn get(&self, key: &str, version: Option<&str>) -> Result<(Bytes, String), StoreError> {
        let version = match version {
            Some(version) => version.to_owned(),
            None => self.newest(key)?.ok_or(StoreError::Missing)?.to_string(),
        };
        let bytes = fs::read(self.path(key, &version)).map_err(missing)?;
        Ok((bytes.into(), version))
    }

    async fn lock(&self, key: &str, version: &str) -> Result<Lock, StoreError> {
        let sidecar = self.sidecar(key, version)?;
        Ok(Lock { until: Some(sidecar.until), hold: if sidecar.held { Hold::Held } else { Hold::Free } })
    }

    async fn extend(&self, key: &str, version: &str, until: UnixMillis) -> Result<(), StoreError> {
        let _changing = self.changing();
        let sidecar = self.sidecar(key, version)?;
        if until < sidecar.until {
            return Err(StoreError::Refused("a retention is never shortened".to_owned()));
        }
        self.write_sidecar(key, version, &Sidecar { until, ..sidecar })
    }

    async fn hold(&self, key: &str, version: &str, hold: Hold) -> Result<(), StoreError> {
        let _changing = self.changing();
        let sidecar = self.sidecar(key, version)?;
        self.write_sidecar(key, version, &Sidecar { held: hold == Hold::Held, ..sidecar })
    }

    async fn delete(&self, key: &str, version: &str) -> Result<(), StoreError> {
        let _changing = self.changing();
        let sidecar = self.sidecar(key, version)?;
        if sidecar.held {
            return Err(StoreError::Refused("the object is under a legal hold".to_owned()));
        }
        if (self.clock)() < sidecar.until {
            return Err(StoreError::Refused("the object's retention has not ended".to_owned()));
        }
        fs::remove_file(self.path(key, version)).map_err(missing)?;
        fs::remove_file(self.lock_path(key, version)).map_err(missing)
    }

    async fn versions(&self, prefix: &str) -> Result<Vec<Version>, StoreError> {
        let mut found = Vec::new();
        self.walk(&self.root, prefix, &mut found)?;
        found.sort();
        let latest = |n: usize| found.get(n + 1).is_none_or(|next: &(String, u32)| next.0 != found[n].0);
        let versions = (0..found.len()).map(|n| Version {
            key: found[n].0.clone(),
            id: found[n].1.to_string(),
            latest: if latest(n) { Latest::Yes } else { Latest::No },
        });
        Ok(versions.collect())
    }

    /// Around our own checks, as whoever may write the directory can.
    async fn attack(&self, attack: Attack, key: &str, version: &str, _: UnixMillis) -> Result<(), StoreError> {
        let path = self.path(key, version);
        match attack {
            Attack::DeleteVersion => fs::remove_file(path).map_err(missing),
            Attack::Overwrite => fs::write(path, b"other bytes").map_err(unavailable),
            Attack::Shorten | Attack::Downgrade => {
                self.write_sidecar(key, version, &Sidecar { until: UnixMillis(0), held: false })
            }
            Attack::SuspendVersioning => Err(StoreError::Refused("there is nothing to suspend".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::Class;
    use crate::probe::probe;
    use std::sync::atomic::{AtomicU64, Ordering};

    static NOW: AtomicU64 = AtomicU64::new(1_000_000);
    fn now() -> UnixMillis {
        UnixMillis(NOW.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_directory_keeps_its_dates_and_holds_and_older_versions() {
        let root = tempfile::tempdir().expect("a folder");
        let store = Directory::new("d".to_owned(), root.path().to_owned(), now);
        let until = UnixMillis(2_000_000);
        let first = store.put("a/b", Bytes::from_static(b"one"), until, Placing::First).await.expect("put");
        assert_eq!(store.put("a/b", Bytes::from_static(b"x"), until, Placing::First).await, Err(StoreError::Exists));
        let second = store.put("a/b", Bytes::from_static(b"two"), until, Placing::Next).await.expect("put");
        assert_eq!(store.get("a/b", Some(&first)).await.expect("there").0, "one");
        assert_eq!(store.get("a/b", None).await.expect("there"), (Bytes::from_static(b"two"), second.clone()));
        assert!(matches!(store.extend("a/b", &first, UnixMillis(1)).await, Err(StoreError::Refused(_))));
        assert!(matches!(store.delete("a/b", &first).await, Err(StoreError::Refused(_))));
        store.hold("a/b", &first, Hold::Held).await.expect("held");
        NOW.store(3_000_000, Ordering::Relaxed);
        assert!(matches!(store.delete("a/b", &first).await, Err(StoreError::Refused(_))), "held");
        store.hold("a/b", &first, Hold::Free).await.expect("free");
        store.delete("a/b", &first).await.expect("over");
        let left = store.versions("a/").await.expect("listed");
        assert_eq!(left, [Version { key: "a/b".to_owned(), id: second, latest: Latest::Yes }]);
    }

    #[tokio::test]
    async fn a_directory_is_never_worm() {
        let root = tempfile::tempdir().expect("a folder");
        let store = Directory::new("d".to_owned(), root.path().to_owned(), now);
        let found = probe(&store, UnixMillis(1_700_000_000_000), 1).await.expect("probed");
        let succeeded: Vec<Attack> = found.failures.iter().map(|(attack, _)| *attack).collect();
        assert_eq!(succeeded, [Attack::Shorten, Attack::Downgrade, Attack::Overwrite, Attack::DeleteVersion]);
        assert_eq!(found.class(Class::Worm), Class::NotWorm);
        assert_eq!(found.class(Class::TamperEvident), Class::TamperEvident);
        assert_eq!(found.class(Class::Test), Class::Test);
    }
}

//! From the recorder's disk to one store: what is ready is put there locked, read back, and only then written down.
//!
//! A pass may stop anywhere (a kill, a store that is away); the next one finds by comparing what is there already.
//! Nothing local is ever changed here.

use crate::layout::{self, Folder, Kind, Ready};
use crate::state::{Row, State};
use crate::store::{ArchiveStore, Hold, Placing, StoreError};
use bytes::Bytes;
use domain::{FirmId, UnixMillis};
use evidence::archive::{names, sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Before a meeting has terms its objects are locked for so many years.
const YEARS_WITHOUT_TERMS: u16 = 1;
/// Tiles and checkpoints of the firm's log: as long as the longest usual class.
const LOG_YEARS: u16 = 10;
/// Where the journals of what was uploaded lie, below the firm's folder.
pub const STATES: &str = "stores";

/// For how long a meeting is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// At least until.
    pub until: UnixMillis,
    /// Under a legal hold?
    pub hold: Hold,
}

/// Says for how long a closed meeting is kept, beyond what its manifest says.
pub trait Keeping: Send + Sync {
    /// `until` is the manifest's.
    fn keep(&self, folder: &Folder, until: UnixMillis) -> Keep;
}

/// The manifest's date, no holds.
pub struct AsSigned;

impl Keeping for AsSigned {
    fn keep(&self, _: &Folder, until: UnixMillis) -> Keep {
        Keep { until, hold: Hold::Free }
    }
}

/// What a pass left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pass {
    /// Objects put and read back.
    pub uploaded: u64,
    /// Files that wait.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// The store is away, or refuses.
    pub trouble: Option<String>,
    /// Files that are not what was signed: they stay where they are.
    pub damaged: Vec<String>,
}

/// Uploads to one store.
pub struct Uploader {
    store: Arc<dyn ArchiveStore>,
    archive: PathBuf,
    firm: FirmId,
    keeping: Arc<dyn Keeping>,
    /// Closed meetings that are whole in the store, with what was known of them then.
    whole: HashMap<PathBuf, (SystemTime, Keep)>,
}

/// What to do with one file.
enum Step {
    Done,
    Damaged(String),
    Failed(StoreError),
}

fn changed(meta: &std::fs::Metadata) -> u64 {
    let since = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Journal of a store for one meeting, or for the log.
pub fn state_file(archive: &Path, firm: &FirmId, store: &str, name: &str) -> PathBuf {
    archive.join(firm.as_str()).join(STATES).join(store).join(format!("{name}.jsonl"))
}

impl Uploader {
    /// For one store.
    pub fn new(store: Arc<dyn ArchiveStore>, archive: PathBuf, firm: FirmId, keeping: Arc<dyn Keeping>) -> Self {
        Self { store, archive, firm, keeping, whole: HashMap::new() }
    }

    /// Uploads all that is ready. After the first failure of the store the rest is only counted.
    pub async fn pass(&mut self, now: UnixMillis) -> Pass {
        let mut pass = Pass::default();
        for folder in layout::meetings(&self.archive, &self.firm) {
            let before = (pass.waiting, pass.damaged.len());
            let manifest_until = folder.manifest().map(|manifest| manifest.retain_until);
            let keep = match manifest_until {
                Some(until) => self.keeping.keep(&folder, until),
                None => {
                    let until = now.plus_years(folder.years().unwrap_or(YEARS_WITHOUT_TERMS));
                    Keep { until, hold: Hold::Free }
                }
            };
            let seen = std::fs::metadata(&folder.path).and_then(|meta| meta.modified()).unwrap_or(UNIX_EPOCH);
            if manifest_until.is_some() && self.whole.get(&folder.path) == Some(&(seen, keep)) {
                continue;
            }
            let file = state_file(&self.archive, &self.firm, self.store.name(), folder.meeting.as_str());
            let ready = folder.ready();
            let state = self.folder(&folder.path, &folder.prefix, ready, &file, keep, &mut pass).await;
            if let (Some(mut state), true) = (state, manifest_until.is_some()) {
                self.keep_all(&folder.prefix, keep, &mut state, &mut pass).await;
            }
            if manifest_until.is_some() && (pass.waiting, pass.damaged.len()) == before && pass.trouble.is_none() {
                self.whole.insert(folder.path, (seen, keep));
            }
        }
        for folder in ["log", names::BOOKS] {
            self.log(folder, now, &mut pass).await;
        }
        pass
    }

    /// The firm's log and the books of retention: each state of a file is a version of its own.
    async fn log(&self, name: &str, now: UnixMillis, pass: &mut Pass) {
        let path = self.archive.join(self.firm.as_str()).join(name);
        let ready = layout::files(&path).map(|all| {
            all.into_iter().map(|path| Ready { path, kind: Kind::Changes, manifest: None }).collect::<Vec<_>>()
        });
        let file = state_file(&self.archive, &self.firm, self.store.name(), name);
        // a date that moved on with every look would lock everything anew each time
        let keep = Keep { until: now.plus_years(LOG_YEARS), hold: Hold::Free };
        self.folder(&path, &format!("{}/{name}/", self.firm), ready, &file, keep, pass).await;
    }

    async fn keep_all(&self, prefix: &str, keep: Keep, state: &mut State, pass: &mut Pass) {
        // what was put before the meeting's end, or before a hold, may be locked for less
        let rows: Vec<Row> = state.all().cloned().collect();
        for row in rows {
            if pass.trouble.is_some() {
                return;
            }
            if let Err(e) = self.keep(prefix, &row, keep, state).await {
                pass.waiting += 1;
                pass.trouble = Some(format!("{prefix}{}: {e}", row.path));
            }
        }
    }

    async fn keep(&self, prefix: &str, row: &Row, keep: Keep, state: &mut State) -> Result<(), StoreError> {
        let held = keep.hold == Hold::Held;
        let mut now = row.clone();
        let key = format!("{prefix}{}", row.path);
        if now.held != held {
            self.store.hold(&key, &row.version, keep.hold).await?;
            now.held = held;
        }
        if now.until < keep.until {
            self.store.extend(&key, &row.version, keep.until).await?;
            now.until = keep.until;
        }
        if now != *row {
            state.write(now).map_err(|e| StoreError::Unavailable(format!("its journal cannot be written: {e}")))?;
        }
        Ok(())
    }

    async fn folder(
        &self,
        path: &Path,
        prefix: &str,
        ready: std::io::Result<Vec<Ready>>,
        file: &Path,
        keep: Keep,
        pass: &mut Pass,
    ) -> Option<State> {
        let (ready, mut state) = match (ready, State::read(file)) {
            (Ok(ready), Ok(state)) => (ready, state),
            (Err(e), _) | (_, Err(e)) => {
                pass.trouble = pass.trouble.take().or(Some(format!("{}: {e}", path.display())));
                return None;
            }
        };
        for one in ready {
            let Ok(meta) = std::fs::metadata(path.join(&one.path)) else { continue };
            let known = state.newest(&one.path);
            if known.is_some_and(|row| (row.size, row.changed) == (meta.len(), changed(&meta))) {
                continue;
            }
            let step = if pass.trouble.is_some() {
                Step::Failed(StoreError::Missing)
            } else {
                self.file(path, prefix, &one, &meta, keep.until, &mut state).await
            };
            match step {
                Step::Done => pass.uploaded += 1,
                Step::Damaged(why) => pass.damaged.push(format!("{prefix}{}: {why}", one.path)),
                Step::Failed(e) => {
                    pass.waiting += 1;
                    pass.waiting_bytes += meta.len();
                    pass.trouble = pass.trouble.take().or(Some(format!("{prefix}{}: {e}", one.path)));
                }
            }
        }
        Some(state)
    }

    async fn file(
        &self,
        folder: &Path,
        prefix: &str,
        one: &Ready,
        meta: &std::fs::Metadata,
        until: UnixMillis,
        state: &mut State,
    ) -> Step {
        let (path, manifest) = (folder.join(&one.path), one.manifest.as_ref().map(|path| folder.join(path)));
        let read = tokio::task::spawn_blocking(move || -> std::io::Result<(Bytes, String, Result<(), String>)> {
            let bytes = std::fs::read(path)?;
            let signed = manifest.map(std::fs::read).transpose()?;
            let judged = signed.map_or(Ok(()), |signed| layout::as_signed(&bytes, &signed));
            let hash = sha256(&bytes).hex();
            Ok((bytes.into(), hash, judged))
        });
        let (bytes, hash, judged) = match read.await {
            Ok(Ok(read)) => read,
            Ok(Err(e)) => return Step::Damaged(e.to_string()),
            Err(e) => return Step::Failed(StoreError::Unavailable(e.to_string())),
        };
        if let Err(why) = judged {
            return Step::Damaged(why);
        }
        let row = Row {
            path: one.path.clone(),
            version: String::new(),
            sha256: hash,
            size: bytes.len() as u64,
            changed: changed(meta),
            until,
            held: false,
        };
        match self.place(&format!("{prefix}{}", one.path), bytes, one.kind, row, state.newest(&one.path)).await {
            Err(e) => Step::Failed(e),
            Ok(row) => match state.write(row) {
                Ok(()) => Step::Done,
                Err(e) => Step::Failed(StoreError::Unavailable(format!("its journal cannot be written: {e}"))),
            },
        }
    }

    /// Puts an object, or finds the same bytes there; reads them back.
    async fn place(
        &self,
        key: &str,
        bytes: Bytes,
        kind: Kind,
        row: Row,
        known: Option<&Row>,
    ) -> Result<Row, StoreError> {
        // the same bytes under a new date of the file
        if let Some(known) = known.filter(|known| known.sha256 == row.sha256) {
            return Ok(Row { changed: row.changed, ..known.clone() });
        }
        let placing = if known.is_none() { Placing::First } else { Placing::Next };
        let put = match self.store.put(key, bytes.clone(), row.until, placing).await {
            // from a pass that was killed before it could write this down
            Err(StoreError::Exists) => {
                let (there, version) = self.store.get(key, None).await?;
                if there == bytes {
                    self.lock_at_least(key, &version, row.until).await?;
                    version
                } else if kind == Kind::Changes {
                    self.store.put(key, bytes.clone(), row.until, Placing::Next).await?
                } else {
                    return Err(StoreError::Refused("another object stands under this name".to_owned()));
                }
            }
            other => other?,
        };
        let (back, _) = self.store.get(key, Some(&put)).await?;
        if sha256(&back).hex() != row.sha256 {
            return Err(StoreError::Refused("what the store gives back is not what it was given".to_owned()));
        }
        Ok(Row { version: put, ..row })
    }

    async fn lock_at_least(&self, key: &str, version: &str, until: UnixMillis) -> Result<(), StoreError> {
        let lock = self.store.lock(key, version).await?;
        if lock.until.is_some_and(|now| now >= until) {
            return Ok(());
        }
        self.store.extend(key, version, until).await
    }
}

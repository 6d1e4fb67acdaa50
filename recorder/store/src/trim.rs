//! Local tracks of old meetings go once every store gave each of them back, byte for byte. Manifest, events, keys and proof
//! stay, so that the meeting is still found, listed and judged; its tracks come back by `restore`.

use crate::layout::{self, Folder};
use crate::retention::books::place;
use crate::state::State;
use crate::store::{ArchiveStore, StoreError};
use crate::upload::state_file;
use domain::{FirmId, UnixMillis};
use evidence::archive::sha256;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Says, in a meeting's folder, where its tracks are.
pub const ELSEWHERE: &str = "stores.json";
/// Stores that must have a meeting before its tracks go here: one copy is none.
pub const LEAST_STORES: usize = 2;

/// [`ELSEWHERE`]. Not a wire type: a file of this recorder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// Since.
    pub since: UnixMillis,
    /// Names of the stores that gave every track back.
    pub stores: Vec<String>,
    /// Files that went.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Why nothing went.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrimError {
    /// Too few copies.
    #[error("{0} stores are configured; {LEAST_STORES} must have a meeting before its tracks go here")]
    TooFew(usize),
    /// A store was not told of a file, or of other bytes.
    #[error("{0}: the store {1} was not given these bytes yet")]
    NotThere(String, String),
    /// A store does not give it back.
    #[error("{0}: the store {1} does not give it back: {2}")]
    Store(String, String, StoreError),
    /// A store gives back something else.
    #[error("{0}: the store {1} gives other bytes back")]
    Other(String, String),
    /// The disk.
    #[error("{0}: {1}")]
    Disk(PathBuf, std::io::Error),
}

/// Where a meeting's tracks are, if they are not here.
pub fn elsewhere(folder: &Path) -> Option<Elsewhere> {
    serde_json::from_slice(&std::fs::read(folder.join(ELSEWHERE)).ok()?).ok()
}

/// Removes the tracks of a closed meeting; the caller has looked at its date and that nothing holds it.
///
/// # Errors
/// [`TrimError`]; all files are there then, unless it is the disk's.
pub async fn trim(
    folder: &Folder,
    archive: &Path,
    firm: &FirmId,
    stores: &[Arc<dyn ArchiveStore>],
    now: UnixMillis,
) -> Result<Elsewhere, TrimError> {
    if stores.len() < LEAST_STORES {
        return Err(TrimError::TooFew(stores.len()));
    }
    let disk = |e| TrimError::Disk(folder.path.clone(), e);
    let mut all = layout::files(&folder.path).map_err(disk)?;
    all.retain(|path| path.starts_with("tracks/"));
    let mut states = Vec::new();
    for store in stores {
        let file = state_file(archive, firm, store.name(), folder.meeting.as_str());
        states.push((store, State::read(&file).map_err(disk)?));
    }
    let mut bytes = 0;
    for path in &all {
        let local = std::fs::read(folder.path.join(path)).map_err(disk)?;
        bytes += local.len() as u64;
        for (store, state) in &states {
            read_back(&folder.prefix, path, &local, &***store, state).await?;
        }
    }
    let before = elsewhere(&folder.path);
    let (files, earlier) = (all.len() as u64, before.map_or((0, 0), |one| (one.files, one.bytes)));
    let stores = stores.iter().map(|store| store.name().to_owned()).collect();
    let said = Elsewhere { since: now, stores, files: files + earlier.0, bytes: bytes + earlier.1 };
    // said before it is done: a folder without tracks never goes unexplained
    place(&folder.path.join(ELSEWHERE), &serde_json::to_vec_pretty(&said).expect("plain data")).map_err(disk)?;
    for path in &all {
        std::fs::remove_file(folder.path.join(path)).map_err(disk)?;
    }
    Ok(said)
}

async fn read_back(
    prefix: &str,
    path: &str,
    local: &[u8],
    store: &dyn ArchiveStore,
    state: &State,
) -> Result<(), TrimError> {
    let (key, name) = (format!("{prefix}{path}"), store.name().to_owned());
    let row = state.newest(path).filter(|row| row.sha256 == sha256(local).hex());
    let row = row.ok_or_else(|| TrimError::NotThere(key.clone(), name.clone()))?;
    match store.get(&key, Some(&row.version)).await {
        Ok((back, _)) if back == local => Ok(()),
        Ok(_) => Err(TrimError::Other(key, name)),
        Err(e) => Err(TrimError::Store(key, name, e)),
    }
}

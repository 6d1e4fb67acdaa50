//! Reading what is in the stores alone: an object is asked of one store after the other until one gives the bytes that were
//! signed. Reads only.

use crate::store::{ArchiveStore, StoreError};
use bytes::Bytes;
use std::sync::Arc;

/// Older versions looked at where the newest is not what was signed: an upload that went on makes one, an intruder some.
const MAX_VERSIONS: usize = 8;

/// No store gives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AwayError {
    /// None is configured.
    #[error("no store is configured here")]
    NoStore,
    /// Each was asked: its name, and what it said.
    #[error("no store gives it back: {0}")]
    NotGiven(String),
}

/// An object of this name whose bytes `fits` judges to be those that were signed.
///
/// # Errors
/// [`AwayError`].
pub async fn read(
    stores: &[Arc<dyn ArchiveStore>],
    key: &str,
    fits: &(dyn Fn(&[u8]) -> bool + Sync),
) -> Result<Bytes, AwayError> {
    if stores.is_empty() {
        return Err(AwayError::NoStore);
    }
    let mut said = Vec::new();
    for store in stores {
        match read_one(&**store, key, fits).await {
            Ok(Some(bytes)) => return Ok(bytes),
            Ok(None) => said.push(format!("{} gives other bytes back", store.name())),
            Err(e) => said.push(format!("{}: {e}", store.name())),
        }
    }
    Err(AwayError::NotGiven(said.join("; ")))
}

async fn read_one(
    store: &dyn ArchiveStore,
    key: &str,
    fits: &(dyn Fn(&[u8]) -> bool + Sync),
) -> Result<Option<Bytes>, StoreError> {
    let (bytes, newest) = store.get(key, None).await?;
    if fits(&bytes) {
        return Ok(Some(bytes));
    }
    // who put something over it did not take away what lies under it
    let versions = store.versions(key).await?;
    let older = versions.iter().filter(|one| one.key == key && one.id != newest);
    for version in older.take(MAX_VERSIONS) {
        if let Ok((bytes, _)) = store.get(key, Some(&version.id)).await
            && fits(&bytes)
        {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

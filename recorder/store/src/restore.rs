//! The way back: everything that a store has under a prefix, to a folder, each file by its digest.

use crate::store::{ArchiveStore, Latest, StoreError};
use evidence::archive::sha256;
use std::io;
use std::path::{Component, Path};

/// A file that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Path below the target.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// Why nothing or not all came back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The store.
    #[error("{0}: {1}")]
    Store(String, StoreError),
    /// The disk.
    #[error("{0}: {1}")]
    Disk(String, io::Error),
    /// The store names a path that leaves the target.
    #[error("the store has an object of the name {0:?}, which is no path of an archive")]
    Name(String),
    /// The target has other bytes there.
    #[error("{0} is there already, with other bytes; lay it aside and restore again")]
    Different(String),
}

/// Fetches the latest version of each object under `prefix` and writes it below `target`, with the store's own names.
/// A file that is there with the same bytes is left.
///
/// # Errors
/// [`RestoreError`]; what came before it stays and is found again by the next attempt.
pub async fn restore(store: &dyn ArchiveStore, prefix: &str, target: &Path) -> Result<Vec<Restored>, RestoreError> {
    let all = store.versions(prefix).await.map_err(|e| RestoreError::Store(prefix.to_owned(), e))?;
    let mut restored = Vec::new();
    for one in all.into_iter().filter(|one| one.latest == Latest::Yes) {
        if !Path::new(&one.key).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(RestoreError::Name(one.key));
        }
        let got = store.get(&one.key, Some(&one.id)).await;
        let (bytes, _) = got.map_err(|e| RestoreError::Store(one.key.clone(), e))?;
        let row = Restored { size: bytes.len() as u64, sha256: sha256(&bytes).hex(), path: one.key };
        write(&target.join(&row.path), &bytes).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => RestoreError::Different(row.path.clone()),
            _ => RestoreError::Disk(row.path.clone(), e),
        })?;
        restored.push(row);
    }
    Ok(restored)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match std::fs::read(path) {
        Ok(there) if there == bytes => return Ok(()),
        Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        Err(_) => {}
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let beside = path.with_file_name(format!("{}.new", path.file_name().unwrap_or_default().to_string_lossy()));
    let mut file = std::fs::File::create(&beside)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    std::fs::File::open(folder)?.sync_all()
}

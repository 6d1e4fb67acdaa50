//! Stores as a configuration file names them.

use crate::class::Class;
use crate::directory::{Clock, Directory};
use crate::s3::{S3, S3Config};
use crate::store::ArchiveStore;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Stores of one firm at once: each gets every byte.
pub const MAX_STORES: usize = 4;
/// Longest name: it is a folder's name.
const MAX_NAME: usize = 32;

/// One `[[stores]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// Name in the log; letters, digits and `-`.
    pub name: String,
    /// What it is said to be: `worm` (then the probe must show it), `tamper-evident` or `test`.
    pub class: Class,
    /// An S3 bucket with Object Lock.
    #[serde(default)]
    pub s3: Option<S3Config>,
    /// A directory.
    #[serde(default)]
    pub directory: Option<PathBuf>,
}

/// A configured store.
#[derive(Clone)]
pub struct Configured {
    /// What it is said to be.
    pub claimed: Class,
    /// It.
    pub store: Arc<dyn ArchiveStore>,
}

/// Opens the stores of a configuration file. Relative paths are taken from `folder`.
///
/// # Errors
/// A text that names the key and what is wrong.
pub fn open(stores: &[StoreConfig], folder: &Path, clock: Clock) -> Result<Vec<Configured>, String> {
    if stores.len() > MAX_STORES {
        return Err(format!("`stores`: at most {MAX_STORES}"));
    }
    stores.iter().enumerate().map(|(n, one)| open_one(one, &stores[..n], folder, clock)).collect()
}

fn open_one(one: &StoreConfig, before: &[StoreConfig], folder: &Path, clock: Clock) -> Result<Configured, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if one.name.is_empty() || one.name.len() > MAX_NAME || !one.name.chars().all(fits) {
        return Err(format!("`stores.name` {:?}: small letters, digits and -, at most {MAX_NAME}", one.name));
    }
    if before.iter().any(|other| other.name == one.name) {
        return Err(format!("`stores.name` {:?} is there twice", one.name));
    }
    if one.class == Class::NotWorm {
        return Err(format!("`stores.class` of {}: worm, tamper-evident or test", one.name));
    }
    let store: Arc<dyn ArchiveStore> = match (&one.s3, &one.directory) {
        (Some(s3), None) => Arc::new(S3::open(one.name.clone(), s3, folder)?),
        (None, Some(path)) => Arc::new(Directory::new(one.name.clone(), folder.join(path), clock)),
        _ => return Err(format!("`stores` {}: either [stores.s3] or `directory`", one.name)),
    };
    Ok(Configured { claimed: one.class, store })
}

//! Segments that lie in the firm's stores alone, since the recorder let the local ones go: read through, judged by the
//! manifest's Merkle root before a record of them is used. Blocking; keeps nothing.

use crate::review::meetings::Verified;
use evidence::archive::merkle::{Frontier, leaf_hash};
use evidence::archive::{Digest, SegmentEntry, SegmentReader};
use recorder_store::{ArchiveStore, away, trim};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tokio::runtime::Handle;

/// The stores of one archive.
#[derive(Default)]
pub struct Away {
    stores: Vec<Arc<dyn ArchiveStore>>,
    /// Openings run in threads of their own; what they wait for runs here.
    runtime: Option<Handle>,
}

impl Away {
    /// These, asked in this order. Called where the runtime is.
    pub fn new(stores: Vec<Arc<dyn ArchiveStore>>) -> Self {
        Self { stores, runtime: Handle::try_current().ok() }
    }

    fn read(&self, key: &str, segment: &SegmentEntry) -> Result<Vec<u8>, String> {
        let fits = |bytes: &[u8]| bytes.len() as u64 == segment.size && root(bytes) == Some(segment.root);
        let Some(runtime) = &self.runtime else { return Err(away::AwayError::NoStore.to_string()) };
        let bytes = runtime.block_on(away::read(&self.stores, key, &fits)).map_err(|e| e.to_string())?;
        Ok(bytes.to_vec())
    }
}

/// The Merkle root over header and records; `None`: it is no whole segment.
fn root(bytes: &[u8]) -> Option<Digest> {
    let (_, mut reader) = SegmentReader::new(bytes).ok()?;
    let mut tree = Frontier::default();
    tree.push(leaf_hash(&bytes[..reader.good() as usize]));
    while let Some(placed) = reader.next_record().ok()? {
        tree.push(placed.leaf());
    }
    Some(tree.root())
}

impl Verified {
    /// A segment's path, if it stays inside the meeting's folder.
    pub fn path(&self, segment: &SegmentEntry) -> Option<PathBuf> {
        let path = Path::new(&segment.path);
        path.components().all(|part| matches!(part, Component::Normal(_))).then(|| self.folder.join(path))
    }

    /// Is it here no more, and said to be in the stores?
    pub fn is_away(&self, segment: &SegmentEntry) -> bool {
        segment.track > 0
            && self.path(segment).is_some_and(|path| !path.exists())
            && trim::elsewhere(&self.folder).is_some()
    }

    /// Its bytes, from here or from a store. What came from a store is what was signed; what lies here is judged by who
    /// reads it.
    ///
    /// # Errors
    /// What is said to an officer.
    pub fn bytes(&self, segment: &SegmentEntry) -> Result<Vec<u8>, String> {
        let path = self.path(segment).ok_or("its path leads out of the meeting's folder")?;
        match std::fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.is_away(segment) => {
                self.away.read(&self.key(&segment.path), segment).map_err(|why| {
                    format!(
                        "it is in the stores alone, and {why}; try again, or an operator brings the meeting back: \
                         strongroom-recorder restore --meeting {}",
                        self.manifest.meeting
                    )
                })
            }
            other => other.map_err(|e| e.to_string()),
        }
    }

    /// Name of a file in a store: `<firm>/<yyyy>/<mm>/<meeting>/<path>`.
    fn key(&self, path: &str) -> String {
        let names = self.folder.components().rev().take(4).filter_map(|part| part.as_os_str().to_str());
        let mut names: Vec<&str> = names.collect();
        names.reverse();
        format!("{}/{path}", names.join("/"))
    }
}

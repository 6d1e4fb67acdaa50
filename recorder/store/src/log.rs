//! The firm's log as it lies in a folder: its tiles, and whether they give the head that was signed.

use domain::FirmId;
use evidence::archive::log::{Log, TILE, tile_path};
use evidence::archive::{CHECKPOINT_LABEL, Checkpoint, LogProof};
use evidence::cose;
use evidence::key::PublicKey;
use std::io;
use std::path::Path;

/// All level-0 tiles, in order; the last may be partial.
///
/// # Errors
/// The system's.
pub fn read_tiles(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut tiles = Vec::new();
    for index in 0.. {
        let whole = folder.join(tile_path(0, index, TILE));
        if whole.exists() {
            tiles.push(std::fs::read(whole)?);
            continue;
        }
        let partial = (1..TILE).rev().map(|width| folder.join(tile_path(0, index, width))).find(|path| path.exists());
        if let Some(path) = partial {
            tiles.push(std::fs::read(path)?);
        }
        break;
    }
    Ok(tiles)
}

/// A log whose head the record key signed.
pub struct SignedLog {
    log: Log,
    head: Checkpoint,
    note: String,
}

impl SignedLog {
    /// Reads and judges a folder.
    ///
    /// # Errors
    /// What does not hold.
    pub fn read(folder: &Path, firm: &FirmId, key: &PublicKey) -> Result<Self, String> {
        let note = std::fs::read_to_string(folder.join("checkpoint")).map_err(|e| format!("its checkpoint: {e}"))?;
        let (head, signature) = Checkpoint::from_note(&note).ok_or("its checkpoint is no note")?;
        let signed = cose::verify(CHECKPOINT_LABEL, &signature, key).map_err(|e| format!("its checkpoint: {e}"))?;
        let tiles = read_tiles(folder).map_err(|e| format!("its tiles: {e}"))?;
        let mut log = Log::from_tiles(tiles.iter().map(Vec::as_slice)).ok_or("a tile has a broken size")?;
        log.truncate(head.size);
        if signed == head.text().as_bytes() && log.checkpoint(firm) == head {
            Ok(Self { log, head, note })
        } else {
            Err("its tiles do not give its signed head".to_owned())
        }
    }

    /// Leaves.
    pub fn size(&self) -> u64 {
        self.head.size
    }

    /// Does it have these bytes at the place that an older proof names?
    pub fn has(&self, index: u64, bytes: &[u8]) -> bool {
        let Some(path) = self.log.inclusion(index) else { return false };
        LogProof { index, path, checkpoint: self.note.clone() }.leads(bytes, &self.head)
    }
}

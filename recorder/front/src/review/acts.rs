//! What officers signed while supervising, under the archive's `supervision/`, each file named by its SHA-256. The ledger
//! says which of them took place and in which order; a file that it does not name says nothing.

use crate::review::requests::write_durably;
use dashmap::DashMap;
use domain::{FirmId, ParticipantId};
use evidence::identity::TrustMap;
use evidence::supervision::{self, Act};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest signed act: all word lists, and one certificate. A request body takes it in base64.
pub const MAX_SIGNED_ACT: usize = 44 * 1024;
/// Largest list of meetings that a sample is drawn from: ten thousand lines of 98 characters.
const MAX_POPULATION: u64 = 1 << 20;
/// Acts kept in memory.
const MAX_ACTS: usize = 50_000;

/// An act whose signature held.
#[derive(Debug)]
pub struct Signed {
    /// The act.
    pub act: Act,
    /// Who signed it.
    pub by: ParticipantId,
}

/// All acts of a firm.
pub struct Acts {
    folder: PathBuf,
    firm: FirmId,
    trust: TrustMap,
    read: DashMap<[u8; 32], Arc<Signed>>,
}

impl Acts {
    /// The folder of an archive.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(archive: &Path, firm: FirmId, trust: TrustMap) -> std::io::Result<Self> {
        let folder = archive.join("supervision");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, firm, trust, read: DashMap::new() })
    }

    /// Keeps a judged act; durable when it returns. It counts when the ledger names its hash, which is answered. Blocking.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keep(&self, signed: &[u8]) -> std::io::Result<[u8; 32]> {
        self.write(signed, "cose")
    }

    /// The same for the list of meetings that a sample is drawn from.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keep_population(&self, text: &str) -> std::io::Result<[u8; 32]> {
        self.write(text.as_bytes(), "population")
    }

    fn write(&self, bytes: &[u8], kind: &str) -> std::io::Result<[u8; 32]> {
        let hash = evidence::sha256(bytes);
        write_durably(&self.folder, &format!("{}.{kind}", hex::encode(hash)), bytes)?;
        Ok(hash)
    }

    fn bytes(&self, hash: &[u8; 32], kind: &str, most: u64) -> Option<Vec<u8>> {
        let path = self.folder.join(format!("{}.{kind}", hex::encode(hash)));
        if std::fs::metadata(&path).ok()?.len() > most {
            return None;
        }
        std::fs::read(path).ok().filter(|bytes| evidence::sha256(bytes) == *hash)
    }

    /// The act of a hash, if it is there, unchanged, and by an officer. Blocking at its first reading.
    pub fn get(&self, hash: &[u8; 32]) -> Option<Arc<Signed>> {
        if let Some(known) = self.read.get(hash) {
            return Some(known.clone());
        }
        let signed = self.bytes(hash, "cose", MAX_SIGNED_ACT as u64)?;
        let (act, by) = supervision::judge(&self.trust, &self.firm, &signed, None).ok()?;
        let signed = Arc::new(Signed { act, by: by.participant });
        if self.read.len() < MAX_ACTS {
            self.read.insert(*hash, signed.clone());
        }
        Some(signed)
    }

    /// The meetings that a sample is drawn from. Blocking.
    pub fn population(&self, hash: &[u8; 32]) -> Option<String> {
        String::from_utf8(self.bytes(hash, "population", MAX_POPULATION)?).ok()
    }
}

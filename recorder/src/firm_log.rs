//! The firm's log on disk: tiles first, then the signed checkpoint. One writer at a time, also over processes: `retention`
//! writes while a recorder runs.

use crate::store::replace;
use custody::Client;
use domain::FirmId;
use domain::message::custody::{Answer, Ask, RecordKind};
use evidence::archive::log::Log;
use evidence::archive::{Checkpoint, LogProof, sha256};
use recorder_store::log::read_tiles;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Another process is waited for with so many looks ...
const LOOKS: u32 = 600;
/// ... so far apart: half a minute, more than one entry takes with a slow token.
const LOOK: Duration = Duration::from_millis(50);

/// The log of closed archives.
pub struct FirmLog {
    firm: FirmId,
    folder: PathBuf,
    custody: Arc<Client>,
    record_key: Vec<u8>,
    /// Held while the log grows.
    growing: Mutex<()>,
}

impl FirmLog {
    /// The log under `<archive>/<firm>/log`.
    pub fn new(archive: &Path, firm: &FirmId, custody: Arc<Client>, record_key: Vec<u8>) -> Self {
        let folder = archive.join(firm.as_str()).join("log");
        Self { firm: firm.clone(), folder, custody, record_key, growing: Mutex::new(()) }
    }

    /// Waits for another process that writes the log; the file returned keeps others out.
    async fn alone(&self) -> Result<File, String> {
        let path = self.folder.with_extension("lock");
        let bad = |e: io::Error| format!("{}: {e}", path.display());
        std::fs::create_dir_all(path.parent().unwrap_or(&self.folder)).map_err(bad)?;
        let file = File::create(&path).map_err(bad)?;
        for _ in 0..LOOKS {
            if file.try_lock().is_ok() {
                return Ok(file);
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(format!("{}: another process writes the log for too long", path.display()))
    }

    fn load(&self) -> Result<Log, String> {
        let tiles = read_tiles(&self.folder).map_err(|e| format!("the log's tiles cannot be read: {e}"))?;
        let mut log = Log::from_tiles(tiles.iter().map(Vec::as_slice)).ok_or("a tile of the log has a broken size")?;
        let note = match std::fs::read_to_string(self.folder.join("checkpoint")) {
            Ok(note) => note,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                log.truncate(0);
                return Ok(log);
            }
            Err(e) => return Err(format!("the log's checkpoint cannot be read: {e}")),
        };
        let (head, _) = Checkpoint::from_note(&note).ok_or("the log's checkpoint is no note")?;
        // leaves behind the signed head came from a process that stopped before it was signed
        log.truncate(head.size);
        if log.checkpoint(&self.firm) == head {
            Ok(log)
        } else {
            Err("the log's tiles do not give its signed head".to_owned())
        }
    }

    /// Adds a signed meeting manifest; returns its proof. Durable when it returns.
    ///
    /// # Errors
    /// Text for the log: custody, or the disk.
    pub async fn append(&self, signed_manifest: &[u8]) -> Result<LogProof, String> {
        let _growing = self.growing.lock().await;
        let _alone = self.alone().await?;
        let mut log = self.load()?;
        let old = log.size();
        let index = log.append(&sha256(signed_manifest));
        let head = log.checkpoint(&self.firm);
        let ask = Ask::SignRecord { kind: RecordKind::Checkpoint, payload: head.text().into_bytes().into() };
        let Answer::Signed { signed } = self.custody.ask(ask).await.map_err(|e| e.to_string())? else {
            return Err("custody answered something else than a signature".to_owned());
        };
        let note = head.note(&signed, &self.record_key);
        let write = || -> io::Result<()> {
            for (path, bytes) in log.tiles_since(old) {
                let path = self.folder.join(path);
                std::fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
                replace(&path, &bytes)?;
            }
            replace(&self.folder.join("checkpoint"), note.as_bytes())
        };
        write().map_err(|e| format!("the log cannot be written: {e}"))?;
        let path = log.inclusion(index).expect("just appended");
        Ok(LogProof { index, path, checkpoint: note })
    }
}

#[async_trait::async_trait]
impl recorder_store::retention::Log for FirmLog {
    async fn append(&self, bytes: &[u8]) -> Result<LogProof, String> {
        Self::append(self, bytes).await
    }
}

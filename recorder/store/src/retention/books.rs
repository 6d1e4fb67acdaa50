//! The files of the books: `<archive>/<firm>/retention/<meeting>/<nnnnn>.cbor`, each with its place in the firm's log beside
//! it. An entry stands there only once the log has it.

use async_trait::async_trait;
use domain::{FirmId, MeetingId};
use evidence::archive::{LogProof, names};
use evidence::identity::TrustMap;
use evidence::retention::{Book, BookError, BookFault, Entry};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Another process that changes a book is waited for with so many looks ...
const LOOKS: u32 = 600;
/// ... so far apart: half a minute, more than one act or one deletion takes.
const LOOK: Duration = Duration::from_millis(50);

/// Taken for every change.
const MAIN: &str = "retention.lock";
/// Taken before it for acts: who deletes piece after piece looks at it before each.
const ACTS: &str = "retention.acts.lock";

/// The firm's log.
#[async_trait]
pub trait Log: Send + Sync {
    /// Adds the SHA-256 of some bytes as a leaf; durable and signed when it returns.
    ///
    /// # Errors
    /// A text: custody, or the disk.
    async fn append(&self, bytes: &[u8]) -> Result<LogProof, String>;
}

/// Why a book cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BooksError {
    /// The disk.
    #[error("{0}: {1}")]
    Disk(PathBuf, io::Error),
    /// An entry is missing or changed.
    #[error("the book in {0} does not hold: {1}; put its folder back from a store")]
    Broken(PathBuf, BookError),
    /// Another process is at it.
    #[error("{0}: another process holds it; try again when it is done")]
    Busy(PathBuf),
    /// The firm's log did not take an entry.
    #[error("the firm's log cannot take the act, so nothing was done: {0}")]
    Log(String),
}

/// All books of a firm.
#[derive(Clone)]
pub struct Books {
    root: PathBuf,
    firm: FirmId,
    trust: Arc<TrustMap>,
}

/// Keeps other processes from changing a book, and a disposal from going on.
pub struct Guard {
    _main: File,
    _first: Option<File>,
}

impl Books {
    /// Of the archive folder.
    pub fn new(archive: &Path, firm: &FirmId, trust: Arc<TrustMap>) -> Self {
        Self { root: archive.join(firm.as_str()), firm: firm.clone(), trust }
    }

    /// Where a meeting's book lies.
    pub fn folder(&self, meeting: &MeetingId) -> PathBuf {
        self.root.join(names::BOOKS).join(meeting.as_str())
    }

    /// Meetings that have one.
    pub fn meetings(&self) -> Vec<MeetingId> {
        let Ok(entries) = fs::read_dir(self.root.join(names::BOOKS)) else { return Vec::new() };
        let named = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let mut all: Vec<MeetingId> = named.collect();
        all.sort();
        all
    }

    async fn lock(&self, name: &str) -> Result<File, BooksError> {
        let path = self.root.join(name);
        let file = File::create(&path).map_err(|e| BooksError::Disk(path.clone(), e))?;
        for _ in 0..LOOKS {
            if file.try_lock().is_ok() {
                return Ok(file);
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(BooksError::Busy(path))
    }

    /// For an act: a disposal that goes on lets it in before its next piece.
    ///
    /// # Errors
    /// [`BooksError::Busy`] after half a minute.
    pub async fn guard(&self) -> Result<Guard, BooksError> {
        let first = self.lock(ACTS).await?;
        Ok(Guard { _main: self.lock(MAIN).await?, _first: Some(first) })
    }

    /// For one piece of a disposal, behind every act that waits.
    ///
    /// # Errors
    /// [`BooksError::Busy`] after half a minute.
    pub async fn guard_behind(&self) -> Result<Guard, BooksError> {
        drop(self.lock(ACTS).await?);
        Ok(Guard { _main: self.lock(MAIN).await?, _first: None })
    }

    /// A meeting's book; `None`: nothing was ever done about it.
    ///
    /// # Errors
    /// [`BooksError`].
    pub fn read(&self, meeting: &MeetingId) -> Result<Option<Book>, BooksError> {
        let folder = self.folder(meeting);
        let names = match fs::read_dir(&folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|e| BooksError::Disk(folder.clone(), e))?,
        };
        let entry = |name: &std::ffi::OsStr| name.to_str()?.strip_suffix(".cbor")?.parse::<u64>().ok();
        let mut numbers: Vec<u64> = names.filter_map(|one| entry(&one.ok()?.file_name())).collect();
        numbers.sort_unstable();
        if numbers.is_empty() {
            return Ok(None);
        }
        let mut entries = Vec::new();
        for (index, number) in (0u64..).zip(numbers) {
            if index != number {
                let gap = BookError { index, fault: BookFault::Chain };
                return Err(BooksError::Broken(folder, gap));
            }
            let path = file(&folder, index);
            entries.push(fs::read(&path).map_err(|e| BooksError::Disk(path, e))?);
        }
        let book = Book::read(&self.trust, &self.firm, entries.iter().map(Vec::as_slice));
        let book = book.map_err(|e| BooksError::Broken(folder.clone(), e))?;
        if book.meeting == *meeting {
            Ok(Some(book))
        } else {
            Err(BooksError::Broken(folder, BookError { index: 0, fault: BookFault::Malformed }))
        }
    }

    /// Adds an entry: into the log first, then into the folder, its proof before itself.
    ///
    /// # Errors
    /// [`BooksError`]; the entry is not in the book then.
    pub async fn append(&self, _guard: &Guard, entry: &Entry, log: &dyn Log) -> Result<(), BooksError> {
        let folder = self.folder(&entry.meeting);
        let bytes = entry.to_cbor();
        let proof = log.append(&bytes).await.map_err(BooksError::Log)?;
        let path = file(&folder, entry.index);
        place(&path.with_extension("proof"), &proof.to_cbor()).map_err(|e| BooksError::Disk(path.clone(), e))?;
        place(&path, &bytes).map_err(|e| BooksError::Disk(path.clone(), e))
    }
}

fn file(folder: &Path, index: u64) -> PathBuf {
    folder.join(format!("{index:05}.cbor"))
}

/// Writes a file beside its place, makes it durable, renames it.
pub(crate) fn place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = path.with_file_name(format!("{}.new", path.file_name().unwrap_or_default().to_string_lossy()));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

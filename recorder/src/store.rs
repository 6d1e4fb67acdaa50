//! Files of one meeting's folder behind a trait, so that a full, a read-only and a lying disk can be tried.
//!
//! Paths are relative to the folder, made of our own names only.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A folder of append-only and write-once files.
pub trait Store: Send {
    /// Appends; makes the file and its folders if they are not there.
    ///
    /// # Errors
    /// The system's. How much was written is unknown then.
    fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was appended durable, the file's name included.
    ///
    /// # Errors
    /// The system's. What was appended since the last success may be lost then, whatever a read says.
    fn sync(&mut self, path: &str) -> io::Result<()>;
    /// Writes a whole file, durable and all or nothing.
    ///
    /// # Errors
    /// The system's; an older file of this name is untouched then.
    fn put(&mut self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// Reads a whole file; `None` if it is not there.
    ///
    /// # Errors
    /// The system's.
    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>>;
    /// Cuts a file back, durably; 0 removes it.
    ///
    /// # Errors
    /// The system's.
    fn cut(&mut self, path: &str, len: u64) -> io::Result<()>;
    /// Names in a folder, sorted; empty if it is not there.
    ///
    /// # Errors
    /// The system's.
    fn list(&mut self, folder: &str) -> io::Result<Vec<String>>;
}

/// A folder on a local disk.
pub struct Disk {
    root: PathBuf,
    open: BTreeMap<String, File>,
}

impl Disk {
    /// The folder, which may not be there yet.
    pub fn new(root: PathBuf) -> Self {
        Self { root, open: BTreeMap::new() }
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        if let Some(parent) = folder.parent() {
            self.make_folder(parent)?;
        }
        match std::fs::create_dir(folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        sync_folder(folder.parent().unwrap_or(folder))
    }

    fn file(&mut self, path: &str) -> io::Result<&mut File> {
        if !self.open.contains_key(path) {
            let full = self.root.join(path);
            let folder = full.parent().unwrap_or(&self.root).to_owned();
            self.make_folder(&folder)?;
            let is_new = !full.exists();
            let file = OpenOptions::new().append(true).create(true).open(&full)?;
            if is_new {
                sync_folder(&folder)?;
            }
            self.open.insert(path.to_owned(), file);
        }
        Ok(self.open.get_mut(path).expect("opened above"))
    }
}

/// Makes names in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Writes a file beside its place, makes it durable, then renames it.
///
/// # Errors
/// The system's.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = folder.join(name);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    sync_folder(folder)
}

impl Store for Disk {
    fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.file(path)?.write_all(bytes)
    }
    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.file(path)?.sync_all()
    }
    fn put(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let full = self.root.join(path);
        let folder = full.parent().unwrap_or(&self.root).to_owned();
        self.make_folder(&folder)?;
        replace(&full, bytes)
    }
    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        match File::open(self.root.join(path)) {
            Ok(mut file) => file.read_to_end(&mut bytes).map(|_| Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
    fn cut(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.open.remove(path);
        let full = self.root.join(path);
        if len == 0 {
            return match std::fs::remove_file(&full) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            };
        }
        let file = OpenOptions::new().write(true).open(&full)?;
        file.set_len(len)?;
        file.sync_all()
    }
    fn list(&mut self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(self.root.join(folder)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut names: Vec<String> =
            entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }
}

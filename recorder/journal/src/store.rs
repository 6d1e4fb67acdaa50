//! Files of one meeting's folder behind a trait, so that a full, a read-only and a lying disk can be tried.
//!
//! Paths are relative to the folder, made of our own names only.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
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
    /// The same for many files: together they cost little more than one.
    ///
    /// # Errors
    /// As [`Self::sync`]; then all of them count as failed.
    fn sync_all(&mut self, paths: &[String]) -> io::Result<()> {
        paths.iter().try_for_each(|path| self.sync(path))
    }
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
    /// Reads so many bytes of a file from an offset on, less at its end; `None` if it is not there.
    ///
    /// # Errors
    /// The system's.
    fn read_part(&mut self, path: &str, from: u64, len: u64) -> io::Result<Option<Vec<u8>>>;
    /// Bytes of a file; `None` if it is not there.
    ///
    /// # Errors
    /// The system's.
    fn size(&mut self, path: &str) -> io::Result<Option<u64>>;
    /// Appends what may be lost, torn or forgotten.
    ///
    /// # Errors
    /// The system's.
    fn note(&mut self, path: &str, bytes: &[u8]) -> io::Result<()>;
    /// This file grows no more.
    fn ended(&mut self, path: &str);
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

/// Folders between the archive's and a meeting's own, that one counted: `<archive>/<firm>/<yyyy>/<mm>/<meeting>`.
const LEVELS: usize = 4;

/// Files synced at a time: file systems with a journal commit once for all that wait together.
const SYNC_THREADS: usize = 8;

/// A call to the system that changes a disk: each may fail at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// `mkdir`.
    MakeFolder,
    /// `open` of a file that may be new.
    Open,
    /// `write`.
    Write,
    /// `fsync` of a file.
    SyncFile,
    /// `fsync` of a folder: its names.
    SyncFolder,
    /// `rename`.
    Rename,
    /// `ftruncate`.
    Cut,
    /// `unlink`.
    Remove,
}

/// Asked before each such call.
pub trait Gate: Send {
    /// May this call be made? `bytes` are those of a write.
    ///
    /// # Errors
    /// The error that the call shall seem to give, and how much of a write is done before it.
    fn before(&mut self, site: Site, path: &Path, bytes: usize) -> Result<(), (io::Error, usize)>;
}

/// Lets everything pass: what a recorder runs with.
#[derive(Debug, Clone, Copy)]
pub struct AlwaysOpen;

impl Gate for AlwaysOpen {
    fn before(&mut self, _: Site, _: &Path, _: usize) -> Result<(), (io::Error, usize)> {
        Ok(())
    }
}

/// A folder on a local disk.
pub struct Disk<G = AlwaysOpen> {
    root: PathBuf,
    open: BTreeMap<String, File>,
    /// Folders whose names are durable.
    named: BTreeSet<PathBuf>,
    gate: G,
}

impl Disk {
    /// The folder, which may not be there yet.
    pub fn new(root: PathBuf) -> Self {
        Self::behind(root, AlwaysOpen)
    }
}

impl<G: Gate> Disk<G> {
    /// The same with something that decides which calls fail.
    pub fn behind(root: PathBuf, gate: G) -> Self {
        Self { root, open: BTreeMap::new(), named: BTreeSet::new(), gate }
    }

    /// Makes a folder and its name durable. One that is there already may have been made by a process that died before its
    /// name was: each is synced once.
    fn make_folder(&mut self, folder: &Path) -> io::Result<()> {
        if self.named.contains(folder) {
            return Ok(());
        }
        let parent = folder.parent().unwrap_or(folder);
        if folder.is_dir() {
            let archive = self.root.ancestors().nth(LEVELS).unwrap_or(Path::new("/"));
            if parent.starts_with(archive) && parent != folder {
                sync_folder(&mut self.gate, parent)?;
                if parent != archive {
                    self.make_folder(parent)?;
                }
            }
        } else {
            self.make_folder(parent)?;
            pass(&mut self.gate, Site::MakeFolder, folder)?;
            match std::fs::create_dir(folder) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
            sync_folder(&mut self.gate, parent)?;
        }
        self.named.insert(folder.to_owned());
        Ok(())
    }

    fn file(&mut self, path: &str) -> io::Result<&mut File> {
        if !self.open.contains_key(path) {
            let full = self.root.join(path);
            let folder = full.parent().unwrap_or(&self.root).to_owned();
            self.make_folder(&folder)?;
            pass(&mut self.gate, Site::Open, &full)?;
            let file = OpenOptions::new().append(true).create(true).open(&full)?;
            // always: a file that is there may have been made by a process that died before its name was durable
            sync_folder(&mut self.gate, &folder)?;
            self.open.insert(path.to_owned(), file);
        }
        Ok(self.open.get_mut(path).expect("opened above"))
    }
}

fn pass(gate: &mut impl Gate, site: Site, path: &Path) -> io::Result<()> {
    gate.before(site, path, 0).map_err(|(error, _)| error)
}

fn write_all(gate: &mut impl Gate, file: &mut File, path: &Path, bytes: &[u8]) -> io::Result<()> {
    match gate.before(Site::Write, path, bytes.len()) {
        Ok(()) => file.write_all(bytes),
        Err((error, done)) => file.write_all(&bytes[..done.min(bytes.len())]).and(Err(error)),
    }
}

/// Makes names in a folder durable.
fn sync_folder(gate: &mut impl Gate, folder: &Path) -> io::Result<()> {
    pass(gate, Site::SyncFolder, folder)?;
    File::open(folder)?.sync_all()
}

/// Writes a file beside its place, makes it durable, then renames it.
///
/// # Errors
/// The system's.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_behind(&mut AlwaysOpen, path, bytes)
}

fn replace_behind(gate: &mut impl Gate, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = folder.join(name);
    pass(gate, Site::Open, &beside)?;
    let mut file = File::create(&beside)?;
    write_all(gate, &mut file, &beside, bytes)?;
    pass(gate, Site::SyncFile, &beside)?;
    file.sync_all()?;
    pass(gate, Site::Rename, path)?;
    std::fs::rename(&beside, path)?;
    sync_folder(gate, folder)
}

impl<G: Gate> Store for Disk<G> {
    fn append(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.file(path)?;
        let full = self.root.join(path);
        let file = self.open.get_mut(path).expect("opened above");
        write_all(&mut self.gate, file, &full, bytes)
    }
    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.file(path)?;
        pass(&mut self.gate, Site::SyncFile, &self.root.join(path))?;
        self.open[path].sync_all()
    }
    fn sync_all(&mut self, paths: &[String]) -> io::Result<()> {
        for path in paths {
            self.file(path)?;
            pass(&mut self.gate, Site::SyncFile, &self.root.join(path))?;
        }
        let files: Vec<&File> = paths.iter().map(|path| &self.open[path]).collect();
        let each = files.len().div_ceil(SYNC_THREADS).max(1);
        std::thread::scope(|scope| {
            let mut parts = files.chunks(each);
            let own = parts.next().unwrap_or_default();
            let others: Vec<_> =
                parts.map(|part| scope.spawn(move || part.iter().try_for_each(|file| file.sync_all()))).collect();
            let mut done = own.iter().try_for_each(|file| file.sync_all());
            for other in others {
                done =
                    done.and(other.join().unwrap_or_else(|_| Err(io::Error::other("a thread that synced panicked"))));
            }
            done
        })
    }
    fn put(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let full = self.root.join(path);
        let folder = full.parent().unwrap_or(&self.root).to_owned();
        self.make_folder(&folder)?;
        replace_behind(&mut self.gate, &full, bytes)
    }
    fn read(&mut self, path: &str) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        match File::open(self.root.join(path)) {
            Ok(mut file) => file.read_to_end(&mut bytes).map(|_| Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
    fn read_part(&mut self, path: &str, from: u64, len: u64) -> io::Result<Option<Vec<u8>>> {
        let mut file = match File::open(self.root.join(path)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(len).read_to_end(&mut bytes).map(|_| Some(bytes))
    }
    fn size(&mut self, path: &str) -> io::Result<Option<u64>> {
        match std::fs::metadata(self.root.join(path)) {
            Ok(found) => Ok(Some(found.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
    fn note(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let full = self.root.join(path);
        if !self.open.contains_key(path) {
            pass(&mut self.gate, Site::Open, &full)?;
            std::fs::create_dir_all(full.parent().unwrap_or(&self.root))?;
            let file = OpenOptions::new().append(true).create(true).open(&full)?;
            self.open.insert(path.to_owned(), file);
        }
        let file = self.open.get_mut(path).expect("opened above");
        write_all(&mut self.gate, file, &full, bytes)
    }
    fn ended(&mut self, path: &str) {
        self.open.remove(path);
    }
    fn cut(&mut self, path: &str, len: u64) -> io::Result<()> {
        self.open.remove(path);
        let full = self.root.join(path);
        if len == 0 {
            pass(&mut self.gate, Site::Remove, &full)?;
            match std::fs::remove_file(&full) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                done => done?,
            }
            return sync_folder(&mut self.gate, full.parent().unwrap_or(&self.root));
        }
        pass(&mut self.gate, Site::Cut, &full)?;
        let file = OpenOptions::new().write(true).open(&full)?;
        file.set_len(len)?;
        pass(&mut self.gate, Site::SyncFile, &full)?;
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

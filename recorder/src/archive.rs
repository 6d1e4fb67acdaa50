//! Where meetings lie in the archive folder, and which of them were left unfinished.

use crate::Failure;
use crate::config::Config;
use crate::store::Disk;
use domain::calendar::Date;
use domain::{FirmId, MeetingId, UnixMillis};
use evidence::archive::names;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Keeps a second recorder process out of the same archive.
pub struct Lock {
    _file: File,
}

/// Is the archive folder there and writable?
///
/// # Errors
/// [`Failure::Config`] that says what to do.
pub fn check_folder(config: &Config) -> Result<(), Failure> {
    let root = config.archive.join(config.firm.as_str());
    let bad = |e: std::io::Error| {
        Failure::Config(format!(
            "`archive` {}: cannot be written ({e}); make the folder, writable for this user",
            config.archive.display()
        ))
    };
    std::fs::create_dir_all(&root).map_err(bad)?;
    crate::store::replace(&root.join("probe"), b"probe").map_err(bad)?;
    std::fs::remove_file(root.join("probe")).map_err(bad)
}

/// Takes the archive for this process.
///
/// # Errors
/// [`Failure::Unavailable`] if another recorder has it.
pub fn lock(config: &Config) -> Result<Lock, Failure> {
    let path = config.archive.join(config.firm.as_str()).join("recorder.lock");
    let file = File::create(&path).map_err(|e| Failure::Config(format!("{}: {e}", path.display())))?;
    file.try_lock().map_err(|e| {
        Failure::Unavailable(format!("{}: another recorder uses this archive ({e}); stop it first", path.display()))
    })?;
    Ok(Lock { _file: file })
}

/// A meeting's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Which meeting.
    pub meeting: MeetingId,
    /// Where.
    pub path: PathBuf,
}

impl Folder {
    /// Of a meeting that began at `started_at`: `<archive>/<firm>/<yyyy>/<mm>/<meeting>`.
    pub fn new(archive: &Path, firm: &FirmId, meeting: &MeetingId, started_at: UnixMillis) -> Self {
        let Date { year, month, .. } = Date::of(started_at);
        let path = archive.join(firm.as_str()).join(format!("{year:04}")).join(format!("{month:02}"));
        Self { meeting: meeting.clone(), path: path.join(meeting.as_str()) }
    }
    /// Its files.
    pub fn disk(&self) -> Disk {
        Disk::new(self.path.clone())
    }
    /// Was it closed?
    pub fn is_finished(&self) -> bool {
        self.path.join(names::MEETING).exists()
    }
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|p| p.is_dir()).collect();
    paths.sort();
    paths
}

fn is_number(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
}

/// Meetings without a manifest, oldest first.
pub fn unfinished(archive: &Path, firm: &FirmId) -> Vec<Folder> {
    let months = below(&archive.join(firm.as_str()))
        .into_iter()
        .filter(|path| is_number(path))
        .flat_map(|year| below(&year))
        .filter(|path| is_number(path));
    months
        .flat_map(|month| below(&month))
        .filter_map(|path| {
            let meeting = path.file_name()?.to_str()?.parse().ok()?;
            Some(Folder { meeting, path })
        })
        .filter(|folder| !folder.is_finished())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meeting_is_unfinished_until_its_manifest_is_there() {
        let root = tempfile::tempdir().expect("a folder");
        let firm: FirmId = "bank-a".parse().expect("an id");
        let meeting: MeetingId = "00112233445566778899aabbccddeeff".parse().expect("an id");
        let folder = Folder::new(root.path(), &firm, &meeting, UnixMillis(1_795_305_600_000));
        assert!(folder.path.ends_with("bank-a/2026/11/00112233445566778899aabbccddeeff"));
        std::fs::create_dir_all(&folder.path).expect("made");
        assert_eq!(unfinished(root.path(), &firm), std::slice::from_ref(&folder));
        std::fs::write(folder.path.join(names::MEETING), b"x").expect("written");
        assert_eq!(unfinished(root.path(), &firm), []);
    }
}

//! What is known to stand in one store of one meeting: a journal of lines, the last of a path counts.
//!
//! It is written only after the bytes were read back from the store. If it is lost, everything is found again by
//! comparing.
//! Not a wire type: the journal is this recorder's own file.

use domain::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An object that was read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Path in the folder.
    pub path: String,
    /// The store's version id.
    pub version: String,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// When the local file was last changed, ms since 1970.
    pub changed: u64,
    /// Locked until.
    pub until: UnixMillis,
    /// Under a legal hold.
    pub held: bool,
}

/// All rows of a meeting in a store.
pub struct State {
    file: PathBuf,
    /// All versions, oldest first for each path.
    rows: BTreeMap<String, Vec<Row>>,
}

impl State {
    /// Reads what is known. A last line that was cut by a crash is dropped.
    ///
    /// # Errors
    /// The system's.
    pub fn read(file: &Path) -> io::Result<Self> {
        let text = match std::fs::read_to_string(file) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
            other => other?,
        };
        let mut state = Self { file: file.to_owned(), rows: BTreeMap::new() };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        if whole < text.len() {
            OpenOptions::new().write(true).open(file)?.set_len(whole as u64)?;
        }
        for row in text[..whole].lines().filter_map(|line| serde_json::from_str::<Row>(line).ok()) {
            state.take(row);
        }
        Ok(state)
    }

    fn take(&mut self, row: Row) {
        let versions = self.rows.entry(row.path.clone()).or_default();
        versions.retain(|known| known.version != row.version);
        versions.push(row);
    }

    /// The newest version of a path.
    pub fn newest(&self, path: &str) -> Option<&Row> {
        self.rows.get(path)?.last()
    }

    /// The newest version of every path.
    pub fn newest_all(&self) -> impl Iterator<Item = &Row> {
        self.rows.values().filter_map(|versions| versions.last())
    }

    /// All versions of all paths.
    pub fn all(&self) -> impl Iterator<Item = &Row> {
        self.rows.values().flatten()
    }

    /// Adds a row, or puts another in the place of the same version's. Durable when it returns.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&mut self, row: Row) -> io::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new(".")).to_owned();
        std::fs::create_dir_all(&folder)?;
        let is_new = !self.file.exists();
        let mut file = OpenOptions::new().append(true).create(true).open(&self.file)?;
        let mut line = serde_json::to_vec(&row).expect("plain data");
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_data()?;
        if is_new {
            File::open(&folder)?.sync_all()?;
        }
        self.take(row);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_by_a_crash_is_dropped_and_the_next_one_stands_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("s/m.jsonl");
        let row = |path: &str, version: &str| Row {
            path: path.to_owned(),
            version: version.to_owned(),
            sha256: "00".to_owned(),
            size: 1,
            changed: 2,
            until: UnixMillis(3),
            held: false,
        };
        let mut state = State::read(&file).expect("empty");
        state.write(row("a", "1")).expect("written");
        state.write(row("a", "2")).expect("written");
        let mut bytes = std::fs::read(&file).expect("read");
        bytes.extend(b"{\"path\":\"b\",\"ver");
        std::fs::write(&file, bytes).expect("cut");
        let mut state = State::read(&file).expect("read");
        assert_eq!(state.newest("a").map(|row| row.version.as_str()), Some("2"));
        state.write(row("b", "3")).expect("written");
        let state = State::read(&file).expect("read");
        assert_eq!((state.all().count(), state.newest("b")), (3, Some(&row("b", "3"))));
    }
}

//! "Has anything changed since?": a hash over input files, kept in a stamp when the step that used them went well.

use crate::place::Place;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Folders that are outputs wherever they lie.
const OUTPUTS: [&str; 7] = ["node_modules", "target", "target-wasm", "dist", "pkg", ".git", ".strongroom"];

/// Is a folder of this name an output?
pub fn is_output(name: &OsStr) -> bool {
    OUTPUTS.iter().any(|output| name == *output)
}

/// Hash over the paths and contents of files and folders. Not cryptographic: it only saves work.
pub fn hash(root: &Path, inputs: &[&str]) -> u64 {
    let mut files = BTreeSet::new();
    for input in inputs {
        gather(&root.join(input), &mut files);
    }
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.strip_prefix(root).unwrap_or(&file).hash(&mut hasher);
        fs::read(&file).unwrap_or_default().hash(&mut hasher);
    }
    hasher.finish()
}

fn gather(path: &Path, files: &mut BTreeSet<PathBuf>) {
    if path.is_file() {
        files.insert(path.to_owned());
        return;
    }
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        if !is_output(&entry.file_name()) {
            gather(&entry.path(), files);
        }
    }
}

/// One step's memory.
pub struct Stamp {
    file: PathBuf,
    now: String,
}

impl Stamp {
    /// The step `name` with the hash of all that it depends on.
    pub fn new(place: &Place, name: &str, hash: u64) -> Self {
        Self { file: place.own("stamps").join(name), now: format!("{hash:016x}") }
    }
    /// Did it already go well with these inputs?
    pub fn holds(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|kept| kept.trim() == self.now)
    }
    /// It went well.
    pub fn keep(&self) -> anyhow::Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(&self.file, &self.now)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_a_new_name_and_nothing_else_change_the_hash() {
        let folder = std::env::temp_dir().join(format!("strongroom-stamp-{}", std::process::id()));
        fs::create_dir_all(folder.join("in/node_modules")).expect("temporary folder");
        fs::write(folder.join("in/a"), "one").expect("write");
        let first = hash(&folder, &["in"]);
        fs::write(folder.join("in/node_modules/x"), "output").expect("write");
        assert_eq!(hash(&folder, &["in"]), first, "outputs do not count");
        fs::write(folder.join("in/a"), "two").expect("write");
        assert_ne!(hash(&folder, &["in"]), first);
        fs::write(folder.join("in/a"), "one").expect("write");
        fs::rename(folder.join("in/a"), folder.join("in/b")).expect("rename");
        assert_ne!(hash(&folder, &["in"]), first);
        fs::remove_dir_all(&folder).expect("remove");
    }
}

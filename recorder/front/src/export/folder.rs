//! The folder an export is written to: for the owner only, locked while it is used, removed with what is in it. What a
//! killed front left behind is found by its free lock and removed at the next start.

use std::fs::File;
use std::path::{Path, PathBuf};

/// Begin of every folder's name.
const PREFIX: &str = "strongroom-export-";
const LOCK: &str = "lock";
const OUT: &str = "out";

/// A locked folder; dropping it removes it.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// A fresh one under `exports`.
    ///
    /// # Errors
    /// A text that says what failed and which key to change.
    pub fn fresh(exports: &Path) -> Result<Self, String> {
        use std::os::unix::fs::DirBuilderExt;
        let failed =
            |e: std::io::Error| format!("`exports` names {}, where no folder can be made: {e}", exports.display());
        let path = exports.join(format!("{PREFIX}{}", hex::encode(rand::random::<[u8; 8]>())));
        let private = |path: &Path| std::fs::DirBuilder::new().mode(0o700).create(path);
        private(&path).map_err(failed)?;
        let lock = File::create(path.join(LOCK)).map_err(failed)?;
        lock.try_lock().map_err(|e| failed(e.into()))?;
        private(&path.join(OUT)).map_err(failed)?;
        Ok(Self { path, _lock: lock })
    }

    /// What the exporter may write to.
    pub fn out(&self) -> PathBuf {
        self.path.join(OUT)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.path) {
            tracing::error!("the export folder {} could not be removed: {e}", self.path.display());
        }
    }
}

/// Removes what killed fronts left under `exports`; folders in use, of this front or another, stay.
pub fn sweep(exports: &Path) {
    let Ok(entries) = std::fs::read_dir(exports) else { return };
    for entry in entries.filter_map(Result::ok) {
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        // a link is nobody's export
        if !named || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let free = File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if free {
            match std::fs::remove_dir_all(entry.path()) {
                Ok(()) => tracing::warn!("an export that a killed front left behind was removed"),
                Err(e) => tracing::error!("{} could not be removed: {e}", entry.path().display()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_front_left_is_removed_and_a_running_export_is_not() {
        let exports = tempfile::tempdir().expect("folder");
        let running = Folder::fresh(exports.path()).expect("made");
        let left = exports.path().join(format!("{PREFIX}00"));
        std::fs::create_dir_all(left.join(OUT)).expect("made");
        std::fs::write(left.join(LOCK), "").expect("written");
        std::fs::write(left.join(OUT).join("export.webm"), "clear").expect("written");
        let other = exports.path().join("something-else");
        std::fs::create_dir(&other).expect("made");
        sweep(exports.path());
        assert!(!left.exists() && running.out().exists() && other.exists());
        drop(running);
        assert_eq!(std::fs::read_dir(exports.path()).expect("read").count(), 1);
    }
}

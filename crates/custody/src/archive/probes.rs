//! When each archive key last opened a recorder's probe, in a file beside the ledger: for `check`, which sees nothing of what
//! the running process did. No secret stands in it, and nothing here decides by it: the recorder keeps times of its own.

use domain::UnixMillis;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Times by key id, and where they are kept.
pub struct Opened {
    file: PathBuf,
    times: BTreeMap<String, UnixMillis>,
}

impl Opened {
    /// Of the token with this ledger; a file that cannot be read is one without times.
    pub fn read(ledger: &Path) -> Self {
        let file = ledger.with_extension("probes.json");
        let times = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { times: times.unwrap_or_default(), file }
    }

    /// What is kept.
    pub fn times(&self) -> &BTreeMap<String, UnixMillis> {
        &self.times
    }

    /// A key opened a probe.
    pub fn note(&mut self, key_id: &str, now: UnixMillis) {
        self.times.insert(key_id.to_owned(), now);
        let bytes = serde_json::to_vec(&self.times).expect("plain data");
        let beside = self.file.with_extension("new");
        if let Err(e) = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, &self.file)) {
            tracing::warn!("{}: {e}; `check` does not show this probe", self.file.display());
        }
    }
}

//! A second look at old meetings: what lies here is judged as an examiner would, and of what lies in a store some objects
//! are read back each time, so that all are over some weeks.

use crate::layout::Folder;
use crate::state::State;
use crate::store::{ArchiveStore, StoreError};
use crate::trim::elsewhere;
use crate::upload::state_file;
use domain::FirmId;
use evidence::archive::sha256;
use evidence::identity::TrustMap;
use std::path::Path;
use std::sync::Arc;

/// Objects of a meeting that are read back from a store in one look: a daily look sees all of an hour's meeting of five
/// (some 100 objects) within a month.
pub const READ_BACK: usize = 4;

/// What a look at one meeting found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Objects that were read back from stores.
    pub read_back: u64,
    /// Everything that does not hold.
    pub findings: Vec<String>,
    /// Stores that could not be asked.
    pub away: Vec<String>,
}

/// Looks at one closed meeting. `round` counts the looks: it chooses the objects.
pub async fn look(
    folder: &Folder,
    archive: &Path,
    firm: &FirmId,
    trust: &TrustMap,
    stores: &[Arc<dyn ArchiveStore>],
    round: u64,
) -> Look {
    let mut look = Look::default();
    here(folder, trust, &mut look).await;
    for store in stores {
        there(folder, archive, firm, &**store, round, &mut look).await;
    }
    // disposed of meanwhile: what is gone was to go
    if folder.path.is_dir() { look } else { Look::default() }
}

async fn here(folder: &Folder, trust: &TrustMap, look: &mut Look) {
    let (path, trust, prefix) = (folder.path.clone(), trust.clone(), &folder.prefix);
    let trimmed = elsewhere(&path).is_some();
    match tokio::task::spawn_blocking(move || verify::verify(&path, &trust)).await {
        Ok(Ok(report)) => {
            // tracks that are in the stores alone are not missed here
            let missed = |file: &str| !(trimmed && file.starts_with("tracks/") && !folder.path.join(file).exists());
            let findings = report.findings.into_iter().filter(|one| missed(&one.file));
            look.findings.extend(findings.map(|one| format!("{prefix}{}: {}", one.file, one.problem)));
        }
        Ok(Err(e)) => look.findings.push(format!("{prefix}: {e}")),
        Err(e) => look.findings.push(format!("{prefix}: the check stopped: {e}")),
    }
}

async fn there(folder: &Folder, archive: &Path, firm: &FirmId, store: &dyn ArchiveStore, round: u64, look: &mut Look) {
    let file = state_file(archive, firm, store.name(), folder.meeting.as_str());
    let rows: Vec<_> = match State::read(&file) {
        Ok(state) => state.newest_all().cloned().collect(),
        Err(e) => return look.findings.push(format!("{}: {e}", file.display())),
    };
    let first = usize::try_from(round).unwrap_or_default() * READ_BACK;
    for n in 0..READ_BACK.min(rows.len()) {
        let row = &rows[(first + n) % rows.len()];
        let key = format!("{}{}", folder.prefix, row.path);
        match store.get(&key, Some(&row.version)).await {
            Ok((bytes, _)) if sha256(&bytes).hex() == row.sha256 => look.read_back += 1,
            Ok(_) => look.findings.push(format!("{key}: the store {} gives other bytes back", store.name())),
            Err(StoreError::Unavailable(why)) => return look.away.push(format!("{}: {why}", store.name())),
            Err(e) => look.findings.push(format!("{key}: the store {} does not give it back: {e}", store.name())),
        }
    }
}

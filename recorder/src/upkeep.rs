//! What a running recorder does about old meetings: a daily look at each, and, where the configuration says so, local tracks
//! that go once every store gave them back.
//!
//! Not a wire type: when the last look was is this recorder's own file.

use crate::clock;
use crate::room::Shared;
use domain::UnixMillis;
use recorder_journal::store::replace;
use recorder_store::layout::{self, Folder};
use recorder_store::retention::{Books, ByBook};
use recorder_store::store::Hold;
use recorder_store::upload::Keeping;
use recorder_store::{scrub, trim};
use serde::{Deserialize, Serialize};
use service::security::{Event, report};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A look at everything so often.
const DAY_MS: u64 = 24 * 3600 * 1000;
/// Whether it is time is asked so often.
const ASK: Duration = Duration::from_secs(600);
/// After a meeting the look rests as long as it took: recordings that run have the other half of a core.
const LEAST_REST: Duration = Duration::from_millis(50);

/// `scrub.json`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
struct Last {
    at: UnixMillis,
    round: u64,
    meetings: u64,
    read_back: u64,
    findings: u64,
}

fn file(shared: &Shared) -> PathBuf {
    shared.config.archive.join(shared.config.firm.as_str()).join("scrub.json")
}

/// Runs until the recorder stops.
pub async fn run(shared: Arc<Shared>) {
    let path = file(&shared);
    let read = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mut last: Last = read.unwrap_or_default();
    loop {
        let now = clock::wall();
        if now.since(last.at) >= DAY_MS {
            last = round(&shared, Last { at: now, round: last.round + 1, ..Last::default() }).await;
            let bytes = serde_json::to_vec(&last).expect("plain data");
            if let Err(e) = replace(&path, &bytes) {
                tracing::warn!("{}: {e}; after a restart old meetings are looked at anew", path.display());
            }
        }
        tokio::time::sleep(ASK).await;
    }
}

async fn round(shared: &Arc<Shared>, mut last: Last) -> Last {
    let config = &shared.config;
    let books = ByBook(Books::new(&config.archive, &config.firm, Arc::new(shared.trust.clone())));
    for folder in layout::meetings(&config.archive, &config.firm) {
        let Some(manifest) = folder.manifest() else { continue };
        let began = tokio::time::Instant::now();
        let stores = shared.stores.all();
        let look = scrub::look(&folder, &config.archive, &config.firm, &shared.trust, stores, last.round).await;
        for finding in &look.findings {
            tracing::error!("an old meeting is not as it was signed: {finding}");
            report(Event::ArchiveDamaged);
        }
        for away in &look.away {
            tracing::warn!("not looked at in a store: {away}");
        }
        last.meetings += 1;
        last.read_back += look.read_back;
        last.findings += look.findings.len() as u64;
        if look.findings.is_empty() {
            trim_old(shared, &books, &folder, manifest.ended_at, manifest.retain_until).await;
        }
        tokio::time::sleep(began.elapsed().max(LEAST_REST)).await;
    }
    tracing::info!(
        meetings = last.meetings,
        read_back = last.read_back,
        findings = last.findings,
        "old meetings were looked at"
    );
    last
}

async fn trim_old(shared: &Shared, books: &ByBook, folder: &Folder, ended_at: UnixMillis, until: UnixMillis) {
    let Some(days) = shared.config.local_days else { return };
    let now = clock::wall();
    let has_tracks = folder.path.join("tracks").is_dir() && trim::elsewhere(&folder.path).is_none();
    if !has_tracks || now.since(ended_at) < u64::from(days) * DAY_MS || books.keep(folder, until).hold == Hold::Held {
        return;
    }
    match trim::trim(folder, &shared.config.archive, &shared.config.firm, shared.stores.all(), now).await {
        Ok(gone) => {
            tracing::info!(meeting = %folder.meeting, files = gone.files, bytes = gone.bytes, stores = ?gone.stores, "its tracks are in the stores alone now");
        }
        Err(e) => tracing::warn!(meeting = %folder.meeting, "its tracks stay here: {e}"),
    }
}

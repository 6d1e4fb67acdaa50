//! Time stamps (RFC 3161) of closed meetings, from the configured authority.
//!
//! The queue is the archive itself: a closed meeting without a stamp waits. An authority that is away delays stamps and
//! nothing else; how many wait is in the log.

use crate::clock;
use crate::room::Shared;
use domain::FirmId;
use evidence::archive::names;
use evidence::stamp;
use recorder_journal::store::replace;
use recorder_store::layout;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Closed meetings are looked for so often.
const LOOK: Duration = Duration::from_secs(5);
/// An authority that failed is asked again after: it may be a busy public one.
const AWAY: Duration = Duration::from_secs(60);
/// One answer; it is some kilobytes.
const ANSWER: Duration = Duration::from_secs(20);

/// Closed meetings without a stamp, oldest first.
fn waiting(archive: &Path, firm: &FirmId, stamped: &mut HashSet<PathBuf>) -> Vec<PathBuf> {
    let mut waiting = Vec::new();
    for folder in layout::meetings(archive, firm) {
        if stamped.contains(&folder.path) || !folder.path.join(names::MEETING).exists() {
            continue;
        }
        if folder.path.join(names::STAMP).exists() {
            stamped.insert(folder.path);
        } else {
            waiting.push(folder.path);
        }
    }
    waiting
}

async fn ask(client: &reqwest::Client, url: &str, query: Vec<u8>) -> Result<Vec<u8>, String> {
    let request = client.post(url).header("Content-Type", stamp::QUERY_TYPE).body(query).send();
    let mut answer = request.await.map_err(|e| e.without_url().to_string())?;
    if !answer.status().is_success() {
        return Err(format!("it answers {}", answer.status()));
    }
    let mut bytes = Vec::new();
    while let Some(more) = answer.chunk().await.map_err(|e| e.without_url().to_string())? {
        bytes.extend_from_slice(&more);
        if bytes.len() > stamp::MAX_ANSWER {
            return Err("its answer is too large".to_owned());
        }
    }
    Ok(bytes)
}

/// Gets the stamp of one closed meeting; it is judged before it is kept.
async fn stamp_one(client: &reqwest::Client, shared: &Shared, url: &str, folder: &Path) -> Result<(), String> {
    let signed = std::fs::read(folder.join(names::MEETING)).map_err(|e| e.to_string())?;
    let nonce = rand::random();
    let answer = ask(client, url, stamp::query(&signed, nonce)).await?;
    let own = shared.trust.firm(&shared.config.firm).ok_or("the trust map does not know our firm")?;
    let roots: Vec<&[u8]> = own.stamp_roots.iter().map(|root| root.as_slice()).collect();
    let stamp = stamp::judge(&answer, &signed, Some(nonce), &roots).map_err(|e| e.to_string())?;
    let apart = stamp.at.since(clock::wall()).max(clock::wall().since(stamp.at));
    tracing::info!(meeting = %folder.display(), at = stamp.at.0, apart_ms = apart, "stamped");
    replace(&folder.join(names::STAMP), &answer).map_err(|e| e.to_string())
}

/// Runs until the recorder stops; ends at once without an authority.
pub async fn run(shared: Arc<Shared>) {
    let Some(url) = shared.config.stamp.as_ref().map(|one| one.url.clone()) else { return };
    let client = match reqwest::Client::builder().timeout(ANSWER).build() {
        Ok(client) => client,
        Err(e) => return tracing::error!("no time stamps: {e}"),
    };
    let mut stamped = HashSet::new();
    loop {
        let folders = waiting(&shared.config.archive, &shared.config.firm, &mut stamped);
        let mut wait = LOOK;
        for (done, folder) in folders.iter().enumerate() {
            if let Err(e) = stamp_one(&client, &shared, &url, folder).await {
                let pending = folders.len() - done;
                tracing::warn!(pending, "the time-stamp authority {url} gave no stamp: {e}; stamps wait");
                wait = AWAY;
                break;
            }
        }
        tokio::time::sleep(wait).await;
    }
}

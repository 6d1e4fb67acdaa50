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

/// Whom is asked, and by what the answer is judged.
struct Desk {
    client: reqwest::Client,
    url: String,
    roots: Vec<Vec<u8>>,
    archive: PathBuf,
    firm: FirmId,
    stamped: HashSet<PathBuf>,
}

impl Desk {
    /// Gets the stamp of one closed meeting; it is judged before it is kept.
    async fn stamp_one(&self, folder: &Path) -> Result<(), String> {
        let signed = std::fs::read(folder.join(names::MEETING)).map_err(|e| e.to_string())?;
        let nonce = rand::random();
        let answer = ask(&self.client, &self.url, stamp::query(&signed, nonce)).await?;
        let stamp = stamp::judge(&answer, &signed, Some(nonce), &self.roots).map_err(|e| e.to_string())?;
        let apart = stamp.at.since(clock::wall()).max(clock::wall().since(stamp.at));
        tracing::info!(meeting = %folder.display(), at = stamp.at.0, apart_ms = apart, "stamped");
        replace(&folder.join(names::STAMP), &answer).map_err(|e| e.to_string())
    }

    /// Stamps what waits, oldest first, up to the first failure; how many wait after it, and why.
    async fn pass(&mut self) -> Option<(usize, String)> {
        let folders = waiting(&self.archive, &self.firm, &mut self.stamped);
        for (done, folder) in folders.iter().enumerate() {
            if let Err(why) = self.stamp_one(folder).await {
                return Some((folders.len() - done, why));
            }
        }
        None
    }
}

/// Runs until the recorder stops; ends at once without an authority.
pub async fn run(shared: Arc<Shared>) {
    let Some(url) = shared.config.stamp.as_ref().map(|one| one.url.clone()) else { return };
    let client = match reqwest::Client::builder().timeout(ANSWER).build() {
        Ok(client) => client,
        Err(e) => return tracing::error!("no time stamps: {e}"),
    };
    let own = shared.trust.firm(&shared.config.firm);
    let roots = own.map(|own| own.stamp_roots.iter().map(|root| root.to_vec()).collect()).unwrap_or_default();
    let (archive, firm) = (shared.config.archive.clone(), shared.config.firm.clone());
    let mut desk = Desk { client, url, roots, archive, firm, stamped: HashSet::new() };
    loop {
        let mut wait = LOOK;
        if let Some((pending, why)) = desk.pass().await {
            tracing::warn!(pending, "the time-stamp authority {} gave no stamp: {why}; stamps wait", desk.url);
            wait = AWAY;
        }
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::http::StatusCode;
    use axum::routing::post;
    use stamp_authority::{Authority, P256, STAMPING};
    use std::sync::Mutex;

    /// What the authority's next answers are.
    #[derive(Clone, Copy)]
    enum Mood {
        Away,
        /// It answers an older question.
        Repeats,
    }

    struct Office {
        authority: Mutex<Authority>,
        moods: Mutex<Vec<Mood>>,
    }

    async fn answered(State(office): State<Arc<Office>>, query: Bytes) -> Result<Vec<u8>, StatusCode> {
        let authority = office.authority.lock().expect("no holder panics");
        match office.moods.lock().expect("no holder panics").pop() {
            Some(Mood::Away) => Err(StatusCode::SERVICE_UNAVAILABLE),
            Some(Mood::Repeats) => Ok(authority.answer(&stamp::query(b"another manifest", 1))),
            None => Ok(authority.answer(&query)),
        }
    }

    fn meeting(archive: &Path, name: &str) -> PathBuf {
        let folder = archive.join("bank-a/2026/11").join(name);
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(folder.join(names::MEETING), name).expect("written");
        folder
    }

    #[tokio::test]
    async fn closed_meetings_wait_for_a_stamp_until_the_authority_gives_a_good_one() {
        let authority = Authority::new(P256, STAMPING);
        let root = authority.root();
        let moods = Mutex::new(vec![Mood::Repeats, Mood::Away]);
        let office = Arc::new(Office { authority: Mutex::new(authority), moods });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("bound"));
        let router = axum::Router::new().route("/", post(answered)).with_state(office);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let archive = tempfile::tempdir().expect("a folder");
        let folders = ["00112233445566778899aabbccddeeff", "10112233445566778899aabbccddeeff"];
        let folders = folders.map(|name| meeting(archive.path(), name));
        let mut desk = Desk {
            client: reqwest::Client::new(),
            url,
            roots: vec![root.clone()],
            archive: archive.path().to_owned(),
            firm: "bank-a".parse().expect("an id"),
            stamped: HashSet::new(),
        };
        let (pending, why) = desk.pass().await.expect("it is away");
        assert!(pending == 2 && why.contains("503"), "{why}");
        let (pending, _) = desk.pass().await.expect("it answers something else");
        assert!(pending == 2 && !folders[0].join(names::STAMP).exists(), "what does not hold is not kept");
        assert_eq!(desk.pass().await, None);
        for folder in &folders {
            let (signed, kept) = (std::fs::read(folder.join(names::MEETING)), std::fs::read(folder.join(names::STAMP)));
            stamp::judge(&kept.expect("kept"), &signed.expect("there"), None, &[&root]).expect("a good stamp");
        }
        serving.abort();
    }
}

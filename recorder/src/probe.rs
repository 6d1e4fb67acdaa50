//! Before a meeting that must be recorded begins: every archive key of the firm's statement opened a probe within a day, and
//! the record token signs. A meeting that runs goes on without either. Times are kept in the archive folder for a restart.

use crate::archive::Folder;
use crate::clock;
use crate::config::Config;
use crate::net;
use crate::recording::Recording;
use crate::room::Shared;
use custody::probe::{Challenge, MAX_KEYS, Probes};
use domain::B64;
use domain::message::client::MeetingTerms;
use domain::message::custody::Ask;
use domain::message::front::{ProbeArchive, ProbedArchive};
use domain::policy::{Rule, Statement};
use evidence::archive::names;
use evidence::identity::TrustMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use zeroize::Zeroizing;

/// Where the times are kept, in the firm's folder of the archive.
const FILE: &str = "probes.json";
/// At least so long between two rounds, whatever the clock says.
const LEAST: Duration = Duration::from_secs(10);

/// What this recorder knows of its firm's archive keys.
pub struct Prover {
    probes: Mutex<Probes>,
    keys: Vec<B64>,
    file: PathBuf,
}

impl Prover {
    /// With what an earlier process kept.
    pub fn new(config: &Config, trust: &TrustMap) -> Self {
        let keys = trust.firm(&config.firm).map(|own| own.archive_keys.clone()).unwrap_or_default();
        let file = config.archive.join(config.firm.as_str()).join(FILE);
        let mut probes = Probes::of(&keys);
        if let Some(kept) = std::fs::read(&file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            probes.remember(&kept);
        }
        Self { probes: Mutex::new(probes), keys, file }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Probes) -> T) -> T {
        act(&mut self.probes.lock().expect("no holder panics"))
    }
}

/// Probes every archive key, for as long as the recorder runs.
pub async fn run(shared: Arc<Shared>) {
    loop {
        let wait = shared.prover.with(|probes| probes.next_in_ms(clock::wall()));
        tokio::time::sleep(Duration::from_millis(wait)).await;
        probe(&shared).await;
        tokio::time::sleep(LEAST).await;
    }
}

/// One round: what did not answer counts as failed.
async fn probe(shared: &Shared) {
    for keys in shared.prover.keys.chunks(MAX_KEYS) {
        let seal = |spki| Challenge::new(&shared.config.firm, spki, Zeroizing::new(rand::random()));
        let challenges: Vec<Challenge> = match keys.iter().map(seal).collect() {
            Ok(challenges) => challenges,
            Err(e) => return tracing::error!("archive keys cannot be probed: {e}"),
        };
        let digests = ask(shared, &challenges).await.unwrap_or_else(|e| {
            tracing::warn!("archive keys could not be probed: {e}");
            Vec::new()
        });
        let answered = digests.into_iter().chain(std::iter::repeat_with(|| None));
        for (challenge, digest) in challenges.iter().zip(answered) {
            let opened = digest.is_some_and(|digest| challenge.is_answered_by(&digest));
            shared.prover.with(|probes| match opened {
                true => probes.opened(&challenge.key_id, clock::wall()),
                false => probes.failed(&challenge.key_id),
            });
        }
    }
    let kept = serde_json::to_vec(&shared.prover.with(|probes| probes.kept())).expect("plain data");
    let fresh = shared.prover.file.with_extension("new");
    if let Err(e) = std::fs::write(&fresh, kept).and_then(|()| std::fs::rename(&fresh, &shared.prover.file)) {
        tracing::warn!("{}: {e}; after a restart the archive keys are probed anew", shared.prover.file.display());
    }
}

async fn ask(shared: &Shared, challenges: &[Challenge]) -> Result<Vec<Option<B64>>, String> {
    let client = net::http_client(&shared.config.front).map_err(|e| e.to_string())?;
    let url = format!("{}/custody/probe", shared.config.front.trim_end_matches('/'));
    let body = ProbeArchive { sealed: challenges.iter().map(|one| one.sealed.clone()).collect() };
    let answer = client.post(&url).json(&body).send().await.map_err(|e| format!("the front does not answer: {e}"))?;
    if !answer.status().is_success() {
        return Err(format!("the front refuses ({})", answer.status()));
    }
    let probed: ProbedArchive = answer.json().await.map_err(|e| format!("the front's answer cannot be read: {e}"))?;
    Ok(probed.digests)
}

/// Begins to record, or goes on. A meeting that must be kept begins only with proven keys.
///
/// # Errors
/// Text for the log, and what to do.
pub async fn open(shared: &Shared, terms: &MeetingTerms, statement: &Statement) -> Result<Recording, String> {
    let folder = Folder::new(&shared.config.archive, &shared.config.firm, &terms.meeting, terms.started_at);
    let runs = folder.path.join(names::EVENTS).is_file();
    let must = [statement.audio_video, statement.chat, statement.files].contains(&Rule::Must);
    if must && !runs {
        may_begin(shared, statement).await?;
    }
    Recording::open(shared, terms, statement).await
}

async fn may_begin(shared: &Shared, statement: &Statement) -> Result<(), String> {
    let stale = |now| {
        let stale = |probes: &mut Probes| {
            let stale = probes.stale(&statement.archive_key_ids, now);
            stale.into_iter().map(|(key_id, last)| (key_id.to_owned(), last)).collect::<Vec<_>>()
        };
        shared.prover.with(stale)
    };
    if !stale(clock::wall()).is_empty() {
        probe(shared).await;
    }
    if let Some((key_id, last)) = stale(clock::wall()).first() {
        let last = last.map_or("never".to_owned(), |at| format!("{} h ago", clock::wall().since(at) / 3_600_000));
        return Err(format!(
            "the archive key {} opened no probe within a day (the last: {last}): what is sealed to it now might never be \
             opened. Connect the archive token, start its strongroom-custody, look at `strongroom-custody check`; the \
             meeting begins by itself once the key opens a probe",
            key_id.get(..16).unwrap_or(key_id)
        ));
    }
    shared.custody.ask(Ask::Probe {}).await.map(drop).map_err(|e| {
        format!("the record token does not sign ({e}): connect it, or look at the log of its strongroom-custody")
    })
}

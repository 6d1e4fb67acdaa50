//! The stores of this recorder: probed at the start and weekly, fed all the time, their state in a file that the front and
//! an operator read.
//!
//! Local first: nothing here delays a recording, and a store that is away leaves a backlog, not a gap.
//! Not a wire type: the status is a file between this recorder and its firm's front.

use crate::Failure;
use crate::clock;
use crate::config::Config;
use domain::UnixMillis;
use domain::policy::{Archive, Rule, Statement};
use recorder_journal::store::replace;
use recorder_store::class::{Demand, Stamped};
use recorder_store::config::Configured;
use recorder_store::upload::{Keeping, Pass, STATES, Uploader};
use recorder_store::{ArchiveStore, Class, NotPermitted, StoreError, permits, probe};
use serde::{Deserialize, Serialize};
use service::security::{Event, report};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is ready is looked for so often: a sealed segment waits a moment, not minutes.
const LOOK: Duration = Duration::from_secs(2);
/// A store that is away is tried again after.
const AWAY: Duration = Duration::from_secs(15);
/// A backlog is told in the log so often, ms.
const TELL_MS: u64 = 60_000;
/// Probed again after a good probe.
const WEEK_MS: u64 = 7 * 24 * 3600 * 1000;
/// ... and after one that could not be made.
const AGAIN_MS: u64 = 60_000;

/// What is known of one store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// What the last probe showed; none yet: it was not reached.
    pub class: Option<Class>,
    /// When that was.
    pub probed_at: UnixMillis,
    /// What is wrong, in words.
    pub trouble: Option<String>,
    /// Files that wait.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Files that are not what was signed and so are not uploaded.
    pub damaged: Vec<String>,
}

/// The stores.
pub struct Stores {
    demand: Demand,
    status: PathBuf,
    all: Vec<Arc<dyn ArchiveStore>>,
    known: Mutex<BTreeMap<String, Known>>,
}

/// What a store turned out to be.
pub struct Verdict {
    /// Its name.
    pub name: String,
    /// Class, or why it could not be probed.
    pub class: Result<Class, StoreError>,
    /// What it allowed.
    pub failures: Vec<String>,
}

fn nonce() -> u64 {
    rand::random()
}

/// Probes one store now.
pub async fn judge(one: &Configured) -> Verdict {
    let name = one.store.name().to_owned();
    match probe(&*one.store, clock::wall(), nonce()).await {
        Err(e) => Verdict { name, class: Err(e), failures: Vec::new() },
        Ok(found) => {
            let told = found.failures.iter().map(|(attack, why)| format!("{}: {why}", attack.name()));
            let failures = found.lock.iter().cloned().chain(told).collect();
            Verdict { name, class: Ok(found.class(one.claimed)), failures }
        }
    }
}

/// `check-store`: one line for each store. Good only if each is what the configuration says it is.
///
/// # Errors
/// [`Failure::Verification`] if one is not, [`Failure::Unavailable`] if one cannot be asked.
pub async fn check(config: &Config, folder: &Path, only: Option<&str>) -> Result<Vec<String>, (Vec<String>, Failure)> {
    let stores = recorder_store::config::open(&config.stores, folder, clock::wall)
        .map_err(|e| (Vec::new(), Failure::Config(e)))?;
    let chosen: Vec<&Configured> =
        stores.iter().filter(|one| only.is_none_or(|name| name == one.store.name())).collect();
    if chosen.is_empty() {
        return Err((Vec::new(), Failure::Config(crate::copies::no_store(config, only))));
    }
    let (mut lines, mut bad, mut away) = (Vec::new(), Vec::new(), Vec::new());
    for one in chosen {
        let verdict = judge(one).await;
        match verdict.class {
            Ok(class) => {
                lines.push(format!("{} {}", verdict.name, class.name()));
                lines.extend(verdict.failures.iter().map(|why| format!("  {why}")));
                if class == Class::NotWorm {
                    bad.push(verdict.name);
                }
            }
            Err(e) => {
                lines.push(format!("{} unknown\n  {e}", verdict.name));
                away.push(verdict.name);
            }
        }
    }
    if !bad.is_empty() {
        let why = format!("not WORM although the configuration says so: {}", bad.join(", "));
        return Err((lines, Failure::Verification(why)));
    }
    if !away.is_empty() {
        return Err((lines, Failure::Unavailable(format!("could not be probed: {}", away.join(", ")))));
    }
    Ok(lines)
}

impl Stores {
    /// Probes all stores and starts feeding them. `tasks` end with the recorder.
    ///
    /// # Errors
    /// [`Failure::Config`] for what the file says of them.
    pub async fn start(
        config: &Config,
        folder: &Path,
        keeping: Arc<dyn Keeping>,
        tasks: &mut tokio::task::JoinSet<()>,
    ) -> Result<Arc<Self>, Failure> {
        let stores = recorder_store::config::open(&config.stores, folder, clock::wall).map_err(Failure::Config)?;
        let stamped = if config.stamp.is_some() { Stamped::Yes } else { Stamped::No };
        let states = config.archive.join(config.firm.as_str()).join(STATES);
        std::fs::create_dir_all(&states).map_err(|e| Failure::Config(format!("{}: {e}", states.display())))?;
        let status = states.join("status.json");
        // a probe counts for its week also over a restart while the store is away
        let before = std::fs::read(&status).ok().and_then(|bytes| serde_json::from_slice::<Status>(&bytes).ok());
        let mut known = before.map(|before| before.stores).unwrap_or_default();
        known.retain(|name, row| stores.iter().any(|one| one.store.name() == name && Some(one.claimed) == row.class));
        let all = Arc::new(Self {
            demand: Demand { archive: Archive::Worm, stamped, purpose: config.purpose },
            status,
            all: stores.iter().map(|one| one.store.clone()).collect(),
            known: Mutex::new(known),
        });
        for one in stores {
            all.probe(&one).await;
            let uploader =
                Uploader::new(one.store.clone(), config.archive.clone(), config.firm.clone(), keeping.clone());
            tasks.spawn(all.clone().feed(one, uploader));
        }
        all.write();
        match permits(&all.classes(), all.demand) {
            Ok(()) => tracing::info!(classes = ?all.classes(), "the stores were probed"),
            Err(e) => tracing::warn!("rooms that must be recorded by a statement that wants WORM stay closed: {e}"),
        }
        Ok(all)
    }

    /// All of them, in the configuration's order.
    pub fn all(&self) -> &[Arc<dyn ArchiveStore>] {
        &self.all
    }

    async fn probe(&self, one: &Configured) {
        let verdict = judge(one).await;
        let now = clock::wall();
        let mut known = self.known.lock().expect("no holder panics");
        let row = known.entry(verdict.name.clone()).or_insert(Known {
            class: None,
            probed_at: UnixMillis(0),
            trouble: None,
            waiting: 0,
            waiting_bytes: 0,
            damaged: Vec::new(),
        });
        match verdict.class {
            Ok(class) => {
                if class == Class::NotWorm {
                    let failures = verdict.failures.join("; ");
                    tracing::error!(store = %verdict.name, "not WORM although the configuration says so: {failures}");
                    report(Event::StoreNotWorm);
                }
                (row.class, row.probed_at) = (Some(class), now);
            }
            Err(e) => {
                tracing::error!(store = %verdict.name, "the store cannot be probed: {e}");
                report(Event::StoreUnreachable);
                row.trouble = Some(e.to_string());
            }
        }
    }

    /// Classes of the stores whose probe is fresh.
    fn classes(&self) -> Vec<Class> {
        let now = clock::wall();
        let known = self.known.lock().expect("no holder panics");
        let fresh = known.values().filter(|one| now.since(one.probed_at) <= recorder_store::probe::FRESH_MS);
        fresh.filter_map(|one| one.class).collect()
    }

    /// May a meeting under this statement be begun?
    ///
    /// # Errors
    /// [`NotPermitted`] that says what is missing; only for what must be kept.
    pub fn permit(&self, statement: &Statement) -> Result<(), NotPermitted> {
        let must = [statement.audio_video, statement.chat, statement.files].contains(&Rule::Must);
        if !must {
            return Ok(());
        }
        permits(&self.classes(), Demand { archive: statement.archive, ..self.demand })
    }

    async fn feed(self: Arc<Self>, one: Configured, mut uploader: Uploader) {
        let (mut told_ms, mut probe_ms) = (0, 0);
        loop {
            let pass = uploader.pass(clock::wall()).await;
            let now = clock::now().mono_ms;
            let waits = pass.trouble.is_some() || !pass.damaged.is_empty();
            if waits && now >= told_ms {
                told_ms = now + TELL_MS;
                tell(one.store.name(), &pass);
            }
            let wait = if pass.trouble.is_some() { AWAY } else { LOOK };
            self.passed(one.store.name(), pass);
            if now >= probe_ms {
                // the first one was made at the start
                if probe_ms > 0 {
                    self.probe(&one).await;
                }
                let fresh = self
                    .known
                    .lock()
                    .expect("no holder panics")
                    .get(one.store.name())
                    .is_some_and(|known| clock::wall().since(known.probed_at) < WEEK_MS);
                probe_ms = now + if fresh { WEEK_MS } else { AGAIN_MS };
                self.write();
            }
            tokio::time::sleep(wait).await;
        }
    }

    fn passed(&self, name: &str, pass: Pass) {
        let changed = {
            let mut known = self.known.lock().expect("no holder panics");
            let Some(row) = known.get_mut(name) else { return };
            let before = row.clone();
            (row.waiting, row.waiting_bytes) = (pass.waiting, pass.waiting_bytes);
            (row.trouble, row.damaged) = (pass.trouble, pass.damaged);
            *row != before
        };
        if changed {
            self.write();
        }
    }

    fn write(&self) {
        let known = self.known.lock().expect("no holder panics").clone();
        let status = Status { purpose: self.demand.purpose, stores: known };
        let bytes = serde_json::to_vec_pretty(&status).expect("plain data");
        if let Err(e) = replace(&self.status, &bytes) {
            tracing::error!("{} cannot be written: {e}", self.status.display());
        }
    }
}

/// `stores/status.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// What the installation is for.
    pub purpose: recorder_store::class::Purpose,
    /// By name.
    pub stores: BTreeMap<String, Known>,
}

fn tell(store: &str, pass: &Pass) {
    for file in &pass.damaged {
        tracing::error!(store, "not uploaded, because it is not as it was signed: {file}");
        report(Event::ArchiveDamaged);
    }
    if let Some(trouble) = &pass.trouble {
        let mib = pass.waiting_bytes >> 20;
        tracing::warn!(store, objects = pass.waiting, mib, "the store has a backlog: {trouble}");
    }
}

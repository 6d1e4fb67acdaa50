//! `drill`, `restore`, `scrub`: what the stores have comes back and is judged.

use crate::Failure;
use crate::clock;
use crate::config::Config;
use domain::MeetingId;
use evidence::retention::{Phase, Refusal};
use recorder_store::drill::{self, Measure, Report, Which};
use recorder_store::restore::{RestoreError, restore};
use recorder_store::retention::Books;
use recorder_store::store::Latest;
use recorder_store::{ArchiveStore, StoreError, layout, scrub, trim};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is asked.
pub enum Wanted {
    /// Into an empty folder, judged, reported.
    Drill {
        /// Only this store.
        store: Option<String>,
        /// So many meetings; all without it.
        sample: Option<usize>,
        /// The empty folder; without it a temporary one that is removed.
        to: Option<PathBuf>,
    },
    /// One meeting, back into the archive.
    Restore {
        /// Which.
        meeting: MeetingId,
        /// From this store; without it the first that has it.
        store: Option<String>,
    },
    /// Every closed meeting here, and samples from the stores.
    Scrub,
}

fn store_failure(error: RestoreError) -> Failure {
    let text = error.to_string();
    match error {
        RestoreError::Store(_, StoreError::Unavailable(_)) => Failure::Unavailable(text),
        RestoreError::Name(_) | RestoreError::Different(_) => Failure::Verification(text),
        _ => Failure::Other(text),
    }
}

fn chosen(config: &Config, folder: &Path, only: Option<&str>) -> Result<Vec<Arc<dyn ArchiveStore>>, Failure> {
    let stores = recorder_store::config::open(&config.stores, folder, clock::wall).map_err(Failure::Config)?;
    let all: Vec<_> = stores.into_iter().map(|one| one.store).collect();
    let mut chosen = all;
    chosen.retain(|store| only.is_none_or(|name| name == store.name()));
    if chosen.is_empty() {
        return Err(Failure::Config(no_store(config, only)));
    }
    Ok(chosen)
}

/// Why there is no store to ask, and what to do.
pub fn no_store(config: &Config, only: Option<&str>) -> String {
    let names: Vec<&str> = config.stores.iter().map(|one| one.name.as_str()).collect();
    match only {
        Some(only) if !names.is_empty() => {
            format!("the configuration has no store {only} under [[stores]]; it has {}", names.join(", "))
        }
        _ => "the configuration names no [[stores]]: there is no copy besides this disk's; add one".to_owned(),
    }
}

/// Does it; what is said on standard output comes back in any case.
pub async fn run(path: &Path, wanted: Wanted, json: bool) -> (Vec<String>, Result<(), Failure>) {
    let mut lines = Vec::new();
    let config = match Config::read(path) {
        Ok(config) => config,
        Err(failure) => return (lines, Err(failure)),
    };
    let folder = service::config::folder(path);
    let ended = match wanted {
        Wanted::Drill { store, sample, to } => {
            let which = sample.map_or(Which::All, Which::Sample);
            hold_drill(&config, &folder, store.as_deref(), which, to, json, &mut lines).await
        }
        Wanted::Restore { meeting, store } => back(&config, &folder, &meeting, store.as_deref(), &mut lines).await,
        Wanted::Scrub => scrub_all(&config, &folder, json, &mut lines).await,
    };
    (lines, ended)
}

async fn hold_drill(
    config: &Config,
    folder: &Path,
    only: Option<&str>,
    which: Which,
    to: Option<PathBuf>,
    json: bool,
    lines: &mut Vec<String>,
) -> Result<(), Failure> {
    let trust = config.trust_map()?;
    let measure = Measure { archive: &config.archive, firm: &config.firm, trust: &trust };
    let (mut bad, mut away) = (0, Vec::new());
    for store in chosen(config, folder, only)? {
        let target = Target::new(to.as_deref().map(|to| to.join(store.name())), &config.archive)?;
        match drill::drill(&*store, &measure, which, rand::random(), &target.path).await {
            Ok(report) => {
                bad += report.findings.len();
                say(&report, json, lines);
            }
            Err(e) => match store_failure(e) {
                Failure::Unavailable(why) => away.push(format!("{}: {why}", store.name())),
                other => return Err(other),
            },
        }
    }
    if bad > 0 {
        return Err(Failure::Verification(format!("{bad} things do not hold in what came back")));
    }
    if away.is_empty() { Ok(()) } else { Err(Failure::Unavailable(away.join("; "))) }
}

fn say(report: &Report, json: bool, lines: &mut Vec<String>) {
    if json {
        return lines.push(serde_json::to_string(report).expect("plain data"));
    }
    lines.push(format!(
        "{}: {} of {} meetings restored ({} more are open), {} good, {} files, {} bytes, {} digests as uploaded, {} of \
         them in the log of {} entries",
        report.store,
        report.restored,
        report.meetings,
        report.open,
        report.good,
        report.files,
        report.bytes,
        report.digests,
        report.in_log,
        report.log_entries
    ));
    lines.extend(report.findings.iter().map(|one| format!("  WRONG {one}")));
}

/// An empty folder; a temporary one goes with it.
struct Target {
    path: PathBuf,
    is_ours: bool,
}

impl Target {
    fn new(named: Option<PathBuf>, archive: &Path) -> Result<Self, Failure> {
        let is_ours = named.is_none();
        // beside the archive: there is room for recordings, and no other user reads them
        let path = named.unwrap_or_else(|| archive.join(format!("drill-{:016x}", rand::random::<u64>())));
        let bad = |why: String| Failure::Config(format!("{}: {why}", path.display()));
        std::fs::create_dir_all(&path).map_err(|e| bad(e.to_string()))?;
        let is_empty = std::fs::read_dir(&path).map_err(|e| bad(e.to_string()))?.next().is_none();
        if is_empty { Ok(Self { path, is_ours }) } else { Err(bad("a drill wants an empty folder".to_owned())) }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.is_ours
            && let Err(e) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!("{} cannot be removed: {e}", self.path.display());
        }
    }
}

async fn back(
    config: &Config,
    folder: &Path,
    meeting: &MeetingId,
    only: Option<&str>,
    lines: &mut Vec<String>,
) -> Result<(), Failure> {
    let trust = config.trust_map()?;
    // what two officers disposed of does not come back from a store that still has some of it
    let book = Books::new(&config.archive, &config.firm, Arc::new(trust.clone())).read(meeting);
    let book = book.map_err(|e| Failure::Verification(e.to_string()))?;
    match book.map(|book| book.standing.phase()) {
        Some(Phase::Disposed { at }) => return Err(Failure::Other(Refusal::Disposed(at).to_string())),
        Some(Phase::Disposing { .. }) => return Err(Failure::Other(Refusal::Disposing.to_string())),
        _ => {}
    }
    let mut why = Vec::new();
    for store in chosen(config, folder, only)? {
        let prefix = match prefix_of(&*store, config, meeting).await {
            Ok(Some(prefix)) => prefix,
            Ok(None) => {
                why.push(format!("{} does not have it", store.name()));
                continue;
            }
            Err(e) => {
                why.push(format!("{}: {e}", store.name()));
                continue;
            }
        };
        let files = restore(&*store, &prefix, &config.archive).await.map_err(store_failure)?;
        let here = config.archive.join(&prefix);
        let report = verify::verify(&here, &trust).map_err(|e| Failure::Verification(e.to_string()))?;
        if let Some(one) = report.findings.first() {
            return Err(Failure::Verification(format!("{prefix}{}: {}", one.file, one.problem)));
        }
        // its tracks are here again
        let _ = std::fs::remove_file(here.join(trim::ELSEWHERE));
        lines.push(format!("{prefix}: {} files from {}, everything holds", files.len(), store.name()));
        return Ok(());
    }
    Err(Failure::Unavailable(format!("no store gives {meeting} back: {}", why.join("; "))))
}

async fn prefix_of(
    store: &dyn ArchiveStore,
    config: &Config,
    meeting: &MeetingId,
) -> Result<Option<String>, StoreError> {
    let own = layout::meetings(&config.archive, &config.firm).into_iter().find(|one| one.meeting == *meeting);
    let under = own.map_or_else(|| format!("{}/", config.firm), |one| one.prefix);
    let all = store.versions(&under).await?;
    let part = format!("/{meeting}/");
    let found = all.iter().filter(|one| one.latest == Latest::Yes).find_map(|one| {
        let at = one.key.find(&part)?;
        // not the book of retention, which has the meeting's name too
        (one.key[..at].matches('/').count() == 2).then(|| one.key[..at + part.len()].to_owned())
    });
    Ok(found)
}

async fn scrub_all(config: &Config, folder: &Path, json: bool, lines: &mut Vec<String>) -> Result<(), Failure> {
    let trust = Arc::new(config.trust_map()?);
    let stores = recorder_store::config::open(&config.stores, folder, clock::wall).map_err(Failure::Config)?;
    let stores: Vec<_> = stores.into_iter().map(|one| one.store).collect();
    let (mut meetings, mut read_back, mut findings, mut away) = (0u64, 0, Vec::new(), Vec::new());
    for one in layout::meetings(&config.archive, &config.firm).iter().filter(|one| one.manifest().is_some()) {
        let look = scrub::look(one, &config.archive, &config.firm, &trust, &stores, rand::random::<u16>().into()).await;
        meetings += 1;
        read_back += look.read_back;
        findings.extend(look.findings);
        away.extend(look.away);
    }
    let books = Books::new(&config.archive, &config.firm, trust);
    findings.extend(books.meetings().iter().filter_map(|meeting| books.read(meeting).err().map(|e| e.to_string())));
    lines.push(match json {
        true => serde_json::json!({"meetings": meetings, "read_back": read_back, "findings": findings}).to_string(),
        false => format!("{meetings} meetings looked at, {read_back} objects read back, {} findings", findings.len()),
    });
    if !json {
        lines.extend(findings.iter().map(|one| format!("  WRONG {one}")));
    }
    match (findings.is_empty(), away.first()) {
        (false, _) => Err(Failure::Verification(format!("{} things do not hold", findings.len()))),
        (true, Some(away)) => Err(Failure::Unavailable(away.clone())),
        (true, None) => Ok(()),
    }
}

//! Exports: composed copies of an open grant, made by `strongroom-export` in a sandbox. One runs at a time, the others
//! wait; a result is kept in memory until the grant ends or it is cancelled.

pub mod bundle;
mod feed;
mod folder;
pub mod sandbox;

use crate::replay::grants::OpenGrant;
use crate::replay::memory::Held;
use dashmap::DashMap;
use domain::UnixMillis;
use domain::message::export::Progress;
use domain::message::front::ExportState;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// Exports known at once.
const MAX_JOBS: usize = 32;
/// An export runs at least at a tenth of real time on a loaded machine, and starts within a minute; some GStreamer
/// pipelines hang, so none runs for ever.
const DEADLINE_FACTOR: u64 = 10;
const DEADLINE_FLOOR: Duration = Duration::from_secs(120);

/// What of a meeting is copied, ms from its begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clip {
    /// Begin.
    pub from_ms: u64,
    /// End.
    pub to_ms: u64,
}

impl Clip {
    /// What is asked for, as far as the grant goes; `None`: nothing is left.
    pub fn of(grant: &OpenGrant, from_ms: Option<u64>, to_ms: Option<u64>) -> Option<Self> {
        let spans = &grant.reel.plan.spans;
        let (first, last) = (spans.first()?.from_ms, spans.last()?.to_ms);
        let clip = Self { from_ms: from_ms.unwrap_or(0).max(first), to_ms: to_ms.unwrap_or(u64::MAX).min(last) };
        (clip.from_ms < clip.to_ms).then_some(clip)
    }

    /// Its length.
    pub fn length_ms(&self) -> u64 {
        self.to_ms - self.from_ms
    }
}

/// Where a job stands.
enum Stage {
    Queued,
    Running(u8),
    Done { bytes: Arc<Zeroizing<Vec<u8>>>, _memory: Held },
    Failed(String),
    Cancelled,
}

/// One export.
pub struct Job {
    id: String,
    grant: Arc<OpenGrant>,
    clip: Clip,
    stage: Mutex<Stage>,
    stop: CancellationToken,
}

impl Job {
    /// As the page sees it.
    pub fn state(&self) -> ExportState {
        let stage = self.stage.lock().expect("nothing panics while it is held");
        let (state, percent, detail) = match &*stage {
            Stage::Queued => ("queued", 0, None),
            Stage::Running(percent) => ("running", *percent, None),
            Stage::Done { .. } => ("done", 100, None),
            Stage::Failed(detail) => ("failed", 0, Some(detail.clone())),
            Stage::Cancelled => ("cancelled", 0, None),
        };
        let href = matches!(*stage, Stage::Done { .. }).then(|| format!("/api/exports/{}/result", self.id));
        ExportState { id: self.id.clone(), state: state.to_owned(), percent, detail, href }
    }
    /// The grant it copies.
    pub fn grant(&self) -> &Arc<OpenGrant> {
        &self.grant
    }
    /// The finished file.
    pub fn result(&self) -> Option<Arc<Zeroizing<Vec<u8>>>> {
        match &*self.stage.lock().expect("nothing panics while it is held") {
            Stage::Done { bytes, .. } => Some(bytes.clone()),
            _ => None,
        }
    }
    fn set(&self, to: Stage) {
        let mut stage = self.stage.lock().expect("nothing panics while it is held");
        // cancelled and finished are final
        if matches!(*stage, Stage::Queued | Stage::Running(_)) {
            *stage = to;
        }
    }
}

/// All exports.
pub struct Exports {
    jobs: DashMap<String, Arc<Job>>,
    running: Arc<Semaphore>,
    folder: PathBuf,
}

impl Exports {
    /// None yet; removes what a killed front left under `exports`.
    pub fn new(exports: &std::path::Path) -> Self {
        folder::sweep(exports);
        Self { jobs: DashMap::new(), running: Arc::new(Semaphore::new(1)), folder: exports.to_owned() }
    }

    /// One export.
    pub fn get(&self, id: &str) -> Option<Arc<Job>> {
        self.jobs.get(id).map(|job| job.clone())
    }

    /// Drops jobs whose grant has ended: their result is wiped with them.
    pub fn sweep(&self, now: UnixMillis) {
        self.jobs.retain(|_, job| {
            let over = job.grant.until <= now || job.grant.has_ended();
            if over {
                job.stop.cancel();
            }
            !over
        });
    }

    /// Stops an export and forgets it.
    pub fn cancel(&self, id: &str) {
        if let Some((_, job)) = self.jobs.remove(id) {
            job.set(Stage::Cancelled);
            job.stop.cancel();
        }
    }

    /// Starts an export of an open grant whose ledger entry is durable; it holds `memory`, which [`needs`] said.
    pub fn start(&self, grant: Arc<OpenGrant>, clip: Clip, program: sandbox::Program, mut memory: Held) -> Arc<Job> {
        let id = hex::encode(rand::random::<[u8; 16]>());
        let (stage, stop) = (Mutex::new(Stage::Queued), CancellationToken::new());
        let job = Arc::new(Job { id: id.clone(), grant, clip, stage, stop });
        self.jobs.insert(id, job.clone());
        let (task, running, folder) = (job.clone(), self.running.clone(), self.folder.clone());
        tokio::spawn(async move {
            let deadline =
                DEADLINE_FLOOR + Duration::from_millis(task.clip.length_ms().saturating_mul(DEADLINE_FACTOR));
            let work = async {
                let _place = running.acquire().await.map_err(|_| "the front is stopping".to_owned())?;
                task.set(Stage::Running(0));
                tokio::time::timeout(deadline, run(&task, &program, &folder)).await.unwrap_or_else(|_| {
                    Err("the exporter did not finish in time and was stopped; try again or ask for a shorter interval"
                        .to_owned())
                })
            };
            tokio::select! {
                () = task.stop.cancelled() => task.set(Stage::Cancelled),
                done = work => match done {
                    Ok(bytes) => {
                        memory.keep(bytes.len() as u64);
                        tracing::info!(meeting = %task.grant.meeting, bytes = bytes.len(), "export done");
                        task.set(Stage::Done { bytes: Arc::new(bytes), _memory: memory });
                    }
                    Err(detail) => {
                        tracing::warn!("an export failed: {detail}");
                        task.set(Stage::Failed(detail));
                    }
                },
            }
        });
        job
    }

    /// Is there place for another?
    pub fn has_place(&self, now: UnixMillis) -> bool {
        self.sweep(now);
        self.jobs.len() < MAX_JOBS
    }
}

/// Memory an export takes at most: its result on the memory disk and read back.
pub fn needs(clip: Clip) -> u64 {
    sandbox::largest(clip.length_ms()).saturating_mul(2)
}

/// Runs the exporter; dropping this future kills the sandbox and removes its folder.
async fn run(
    job: &Arc<Job>,
    program: &sandbox::Program,
    folder: &std::path::Path,
) -> Result<Zeroizing<Vec<u8>>, String> {
    use tokio::io::AsyncBufReadExt;
    let mut sandbox = sandbox::start(program, folder, sandbox::largest(job.clip.length_ms()))?;
    let input = sandbox.input().ok_or("the exporter takes no input")?;
    let output = sandbox.output().ok_or("the exporter gives no output")?;
    let feeding = feed::feed(job.grant.clone(), job.clip, input);
    let listening = async {
        let mut lines = tokio::io::BufReader::new(output).lines();
        let mut end = Err("the exporter or its sandbox did not start; the front's log has its own words".to_owned());
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str::<Progress>(&line) {
                Ok(Progress::Running { percent }) => job.set(Stage::Running(percent.min(99))),
                Ok(Progress::Done { .. }) => end = Ok(()),
                Ok(Progress::Failed { detail }) => end = Err(detail),
                Err(_) => {}
            }
        }
        end
    };
    // an exporter that fails closes its input: its own word says more than the broken pipe
    let (fed, end) = tokio::join!(feeding, listening);
    end?;
    fed.map_err(|e| format!("not all of the meeting could be given to the exporter: {e}"))?;
    sandbox.result().await
}

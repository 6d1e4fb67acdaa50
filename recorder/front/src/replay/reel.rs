//! An opened meeting, part by part: what plays begins after one part is verified and decrypted, however long the meeting is,
//! and no more than a few parts are ever clear in memory. Holds the meeting keys for the time of its grant.

use crate::replay::keys::{ArchiveKeys, MeetingKeys};
use crate::replay::lanes;
use crate::replay::memory::{Held, Memory, NoMemory};
use crate::replay::opening::{self, FrameKeys, Interval, OpenMedia, OpeningError, Piece, Source};
use crate::replay::plan::Plan;
use crate::webm::{Placed, Webm};
use domain::ParticipantId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// Parts of a grant that stay clear at once: the one playing, the next, one for jumping back and one that is exported.
const MAX_CLEAR: usize = 4;
/// People opened at once: one thread each; more gain little over the disk.
const MAX_THREADS: usize = 4;

/// A clear part: one file per lane. Wiped when the last answer lets go.
pub struct Part {
    /// In the order of the lanes.
    pub lanes: Vec<Webm>,
    _memory: Held,
}

/// Why a part is not had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// The archive's fault.
    #[error(transparent)]
    Opening(#[from] OpeningError),
    /// Too little memory.
    #[error("there is no memory for it")]
    Memory(NoMemory),
    /// The front ends, or there is no such part.
    #[error("there is no such part")]
    Gone,
}

/// What all openings of a front share.
#[derive(Clone)]
pub struct Means {
    /// Memory for clear meetings.
    pub memory: Memory,
    /// Places for opening.
    pub openings: Arc<Semaphore>,
}

/// An opened meeting.
pub struct Reel {
    /// What it consists of.
    pub plan: Plan,
    /// Of each copy.
    keys: Vec<MeetingKeys>,
    means: Means,
    parts: Vec<tokio::sync::Mutex<Option<Arc<Part>>>>,
    recent: Mutex<VecDeque<usize>>,
}

impl Reel {
    /// Opens the chat of the interval, and no frame yet. Blocking.
    ///
    /// # Errors
    /// [`OpeningError`]: the keys are not this meeting's.
    pub fn new(mut plan: Plan, keys: Vec<MeetingKeys>, means: Means) -> Result<Self, OpeningError> {
        if !plan.said.is_empty() {
            let open = ArchiveKeys::open(&plan.copies, &keys)?;
            plan.read(|kept| open.read(&kept.from, &kept.said), |kept| open.card(&kept.from, &kept.said));
        }
        let parts = plan.spans.iter().map(|_| tokio::sync::Mutex::default()).collect();
        Ok(Self { plan, keys, means, parts, recent: Mutex::default() })
    }

    /// The meeting keys of each copy, for a bundle that both officers want with keys.
    pub fn keys(&self) -> &[MeetingKeys] {
        &self.keys
    }

    /// A part, opened now if it is not clear. Who asks at the same time waits for the first.
    ///
    /// # Errors
    /// [`PartError`].
    pub async fn part(self: &Arc<Self>, number: usize) -> Result<Arc<Part>, PartError> {
        self.part_in(number, None).await
    }

    /// The same, in memory that is held for it.
    ///
    /// # Errors
    /// [`PartError`].
    pub async fn part_in(self: &Arc<Self>, number: usize, held: Option<Held>) -> Result<Arc<Part>, PartError> {
        let mut place = self.parts.get(number).ok_or(PartError::Gone)?.lock().await;
        if let Some(part) = place.as_ref() {
            self.used(number);
            return Ok(part.clone());
        }
        let memory = held.map_or_else(|| self.hold(number), Ok)?;
        let turn = self.means.openings.clone().acquire_owned().await.map_err(|_| PartError::Gone)?;
        let reel = self.clone();
        // the place is kept also when nobody waits any more: what was begun ends, and the next waits its turn
        let opened = tokio::task::spawn_blocking(move || (reel.open(number, memory), turn)).await;
        let (part, _turn) = opened.map_err(|_| PartError::Gone)?;
        let part = Arc::new(part?);
        *place = Some(part.clone());
        self.used(number);
        Ok(part)
    }

    /// Memory for a part; older parts of this grant make room.
    fn hold(&self, number: usize) -> Result<Held, PartError> {
        let needs = self.plan.needs(number);
        self.means.memory.hold(needs).or_else(|_| {
            self.forget(0);
            self.means.memory.hold(needs).map_err(PartError::Memory)
        })
    }

    /// Notes the newest use of a part; the parts used longest ago are wiped.
    fn used(&self, number: usize) {
        let mut recent = self.recent.lock().expect("nothing panics while it is held");
        recent.retain(|one| *one != number);
        recent.push_back(number);
        drop(recent);
        self.forget(MAX_CLEAR);
    }

    /// Wipes all but the `keep` parts that were used last; one that is being opened or read stays as long as that takes.
    fn forget(&self, keep: usize) {
        let mut recent = self.recent.lock().expect("nothing panics while it is held");
        while recent.len() > keep {
            let Some(oldest) = recent.pop_front() else { return };
            if let Ok(mut place) = self.parts[oldest].try_lock() {
                *place = None;
            }
        }
    }

    /// Opens every lane of a part. Blocking.
    fn open(&self, number: usize, mut memory: Held) -> Result<Part, PartError> {
        let span = self.plan.spans[number];
        let interval = Interval { from_ms: span.begin_ms, to_ms: span.to_ms };
        let people: BTreeSet<&ParticipantId> = self.plan.lanes.iter().map(|lane| &lane.participant).collect();
        let people: Vec<&ParticipantId> = people.into_iter().collect();
        let opened = self.people(&people, interval)?;
        let unopened: u64 = opened.iter().map(|media| media.unopened).sum();
        if unopened > 0 {
            // the manifest lists them as gaps without a key; what else does not open is somebody's doing
            tracing::warn!(meeting = %self.plan.copies.manifest.meeting, part = number, unopened, "frames did not open");
        }
        let sources = opened.into_iter().map(|media| media.sources);
        let mut sources: BTreeMap<&ParticipantId, Vec<Source>> = people.into_iter().zip(sources).collect();
        let mut files = Vec::with_capacity(self.plan.lanes.len());
        for lane in &self.plan.lanes {
            let of_person = sources.remove(&lane.participant).unwrap_or_default();
            let (shown, others) = of_person.into_iter().partition(|source| lane.shows(source.slot));
            sources.insert(&lane.participant, others);
            files.push(lanes::file(lane, shown, span.begin_ms, span.to_ms - span.begin_ms));
        }
        memory.keep(files.iter().map(size).sum());
        Ok(Part { lanes: files, _memory: memory })
    }

    /// Opens these people's media, side by side.
    fn people(&self, people: &[&ParticipantId], interval: Interval) -> Result<Vec<OpenMedia>, OpeningError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS).min(people.len());
        let next = AtomicUsize::new(0);
        let work = || -> Result<Vec<(usize, OpenMedia)>, OpeningError> {
            let mut keys = ArchiveKeys::open(&self.plan.copies, &self.keys)?;
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(whose) = people.get(at) else { return Ok(done) };
                let mine: Vec<Piece<'_>> = self.plan.pieces_of(whose, interval).collect();
                let media = opening::media(&self.plan.copies, &mine, &self.plan.leaves, interval, &mut keys)?;
                done.push((at, media));
            }
        };
        let done: Result<Vec<_>, OpeningError> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            running.into_iter().map(|one| one.join().expect("opening does not panic")).collect()
        });
        let mut all: Vec<(usize, OpenMedia)> = done?.into_iter().flatten().collect();
        all.sort_by_key(|(at, _)| *at);
        Ok(all.into_iter().map(|(_, media)| media).collect())
    }
}

/// Bytes a file takes in memory.
fn size(file: &Webm) -> u64 {
    (file.bytes.len() + file.frames.len() * size_of::<Placed>()) as u64
}

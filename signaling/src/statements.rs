//! Signed statements, each a COSE_Sign1 of a firm about a room: judged, kept in the database with all versions, handed out;
//! never made here. They come by the REST interface, and as files in a folder, which is looked into before each read, so a new
//! statement counts from the next meeting on.

use crate::truth::Truth;
use domain::{B64, RoomId, UnixMillis};
use evidence::identity::TrustMap;
use evidence::statement::judge_statement;
use signaling_store::database::DatabaseError;
use signaling_store::records::{Stated, Stored};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// A statement is a few hundred bytes.
const MAX_FILE: u64 = 64 * 1024;
/// Files looked at: 64 firms in a few dozen rooms.
const MAX_FILES: usize = 4_096;

/// When a file was written and how long it is: another one is read.
type Stamp = (SystemTime, u64);

/// The statements of all firms.
pub struct Statements {
    folder: PathBuf,
    trust: Arc<TrustMap>,
    truth: Arc<Truth>,
    /// Files that were taken in, or were not worth it.
    seen: Mutex<Arc<HashMap<PathBuf, Stamp>>>,
    /// Hashes of statements that judged well under the trust map of this process.
    good: Mutex<HashSet<[u8; 32]>>,
}

impl Statements {
    /// With the folder that they come in by.
    pub fn new(folder: PathBuf, trust: Arc<TrustMap>, truth: Arc<Truth>) -> Self {
        Self { folder, trust, truth, seen: Mutex::default(), good: Mutex::default() }
    }

    /// Can the folder and the database be read?
    pub async fn readable(&self) -> bool {
        let folder = std::fs::read_dir(&self.folder).is_ok();
        folder && self.truth.records.stated_rooms().await.is_ok()
    }

    /// The newest statement of every firm about `room`, ordered by firm. Those that do not judge well any more are named in
    /// the log and left out.
    pub async fn about(&self, now: UnixMillis, room: &RoomId) -> Result<Vec<Stated>, DatabaseError> {
        self.take_in(now).await?;
        let (standing, mut all) = self.truth.records.statements_for(room, self.truth.term()).await?;
        self.truth.hear(standing);
        if self.truth.is_replaced() {
            return Err(DatabaseError::Failed("another signaling took this one's place".to_owned()));
        }
        all.retain(|one| self.is_good(one));
        Ok(all)
    }

    /// Rooms that firms have statements about: meetings can be in no other.
    pub async fn rooms(&self, now: UnixMillis) -> Result<BTreeSet<RoomId>, DatabaseError> {
        self.take_in(now).await?;
        self.truth.records.stated_rooms().await
    }

    /// Keeps one that judged well.
    pub async fn put(&self, one: Stated, now: UnixMillis) -> Result<Stored, DatabaseError> {
        let stored = self.truth.records.put_statements(&[one], now).await?;
        Ok(stored.first().copied().unwrap_or(Stored::Known))
    }

    fn is_good(&self, one: &Stated) -> bool {
        let hash = evidence::sha256(&one.signed);
        let mut good = self.good.lock().unwrap_or_else(PoisonError::into_inner);
        if good.contains(&hash) {
            return true;
        }
        if let Err(why) = judge_statement(&self.trust, &one.signed) {
            tracing::warn!(firm = %one.firm, serial = one.serial, "a statement is left out: {why}");
            service::security::report(service::security::Event::StatementRefused);
            return false;
        }
        if good.len() >= MAX_FILES {
            good.clear();
        }
        good.insert(hash)
    }

    /// Takes in what is new in the folder. A folder that cannot be read brings nothing new, and is said.
    async fn take_in(&self, now: UnixMillis) -> Result<(), DatabaseError> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (folder, trust) = (self.folder.clone(), self.trust.clone());
        let look = tokio::task::spawn_blocking(move || new_in(&folder, &trust, &seen)).await;
        let found = look.unwrap_or_else(|ended| Err(std::io::Error::other(ended))).unwrap_or_else(|error| {
            tracing::error!("cannot look into the folder of statements: {error}");
            Vec::new()
        });
        if found.is_empty() {
            return Ok(());
        }
        let stated: Vec<Stated> = found.iter().filter_map(|found| found.stated.clone()).collect();
        self.truth.records.put_statements(&stated, now).await?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = Arc::make_mut(&mut seen);
        if seen.len() >= 2 * MAX_FILES {
            seen.clear();
        }
        seen.extend(found.into_iter().map(|found| (found.path, found.stamp)));
        Ok(())
    }
}

/// A file that was not there before, or was another one.
struct Found {
    path: PathBuf,
    stamp: Stamp,
    /// `None` where it is no good statement.
    stated: Option<Stated>,
}

fn new_in(folder: &Path, trust: &TrustMap, seen: &HashMap<PathBuf, Stamp>) -> std::io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)?.take(MAX_FILES) {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "cose") {
            continue;
        }
        let about = std::fs::metadata(&path)?;
        let stamp = (about.modified()?, about.len());
        if seen.get(&path) == Some(&stamp) {
            continue;
        }
        let stated = if about.len() > MAX_FILE {
            tracing::warn!("{} is too long for a statement: left out", path.display());
            None
        } else {
            judged(trust, &path, std::fs::read(&path)?)
        };
        found.push(Found { path, stamp, stated });
    }
    Ok(found)
}

fn judged(trust: &TrustMap, path: &Path, signed: Vec<u8>) -> Option<Stated> {
    match judge_statement(trust, &signed) {
        Ok(it) => Some(Stated { firm: it.firm, room: it.room, serial: it.serial, signed: B64(signed) }),
        Err(why) => {
            tracing::warn!("{}: {why}: left out", path.display());
            service::security::report(service::security::Event::StatementRefused);
            None
        }
    }
}

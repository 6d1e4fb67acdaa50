//! Acts of retention that officers signed on the front's pages: once two have, they are carried out here, and what came of
//! each is written for the front. Nothing that the front says is believed: signatures and rules are judged again.

use super::books::place;
use super::office::{Carried, Office, OfficeError};
use crate::store::StoreError;
use domain::message::retention::{ActOutcome, RetentionState};
use domain::{MeetingId, UnixMillis};
use evidence::archive::names;
use evidence::cbor;
use evidence::retention::{Act, Phase, What};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// What a store, custody or the log kept from being done is tried again after, ms.
const RETRY_MS: u64 = 60_000;
/// Largest signed file that is read: the front takes none larger.
const MAX_SIGNED: u64 = 16 * 1024;

/// Two officers' signatures as they lie in the archive.
struct Both {
    id: String,
    meeting: MeetingId,
    what: What,
    act: Vec<u8>,
    consent: Vec<u8>,
}

/// The spool of acts.
pub struct Spool {
    office: Office,
    acts: Acts,
    /// Acts that were looked at, each with when it is tried again; `None`: it is over.
    seen: BTreeMap<String, Option<UnixMillis>>,
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(MAX_SIGNED + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_SIGNED).then_some(bytes)
}

/// Which acts a spool carries out. A disposal may take hours: a hold must not wait behind it, so each has a spool of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acts {
    /// Holds, releases, longer classes.
    Keeping,
    /// Disposals.
    Disposing,
}

impl Acts {
    fn of(what: &What) -> Self {
        if matches!(what, What::Dispose {}) { Self::Disposing } else { Self::Keeping }
    }
}

impl Spool {
    /// Of an archive, with nothing looked at.
    pub fn new(office: Office, acts: Acts) -> Self {
        Self { office, acts, seen: BTreeMap::new() }
    }

    fn outcome(&self, id: &str) -> PathBuf {
        self.office.archive.join(self.office.firm.as_str()).join(names::ACTS).join(format!("{id}.json"))
    }

    /// Looks once, and carries out what is there.
    pub async fn round(&mut self) {
        let now = (self.office.clock)();
        let mut due: Vec<Both> = self.ids().into_iter().filter_map(|id| self.due(id, now)).collect();
        // what keeps goes before what lets go
        due.sort_by_key(|both| (matches!(both.what, What::Release {}), both.id.clone()));
        for both in due {
            let outcome = self.carry(&both).await;
            let again = (outcome.state == RetentionState::Signed).then(|| outcome.at.plus(RETRY_MS));
            self.say(&both, &outcome);
            self.seen.insert(both.id, again);
        }
    }

    /// Acts with a consent beside them.
    fn ids(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.office.archive.join(names::ACTS)) else { return Vec::new() };
        let named = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let id = name.strip_suffix(names::CONSENT)?;
            let is_ours = !id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit());
            is_ours.then(|| id.to_owned())
        };
        entries.filter_map(named).collect()
    }

    fn due(&mut self, id: String, now: UnixMillis) -> Option<Both> {
        match self.seen.get(&id) {
            Some(None) => return None,
            Some(Some(at)) if now < *at => return None,
            Some(Some(_)) => {}
            None => {
                // what an earlier process ended
                let said = std::fs::read(self.outcome(&id)).ok();
                let said: Option<ActOutcome> = said.and_then(|bytes| serde_json::from_slice(&bytes).ok());
                if said.is_some_and(|said| said.state != RetentionState::Signed) {
                    self.seen.insert(id, None);
                    return None;
                }
            }
        }
        let at = |kind: &str| read(&self.office.archive.join(names::ACTS).join(format!("{id}{kind}")));
        let both = at(names::ACT).zip(at(names::CONSENT)).and_then(|(act, consent)| {
            // only to know what to ask the office for: it judges
            let said: Act = cbor::decode(&evidence::cose::payload_unverified(&act)?).ok()?;
            Some(Both { id: id.clone(), meeting: said.meeting, what: said.what, act, consent })
        });
        if both.is_none() {
            tracing::warn!(act = %id, "an act of retention cannot be read; it is left out");
        }
        let both = both.filter(|both| Acts::of(&both.what) == self.acts);
        if both.is_none() {
            self.seen.insert(id, None);
        }
        both
    }

    async fn carry(&self, both: &Both) -> ActOutcome {
        let done = self.office.carry(&both.meeting, &both.act, &both.consent).await;
        let at = (self.office.clock)();
        match done {
            Ok(Carried::Done) => {
                tracing::info!(meeting = %both.meeting, what = both.what.name(), "an act of retention was carried out");
                ActOutcome { state: RetentionState::Done, detail: String::new(), at }
            }
            Ok(Carried::Disposed(tally)) => {
                tracing::info!(meeting = %both.meeting, objects = tally.objects, "the meeting was disposed of");
                let detail = format!("{} objects, {} of them with sealed keys first", tally.objects, tally.keys);
                ActOutcome { state: RetentionState::Done, detail, at }
            }
            Err(error) => {
                let again = self.is_tried_again(both, &error);
                let detail = error.to_string();
                tracing::warn!(meeting = %both.meeting, what = both.what.name(), again, "an act of retention was not carried out: {detail}");
                ActOutcome { state: if again { RetentionState::Signed } else { RetentionState::Refused }, detail, at }
            }
        }
    }

    /// A store, custody or the disk may come back; what stands in the book is carried out as long as it holds.
    fn is_tried_again(&self, both: &Both, error: &OfficeError) -> bool {
        match error {
            OfficeError::Refused(_) | OfficeError::Act(_) | OfficeError::Unknown(_) | OfficeError::OtherAct { .. } => {
                false
            }
            OfficeError::Store(_, _, StoreError::Refused(_)) => {
                let book = self.office.books().read(&both.meeting).ok().flatten();
                let goes_on = |phase| self.acts == Acts::Keeping || matches!(phase, Phase::Disposing { .. });
                book.is_some_and(|book| book.has(&both.act) && goes_on(book.standing.phase()))
            }
            _ => true,
        }
    }

    fn say(&self, both: &Both, outcome: &ActOutcome) {
        let path = self.outcome(&both.id);
        let bytes = serde_json::to_vec(outcome).expect("plain data");
        if let Err(e) = place(&path, &bytes) {
            tracing::warn!("{}: {e}; the officers' page does not show what came of an act", path.display());
        }
    }
}

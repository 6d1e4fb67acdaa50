//! Acts of retention as officers signed them, under the archive's `acts/`, from where the firm's recorder carries them out;
//! and the books that it keeps of each meeting, read here alone. Nothing here changes a meeting.

use crate::review::requests::{ReviewError, write_durably};
use dashmap::DashMap;
use domain::message::retention::{
    ActOutcome, RetentionAct, RetentionHold, RetentionPhase, RetentionRow, RetentionState,
};
use domain::{FirmId, MeetingId, ParticipantId, UnixMillis};
use evidence::archive::names;
use evidence::grant::MAX_REQUEST_AGE_MS;
use evidence::identity::TrustMap;
use evidence::retention::{Act, Book, CLASSES, MAX_ENTRIES, Phase, Standing, What, judge_signatures, signed_act};
use std::path::{Path, PathBuf};

/// Acts kept in memory; a firm's officers make a few a week.
const MAX_ACTS: usize = 20_000;

/// An act and who consented.
#[derive(Clone)]
pub struct Stored {
    /// Begin of the SHA-256 of the signed act.
    pub id: String,
    /// As signed.
    pub signed: Vec<u8>,
    /// What it says.
    pub act: Act,
    /// Who signed it.
    pub first: ParticipantId,
    /// Who consented.
    pub second: Option<ParticipantId>,
}

/// The acts and the books of a firm.
pub struct Retention {
    acts: PathBuf,
    outcomes: PathBuf,
    books: PathBuf,
    firm: FirmId,
    trust: TrustMap,
    all: DashMap<String, Stored>,
}

/// `<id>` of a signed act.
pub fn id_of(signed: &[u8]) -> String {
    hex::encode(&evidence::sha256(signed)[..16])
}

impl Retention {
    /// Reads the acts of an archive. What does not hold is named in the log and left out.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(archive: &Path, firm: FirmId, trust: TrustMap) -> std::io::Result<Self> {
        let acts = archive.join(names::ACTS);
        std::fs::create_dir_all(&acts)?;
        let own = archive.join(firm.as_str());
        let retention = Self {
            outcomes: own.join(names::ACTS),
            books: own.join(names::BOOKS),
            acts,
            firm,
            trust,
            all: DashMap::new(),
        };
        for entry in std::fs::read_dir(&retention.acts)? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            let Some(id) = name.strip_suffix(names::ACT) else { continue };
            match retention.reread(id) {
                Some(stored) => drop(retention.all.insert(stored.id.clone(), stored)),
                None => tracing::warn!(act = %id, "this act of retention does not hold and is left out"),
            }
        }
        Ok(retention)
    }

    fn reread(&self, id: &str) -> Option<Stored> {
        let signed = std::fs::read(self.acts.join(format!("{id}{}", names::ACT))).ok()?;
        let claimed: Act = evidence::cbor::decode(&evidence::cose::payload_unverified(&signed)?).ok()?;
        // judged as of its own time: an old act stays on the list
        let (act, first) = signed_act(&self.trust, &self.firm, &signed, claimed.issued_at).ok()?;
        let consent = std::fs::read(self.acts.join(format!("{id}{}", names::CONSENT))).ok();
        let judged = consent.and_then(|consent| {
            let payload = evidence::cose::payload_unverified(&consent)?;
            let answer: evidence::retention::Consent = evidence::cbor::decode(&payload).ok()?;
            let at = answer.issued_at.max(act.issued_at);
            judge_signatures(&self.trust, &self.firm, &signed, &consent, at).ok()
        });
        let second = judged.map(|judged| judged.second);
        (id_of(&signed) == id).then(|| Stored { id: id.to_owned(), signed, act, first, second })
    }

    /// One act.
    pub fn get(&self, id: &str) -> Option<Stored> {
        self.all.get(id).map(|stored| stored.clone())
    }

    /// Keeps an act that was judged; durable when it returns. Blocking.
    ///
    /// # Errors
    /// [`ReviewError::Storage`], [`ReviewError::Full`].
    pub fn keep(&self, signed: &[u8], act: Act, first: ParticipantId) -> Result<(), ReviewError> {
        if self.all.len() >= MAX_ACTS {
            return Err(ReviewError::Full);
        }
        let id = id_of(signed);
        write_durably(&self.acts, &format!("{id}{}", names::ACT), signed)?;
        self.all.insert(id.clone(), Stored { id, signed: signed.to_vec(), act, first, second: None });
        Ok(())
    }

    /// Keeps a consent that was judged: from now on the recorder carries the act out. Blocking.
    ///
    /// # Errors
    /// [`ReviewError::Storage`], [`ReviewError::Unknown`].
    pub fn keep_consent(&self, id: &str, consent: &[u8], second: ParticipantId) -> Result<(), ReviewError> {
        let mut stored = self.all.get_mut(id).ok_or(ReviewError::Unknown)?;
        write_durably(&self.acts, &format!("{id}{}", names::CONSENT), consent)?;
        stored.second = Some(second);
        Ok(())
    }

    /// The book of a meeting; `None`: nothing was ever done about it. Blocking.
    ///
    /// # Errors
    /// A text for the officer: what is wrong with it.
    pub fn book(&self, meeting: &MeetingId) -> Result<Option<Book>, String> {
        let folder = self.books.join(meeting.as_str());
        let Ok(files) = std::fs::read_dir(&folder) else { return Ok(None) };
        let is_entry = |name: &std::ffi::OsStr| Path::new(name).extension().is_some_and(|kind| kind == "cbor");
        let entries = files.filter(|file| file.as_ref().is_ok_and(|file| is_entry(&file.file_name()))).count() as u64;
        if entries == 0 {
            return Ok(None);
        }
        let read = |n: u64| std::fs::read(folder.join(format!("{n:05}.cbor")));
        let bytes: Result<Vec<Vec<u8>>, _> = (0..entries.min(MAX_ENTRIES)).map(read).collect();
        let bytes = bytes.map_err(|_| "an entry of its book of retention is missing".to_owned())?;
        let book = Book::read(&self.trust, &self.firm, bytes.iter().map(Vec::as_slice));
        let book = book.map_err(|e| format!("its book of retention does not hold: {e}"))?;
        if book.meeting == *meeting { Ok(Some(book)) } else { Err("its book is of another meeting".to_owned()) }
    }

    /// Meetings that have a book. Blocking.
    pub fn books(&self) -> Vec<MeetingId> {
        let Ok(folders) = std::fs::read_dir(&self.books) else { return Vec::new() };
        folders.filter_map(|one| one.ok()?.file_name().to_str()?.parse().ok()).collect()
    }

    /// All acts, newest first. Blocking.
    pub fn acts(&self, now: UnixMillis) -> Vec<RetentionAct> {
        let mut rows: Vec<RetentionAct> = self.all.iter().map(|one| self.act_row(one.value(), now)).collect();
        rows.sort_by(|a, b| b.issued_at.cmp(&a.issued_at).then_with(|| a.id.cmp(&b.id)));
        rows
    }

    fn act_row(&self, stored: &Stored, now: UnixMillis) -> RetentionAct {
        let said = std::fs::read(self.outcomes.join(format!("{}.json", stored.id))).ok();
        let said: Option<ActOutcome> = said.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let waits = now.since(stored.act.issued_at) <= MAX_REQUEST_AGE_MS;
        let (state, detail) = match (said, &stored.second) {
            (Some(said), Some(_)) => (said.state, said.detail),
            (None, Some(_)) => (RetentionState::Signed, String::new()),
            (_, None) => (if waits { RetentionState::Waiting } else { RetentionState::Lapsed }, String::new()),
        };
        let years = if let What::Raise { years } = stored.act.what { Some(years) } else { None };
        RetentionAct {
            id: stored.id.clone(),
            meeting: stored.act.meeting.clone(),
            what: stored.act.what.name().to_owned(),
            years,
            case: stored.act.case.clone(),
            reason: stored.act.reason.clone(),
            first: stored.first.user.to_string(),
            second: stored.second.as_ref().map(|second| second.user.to_string()),
            issued_at: stored.act.issued_at,
            state,
            detail,
            signed: stored.signed.as_slice().into(),
        }
    }
}

/// A meeting's row, of what holds of it.
pub fn row(meeting: MeetingId, title: String, manifest_hash: &[u8], standing: &Standing) -> RetentionRow {
    let (phase, disposed_at) = match standing.phase() {
        Phase::Kept => (RetentionPhase::Kept, None),
        Phase::Disposing { .. } => (RetentionPhase::Disposing, None),
        Phase::Stopped => (RetentionPhase::Stopped, None),
        Phase::Disposed { at } => (RetentionPhase::Disposed, Some(at)),
    };
    let hold = |(case, held): (&String, &evidence::retention::Held)| RetentionHold {
        case: case.clone(),
        reason: held.reason.clone(),
        since: held.at,
        by: held.by.clone().map(|who| who.user.to_string()),
    };
    let later = |years: &u16| standing.ended_at().plus_years(*years) > standing.until();
    RetentionRow {
        meeting,
        title,
        ended_at: standing.ended_at(),
        until: standing.until(),
        class_years: standing.class().map_or(0, |class| class.years),
        raises: CLASSES.iter().map(|class| class.years).filter(later).collect(),
        phase,
        disposed_at,
        holds: standing.holds().iter().map(hold).collect(),
        inside: false,
        manifest_hash: manifest_hash.into(),
        problem: None,
    }
}

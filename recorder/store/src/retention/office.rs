//! Carries out what two officers signed: into the book and the firm's log, then in the recorder's own folder and every
//! store. Stops at the first thing that stands against it, and goes on from there when it is asked again.

use super::books::{Books, BooksError, Guard, Log};
use super::disposal::{Disposal, Piece, Step, Tally};
use crate::directory::Clock;
use crate::layout::{self, Folder};
use crate::store::{ArchiveStore, Hold, StoreError};
use crate::upload::state_file;
use domain::{FirmId, MeetingId};
use evidence::archive::{Digest, MEETING_LABEL, MeetingManifest, names};
use evidence::cose;
use evidence::grant::{GrantError, Subject};
use evidence::identity::TrustMap;
use evidence::key::PublicKey;
use evidence::retention::{Book, Entry, Event, Judged, Phase, Refusal, Standing, What, judge, used};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A local meeting that is being disposed of lies here, below the firm's folder: neither recorder nor front see it.
const LEAVING: &str = "disposing";
/// The recorder's own folder among the places.
const LOCAL: &str = "local";

/// Why something was not done, or not to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfficeError {
    /// Not in the archive.
    #[error("the archive has no closed meeting {0}, nor a book of it")]
    Unknown(MeetingId),
    /// Its local manifest does not hold, or is not there.
    #[error("{0}: {1}; restore it from a store first")]
    Manifest(PathBuf, String),
    /// Its book.
    #[error(transparent)]
    Book(#[from] BooksError),
    /// The signatures.
    #[error(transparent)]
    Act(#[from] GrantError),
    /// The rules.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The act is about something else than the command.
    #[error("the act says {found}, the command {wanted}")]
    OtherAct {
        /// In the act.
        found: &'static str,
        /// In the command.
        wanted: &'static str,
    },
    /// A store did not do it: it refuses, or is away.
    #[error("the store {0}: {1}: {2}")]
    Store(String, String, StoreError),
    /// The disk.
    #[error("{0}: {1}")]
    Disk(PathBuf, std::io::Error),
}

/// What came of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carried {
    /// The date and the holds are on every object of every store.
    Done,
    /// This meeting was destroyed.
    Disposed(Tally),
}

/// What a disposal would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Which meeting.
    pub meeting: String,
    /// What stands against it; `None`: it may go.
    pub refused: Option<String>,
    /// What is there.
    pub places: Vec<PlannedPlace>,
}

/// What one place has of a meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedPlace {
    /// `local`, or the store's name.
    pub place: String,
    /// Files or versions that hold sealed keys.
    pub keys: u64,
    /// All.
    pub objects: u64,
}

/// Where closed meetings are kept and judged.
pub struct Office {
    /// The archive folder.
    pub archive: PathBuf,
    /// Whose.
    pub firm: FirmId,
    /// By which signatures are judged.
    pub trust: Arc<TrustMap>,
    /// All stores.
    pub stores: Vec<Arc<dyn ArchiveStore>>,
    /// The firm's log.
    pub log: Arc<dyn Log>,
    /// The time.
    pub clock: Clock,
}

impl Office {
    /// The books.
    pub fn books(&self) -> Books {
        Books::new(&self.archive, &self.firm, self.trust.clone())
    }

    fn leaving(&self, meeting: &MeetingId) -> PathBuf {
        self.archive.join(self.firm.as_str()).join(LEAVING).join(meeting.as_str())
    }

    fn local(&self, meeting: &MeetingId) -> Option<Folder> {
        layout::meetings(&self.archive, &self.firm).into_iter().find(|folder| folder.meeting == *meeting)
    }

    /// The meeting's folder with its manifest, also while it is being disposed of.
    fn here(&self, meeting: &MeetingId) -> Option<Folder> {
        let leaving = Folder { meeting: meeting.clone(), prefix: String::new(), path: self.leaving(meeting) };
        self.local(meeting).or_else(|| leaving.path.join(names::MEETING).exists().then_some(leaving))
    }

    /// The signed manifest of a meeting whose folder is here, judged.
    ///
    /// # Errors
    /// [`OfficeError::Manifest`].
    pub fn manifest(&self, folder: &Folder) -> Result<(MeetingManifest, Vec<u8>), OfficeError> {
        let path = folder.path.join(names::MEETING);
        let bad = |why: String| OfficeError::Manifest(path.clone(), why);
        let signed = std::fs::read(&path).map_err(|e| bad(e.to_string()))?;
        let key = self.trust.firm(&self.firm).and_then(|own| PublicKey::from_spki(&own.record_key).ok());
        let key = key.ok_or_else(|| bad("the trust map does not know our firm".to_owned()))?;
        let payload = cose::verify(MEETING_LABEL, &signed, &key).map_err(|e| bad(e.to_string()))?;
        let manifest = MeetingManifest::from_cbor(&payload).filter(|one| one.meeting == folder.meeting);
        Ok((manifest.ok_or_else(|| bad("not this meeting's manifest".to_owned()))?, signed))
    }

    /// What an act about the meeting names: the SHA-256 of its signed manifest.
    ///
    /// # Errors
    /// [`OfficeError`].
    pub fn manifest_hash(&self, meeting: &MeetingId) -> Result<Digest, OfficeError> {
        if let Some(folder) = self.here(meeting) {
            return Ok(evidence::archive::sha256(&self.manifest(&folder)?.1));
        }
        let book = self.books().read(meeting)?;
        book.map(|book| book.manifest_hash).ok_or_else(|| OfficeError::Unknown(meeting.clone()))
    }

    /// What holds of a meeting now.
    ///
    /// # Errors
    /// [`OfficeError`].
    pub fn standing(&self, meeting: &MeetingId) -> Result<Standing, OfficeError> {
        if let Some(book) = self.books().read(meeting)? {
            return Ok(book.standing);
        }
        let folder = self.local(meeting).ok_or_else(|| OfficeError::Unknown(meeting.clone()))?;
        let (manifest, _) = self.manifest(&folder)?;
        Ok(Standing::new(manifest.ended_at, manifest.retain_until))
    }

    /// Judges an act at this moment; nothing is done.
    ///
    /// # Errors
    /// [`OfficeError`]: why it will not be.
    pub fn judge(
        &self,
        meeting: &MeetingId,
        wanted: &'static str,
        act: &[u8],
        consent: &[u8],
    ) -> Result<Judged, OfficeError> {
        let judged = self.judge_any(meeting, act, consent)?;
        match judged.act.what.name() {
            found if found == wanted => Ok(judged),
            found => Err(OfficeError::OtherAct { found, wanted }),
        }
    }

    fn judge_any(&self, meeting: &MeetingId, act: &[u8], consent: &[u8]) -> Result<Judged, OfficeError> {
        let book = self.books().read(meeting)?;
        if book.as_ref().is_some_and(|book| book.has(act)) {
            return Err(used().into());
        }
        let (manifest_hash, roster): (_, Vec<_>) = match self.here(meeting) {
            Some(folder) => {
                let (manifest, signed) = self.manifest(&folder)?;
                let roster = manifest.roster.iter().map(|one| one.participant.clone()).collect();
                (evidence::sha256(&signed), roster)
            }
            // a disposal destroyed the manifest already: what is left can still be held
            None => (book.ok_or_else(|| OfficeError::Unknown(meeting.clone()))?.manifest_hash.0, Vec::new()),
        };
        let subject = Subject { firm: &self.firm, meeting, manifest_hash, roster: &roster };
        Ok(judge(&self.trust, subject, act, consent, (self.clock)())?)
    }

    /// Carries out an act whatever it asks for: taken, unless the book has it already, then applied, or disposed. May be
    /// called again after a failure of a store, or a restart.
    ///
    /// # Errors
    /// [`OfficeError`]: what stopped it.
    pub async fn carry(&self, meeting: &MeetingId, act: &[u8], consent: &[u8]) -> Result<Carried, OfficeError> {
        let known = self.books().read(meeting)?.filter(|book| book.has(act));
        let book = match known {
            Some(book) => book,
            None => {
                let judged = self.judge_any(meeting, act, consent)?;
                self.take(meeting, judged.act.what.name(), act, consent).await?
            }
        };
        let last = book.entries.iter().rev().find_map(|(entry, judged)| match &entry.event {
            Event::Act { act: taken, .. } if taken.as_slice() == act => judged.as_ref(),
            _ => None,
        });
        match (last.map(|judged| &judged.act.what), book.standing.phase()) {
            (Some(What::Dispose {}), Phase::Disposed { .. }) => Ok(Carried::Done),
            (Some(What::Dispose {}), _) => self.dispose(meeting).await.map(Carried::Disposed),
            _ => self.apply(&book).await.map(|_| Carried::Done),
        }
    }

    /// Takes an act: judged, then in the log and the book. What follows from it is [`Self::apply`]'s or [`Self::dispose`]'s.
    ///
    /// # Errors
    /// [`OfficeError`]; nothing has changed then.
    pub async fn take(
        &self,
        meeting: &MeetingId,
        wanted: &'static str,
        act: &[u8],
        consent: &[u8],
    ) -> Result<Book, OfficeError> {
        let books = self.books();
        let guard = books.guard().await?;
        let judged = self.judge(meeting, wanted, act, consent)?;
        let now = (self.clock)();
        let mut book = match books.read(meeting)? {
            Some(book) => book,
            None => {
                // judged before a book is begun: a refused act leaves nothing behind
                self.standing(meeting)?.take(now, &judged)?;
                self.begin(&books, &guard, meeting).await?
            }
        };
        book.standing.clone().take(now, &judged)?;
        let entry =
            book.entry(&self.firm, now, Event::Act { act: act.to_vec().into(), consent: consent.to_vec().into() });
        self.add(&books, &guard, &mut book, &entry).await?;
        Ok(book)
    }

    async fn begin(&self, books: &Books, guard: &Guard, meeting: &MeetingId) -> Result<Book, OfficeError> {
        let folder = self.local(meeting).ok_or_else(|| OfficeError::Unknown(meeting.clone()))?;
        let (manifest, signed) = self.manifest(&folder)?;
        let proof = folder.path.join(names::PROOF);
        let proof = std::fs::read(&proof).map_err(|e| OfficeError::Manifest(proof, e.to_string()))?;
        let kept = Event::Kept {
            ended_at: manifest.ended_at,
            retain_until: manifest.retain_until,
            prefix: folder.prefix,
            proof: proof.into(),
        };
        let entry = Entry {
            version: 1,
            firm: self.firm.clone(),
            meeting: meeting.clone(),
            manifest_hash: evidence::archive::sha256(&signed),
            index: 0,
            previous: Digest([0; 32]),
            at: (self.clock)(),
            event: kept,
        };
        books.append(guard, &entry, &*self.log).await?;
        books.read(meeting)?.ok_or_else(|| OfficeError::Unknown(meeting.clone()))
    }

    async fn add(&self, books: &Books, guard: &Guard, book: &mut Book, entry: &Entry) -> Result<(), OfficeError> {
        let mut after = book.clone();
        after.take(&self.trust, &self.firm, &entry.to_cbor()).map_err(|fault| {
            let error = evidence::retention::BookError { index: entry.index, fault };
            OfficeError::Book(BooksError::Broken(books.folder(&book.meeting), error))
        })?;
        books.append(guard, entry, &*self.log).await?;
        *book = after;
        Ok(())
    }

    /// Puts date and hold of a meeting on every version of every object, its keys included, in every store. Returns how many
    /// there are for each store.
    ///
    /// # Errors
    /// [`OfficeError::Store`]: the act stands, and the running recorder goes on with it.
    pub async fn apply(&self, book: &Book) -> Result<Vec<(String, u64)>, OfficeError> {
        let hold = if book.standing.holds().is_empty() { Hold::Free } else { Hold::Held };
        let mut done = Vec::new();
        for store in &self.stores {
            let failed = |key: &str| {
                let (name, key) = (store.name().to_owned(), key.to_owned());
                move |e| OfficeError::Store(name, key, e)
            };
            let all = store.versions(&book.prefix).await.map_err(failed(&book.prefix))?;
            for one in &all {
                let lock = store.lock(&one.key, &one.id).await.map_err(failed(&one.key))?;
                if lock.until.is_none_or(|until| until < book.standing.until()) {
                    store.extend(&one.key, &one.id, book.standing.until()).await.map_err(failed(&one.key))?;
                }
                if lock.hold != hold {
                    store.hold(&one.key, &one.id, hold).await.map_err(failed(&one.key))?;
                }
            }
            done.push((store.name().to_owned(), all.len() as u64));
        }
        Ok(done)
    }

    async fn pieces(&self, folder: Option<&Path>, prefix: &str) -> Result<Vec<Piece>, OfficeError> {
        let mut pieces = Vec::new();
        if let Some(folder) = folder {
            let all = layout::files(folder).map_err(|e| OfficeError::Disk(folder.to_owned(), e))?;
            pieces.extend(all.into_iter().map(|path| Piece { place: 0, path, version: String::new() }));
        }
        for (n, store) in self.stores.iter().enumerate() {
            let versions = store.versions(prefix).await;
            let versions = versions.map_err(|e| OfficeError::Store(store.name().to_owned(), prefix.to_owned(), e))?;
            let path = |key: &str| key.strip_prefix(prefix).unwrap_or(key).to_owned();
            pieces.extend(versions.iter().map(|one| Piece {
                place: n + 1,
                path: path(&one.key),
                version: one.id.clone(),
            }));
        }
        Ok(pieces)
    }

    fn place(&self, place: usize) -> &str {
        if place == 0 { LOCAL } else { self.stores[place - 1].name() }
    }

    /// What a disposal by this act would do; nothing is done.
    ///
    /// # Errors
    /// [`OfficeError`] for what is no answer to the question.
    pub async fn plan(&self, meeting: &MeetingId, signed: Option<(&[u8], &[u8])>) -> Result<Plan, OfficeError> {
        let mut standing = self.standing(meeting)?;
        let now = (self.clock)();
        let allowed = match signed {
            None => standing.may_delete(now),
            Some((act, consent)) => {
                let judged = self.judge(meeting, What::Dispose {}.name(), act, consent)?;
                standing.take(now, &judged)
            }
        };
        let leaving = self.leaving(meeting);
        let local = self.local(meeting);
        let folder = local.as_ref().map(|one| one.path.clone()).or_else(|| leaving.is_dir().then_some(leaving));
        let book = self.books().read(meeting)?;
        let prefix = local.map(|one| one.prefix).or_else(|| book.map(|book| book.prefix));
        let prefix = prefix.ok_or_else(|| OfficeError::Unknown(meeting.clone()))?;
        let pieces = self.pieces(folder.as_deref(), &prefix).await?;
        let places = (0..=self.stores.len()).map(|place| {
            let here = pieces.iter().filter(|one| one.place == place);
            let keys = here.clone().filter(|one| one.holds_keys()).count() as u64;
            PlannedPlace { place: self.place(place).to_owned(), keys, objects: here.count() as u64 }
        });
        let refused = allowed.err().map(|refusal| refusal.to_string());
        Ok(Plan { meeting: meeting.to_string(), refused, places: places.collect() })
    }

    /// Carries out a disposal that was taken, or goes on with it: keys everywhere, then the rest, then the tombstone.
    ///
    /// # Errors
    /// [`OfficeError`]: what stopped it. What is gone is gone; the rest stays and can be gone on with.
    pub async fn dispose(&self, meeting: &MeetingId) -> Result<Tally, OfficeError> {
        let books = self.books();
        let leaving = self.leaving(meeting);
        let prefix = {
            let _guard = books.guard().await?;
            let book = books.read(meeting)?.ok_or_else(|| OfficeError::Unknown(meeting.clone()))?;
            book.standing.may_delete((self.clock)())?;
            if let Some(folder) = self.local(meeting) {
                move_folder(&folder.path, &leaving)?;
            }
            book.prefix
        };
        let mut disposal = Disposal::new(self.pieces(Some(&leaving), &prefix).await?);
        loop {
            let guard = books.guard_behind().await?;
            let mut book = books.read(meeting)?.ok_or_else(|| OfficeError::Unknown(meeting.clone()))?;
            match disposal.next((self.clock)(), &book.standing) {
                Step::Delete(piece) => {
                    self.delete(&leaving, &prefix, &piece).await?;
                    disposal.deleted();
                }
                Step::Stop(refusal) => {
                    self.back(&leaving, &prefix)?;
                    return Err(refusal.into());
                }
                Step::Over => {
                    let tally = disposal.tally();
                    let places = (0..=self.stores.len()).map(|place| self.place(place).to_owned()).collect();
                    let event = Event::Disposed { keys: tally.keys, objects: tally.objects, places };
                    let entry = book.entry(&self.firm, (self.clock)(), event);
                    self.add(&books, &guard, &mut book, &entry).await?;
                    self.forget(meeting, &leaving);
                    return Ok(tally);
                }
            }
        }
    }

    /// A disposal that was stopped while the local folder is whole: it is a meeting of the archive again.
    fn back(&self, leaving: &Path, prefix: &str) -> Result<(), OfficeError> {
        if leaving.join(names::MEETING).exists() && leaving.join(names::SEALED_KEYS).exists() {
            move_folder(leaving, &self.archive.join(prefix.trim_end_matches('/')))?;
        }
        Ok(())
    }

    async fn delete(&self, leaving: &Path, prefix: &str, piece: &Piece) -> Result<(), OfficeError> {
        if piece.place == 0 {
            let path = leaving.join(&piece.path);
            return std::fs::remove_file(&path).map_err(|e| OfficeError::Disk(path, e));
        }
        let store = &self.stores[piece.place - 1];
        let key = format!("{prefix}{}", piece.path);
        let failed = |e| OfficeError::Store(store.name().to_owned(), key.clone(), e);
        // also a store that would not refuse is asked what it knows: it may know of a hold that the book here has lost
        let lock = store.lock(&key, &piece.version).await.map_err(failed)?;
        if lock.hold == Hold::Held {
            return Err(failed(StoreError::Refused("the object is under a legal hold".to_owned())));
        }
        if lock.until.is_some_and(|until| (self.clock)() < until) {
            return Err(failed(StoreError::Refused("the object's retention has not ended".to_owned())));
        }
        store.delete(&key, &piece.version).await.map_err(failed)
    }

    /// Nothing is left but the book: journals of the uploads and empty folders go.
    fn forget(&self, meeting: &MeetingId, leaving: &Path) {
        for store in &self.stores {
            // what cannot be removed names nothing that is still there
            let _ = std::fs::remove_file(state_file(&self.archive, &self.firm, store.name(), meeting.as_str()));
        }
        let _ = std::fs::remove_dir_all(leaving);
    }
}

fn move_folder(from: &Path, to: &Path) -> Result<(), OfficeError> {
    let bad = |e| OfficeError::Disk(from.to_owned(), e);
    let parent = to.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(bad)?;
    std::fs::rename(from, to).map_err(bad)?;
    std::fs::File::open(parent).and_then(|folder| folder.sync_all()).map_err(bad)
}

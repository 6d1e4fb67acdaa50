//! What administrators work on: the firm's statements from the form to signaling, and how its keys, recorders and archive
//! fare. Holds no key, signs nothing, and asks the archive token for its ledger and its public facts only: nothing here can
//! open a meeting.

pub mod book;
pub mod draft;
pub mod forecast;
pub mod handover;
pub mod health;
pub mod keys;
pub mod proposal;
pub mod settings;

use book::Book;
use dashmap::DashMap;
use domain::{FirmId, UnixMillis, UserId};
use evidence::identity::Identity;
use forecast::Archived;
use handover::Handover;
use settings::Administration;
use std::path::Path;

/// Recorders remembered: a firm has a handful, each under one name.
const MAX_RECORDERS: usize = 64;

/// State of the administrators' pages.
pub struct Desk {
    /// As configured.
    pub settings: Administration,
    /// Versions and proposals on disk.
    pub book: Book,
    /// The way to signaling, where one is configured.
    pub handover: Option<Handover>,
    /// Meetings as a forecast counts them.
    pub archived: Archived,
    /// Recorders by name, with begin and end of the newest certificate.
    recorders: DashMap<UserId, (UnixMillis, UnixMillis)>,
    /// Asks the services that are watched.
    pub http: reqwest::Client,
}

impl Desk {
    /// Opens the book in the archive folder.
    ///
    /// # Errors
    /// A text that says what cannot be used.
    pub fn open(settings: &Administration, archive: &Path, firm: &FirmId) -> Result<Self, String> {
        let book = Book::open(archive).map_err(|e| {
            format!("cannot use the folder policy/ in {}: {e}. Make it writable for this user.", archive.display())
        })?;
        Ok(Self {
            book,
            handover: Handover::new(settings, firm)?,
            archived: Archived::default(),
            recorders: DashMap::new(),
            http: health::client().map_err(|e| e.to_string())?,
            settings: settings.clone(),
        })
    }

    /// A recorder got a certificate.
    pub fn certified(&self, recorder: &Identity, now: UnixMillis) {
        let name = &recorder.participant.user;
        if self.recorders.len() < MAX_RECORDERS || self.recorders.contains_key(name) {
            self.recorders.insert(name.clone(), (now, UnixMillis(recorder.not_after_s.saturating_mul(1000))));
        }
    }

    /// Recorders by name: when the newest certificate was issued, and until when it holds.
    pub fn recorders(&self) -> Vec<(UserId, UnixMillis, UnixMillis)> {
        let mut all: Vec<_> =
            self.recorders.iter().map(|one| (one.key().clone(), one.value().0, one.value().1)).collect();
        all.sort();
        all
    }
}

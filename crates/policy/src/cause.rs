//! Which statement is behind a refusal, and whom to call about it.

use domain::FirmId;
use domain::policy::{ContentClass, Statement};
use serde::Serialize;

/// A field of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// Rule for sound and picture.
    AudioVideo,
    /// Rule for chat.
    Chat,
    /// Rule for files.
    Files,
    /// Quality of the firm's copy.
    Tier,
    /// Years the copy is kept.
    Retention,
    /// What the copy lies on.
    Archive,
    /// How long people go on without a recorder.
    Grace,
    /// Who may pause the copy.
    Pause,
    /// Copies for the firm's own people.
    Copies,
    /// Keys the copy is sealed to.
    ArchiveKeys,
    /// Whose copies `forbidden` concerns.
    Veto,
    /// Guests.
    Guests,
    /// Sharing a screen.
    Share,
    /// Waiting until let in.
    Lobby,
    /// Passcode.
    Passcode,
    /// Who hosts.
    Hosts,
    /// Regions.
    Regions,
    /// Oldest client.
    OldestClient,
    /// People who must not meet.
    Barriers,
    /// The firm's own words in the notice.
    Notice,
    /// Whom to call.
    Contact,
    /// That there is a statement at all, and one of its serial.
    Statement,
}

impl From<ContentClass> for Field {
    fn from(class: ContentClass) -> Self {
        match class {
            ContentClass::AudioVideo => Self::AudioVideo,
            ContentClass::Chat => Self::Chat,
            ContentClass::Files => Self::Files,
        }
    }
}

/// One firm's statement as the reason of something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cause {
    /// Whose statement.
    pub firm: FirmId,
    /// Which version of it; `None`: the firm has none.
    pub serial: Option<u64>,
    /// What in it.
    pub field: Field,
    /// Whom to call; empty: the statement names nobody, call the firm's administrators.
    pub contact: String,
}

impl Cause {
    /// What `statement` says in `field`.
    pub fn of(statement: &Statement, field: impl Into<Field>) -> Self {
        let contact = statement.conditions.contact.clone();
        Self { firm: statement.firm.clone(), serial: Some(statement.serial), field: field.into(), contact }
    }
    /// That a firm states nothing.
    pub fn missing(firm: &FirmId) -> Self {
        Self { firm: firm.clone(), serial: None, field: Field::Statement, contact: String::new() }
    }
}

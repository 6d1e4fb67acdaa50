//! What a firm states about recording in a room. Signing and judging statements is `evidence::statement`; what several
//! mean together is `policy`.

mod conditions;

pub use conditions::{Barrier, Conditions, Demand, Language, Permission, Side};

use crate::{FirmId, RoomId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

/// A firm's rule for one content class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Nothing is sent unless it is kept.
    Must,
    /// Kept if possible; going on without is an incident.
    Should,
    /// Not kept.
    Off,
    /// A veto on every copy.
    Forbidden,
}

impl Rule {
    /// Is there a copy under this rule?
    pub fn keeps(self) -> bool {
        matches!(self, Self::Must | Self::Should)
    }
}

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContentClass {
    /// Microphones, cameras, screens.
    AudioVideo,
    /// In-meeting chat.
    Chat,
    /// Files.
    Files,
}

impl ContentClass {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AudioVideo, Self::Chat, Self::Files];
}

/// How much of the picture a firm's copy keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Sound only.
    Audio,
    /// Sound and the 360p layer.
    P360,
    /// Everything.
    Full,
    /// Sound and screens.
    ScreenOnly,
}

/// What the firm's copy must lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Archive {
    /// A store that neither deletes nor shortens, proven by the probe.
    #[default]
    Worm,
    /// Also the audit-trail alternative: log, time stamps and two stores that show every change.
    AuditTrail,
}

impl Archive {
    /// Is it the default?
    pub fn is_worm(&self) -> bool {
        *self == Self::Worm
    }
}

/// Who may let the firm's copy stand still, and for how long: card numbers must not be kept, not even sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// People of the firm with a control function; whoever is recorded for the firm's duties is not among them.
    pub by: Vec<UserId>,
    /// Longest pause, ms: it ends by itself.
    pub at_most_ms: u64,
}

/// May people of the firm ask for a copy of their own?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Copies {
    /// No.
    #[default]
    None,
    /// Yes: the wish is in the archive, an officer hands it out.
    OnRequest,
}

impl Copies {
    /// Is it the default?
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// One firm's statement about its own people and its own copy in one room. Signed by the firm's policy key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// 1, or 2 where there are conditions.
    pub version: u16,
    /// Serial, raised with each change.
    pub serial: u64,
    /// Who states.
    pub firm: FirmId,
    /// About which room.
    pub room: RoomId,
    /// Sound and picture.
    pub audio_video: Rule,
    /// Chat.
    pub chat: Rule,
    /// Files.
    pub files: Rule,
    /// Quality of the firm's copy.
    pub tier: Tier,
    /// How long the copy is kept, in years.
    pub retention_years: u16,
    /// What the copy must lie on where it must be kept.
    #[serde(default, skip_serializing_if = "Archive::is_worm")]
    pub archive: Archive,
    /// Who may pause the copy; nobody where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// May its people ask for a copy?
    #[serde(default, skip_serializing_if = "Copies::is_none")]
    pub copies: Copies,
    /// After so long without a living recorder this firm's people stop sending, ms (2,000 to 30,000).
    pub recorder_grace_ms: u64,
    /// Ids of the archive keys every meeting key is sealed to (SHA-256 of the SPKI, hexadecimal).
    pub archive_key_ids: Vec<String>,
    /// When it was signed.
    pub issued_at: UnixMillis,
    /// What it says beside keeping; since version 2.
    #[serde(default, skip_serializing_if = "Conditions::is_none")]
    pub conditions: Box<Conditions>,
}

impl Statement {
    /// Its rule for a content class.
    pub fn rule(&self, class: ContentClass) -> Rule {
        match class {
            ContentClass::AudioVideo => self.audio_video,
            ContentClass::Chat => self.chat,
            ContentClass::Files => self.files,
        }
    }
    /// The same, to change.
    pub fn rule_mut(&mut self, class: ContentClass) -> &mut Rule {
        match class {
            ContentClass::AudioVideo => &mut self.audio_video,
            ContentClass::Chat => &mut self.chat,
            ContentClass::Files => &mut self.files,
        }
    }
}

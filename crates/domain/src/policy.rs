//! What a firm states about recording in a room. Signing and judging statements is `evidence::statement`.

use crate::{FirmId, RoomId, UnixMillis};
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

/// One firm's statement about its own people and its own copy in one room. Signed by the firm's policy key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Always 1.
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
    /// After so long without a living recorder this firm's people stop sending, ms (2,000 to 30,000).
    pub recorder_grace_ms: u64,
    /// Ids of the archive keys every meeting key is sealed to (SHA-256 of the SPKI, hexadecimal).
    pub archive_key_ids: Vec<String>,
    /// When it was signed.
    pub issued_at: UnixMillis,
}

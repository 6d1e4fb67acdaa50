//! Retention of archived meetings: between the officers' pages and their own firm's front, HTTP and JSON, and between that
//! front and the recorder, which carries acts out, by files of the archive. What officers sign is `evidence::retention`'s.

use crate::{B64, MeetingId, UnixMillis};
use serde::{Deserialize, Serialize};

/// `POST /api/retention`: COSE_Sign1 over `evidence::retention::Act` by the first officer. Answered by [`Retention`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostRetention {
    /// COSE_Sign1.
    pub act: B64,
}

/// `POST /api/retention/{id}/consent`: COSE_Sign1 over `evidence::retention::Consent` by the second. Answered by
/// [`Retention`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostConsent {
    /// COSE_Sign1.
    pub consent: B64,
}

/// `GET /api/retention`: what holds of every closed meeting, and what officers asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Retention {
    /// Meetings, newest first; those that were disposed of too.
    pub meetings: Vec<RetentionRow>,
    /// Acts of officers, newest first.
    pub acts: Vec<RetentionAct>,
}

/// What holds of a meeting now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RetentionRow {
    /// Which.
    pub meeting: MeetingId,
    /// Title; empty where nothing but the book of retention is left.
    pub title: String,
    /// Its end.
    pub ended_at: UnixMillis,
    /// Kept at least until.
    pub until: UnixMillis,
    /// Years of the longest class that this is; 0: less than any.
    pub class_years: u16,
    /// Classes that it can be raised to, years.
    pub raises: Vec<u16>,
    /// Where it is.
    pub phase: RetentionPhase,
    /// Since when, where nothing is left.
    pub disposed_at: Option<UnixMillis>,
    /// Legal holds.
    pub holds: Vec<RetentionHold>,
    /// The asking officer was in it, and signs nothing about it.
    pub inside: bool,
    /// SHA-256 of the signed manifest: what acts name.
    pub manifest_hash: B64,
    /// What does not hold; then nothing is asked for.
    pub problem: Option<String>,
}

/// Where a meeting is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetentionPhase {
    /// All of it is kept.
    Kept,
    /// Its disposal goes on.
    Disposing,
    /// A hold or a longer class stopped its disposal: what is left is kept.
    Stopped,
    /// Nothing is left but its book.
    Disposed,
}

/// A legal hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RetentionHold {
    /// Case.
    pub case: String,
    /// Why.
    pub reason: String,
    /// Since.
    pub since: UnixMillis,
    /// User ids of both officers.
    pub by: [String; 2],
}

/// An act of officers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RetentionAct {
    /// Id: begin of the SHA-256 of the signed act.
    pub id: String,
    /// About which meeting.
    pub meeting: MeetingId,
    /// `raise`, `hold`, `release` or `dispose`.
    pub what: String,
    /// Years of the class, for `raise`.
    pub years: Option<u16>,
    /// Case.
    pub case: String,
    /// Why.
    pub reason: String,
    /// User id of the first officer.
    pub first: String,
    /// User id of the second.
    pub second: Option<String>,
    /// When the first signed.
    pub issued_at: UnixMillis,
    /// Where it stands.
    pub state: RetentionState,
    /// What the recorder says of it.
    pub detail: String,
    /// As signed: what the second officer's consent names.
    pub signed: B64,
}

/// Where an act stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetentionState {
    /// A second officer has not signed.
    Waiting,
    /// Nobody consented within a week.
    Lapsed,
    /// Both signed; the recorder has not carried it out to its end.
    Signed,
    /// Carried out.
    Done,
    /// The recorder refused it.
    Refused,
}

/// `<archive>/<firm>/acts/<id>.json`: what the recorder says of an act, for the front.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActOutcome {
    /// [`RetentionState::Signed`] (tried again), `Done` or `Refused`.
    pub state: RetentionState,
    /// In words.
    pub detail: String,
    /// When.
    pub at: UnixMillis,
}

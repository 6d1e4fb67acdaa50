//! Supervision, word lists, copies for clients and "who replayed me", between the page and its own firm's front, HTTP and
//! JSON. What officers sign is `evidence::supervision`'s.

use crate::{B64, MeetingId, UnixMillis};
use serde::{Deserialize, Serialize};

/// `POST /api/supervision`: COSE_Sign1 over `evidence::supervision::Act`. Answered by [`Supervision`].
#[derive(Clone, Serialize, Deserialize)]
pub struct PostAct {
    /// COSE_Sign1.
    pub act: B64,
}

/// `GET /api/supervision`: everything officers supervise, as the ledger has it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Supervision {
    /// Samples, newest first.
    pub samples: Vec<SampleRow>,
    /// Reviews that come from samples or were given from alerts; the earliest due first.
    pub reviews: Vec<ReviewRow>,
    /// Matches of word lists, newest first.
    pub alerts: Vec<AlertRow>,
    /// The word lists in force.
    pub words: Option<WordsRow>,
    /// Copies that clients asked for, newest meeting first.
    pub copies: Vec<CopyRow>,
    /// Ledger entries whose act is missing, and acts that the ledger does not have: something was taken out or put in.
    pub missing: Vec<u64>,
}

/// A sample that was drawn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SampleRow {
    /// Ledger index of its drawing.
    pub index: u64,
    /// By whom (user id).
    pub by: String,
    /// When.
    pub at: UnixMillis,
    /// Share, percent.
    pub percent: u8,
    /// Of this room; empty: of any.
    pub room: String,
    /// With this counterparty; empty: with any.
    pub counterparty: String,
    /// Meetings not begun before.
    pub from: UnixMillis,
    /// ... and not after.
    pub to: UnixMillis,
    /// Meetings it was drawn from.
    pub population: u64,
    /// SHA-256 of their list, hexadecimal.
    pub population_hash: String,
    /// Seed, hexadecimal: SHA-256 of the signed ledger entry.
    pub seed: String,
    /// What was drawn, in order.
    pub drawn: Vec<MeetingId>,
}

/// A review.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReviewRow {
    /// Ledger index of the drawing or match it comes from.
    pub origin: u64,
    /// Does it come from a match (`alert`) or from a `sample`?
    pub source: ReviewSource,
    /// Which meeting.
    pub meeting: MeetingId,
    /// Its title.
    pub title: String,
    /// Its begin.
    pub started_at: UnixMillis,
    /// Its length, ms.
    pub length_ms: u64,
    /// Who was in it (text form of participants).
    pub participants: Vec<String>,
    /// Who is to review (user id).
    pub reviewer: Option<String>,
    /// Until when.
    pub due: UnixMillis,
    /// When the reviewer first opened the meeting.
    pub opened_at: Option<UnixMillis>,
    /// Notes, oldest first.
    pub notes: Vec<NoteRow>,
    /// Dispositions, oldest first; the last counts.
    pub dispositions: Vec<DispositionRow>,
}

/// Where a review comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReviewSource {
    /// A random sample.
    Sample,
    /// A word list's match.
    Alert,
}

/// A note on an interval.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NoteRow {
    /// By whom (user id).
    pub by: String,
    /// When.
    pub at: UnixMillis,
    /// Begin, ms from the meeting's begin.
    pub from_ms: u64,
    /// End.
    pub to_ms: u64,
    /// The note.
    pub text: String,
}

/// How a review ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DispositionRow {
    /// By whom (user id).
    pub by: String,
    /// When.
    pub at: UnixMillis,
    /// `no-finding`, `follow-up`, `escalate`.
    pub disposition: String,
    /// Why.
    pub text: String,
}

/// What a word list matched in a meeting's chat. What was written stands in the open replay only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlertRow {
    /// Ledger index of the match.
    pub index: u64,
    /// When it was looked for.
    pub at: UnixMillis,
    /// By whom (user id).
    pub by: String,
    /// Which meeting.
    pub meeting: MeetingId,
    /// Its title.
    pub title: String,
    /// Version of the word lists.
    pub version: u32,
    /// Where.
    pub hits: Vec<HitRow>,
}

/// A hit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HitRow {
    /// Name of the list.
    pub list: String,
    /// When the line was written, ms from the meeting's begin.
    pub at_ms: u64,
    /// Who wrote what; only in the answer of a run over meetings that this officer may open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
}

/// The word lists in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WordsRow {
    /// Version.
    pub version: u32,
    /// Ledger index.
    pub index: u64,
    /// By whom (user id).
    pub by: String,
    /// When.
    pub at: UnixMillis,
    /// SHA-256 of the signed act, hexadecimal.
    pub hash: String,
    /// The lists.
    pub lists: Vec<WordsList>,
}

/// One list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WordsList {
    /// Name.
    pub name: String,
    /// Words.
    pub words: Vec<String>,
}

/// A copy that a client asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CopyRow {
    /// Which meeting.
    pub meeting: MeetingId,
    /// Its title.
    pub title: String,
    /// Its begin.
    pub started_at: UnixMillis,
    /// SHA-256 of its signed manifest.
    pub manifest_hash: B64,
    /// Whose copy (text form of the participant).
    pub client: String,
    /// The client's name.
    pub name: String,
    /// The client's language.
    pub language: String,
    /// When it was asked for.
    pub asked_at: UnixMillis,
    /// When the client was there, ms from the meeting's begin: what the copy may show.
    pub from_ms: u64,
    /// ... and to when.
    pub to_ms: u64,
    /// Steps that were taken, oldest first.
    pub steps: Vec<CopyStepRow>,
}

/// A step towards handing it out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CopyStepRow {
    /// `prepared`, `handed`.
    pub step: String,
    /// Ledger index: the receipt.
    pub index: u64,
    /// By whom (user id).
    pub by: String,
    /// When.
    pub at: UnixMillis,
    /// Replay request that two officers signed.
    pub request: String,
    /// SHA-256 of the file, hexadecimal.
    pub file: String,
    /// What it is; how it was handed out and who took it.
    pub text: String,
}

/// `POST /api/supervision/match`: what a run of the word lists did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MatchRun {
    /// Version of the word lists.
    pub version: u32,
    /// Meetings whose chat was looked through.
    pub meetings: Vec<MatchedMeeting>,
}

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MatchedMeeting {
    /// Which.
    pub meeting: MeetingId,
    /// Its title.
    pub title: String,
    /// Lines looked through.
    pub lines: u64,
    /// What was found, with its lines.
    pub hits: Vec<HitRow>,
    /// Why it was not looked through.
    pub problem: Option<String>,
}

/// `GET /api/opened`: openings of meetings in which the person who asks was.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OpenedToMe {
    /// Does the firm show them at all?
    pub shown: bool,
    /// Shown only so many days after they took place.
    pub after_days: u32,
    /// Newest first.
    pub rows: Vec<OpenedRow>,
}

/// One opening.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenedRow {
    /// When.
    pub at: UnixMillis,
    /// `open` or `export`.
    pub action: String,
    /// Title of the meeting.
    pub title: String,
    /// Begin of the meeting.
    pub started_at: UnixMillis,
    /// By whom (user id), where the firm shows it.
    pub by: Option<String>,
    /// For which case, where the firm shows it.
    pub case: Option<String>,
}

//! Administrators' pages and their firm's front, over HTTP under `/api/admin`: JSON, RFC 9457 problems. A statement stands here
//! field for field as it is signed, so that the page's CBOR is custody's.

use super::front::{LedgerRow, ProbedKey};
use crate::policy::{Language, Rule, Statement, Tier};
use crate::{B64, FirmId, MeetingId, RoomId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `GET /api/admin/rooms`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatedRooms {
    /// Rooms, ordered.
    pub rooms: Vec<StatedRoom>,
    /// How many administrators sign a change.
    pub administrators: u8,
    /// Is signaling's interface configured? Otherwise signed statements are carried there by hand.
    pub handing: bool,
}

/// A room and the firm's statement about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatedRoom {
    /// Which.
    pub room: RoomId,
    /// Title.
    pub title: String,
    /// Firms that state something about it, ordered.
    pub firms: Vec<FirmId>,
    /// The firm's own statement.
    pub present: Option<VersionHead>,
    /// A change waits for a second administrator.
    pub waits: bool,
}

/// A version in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VersionHead {
    /// Serial.
    pub serial: u64,
    /// Effective since.
    pub since: UnixMillis,
    /// Administrators who signed it; none: the key ceremony.
    pub by: Vec<UserId>,
    /// Rule for sound and picture.
    pub audio_video: Rule,
    /// Kept for so many years.
    pub retention_years: u16,
}

/// `GET /api/admin/rooms/{room}`: all about one room.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoomPolicy {
    /// Which.
    pub room: RoomId,
    /// Title.
    pub title: String,
    /// What a change begins with.
    pub draft: Statement,
    /// The firm's versions, newest first.
    pub history: Vec<Version>,
    /// Other firms' newest.
    pub others: Vec<Statement>,
    /// The change that waits.
    pub proposal: Option<Proposal>,
    /// How the statements that hold now clash, if they do.
    pub clashes: Vec<String>,
    /// Hours of meetings in the last thirty days.
    pub hours: u32,
    /// Price of 10^9 bytes a month, hundredths of a cent.
    pub price: u32,
}

/// A version of the firm's statement.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Version {
    /// It.
    pub statement: Statement,
    /// SHA-256 of the signed form, hexadecimal.
    pub hash: String,
    /// Administrators who signed it; none: the key ceremony.
    pub by: Vec<UserId>,
    /// Has signaling taken it?
    pub handed: bool,
    /// What it changed, in words.
    pub changes: Vec<ChangeLine>,
}

/// One field that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeLine {
    /// In words.
    pub text: String,
    /// `stricter`, `looser` or `own`.
    pub effect: String,
}

/// A change that one administrator signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Proposal {
    /// SHA-256 of what was signed, hexadecimal.
    pub id: String,
    /// What is proposed.
    pub statement: Statement,
    /// By whom.
    pub by: UserId,
    /// Until when a second one may sign.
    pub until: UnixMillis,
    /// What it changes.
    pub changes: Vec<ChangeLine>,
    /// Who would be refused under it.
    pub simulation: Simulated,
}

/// `POST /api/admin/rooms/{room}/draft`: what would a statement mean? Keeps nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftAsk {
    /// Language of the answer's words.
    pub language: Language,
    /// As the form has it; firm, room, serial, time and predecessor are the front's to fill in.
    pub statement: Statement,
    /// Client of everybody in the simulation.
    #[serde(default)]
    pub client: Option<u32>,
    /// Region of everybody in the simulation.
    #[serde(default)]
    pub region: Option<String>,
    /// Hours a month; without it what was measured.
    #[serde(default)]
    pub hours: Option<u32>,
}

/// Its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DraftAnswer {
    /// What is to be signed.
    pub statement: Statement,
    /// Against the present version.
    pub changes: Vec<ChangeLine>,
    /// Who would be refused.
    pub simulation: Simulated,
    /// What everybody would read before speaking.
    pub notices: BTreeMap<Language, Vec<String>>,
    /// What the firm's copy costs.
    pub cost: CostRow,
}

/// Who would be refused, by which statement, whom to call.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulated {
    /// Statements that cannot hold together: nobody enters.
    pub clashes: Vec<String>,
    /// Who is refused, and why.
    pub refused: Vec<RefusedRow>,
    /// How many enter.
    pub entered: u32,
    /// Of how many.
    pub of: u32,
}

/// Somebody who would be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    /// Whose.
    pub firm: FirmId,
    /// Who.
    pub user: UserId,
    /// Stands for the firm's guests.
    pub guest: bool,
    /// Why, by which statement, whom to call.
    pub said: String,
}

/// What a firm's copies of a room take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostRow {
    /// Hours a month it is computed for.
    pub hours: u32,
    /// New bytes a month.
    pub bytes_a_month: u64,
    /// Bytes held once the first of them are disposed of.
    pub bytes_held: u64,
    /// Cents for what the first month adds.
    pub first_month_cents: u64,
    /// Cents a month once the archive is full.
    pub full_month_cents: u64,
}

/// `POST /api/admin/proposals` and `POST /api/admin/proposals/{id}/approval`: answered by [`RoomPolicy`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostConsent {
    /// COSE_Sign1 over the statement by the administrator (`evidence::grant::STATEMENT_CONSENT_LABEL`).
    pub consent: B64,
}

/// `GET /api/admin/firms`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Firms {
    /// SHA-256 of the trust map, hexadecimal: every part pins the same.
    pub trust: String,
    /// The own firm first.
    pub firms: Vec<FirmRow>,
}

/// A firm as the trust map pins it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FirmRow {
    /// Which.
    pub firm: FirmId,
    /// Name.
    pub name: String,
    /// Ours?
    pub own: bool,
    /// Root certificates.
    pub roots: Vec<RootRow>,
    /// Keys by what they are for, SHA-256 of each SPKI, hexadecimal.
    pub keys: Vec<KeyRow>,
}

/// A root certificate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RootRow {
    /// Subject, as in RFC 4514.
    pub subject: String,
    /// SHA-256 of the DER, hexadecimal.
    pub fingerprint: String,
    /// End of its validity; `None`: unreadable.
    pub until: Option<UnixMillis>,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// `policy`, `record`, `archive-1` ...
    pub name: String,
    /// SHA-256 of the SPKI, hexadecimal.
    pub id: String,
}

/// `GET /api/admin/custody`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CustodyStatus {
    /// Token processes that the front reaches. The record token is its recorder's alone.
    pub tokens: Vec<TokenRow>,
    /// Archive keys and their last probe.
    pub probes: Vec<ProbedKey>,
    /// Meetings that must be recorded cannot begin.
    pub blocked: bool,
    /// Recorders that this front certified since it runs.
    pub recorders: Vec<RecorderRow>,
    /// Recordings that run.
    pub open: Vec<OpenRecording>,
    /// Stores behind the archive; none: the archive folder alone.
    pub stores: Vec<StoreRow>,
    /// Bytes free for the archive folder.
    pub free_bytes: Option<u64>,
}

/// A token's process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenRow {
    /// `people`, `archive`, `archive-2` ...
    pub name: String,
    /// As the token calls itself; `None`: it does not answer.
    pub token: Option<String>,
    /// A test token.
    pub test: bool,
    /// Its keys.
    pub keys: Vec<KeyRow>,
    /// Code of what is wrong.
    pub problem: Option<String>,
}

/// A recorder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecorderRow {
    /// `recorder-1` ...
    pub name: UserId,
    /// Its newest certificate was issued.
    pub certified_at: UnixMillis,
    /// ... and ends.
    pub until: UnixMillis,
}

/// A meeting that is being recorded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenRecording {
    /// Which.
    pub meeting: MeetingId,
    /// The last byte that was kept: what is acknowledged lies before it.
    pub written_at: Option<UnixMillis>,
}

/// A store of the archive, as the recorder last wrote down.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoreRow {
    /// Name.
    pub name: String,
    /// `worm`, `tamper-evident`, `test`, `not-worm`; `None`: never probed.
    pub class: Option<String>,
    /// When it was probed.
    pub probed_at: UnixMillis,
    /// What is wrong with it.
    pub trouble: Option<String>,
    /// Files that wait for it.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
}

/// `GET /api/admin/forecast`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Forecast {
    /// Price of 10^9 bytes a month, hundredths of a cent.
    pub price: u32,
    /// Rooms with a statement of the firm.
    pub rooms: Vec<ForecastRoom>,
    /// What ends when, by year.
    pub expiries: Vec<ExpiryRow>,
    /// Meetings that are not counted because they do not verify, or are too many.
    pub left_out: u64,
}

/// A room's future.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForecastRoom {
    /// Which.
    pub room: RoomId,
    /// Title.
    pub title: String,
    /// Rule for sound and picture.
    pub audio_video: Rule,
    /// Quality of the copy.
    pub tier: Tier,
    /// Years.
    pub retention_years: u16,
    /// Meetings in the archive.
    pub meetings: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What it will take.
    pub cost: CostRow,
    /// Held at the end of each year from now on, until no more is added than disposed of.
    pub years: Vec<YearRow>,
}

/// One year of a forecast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct YearRow {
    /// Counted from now, beginning with 1.
    pub year: u16,
    /// Bytes held at its end.
    pub bytes: u64,
    /// Cents of its last month.
    pub month_cents: u64,
}

/// Meetings whose retention ends in a year.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiryRow {
    /// Year.
    pub year: u64,
    /// How many.
    pub meetings: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// `GET /api/admin/ledger`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerPage {
    /// Newest entries last.
    pub rows: Vec<LedgerRow>,
    /// Entries up to which the chain holds from the first on; `None`: it is broken.
    pub verified: Option<u64>,
}

/// `GET /api/admin/health`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Health {
    /// Services.
    pub services: Vec<ServiceRow>,
    /// What somebody has to look at.
    pub alerts: Vec<Alert>,
}

/// A service as its operations listener shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServiceRow {
    /// Name in the configuration.
    pub name: String,
    /// `/livez`.
    pub alive: bool,
    /// `/readyz`.
    pub ready: bool,
    /// Why it is not ready: `code: text`, a line each.
    pub reasons: Vec<String>,
}

/// Something to look at. The page has its own words for each code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Stable code.
    pub code: AlertCode,
    /// Which service, token, room or store.
    pub name: String,
    /// More, in English.
    pub detail: String,
}

/// Codes of [`Alert`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AlertCode {
    /// A token's process does not answer.
    TokenDown,
    /// An archive key opened no probe within its day.
    ProbeStale,
    /// A service does not answer.
    ServiceDown,
    /// A service is not ready.
    NotReady,
    /// A store has a backlog or is not what it claims.
    StoreTrouble,
    /// Statements about a room clash: no meeting begins.
    Clash,
    /// Signaling has not taken a signed statement.
    NotHanded,
    /// A root certificate ends within a quarter of a year.
    RootEnds,
    /// The ledger's chain does not hold.
    LedgerBroken,
}

//! The page and its own firm's front, HTTP and JSON. Errors are `application/problem+json` with [`super::client::Problem`]'s
//! shape: `{code, detail, firm}`.

use super::custody::{LeafRole, LedgerEvent};
use crate::{B64, DeviceId, FirmId, MeetingId, ParticipantId, RoomId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

/// `GET /api/config`: what a page needs before login.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PageConfig {
    /// Whose front.
    pub firm: FirmId,
    /// Its name for people.
    pub firm_name: String,
    /// Base address of signaling (`ws://...` on localhost names only, else `wss://...`).
    pub signaling: String,
    /// `evidence::identity::TrustMap`, as JSON value.
    pub trust: serde_json::Value,
    /// OIDC: issuer address; `development` when it is the one inside this front.
    pub issuer: String,
    /// Shown when the identity provider is the development one or the archive is of class test.
    pub warnings: Vec<String>,
    /// OIDC client id.
    pub client_id: String,
}

/// `POST /idp/login` (development identity provider only).
#[derive(Clone, Serialize, Deserialize)]
pub struct Login {
    /// Login name.
    pub user: String,
    /// Password.
    pub password: String,
}

/// Answer to [`Login`]: the provider's session, kept in the tab.
#[derive(Clone, Serialize, Deserialize)]
pub struct LoginSession {
    /// Opaque.
    pub session: String,
    /// Name for people.
    pub name: String,
    /// User id.
    pub user: String,
    /// What this person may be.
    pub roles: Vec<LeafRole>,
}

/// `POST /oidc/begin`: sends somebody to the firm's own identity provider.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "purpose", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BeginLogin {
    /// To sign in.
    Login {},
    /// For a certificate, without a question (`prompt=none`).
    Enrol {
        /// Binds the token to the CSR and to who sends it.
        nonce: String,
        /// [`LoginSession::session`].
        session: String,
    },
}

/// Answer to [`BeginLogin`]. State and secret stay in the tab that asked.
#[derive(Clone, Serialize, Deserialize)]
pub struct LoginBegun {
    /// Where to go.
    pub address: String,
    /// Comes back with the code.
    pub state: String,
    /// Shows that who finishes is who began.
    pub secret: String,
}

/// `POST /oidc/finish`: what the provider's redirect to `/oidc/callback` said.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinishLogin {
    /// [`LoginBegun::state`].
    pub state: String,
    /// [`LoginBegun::secret`].
    pub secret: String,
    /// The code; none when the provider refused.
    pub code: Option<String>,
    /// Who answered (RFC 9207).
    pub iss: Option<String>,
}

/// Answer to [`FinishLogin`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum LoginFinished {
    /// Signed in.
    Login(LoginSession),
    /// For a certificate: `POST /enrol` wants it.
    Enrol {
        /// ID token.
        id_token: String,
    },
}

/// `POST /idp/authorize` (development provider): code flow with PKCE without a redirect.
#[derive(Clone, Serialize, Deserialize)]
pub struct Authorize {
    /// [`LoginSession::session`].
    pub session: String,
    /// [`PageConfig::client_id`].
    pub client_id: String,
    /// S256 challenge.
    pub code_challenge: String,
    /// base64url of SHA-256 of the CSR: binds the token to it.
    pub nonce: String,
}

/// Answer to [`Authorize`].
#[derive(Clone, Serialize, Deserialize)]
pub struct AuthorizationCode {
    /// One use, 60 s.
    pub code: String,
}

/// `POST /idp/token`, with header `DPoP`.
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenRequest {
    /// Code.
    pub code: String,
    /// PKCE verifier.
    pub code_verifier: String,
    /// Client id.
    pub client_id: String,
}

/// Answer to [`TokenRequest`].
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenAnswer {
    /// ID token.
    pub id_token: String,
}

/// `POST /enrol`: certificate for a CSR. Header `DPoP`: proof over this request.
#[derive(Clone, Serialize, Deserialize)]
pub struct Enrol {
    /// PKCS#10, DER.
    pub csr: B64,
    /// ID token.
    pub id_token: String,
    /// Wanted role.
    pub role: LeafRole,
}

/// `POST /enrol/recorder`, from the recorder over the front's own Unix socket or mutual TLS.
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrolRecorder {
    /// PKCS#10, DER.
    pub csr: B64,
    /// By the recorder identity.
    pub countersignature: B64,
}

/// `POST /custody/probe`: probes of archive keys, from a recorder.
#[derive(Clone, Serialize, Deserialize)]
pub struct ProbeArchive {
    /// Sealed forms (`custody::probe`), one for each archive key.
    pub sealed: Vec<B64>,
}

/// Answer to [`ProbeArchive`].
#[derive(Clone, Serialize, Deserialize)]
pub struct ProbedArchive {
    /// In their order; none where no token opened it.
    pub digests: Vec<Option<B64>>,
}

/// `GET /api/recording`: whether meetings that must be recorded can begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingState {
    /// Why they cannot; none while they can, and until a recorder has asked.
    pub blocked: Option<RecordingBlock>,
    /// The firm's archive keys.
    pub keys: Vec<ProbedKey>,
}

/// Why a must-record meeting cannot begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordingBlock {
    /// An archive key did not open its probe, and has opened none within a day.
    ArchiveProbe,
}

/// An archive key and its last probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbedKey {
    /// SHA-256 of its SPKI, hexadecimal.
    pub key_id: String,
    /// When it last opened one.
    pub opened_at: Option<UnixMillis>,
}

/// `POST /api/invitations`, with the session of a member.
#[derive(Clone, Serialize, Deserialize)]
pub struct Invite {
    /// `evidence::invitation`, COSE_Sign1 by the member.
    pub invitation: B64,
}

/// `GET /api/invitations/{guest}`, and the answer to [`Invite`].
#[derive(Clone, Serialize, Deserialize)]
pub struct InvitationView {
    /// The guest's user id.
    pub guest: UserId,
    /// The guest's name.
    pub name: String,
    /// Whereto.
    pub room: RoomId,
    /// Title of the room.
    pub title: String,
    /// Signed statements about it, as in [`RoomSummary`].
    pub statements: Vec<B64>,
    /// The member's name.
    pub invited_by: String,
    /// From then on it can be used ...
    pub valid_from: UnixMillis,
    /// ... until then.
    pub valid_until: UnixMillis,
    /// The guest's page.
    pub link: String,
}

/// `POST /enrol/guest`.
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrolGuest {
    /// [`InvitationView::guest`].
    pub invitation: UserId,
    /// As typed.
    pub code: String,
    /// PKCS#10, DER.
    pub csr: B64,
}

/// Answer to [`EnrolGuest`].
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrolledGuest {
    /// Leaf, DER.
    pub chain: Vec<B64>,
    /// The invitation, to be shown at the door.
    pub invitation: B64,
}

/// Answer to both.
#[derive(Clone, Serialize, Deserialize)]
pub struct Enrolled {
    /// Leaf, DER.
    pub chain: Vec<B64>,
    /// Front session for the pages that need one (officers); sent as `Authorization: Bearer`.
    pub session: String,
}

/// `GET /api/rooms`: rooms of this firm's user (as configured for the demo's embedded directory).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoomSummary {
    /// Id.
    pub room: RoomId,
    /// Title.
    pub title: String,
    /// This firm's rule in words: `must`, `should`, `off`, `forbidden`.
    pub audio_video: String,
    /// Signed statements of all firms about this room: the page judges them and shows the notices before joining.
    #[serde(default)]
    pub statements: Vec<B64>,
}

/// `GET /api/meetings`: a row of the archive.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArchivedMeeting {
    /// Which.
    pub meeting: MeetingId,
    /// Room.
    pub room: RoomId,
    /// Title.
    pub title: String,
    /// Begin.
    pub started_at: UnixMillis,
    /// End.
    pub ended_at: UnixMillis,
    /// Who was in (text form of participants).
    pub participants: Vec<String>,
    /// Frames kept.
    pub frames: u64,
    /// Gaps.
    pub gaps: u64,
    /// `verified`, `open`, or what is wrong.
    pub integrity: String,
    /// SHA-256 of the signed meeting manifest: what requests name.
    pub manifest_hash: B64,
    /// Trade ids that members named.
    #[serde(default)]
    pub trades: Vec<String>,
    /// LEIs of counterparties that members named.
    #[serde(default)]
    pub counterparties: Vec<String>,
    /// Who of the firm asked for a copy, with the language (`bank-a/anna/0f de`).
    #[serde(default)]
    pub copies_wanted: Vec<String>,
    /// Kept until, as its manifest says; what was signed since stands in [`super::retention`].
    #[serde(default)]
    pub retain_until: UnixMillis,
    /// The paired recorder's copy, where the firm has two recorders and the second one's archive has the meeting too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired: Option<PairedCopy>,
}

/// A second copy of a meeting. The row that names it tells of both together: its `gaps` are missing in both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairedCopy {
    /// SHA-256 of its signed manifest: what requests name besides the first.
    pub manifest_hash: B64,
    /// `verified`, `open`, or what is wrong with it; what is not verified is not replayed with the first.
    pub integrity: String,
}

/// `POST /api/search`: what an officer looks for. Every given criterion must hold; an empty one holds always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Search {
    /// In the name or user id of somebody who was there.
    pub person: String,
    /// Id of a firm that was there.
    pub firm: String,
    /// In the room's id or title, or the meeting's id.
    pub room: String,
    /// Not ended before.
    pub from: Option<UnixMillis>,
    /// Not begun after.
    pub to: Option<UnixMillis>,
    /// A trade id that a member named.
    pub trade: String,
    /// LEI of a counterparty that a member named.
    pub counterparty: String,
    /// In the chat. Chat is sealed: only meetings whose replay this officer has open are looked through.
    pub text: String,
}

/// `GET /api/requests`: a replay request and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplayRequest {
    /// Id.
    pub id: String,
    /// Which meeting.
    pub meeting: MeetingId,
    /// By whom.
    pub requester: String,
    /// Case number.
    pub case: String,
    /// Reason.
    pub reason: String,
    /// Approved by.
    pub approver: Option<String>,
    /// Grant ends.
    pub until: Option<UnixMillis>,
    /// Are the meeting's keys to be handed out with the evidence?
    pub keys: bool,
    /// COSE_Sign1 of the request (the approver signs over its hash).
    pub signed: B64,
}

/// `POST /api/requests`: COSE_Sign1 over `evidence::grant::Request`.
#[derive(Clone, Serialize, Deserialize)]
pub struct PostRequest {
    /// COSE_Sign1.
    pub request: B64,
}

/// `POST /api/requests/{id}/approval`: COSE_Sign1 over `evidence::grant::Approval`.
#[derive(Clone, Serialize, Deserialize)]
pub struct PostApproval {
    /// COSE_Sign1.
    pub approval: B64,
}

/// `POST /api/requests/{id}/open`: custody opens the meeting key, the front decrypts into memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opened {
    /// Secret path part: `/replay/<grant>/...`.
    pub grant: String,
    /// Grant ends.
    pub until: UnixMillis,
    /// Length of the meeting, ms.
    pub duration_ms: u64,
    /// One per participant with media.
    pub lanes: Vec<Lane>,
    /// Joins, leaves, gaps, epochs on the same time line.
    pub events: Vec<LaneEvent>,
    /// Files that were sent.
    #[serde(default)]
    pub files: Vec<ReplayFile>,
}

/// A file that was sent in an opened meeting.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplayFile {
    /// Where it is had, as an attachment; `None`: it is not here.
    pub src: Option<String>,
    /// ms from the begin.
    pub at_ms: u64,
    /// Name of who sent it.
    pub from: String,
    /// Plain; `None`: no key of this archive opens it.
    pub name: Option<String>,
    /// Plain.
    pub media_type: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Why it is not here: `gone`, `forged`, `unfinished`, `not-kept`.
    pub missing: Option<String>,
}

/// One speaker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lane {
    /// Who.
    pub participant: ParticipantId,
    /// Name from the certificate.
    pub name: String,
    /// Its files, in order of time.
    pub parts: Vec<LanePart>,
    /// First frame, ms from the begin.
    pub from_ms: u64,
    /// Last frame, ms from the begin.
    pub to_ms: u64,
    /// Gaps, ms from the begin.
    pub gaps: Vec<(u64, u64)>,
}

/// One file of a lane, ms from the meeting's begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanePart {
    /// `/replay/<grant>/<lane>-<part>.webm`: sound and picture of this person, silent and black where there is none. Opened
    /// when it is asked for.
    pub src: String,
    /// Where the file begins: before `from_ms`, so that its picture has a key frame.
    pub begin_ms: u64,
    /// Shown from here on.
    pub from_ms: u64,
    /// Up to here.
    pub to_ms: u64,
}

/// A mark on the time line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LaneEvent {
    /// ms from the begin.
    pub at_ms: u64,
    /// `join`, `leave`, `epoch`, `gap`.
    pub kind: String,
    /// Text.
    pub text: String,
}

/// `GET /api/exports/{id}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExportState {
    /// Id.
    pub id: String,
    /// `queued`, `running`, `done`, `failed`, `cancelled`.
    pub state: String,
    /// 0 to 100.
    pub percent: u8,
    /// When failed: what to do.
    pub detail: Option<String>,
    /// When done: where to fetch it.
    pub href: Option<String>,
}

/// `POST /api/ledger`: what the officer does in the player. Answered (204) when it is durable in the ledger.
#[derive(Clone, Serialize, Deserialize)]
pub struct PlayerEvent {
    /// [`Opened::grant`].
    pub grant: String,
    /// Play or seek.
    pub action: PlayerAction,
    /// Where on the meeting's time line, ms from the begin.
    pub at_ms: u64,
}

/// What [`PlayerEvent`] tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlayerAction {
    /// Playing from here.
    Play,
    /// Jumped to here.
    Seek,
}

/// `GET /api/ledger?from=N`: one of at most 1,000 entries from N on, oldest first; without `from` the newest 1,000.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Position in the ledger.
    pub index: u64,
    /// What happened.
    pub event: LedgerEvent,
    /// `verified`, or what is wrong with signature or chain.
    pub integrity: String,
}

/// `POST /api/exports`.
#[derive(Clone, Serialize, Deserialize)]
pub struct PostExport {
    /// [`ReplayRequest::id`] of a request whose grant is open.
    pub request: String,
    /// A clip: ms from the meeting's begin; without it from the grant's begin.
    #[serde(default)]
    pub from_ms: Option<u64>,
    /// ... and to its end.
    #[serde(default)]
    pub to_ms: Option<u64>,
}

/// A device's own id, kept in the tab over reloads.
pub type Device = DeviceId;

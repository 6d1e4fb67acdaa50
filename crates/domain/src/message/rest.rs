//! Programs and signaling, over HTTP under `/v1`: JSON, RFC 9457 problems, cursor pages. What it means is in
//! `docs/api/openapi.json`, which is made from these types.

use crate::{B64, DeviceId, FirmId, MeetingId, RoomId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A part of a list. The next part begins at `next`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// This part.
    pub items: Vec<T>,
    /// Cursor of the next part; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Why a request was not carried out (RFC 9457). `type` and `code` are stable; `detail` is English for logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestProblem {
    /// `urn:strongroom:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind of problem it is, in a few words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code.
    pub code: RestCode,
    /// What happened and what to do, without personal data.
    pub detail: String,
    /// The firm whose rule it is, when one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firm: Option<FirmId>,
}

/// Codes of [`RestProblem`]. Where a code of the WebSocket's `ProblemCode` says the same it has the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RestCode {
    /// Not what the interface takes.
    BadMessage,
    /// No token, or not one of ours.
    Unauthorized,
    /// The token is not for this.
    Forbidden,
    /// No such thing, or not for this client to see: both look the same.
    NotFound,
    /// Not this method here.
    MethodNotAllowed,
    /// Not in its present state.
    Conflict,
    /// The same idempotency key is being worked on.
    IdempotencyBusy,
    /// The same idempotency key came with another request.
    IdempotencyMismatch,
    /// `If-Match` names another version than the present one.
    PreconditionFailed,
    /// This change wants `If-Match` or `If-None-Match: *`.
    PreconditionRequired,
    /// Too long.
    TooLarge,
    /// Not JSON.
    UnsupportedMediaType,
    /// A signed object that does not judge well.
    BadSignature,
    /// Too much, too fast.
    RateLimited,
    /// Something we need is not there.
    Unavailable,
    /// Our fault.
    Internal,
}

/// A room.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoomInfo {
    /// Which.
    pub room: RoomId,
    /// Title, for people.
    pub title: String,
    /// Firms with members in it, ordered.
    pub firms: Vec<FirmId>,
    /// Its members, of the client's own firm only unless the client is the operator's.
    pub members: Vec<RoomMember>,
    /// The meeting that runs in it or was announced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meeting: Option<MeetingId>,
}

/// A member of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoomMember {
    /// Whose person.
    pub firm: FirmId,
    /// Who.
    pub user: UserId,
    /// May remove others.
    pub host: bool,
}

/// Where a meeting stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MeetingState {
    /// It begins when the first person enters.
    Announced,
    /// People are in it.
    Running,
    /// Over.
    Ended,
}

/// A meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MeetingInfo {
    /// Which.
    pub meeting: MeetingId,
    /// Its room.
    pub room: RoomId,
    /// Where it stands.
    pub state: MeetingState,
    /// When it was announced, or began.
    pub created_at: UnixMillis,
    /// When its first person entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<UnixMillis>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<UnixMillis>,
    /// Where the members of each firm enter, for firms whose front is known here.
    pub links: BTreeMap<FirmId, String>,
}

/// Announces a meeting.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AnnounceMeeting {}

/// Somebody in a running meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParticipantInfo {
    /// Whose person.
    pub firm: FirmId,
    /// Who.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// A firm's recorder?
    pub recorder: bool,
    /// Host of the meeting?
    pub host: bool,
    /// Its media reaches the SFU.
    pub media: bool,
}

/// A firm's signed statement about a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatementInfo {
    /// Whose.
    pub firm: FirmId,
    /// About which room.
    pub room: RoomId,
    /// Its serial; the highest counts.
    pub serial: u64,
    /// Signed (COSE_Sign1).
    pub signed: B64,
    /// SHA-256 of `signed`, hexadecimal: its `ETag`, and what the next one names as `previous`.
    pub hash: String,
}

/// A new statement.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutStatement {
    /// Signed (COSE_Sign1) by the firm's policy key.
    pub signed: B64,
}

/// What a webhook is told, in the envelope of Standard Webhooks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookEvent {
    /// `meeting.started`, ...
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// When it happened, RFC 3339.
    pub timestamp: String,
    /// What it is about.
    pub data: EventData,
}

/// Kinds of [`WebhookEvent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventKind {
    /// Announced.
    #[serde(rename = "meeting.announced")]
    MeetingAnnounced,
    /// The first person entered.
    #[serde(rename = "meeting.started")]
    MeetingStarted,
    /// Over.
    #[serde(rename = "meeting.ended")]
    MeetingEnded,
    /// A firm's statement about a room is new.
    #[serde(rename = "statement.changed")]
    StatementChanged,
    /// A crisis room was opened.
    #[serde(rename = "incident.opened")]
    IncidentOpened,
    /// Its alerts ended, or fired again.
    #[serde(rename = "incident.changed")]
    IncidentChanged,
    /// It was closed; the hand-out is there.
    #[serde(rename = "incident.closed")]
    IncidentClosed,
}

/// What a [`WebhookEvent`] is about.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventData {
    /// Room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
    /// Meeting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meeting: Option<MeetingId>,
    /// Whose statement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firm: Option<FirmId>,
    /// Incident.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// Where the members of each firm enter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<FirmId, String>,
}

/// A webhook of the configuration, and how its deliveries go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookInfo {
    /// Its name in the configuration.
    pub name: String,
    /// Messages that wait to be delivered.
    pub waiting: u64,
    /// Messages that were delivered.
    pub delivered: u64,
    /// Messages that were given up.
    pub dead: u64,
    /// Attempts made for all of them.
    pub attempts: u64,
}

/// Asks for messages again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReplayWebhook {
    /// All since then are sent once more, delivered or not.
    pub since: UnixMillis,
}

/// How many messages will be sent once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replayed {
    /// Messages.
    pub messages: u64,
}

//! Incidents over REST: the webhook that an alert manager sends, the crisis that it opens, its log and its hand-out.

use crate::{B64, FirmId, MeetingId, ParticipantId, RoomId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What Prometheus Alertmanager sends (webhook version 4). Fields that we do not need may be there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AlertGroup {
    /// Names the group; the same for all its notifications.
    pub group_key: String,
    /// Firing while one of its alerts is.
    pub status: AlertStatus,
    /// Labels that all its alerts have.
    #[serde(default)]
    pub common_labels: BTreeMap<String, String>,
    /// Its alerts.
    pub alerts: Vec<Alert>,
}

/// One alert of a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Firing or resolved.
    pub status: AlertStatus,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// When it began, RFC 3339.
    #[serde(default)]
    pub starts_at: String,
    /// Names the alert.
    pub fingerprint: String,
}

/// Firing or resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum AlertStatus {
    /// It is so.
    Firing,
    /// It was so.
    Resolved,
}

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum IncidentState {
    /// People work on it.
    Open,
    /// All its alerts ended; people decide when to close it.
    Resolved,
    /// Over: the hand-out is there.
    Closed,
}

/// An incident and its crisis room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IncidentInfo {
    /// Which.
    pub incident: String,
    /// Where it stands.
    pub state: IncidentState,
    /// Name of the crisis in the configuration.
    pub crisis: String,
    /// Its room.
    pub room: RoomId,
    /// Its meeting.
    pub meeting: MeetingId,
    /// When it was opened.
    pub opened_at: UnixMillis,
    /// When it was closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<UnixMillis>,
    /// The timer: milliseconds since it was opened, until it was closed.
    pub elapsed_ms: u64,
    /// Its alerts, by fingerprint.
    pub alerts: BTreeMap<String, IncidentAlert>,
    /// Who was called: only they enter while it is open.
    pub people: Vec<Called>,
    /// Where the people of each firm enter.
    pub links: BTreeMap<FirmId, String>,
    /// Decisions, in their order.
    pub log: Vec<LogEntry>,
}

/// An alert of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IncidentAlert {
    /// Its name (`alertname`).
    pub name: String,
    /// Firing or resolved.
    pub status: AlertStatus,
    /// When it began, as its sender wrote it.
    pub starts_at: String,
    /// When we first heard of it.
    pub heard_at: UnixMillis,
    /// When we heard that it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<UnixMillis>,
}

/// Somebody who is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Called {
    /// Whose person.
    pub firm: FirmId,
    /// Who.
    pub user: UserId,
}

/// A decision, as it was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogEntry {
    /// From 1.
    pub number: u32,
    /// Who signed it: `firm/user/device`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub by: ParticipantId,
    /// When it was taken in here.
    pub at: UnixMillis,
    /// What was decided.
    pub text: String,
    /// Signed by that person's leaf key (`evidence::incident`).
    pub signed: B64,
    /// SHA-256 of `signed`, hexadecimal: the next entry names it.
    pub hash: String,
}

/// A decision for the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutDecision {
    /// COSE_Sign1 (`evidence::incident`).
    pub signed: B64,
}

/// What all parties take home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandOut {
    /// COSE_Sign1 by the order key of the trust map, over the JSON of the incident with all its signed decisions.
    pub signed: B64,
}

//! Incidents: an alert manager's webhook opens a crisis in a free room that the firms have prepared with their statements,
//! calls who is on the list, and keeps a log of signed decisions. While it is open only who was called enters its room; who
//! may enter at all stays the directory's to say, and no identity provider is asked.

use super::Rest;
use super::clients::{Client, Scope};
use super::config::Crisis;
use super::gate::{Caller, tag, tagged};
use super::problem::{Answer, Body, Problem, problem, unknown};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::message::incident::{
    Alert, AlertGroup, AlertStatus, Called, HandOut, IncidentAlert, IncidentInfo, IncidentState, LogEntry, PutDecision,
};
use domain::message::rest::{EventData, EventKind, Page, RestCode, RestProblem};
use domain::{B64, FirmId, RoomId, UnixMillis, UserId};
use signaling_core::RoomRecord;
use signaling_store::Records;
use signaling_store::database::DatabaseError;
use signaling_store::records::{Incident, Incidents};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

/// Alerts of one incident: an alert manager's groups have some hundred at the worst.
const MAX_ALERTS: usize = 1_000;
/// Decisions of one incident: one a minute for a day and a half.
const MAX_LOG: usize = 2_000;
/// Open at once: as many as there are crisis rooms.
const MAX_OPEN: usize = 1_000;
/// Longest label kept, characters: it is shown in a list.
const MAX_LABEL: usize = 200;

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_LABEL).collect()
}

/// Takes in what is new about alerts; what was there stays, by fingerprint.
fn merge(info: &mut IncidentInfo, alerts: &[Alert], now: UnixMillis) {
    for alert in alerts {
        let name = alert.labels.get("alertname").map(|name| short(name)).unwrap_or_default();
        if info.alerts.len() >= MAX_ALERTS && !info.alerts.contains_key(&alert.fingerprint) {
            continue;
        }
        let starts_at = short(&alert.starts_at);
        let fresh = IncidentAlert { name, status: alert.status, starts_at, heard_at: now, resolved_at: None };
        let known = info.alerts.entry(short(&alert.fingerprint)).or_insert(fresh);
        known.status = alert.status;
        known.resolved_at = match alert.status {
            AlertStatus::Firing => None,
            AlertStatus::Resolved => known.resolved_at.or(Some(now)),
        };
    }
    if info.state != IncidentState::Closed {
        let firing = info.alerts.values().any(|alert| alert.status == AlertStatus::Firing);
        info.state = if firing { IncidentState::Open } else { IncidentState::Resolved };
    }
}

/// Is nothing in it that this incident has not heard of? Then a closed incident is not opened again by a late repetition.
fn heard(info: &IncidentInfo, alerts: &[Alert]) -> bool {
    let known = |alert: &Alert| {
        alert.status == AlertStatus::Resolved
            || info.alerts.get(&short(&alert.fingerprint)).is_some_and(|old| old.starts_at == short(&alert.starts_at))
    };
    alerts.iter().all(known)
}

impl Rest {
    fn crisis_for(&self, group: &AlertGroup) -> Answer<&Crisis> {
        let has = |(name, value): (&String, &String)| group.common_labels.get(name) == Some(value);
        let found = self.crises.iter().find(|crisis| crisis.labels.iter().all(has));
        found.ok_or_else(|| problem(RestCode::Conflict, "no crisis of the configuration has these labels"))
    }

    /// The first room of the list in which nothing happens, narrowed to who is called.
    async fn free_room(&self, crisis: &Crisis) -> Answer<RoomRecord> {
        let operator = Caller(Arc::new(Client::operator(self.hub.clock.now())));
        for room in &crisis.rooms {
            let taken = self.records.meeting_of(room).await?.is_some();
            if taken || self.hub.narrowed.contains_key(room) {
                continue;
            }
            let mut record = match self.room_for(&operator, room.as_str()).await {
                Ok(record) => record,
                Err(Problem(problem)) if problem.code == RestCode::NotFound => {
                    tracing::warn!(%room, "a crisis names a room that the directory does not have");
                    continue;
                }
                Err(other) => return Err(other),
            };
            record.members.retain(|m| crisis.people.iter().any(|one| one.firm == m.firm && one.user == m.user));
            if !record.members.is_empty() {
                return Ok(record);
            }
            tracing::warn!(%room, "nobody on a crisis's list is a member of its room");
        }
        Err(problem(RestCode::Unavailable, "no crisis room is free: close an incident, or list more rooms"))
    }

    async fn open_incident(&self, group: AlertGroup) -> Answer<Incident> {
        let crisis = self.crisis_for(&group)?;
        let record = self.free_room(crisis).await?;
        let people: Vec<Called> =
            record.members.iter().map(|m| Called { firm: m.firm.clone(), user: m.user.clone() }).collect();
        let only = people.iter().map(|one| (one.firm.clone(), one.user.clone())).collect();
        self.hub.narrowed.insert(record.room.clone(), only);
        let meeting = match self.announce_in(&record).await {
            Ok(meeting) => meeting,
            Err(problem) => {
                self.hub.narrowed.remove(&record.room);
                return Err(problem);
            }
        };
        let now = self.hub.clock.now();
        let links = meeting.firms.iter().filter_map(|firm| Some((firm.clone(), self.link(firm, &record.room)?)));
        let mut info = IncidentInfo {
            incident: meeting.meeting.to_string(),
            state: IncidentState::Open,
            crisis: crisis.name.clone(),
            room: record.room.clone(),
            meeting: meeting.meeting.clone(),
            opened_at: now,
            closed_at: None,
            elapsed_ms: 0,
            alerts: BTreeMap::new(),
            people,
            links: links.collect(),
            log: Vec::new(),
        };
        merge(&mut info, &group.alerts, now);
        Ok(Incident { group_key: group.group_key, info })
    }

    async fn put_incident(&self, one: &Incident) -> Answer<()> {
        Ok(self.records.put_incident(one).await?)
    }

    async fn tell_incident(&self, kind: EventKind, info: &IncidentInfo) {
        let data = EventData {
            room: Some(info.room.clone()),
            meeting: Some(info.meeting.clone()),
            incident: Some(info.incident.clone()),
            links: info.links.clone(),
            firm: None,
        };
        let firms: BTreeSet<FirmId> = info.people.iter().map(|one| one.firm.clone()).collect();
        self.hooks.queue(self, kind, &firms.into_iter().collect::<Vec<_>>(), data).await;
    }

    fn shown(&self, mut info: IncidentInfo) -> IncidentInfo {
        info.elapsed_ms = info.closed_at.unwrap_or_else(|| self.hub.clock.now()).since(info.opened_at);
        info
    }

    async fn incident_for(&self, caller: &Caller, id: &str) -> Answer<Incident> {
        let found = self.records.incident(id).await?;
        found.filter(|one| caller.0.sees(one.info.people.iter().map(|one| &one.firm))).ok_or_else(unknown)
    }
}

/// Rooms of open incidents, and who may enter them.
pub type Narrowed = Vec<(RoomId, BTreeSet<(FirmId, UserId)>)>;

/// Rooms of the incidents that are open.
pub async fn open_rooms(records: &Records) -> Result<Narrowed, DatabaseError> {
    let open = records.incidents(Incidents::Open, MAX_OPEN).await?;
    let who = |one: &Called| (one.firm.clone(), one.user.clone());
    Ok(open.into_iter().map(|one| (one.info.room, one.info.people.iter().map(who).collect())).collect())
}

/// Opens a crisis, or takes in what is new about its alerts. Idempotent by group key and fingerprint: the same
/// notification again changes nothing. 204: all is resolved and nothing was open.
#[utoipa::path(post, path = "/v1/incidents", tag = "incidents", operation_id = "openIncident",
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 128)), request_body = AlertGroup,
    responses((status = 201, body = IncidentInfo, headers(("Location" = String))), (status = 200, body = IncidentInfo),
        (status = 204, description = "Nothing was open"),
        (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn open(State(rest): State<Arc<Rest>>, caller: Caller, Body(group): Body<AlertGroup>) -> Answer<Response> {
    caller.needs(Scope::IncidentsWrite)?;
    if caller.0.firm.is_some() {
        return Err(problem(
            RestCode::Forbidden,
            "incidents call people of several firms: the operator's client opens them",
        ));
    }
    if group.group_key.is_empty() || group.group_key.len() > 4_096 || group.alerts.len() > MAX_ALERTS {
        return Err(problem(RestCode::BadMessage, "a group has a key and at most 1000 alerts"));
    }
    // the same group from two alert managers at once is one incident
    let _alone = rest.opening.lock().await;
    let last = rest.records.last_incident(&group.group_key).await?;
    let known = last.filter(|one| one.info.state != IncidentState::Closed || heard(&one.info, &group.alerts));
    if let Some(mut one) = known {
        let before = one.info.clone();
        merge(&mut one.info, &group.alerts, rest.hub.clock.now());
        if one.info != before {
            rest.put_incident(&one).await?;
            rest.tell_incident(EventKind::IncidentChanged, &one.info).await;
        }
        return Ok(Json(rest.shown(one.info)).into_response());
    }
    if group.alerts.iter().all(|alert| alert.status == AlertStatus::Resolved) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let one = rest.open_incident(group).await?;
    rest.put_incident(&one).await?;
    tracing::info!(room = %one.info.room, meeting = %one.info.meeting, "a crisis room is open");
    rest.tell_incident(EventKind::IncidentOpened, &one.info).await;
    let location = [(header::LOCATION, format!("/v1/incidents/{}", one.info.incident))];
    Ok((StatusCode::CREATED, location, Json(rest.shown(one.info))).into_response())
}

/// The newest hundred incidents that concern the client.
#[utoipa::path(get, path = "/v1/incidents", tag = "incidents", operation_id = "listIncidents",
    responses((status = 200, body = Page<IncidentInfo>), (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn list(State(rest): State<Arc<Rest>>, caller: Caller) -> Answer<Json<Page<IncidentInfo>>> {
    caller.needs(Scope::IncidentsRead)?;
    let found = rest.records.incidents(Incidents::All, 100).await?;
    let concern = |one: &Incident| caller.0.sees(one.info.people.iter().map(|one| &one.firm));
    let items = found.into_iter().filter(concern).map(|one| rest.shown(one.info)).collect();
    Ok(Json(Page { items, next: None }))
}

/// One incident, with its timer.
#[utoipa::path(get, path = "/v1/incidents/{incident}", tag = "incidents", operation_id = "getIncident", params(("incident" = String, Path)),
    responses((status = 200, body = IncidentInfo), (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn get(State(rest): State<Arc<Rest>>, caller: Caller, Path(id): Path<String>) -> Answer<Json<IncidentInfo>> {
    caller.needs(Scope::IncidentsRead)?;
    Ok(Json(rest.shown(rest.incident_for(&caller, &id).await?.info)))
}

/// A decision for the log, signed by the person who took it. Each names the one before: none can be left out or put in.
/// What is in this log is for all parties, and the operator reads it; what only members may read is said in the meeting.
#[utoipa::path(post, path = "/v1/incidents/{incident}/decisions", tag = "incidents", operation_id = "logDecision",
    params(("incident" = String, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 128)), request_body = PutDecision,
    responses((status = 201, body = LogEntry), (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn decide(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Path(id): Path<String>,
    Body(body): Body<PutDecision>,
) -> Answer<Response> {
    caller.needs(Scope::IncidentsWrite)?;
    let _alone = rest.opening.lock().await;
    let mut one = rest.incident_for(&caller, &id).await?;
    if one.info.state == IncidentState::Closed || one.info.log.len() >= MAX_LOG {
        return Err(problem(RestCode::Conflict, "the log of this incident is closed"));
    }
    let now = rest.hub.clock.now();
    let (decision, by) = evidence::incident::judge(&rest.hub.trust, &body.signed, now.seconds())
        .map_err(|error| problem(RestCode::BadSignature, error.to_string()))?;
    let by = by.participant;
    if !one.info.people.iter().any(|called| called.firm == by.firm && called.user == by.user) {
        return Err(problem(RestCode::BadSignature, "it is signed by somebody who was not called").of(&by.firm));
    }
    let previous = one.info.log.last().map_or([0; 32], |last| evidence::sha256(&last.signed));
    let number = one.info.log.len() as u32 + 1;
    if decision.incident != one.info.incident || decision.number != number || decision.previous != previous {
        return Err(problem(RestCode::Conflict, "it does not follow the last decision: read the log, sign again"));
    }
    let hash = tag(&evidence::sha256(&body.signed)).trim_matches('"').to_owned();
    let entry = LogEntry { number, by, at: now, text: decision.text, signed: body.signed, hash };
    one.info.log.push(entry.clone());
    rest.put_incident(&one).await?;
    Ok((StatusCode::CREATED, Json(entry)).into_response())
}

/// Closes an incident: its meeting ends, its room is free, its hand-out is signed. One that is closed stays so.
#[utoipa::path(post, path = "/v1/incidents/{incident}/close", tag = "incidents", operation_id = "closeIncident",
    params(("incident" = String, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 128)),
    responses((status = 200, body = IncidentInfo), (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn close(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<IncidentInfo>> {
    caller.needs(Scope::IncidentsWrite)?;
    let _alone = rest.opening.lock().await;
    let mut one = rest.incident_for(&caller, &id).await?;
    if caller.0.firm.is_some() {
        return Err(problem(RestCode::Forbidden, "the operator's client closes incidents"));
    }
    if one.info.state != IncidentState::Closed {
        if let Some(meeting) = rest.records.meeting(&one.info.meeting).await? {
            rest.end_meeting(meeting).await?;
        }
        rest.hub.narrowed.remove(&one.info.room);
        one.info.state = IncidentState::Closed;
        one.info.closed_at = Some(rest.hub.clock.now());
        one.info = rest.shown(one.info);
        rest.put_incident(&one).await?;
        rest.tell_incident(EventKind::IncidentClosed, &one.info).await;
    }
    Ok(Json(one.info))
}

/// What all parties take home: the incident with its signed decisions, signed by the order key.
#[utoipa::path(get, path = "/v1/incidents/{incident}/hand-out", tag = "incidents", operation_id = "getHandOut", params(("incident" = String, Path)),
    responses((status = 200, body = HandOut, headers(("ETag" = String))), (status = 304, description = "Not changed"),
        (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn hand_out(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer<Response> {
    caller.needs(Scope::IncidentsRead)?;
    let one = rest.incident_for(&caller, &id).await?;
    if one.info.state != IncidentState::Closed {
        return Err(problem(RestCode::Conflict, "the hand-out is made when the incident is closed"));
    }
    let payload = serde_json::to_vec(&one.info).unwrap_or_default();
    let sign = |hash: &[u8; 32]| Ok::<_, Infallible>(rest.signer.sign(hash));
    let Ok(signed) = evidence::cose::sign(evidence::incident::HAND_OUT, &payload, None, sign);
    Ok(tagged(&headers, &HandOut { signed: B64::from(signed) }))
}

//! Meetings: those that ran, run, or were announced; who is in one; ending one.

use super::clients::Scope;
use super::gate::{Caller, tagged};
use super::problem::{Answer, Asked, Body, broken, problem, unknown};
use super::{Paging, Rest};
use crate::rooms::Found;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::message::rest::{
    AnnounceMeeting, EventKind, MeetingInfo, MeetingState, Page, ParticipantInfo, RestCode, RestProblem,
};
use domain::{FirmId, MeetingId, RoomId, UnixMillis, UserId};
use serde::Deserialize;
use signaling_core::{Input, RoomRecord, View};
use signaling_store::records::Meeting;
use std::sync::Arc;

/// Which meetings.
// not a wire type: the query of a request, described in the document
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// At most so many.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `next` of the part before.
    cursor: Option<String>,
    /// Only in this state.
    state: Option<MeetingState>,
}

fn random_id() -> MeetingId {
    let text: String = rand::random::<[u8; 16]>().iter().map(|byte| format!("{byte:02x}")).collect();
    text.parse().expect("32 hexadecimal digits are an id")
}

impl Rest {
    /// A meeting as it is shown.
    pub fn meeting_info(&self, one: Meeting) -> MeetingInfo {
        let links = one.firms.iter().filter_map(|firm| Some((firm.clone(), self.link(firm, &one.room)?)));
        MeetingInfo {
            links: links.collect(),
            meeting: one.meeting,
            room: one.room,
            state: one.state,
            created_at: one.created,
            started_at: one.started,
            ended_at: one.ended,
        }
    }

    /// Where a firm's people enter a room, where its front is known.
    pub fn link(&self, firm: &FirmId, room: &RoomId) -> Option<String> {
        self.fronts.get(firm).map(|front| format!("{front}/?room={room}"))
    }

    async fn meeting_for(&self, caller: &Caller, id: &str) -> Answer<Meeting> {
        let id: MeetingId = id.parse().map_err(|_| unknown())?;
        let found = self.records.meeting(&id).await?;
        found.filter(|one| caller.0.sees(one.firms.iter())).ok_or_else(unknown)
    }

    /// Announces a meeting in a room that has none.
    pub async fn announce_in(&self, record: &RoomRecord) -> Answer<Meeting> {
        // one at a time: two announcements of one room are one after the other
        let _alone = self.announcing.lock().await;
        if self.records.meeting_of(&record.room).await?.is_some() {
            return Err(problem(RestCode::Conflict, "a meeting runs in this room or was announced: use it or end it"));
        }
        let one = Meeting {
            meeting: random_id(),
            room: record.room.clone(),
            firms: record.firms().into_iter().cloned().collect(),
            state: MeetingState::Announced,
            created: self.hub.clock.now(),
            started: None,
            ended: None,
        };
        self.records.put_meeting(&one).await?;
        self.tell_room(&one.room, Input::Announced(Some(one.meeting.clone()))).await?;
        self.tell(EventKind::MeetingAnnounced, &one, Default::default()).await;
        Ok(one)
    }

    async fn tell_room(&self, room: &RoomId, input: Input) -> Answer<()> {
        self.hub.room(room).send(input).await.map_err(|error| broken(&error))
    }

    /// Ends a meeting, running or announced.
    pub async fn end_meeting(&self, mut one: Meeting) -> Answer<Meeting> {
        if one.state == MeetingState::Ended {
            return Ok(one);
        }
        let running = self.hub.shown.get(&one.room).is_some_and(|view| view.meeting == one.meeting);
        if running {
            self.tell_room(&one.room, Input::Ended).await?;
        } else {
            self.tell_room(&one.room, Input::Announced(None)).await?;
        }
        (one.state, one.ended) = (MeetingState::Ended, Some(self.hub.clock.now()));
        self.records.put_meeting(&one).await?;
        self.tell(EventKind::MeetingEnded, &one, Default::default()).await;
        Ok(one)
    }

    /// What was seen of a room: keeps the list of meetings up to date. A meeting that this interface ended is ended.
    pub async fn note(&self, room: &RoomId, before: Option<&View>, now: Option<&View>) {
        let gone = before.filter(|old| now.is_none_or(|new| new.meeting != old.meeting));
        let come = now.filter(|new| before.is_none_or(|old| new.meeting != old.meeting));
        let noted = async {
            if let Some(view) = gone {
                let known = self.records.meeting(&view.meeting).await?;
                if let Some(mut one) = known.filter(|one| one.state != MeetingState::Ended) {
                    (one.state, one.ended) = (MeetingState::Ended, Some(self.hub.clock.now()));
                    self.records.put_meeting(&one).await?;
                    self.tell(EventKind::MeetingEnded, &one, Default::default()).await;
                }
            }
            if let Some(view) = come {
                let one = self.started(room, view).await?;
                self.tell(EventKind::MeetingStarted, &one, Default::default()).await;
            }
            Answer::Ok(())
        };
        if let Err(problem) = noted.await {
            tracing::error!("a change of a meeting was not noted: {}", problem.0.detail);
        }
    }

    async fn started(&self, room: &RoomId, view: &View) -> Answer<Meeting> {
        let record = match self.hub.find(room).await {
            Found::Room(record) => Some(record),
            Found::Nothing | Found::Silence => None,
        };
        let firms = record.as_ref().map(RoomRecord::firms).unwrap_or_default().into_iter().cloned().collect();
        let announced = self.records.meeting(&view.meeting).await?;
        let created = announced.as_ref().map_or(view.started_at, |one| one.created);
        let one = Meeting {
            meeting: view.meeting.clone(),
            room: room.clone(),
            firms: announced.map_or(firms, |one| one.firms),
            state: MeetingState::Running,
            created,
            started: Some(view.started_at),
            ended: None,
        };
        self.records.put_meeting(&one).await?;
        Ok(one)
    }
}

fn cursor(text: &str) -> Option<(UnixMillis, MeetingId)> {
    let (at, id) = text.split_once('.')?;
    Some((UnixMillis(at.parse().ok()?), id.parse().ok()?))
}

/// Meetings that the client's firm takes part in, newest first.
#[utoipa::path(get, path = "/v1/meetings", tag = "meetings", operation_id = "listMeetings", params(Which),
    responses((status = 200, body = Page<MeetingInfo>), (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn list(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Asked(which): Asked<Which>,
) -> Answer<Json<Page<MeetingInfo>>> {
    caller.needs(Scope::MeetingsRead)?;
    let most = Paging { limit: which.limit, cursor: None }.limit()?;
    let after = which.cursor.as_deref().map(|text| cursor(text).ok_or_else(Paging::bad_cursor)).transpose()?;
    let found = rest.records.meetings(caller.0.firm.as_ref(), which.state, after, most).await?;
    let next = found.last().filter(|_| found.len() == most).map(|one| format!("{}.{}", one.created.0, one.meeting));
    Ok(Json(Page { items: found.into_iter().map(|one| rest.meeting_info(one)).collect(), next }))
}

/// One meeting.
#[utoipa::path(get, path = "/v1/meetings/{meeting}", tag = "meetings", operation_id = "getMeeting", params(("meeting" = MeetingId, Path)),
    responses((status = 200, body = MeetingInfo, headers(("ETag" = String))), (status = 304, description = "Not changed"),
        (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn get(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer<Response> {
    caller.needs(Scope::MeetingsRead)?;
    Ok(tagged(&headers, &rest.meeting_info(rest.meeting_for(&caller, &id).await?)))
}

/// Announces the next meeting of a room. It begins, under this id, when the first person enters.
#[utoipa::path(post, path = "/v1/rooms/{room}/meetings", tag = "meetings", operation_id = "announceMeeting",
    params(("room" = RoomId, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 128)),
    request_body = AnnounceMeeting,
    responses((status = 201, body = MeetingInfo, headers(("Location" = String))),
        (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn announce(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Path(room): Path<String>,
    Body(_): Body<AnnounceMeeting>,
) -> Answer<Response> {
    caller.needs(Scope::MeetingsWrite)?;
    let record = rest.room_for(&caller, &room).await?;
    let one = rest.announce_in(&record).await?;
    let location = [(header::LOCATION, format!("/v1/meetings/{}", one.meeting))];
    Ok((StatusCode::CREATED, location, Json(rest.meeting_info(one))).into_response())
}

/// Ends a meeting for everybody; one that is over stays so.
#[utoipa::path(post, path = "/v1/meetings/{meeting}/end", tag = "meetings", operation_id = "endMeeting",
    params(("meeting" = MeetingId, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 128)),
    responses((status = 200, body = MeetingInfo), (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn end(State(rest): State<Arc<Rest>>, caller: Caller, Path(id): Path<String>) -> Answer<Json<MeetingInfo>> {
    caller.needs(Scope::MeetingsWrite)?;
    let one = rest.meeting_for(&caller, &id).await?;
    Ok(Json(rest.meeting_info(rest.end_meeting(one).await?)))
}

/// Who is connected to a running meeting, in order of their names.
#[utoipa::path(get, path = "/v1/meetings/{meeting}/participants", tag = "participants", operation_id = "listParticipants",
    params(("meeting" = MeetingId, Path)),
    responses((status = 200, body = Page<ParticipantInfo>), (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn participants(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<Page<ParticipantInfo>>> {
    caller.needs(Scope::ParticipantsRead)?;
    let one = rest.meeting_for(&caller, &id).await?;
    let view = rest.hub.shown.get(&one.room).map(|view| view.clone()).filter(|view| view.meeting == one.meeting);
    let people = view.map(|view| view.people.clone()).unwrap_or_default();
    let info = |seen: signaling_core::Seen| ParticipantInfo {
        firm: seen.participant.firm,
        user: seen.participant.user,
        device: seen.participant.device,
        recorder: seen.recorder,
        host: seen.host,
        media: seen.media,
    };
    // a meeting has at most 250: one page
    Ok(Json(Page { items: people.into_iter().map(info).collect(), next: None }))
}

/// Takes a person out of a running meeting, on all devices; it stays out of it. A firm's client only its own people;
/// recorders never.
#[utoipa::path(delete, path = "/v1/meetings/{meeting}/participants/{firm}/{user}", tag = "participants", operation_id = "removeParticipant",
    params(("meeting" = MeetingId, Path), ("firm" = FirmId, Path), ("user" = UserId, Path)),
    responses((status = 204, description = "It is out"), (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn remove(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Path((id, firm, user)): Path<(String, String, String)>,
) -> Answer<StatusCode> {
    caller.needs(Scope::ParticipantsWrite)?;
    let one = rest.meeting_for(&caller, &id).await?;
    let (Ok(firm), Ok(user)) = (firm.parse::<FirmId>(), user.parse::<UserId>()) else { return Err(unknown()) };
    if !caller.0.sees(std::iter::once(&firm)) {
        return Err(problem(RestCode::Forbidden, "a firm's client takes out that firm's own people only"));
    }
    let view = rest.hub.shown.get(&one.room).map(|view| view.clone()).filter(|view| view.meeting == one.meeting);
    let of = |seen: &signaling_core::Seen| seen.participant.firm == firm && seen.participant.user == user;
    let found: Vec<bool> =
        view.iter().flat_map(|view| &view.people).filter(|seen| of(seen)).map(|s| s.recorder).collect();
    if found.is_empty() {
        return Err(unknown());
    }
    if found.iter().any(|recorder| *recorder) {
        return Err(problem(
            RestCode::Conflict,
            "a recorder cannot be taken out: that is its firm's statement's to say",
        ));
    }
    rest.tell_room(&one.room, Input::Expelled { firm, user }).await?;
    Ok(StatusCode::NO_CONTENT)
}

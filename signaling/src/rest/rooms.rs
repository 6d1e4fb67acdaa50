//! Rooms as the directory has them.

use super::clients::Scope;
use super::gate::{Caller, tagged};
use super::problem::{Answer, Asked, Problem, problem, unknown};
use super::{Paging, Rest};
use crate::rooms::Found;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use domain::message::rest::{Page, RestCode, RestProblem, RoomInfo, RoomMember};
use domain::{FirmId, RoomId};
use signaling_core::RoomRecord;
use std::sync::Arc;

impl Rest {
    /// The room, if the client may see it: a member of its firm is in it.
    pub async fn room_for(&self, caller: &Caller, room: &str) -> Answer<RoomRecord> {
        let room: RoomId = room.parse().map_err(|_| unknown())?;
        match self.hub.find(&room).await {
            Found::Room(found) if caller.0.sees(found.firms().into_iter()) => Ok(found),
            Found::Room(_) | Found::Nothing => Err(unknown()),
            Found::Silence => Err(problem(RestCode::Unavailable, "the room directory does not answer")),
        }
    }

    async fn info(&self, caller: &Caller, record: RoomRecord) -> Answer<RoomInfo> {
        let own = |firm: &FirmId| caller.0.firm.as_ref().is_none_or(|own| own == firm);
        let shown = record.members.iter().filter(|member| own(&member.firm));
        let member =
            |m: &signaling_core::Member| RoomMember { firm: m.firm.clone(), user: m.user.clone(), host: m.host };
        let members = shown.map(member).collect();
        let meeting = self.records.meeting_of(&record.room).await?.map(|meeting| meeting.meeting);
        let firms = record.firms().into_iter().cloned().collect();
        Ok(RoomInfo { room: record.room, title: record.title, firms, members, meeting })
    }
}

/// Rooms that firms have statements about and the client's firm has members in.
#[utoipa::path(get, path = "/v1/rooms", tag = "rooms", operation_id = "listRooms", params(Paging),
    responses((status = 200, body = Page<RoomInfo>), (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn list(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Asked(paging): Asked<Paging>,
) -> Answer<axum::Json<Page<RoomInfo>>> {
    caller.needs(Scope::RoomsRead)?;
    let (most, after) = (paging.limit()?, paging.cursor.as_deref().map(str::parse::<RoomId>).transpose());
    let after = after.map_err(|_| Paging::bad_cursor())?;
    let stated = rest.hub.statements.rooms(rest.hub.clock.now()).await?;
    let mut items: Vec<RoomInfo> = Vec::new();
    for room in stated.into_iter().filter(|room| after.as_ref().is_none_or(|after| room > after)) {
        if items.len() == most {
            let next = items.last().map(|room| room.room.to_string());
            return Ok(axum::Json(Page { items, next }));
        }
        match rest.room_for(&caller, room.as_str()).await {
            Ok(record) => items.push(rest.info(&caller, record).await?),
            Err(Problem(problem)) if problem.code == RestCode::NotFound => {}
            Err(other) => return Err(other),
        }
    }
    Ok(axum::Json(Page { items, next: None }))
}

/// One room.
#[utoipa::path(get, path = "/v1/rooms/{room}", tag = "rooms", operation_id = "getRoom", params(("room" = RoomId, Path)),
    responses((status = 200, body = RoomInfo, headers(("ETag" = String))), (status = 304, description = "Not changed"),
        (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn get(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Path(room): Path<String>,
    headers: HeaderMap,
) -> Answer<Response> {
    caller.needs(Scope::RoomsRead)?;
    let record = rest.room_for(&caller, &room).await?;
    Ok(tagged(&headers, &rest.info(&caller, record).await?))
}

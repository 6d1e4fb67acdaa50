//! Signed statements: handed out, and taken from the firm whose they are. Judged before they are stored; never made here.

use super::clients::Scope;
use super::gate::{Caller, names, tag, tagged_as};
use super::problem::{Answer, Asked, Body, problem, unknown};
use super::{Paging, Rest};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::message::rest::{EventData, EventKind, Page, PutStatement, RestCode, RestProblem, StatementInfo};
use domain::policy::Statement;
use domain::{FirmId, RoomId};
use evidence::statement::judge_statement;
use service::security::Code;
use service::traces::{self, Name};
use signaling_core::RoomRecord;
use signaling_store::records::{Stated, Stored};
use std::sync::Arc;

fn hash(signed: &[u8]) -> String {
    tag(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, signed).as_ref()).trim_matches('"').to_owned()
}

fn info(Stated { firm, room, serial, signed }: Stated) -> StatementInfo {
    StatementInfo { hash: hash(&signed), firm, room, serial, signed }
}

impl Rest {
    async fn statements_of(&self, room: &RoomId) -> Answer<Vec<StatementInfo>> {
        let found = self.hub.statements.about(self.hub.clock.now(), room).await?;
        Ok(found.into_iter().map(info).collect())
    }

    /// Judges a statement against the present one and keeps it.
    async fn take(
        &self,
        record: &RoomRecord,
        firm: &FirmId,
        body: PutStatement,
        headers: &HeaderMap,
    ) -> Answer<(StatementInfo, bool)> {
        let refused = |detail: String| problem(RestCode::BadSignature, detail).of(firm);
        let statement = judge_statement(&self.hub.trust, &body.signed).map_err(|error| refused(error.to_string()))?;
        if statement.firm != *firm || statement.room != record.room {
            return Err(refused("it is another firm's statement, or about another room".into()));
        }
        // what is compared is still there when it is replaced
        let _alone = self.stating.lock().await;
        let present = self.statements_of(&record.room).await?.into_iter().find(|one| one.firm == *firm);
        condition(headers, present.as_ref())?;
        if let Some(present) = &present {
            if present.signed == body.signed {
                return Ok((present.clone(), false));
            }
            if statement.serial <= present.serial {
                return Err(problem(RestCode::Conflict, "its serial is not above the present one's").of(firm));
            }
            if statement.conditions.previous.as_ref().is_some_and(|previous| *previous != present.hash) {
                return Err(problem(
                    RestCode::Conflict,
                    "it names another statement than the present one as its previous",
                )
                .of(firm));
            }
        }
        let Statement { firm: of, room, serial, .. } = statement;
        let one = Stated { firm: of, room, serial, signed: body.signed };
        match self.hub.statements.put(one.clone(), self.hub.clock.now()).await? {
            Stored::New => Ok((info(one), present.is_none())),
            Stored::Known => Err(problem(RestCode::Conflict, "a statement with this serial is there").of(firm)),
        }
    }
}

/// A change says which version it replaces: nobody writes over what he has not seen.
fn condition(headers: &HeaderMap, present: Option<&StatementInfo>) -> Answer<()> {
    let failed = || Err(problem(RestCode::PreconditionFailed, "read the present statement, then decide again"));
    if let Some(named) = headers.get(header::IF_MATCH) {
        return match present {
            Some(present) if names(named, &format!("\"{}\"", present.hash)) => Ok(()),
            _ => failed(),
        };
    }
    match headers.get(header::IF_NONE_MATCH).map(|named| named.as_bytes()) {
        Some(b"*") if present.is_none() => Ok(()),
        Some(b"*") => failed(),
        _ => Err(problem(RestCode::PreconditionRequired, "send If-Match with the present ETag, or If-None-Match: *")),
    }
}

/// The newest statement of every firm about a room, ordered by firm.
#[utoipa::path(get, path = "/v1/rooms/{room}/statements", tag = "statements", operation_id = "listStatements",
    params(("room" = RoomId, Path), Paging),
    responses((status = 200, body = Page<StatementInfo>), (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn list(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Path(room): Path<String>,
    Asked(paging): Asked<Paging>,
) -> Answer<Json<Page<StatementInfo>>> {
    caller.needs(Scope::StatementsRead)?;
    let record = rest.room_for(&caller, &room).await?;
    let most = paging.limit()?;
    let after: Option<FirmId> =
        paging.cursor.as_deref().map(str::parse).transpose().map_err(|_| Paging::bad_cursor())?;
    let mut items = rest.statements_of(&record.room).await?;
    items.retain(|one| after.as_ref().is_none_or(|after| one.firm > *after));
    let more = items.len() > most;
    items.truncate(most);
    let next = items.last().filter(|_| more).map(|one| one.firm.to_string());
    Ok(Json(Page { items, next }))
}

/// The newest statement of a firm about a room. Its `ETag` is its hash.
#[utoipa::path(get, path = "/v1/rooms/{room}/statements/{firm}", tag = "statements", operation_id = "getStatement",
    params(("room" = RoomId, Path), ("firm" = FirmId, Path)),
    responses((status = 200, body = StatementInfo, headers(("ETag" = String))), (status = 304, description = "Not changed"),
        (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn get(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Path((room, firm)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer<Response> {
    caller.needs(Scope::StatementsRead)?;
    let record = rest.room_for(&caller, &room).await?;
    let found = rest.statements_of(&record.room).await?.into_iter().find(|one| one.firm.as_str() == firm);
    let found = found.ok_or_else(unknown)?;
    Ok(tagged_as(&headers, &format!("\"{}\"", found.hash), &found))
}

/// A firm's next statement about a room, signed by its policy key. Counts from the next join on, as the protocol says.
#[utoipa::path(put, path = "/v1/rooms/{room}/statements/{firm}", tag = "statements", operation_id = "putStatement",
    params(("room" = RoomId, Path), ("firm" = FirmId, Path),
        ("If-Match" = Option<String>, Header, description = "ETag of the statement that is replaced"),
        ("If-None-Match" = Option<String>, Header, description = "`*` for a firm's first statement")),
    request_body = PutStatement,
    responses((status = 200, body = StatementInfo, headers(("ETag" = String))), (status = 201, body = StatementInfo, headers(("ETag" = String))),
        (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn put(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Path((room, firm)): Path<(String, String)>,
    headers: HeaderMap,
    Body(body): Body<PutStatement>,
) -> Answer<Response> {
    caller.needs(Scope::StatementsWrite)?;
    let record = rest.room_for(&caller, &room).await?;
    let firm: FirmId = firm.parse().map_err(|_| unknown())?;
    if !caller.0.sees(std::iter::once(&firm)) {
        return Err(problem(RestCode::Forbidden, "a firm's client hands in that firm's own statements only"));
    }
    if !record.firms().contains(&firm) {
        return Err(unknown());
    }
    let span = traces::begin(Name::Statement);
    let (stored, new) = rest.take(&record, &firm, body, &headers).await?;
    span.end(Code::NONE);
    let firms: Vec<FirmId> = record.firms().into_iter().cloned().collect();
    let data = EventData { room: Some(record.room), firm: Some(firm), ..EventData::default() };
    rest.hooks.queue(&rest, EventKind::StatementChanged, &firms, data).await;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, [(header::ETAG, format!("\"{}\"", stored.hash))], Json(stored)).into_response())
}

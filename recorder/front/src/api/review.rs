//! Meetings, requests and approvals for compliance officers. Each step is in the ledger before it is kept.

use crate::api::ledger::append;
use crate::api::{Body, blocking};
use crate::app::App;
use crate::problem::ApiProblem;
use crate::review::copies::Copies;
use crate::review::meetings::OPEN;
use crate::review::requests::{ReviewError, within_limit};
use crate::review::search;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use domain::MeetingId;
use domain::message::custody::WHOLE_ARCHIVE;
use domain::message::front::{ArchivedMeeting, PostApproval, PostRequest, ReplayRequest, Search};
use evidence::grant::GrantError;
use std::sync::Arc;

/// `GET /api/meetings`.
pub async fn meetings(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Json<Vec<ArchivedMeeting>>, ApiProblem> {
    app.sessions.officer(&headers, app.clock.now())?;
    blocking(move || app.meetings.list()).await.map(Json)
}

/// `POST /api/search`. Who looks for what is in the ledger first; chat is looked through only where this officer has it
/// open (ADR-0011).
pub async fn search(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(wanted): Body<Search>,
) -> Result<Json<Vec<ArchivedMeeting>>, ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.officer(&headers, now)?;
    if !search::fits(&wanted) {
        return Err(ApiProblem::bad(format!(
            "A criterion is one line of at most {} characters.",
            search::MAX_CRITERION
        )));
    }
    let archive = WHOLE_ARCHIVE.parse().expect("a valid id");
    append(&app, &session.participant, "search", &archive, search::note(&wanted)).await?;
    let found = app.grants.with_chat(&session.participant, &wanted.text, now);
    let wanted = search::Wanted::new(&wanted, found);
    blocking(move || app.meetings.search(&wanted)).await.map(Json)
}

/// `GET /api/requests`.
pub async fn requests(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Vec<ReplayRequest>>, ApiProblem> {
    app.sessions.officer(&headers, app.clock.now())?;
    Ok(Json(app.requests.list()))
}

/// `POST /api/requests`.
pub async fn request(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(post): Body<PostRequest>,
) -> Result<Json<ReplayRequest>, ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.officer(&headers, now)?;
    let signed =
        within_limit(&post.request).ok_or_else(|| ApiProblem::bad("A signed request is smaller than this."))?.to_vec();
    let (request, requester) = app.requests.judge(&app.trust, &signed, now).map_err(|e| review_problem(&e))?;
    if requester.participant != session.participant {
        return Err(ApiProblem::forbidden("This request is signed by somebody else than the person signed in."));
    }
    let meeting = verified(&app, &request.meeting).await?;
    let named = meeting.named(&request).ok_or_else(manifest_changed)?;
    let length_ms = named.manifest.ended_at.since(named.manifest.started_at);
    if request.handed.is_some() && (request.from_ms > 0 || request.to_ms < length_ms) {
        let detail = "The keys of a meeting open all of it: ask for the whole meeting to hand them out.";
        return Err(ApiProblem::conflict("keys-open-all", detail));
    }
    if meeting.manifest.has_person(&requester.participant.firm, &requester.participant.user) {
        return Err(ApiProblem::new(
            StatusCode::FORBIDDEN,
            "in-roster",
            "You were in this meeting: another officer must request its replay.",
        ));
    }
    let keys = if request.handed.is_some() { "; with keys" } else { "" };
    let copies = if request.paired.is_some() { "; of both copies" } else { "" };
    let note = format!("case {}{keys}{copies}", request.case);
    append(&app, &session.participant, "request", &request.meeting, note).await?;
    let kept = blocking(move || app.requests.keep(&signed, request, requester)).await?;
    kept.map(|stored| Json(stored.row())).map_err(|e| review_problem(&e))
}

/// `POST /api/requests/{id}/approval`.
pub async fn approve(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(post): Body<PostApproval>,
) -> Result<Json<ReplayRequest>, ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.officer(&headers, now)?;
    let signed = within_limit(&post.approval)
        .ok_or_else(|| ApiProblem::bad("A signed approval is smaller than this."))?
        .to_vec();
    let stored = app.requests.get(&id).ok_or_else(|| review_problem(&ReviewError::Unknown))?;
    let meeting = verified(&app, &stored.request.meeting).await?;
    let grant = app.requests.judge_approval(&app.trust, &id, &meeting, &signed, now).map_err(|e| review_problem(&e))?;
    if grant.approver.participant != session.participant {
        return Err(ApiProblem::forbidden("This approval is signed by somebody else than the person signed in."));
    }
    let note = format!("case {}; request {id}; until {}", stored.request.case, grant.until.0);
    append(&app, &session.participant, "approve", &stored.request.meeting, note).await?;
    let kept = blocking(move || app.requests.keep_approval(&id, &signed, &grant)).await?;
    kept.map(|stored| Json(stored.row())).map_err(|e| review_problem(&e))
}

/// A request names copies as they were when it was signed.
pub fn manifest_changed() -> ApiProblem {
    ApiProblem::conflict(
        "manifest-changed",
        "The meeting's manifest is another one than the request names. Reload the list.",
    )
}

/// The verified copies of a meeting.
///
/// # Errors
/// 409 with what is wrong with it.
pub async fn verified(app: &Arc<App>, meeting: &MeetingId) -> Result<Arc<Copies>, ApiProblem> {
    let (inner, meeting) = (app.clone(), meeting.clone());
    let found = blocking(move || inner.meetings.find(&meeting)).await?;
    found.map_err(|problem| {
        let detail = if problem == OPEN {
            "The meeting is still being recorded; request its replay when it has ended.".to_owned()
        } else {
            format!("This meeting cannot be replayed: {problem}.")
        };
        ApiProblem::conflict("not-verified", detail)
    })
}

/// What is wrong with officers' signatures, for an officer.
pub fn grant_problem(error: &GrantError) -> ApiProblem {
    let text = error.to_string();
    match error {
        GrantError::OnePerson => ApiProblem::new(StatusCode::FORBIDDEN, "two-persons", text),
        GrantError::InRoster(_) => ApiProblem::new(StatusCode::FORBIDDEN, "in-roster", text),
        GrantError::Role(_) | GrantError::Signature(..) => ApiProblem::forbidden(text),
        _ => ApiProblem::bad(text),
    }
}

/// What keeps a signed thing from being kept, for an officer.
pub fn review_problem(error: &ReviewError) -> ApiProblem {
    let text = error.to_string();
    match error {
        ReviewError::Refused(error) => grant_problem(error),
        ReviewError::Unknown => ApiProblem::unknown("There is no such request."),
        ReviewError::Approved => ApiProblem::conflict("approved", text),
        ReviewError::Storage(_) => {
            tracing::error!("{text}");
            ApiProblem::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "storage",
                "It could not be kept: the front's folders in the archive cannot be written.",
            )
        }
        ReviewError::Full => ApiProblem::conflict("full", text),
    }
}

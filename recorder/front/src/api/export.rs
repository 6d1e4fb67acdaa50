//! Exports of an open grant. The entry is in the ledger before the first frame leaves for the exporter, and again
//! before the finished copy is handed out.

use crate::api::Body as Posted;
use crate::api::ledger::append;
use crate::api::replay::memory_problem;
use crate::app::App;
use crate::export::sandbox::Program;
use crate::export::{Clip, Job, needs};
use crate::problem::ApiProblem;
use crate::session::Session;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::message::export::MAX_LANES;
use domain::message::front::{ExportState, PostExport};
use std::sync::Arc;

/// Bytes handed to the connection at once.
const PIECE: usize = 256 * 1024;

/// `POST /api/exports`.
pub async fn begin(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Posted(post): Posted<PostExport>,
) -> Result<Json<ExportState>, ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.officer(&headers, now)?;
    let grant = app.grants.by_request(&post.request, now).filter(|grant| grant.officer == session.participant);
    let grant = grant.ok_or_else(|| {
        ApiProblem::conflict("not-open", "Open the replay of this request first: an export copies what is open.")
    })?;
    let program = Program::find(app.config.export.as_deref()).map_err(ApiProblem::unavailable)?;
    if !app.exports.has_place(now) {
        return Err(ApiProblem::slow_down("Too many exports are waiting. Cancel one or wait."));
    }
    let lanes = grant.reel.plan.lanes.len();
    if !(1..=MAX_LANES).contains(&lanes) {
        let detail = format!("A composed copy shows 1 to {MAX_LANES} lanes, and this replay has {lanes}.");
        return Err(ApiProblem::conflict("lanes", detail));
    }
    let clip = Clip::of(&grant, post.from_ms, post.to_ms)
        .ok_or_else(|| ApiProblem::bad("The clip lies outside of what the grant opens, or is empty."))?;
    let memory = app.means.memory.hold(needs(clip)).map_err(memory_problem)?;
    let note = format!("case {}; composed copy of {} to {} ms begun", grant.case, clip.from_ms, clip.to_ms);
    append(&app, &session.participant, "export", &grant.meeting, note).await?;
    Ok(Json(app.exports.start(grant, clip, program, memory).state()))
}

/// The officer's own export.
fn own(app: &App, headers: &HeaderMap, id: &str) -> Result<(Session, Arc<Job>), ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.officer(headers, now)?;
    app.exports.sweep(now);
    let job = app.exports.get(id).filter(|job| job.grant().officer == session.participant);
    let job = job.ok_or_else(|| ApiProblem::unknown("There is no such export, or its grant has ended."))?;
    Ok((session, job))
}

/// `GET /api/exports/{id}`.
pub async fn state(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<ExportState>, ApiProblem> {
    own(&app, &headers, &id).map(|(_, job)| Json(job.state()))
}

/// `DELETE /api/exports/{id}`.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiProblem> {
    own(&app, &headers, &id)?;
    app.exports.cancel(&id);
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/exports/{id}/result`.
pub async fn result(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    let (session, job) = own(&app, &headers, &id)?;
    let bytes = job.result().ok_or_else(|| ApiProblem::conflict("not-done", "This export is not finished."))?;
    let (grant, total) = (job.grant().clone(), bytes.len());
    append(
        &app,
        &session.participant,
        "export",
        &grant.meeting,
        format!("case {}; copy of {total} bytes handed out", grant.case),
    )
    .await?;
    let name = format!("attachment; filename=\"meeting-{}.webm\"", grant.meeting);
    let stream = futures_util::stream::unfold((bytes, 0), move |(bytes, at)| {
        let grant = grant.clone();
        async move {
            if at >= bytes.len() {
                return None;
            }
            if grant.has_ended() {
                let end = bytes.len();
                return Some((Err(std::io::Error::other("the grant has ended")), (bytes, end)));
            }
            let next = bytes.len().min(at + PIECE);
            let piece = Bytes::copy_from_slice(&bytes[at..next]);
            Some((Ok(piece), (bytes, next)))
        }
    });
    let fields = [
        (header::CONTENT_TYPE, "video/webm".to_owned()),
        (header::CONTENT_LENGTH, total.to_string()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((fields, Body::from_stream(stream)).into_response())
}

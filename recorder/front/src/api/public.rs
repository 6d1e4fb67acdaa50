//! What everybody may read: configuration for the page, pages, liveness.

use crate::app::App;
use crate::problem::ApiProblem;
use crate::session::bearer;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use domain::message::front::{PageConfig, RoomSummary};
use domain::{UnixMillis, UserId};
use std::sync::Arc;

/// `GET /api/config`.
pub async fn config(State(app): State<Arc<App>>) -> Json<PageConfig> {
    Json(PageConfig {
        firm: app.config.firm.clone(),
        firm_name: app.config.name.clone(),
        signaling: app.config.signaling.clone(),
        trust: serde_json::to_value(&app.trust).expect("a trust map came from JSON"),
        issuer: if app.idp.is_some() { "development".to_owned() } else { app.config.issuer() },
        warnings: app.warnings(),
        client_id: app.config.client_id.clone(),
    })
}

/// `GET /api/rooms`: with a front session, or with the session of a login before enrolment.
pub async fn rooms(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Vec<RoomSummary>>, ApiProblem> {
    let user = signed_in(&app, &headers, app.clock.now())?;
    Ok(Json(app.rooms.of(&user)))
}

/// Who asks: by a front session, or by the development provider's session before enrolment.
///
/// # Errors
/// 401 with neither.
pub fn signed_in(app: &App, headers: &HeaderMap, now: UnixMillis) -> Result<UserId, ApiProblem> {
    match app.sessions.of(headers, now) {
        Ok(session) => Ok(session.participant.user),
        Err(problem) => {
            let login = bearer(headers).and_then(|token| app.login_user(token, now));
            login.ok_or(problem)
        }
    }
}

/// `GET /livez`, `GET /readyz`: the process answers. Custody is asked when it is needed, so that one dead token does
/// not take the call page down.
pub async fn alive() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Everything else: a page, or nothing.
pub async fn page(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tag| tag.to_str().ok());
    let page = app.pages.answer(uri.path(), known);
    page.unwrap_or_else(|| ApiProblem::unknown("There is nothing at this address.").into_response())
}

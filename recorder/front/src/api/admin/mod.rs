//! Endpoints of the administrators' pages, under `/api/admin`: for the firm's own administrators and nobody else. Nothing here
//! reaches an archived meeting's content: the archive token is asked for its ledger and its public facts only.

pub mod changes;
pub mod rooms;
pub mod status;

use crate::app::App;
use crate::problem::ApiProblem;
use crate::session::Session;
use axum::Router;
use axum::http::HeaderMap;
use axum::routing::{delete, get, post};
use domain::policy::Language;
use domain::{RoomId, UnixMillis};
use serde::Deserialize;
use std::sync::Arc;

/// All of them.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/admin/rooms", get(rooms::list))
        .route("/api/admin/rooms/{room}", get(rooms::show))
        .route("/api/admin/rooms/{room}/draft", post(rooms::draft))
        .route("/api/admin/rooms/{room}/proposals", post(changes::propose))
        .route("/api/admin/rooms/{room}/proposals/{id}", delete(changes::withdraw))
        .route("/api/admin/rooms/{room}/proposals/{id}/approval", post(changes::approve))
        .route("/api/admin/rooms/{room}/handing", post(changes::hand))
        .route("/api/admin/firms", get(status::firms))
        .route("/api/admin/custody", get(status::custody))
        .route("/api/admin/forecast", get(status::forecast))
        .route("/api/admin/ledger", get(status::ledger))
        .route("/api/admin/health", get(status::health))
}

/// Who asks, and when.
///
/// # Errors
/// 401 without a session, 403 for everybody but the firm's administrators.
fn administrator(app: &App, headers: &HeaderMap) -> Result<(Session, UnixMillis), ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.administrator(headers, &app.config.firm, now)?;
    Ok((session, now))
}

/// The room of an address.
///
/// # Errors
/// 404 for what can be none.
fn wanted(id: &str) -> Result<RoomId, ApiProblem> {
    id.parse().map_err(|_| ApiProblem::unknown("There is no such room."))
}

/// Query of what answers in words.
// not a wire type: a query string's one word
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Said {
    /// English if nothing is said.
    #[serde(default = "english")]
    language: Language,
}

fn english() -> Language {
    Language::En
}

//! Probes of the archive keys on their way between a recorder, which has no archive socket, and custody *archive*, and what
//! came of them. Opens nothing else and judges nothing: the recorder compares the digests itself.

use crate::api::Body;
use crate::app::App;
use crate::problem::ApiProblem;
use axum::Json;
use axum::extract::State;
use custody::probe::MAX_KEYS;
use custody::sealing::Sealed;
use domain::B64;
use domain::message::custody::{Answer, Ask};
use domain::message::front::{ProbeArchive, ProbedArchive, ProbedKey, RecordingBlock, RecordingState};
use std::sync::Arc;

/// `POST /custody/probe`: no session, like a recorder's enrolment. A form that is no probe is opened by no token.
pub async fn probe(
    State(app): State<Arc<App>>,
    Body(ask): Body<ProbeArchive>,
) -> Result<Json<ProbedArchive>, ApiProblem> {
    if ask.sealed.is_empty() || ask.sealed.len() > MAX_KEYS {
        return Err(ApiProblem::bad(format!("1 to {MAX_KEYS} probes are opened at once.")));
    }
    let mut digests = Vec::with_capacity(ask.sealed.len());
    for sealed in ask.sealed {
        digests.push(open(&app, sealed).await);
    }
    Ok(Json(ProbedArchive { digests }))
}

/// Asks the archive tokens in turn, and notes what came of it.
async fn open(app: &App, sealed: B64) -> Option<B64> {
    let key_id = Sealed::parse(&sealed).ok()?.key_id;
    for archive in std::iter::once(&app.archive).chain(&app.further_archives) {
        match archive.ask(Ask::OpenProbe { sealed: sealed.clone() }).await {
            Ok(Answer::Probed { digest }) => {
                app.probes.lock().expect("no holder panics").opened(&key_id, app.clock.now());
                return Some(digest);
            }
            Ok(_) => tracing::error!("custody answered something else than a probe"),
            // a form for another token is refused by this one
            Err(error) => tracing::debug!("a probe was not opened: {error}"),
        }
    }
    tracing::warn!(key = key_id.get(..16).unwrap_or_default(), "no archive token opened a probe of this key");
    app.probes.lock().expect("no holder panics").failed(&key_id);
    None
}

/// `GET /api/recording`: can meetings that must be recorded begin?
pub async fn recording(State(app): State<Arc<App>>) -> Json<RecordingState> {
    let probes = app.probes.lock().expect("no holder panics");
    let keys = probes.status().map(|(key_id, opened_at)| ProbedKey { key_id: key_id.to_owned(), opened_at }).collect();
    let blocked = probes.is_blocking(app.clock.now()).then_some(RecordingBlock::ArchiveProbe);
    Json(RecordingState { blocked, keys })
}

//! The evidence bundle of an open grant. Its entry is in the ledger before the first byte leaves.

use crate::api::custody_problem;
use crate::api::ledger::append;
use crate::app::App;
use crate::export::bundle::Bundle;
use crate::problem::ApiProblem;
use crate::review::chain::PAGE;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use domain::MeetingId;
use domain::message::custody::{Answer, Ask};
use domain::message::front::LedgerRow;
use std::sync::Arc;

/// Entries looked through for those about one meeting: some seconds, and years of a firm's officers.
const MAX_LOOKED: u64 = 100_000;

/// `POST /api/requests/{id}/bundle`.
pub async fn fetch(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.officer(&headers, now)?;
    let grant = app.grants.by_request(&id, now).filter(|grant| grant.officer == session.participant);
    let (Some(grant), Some(stored)) = (grant, app.requests.get(&id)) else {
        let detail = "Open the replay of this request first: a bundle holds what is open.";
        return Err(ApiProblem::conflict("not-open", detail));
    };
    let keys = if stored.request.handed.is_some() { "with keys" } else { "without keys" };
    let note = format!("case {}; evidence bundle {keys}", grant.case);
    append(&app, &session.participant, "export", &grant.meeting, note).await?;
    let ledger = about(&app, &grant.meeting).await?;
    let trust = serde_json::to_vec_pretty(&app.trust)
        .map_err(|_| ApiProblem::internal("The trust map cannot be written out."))?;
    let bundle = Bundle { grant, stored, trust, ledger, at: now };
    let name = format!("attachment; filename=\"{}.tar\"", bundle.name());
    let pieces = bundle.stream();
    let stream = futures_util::stream::unfold(pieces, |mut pieces| async move { Some((pieces.recv().await?, pieces)) });
    let fields = [(header::CONTENT_TYPE, "application/x-tar".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((fields, Body::from_stream(stream)).into_response())
}

/// The ledger's entries about a meeting, each with its signed form.
async fn about(app: &App, meeting: &MeetingId) -> Result<Vec<(LedgerRow, Vec<u8>)>, ApiProblem> {
    let (mut walk, mut found) = (app.ledger.walk(Some(0)), Vec::new());
    while walk.next() < MAX_LOOKED {
        let entries = match app.archive.ask(Ask::Ledger { from: walk.next() }).await {
            Ok(Answer::Entries { entries }) => entries,
            Ok(_) => return Err(ApiProblem::unavailable("Custody answered something else than the ledger.")),
            Err(e) => return Err(custody_problem(&e)),
        };
        let last = (entries.len() as u64) < PAGE;
        for signed in entries {
            let row = walk.judge(&signed).filter(|row| row.event.meeting == *meeting);
            found.extend(row.map(|row| (row, signed.0)));
        }
        if last {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(found)
}

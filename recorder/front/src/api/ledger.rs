//! The ledger, through custody *archive*: appended before anything is shown, read back with its chain verified.

use crate::api::{Body, custody_problem};
use crate::app::App;
use crate::problem::ApiProblem;
use crate::review::chain::PAGE;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use domain::message::custody::{Answer, Ask, LedgerEvent};
use domain::message::front::{LedgerRow, PlayerAction, PlayerEvent};
use domain::{MeetingId, ParticipantId};
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::Arc;

/// Entries verified for one answer: some seconds. How far it came is remembered, so asking again goes on from there.
const MAX_WALK: u64 = 50_000;

/// Appends an entry; durable when it returns. Whoever gets an error here shows nothing.
///
/// # Errors
/// A problem for the officer.
pub async fn append(
    app: &App,
    actor: &ParticipantId,
    action: &str,
    meeting: &MeetingId,
    note: String,
) -> Result<u64, ApiProblem> {
    let entry = LedgerEvent {
        at: app.clock.now(),
        actor: actor.uri(),
        action: action.to_owned(),
        meeting: meeting.clone(),
        note,
    };
    match app.archive.ask(Ask::Append { entry }).await {
        Ok(Answer::Appended { index }) => Ok(index),
        Ok(_) => Err(ApiProblem::unavailable("The ledger did not confirm this access, so nothing is shown.")),
        Err(e) => {
            let mut problem = custody_problem(&e);
            problem.detail = format!("The ledger did not take this access, so nothing is shown. {}", problem.detail);
            Err(problem)
        }
    }
}

/// `POST /api/ledger`: the player tells what the officer does.
pub async fn player(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(event): Body<PlayerEvent>,
) -> Result<StatusCode, ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.officer(&headers, now)?;
    let grant = app.grants.by_path(&event.grant, now).filter(|grant| grant.officer == session.participant);
    let grant = grant.ok_or_else(|| ApiProblem::unknown("This grant has ended."))?;
    let action = match event.action {
        PlayerAction::Play => "play",
        PlayerAction::Seek => "seek",
    };
    let note = format!("case {}; player at {} ms", grant.case, event.at_ms.min(grant.duration_ms));
    append(&app, &session.participant, action, &grant.meeting, note).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Query of [`list`].
// not a wire type: a query string's one number
#[derive(Deserialize)]
pub struct From {
    /// First index wanted; without it the newest are.
    from: Option<u64>,
}

/// `GET /api/ledger?from=N`: at most 1,000 entries, oldest first. The chain is verified from the first entry on.
pub async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(wanted): Query<From>,
) -> Result<Json<Vec<LedgerRow>>, ApiProblem> {
    app.sessions.officer(&headers, app.clock.now())?;
    page(&app, wanted.from).await.map(Json)
}

/// One page of it, the newest without `from`.
///
/// # Errors
/// 503 while custody does not answer, or the chain is long and not verified to its end.
pub async fn page(app: &App, from: Option<u64>) -> Result<Vec<LedgerRow>, ApiProblem> {
    let mut walk = app.ledger.walk(from);
    let (first, mut rows) = (walk.next(), VecDeque::new());
    let until = from.map_or(u64::MAX, |from| from.saturating_add(PAGE));
    while walk.next() < until {
        let entries = match app.archive.ask(Ask::Ledger { from: walk.next() }).await {
            Ok(Answer::Entries { entries }) => entries,
            Ok(_) => return Err(ApiProblem::unavailable("Custody answered something else than the ledger.")),
            Err(e) => return Err(custody_problem(&e)),
        };
        if entries.is_empty() {
            break;
        }
        if walk.next() - first >= MAX_WALK {
            return Err(ApiProblem::unavailable("The ledger is long and being verified. Ask again."));
        }
        for signed in entries {
            let row = walk.judge(&signed).filter(|row| (from.unwrap_or(0)..until).contains(&row.index));
            rows.extend(row);
            if rows.len() > PAGE as usize {
                rows.pop_front();
            }
        }
        // a thousand signatures take a tenth of a second: others come first in between
        tokio::task::yield_now().await;
    }
    Ok(rows.into())
}

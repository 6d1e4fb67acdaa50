//! The ledger, through custody *archive*: appended before anything is shown, read back with its chain verified.

use crate::api::{Body, custody_problem};
use crate::app::App;
use crate::problem::ApiProblem;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use domain::message::custody::{Answer, Ask, LedgerEvent};
use domain::message::front::{LedgerRow, PlayerAction, PlayerEvent};
use domain::{MeetingId, ParticipantId};
use evidence::key::PublicKey;
use evidence::ledger::{Head, judge};
use serde::Deserialize;
use std::sync::Arc;

/// Entries read from custody at once (its own limit).
const PAGE: u64 = 1000;
/// Entries a chain is verified over from its begin for one answer; a page of history beyond it wants `from`.
const MAX_WALK: u64 = 100_000;

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
    /// First index wanted.
    #[serde(default)]
    from: u64,
}

/// `GET /api/ledger?from=N`: at most 1,000 entries, oldest first. The chain is verified from the first entry on.
pub async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Query(wanted): Query<From>,
) -> Result<Json<Vec<LedgerRow>>, ApiProblem> {
    app.sessions.officer(&headers, app.clock.now())?;
    let own = app.trust.firm(&app.config.firm).and_then(|firm| PublicKey::from_spki(&firm.ledger_key).ok());
    let key = own.ok_or_else(|| ApiProblem::internal("The trust map's ledger key is no key."))?;
    let (mut head, mut rows) = (Head::EMPTY, Vec::new());
    let mut broken: Option<String> = None;
    while head.next < wanted.from.saturating_add(PAGE).min(MAX_WALK) {
        let entries = match app.archive.ask(Ask::Ledger { from: head.next }).await {
            Ok(Answer::Entries { entries }) => entries,
            Ok(_) => return Err(ApiProblem::unavailable("Custody answered something else than the ledger.")),
            Err(e) => return Err(custody_problem(&e)),
        };
        if entries.is_empty() {
            break;
        }
        for signed in entries {
            let index = head.next;
            let event = match judge(&key, &app.config.firm, &head, &signed) {
                Ok((entry, _)) => Some(entry.event),
                Err(e) => {
                    // everything behind a break is unproven, and said to be
                    broken.get_or_insert_with(|| e.to_string());
                    let payload = evidence::cose::payload_unverified(&signed);
                    payload
                        .and_then(|payload| evidence::cbor::decode::<evidence::ledger::Entry>(&payload).ok())
                        .map(|entry| entry.event)
                }
            };
            head = head.after(&signed);
            let integrity = broken.clone().unwrap_or_else(|| "verified".to_owned());
            if let Some(event) = event.filter(|_| index >= wanted.from && rows.len() < PAGE as usize) {
                rows.push(LedgerRow { index, event, integrity });
            }
        }
    }
    Ok(Json(rows))
}

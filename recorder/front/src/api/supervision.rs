//! Supervision: what officers sign is judged, kept, and in the ledger before it counts. The word lists are run over the
//! chat of meetings that the officer who asks may open, and of no other (ADR-0011).

use crate::api::ledger::append;
use crate::api::review::verified;
use crate::api::{Body, blocking};
use crate::app::App;
use crate::problem::ApiProblem;
use crate::review::acts::MAX_SIGNED_ACT;
use crate::review::desk::{self, Facts, NotNow};
use crate::review::known::Entries;
use crate::review::story::{Story, action};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use domain::message::custody::WHOLE_ARCHIVE;
use domain::message::review::{PostAct, Supervision};
use domain::{MeetingId, ParticipantId};
use evidence::supervision::{self as signed_acts, What};
use std::sync::Arc;

/// `GET /api/supervision`.
pub async fn desk(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Supervision>, ApiProblem> {
    app.sessions.officer(&headers, app.clock.now())?;
    shown(&app).await.map(Json)
}

async fn shown(app: &Arc<App>) -> Result<Supervision, ApiProblem> {
    let (entries, story) = story(app).await?;
    let inner = app.clone();
    blocking(move || desk::view(&story, &entries, &inner.meetings)).await
}

/// The ledger as far as it goes, and what it tells.
///
/// # Errors
/// The ledger cannot be had.
pub async fn story(app: &Arc<App>) -> Result<(Entries, Story), ApiProblem> {
    let entries = app.known.catch_up(&app.archive).await?;
    let inner = app.clone();
    blocking(move || {
        let story = Story::of(&entries, &inner.acts);
        (entries, story)
    })
    .await
}

/// `POST /api/supervision`.
pub async fn act(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(post): Body<PostAct>,
) -> Result<Json<Supervision>, ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.officer(&headers, now)?;
    let signed = post.act.0;
    if signed.len() > MAX_SIGNED_ACT {
        return Err(ApiProblem::bad("A signed act is smaller than this. Take some words out of the lists."));
    }
    let (act, by) = signed_acts::judge(&app.trust, &app.config.firm, &signed, Some(now))
        .map_err(|e| ApiProblem::bad(format!("{e}.")))?;
    if by.participant != session.participant {
        return Err(ApiProblem::forbidden("This act is signed by somebody else than the person signed in."));
    }
    // one act after another: each is judged by the story that the one before is in
    let one = app.acting.lock().await;
    let meeting = match about(&act.what) {
        Some(meeting) => Some(verified(&app, meeting).await?),
        None => None,
    };
    let (entries, story) = story(&app).await?;
    let (story, requests) = (&story, &app.requests);
    let facts =
        Facts { story, entries: &entries, requests, meeting: meeting.as_deref(), by: &session.participant, now };
    facts.judge(&act.what).map_err(|why| not_now(&why))?;
    take(&app, &session.participant, act.what, signed).await?;
    drop(one);
    shown(&app).await.map(Json)
}

/// The meeting that an act is about.
fn about(what: &What) -> Option<&MeetingId> {
    match what {
        What::Assign { meeting, .. }
        | What::Note { meeting, .. }
        | What::Dispose { meeting, .. }
        | What::Copy { meeting, .. } => Some(meeting),
        _ => None,
    }
}

/// Keeps a judged act and writes it to the ledger, by which it takes place.
async fn take(app: &Arc<App>, by: &ParticipantId, what: What, signed: Vec<u8>) -> Result<(), ApiProblem> {
    let meeting = about(&what).cloned().unwrap_or_else(|| WHOLE_ARCHIVE.parse().expect("a valid id"));
    let inner = app.clone();
    let kept = blocking(move || -> std::io::Result<(What, String, Option<String>)> {
        let act = hex::encode(inner.acts.keep(&signed)?);
        let What::Sample(rule) = &what else { return Ok((what, act, None)) };
        let drawn_from = desk::population(&inner.meetings.list(), rule);
        let text = signed_acts::population(&drawn_from);
        let hash = hex::encode(inner.acts.keep_population(&text)?);
        Ok((what, act, Some(format!("population sha256 {hash}; of {}", drawn_from.len()))))
    });
    let (what, act, population) = kept.await?.map_err(|e| {
        tracing::error!("supervision folder: {e}");
        let detail = "The act could not be kept: the archive's supervision folder cannot be written.";
        ApiProblem::new(StatusCode::INSUFFICIENT_STORAGE, "storage", detail)
    })?;
    let population = population.map_or_else(String::new, |population| format!("{population}; "));
    let note = format!("act {act}; {population}{}", said(&what));
    append(app, by, action(&what), &meeting, note).await.map(|_| ())
}

/// An act in a ledger entry: without the texts, which may tell of the meeting and stand in the signed act.
fn said(what: &What) -> String {
    match what {
        What::Sample(rule) => {
            let part = |name: &str, value: &str| {
                if value.is_empty() { String::new() } else { format!("; {name} {value}") }
            };
            format!(
                "{} percent; begun {} to {}; due in {} days{}{}",
                rule.percent,
                rule.from.0,
                rule.to.0,
                rule.due_days,
                part("room", &rule.room),
                part("counterparty", &rule.counterparty),
            )
        }
        What::Assign { origin, reviewer, due, .. } => format!("review of {origin}; to {reviewer}; due {}", due.0),
        What::Note { origin, from_ms, to_ms, .. } => format!("review of {origin}; {from_ms} to {to_ms} ms"),
        What::Dispose { origin, disposition, .. } => format!("review of {origin}; {}", desk::word(*disposition)),
        What::Words { version, lists } => {
            let names: Vec<String> = lists.iter().map(|list| format!("{} {}", list.name, list.words.len())).collect();
            format!("version {version}; {}", names.join(", "))
        }
        What::Copy { client, request, step, file, .. } => {
            let step = serde_json::to_value(step).ok().and_then(|word| word.as_str().map(str::to_owned));
            format!("{} for {client}; request {request}; file sha256 {file}", step.unwrap_or_default())
        }
        _ => String::new(),
    }
}

fn not_now(why: &NotNow) -> ApiProblem {
    match why {
        NotNow::InRoster => ApiProblem::new(
            StatusCode::FORBIDDEN,
            "in-roster",
            "Who was in a meeting does not review it: choose another officer.",
        ),
        NotNow::Not(code @ ("not-assigned" | "not-yours"), text) => {
            ApiProblem::new(StatusCode::FORBIDDEN, code, (*text).to_owned())
        }
        NotNow::Not(code, text) => ApiProblem::conflict(code, *text),
    }
}

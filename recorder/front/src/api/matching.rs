//! A run of the word lists over chat: over each meeting that the officer who asks has a living grant for, opened as a
//! replay is, its entry in the ledger before its chat is looked at. Chat of other meetings stays sealed (ADR-0011).

use crate::api::blocking;
use crate::api::ledger::append;
use crate::api::replay::{meeting_keys, opening_problem};
use crate::api::review::{manifest_changed, verified};
use crate::api::supervision::story;
use crate::app::App;
use crate::problem::ApiProblem;
use crate::replay::marks::CHAT;
use crate::replay::opening::Interval;
use crate::replay::plan::Plan;
use crate::replay::reel::Reel;
use crate::review::lexicon::Lexicon;
use crate::review::requests::{Stored, judge_grant};
use crate::review::story::{HITS_AN_ENTRY, Words, match_note};
use crate::session::Session;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use domain::message::front::LaneEvent;
use domain::message::review::{HitRow, MatchRun, MatchedMeeting};
use std::sync::Arc;

/// Meetings looked through in one run; another run goes on with others. Custody bounds the openings of an hour besides.
const MAX_MEETINGS: usize = 30;
/// Hits of one meeting that are kept: a list that matches more is no list.
const MAX_HITS: usize = 240;

/// `POST /api/supervision/match`.
pub async fn run(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<MatchRun>, ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.officer(&headers, now)?;
    let one = app.acting.lock().await;
    let (_, story) = story(&app).await?;
    let words = story.words.ok_or_else(|| ApiProblem::conflict("no-words", "There are no word lists yet."))?;
    let mut done: Vec<MatchedMeeting> = Vec::new();
    for (stored, approval) in app.requests.granted(&session.participant.user, now) {
        // two grants for one meeting may be for two intervals: each is looked through
        if done.len() >= MAX_MEETINGS {
            break;
        }
        let looked = look(&app, &session, &words, (&stored, &approval)).await;
        done.push(looked.unwrap_or_else(|problem| MatchedMeeting {
            meeting: stored.request.meeting.clone(),
            title: String::new(),
            lines: 0,
            hits: Vec::new(),
            problem: Some(problem.detail),
        }));
    }
    drop(one);
    Ok(Json(MatchRun { version: words.version, meetings: done }))
}

async fn look(
    app: &Arc<App>,
    session: &Session,
    words: &Words,
    (stored, approval): (&Stored, &[u8]),
) -> Result<MatchedMeeting, ApiProblem> {
    let now = app.clock.now();
    let meeting = verified(app, &stored.request.meeting).await?;
    judge_grant(&app.trust, stored, &meeting, approval, now).map_err(|e| ApiProblem::forbidden(e.to_string()))?;
    let open = app.grants.of(&session.participant, now).into_iter().find(|grant| grant.request == stored.id);
    let reel = match open {
        Some(grant) => grant.reel.clone(),
        None => {
            let interval = Interval { from_ms: stored.request.from_ms, to_ms: stored.request.to_ms };
            let copies = Arc::new(meeting.named(&stored.request).ok_or_else(manifest_changed)?);
            let inner = copies.clone();
            let plan = blocking(move || Plan::new(inner, interval)).await?.map_err(|e| opening_problem(&e))?;
            let keys = meeting_keys(app, &copies, &stored.signed, approval).await?;
            let means = app.means.clone();
            // chat alone becomes clear; it goes when this run has looked at it
            Arc::new(blocking(move || Reel::new(plan, keys, means)).await?.map_err(|e| opening_problem(&e))?)
        }
    };
    let lexicon = Lexicon::new(&words.lists);
    let (lines, hits) = blocking(move || find(&lexicon, &reel.plan.events)).await?;
    let mut rest = hits.as_slice();
    loop {
        let (some, after) = rest.split_at(rest.len().min(HITS_AN_ENTRY));
        let note = match_note(words.version, lines, some, &stored.id, &stored.request.case);
        append(app, &session.participant, "match", &stored.request.meeting, note).await?;
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    let title = meeting.manifest.title.clone();
    let meeting = stored.request.meeting.clone();
    Ok(MatchedMeeting { meeting, title, lines: lines as u64, hits, problem: None })
}

/// Lines looked through, and hits with their lines.
fn find(lexicon: &Lexicon, events: &[LaneEvent]) -> (usize, Vec<HitRow>) {
    let chat = || events.iter().filter(|event| event.kind == CHAT);
    let hits = chat().flat_map(|event| {
        let hit = |list: &str| HitRow { list: list.to_owned(), at_ms: event.at_ms, line: Some(event.text.clone()) };
        // who wrote stands before what was written
        let line = event.text.split_once(": ").map_or(event.text.as_str(), |(_, line)| line);
        lexicon.found_in(line).map(hit).collect::<Vec<_>>()
    });
    (chat().count(), hits.take(MAX_HITS).collect())
}

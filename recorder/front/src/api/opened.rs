//! "Who replayed me": openings and exports of meetings in which the person who asks was, from the ledger, as far as the
//! firm shows them. Nothing about meetings of others, and of a shared meeting nothing but its opening.

use crate::api::blocking;
use crate::api::public::signed_in;
use crate::app::App;
use crate::config::Show;
use crate::problem::ApiProblem;
use crate::review::story::user_of;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use domain::UserId;
use domain::message::custody::SECOND_COPY;
use domain::message::front::ArchivedMeeting;
use domain::message::review::{OpenedRow, OpenedToMe};
use std::collections::HashMap;
use std::sync::Arc;

const DAY_MS: u64 = 86_400_000;
/// Openings answered, newest first.
const MAX_ROWS: usize = 500;

/// `GET /api/opened`: for everybody of the firm, about themselves.
pub async fn to_me(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<OpenedToMe>, ApiProblem> {
    let now = app.clock.now();
    let user = signed_in(&app, &headers, now)?;
    let (show, after_days) = (app.config.opened.show, app.config.opened.after_days);
    if show == Show::Nothing {
        return Ok(Json(OpenedToMe { shown: false, after_days, rows: Vec::new() }));
    }
    let entries = app.known.catch_up(&app.archive).await?;
    let inner = app.clone();
    let meetings = blocking(move || own(inner.meetings.list(), &inner, &user)).await?;
    let old_enough = |at: domain::UnixMillis| now.since(at) >= u64::from(after_days) * DAY_MS;
    let told = entries
        .values()
        .rev()
        .map(|seen| &seen.event)
        // the paired recorder's copy is opened with the first: one opening
        .filter(|event| !event.note.ends_with(SECOND_COPY))
        .filter(|event| matches!(event.action.as_str(), "open" | "export") && old_enough(event.at));
    let row = |event: &domain::message::custody::LedgerEvent| {
        let meeting = meetings.get(event.meeting.as_str())?;
        Some(OpenedRow {
            at: event.at,
            action: event.action.clone(),
            title: meeting.title.clone(),
            started_at: meeting.started_at,
            by: (show >= Show::Officer).then(|| user_of(&event.actor)),
            case: (show >= Show::Case).then(|| case_of(&event.note)).flatten(),
        })
    };
    let rows = told.filter_map(row).take(MAX_ROWS).collect();
    Ok(Json(OpenedToMe { shown: true, after_days, rows }))
}

/// Meetings in which a person of this firm was.
fn own(rows: Vec<ArchivedMeeting>, app: &App, user: &UserId) -> HashMap<String, ArchivedMeeting> {
    let me = format!("{}/{user}/", app.config.firm);
    let inside = |row: &ArchivedMeeting| row.participants.iter().any(|who| who.starts_with(&me));
    rows.into_iter().filter(inside).map(|row| (row.meeting.to_string(), row)).collect()
}

/// `case X; ...`, as custody and this front write it. A case may have a semicolon in it, and what follows is known.
fn case_of(note: &str) -> Option<String> {
    let rest = note.strip_prefix("case ")?;
    let end = ["; approved by ", "; evidence bundle ", "; composed copy of "]
        .iter()
        .filter_map(|word| rest.rfind(word))
        .min();
    Some(rest[..end.unwrap_or(rest.len())].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_from_what_custody_and_front_write() {
        assert_eq!(case_of("case 7; b; approved by sr://bank-a/chris/d; 0 to 5 ms").as_deref(), Some("7; b"));
        assert_eq!(case_of("case 42; evidence bundle with keys").as_deref(), Some("42"));
        assert_eq!(case_of("player at 3 ms"), None);
    }
}

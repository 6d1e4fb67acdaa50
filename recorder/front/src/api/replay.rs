//! Opening an approved meeting and serving its lanes. Custody judges the grant and gives the meeting key; the front
//! decrypts in memory; every lane's first bytes and every jump wait for their ledger entry.

use crate::api::ledger::append;
use crate::api::review::{manifest_changed, verified};
use crate::api::{blocking, custody_problem, files};
use crate::app::App;
use crate::http::range::{Wanted, wanted};
use crate::problem::ApiProblem;
use crate::replay::files::Sent;
use crate::replay::grants::{Move, NewGrant, OpenGrant, Place, cookie_name};
use crate::replay::keys::MeetingKeys;
use crate::replay::marks::name_of;
use crate::replay::memory::NoMemory;
use crate::replay::opening::{Interval, OpeningError};
use crate::replay::plan::{Plan, Span};
use crate::replay::reel::{Part, PartError, Reel};
use crate::review::copies::Copies;
use crate::review::meetings::Verified;
use crate::review::requests::judge_grant;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::UnixMillis;
use domain::message::custody::{Answer, Ask};
use domain::message::front::{LanePart, Opened, ReplayFile};
use std::sync::Arc;

/// Bytes handed to the connection at once: between two pieces the grant is looked at again.
const PIECE: usize = 128 * 1024;

/// `POST /api/requests/{id}/open`.
pub async fn open(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.officer(&headers, now)?;
    let stored = app.requests.get(&id).ok_or_else(|| ApiProblem::unknown("There is no such request."))?;
    if stored.requester.participant.user != session.participant.user {
        return Err(ApiProblem::forbidden("Only the officer who requested this replay may open it."));
    }
    let (approval, _, _) = stored
        .approval
        .clone()
        .ok_or_else(|| ApiProblem::conflict("not-approved", "A second officer has not approved this request yet."))?;
    let meeting = verified(&app, &stored.request.meeting).await?;
    let grant =
        judge_grant(&app.trust, &stored, &meeting, &approval, now).map_err(|e| ApiProblem::forbidden(e.to_string()))?;
    if !app.grants.has_place(&id, now) {
        return Err(ApiProblem::slow_down("Too many replays are open. Wait until one of them ends."));
    }
    let interval = Interval { from_ms: stored.request.from_ms, to_ms: stored.request.to_ms };
    let copies = Arc::new(meeting.named(&stored.request).ok_or_else(manifest_changed)?);
    let hold = |bytes: u64| match app.means.memory.hold(bytes) {
        Err(NoMemory::Taken) => {
            // opening again ends the grant before, whose memory this one needs
            end_where(&app, |open| open.request == id);
            app.means.memory.hold(bytes)
        }
        held => held,
    };
    let reading = hold(copies.events_size()).map_err(memory_problem)?;
    let inner = copies.clone();
    let plan = blocking(move || Plan::new(inner, interval)).await?.map_err(|e| opening_problem(&e))?;
    drop(reading);
    let held = hold(plan.needs(0)).map_err(memory_problem)?;
    // custody writes its own entry before it opens anything, one for each copy
    let keys = meeting_keys(&app, &copies, &stored.signed, &approval).await?;
    let means = app.means.clone();
    let reel = blocking(move || Reel::new(plan, keys, means)).await?.map_err(|e| opening_problem(&e))?;
    let reel = Arc::new(reel);
    // the rest is opened as it is played
    reel.part_in(0, Some(held)).await.map_err(|e| part_problem(&e))?;
    let (meeting, parts) = (&copies.manifest.meeting, reel.plan.spans.len());
    tracing::info!(request = %id, %meeting, parts, copies = copies.all().len(), "replay opened");
    let new = NewGrant {
        request: id,
        case: stored.request.case.clone(),
        officer: session.participant,
        meeting: meeting.clone(),
        // the officer's right to be here ends with the certificate, and the replay with it
        until: grant.until.min(session.until),
        duration_ms: copies.manifest.ended_at.since(copies.manifest.started_at),
        reel,
    };
    let open = app.grants.add(new, app.clock.now());
    let open = open.ok_or_else(|| ApiProblem::slow_down("Too many replays are open. Wait until one of them ends."))?;
    end_on_time(&app, open.until);
    Ok(opened(&app, &open))
}

/// `DELETE /api/requests/{id}/open`: the officer has seen enough. The lanes and exports are wiped now and not at the
/// grant's end; the approval stays good for opening again.
pub async fn close(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiProblem> {
    let session = app.sessions.officer(&headers, app.clock.now())?;
    end_where(&app, |open| open.request == id && open.officer == session.participant);
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/session`: signing out ends the session here too, with the replays that were opened in it.
pub async fn sign_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<StatusCode, ApiProblem> {
    let session = app.sessions.end(&headers, app.clock.now())?;
    end_where(&app, |open| open.officer == session.participant);
    Ok(StatusCode::NO_CONTENT)
}

fn end_where(app: &App, which: impl Fn(&OpenGrant) -> bool) {
    app.grants.end_where(which);
    app.exports.sweep(app.clock.now());
}

/// No memory for a clear meeting, as an officer reads it.
pub fn memory_problem(why: NoMemory) -> ApiProblem {
    match why {
        NoMemory::TooLarge => ApiProblem::conflict(
            "too-large",
            "This interval needs more memory than the front has for replays (`memory_mib`). Ask for a shorter one.",
        ),
        NoMemory::Taken => {
            ApiProblem::slow_down("Other replays and exports take the memory that this one needs. Wait until one ends.")
        }
    }
}

/// The keys of each copy, from custody, which writes its own entry first.
///
/// # Errors
/// Custody's refusal.
pub async fn meeting_keys(
    app: &App,
    copies: &Copies,
    request: &[u8],
    approval: &[u8],
) -> Result<Vec<MeetingKeys>, ApiProblem> {
    let mut keys = Vec::with_capacity(copies.all().len());
    for copy in copies.all() {
        keys.push(copy_keys(app, copy, request, approval).await?);
    }
    Ok(keys)
}

async fn copy_keys(app: &App, meeting: &Verified, request: &[u8], approval: &[u8]) -> Result<MeetingKeys, ApiProblem> {
    let ask = Ask::OpenMeetingKey {
        manifest: meeting.signed.as_slice().into(),
        request: request.into(),
        approval: approval.into(),
    };
    match app.archive.ask(ask).await {
        Ok(Answer::MeetingKeys { keys }) => Ok(MeetingKeys::take(keys)),
        Ok(_) => Err(ApiProblem::internal("Custody answered something else than keys.")),
        Err(e) => Err(custody_problem(&e)),
    }
}

/// Why a meeting is not opened, as an officer reads it.
pub fn opening_problem(error: &OpeningError) -> ApiProblem {
    ApiProblem::conflict("not-verified", format!("This meeting cannot be replayed: {error}."))
}

/// Why a part of it is not.
pub fn part_problem(error: &PartError) -> ApiProblem {
    match error {
        PartError::Opening(error) => opening_problem(error),
        PartError::Memory(why) => memory_problem(*why),
        PartError::Gone => ApiProblem::unknown("There is no such part of this meeting, or the front is stopping."),
    }
}

/// The lanes are wiped at the grant's end even when nobody asks any more: exports hold them too.
fn end_on_time(app: &Arc<App>, until: UnixMillis) {
    let app = Arc::downgrade(app);
    tokio::spawn(async move {
        loop {
            let Some(app) = app.upgrade() else { return };
            let now = app.clock.now();
            let left = until.since(now);
            if left == 0 {
                return end_what_is_over(&app, now);
            }
            drop(app);
            // the wall clock may be set while we wait: look again at least each minute
            tokio::time::sleep(std::time::Duration::from_millis(left.min(60_000))).await;
        }
    });
}

fn end_what_is_over(app: &App, now: UnixMillis) {
    app.grants.sweep(now);
    app.exports.sweep(now);
}

fn opened(app: &App, open: &OpenGrant) -> Response {
    let plan = &open.reel.plan;
    let part = |lane: usize, (part, span): (usize, &Span)| LanePart {
        src: format!("/replay/{}/{lane}-{part}.webm", open.grant),
        begin_ms: span.begin_ms,
        from_ms: span.from_ms,
        to_ms: span.to_ms,
    };
    let parts = |lane: usize| plan.spans.iter().enumerate().map(|one| part(lane, one)).collect();
    let answer = Opened {
        grant: open.grant.clone(),
        until: open.until,
        duration_ms: open.duration_ms,
        lanes: plan.lanes.iter().enumerate().map(|(n, lane)| lane.row(parts(n))).collect(),
        events: plan.events.clone(),
        files: plan.files.iter().enumerate().map(|(n, sent)| row(open, n, sent)).collect(),
    };
    let secure = if app.config.tls.is_some() { "; Secure" } else { "" };
    let life = open.until.since(app.clock.now()) / 1000;
    let cookie = format!(
        "{}={}; Path=/replay/{}; Max-Age={life}; HttpOnly; SameSite=Strict{secure}",
        open.cookie_name(),
        open.cookie,
        open.grant
    );
    ([(header::SET_COOKIE, cookie)], Json(answer)).into_response()
}

fn row(open: &OpenGrant, number: usize, sent: &Sent) -> ReplayFile {
    let (name, media_type) = sent.shown.clone().unzip();
    let missing = serde_json::to_value(sent.missing).ok().and_then(|why| why.as_str().map(str::to_owned));
    ReplayFile {
        src: sent.is_here().then(|| format!("/replay/{}/{}", open.grant, files::name(number))),
        at_ms: sent.at_ms,
        from: name_of(&open.reel.plan.copies.manifest, &sent.from),
        name,
        media_type,
        size: sent.size,
        missing,
    }
}

/// The named cookie of a request.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// `GET /replay/{grant}/{lane}-{part}.webm`. A wrong grant, a wrong cookie and an ended grant look the same.
pub async fn lane(
    State(app): State<Arc<App>>,
    Path((grant, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiProblem> {
    let nothing = || ApiProblem::unknown("There is nothing at this address, or the grant has ended.");
    let shown = cookie(&headers, &cookie_name(&grant));
    let open = app.grants.by_cookie(&grant, shown, app.clock.now()).ok_or_else(nothing)?;
    if let Some(number) = files::number(&file) {
        return files::give(&app, open, number).await;
    }
    let place = Place::read(&file).filter(|place| open.reading(*place).is_some()).ok_or_else(nothing)?;
    let part = open.reel.part(place.part).await.map_err(|e| part_problem(&e))?;
    let total = part.lanes.get(place.lane).ok_or_else(nothing)?.bytes.len();
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let (first, end, status) = match wanted(range, total) {
        Wanted::Whole => (0, total, StatusCode::OK),
        Wanted::Part(first, end) => (first, end, StatusCode::PARTIAL_CONTENT),
        Wanted::Nothing => {
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{total}"))])
                .into_response());
        }
    };
    record(&app, &open, &part, place, first).await?;
    let mut response = Response::new(pieces(open.clone(), part, place, first, end));
    *response.status_mut() = status;
    let text = |value: String| value.parse().expect("digits and ASCII words are header values");
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, text("video/webm".to_owned()));
    fields.insert(header::ACCEPT_RANGES, text("bytes".to_owned()));
    fields.insert(header::CONTENT_LENGTH, text((end - first).to_string()));
    if status == StatusCode::PARTIAL_CONTENT {
        fields.insert(header::CONTENT_RANGE, text(format!("bytes {first}-{}/{total}", end - 1)));
    }
    Ok(response)
}

/// Waits until the ledger has this access. The lane stays locked meanwhile: nothing overtakes its entry.
async fn record(app: &App, open: &OpenGrant, part: &Part, place: Place, first: usize) -> Result<(), ApiProblem> {
    let reading = open.reading(place).ok_or_else(|| ApiProblem::internal("A lane without its state."))?;
    let mut reading = reading.lock().await;
    let action = match reading.judge(first) {
        Move::GoesOn => return Ok(()),
        Move::Play => "play",
        Move::Seek => "seek",
    };
    let frames = &part.lanes[place.lane].frames;
    let at = frames.partition_point(|frame| frame.at + frame.len <= first).min(frames.len().saturating_sub(1));
    let in_part_ms = frames.get(at).map_or(0, |frame| frame.pts_us / 1000);
    let at_ms = open.reel.plan.spans[place.part].begin_ms + in_part_ms;
    let note = format!("case {}; lane {} from {at_ms} ms", open.case, place.lane);
    append(app, &open.officer, action, &open.meeting, note).await?;
    reading.serve(first);
    Ok(())
}

/// The bytes, piece by piece; stops in the middle when the grant ends.
fn pieces(open: Arc<OpenGrant>, part: Arc<Part>, place: Place, first: usize, end: usize) -> Body {
    let stream = futures_util::stream::unfold((open, part, first), move |(open, part, at)| async move {
        if at >= end {
            return None;
        }
        if open.has_ended() {
            let stopped = std::io::Error::other("the grant has ended");
            return Some((Err(stopped), (open, part, end)));
        }
        let next = end.min(at + PIECE);
        let piece = Bytes::copy_from_slice(&part.lanes[place.lane].bytes[at..next]);
        if let Some(reading) = open.reading(place) {
            reading.lock().await.serve(next);
        }
        Some((Ok(piece), (open, part, next)))
    });
    Body::from_stream(stream)
}

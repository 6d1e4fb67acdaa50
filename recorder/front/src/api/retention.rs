//! Retention: what holds of each meeting, and the acts that two officers sign. Judged here so that an officer hears at once
//! what stands against an act; judged again by the recorder, which alone carries it out. Each step is in the ledger first.

use crate::api::ledger::append;
use crate::api::review::{grant_problem, review_problem};
use crate::api::{Body, blocking};
use crate::app::App;
use crate::problem::ApiProblem;
use crate::review::requests::{ReviewError, within_limit};
use crate::review::retention::{id_of, row};
use crate::session::Session;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use domain::message::front::ArchivedMeeting;
use domain::message::retention::{PostConsent, PostRetention, Retention, RetentionRow};
use domain::{MeetingId, ParticipantId};
use evidence::cbor;
use evidence::grant::Subject;
use evidence::retention::{Act, Book, Judged, Refusal, Standing, judge, judge_first, used};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `GET /api/retention`.
pub async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Retention>, ApiProblem> {
    let session = app.sessions.officer(&headers, app.clock.now())?;
    shown(&app, &session).await
}

/// `POST /api/retention`: the first officer's half.
pub async fn act(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(post): Body<PostRetention>,
) -> Result<Json<Retention>, ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.officer(&headers, now)?;
    let signed = within_limit(&post.act).ok_or_else(|| ApiProblem::bad("A signed act is smaller than this."))?.to_vec();
    // one act after another: the same one is not taken twice
    let one = app.acting.lock().await;
    if app.retention.get(&id_of(&signed)).is_some() {
        return Err(ApiProblem::conflict("act-used", "This act was sent before. Sign a new one."));
    }
    let claimed = evidence::cose::payload_unverified(&signed).and_then(|payload| cbor::decode::<Act>(&payload).ok());
    let claimed = claimed.ok_or_else(|| ApiProblem::bad("This is no act of retention."))?;
    let facts = facts(&app, claimed.meeting).await?;
    let (act, first) = judge_first(&app.trust, facts.subject(&app), &signed, now).map_err(|e| grant_problem(&e))?;
    is_own(&first, &session)?;
    // who consents is not known yet and matters to no rule
    let provisional = Judged { second: first.clone(), signed_at: act.issued_at, first: first.clone(), act };
    facts.allows(now, &provisional, &signed)?;
    let act = provisional.act;
    append(&app, &session.participant, "retain", &act.meeting, note(&act, &signed)).await?;
    let inner = app.clone();
    let kept = blocking(move || inner.retention.keep(&signed, act, first)).await?;
    kept.map_err(|e| review_problem(&e))?;
    drop(one);
    shown(&app, &session).await
}

/// `POST /api/retention/{id}/consent`: the second officer's half; the recorder carries the act out from now on.
pub async fn consent(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(post): Body<PostConsent>,
) -> Result<Json<Retention>, ApiProblem> {
    let now = app.clock.now();
    let session = app.sessions.officer(&headers, now)?;
    let consent =
        within_limit(&post.consent).ok_or_else(|| ApiProblem::bad("A signed consent is smaller than this."))?.to_vec();
    let one = app.acting.lock().await;
    let stored = app.retention.get(&id).ok_or_else(|| ApiProblem::unknown("There is no such act."))?;
    if stored.second.is_some() {
        return Err(ApiProblem::conflict("approved", "A second officer consented to this act before."));
    }
    let facts = facts(&app, stored.act.meeting.clone()).await?;
    let judged =
        judge(&app.trust, facts.subject(&app), &stored.signed, &consent, now).map_err(|e| grant_problem(&e))?;
    is_own(&judged.second, &session)?;
    facts.allows(now, &judged, &stored.signed)?;
    let note = note(&judged.act, &stored.signed);
    append(&app, &session.participant, "retain-consent", &judged.act.meeting, note).await?;
    let inner = app.clone();
    let kept = blocking(move || inner.retention.keep_consent(&id, &consent, judged.second)).await?;
    kept.map_err(|e: ReviewError| review_problem(&e))?;
    drop(one);
    shown(&app, &session).await
}

fn is_own(signer: &ParticipantId, session: &Session) -> Result<(), ApiProblem> {
    if *signer == session.participant {
        Ok(())
    } else {
        Err(ApiProblem::forbidden("This is signed by somebody else than the person signed in."))
    }
}

/// Without the reason, which stands in the signed act.
fn note(act: &Act, signed: &[u8]) -> String {
    format!("act {}; {}; case {}", hex::encode(evidence::sha256(signed)), act.what.name(), act.case)
}

/// What is known of the meeting that an act is about.
struct Facts {
    meeting: MeetingId,
    manifest_hash: [u8; 32],
    roster: Vec<ParticipantId>,
    standing: Standing,
    book: Option<Book>,
}

impl Facts {
    fn subject<'a>(&'a self, app: &'a App) -> Subject<'a> {
        let (firm, meeting) = (&app.config.firm, &self.meeting);
        Subject { firm, meeting, manifest_hash: self.manifest_hash, roster: &self.roster }
    }

    fn allows(&self, now: domain::UnixMillis, judged: &Judged, signed: &[u8]) -> Result<(), ApiProblem> {
        if self.book.as_ref().is_some_and(|book| book.has(signed)) {
            return Err(grant_problem(&used()));
        }
        let taken = self.standing.clone().take(now, judged);
        taken.map_err(|refusal| {
            let code = match refusal {
                Refusal::Held(_) => "retention-held",
                Refusal::NotExpired(_) => "retention-early",
                _ => "retention-rule",
            };
            ApiProblem::conflict(code, format!("{refusal}."))
        })
    }
}

/// Of the manifest, or of the book where a disposal destroyed it.
async fn facts(app: &Arc<App>, meeting: MeetingId) -> Result<Facts, ApiProblem> {
    let inner = app.clone();
    let read = blocking(move || {
        let book = inner.retention.book(&meeting)?;
        match inner.meetings.find(&meeting) {
            Ok(verified) => {
                let manifest = &verified.manifest;
                let signed = Standing::new(manifest.ended_at, manifest.retain_until);
                Ok(Facts {
                    meeting,
                    manifest_hash: verified.first().hash,
                    roster: manifest.roster.iter().map(|row| row.participant.clone()).collect(),
                    standing: book.as_ref().map_or(signed, |book| book.standing.clone()),
                    book,
                })
            }
            Err(why) => {
                let book = book.ok_or(why)?;
                let (manifest_hash, standing) = (book.manifest_hash.0, book.standing.clone());
                Ok(Facts { meeting, manifest_hash, roster: Vec::new(), standing, book: Some(book) })
            }
        }
    });
    read.await?.map_err(|problem: String| {
        let problem = if problem == "open" { "it is still being recorded".to_owned() } else { problem };
        ApiProblem::conflict("not-verified", format!("Nothing can be signed about this meeting: {problem}."))
    })
}

async fn shown(app: &Arc<App>, session: &Session) -> Result<Json<Retention>, ApiProblem> {
    let (inner, me) = (app.clone(), session.participant.clone());
    let read = move || {
        let rows = inner.meetings.list().into_iter().filter(|row| row.integrity != "open");
        let rows: BTreeMap<String, ArchivedMeeting> = rows.map(|row| (row.meeting.to_string(), row)).collect();
        let mut meetings: Vec<RetentionRow> = rows.values().map(|row| of_meeting(&inner, row, &me)).collect();
        let gone = inner.retention.books().into_iter().filter(|meeting| !rows.contains_key(meeting.as_str()));
        meetings.extend(gone.filter_map(|meeting| {
            let book = inner.retention.book(&meeting).ok().flatten()?;
            Some(row(meeting, String::new(), &book.manifest_hash.0, &book.standing))
        }));
        meetings.sort_by(|a, b| b.ended_at.cmp(&a.ended_at).then_with(|| a.meeting.cmp(&b.meeting)));
        Retention { meetings, acts: inner.retention.acts(inner.clock.now()) }
    };
    blocking(read).await.map(Json)
}

fn of_meeting(app: &App, archived: &ArchivedMeeting, me: &ParticipantId) -> RetentionRow {
    let signed = Standing::new(archived.ended_at, archived.retain_until);
    let (standing, mut problem) = match app.retention.book(&archived.meeting) {
        Ok(book) => (book.map_or(signed, |book| book.standing), None),
        Err(why) => (signed, Some(why)),
    };
    if archived.manifest_hash.is_empty() {
        problem = Some(archived.integrity.clone());
    }
    let own = format!("{}/{}/", me.firm, me.user);
    let inside = archived.participants.iter().any(|who| who.starts_with(&own));
    let row = row(archived.meeting.clone(), archived.title.clone(), &archived.manifest_hash, &standing);
    RetentionRow { inside, problem, ..row }
}

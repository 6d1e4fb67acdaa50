//! Changing a statement: one administrator proposes, where the firm says so a second one approves, custody *people* signs, the
//! version is kept, signaling gets it. Each act is in the ledger before it counts; one act at a time.

use super::rooms::{room, shown, waiting};
use super::{Said, administrator, wanted};
use crate::admin::book::MAX_CONSENT;
use crate::admin::draft::Room;
use crate::admin::proposal::{Consent, Refused};
use crate::api::ledger::append;
use crate::api::{Body, blocking, custody_problem};
use crate::app::App;
use crate::problem::ApiProblem;
use crate::rooms::Stated;
use crate::session::Session;
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use domain::message::admin::{PostConsent, RoomPolicy};
use domain::message::custody::{Answer, Ask, POLICY};
use domain::{B64, RoomId, UnixMillis};
use std::sync::Arc;

fn problem(why: &Refused) -> ApiProblem {
    let text = format!("{why}.");
    match why {
        Refused::Signature(_) => ApiProblem::forbidden(text),
        Refused::OtherFirm => ApiProblem::new(StatusCode::FORBIDDEN, "other-firm", text),
        Refused::OnePerson => ApiProblem::new(StatusCode::FORBIDDEN, "two-persons", text),
        Refused::Old => ApiProblem::conflict("expired", text),
        Refused::Stale => ApiProblem::conflict("stale", text),
        Refused::Another => ApiProblem::conflict("another-change", text),
        Refused::Range(_) | Refused::ForeignKey => ApiProblem::bad(text),
    }
}

fn storage(error: &std::io::Error) -> ApiProblem {
    tracing::error!("the book of statements cannot be written: {error}");
    ApiProblem::new(
        StatusCode::INSUFFICIENT_STORAGE,
        "storage",
        "The change could not be kept. Look at the front's log.",
    )
}

/// A consent, signed by whoever sends it and about this room.
fn judged(
    app: &App,
    session: &Session,
    id: &RoomId,
    post: &PostConsent,
    now: UnixMillis,
) -> Result<Consent, ApiProblem> {
    if post.consent.len() > MAX_CONSENT {
        return Err(ApiProblem::bad("A signed statement is smaller than this."));
    }
    let consent = Consent::judge(&app.trust, &app.config.firm, &post.consent, now).map_err(|why| problem(&why))?;
    if consent.who.participant != session.participant {
        return Err(ApiProblem::forbidden("This change is signed by somebody else than the person signed in."));
    }
    if consent.statement.room != *id {
        return Err(ApiProblem::bad("This statement is about another room."));
    }
    Ok(consent)
}

async fn tell(app: &App, session: &Session, action: &str, room: &RoomId, more: String) -> Result<(), ApiProblem> {
    let policy = POLICY.parse().expect("a constant id");
    append(app, &session.participant, action, &policy, format!("room {room}; {more}")).await.map(drop)
}

/// `POST /api/admin/rooms/{room}/proposals`.
pub async fn propose(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(said): Query<Said>,
    headers: HeaderMap,
    Body(post): Body<PostConsent>,
) -> Result<Json<RoomPolicy>, ApiProblem> {
    let (session, now) = administrator(&app, &headers)?;
    let id = wanted(&id)?;
    let _alone = app.acting.lock().await;
    let consent = judged(&app, &session, &id, &post, now)?;
    let room = room(&app, &id).await?;
    consent.follows(room.present(&app.config.firm), &app.trust, now).map_err(|why| problem(&why))?;
    let (inner, known) = (app.clone(), consent.id.clone());
    if blocking(move || inner.desk.book.is_over(&known)).await? {
        return Err(ApiProblem::conflict("over", "This change was made or withdrawn before. Begin a new one."));
    }
    if waiting(&app, &room, now).await?.is_some() {
        let detail = "Another change of this room waits for its approval. Approve or withdraw it first.";
        return Err(ApiProblem::conflict("waiting", detail));
    }
    let short = consent.id.get(..16).unwrap_or_default();
    tell(&app, &session, "propose", &id, format!("statement {}; change {short}", consent.statement.serial)).await?;
    if app.desk.settings.administrators > 1 {
        let (inner, signed) = (app.clone(), post.consent.0);
        let at = id.clone();
        blocking(move || inner.desk.book.wait(&at, &signed)).await?.map_err(|e| storage(&e))?;
    } else {
        conclude(&app, &session, &consent, vec![post.consent]).await?;
    }
    shown(&app, &id, said.language).await
}

/// `POST /api/admin/rooms/{room}/proposals/{id}/approval`.
pub async fn approve(
    State(app): State<Arc<App>>,
    Path((id, change)): Path<(String, String)>,
    Query(said): Query<Said>,
    headers: HeaderMap,
    Body(post): Body<PostConsent>,
) -> Result<Json<RoomPolicy>, ApiProblem> {
    let (session, now) = administrator(&app, &headers)?;
    let id = wanted(&id)?;
    let _alone = app.acting.lock().await;
    let consent = judged(&app, &session, &id, &post, now)?;
    let room = room(&app, &id).await?;
    let (first, signed) = pending(&app, &room, &change, now).await?;
    consent.seconds(&first).map_err(|why| problem(&why))?;
    let short = consent.id.get(..16).unwrap_or_default();
    tell(&app, &session, "agree", &id, format!("statement {}; change {short}", consent.statement.serial)).await?;
    conclude(&app, &session, &consent, vec![signed.into(), post.consent]).await?;
    shown(&app, &id, said.language).await
}

/// The change that waits, if it is this one.
async fn pending(app: &Arc<App>, room: &Room, change: &str, now: UnixMillis) -> Result<(Consent, Vec<u8>), ApiProblem> {
    match waiting(app, room, now).await? {
        Some((first, signed)) if first.id == change => Ok((first, signed)),
        Some(_) => Err(problem(&Refused::Another)),
        None => Err(ApiProblem::conflict("stale", "No change waits here any more. Look at the present statement.")),
    }
}

/// `DELETE /api/admin/rooms/{room}/proposals/{id}`: by whoever proposed it, or by whoever refuses it.
pub async fn withdraw(
    State(app): State<Arc<App>>,
    Path((id, change)): Path<(String, String)>,
    Query(said): Query<Said>,
    headers: HeaderMap,
) -> Result<Json<RoomPolicy>, ApiProblem> {
    let (session, now) = administrator(&app, &headers)?;
    let id = wanted(&id)?;
    let _alone = app.acting.lock().await;
    let room = room(&app, &id).await?;
    let (first, _) = pending(&app, &room, &change, now).await?;
    let short = first.id.get(..16).unwrap_or_default();
    tell(&app, &session, "withdraw", &id, format!("statement {}; change {short}", first.statement.serial)).await?;
    let (inner, at) = (app.clone(), id.clone());
    blocking(move || inner.desk.book.end(&at, &first.id)).await?.map_err(|e| storage(&e))?;
    shown(&app, &id, said.language).await
}

/// Custody signs; the version is in the ledger, then kept, then handed over.
async fn conclude(
    app: &Arc<App>,
    session: &Session,
    consent: &Consent,
    signatures: Vec<B64>,
) -> Result<(), ApiProblem> {
    let statement = consent.statement.clone();
    let ask = Ask::SignStatement { statement: statement.clone(), administrators: signatures.clone() };
    let signed = match app.people.ask(ask).await {
        Ok(Answer::Signed { signed }) => signed.0,
        Ok(_) => return Err(ApiProblem::internal("Custody answered something else than a signed statement.")),
        Err(e) => return Err(custody_problem(&e)),
    };
    match evidence::statement::judge_statement(&app.trust, &signed) {
        Ok(judged) if judged == statement => {}
        _ => return Err(ApiProblem::internal("Custody signed something that nobody would believe.")),
    }
    let stated = Stated { statement, signed };
    let (room, serial) = (stated.statement.room.clone(), stated.statement.serial);
    tell(app, session, "state", &room, format!("statement {serial}; sha256 {}", stated.hash())).await?;
    let (inner, kept, id) = (app.clone(), stated.clone(), consent.id.clone());
    let written = blocking(move || {
        inner.desk.book.keep(&kept, &signatures)?;
        inner.desk.book.end(&kept.statement.room, &id)
    });
    written.await?.map_err(|e| storage(&e))?;
    app.rooms.state(stated);
    tracing::info!(room = %room, serial, "a new statement");
    // it holds for this firm now; that signaling does not answer is shown, and can be made good
    if let Err(error) = hand_over(app, &room).await {
        tracing::warn!(room = %room, "the statement is not handed over: {}", error.detail);
    }
    Ok(())
}

/// `POST /api/admin/rooms/{room}/handing`: once more, what signaling has not taken.
pub async fn hand(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(said): Query<Said>,
    headers: HeaderMap,
) -> Result<Json<RoomPolicy>, ApiProblem> {
    administrator(&app, &headers)?;
    let id = wanted(&id)?;
    let _alone = app.acting.lock().await;
    hand_over(&app, &id).await?;
    shown(&app, &id, said.language).await
}

/// Versions that signaling has not, in their order: each names the one before.
async fn hand_over(app: &Arc<App>, id: &RoomId) -> Result<(), ApiProblem> {
    let Some(signaling) = &app.desk.handover else {
        return Err(ApiProblem::conflict(
            "no-way",
            "No address of signaling is configured (`administration.signaling`).",
        ));
    };
    let room = room(app, id).await?;
    for kept in room.versions.iter().filter(|kept| !kept.handed) {
        signaling.put(kept).await.map_err(|e| ApiProblem::unavailable(format!("Not handed over: {e}.")))?;
        let (inner, at, serial) = (app.clone(), id.clone(), kept.stated.statement.serial);
        blocking(move || inner.desk.book.handed(&at, serial)).await?.map_err(|e| storage(&e))?;
    }
    Ok(())
}

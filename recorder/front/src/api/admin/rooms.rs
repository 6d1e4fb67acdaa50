//! Rooms, the statements about them, and what a change would mean. Reads and computes; changes nothing.

use super::{Said, administrator, wanted};
use crate::admin::book::Kept;
use crate::admin::draft::{self, Coming, Room};
use crate::admin::forecast;
use crate::admin::proposal::Consent;
use crate::api::{Body, blocking};
use crate::app::App;
use crate::problem::ApiProblem;
use crate::rooms::{Stated, statements};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use domain::message::admin::{
    DraftAnswer, DraftAsk, Proposal, RoomPolicy, StatedRoom, StatedRooms, Version, VersionHead,
};
use domain::policy::Language;
use domain::{RoomId, UnixMillis};
use evidence::statement::{MAX_NAME, check_ranges};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most hours a month that a cost is computed for: eight meetings at every moment.
const MAX_HOURS: u32 = 6_000;

/// What lies on this machine: every version of the firm's, and the newest of the others, known from now on.
///
/// # Errors
/// 503 if it cannot be read.
pub(super) async fn read(app: &Arc<App>) -> Result<Vec<Kept>, ApiProblem> {
    let inner = app.clone();
    let found = blocking(move || {
        let given = inner.config.statements.as_ref().map(|folder| statements(folder, &inner.trust)).transpose()?;
        Ok::<_, std::io::Error>((given.unwrap_or_default(), inner.desk.book.versions(&inner.trust)?))
    });
    let (given, mut versions) = found.await?.map_err(|e| {
        tracing::error!("statements cannot be read: {e}");
        ApiProblem::unavailable("The folders of statements cannot be read. Look at the front's log.")
    })?;
    for stated in given {
        let of = |kept: &&mut Kept| kept.stated == stated;
        match versions.iter_mut().find(of) {
            // who reads that folder has it
            Some(kept) => kept.handed = true,
            None if stated.statement.firm == app.config.firm => {
                versions.push(Kept { stated: stated.clone(), by: Vec::new(), handed: true });
            }
            None => {}
        }
        app.rooms.state(stated);
    }
    versions.iter().for_each(|kept| app.rooms.state(kept.stated.clone()));
    versions.sort_by_key(|kept| kept.stated.statement.serial);
    Ok(versions)
}

/// Everything about one room, signaling's newest statements included if it answers.
///
/// # Errors
/// 404 for a room of nobody here, 503.
pub async fn room(app: &Arc<App>, id: &RoomId) -> Result<Room, ApiProblem> {
    let mut versions = read(app).await?;
    versions.retain(|kept| kept.stated.statement.room == *id);
    if let Some(signaling) = &app.desk.handover {
        match signaling.statements(id, &app.trust).await {
            Ok(newest) => newest.into_iter().for_each(|stated| app.rooms.state(stated)),
            Err(error) => tracing::warn!("{error}"),
        }
    }
    let stated = app.rooms.about(id);
    let listed = app.rooms.listed().iter().find(|listed| listed.room == *id);
    if listed.is_none() && stated.is_empty() && !directory(app).await.contains_key(id) {
        return Err(ApiProblem::unknown("There is no such room."));
    }
    let title = match listed {
        Some(listed) => listed.title.clone(),
        None => directory(app).await.remove(id).unwrap_or_else(|| id.to_string()),
    };
    let members = listed.map(|listed| listed.members.clone()).unwrap_or_default();
    Ok(Room { room: id.clone(), title, members, stated, versions })
}

/// Titles of rooms, from the seed and from signaling.
async fn directory(app: &App) -> BTreeMap<RoomId, String> {
    let mut titles: BTreeMap<RoomId, String> = BTreeMap::new();
    if let Some(signaling) = &app.desk.handover {
        match signaling.rooms().await {
            Ok(rooms) => titles.extend(rooms.into_iter().map(|room| (room.room, room.title))),
            Err(error) => tracing::warn!("{error}"),
        }
    }
    for room in app.rooms.stated() {
        titles.entry(room.clone()).or_insert_with(|| room.to_string());
    }
    titles.extend(app.rooms.listed().iter().map(|listed| (listed.room.clone(), listed.title.clone())));
    titles
}

/// The change that waits in a room, if it still could be made.
pub async fn waiting(app: &Arc<App>, room: &Room, now: UnixMillis) -> Result<Option<(Consent, Vec<u8>)>, ApiProblem> {
    let (inner, id) = (app.clone(), room.room.clone());
    let Some(signed) = blocking(move || inner.desk.book.waiting(&id)).await? else { return Ok(None) };
    let judged = Consent::judge(&app.trust, &app.config.firm, &signed, now);
    let holds = judged.ok().filter(|consent| consent.follows(room.present(&app.config.firm), &app.trust, now).is_ok());
    Ok(holds.map(|consent| (consent, signed)))
}

/// `GET /api/admin/rooms`.
pub async fn list(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<StatedRooms>, ApiProblem> {
    let (_, now) = administrator(&app, &headers)?;
    let versions = read(&app).await?;
    let mut rooms = Vec::new();
    for (room, title) in directory(&app).await {
        let stated = app.rooms.about(&room);
        let own: Vec<Kept> = versions.iter().filter(|kept| kept.stated.statement.room == room).cloned().collect();
        let room = Room { room, title, members: Vec::new(), stated, versions: own };
        let head = |present: &Stated| VersionHead {
            serial: present.statement.serial,
            since: present.statement.issued_at,
            by: draft::signers(&room, present.statement.serial),
            audio_video: present.statement.audio_video,
            retention_years: present.statement.retention_years,
        };
        rooms.push(StatedRoom {
            present: room.present(&app.config.firm).map(head),
            firms: room.stated.iter().map(|stated| stated.statement.firm.clone()).collect(),
            waits: waiting(&app, &room, now).await?.is_some(),
            room: room.room,
            title: room.title,
        });
    }
    let handing = app.desk.handover.is_some();
    Ok(Json(StatedRooms { rooms, administrators: app.desk.settings.administrators, handing }))
}

/// `GET /api/admin/rooms/{room}?language=en`.
pub async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(said): Query<Said>,
    headers: HeaderMap,
) -> Result<Json<RoomPolicy>, ApiProblem> {
    administrator(&app, &headers)?;
    let id = wanted(&id)?;
    shown(&app, &id, said.language).await
}

/// The room as a page shows it.
///
/// # Errors
/// See [`room`].
pub async fn shown(app: &Arc<App>, id: &RoomId, language: Language) -> Result<Json<RoomPolicy>, ApiProblem> {
    let now = app.clock.now();
    let room = room(app, id).await?;
    let firm = &app.config.firm;
    let proposal = waiting(app, &room, now).await?.map(|(consent, _)| Proposal {
        by: consent.by().clone(),
        until: consent.until(),
        changes: draft::lines(language, room.present(firm).map(|p| &p.statement), &consent.statement),
        simulation: draft::simulated(language, &consent.statement, &room, &Coming::default()),
        id: consent.id,
        statement: consent.statement,
    });
    let before = |serial: u64| {
        let older = room.versions.iter().rev().find(|kept| kept.stated.statement.serial < serial);
        older.map(|kept| &kept.stated.statement)
    };
    let version = |kept: &Kept| Version {
        changes: draft::lines(language, before(kept.stated.statement.serial), &kept.stated.statement),
        hash: kept.stated.hash(),
        by: kept.by.clone(),
        handed: kept.handed,
        statement: kept.stated.statement.clone(),
    };
    let present = room.present(firm).map(|present| present.statement.clone());
    Ok(Json(RoomPolicy {
        draft: present.unwrap_or_else(|| draft::blank(firm, id, &app.trust, now)),
        history: room.versions.iter().rev().map(version).collect(),
        others: room.others(firm),
        proposal,
        clashes: draft::clashes(language, &room),
        hours: measured(app, id, now).await?,
        price: app.desk.settings.gigabyte_month,
        title: room.title,
        room: room.room,
    }))
}

async fn measured(app: &Arc<App>, room: &RoomId, now: UnixMillis) -> Result<u32, ApiProblem> {
    let inner = app.clone();
    let (all, _) = blocking(move || inner.desk.archived.count(&inner.meetings)).await?;
    Ok(forecast::hours(&all, room, now))
}

/// `POST /api/admin/rooms/{room}/draft`.
pub async fn draft(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(ask): Body<DraftAsk>,
) -> Result<Json<DraftAnswer>, ApiProblem> {
    let (_, now) = administrator(&app, &headers)?;
    let id = wanted(&id)?;
    if ask.region.as_ref().is_some_and(|region| region.len() > MAX_NAME) {
        return Err(ApiProblem::bad("A region has 64 characters at most."));
    }
    let room = room(&app, &id).await?;
    let firm = &app.config.firm;
    let statement = draft::completed(ask.statement, &room, firm, now);
    check_ranges(&statement).map_err(|e| ApiProblem::bad(e.to_string()))?;
    let hours = match ask.hours {
        Some(hours) => hours.min(MAX_HOURS),
        None => measured(&app, &id, now).await?,
    };
    let coming = Coming { client: ask.client, region: ask.region.filter(|region| !region.is_empty()) };
    Ok(Json(DraftAnswer {
        changes: draft::lines(ask.language, room.present(firm).map(|p| &p.statement), &statement),
        simulation: draft::simulated(ask.language, &statement, &room, &coming),
        notices: draft::notices(&statement, &room),
        cost: draft::priced(&statement, hours, app.desk.settings.gigabyte_month),
        statement,
    }))
}

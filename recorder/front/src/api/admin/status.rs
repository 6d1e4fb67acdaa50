//! How things stand: firms and roots, custody and recorders, retention forecast, ledger, health.

use super::administrator;
use crate::admin::{draft, forecast as future, health as looks, keys};
use crate::api::blocking;
use crate::api::ledger as walked;
use crate::app::App;
use crate::problem::ApiProblem;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use domain::message::admin::{Alert, AlertCode, CustodyStatus, Firms, Forecast, Health, LedgerPage, ServiceRow};
use domain::message::custody::{POLICY, WHOLE_ARCHIVE};
use domain::message::front::LedgerRow;
use domain::policy::{Language, Statement};
use futures_util::future::join_all;
use serde::Deserialize;
use service::operations::Watched;
use std::sync::Arc;

/// Most hours a month that a forecast takes.
const MAX_HOURS: u32 = 6_000;

/// `GET /api/admin/firms`.
pub async fn firms(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Firms>, ApiProblem> {
    administrator(&app, &headers)?;
    Ok(Json(keys::firms(&app.trust, &app.config.firm)))
}

/// `GET /api/admin/custody`.
pub async fn custody(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<CustodyStatus>, ApiProblem> {
    administrator(&app, &headers)?;
    seen(&app).await.map(Json)
}

async fn seen(app: &Arc<App>) -> Result<CustodyStatus, ApiProblem> {
    let inner = app.clone();
    let (open, stores) = blocking(move || (keys::open(&inner), keys::stores(&inner))).await?;
    Ok(CustodyStatus { open, stores, ..keys::status(app).await })
}

/// Query of [`forecast`].
// not a wire type: a query string's numbers
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Planned {
    /// Hours a month in every room; without it what was measured.
    hours: Option<u32>,
    /// Price of 10^9 bytes a month, hundredths of a cent; without it the configured one.
    price: Option<u32>,
}

/// `GET /api/admin/forecast`.
pub async fn forecast(
    State(app): State<Arc<App>>,
    Query(planned): Query<Planned>,
    headers: HeaderMap,
) -> Result<Json<Forecast>, ApiProblem> {
    let (_, now) = administrator(&app, &headers)?;
    let inner = app.clone();
    let (all, left_out) = blocking(move || inner.desk.archived.count(&inner.meetings)).await?;
    let price = planned.price.unwrap_or(app.desk.settings.gigabyte_month);
    let rooms = own_statements(&app).into_iter().map(|statement| {
        let hours =
            planned.hours.map_or_else(|| future::hours(&all, &statement.room, now), |hours| hours.min(MAX_HOURS));
        let title = app.rooms.title(&statement.room).unwrap_or(statement.room.as_str()).to_owned();
        future::room(&statement, title, &all, hours, price)
    });
    Ok(Json(Forecast { price, rooms: rooms.collect(), expiries: future::expiries(&all), left_out }))
}

/// The firm's statements that hold.
fn own_statements(app: &App) -> Vec<Statement> {
    let own = |room| app.rooms.about(&room).into_iter().map(|s| s.statement).find(|s| s.firm == app.config.firm);
    app.rooms.stated().into_iter().filter_map(own).collect()
}

/// Query of [`ledger`].
// not a wire type: a query string's one number
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct From {
    /// First index wanted; without it the newest are.
    from: Option<u64>,
}

/// `GET /api/admin/ledger?from=N`. What officers inquire into is theirs: an administrator sees that they did something, and
/// that the chain holds, not into what.
pub async fn ledger(
    State(app): State<Arc<App>>,
    Query(wanted): Query<From>,
    headers: HeaderMap,
) -> Result<Json<LedgerPage>, ApiProblem> {
    administrator(&app, &headers)?;
    let rows = walked::page(&app, wanted.from).await?;
    let whole = rows.iter().all(|row| row.integrity == "verified");
    let verified = whole.then(|| rows.last().map_or(0, |last| last.index + 1));
    Ok(Json(LedgerPage { rows: rows.into_iter().map(veiled).collect(), verified }))
}

fn veiled(mut row: LedgerRow) -> LedgerRow {
    if row.event.meeting.as_str() != POLICY {
        row.event.meeting = WHOLE_ARCHIVE.parse().expect("a constant id");
        row.event.note = String::new();
    }
    row
}

/// `GET /api/admin/health`.
pub async fn health(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Json<Health>, ApiProblem> {
    let (_, now) = administrator(&app, &headers)?;
    let troubles = app.troubles().await;
    let mut services = vec![ServiceRow {
        name: "front".to_owned(),
        alive: true,
        ready: troubles.is_empty(),
        reasons: troubles.iter().map(|reason| format!("{}: {}", reason.code(), reason.text())).collect(),
    }];
    let looked = app.desk.settings.services.iter().map(|service| looks::look(&app.desk.http, service));
    services.extend(join_all(looked).await);
    let mut alerts = looks::of_services(&services);
    alerts.extend(looks::of_custody(&seen(&app).await?, now));
    alerts.extend(looks::of_roots(&keys::firms(&app.trust, &app.config.firm), now));
    alerts.extend(of_rooms(&app).await?);
    if walked::page(&app, None).await.is_ok_and(|rows| rows.iter().any(|row| row.integrity != "verified")) {
        alerts.push(Alert { code: AlertCode::LedgerBroken, name: app.config.name.clone(), detail: String::new() });
    }
    Ok(Json(Health { services, alerts }))
}

/// Rooms whose statements clash, and versions that signaling has not.
async fn of_rooms(app: &Arc<App>) -> Result<Vec<Alert>, ApiProblem> {
    let versions = super::rooms::read(app).await?;
    let mut alerts = Vec::new();
    for room in app.rooms.stated() {
        let versions = versions.iter().filter(|kept| kept.stated.statement.room == room).cloned().collect();
        let stated = app.rooms.about(&room);
        let title = app.rooms.title(&room).unwrap_or(room.as_str()).to_owned();
        let room = draft::Room { room, title, members: Vec::new(), stated, versions };
        let alert = |code, detail| Alert { code, name: room.title.clone(), detail };
        alerts.extend(draft::clashes(Language::En, &room).into_iter().map(|said| alert(AlertCode::Clash, said)));
        if let Some(kept) = room.versions.iter().find(|kept| !kept.handed) {
            alerts.push(alert(AlertCode::NotHanded, format!("statement {}", kept.stated.statement.serial)));
        }
    }
    Ok(alerts)
}

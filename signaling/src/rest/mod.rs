//! The REST interface under `/v1`: what programs of the operator and of the firms may see and do. A listener and tokens of
//! its own; it has no key of a firm and mints nobody, so the most a stolen token does is what its scopes say.
//!
//! `gate` judges requests, the records remember, `document` describes; the rest is one file for each kind of thing.

mod clients;
pub mod config;
mod document;
mod gate;
mod incidents;
mod meetings;
mod problem;
mod rooms;
mod statements;
mod webhooks;
mod webhooks_api;

use crate::config::Config;
use crate::failure::Failure;
use crate::hub::{Hub, Shown};
use crate::loaded::Loaded;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::{delete, get, post};
use axum::{Router, http::header};
use clients::Clients;
use config::Settings;
use domain::message::rest::{EventData, EventKind, MeetingState, RestCode};
use domain::{FirmId, UnixMillis};
use problem::{Answer, Problem, problem};
use serde::Deserialize;
use signaling_core::{Input, OrderSigner};
use signaling_store::Records;
use signaling_store::database::DatabaseError;
use signaling_store::records::Meeting;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};
use webhooks::Hooks;

/// Items of a page when nothing is said.
const PAGE: u16 = 50;
/// Items of a page at most: some 50 kB.
const MAX_PAGE: u16 = 100;
/// Announced meetings that are looked at when the process starts: one a room at most.
const MAX_ANNOUNCED: usize = 10_000;
/// Changes of meetings that wait to be written down: a burst of joins in every room.
const CHANGES: usize = 4_096;

/// Which part of a list.
// not a wire type: the query of a request, described in the document
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// At most so many.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u16>,
    /// `next` of the part before.
    cursor: Option<String>,
}

impl Paging {
    fn limit(&self) -> Answer<usize> {
        match self.limit.unwrap_or(PAGE) {
            most @ 1..=MAX_PAGE => Ok(usize::from(most)),
            _ => Err(problem(RestCode::BadMessage, "`limit` is 1 to 100")),
        }
    }
    fn bad_cursor() -> Problem {
        problem(RestCode::BadMessage, "`cursor` is not one of ours: begin without it")
    }
}

/// What all requests share.
pub struct Rest {
    hub: Arc<Hub>,
    records: Records,
    clients: Clients,
    fronts: BTreeMap<FirmId, String>,
    hooks: Hooks,
    crises: Vec<config::Crisis>,
    signer: Arc<dyn OrderSigner>,
    announcing: Mutex<()>,
    stating: Mutex<()>,
    opening: Mutex<()>,
}

/// Everything `[rest]` names, read and checked.
pub struct Ready {
    clients: Clients,
    hooks: Hooks,
    narrowed: incidents::Narrowed,
}

/// Reads and checks it.
pub async fn read(settings: &Settings, records: &Records, now: UnixMillis) -> Result<Ready, Failure> {
    let narrowed = incidents::open_rooms(records).await.map_err(|error| unusable(&error))?;
    let (clients, hooks) = (Clients::read(&settings.clients, now)?, Hooks::read(&settings.webhooks)?);
    Ok(Ready { clients, hooks, narrowed })
}

fn unusable(error: &DatabaseError) -> Failure {
    Failure::Unavailable(format!("cannot use the database of `store`: {error}"))
}

impl Rest {
    /// Tells webhooks of a meeting.
    async fn tell(&self, kind: EventKind, one: &Meeting, more: EventData) {
        let links = one.firms.iter().filter_map(|firm| Some((firm.clone(), self.link(firm, &one.room)?)));
        let data = EventData {
            room: Some(one.room.clone()),
            meeting: Some(one.meeting.clone()),
            links: links.collect(),
            ..more
        };
        let firms: Vec<FirmId> = one.firms.iter().cloned().collect();
        self.hooks.queue(self, kind, &firms, data).await;
    }

    /// What was announced before the process ended still holds.
    async fn announce_again(self: Arc<Self>) {
        let found = self.records.meetings(None, Some(MeetingState::Announced), None, MAX_ANNOUNCED);
        for one in found.await.unwrap_or_default() {
            // a room's task lives as long as the process
            let _ = self.hub.room(&one.room).send(Input::Announced(Some(one.meeting))).await;
        }
    }

    /// Writes down what happens in rooms, in its order.
    async fn watch(self: Arc<Self>, mut changes: mpsc::Receiver<Shown>) {
        while let Some(Shown { room, before, now }) = changes.recv().await {
            self.note(&room, before.as_deref(), now.as_deref()).await;
        }
    }
}

/// The routes, and the tasks behind them. `None` where the configuration has no `[rest]`.
pub fn open(loaded: &Loaded, ready: Option<Ready>, hub: &Arc<Hub>) -> Option<Router> {
    let (settings, ready) = (loaded.config.rest.as_ref()?, ready?);
    let rest = Arc::new(Rest {
        hub: hub.clone(),
        records: loaded.records.clone(),
        clients: ready.clients,
        fronts: settings.fronts.clone(),
        hooks: ready.hooks,
        crises: settings.crises.clone(),
        signer: loaded.orders.clone(),
        announcing: Mutex::new(()),
        stating: Mutex::new(()),
        opening: Mutex::new(()),
    });
    // before the first request and the first join: rooms of open incidents let in who was called only
    for (room, only) in ready.narrowed {
        hub.narrowed.insert(room, only);
    }
    let (sender, changes) = mpsc::channel(CHANGES);
    // the hub is new: nobody watches it yet
    let _ = hub.watcher.set(sender);
    tokio::spawn(rest.clone().watch(changes));
    tokio::spawn(rest.clone().announce_again());
    Hooks::deliver(&rest);
    Some(routes(rest))
}

fn routes(rest: Arc<Rest>) -> Router {
    let api = Router::new()
        .route("/v1/rooms", get(rooms::list))
        .route("/v1/rooms/{room}", get(rooms::get))
        .route("/v1/rooms/{room}/meetings", post(meetings::announce))
        .route("/v1/rooms/{room}/statements", get(statements::list))
        .route("/v1/rooms/{room}/statements/{firm}", get(statements::get).put(statements::put))
        .route("/v1/meetings", get(meetings::list))
        .route("/v1/meetings/{meeting}", get(meetings::get))
        .route("/v1/meetings/{meeting}/end", post(meetings::end))
        .route("/v1/meetings/{meeting}/participants", get(meetings::participants))
        .route("/v1/meetings/{meeting}/participants/{firm}/{user}", delete(meetings::remove))
        .route("/v1/incidents", get(incidents::list).post(incidents::open))
        .route("/v1/incidents/{incident}", get(incidents::get))
        .route("/v1/incidents/{incident}/decisions", post(incidents::decide))
        .route("/v1/incidents/{incident}/close", post(incidents::close))
        .route("/v1/incidents/{incident}/hand-out", get(incidents::hand_out))
        .route("/v1/webhooks", get(webhooks_api::list))
        .route("/v1/webhooks/{name}/replay", post(webhooks_api::replay))
        .fallback(async || problem::unknown())
        .method_not_allowed_fallback(async || problem(RestCode::MethodNotAllowed, "see docs/api/openapi.json"))
        .layer(DefaultBodyLimit::max(gate::MAX_BODY))
        .layer(from_fn_with_state(rest.clone(), gate::once))
        .layer(from_fn_with_state(rest.clone(), gate::enter))
        .with_state(rest);
    // what the interface is may be read by everybody; who may use it not
    let document = get(async || ([(header::CONTENT_TYPE, "application/json")], document::text()).into_response());
    Router::new().route("/openapi.json", document).merge(api)
}

/// `replay-webhook`: messages of a webhook wait again; the running process sends them within seconds.
pub async fn replay(config: &Config, name: &str, since: UnixMillis, now: UnixMillis) -> Result<u64, Failure> {
    let settings = config.rest.as_ref().ok_or_else(|| crate::failure::config("the configuration has no [rest]"))?;
    if !settings.webhooks.iter().any(|hook| hook.name == name) {
        return Err(crate::failure::config(format!("no webhook is named {name}; see `rest.webhooks`")));
    }
    let records = crate::loaded::records(&config.store).await?;
    records.replay(name, since, now).await.map_err(|error| unusable(&error))
}

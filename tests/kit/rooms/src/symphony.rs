//! A fake of Symphony: pod, agent and login in one process of the test, made from the request and answer shapes of
//! finos/symphony-api-spec (`login`, `pod` and `agent`, 2024). There is no public pod to test against; what a real one does
//! beyond its specification is not in here.

use anyhow::Context;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The service account.
pub const ACCOUNT: &str = "strongroom";
/// How long a read without news is held back.
const HELD: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Person {
    company: i64,
    email: String,
    owner: bool,
}

struct Stream {
    name: String,
    active: bool,
    people: Vec<Person>,
    said: Vec<String>,
}

#[derive(Default)]
struct World {
    streams: BTreeMap<String, Stream>,
    feeds: u64,
    /// The one feed, with what nobody acknowledged.
    feed: Option<String>,
    events: Vec<(u64, Value)>,
    last: u64,
    sessions: u64,
}

struct Pod {
    world: Mutex<World>,
    news: Notify,
    public: DecodingKey,
}

/// A running fake.
pub struct Symphony {
    pod: Arc<Pod>,
    port: u16,
    folder: tempfile::TempDir,
    serving: JoinHandle<()>,
}

impl Drop for Symphony {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Pod {
    fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn session(&self) -> String {
        self.with(|world| format!("session-{}", world.sessions))
    }

    fn happen(&self, kind: &str, payload: &str, stream: &str) {
        self.with(|world| {
            world.last += 1;
            let event = json!({ "id": format!("e{}", world.last), "type": kind, "timestamp": 1,
                "payload": { payload: { "stream": { "streamId": stream, "streamType": "ROOM" } } } });
            if world.feed.is_some() {
                world.events.push((world.last, event));
            }
        });
        self.news.notify_waiters();
    }
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "code": status.as_u16(), "message": message }))).into_response()
}

type Shared = State<Arc<Pod>>;

async fn authenticate(State(pod): Shared, Json(body): Json<Value>) -> Response {
    let mut wanted = Validation::new(Algorithm::RS512);
    wanted.validate_aud = false;
    wanted.set_required_spec_claims(&["exp", "sub"]);
    let token = body["token"].as_str().unwrap_or_default();
    let claims = jsonwebtoken::decode::<Value>(token, &pod.public, &wanted);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let good = claims.is_ok_and(|read| {
        read.claims["sub"] == ACCOUNT && read.claims["exp"].as_u64().is_some_and(|exp| exp <= now + 300)
    });
    if good {
        Json(json!({ "name": "sessionToken", "token": pod.session() })).into_response()
    } else {
        error(StatusCode::UNAUTHORIZED, "Unauthorized")
    }
}

fn proven(pod: &Pod, headers: &HeaderMap, path: &str) -> bool {
    let session = pod.session();
    let shown = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()) == Some(session.as_str());
    shown("sessionToken") && (!path.starts_with("/agent") || shown("keyManagerToken"))
}

async fn guard(State(pod): Shared, request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    if proven(&pod, request.headers(), request.uri().path()) {
        next.run(request).await
    } else {
        error(StatusCode::UNAUTHORIZED, "Unauthorized: Session tokens invalid.")
    }
}

async fn make_feed(State(pod): Shared) -> Response {
    let id = pod.with(|world| {
        world.feeds += 1;
        let id = format!("feed_{}_p", world.feeds);
        (world.feed, world.events) = (Some(id.clone()), Vec::new());
        id
    });
    (StatusCode::CREATED, Json(json!({ "id": id, "createdAt": 1, "type": "datafeed" }))).into_response()
}

async fn feeds(State(pod): Shared) -> Json<Value> {
    Json(
        pod.with(|world| world.feed.iter().map(|id| json!({ "id": id, "createdAt": 1, "type": "datafeed" })).collect()),
    )
}

async fn read(State(pod): Shared, Path(id): Path<String>, Json(body): Json<Value>) -> Response {
    let read = |world: &mut World| {
        if world.feed.as_ref() != Some(&id) {
            return Some(error(StatusCode::BAD_REQUEST, "Could not find a datafeed with the given id"));
        }
        let acknowledged: u64 = body["ackId"].as_str().and_then(|ack| ack.parse().ok()).unwrap_or(0);
        world.events.retain(|(serial, _)| *serial > acknowledged);
        let (last, _) = world.events.last()?;
        let events: Vec<_> = world.events.iter().map(|(_, event)| event).collect();
        Some(Json(json!({ "events": events, "ackId": last.to_string() })).into_response())
    };
    let news = async {
        loop {
            let news = pod.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if let Some(answer) = pod.with(read) {
                return answer;
            }
            news.await;
        }
    };
    let ack = body["ackId"].clone();
    let quiet = || Json(json!({ "events": [], "ackId": ack })).into_response();
    tokio::time::timeout(HELD, news).await.unwrap_or_else(|_| quiet())
}

async fn message(State(pod): Shared, Path(sid): Path<String>, headers: HeaderMap, body: String) -> Response {
    let form = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let inner = body.split_once("<messageML>").and_then(|(_, rest)| rest.split_once("</messageML>"));
    let (Some((text, _)), true) = (inner, form.starts_with("multipart/form-data")) else {
        return error(StatusCode::BAD_REQUEST, "message is required");
    };
    let kept = pod.with(|world| world.streams.get_mut(&sid).map(|stream| stream.said.push(text.to_owned())));
    match kept {
        Some(()) => Json(json!({ "messageId": "m", "timestamp": 1 })).into_response(),
        None => error(StatusCode::FORBIDDEN, "not a member"),
    }
}

async fn info(State(pod): Shared, Path(id): Path<String>) -> Response {
    let told = pod.with(|world| {
        let stream = world.streams.get(&id)?;
        let attributes = json!({ "name": stream.name, "crossPod": true, "copyProtected": false, "readOnly": false });
        Some(json!({ "roomAttributes": attributes,
            "roomSystemInfo": { "id": id, "creationDate": 1, "createdByUserId": 1, "active": stream.active } }))
    });
    told.map_or_else(|| error(StatusCode::BAD_REQUEST, "Room not found"), |told| Json(told).into_response())
}

async fn members(State(pod): Shared, Path(id): Path<String>) -> Response {
    let row = |person: &Person| {
        json!({ "user": { "userId": 1, "email": person.email, "company": "x", "companyId": person.company,
            "isExternal": person.company != 1 }, "isOwner": person.owner, "isCreator": false, "joinDate": 1 })
    };
    let told = pod.with(|world| Some(world.streams.get(&id)?.people.iter().map(row).collect::<Vec<_>>()));
    told.map_or_else(|| error(StatusCode::BAD_REQUEST, "Room not found"), |told| Json(told).into_response())
}

async fn streams(State(pod): Shared, Query(page): Query<BTreeMap<String, usize>>) -> Json<Value> {
    let (skip, limit) = (page.get("skip").copied().unwrap_or(0), page.get("limit").copied().unwrap_or(50));
    let row = |(id, stream): (&String, &Stream)| {
        json!({ "id": id, "crossPod": true, "active": stream.active, "streamType": { "type": "ROOM" },
            "roomAttributes": { "name": stream.name } })
    };
    Json(pod.with(|world| world.streams.iter().skip(skip).take(limit).map(row).collect()))
}

impl Symphony {
    /// Starts it with a key pair of its own.
    pub async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("sr-symphony-").tempdir()?;
        let key = openssl::rsa::Rsa::generate(2048)?;
        std::fs::write(folder.path().join("key.pem"), key.private_key_to_pem()?)?;
        let public = DecodingKey::from_rsa_der(&key.public_key_to_der_pkcs1()?);
        let pod = Arc::new(Pod { world: Mutex::default(), news: Notify::new(), public });
        let inside = Router::new()
            .route("/agent/v5/datafeeds", post(make_feed).get(feeds))
            .route("/agent/v5/datafeeds/{id}/read", post(read))
            .route("/agent/v4/stream/{sid}/message/create", post(message))
            .route("/pod/v3/room/{id}/info", get(info))
            .route("/pod/v2/room/{id}/membership/list", get(members))
            .route("/pod/v1/streams/list", post(streams))
            .layer(axum::middleware::from_fn_with_state(pod.clone(), guard));
        let app = inside
            .route("/login/pubkey/authenticate", post(authenticate))
            .route("/relay/pubkey/authenticate", post(authenticate))
            .with_state(pod.clone());
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { pod, port, folder, serving })
    }

    /// Pod, agent and key manager.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The account's private key.
    pub fn key_file(&self) -> std::path::PathBuf {
        self.folder.path().join("key.pem")
    }

    /// Makes a room.
    pub fn make(&self, id: &str, name: &str) {
        let stream = Stream { name: name.to_owned(), active: true, people: Vec::new(), said: Vec::new() };
        self.pod.with(|world| world.streams.insert(id.to_owned(), stream));
        self.pod.happen("ROOMCREATED", "roomCreated", id);
    }

    fn change(&self, id: &str, work: impl FnOnce(&mut Stream)) -> anyhow::Result<()> {
        self.pod.with(|world| world.streams.get_mut(id).map(work)).context("a room of this id")
    }

    /// Somebody joins.
    pub fn join(&self, id: &str, company: i64, email: &str, owner: Owner) -> anyhow::Result<()> {
        let person = Person { company, email: email.to_owned(), owner: owner == Owner::Yes };
        self.change(id, |stream| stream.people.push(person))?;
        self.pod.happen("USERJOINEDROOM", "userJoinedRoom", id);
        Ok(())
    }

    /// Somebody is gone.
    pub fn leave(&self, id: &str, email: &str) -> anyhow::Result<()> {
        self.change(id, |stream| stream.people.retain(|person| person.email != email))?;
        self.pod.happen("USERLEFTROOM", "userLeftRoom", id);
        Ok(())
    }

    /// Somebody becomes an owner.
    pub fn promote(&self, id: &str, email: &str) -> anyhow::Result<()> {
        self.change(id, |stream| {
            stream.people.iter_mut().filter(|person| person.email == email).for_each(|person| person.owner = true);
        })?;
        self.pod.happen("ROOMMEMBERPROMOTEDTOOWNER", "roomMemberPromotedToOwner", id);
        Ok(())
    }

    /// Another name.
    pub fn rename(&self, id: &str, name: &str) -> anyhow::Result<()> {
        self.change(id, |stream| stream.name = name.to_owned())?;
        self.pod.happen("ROOMUPDATED", "roomUpdated", id);
        Ok(())
    }

    /// Deactivates a room.
    pub fn deactivate(&self, id: &str) -> anyhow::Result<()> {
        self.change(id, |stream| stream.active = false)?;
        self.pod.happen("ROOMDEACTIVATED", "roomDeactivated", id);
        Ok(())
    }

    /// Messages of ours in a room.
    pub fn said(&self, id: &str) -> Vec<String> {
        self.pod.with(|world| world.streams.get(id).map(|stream| stream.said.clone()).unwrap_or_default())
    }

    /// Ends every session.
    pub fn expire_sessions(&self) {
        self.pod.with(|world| world.sessions += 1);
    }

    /// The agent forgets the datafeed, as after 30 days or a reset of its database.
    pub fn forget_feed(&self) {
        self.pod.with(|world| (world.feed, world.events) = (None, Vec::new()));
        self.pod.news.notify_waiters();
    }
}

/// Does somebody own a room?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It does.
    Yes,
    /// It does not.
    No,
}

//! Matrix rooms, at a homeserver that knows us as an application service (Matrix 1.7 and newer; written against Synapse). It
//! pushes changes; a ping through it proves that its way to us works, and makes it send what waits.
//!
//! A room is ours when our user is in it: inviting `sender` is all its people have to do. Who is of which firm is said by the
//! configuration (`servers`) or by the room's state event [`state::POLICY`], which counts only where power level 100 guards it.

mod listener;
mod state;

pub use listener::Listening;
pub use state::POLICY;

use crate::directory::{Batch, Cursor, DirectoryError, FEED_WAIT, Member, Notice, Room, RoomDirectory};
use crate::outside::{Answer, CallBody, Journal, MAX_ROOMS, Names, call, client, secret, url};
use async_trait::async_trait;
use domain::{FirmId, RoomId};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// System letter of our room names.
const SYSTEM: char = 'm';

/// Where the homeserver is and who we are at it.
// not a wire type: part of the configuration
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatrixConfig {
    /// Its client API.
    #[serde(deserialize_with = "crate::outside::address")]
    pub homeserver: Url,
    /// `id` of our registration.
    pub id: String,
    /// Our user.
    pub sender: String,
    /// Where it pushes to: loopback; TLS, where it comes from elsewhere, is a proxy's.
    pub listen: SocketAddr,
    /// File with `as_token`.
    pub as_token_file: PathBuf,
    /// File with `hs_token`.
    pub hs_token_file: PathBuf,
    /// Firm of each homeserver's users.
    #[serde(default)]
    pub servers: BTreeMap<String, FirmId>,
}

impl MatrixConfig {
    /// Relative paths begin at `folder`.
    pub fn rebase(&mut self, folder: &Path) {
        [&mut self.as_token_file, &mut self.hs_token_file].into_iter().for_each(|path| *path = folder.join(&*path));
    }
}

/// The directory of a homeserver.
pub struct Matrix {
    config: MatrixConfig,
    authorization: String,
    hs_token: String,
    client: reqwest::Client,
    names: Names,
    journal: Journal,
    pings: AtomicU64,
    down: AtomicBool,
}

impl Matrix {
    /// Reads the tokens; calls nobody.
    pub fn open(config: MatrixConfig) -> Result<Arc<Self>, DirectoryError> {
        if !config.listen.ip().is_loopback() {
            let why = "`directory.matrix.listen` must be loopback: put a proxy with TLS in front of it".to_owned();
            return Err(DirectoryError::Unusable(why));
        }
        Ok(Arc::new(Self {
            authorization: format!("Bearer {}", secret(&config.as_token_file, "directory.matrix.as_token_file")?),
            hs_token: secret(&config.hs_token_file, "directory.matrix.hs_token_file")?,
            client: client()?,
            config,
            names: Names::new(SYSTEM),
            journal: Journal::default(),
            pings: AtomicU64::new(rand::random()),
            down: AtomicBool::new(false),
        }))
    }

    async fn call(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<Answer, DirectoryError> {
        let headers = [("authorization", self.authorization.as_str())];
        call(
            &self.client,
            method,
            url(&self.config.homeserver, path)?,
            &headers,
            body.map_or(CallBody::None, CallBody::Json),
        )
        .await
    }

    /// Through the homeserver back to us: both ways work. It then sends what waits for us.
    async fn ping(&self) -> Result<(), DirectoryError> {
        let number = self.pings.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "transaction_id": format!("ping-{number}") });
        let path = ["_matrix", "client", "v1", "appservice", &self.config.id, "ping"];
        self.call(Method::POST, &path, Some(&body)).await?.good().map(|_| ())
    }

    /// The homeserver's name of a room; asks which rooms we are in where it is not known yet.
    async fn find(&self, room: &RoomId) -> Result<Option<String>, DirectoryError> {
        let native = self.names.native(room);
        if native.is_some() || !self.names.may_ask(room) {
            return Ok(native);
        }
        let answer = self.call(Method::GET, &["_matrix", "client", "v3", "joined_rooms"], None).await?.good()?;
        let joined = answer["joined_rooms"].as_array();
        joined.into_iter().flatten().filter_map(Value::as_str).take(MAX_ROOMS).for_each(|native| {
            self.names.remember(native);
        });
        Ok(self.names.native(room))
    }

    /// Our user was invited: it comes.
    async fn accept(&self, native: &str) {
        let path = ["_matrix", "client", "v3", "rooms", native, "join"];
        match self.call(Method::POST, &path, Some(&json!({}))).await.and_then(Answer::good) {
            Ok(_) => self.journal.note(self.names.remember(native)),
            Err(error) => tracing::warn!("an invitation into a room could not be followed: {error}"),
        }
    }

    /// The member of `room` who holds this OpenID token of the homeserver; `None` where nobody of it does.
    pub async fn member_by_openid(&self, room: &RoomId, token: &str) -> Result<Option<Member>, DirectoryError> {
        let mut address = url(&self.config.homeserver, &["_matrix", "federation", "v1", "openid", "userinfo"])?;
        address.query_pairs_mut().append_pair("access_token", token);
        let answer = call(&self.client, Method::GET, address, &[], CallBody::None).await?;
        if answer.status.as_u16() == 401 {
            return Ok(None);
        }
        let answer = answer.good()?;
        let (Some(sub), Some(native)) = (answer["sub"].as_str(), self.find(room).await?) else { return Ok(None) };
        let Some(events) = self.state(&native).await? else { return Ok(None) };
        Ok(state::member(&events, &self.config, sub))
    }

    async fn state(&self, native: &str) -> Result<Option<Vec<Value>>, DirectoryError> {
        let answer = self.call(Method::GET, &["_matrix", "client", "v3", "rooms", native, "state"], None).await?;
        if matches!(answer.status.as_u16(), 403 | 404) {
            // our user is not in it (any more)
            return Ok(None);
        }
        match answer.good()? {
            Value::Array(events) => Ok(Some(events)),
            _ => Err(DirectoryError::Unusable("a room's state is a list".to_owned())),
        }
    }
}

#[async_trait]
impl RoomDirectory for Matrix {
    async fn room(&self, room: &RoomId) -> Result<Option<Room>, DirectoryError> {
        let Some(native) = self.find(room).await? else { return Ok(None) };
        Ok(self.state(&native).await?.map(|events| state::room(&events, &self.config)))
    }

    async fn changes(&self, since: Option<&Cursor>) -> Result<Batch, DirectoryError> {
        if since.is_none() || self.down.load(Ordering::Relaxed) {
            self.ping().await?;
            if self.down.swap(false, Ordering::Relaxed) {
                self.journal.forget();
            }
        }
        if let Some(batch) = self.journal.wait(since, FEED_WAIT).await {
            return Ok(batch);
        }
        self.ping().await.inspect_err(|_| self.down.store(true, Ordering::Relaxed))?;
        match (self.journal.after(since), since) {
            (Some(batch), _) => Ok(batch),
            (None, Some(since)) => Ok(Batch { cursor: since.clone(), changes: Vec::new() }),
            (None, None) => Err(DirectoryError::Unusable("a stream without a beginning".to_owned())),
        }
    }

    async fn post(&self, room: &RoomId, notice: &Notice) -> Result<(), DirectoryError> {
        let native = self.find(room).await?;
        let native = native.ok_or_else(|| DirectoryError::Refused("not a room that we are in".to_owned()))?;
        let meeting = notice.meeting().as_str();
        let body = json!({
            "msgtype": "m.notice",
            "body": notice.text(),
            "org.strongroom.notice": { "kind": notice.kind(), "meeting": meeting },
        });
        // the same notice twice is one message
        let transaction = format!("{}-{meeting}", notice.kind());
        let path = ["_matrix", "client", "v3", "rooms", &native, "send", "m.room.message", &transaction];
        self.call(Method::PUT, &path, Some(&body)).await?.good().map(|_| ())
    }
}

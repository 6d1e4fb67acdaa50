//! Symphony rooms, by the pod, agent and login APIs as finos/symphony-api-spec publishes them. Our service account is a member of
//! every room that is ours; the datafeed (v5) tells of changes and forgets none before it is acknowledged.
//!
//! Tested against a stub made from those shapes: there is no public pod to try.

mod session;

use crate::directory::{
    Batch, Cursor, DirectoryError, FEED_WAIT, MAX_MEMBERS, Member, Notice, Role, Room, RoomDirectory, State,
};
use crate::outside::{Answer, Journal, MAX_ROOMS, Names, client};
use async_trait::async_trait;
use domain::{FirmId, RoomId, UserId};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use session::{Body, Session};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// System letter of our room names.
const SYSTEM: char = 's';
/// Rooms of one page of the list; the API's own limit is 1,000.
const PAGE: usize = 500;

/// Where pod and agent are and who we are at them.
// not a wire type: part of the configuration
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SymphonyConfig {
    /// Pod: `/login` and `/pod` are below it.
    #[serde(deserialize_with = "crate::outside::address")]
    pub pod: Url,
    /// Agent: `/agent` is below it.
    #[serde(deserialize_with = "crate::outside::address")]
    pub agent: Url,
    /// Key manager: `/relay` is below it.
    #[serde(deserialize_with = "crate::outside::address")]
    pub key_manager: Url,
    /// Our service account.
    pub account: String,
    /// Its RSA private key, PEM.
    pub key_file: PathBuf,
    /// Firm of each company, by `companyId`.
    pub companies: BTreeMap<String, FirmId>,
}

impl SymphonyConfig {
    /// Relative paths begin at `folder`.
    pub fn rebase(&mut self, folder: &Path) {
        self.key_file = folder.join(&self.key_file);
    }
}

/// Our datafeed, and what of it is not yet acknowledged.
#[derive(Default)]
struct Feed {
    id: Option<String>,
    ack: String,
}

/// The directory of a pod.
pub struct Symphony {
    session: Session,
    companies: BTreeMap<String, FirmId>,
    names: Names,
    feed: tokio::sync::Mutex<Feed>,
    journal: Journal,
}

impl Symphony {
    /// Reads the key; calls nobody.
    pub fn open(config: SymphonyConfig) -> Result<Arc<Self>, DirectoryError> {
        Ok(Arc::new(Self {
            companies: config.companies.clone(),
            session: Session::open(config, client()?)?,
            names: Names::new(SYSTEM),
            feed: tokio::sync::Mutex::default(),
            journal: Journal::default(),
        }))
    }

    /// The pod's name of a room; asks which rooms we are in where it is not known yet.
    async fn find(&self, room: &RoomId) -> Result<Option<String>, DirectoryError> {
        let native = self.names.native(room);
        if native.is_some() || !self.names.may_ask(room) {
            return Ok(native);
        }
        let body = json!({ "streamTypes": [{ "type": "ROOM" }], "includeInactiveStreams": false });
        for skip in (0..MAX_ROOMS).step_by(PAGE) {
            let query = [("skip", skip.to_string()), ("limit", PAGE.to_string())];
            let answer =
                self.session.pod(Method::POST, &["v1", "streams", "list"], &query, Some(&body)).await?.good()?;
            let streams = answer.as_array().map(Vec::as_slice).unwrap_or_default();
            streams.iter().filter_map(|stream| stream["id"].as_str()).for_each(|native| {
                self.names.remember(native);
            });
            if streams.len() < PAGE {
                break;
            }
        }
        Ok(self.names.native(room))
    }

    fn member(&self, row: &Value) -> Option<Member> {
        let user = &row["user"];
        let firm = self.companies.get(&user["companyId"].as_i64()?.to_string())?.clone();
        let name = user["email"].as_str()?.split_once('@')?.0.to_ascii_lowercase();
        let role = if row["isOwner"] == true { Role::Host } else { Role::Participant };
        Some(Member { firm, user: name.parse().ok()?, role, groups: Default::default() })
    }

    fn members(&self, rows: &Value) -> Vec<Member> {
        let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut found: BTreeMap<(FirmId, UserId), Member> = BTreeMap::new();
        for member in rows.iter().filter_map(|row| self.member(row)).take(MAX_MEMBERS) {
            let key = (member.firm.clone(), member.user.clone());
            if found.get(&key).is_none_or(|known| known.role < member.role) {
                found.insert(key, member);
            }
        }
        found.into_values().collect()
    }

    /// Our feed: the one there is, else a new one. A new one begins now: what was before is not in it.
    async fn feed_id(&self, feed: &mut Feed) -> Result<String, DirectoryError> {
        if let Some(id) = &feed.id {
            return Ok(id.clone());
        }
        let made = self.session.agent(Method::POST, &["v5", "datafeeds"], Body::Json(&json!({}))).await?.good()?;
        let id = made["id"].as_str().ok_or_else(|| DirectoryError::Unusable("a datafeed without an id".to_owned()))?;
        *feed = Feed { id: Some(id.to_owned()), ack: String::new() };
        self.journal.forget();
        Ok(id.to_owned())
    }

    /// Reads what happened into the journal. What is abandoned while waiting is told again: it is not acknowledged.
    async fn read(&self) -> Result<(), DirectoryError> {
        let mut feed = self.feed.lock().await;
        let id = self.feed_id(&mut feed).await?;
        let body = json!({ "ackId": feed.ack });
        let path = ["v5", "datafeeds", id.as_str(), "read"];
        let asked = self.session.agent(Method::POST, &path, Body::Json(&body));
        let Ok(answer) = tokio::time::timeout(FEED_WAIT, asked).await else {
            // a quiet feed holds its answer back: is the agent there at all?
            return self.session.agent(Method::GET, &["v5", "datafeeds"], Body::None).await?.good().map(|_| ());
        };
        let answer = answer?;
        if matches!(answer.status.as_u16(), 400 | 404) {
            // the agent forgot the feed
            feed.id = None;
            return self.feed_id(&mut feed).await.map(|_| ());
        }
        let answer = answer.good()?;
        for event in answer["events"].as_array().into_iter().flatten() {
            for payload in event["payload"].as_object().into_iter().flatten().map(|(_, payload)| payload) {
                if let Some(native) = payload["stream"]["streamId"].as_str() {
                    self.journal.note(self.names.remember(native));
                }
            }
        }
        feed.ack = answer["ackId"].as_str().unwrap_or_default().to_owned();
        Ok(())
    }
}

fn found(answer: Answer) -> Result<Option<Value>, DirectoryError> {
    // 400 and 403: no such room, or we are not in it (any more)
    if matches!(answer.status.as_u16(), 400 | 403 | 404) { Ok(None) } else { answer.good().map(Some) }
}

fn attributes(told: &Value) -> BTreeMap<String, String> {
    let wanted = ["copyProtected", "crossPod", "multiLateralRoom", "public", "readOnly"];
    let value = |name: &str| told[name].as_bool().map(|is| (name.to_owned(), is.to_string()));
    wanted.into_iter().filter_map(value).collect()
}

#[async_trait]
impl RoomDirectory for Symphony {
    async fn room(&self, room: &RoomId) -> Result<Option<Room>, DirectoryError> {
        let Some(native) = self.find(room).await? else { return Ok(None) };
        let info = ["v3", "room", native.as_str(), "info"];
        let Some(info) = found(self.session.pod(Method::GET, &info, &[], None).await?)? else { return Ok(None) };
        let list = ["v2", "room", native.as_str(), "membership", "list"];
        let Some(rows) = found(self.session.pod(Method::GET, &list, &[], None).await?)? else { return Ok(None) };
        let open = info["roomSystemInfo"]["active"] == true;
        Ok(Some(Room {
            title: info["roomAttributes"]["name"].as_str().unwrap_or_default().chars().take(200).collect(),
            state: if open { State::Open } else { State::Closed },
            members: self.members(&rows),
            attributes: attributes(&info["roomAttributes"]),
        }))
    }

    async fn changes(&self, since: Option<&Cursor>) -> Result<Batch, DirectoryError> {
        if since.is_none() {
            let mut feed = self.feed.lock().await;
            self.feed_id(&mut feed).await?;
        }
        if let Some(batch) = self.journal.after(since) {
            return Ok(batch);
        }
        self.read().await?;
        match (self.journal.after(since), since) {
            (Some(batch), _) => Ok(batch),
            (None, Some(since)) => Ok(Batch { cursor: since.clone(), changes: Vec::new() }),
            (None, None) => Err(DirectoryError::Unusable("a stream without a beginning".to_owned())),
        }
    }

    async fn post(&self, room: &RoomId, notice: &Notice) -> Result<(), DirectoryError> {
        let native = self.find(room).await?;
        let native = native.ok_or_else(|| DirectoryError::Refused("not a room that we are in".to_owned()))?;
        let path = ["v4", "stream", native.as_str(), "message", "create"];
        self.session.agent(Method::POST, &path, Body::Message(&notice.text())).await?.good().map(|_| ())
    }
}

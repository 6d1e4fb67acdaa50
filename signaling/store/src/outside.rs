//! What adapters to rooms of other systems share: names of rooms that we are in, calls over HTTP with their limits, and a journal of
//! changes for systems that push. Knows no system.

use crate::directory::{Batch, Change, Cursor, DirectoryError};
use domain::RoomId;
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::timeout;

/// One call. Whoever waits for a join is told sooner; a feed that holds its answer back is given up before.
const CALL: Duration = Duration::from_secs(8);
/// Largest answer, bytes: ten thousand members at a kilobyte and a half each.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Changes that are kept: minutes of a busy system; a reader that is further behind reads everything anew.
pub const JOURNAL: usize = 4_096;
/// Rooms that are known by our name: whoever invites us to more is left out.
pub const MAX_ROOMS: usize = 100_000;
/// Unknown rooms make us ask which we are in, at most so often.
const ASK: Duration = Duration::from_secs(1);

/// Our name of a room of another system: its own ids tell upper from lower case, ours do not. Nobody can make a room whose
/// name is another one's.
pub fn room_id(system: char, native: &str) -> RoomId {
    let digest = hex::encode(Sha256::digest(native.as_bytes()));
    format!("{system}-{}", &digest[..40]).parse().expect("a letter and hexadecimal digits")
}

struct Known {
    rooms: HashMap<RoomId, String>,
    asked: Option<Instant>,
}

/// Rooms of another system that we are in, by our names of them.
pub struct Names {
    system: char,
    known: Mutex<Known>,
}

impl Names {
    /// None yet, of the system with this letter.
    pub fn new(system: char) -> Self {
        Self { system, known: Mutex::new(Known { rooms: HashMap::new(), asked: None }) }
    }

    /// Our name of a room that we are in.
    pub fn remember(&self, native: &str) -> RoomId {
        let ours = room_id(self.system, native);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.rooms.len() < MAX_ROOMS {
            known.rooms.insert(ours.clone(), native.to_owned());
        }
        ours
    }

    /// The system's name of a room.
    pub fn native(&self, room: &RoomId) -> Option<String> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).rooms.get(room).cloned()
    }

    /// Is it worth asking the system which rooms we are in, for one that could be its and is not known?
    pub fn may_ask(&self, room: &RoomId) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = room.as_str().strip_prefix(self.system).is_some_and(|rest| rest.starts_with('-'));
        let may = ours && known.asked.is_none_or(|asked| asked.elapsed() > ASK);
        if may {
            known.asked = Some(Instant::now());
        }
        may
    }
}

/// Reads a secret of a file.
pub fn secret(path: &Path, key: &str) -> Result<String, DirectoryError> {
    let read = std::fs::read_to_string(path);
    let text =
        read.map_err(|error| DirectoryError::Refused(format!("{}: {error}; correct `{key}`", path.display())))?;
    Ok(text.trim().to_owned())
}

/// A client for calls to other systems: no proxy of the environment, no redirect to elsewhere.
pub fn client() -> Result<reqwest::Client, DirectoryError> {
    reqwest::Client::builder()
        .timeout(CALL)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| DirectoryError::Unusable(error.to_string()))
}

/// Reads an address of a configuration.
pub fn address<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Url, D::Error> {
    let text = <String as serde::Deserialize>::deserialize(from)?;
    let wrong = || serde::de::Error::custom("an address is http(s)://host[:port]");
    text.parse().ok().filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host()).ok_or_else(wrong)
}

/// `base` with these path segments, each encoded.
pub fn url(base: &Url, segments: &[&str]) -> Result<Url, DirectoryError> {
    let mut url = base.clone();
    let mut path = url.path_segments_mut().map_err(|()| DirectoryError::Unusable("no address".to_owned()))?;
    path.pop_if_empty().extend(segments);
    drop(path);
    Ok(url)
}

/// An answer of a system.
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// JSON; null where there is none.
    pub body: Value,
}

impl Answer {
    /// The body of a success; other statuses by blame.
    pub fn good(self) -> Result<Value, DirectoryError> {
        match self.status.as_u16() {
            200..=299 => Ok(self.body),
            401 | 403 => Err(DirectoryError::Refused(format!("status {}", self.status))),
            _ => Err(DirectoryError::Unreachable(format!("status {}", self.status))),
        }
    }
}

/// What a call sends.
pub enum CallBody<'a> {
    /// Nothing.
    None,
    /// JSON.
    Json(&'a Value),
    /// Something whose type is among the headers.
    Text(&'a str),
}

/// One call. The address is in no error: it may hold ids of people.
pub async fn call(
    client: &reqwest::Client,
    method: Method,
    url: Url,
    headers: &[(&str, &str)],
    body: CallBody<'_>,
) -> Result<Answer, DirectoryError> {
    let mut request = client.request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request = match body {
        CallBody::None => request,
        CallBody::Json(body) => request.json(body),
        CallBody::Text(body) => request.body(body.to_owned()),
    };
    let failed = |error: reqwest::Error| DirectoryError::Unreachable(error.without_url().to_string());
    let mut response = request.send().await.map_err(failed)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > MAX_ANSWER {
            return Err(DirectoryError::Unusable("an answer of more than 16 MiB".to_owned()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Answer { status: response.status(), body: serde_json::from_slice(&bytes).unwrap_or_default() })
}

struct Lines {
    /// Number of the newest change.
    last: u64,
    kept: VecDeque<(u64, RoomId)>,
}

/// Changes that were pushed to us, in memory: a restart makes a new one, and its readers begin anew.
pub struct Journal {
    life: u64,
    lines: Mutex<Lines>,
    news: Notify,
}

impl Default for Journal {
    fn default() -> Self {
        let lines = Mutex::new(Lines { last: 0, kept: VecDeque::new() });
        Self { life: rand::random(), lines, news: Notify::new() }
    }
}

impl Journal {
    /// Something about this room changed.
    pub fn note(&self, room: RoomId) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.last += 1;
        let last = lines.last;
        lines.kept.push_back((last, room));
        if lines.kept.len() > JOURNAL {
            lines.kept.pop_front();
        }
        drop(lines);
        self.news.notify_waiters();
    }

    /// Nobody knows what was missed: readers begin anew.
    pub fn forget(&self) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // a number that nobody was told
        lines.last += 1;
        lines.kept.clear();
        drop(lines);
        self.news.notify_waiters();
    }

    /// What there is after `since`; `None` where nothing is.
    pub fn after(&self, since: Option<&Cursor>) -> Option<Batch> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let cursor = Cursor(format!("{}-{}", self.life, lines.last));
        let place = since.and_then(|since| since.0.split_once('-')).and_then(|(life, serial)| {
            let known = life.parse() == Ok(self.life);
            serial.parse::<u64>().ok().filter(|_| known)
        });
        let oldest = lines.kept.front().map_or(lines.last + 1, |(serial, _)| *serial);
        let Some(place) = place.filter(|place| (oldest - 1..=lines.last).contains(place)) else {
            return Some(Batch { cursor, changes: vec![Change::Reset] });
        };
        let mut changes = Vec::new();
        for (_, room) in lines.kept.iter().filter(|(serial, _)| *serial > place) {
            let change = Change::Room(room.clone());
            if !changes.contains(&change) {
                changes.push(change);
            }
        }
        (!changes.is_empty()).then_some(Batch { cursor, changes })
    }

    /// The same, waited for.
    pub async fn wait(&self, since: Option<&Cursor>, within: Duration) -> Option<Batch> {
        let waited = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                // before looking: what comes between looking and waiting must wake us
                news.as_mut().enable();
                if let Some(batch) = self.after(since) {
                    return batch;
                }
                news.await;
            }
        };
        timeout(within, waited).await.ok()
    }
}

/// Are these the same, in a time that tells nothing of where they differ?
pub fn same(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = (Sha256::digest(a), Sha256::digest(b));
    a.iter().zip(&b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

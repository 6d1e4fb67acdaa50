//! What the REST interface remembers: meetings, idempotency keys, messages to webhooks. One SQLite file; every call is
//! one transaction, and runs where it may block.

use super::gate::Kept;
use super::incidents::Kept as Incident;
use super::problem::{Answer, broken};
use crate::failure::{Failure, config};
use domain::message::incident::IncidentState;
use domain::message::rest::MeetingState;
use domain::{FirmId, MeetingId, RoomId, UnixMillis};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// An idempotency key is remembered so long, ms: a client that repeats a request for longer has lost its own state.
const KEYS_MS: u64 = 24 * 3_600_000;
/// Messages are kept for a replay so long, ms.
const MESSAGES_MS: u64 = 30 * 24 * 3_600_000;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE IF NOT EXISTS meetings (
        meeting TEXT PRIMARY KEY, room TEXT NOT NULL, state TEXT NOT NULL, firms TEXT NOT NULL,
        created INTEGER NOT NULL, started INTEGER, ended INTEGER) STRICT;
    CREATE INDEX IF NOT EXISTS meetings_by_age ON meetings (created, meeting);
    CREATE TABLE IF NOT EXISTS answers (
        client TEXT NOT NULL, key TEXT NOT NULL, request BLOB NOT NULL, at INTEGER NOT NULL,
        status INTEGER, type TEXT, location TEXT, tag TEXT, body BLOB, PRIMARY KEY (client, key)) STRICT;
    CREATE TABLE IF NOT EXISTS messages (
        id TEXT NOT NULL, hook TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL, state TEXT NOT NULL,
        attempts INTEGER NOT NULL, due INTEGER NOT NULL, PRIMARY KEY (id, hook)) STRICT;
    CREATE INDEX IF NOT EXISTS messages_due ON messages (hook, state, due);
    CREATE TABLE IF NOT EXISTS incidents (
        id TEXT PRIMARY KEY, group_key TEXT NOT NULL, open INTEGER NOT NULL, opened INTEGER NOT NULL,
        document TEXT NOT NULL) STRICT;
";

/// A meeting as it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// Which.
    pub meeting: MeetingId,
    /// Its room.
    pub room: RoomId,
    /// Firms that take part.
    pub firms: BTreeSet<FirmId>,
    /// Where it stands.
    pub state: MeetingState,
    /// Announced, or begun.
    pub created: UnixMillis,
    /// First person in.
    pub started: Option<UnixMillis>,
    /// Over.
    pub ended: Option<UnixMillis>,
}

/// What is known of an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing: this is the first request.
    None,
    /// The first is being worked on.
    Busy,
    /// It came with another request.
    Other,
    /// Answered so.
    Answered(Kept),
}

/// A message to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same for every attempt.
    pub id: String,
    /// Signed and sent as it is.
    pub body: Vec<u8>,
    /// Attempts so far.
    pub attempts: u32,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Mutex<Connection>>);

/// The database while it is held.
pub struct Held<'a>(&'a mut Connection);

impl Store {
    /// Opens or makes it. What ran when the process ended runs no more.
    pub fn open(path: &Path, now: UnixMillis) -> Result<Self, Failure> {
        let fail = |error: rusqlite::Error| {
            config(format!("cannot open `rest.database` {}: {error}; is it a database and writable?", path.display()))
        };
        let database = Connection::open(path).map_err(fail)?;
        database.execute_batch(SCHEMA).map_err(fail)?;
        let over = "UPDATE meetings SET state = 'ended', ended = ?1 WHERE state = 'running'";
        database.execute(over, [time(now)]).map_err(fail)?;
        // answers that were never given
        database.execute("DELETE FROM answers WHERE status IS NULL", []).map_err(fail)?;
        Ok(Self(Arc::new(Mutex::new(database))))
    }

    /// Opens one that a process may be using.
    pub fn beside(path: &Path) -> rusqlite::Result<Self> {
        let database = Connection::open(path)?;
        database.execute_batch(SCHEMA)?;
        Ok(Self(Arc::new(Mutex::new(database))))
    }

    /// Runs a call of the database where it may block.
    pub async fn with<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Held<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Answer<T> {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || store.now(run)).await;
        done.map_err(|error| broken(&error))?.map_err(|error| broken(&error))
    }

    /// The same, blocking.
    pub fn now<T>(&self, run: impl FnOnce(&mut Held<'_>) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let mut database = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        run(&mut Held(&mut database))
    }
}

fn time(at: UnixMillis) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}

fn at(row: &Row<'_>, column: usize) -> rusqlite::Result<UnixMillis> {
    Ok(UnixMillis(u64::try_from(row.get::<_, i64>(column)?).unwrap_or_default()))
}

fn maybe_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<UnixMillis>> {
    let value: Option<i64> = row.get(column)?;
    Ok(value.map(|value| UnixMillis(u64::try_from(value).unwrap_or_default())))
}

fn word(state: MeetingState) -> &'static str {
    match state {
        MeetingState::Announced => "announced",
        MeetingState::Running => "running",
        MeetingState::Ended => "ended",
    }
}

fn foreign(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
}

const COLUMNS: &str = "meeting, room, firms, state, created, started, ended";

fn meeting(row: &Row<'_>) -> rusqlite::Result<Meeting> {
    let state: String = row.get(3)?;
    Ok(Meeting {
        meeting: row.get::<_, String>(0)?.parse().map_err(foreign)?,
        room: row.get::<_, String>(1)?.parse().map_err(foreign)?,
        firms: serde_json::from_str(&row.get::<_, String>(2)?).map_err(foreign)?,
        state: match state.as_str() {
            "announced" => MeetingState::Announced,
            "running" => MeetingState::Running,
            _ => MeetingState::Ended,
        },
        created: at(row, 4)?,
        started: maybe_at(row, 5)?,
        ended: maybe_at(row, 6)?,
    })
}

impl Held<'_> {
    /// Writes a meeting, or writes it anew.
    pub fn put_meeting(&mut self, one: &Meeting) -> rusqlite::Result<()> {
        let firms = serde_json::to_string(&one.firms).expect("ids are JSON");
        self.0.execute(
            "INSERT OR REPLACE INTO meetings (meeting, room, firms, state, created, started, ended)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                one.meeting.as_str(),
                one.room.as_str(),
                firms,
                word(one.state),
                time(one.created),
                one.started.map(time),
                one.ended.map(time)
            ],
        )?;
        Ok(())
    }

    /// One meeting.
    pub fn meeting(&mut self, id: &MeetingId) -> rusqlite::Result<Option<Meeting>> {
        let query = format!("SELECT {COLUMNS} FROM meetings WHERE meeting = ?1");
        self.0.query_row(&query, [id.as_str()], meeting).optional()
    }

    /// The meeting that runs in a room or was announced.
    pub fn meeting_of(&mut self, room: &RoomId) -> rusqlite::Result<Option<Meeting>> {
        let query =
            format!("SELECT {COLUMNS} FROM meetings WHERE room = ?1 AND state <> 'ended' ORDER BY created DESC");
        self.0.query_row(&query, [room.as_str()], meeting).optional()
    }

    /// Meetings that a firm takes part in (`None`: all), newest first, from after `(created, id)`.
    pub fn meetings(
        &mut self,
        firm: Option<&FirmId>,
        state: Option<MeetingState>,
        after: Option<(UnixMillis, MeetingId)>,
        most: usize,
    ) -> rusqlite::Result<Vec<Meeting>> {
        let (created, id) = after.map_or((i64::MAX, "~".to_owned()), |(at, id)| (time(at), id.as_str().to_owned()));
        let query = format!(
            "SELECT {COLUMNS} FROM meetings WHERE (created, meeting) < (?1, ?2) AND (?3 IS NULL OR state = ?3)
             AND (?4 IS NULL OR EXISTS (SELECT 1 FROM json_each(firms) WHERE value = ?4))
             ORDER BY created DESC, meeting DESC LIMIT ?5"
        );
        let mut query = self.0.prepare_cached(&query)?;
        let found = query.query_map(params![created, id, state.map(word), firm.map(FirmId::as_str), most], meeting)?;
        found.collect()
    }

    /// Begins the work for an idempotency key.
    pub fn begin(
        &mut self,
        (client, key): &(String, String),
        request: &[u8],
        now: UnixMillis,
    ) -> rusqlite::Result<Earlier> {
        let change = self.0.transaction()?;
        let old = now.0.saturating_sub(KEYS_MS);
        change.execute("DELETE FROM answers WHERE at < ?1", [time(UnixMillis(old))])?;
        let query = "SELECT request, status, type, location, tag, body FROM answers WHERE client = ?1 AND key = ?2";
        let known = change
            .query_row(query, [client, key], |row| {
                let kept = match row.get::<_, Option<u16>>(1)? {
                    Some(status) => {
                        Some(Kept { status, headers: [row.get(2)?, row.get(3)?, row.get(4)?], body: row.get(5)? })
                    }
                    None => None,
                };
                Ok((row.get::<_, Vec<u8>>(0)?, kept))
            })
            .optional()?;
        let earlier = match known {
            None => {
                let add = "INSERT INTO answers (client, key, request, at) VALUES (?1, ?2, ?3, ?4)";
                change.execute(add, params![client, key, request, time(now)])?;
                Earlier::None
            }
            Some((first, _)) if first != request => Earlier::Other,
            Some((_, None)) => Earlier::Busy,
            Some((_, Some(kept))) => Earlier::Answered(kept),
        };
        change.commit()?;
        Ok(earlier)
    }

    /// Keeps the answer.
    pub fn keep(&mut self, (client, key): &(String, String), kept: &Kept) -> rusqlite::Result<()> {
        let [kind, location, tag] = &kept.headers;
        let set = "UPDATE answers SET status = ?3, type = ?4, location = ?5, tag = ?6, body = ?7
                   WHERE client = ?1 AND key = ?2";
        self.0.execute(set, params![client, key, kept.status, kind, location, tag, kept.body])?;
        Ok(())
    }

    /// Forgets a key whose work came to nothing.
    pub fn free(&mut self, (client, key): &(String, String)) -> rusqlite::Result<()> {
        self.0.execute("DELETE FROM answers WHERE client = ?1 AND key = ?2 AND status IS NULL", [client, key])?;
        Ok(())
    }

    /// A message for each of these webhooks; one that is there already stays as it is.
    pub fn queue(&mut self, id: &str, hooks: &[String], body: &[u8], now: UnixMillis) -> rusqlite::Result<()> {
        let change = self.0.transaction()?;
        for hook in hooks {
            change.execute(
                "INSERT OR IGNORE INTO messages (id, hook, at, body, state, attempts, due)
                 VALUES (?1, ?2, ?3, ?4, 'waiting', 0, ?3)",
                params![id, hook, time(now), body],
            )?;
        }
        let old = UnixMillis(now.0.saturating_sub(MESSAGES_MS));
        change.execute("DELETE FROM messages WHERE at < ?1 AND state <> 'waiting'", [time(old)])?;
        change.commit()
    }

    /// The message that is due next at a webhook, and when.
    pub fn due(&mut self, hook: &str) -> rusqlite::Result<Option<(Message, UnixMillis)>> {
        let query = "SELECT id, body, attempts, due FROM messages WHERE hook = ?1 AND state = 'waiting'
                     ORDER BY due, id LIMIT 1";
        self.0
            .query_row(query, [hook], |row| {
                Ok((Message { id: row.get(0)?, body: row.get(1)?, attempts: row.get(2)? }, at(row, 3)?))
            })
            .optional()
    }

    /// An attempt was made: delivered, to be tried again, or given up.
    pub fn attempted(&mut self, id: &str, hook: &str, next: Attempted) -> rusqlite::Result<()> {
        let (state, due) = match next {
            Attempted::Delivered => ("delivered", UnixMillis(0)),
            Attempted::Again(due) => ("waiting", due),
            Attempted::Dead => ("dead", UnixMillis(0)),
        };
        let set = "UPDATE messages SET state = ?3, due = ?4, attempts = attempts + 1 WHERE id = ?1 AND hook = ?2";
        self.0.execute(set, params![id, hook, state, time(due)])?;
        Ok(())
    }

    /// Waiting, delivered, dead, and the attempts made.
    pub fn counts(&mut self, hook: &str) -> rusqlite::Result<[u64; 4]> {
        let query = "SELECT count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'delivered'),
                     count(*) FILTER (WHERE state = 'dead'), coalesce(sum(attempts), 0) FROM messages WHERE hook = ?1";
        self.0.query_row(query, [hook], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))
    }

    /// Messages since then wait again, delivered or not; how many.
    pub fn replay(&mut self, hook: &str, since: UnixMillis, now: UnixMillis) -> rusqlite::Result<u64> {
        let set = "UPDATE messages SET state = 'waiting', attempts = 0, due = ?3 WHERE hook = ?1 AND at >= ?2";
        Ok(self.0.execute(set, params![hook, time(since), time(now)])? as u64)
    }
}

impl Held<'_> {
    /// Writes an incident, or writes it anew.
    pub fn put_incident(&mut self, one: &Incident) -> rusqlite::Result<()> {
        let text = serde_json::to_string(&one.info).expect("texts and numbers are JSON");
        let open = one.info.state != IncidentState::Closed;
        self.0.execute(
            "INSERT OR REPLACE INTO incidents (id, group_key, open, opened, document) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![one.info.incident, one.group_key, open, time(one.info.opened_at), text],
        )?;
        Ok(())
    }

    /// One incident.
    pub fn incident(&mut self, id: &str) -> rusqlite::Result<Option<Incident>> {
        self.0.query_row("SELECT group_key, document FROM incidents WHERE id = ?1", [id], incident).optional()
    }

    /// The newest of a group.
    pub fn last_incident(&mut self, key: &str) -> rusqlite::Result<Option<Incident>> {
        let query = "SELECT group_key, document FROM incidents WHERE group_key = ?1 ORDER BY opened DESC LIMIT 1";
        self.0.query_row(query, [key], incident).optional()
    }

    /// The newest incidents; only those that are open, or all.
    pub fn incidents(&mut self, which: Incidents, most: usize) -> rusqlite::Result<Vec<Incident>> {
        let least = i64::from(which == Incidents::Open);
        let query = "SELECT group_key, document FROM incidents WHERE open >= ?1 ORDER BY opened DESC LIMIT ?2";
        let mut query = self.0.prepare_cached(query)?;
        query.query_map(params![least, most], incident)?.collect()
    }
}

fn incident(row: &Row<'_>) -> rusqlite::Result<Incident> {
    Ok(Incident { group_key: row.get(0)?, info: serde_json::from_str(&row.get::<_, String>(1)?).map_err(foreign)? })
}

/// Which incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Incidents {
    /// That are not closed.
    Open,
    /// All.
    All,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempted {
    /// Taken.
    Delivered,
    /// To be tried again then.
    Again(UnixMillis),
    /// Given up.
    Dead,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("rest.db"), UnixMillis(1)).unwrap();
        (folder, store)
    }

    #[test]
    fn a_key_gets_its_first_answer_again_and_another_request_does_not() {
        let (_folder, store) = store();
        let id = ("desk".to_owned(), "k1".to_owned());
        let begin = |request: &[u8], at| store.now(|s| s.begin(&id, request, UnixMillis(at))).unwrap();
        assert_eq!(begin(b"a", 1), Earlier::None);
        assert_eq!(begin(b"a", 2), Earlier::Busy);
        assert_eq!(begin(b"b", 2), Earlier::Other);
        let kept = Kept { status: 201, headers: ["x".into(), "/y".into(), String::new()], body: b"{}".to_vec() };
        store.now(|s| s.keep(&id, &kept)).unwrap();
        assert_eq!(begin(b"a", 3), Earlier::Answered(kept.clone()));
        store.now(|s| s.free(&id)).unwrap();
        assert_eq!(begin(b"a", 3), Earlier::Answered(kept), "an answer is not freed");
        assert_eq!(begin(b"b", 2 + KEYS_MS), Earlier::None, "after a day it is forgotten");
    }

    #[test]
    fn meetings_come_in_pages_newest_first_and_only_to_firms_that_take_part() {
        let (folder, store) = store();
        for n in 1..=5u64 {
            let one = Meeting {
                meeting: format!("m{n}").parse().unwrap(),
                room: "deal-room".parse().unwrap(),
                firms: [if n == 3 { "bank-b" } else { "bank-a" }.parse().unwrap()].into(),
                state: if n == 5 { MeetingState::Running } else { MeetingState::Ended },
                created: UnixMillis(n),
                started: None,
                ended: None,
            };
            store.now(|s| s.put_meeting(&one)).unwrap();
        }
        let a: FirmId = "bank-a".parse().unwrap();
        let ids = |found: &[Meeting]| found.iter().map(|m| m.meeting.to_string()).collect::<Vec<_>>().join(" ");
        let first = store.now(|s| s.meetings(Some(&a), None, None, 2)).unwrap();
        assert_eq!(ids(&first), "m5 m4");
        let after = first.last().map(|m| (m.created, m.meeting.clone()));
        assert_eq!(ids(&store.now(|s| s.meetings(Some(&a), None, after, 9)).unwrap()), "m2 m1");
        assert_eq!(ids(&store.now(|s| s.meetings(None, Some(MeetingState::Running), None, 9)).unwrap()), "m5");
        drop(store);
        // the process ended, and with it the meeting that ran
        let again = Store::open(&folder.path().join("rest.db"), UnixMillis(9)).unwrap();
        assert_eq!(again.now(|s| s.meeting_of(&"deal-room".parse().unwrap())).unwrap(), None);
    }
}

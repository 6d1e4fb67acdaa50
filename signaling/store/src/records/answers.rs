//! Idempotency keys with their answers, and messages to webhooks.

use super::{Records, Row, Value, step};
use crate::database::DatabaseError;
use domain::UnixMillis;

/// An idempotency key is remembered so long, ms: a client that repeats a request for longer has lost its own state.
const KEYS_MS: u64 = 24 * 3_600_000;
/// Messages are kept for a replay so long, ms.
const MESSAGES_MS: u64 = 30 * 24 * 3_600_000;

/// An answer that is kept with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, `Location`, `ETag`, in this order; empty where there is none.
    pub headers: [String; 3],
    /// Body.
    pub body: Vec<u8>,
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

fn earlier(mut row: Row, request: &[u8]) -> Result<Earlier, DatabaseError> {
    if row.bytes(0)? != request {
        return Ok(Earlier::Other);
    }
    let Some(status) = row.maybe_int(1)? else { return Ok(Earlier::Busy) };
    let status = u16::try_from(status).map_err(|_| super::odd("a status that is none"))?;
    Ok(Earlier::Answered(Kept { status, headers: [row.text(2)?, row.text(3)?, row.text(4)?], body: row.bytes(5)? }))
}

impl Records {
    /// Begins the work for an idempotency key.
    pub async fn begin(
        &self,
        (client, key): &(String, String),
        request: &[u8],
        now: UnixMillis,
    ) -> Result<Earlier, DatabaseError> {
        let old = UnixMillis(now.0.saturating_sub(KEYS_MS));
        let (client, key) = (client.as_str(), key.as_str());
        let add = "INSERT INTO answers (client, key, request, at) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (client, key) DO NOTHING";
        let known = "SELECT request, status, type, location, tag, body FROM answers WHERE client = $1 AND key = $2";
        let steps = vec![
            step("DELETE FROM answers WHERE at < $1", vec![old.into()]),
            step(add, vec![client.into(), key.into(), request.into(), now.into()]),
            step(known, vec![client.into(), key.into()]),
        ];
        let mut done = self.0.run(steps).await?;
        let known = done.pop().and_then(|known| known.rows.into_iter().next());
        match (done.pop().map(|added| added.changed), known) {
            (Some(0), Some(known)) => earlier(known, request),
            _ => Ok(Earlier::None),
        }
    }

    /// Keeps the answer.
    pub async fn keep(&self, (client, key): &(String, String), kept: &Kept) -> Result<(), DatabaseError> {
        let [kind, location, tag] = &kept.headers;
        let set = "UPDATE answers SET status = $1, type = $2, location = $3, tag = $4, body = $5
                   WHERE client = $6 AND key = $7";
        let values = vec![
            Value::Int(kept.status.into()),
            kind.as_str().into(),
            location.as_str().into(),
            tag.as_str().into(),
            kept.body.as_slice().into(),
            client.as_str().into(),
            key.as_str().into(),
        ];
        self.one(set, values).await.map(drop)
    }

    /// Forgets a key whose work came to nothing.
    pub async fn free(&self, (client, key): &(String, String)) -> Result<(), DatabaseError> {
        let gone = "DELETE FROM answers WHERE client = $1 AND key = $2 AND status IS NULL";
        self.one(gone, vec![client.as_str().into(), key.as_str().into()]).await.map(drop)
    }

    /// A message for each of these webhooks; one that is there already stays as it is.
    pub async fn queue(&self, id: &str, hooks: &[String], body: &[u8], now: UnixMillis) -> Result<(), DatabaseError> {
        let add = "INSERT INTO messages (id, hook, at, body, state, attempts, due)
                   VALUES ($1, $2, $3, $4, 'waiting', 0, $3) ON CONFLICT (id, hook) DO NOTHING";
        let mut steps: Vec<_> = hooks
            .iter()
            .map(|hook| step(add, vec![id.into(), hook.as_str().into(), now.into(), body.into()]))
            .collect();
        let old = UnixMillis(now.0.saturating_sub(MESSAGES_MS));
        steps.push(step("DELETE FROM messages WHERE at < $1 AND state <> 'waiting'", vec![old.into()]));
        self.0.run(steps).await.map(drop)
    }

    /// The message that is due next at a webhook, and when.
    pub async fn due(&self, hook: &str) -> Result<Option<(Message, UnixMillis)>, DatabaseError> {
        let query = "SELECT id, body, attempts, due FROM messages WHERE hook = $1 AND state = 'waiting'
                     ORDER BY due, id LIMIT 1";
        let Some(mut row) = self.first(query, vec![hook.into()]).await? else { return Ok(None) };
        let attempts = u32::try_from(row.count(2)?).unwrap_or(u32::MAX);
        Ok(Some((Message { id: row.text(0)?, body: row.bytes(1)?, attempts }, row.time(3)?)))
    }

    /// An attempt was made: delivered, to be tried again, or given up.
    pub async fn attempted(&self, id: &str, hook: &str, next: Attempted) -> Result<(), DatabaseError> {
        let (state, due) = match next {
            Attempted::Delivered => ("delivered", UnixMillis(0)),
            Attempted::Again(due) => ("waiting", due),
            Attempted::Dead => ("dead", UnixMillis(0)),
        };
        let set = "UPDATE messages SET state = $1, due = $2, attempts = attempts + 1 WHERE id = $3 AND hook = $4";
        self.one(set, vec![state.into(), due.into(), id.into(), hook.into()]).await.map(drop)
    }

    /// Waiting, delivered, dead, and the attempts made.
    pub async fn counts(&self, hook: &str) -> Result<[u64; 4], DatabaseError> {
        let query = "SELECT count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'delivered'),
                     count(*) FILTER (WHERE state = 'dead'), CAST(coalesce(sum(attempts), 0) AS BIGINT)
                     FROM messages WHERE hook = $1";
        let Some(mut row) = self.first(query, vec![hook.into()]).await? else { return Ok([0; 4]) };
        Ok([row.count(0)?, row.count(1)?, row.count(2)?, row.count(3)?])
    }

    /// Messages since then wait again, delivered or not; how many.
    pub async fn replay(&self, hook: &str, since: UnixMillis, now: UnixMillis) -> Result<u64, DatabaseError> {
        let set = "UPDATE messages SET state = 'waiting', attempts = 0, due = $1 WHERE hook = $2 AND at >= $3";
        Ok(self.one(set, vec![now.into(), hook.into(), since.into()]).await?.changed)
    }
}

//! What signaling must not forget, beside its rooms: signed statements, which meeting is on which SFU and under which term,
//! meetings as programs see them, idempotency keys, messages to webhooks, incidents, invitations that hosts ended.
//!
//! [`Rows`] is the store: one transaction of SQL at a time, on SQLite or PostgreSQL. The SQL stands once, in [`Records`], in
//! words that both understand. Knows rows; judges nobody, and reads no signature.

mod answers;
mod incidents;
mod meetings;
mod placements;
mod postgres;
mod sqlite;
mod statements;

pub use answers::{Attempted, Earlier, Kept, Message};
pub use incidents::{Incident, Incidents};
pub use meetings::Meeting;
pub use placements::{Placed, Standing, Term};
pub use statements::{Stated, Stored};

use crate::database::{DatabaseError, PostgresConfig};
use async_trait::async_trait;
use domain::UnixMillis;
use std::path::Path;
use std::sync::Arc;

/// A value of a row, or of a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// None.
    Null,
    /// Numbers, times (ms since 1970), truths (0 and 1).
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// One statement of a transaction. Its parameters are `$1`, `$2`, ..., first named in this order.
#[derive(Debug, Clone)]
pub struct Step {
    sql: &'static str,
    values: Vec<Value>,
}

/// What a step did.
#[derive(Debug, Default)]
pub struct Done {
    /// Rows changed, where it returns none.
    pub changed: u64,
    /// Rows returned.
    pub rows: Vec<Row>,
}

/// A returned row.
#[derive(Debug, Clone)]
pub struct Row(Vec<Value>);

/// A database that runs transactions.
#[async_trait]
pub trait Rows: Send + Sync {
    /// Runs all steps in order, or none.
    async fn run(&self, steps: Vec<Step>) -> Result<Vec<Done>, DatabaseError>;
}

/// The records. Cheap to clone.
#[derive(Clone)]
pub struct Records(Arc<dyn Rows>);

impl Records {
    /// In a SQLite file; made if it is missing. Blocks.
    pub fn sqlite(path: &Path) -> Result<Self, DatabaseError> {
        Ok(Self(Arc::new(sqlite::File::open(path)?)))
    }
    /// In a PostgreSQL database, which may be the one of the rooms.
    pub async fn postgres(config: &PostgresConfig) -> Result<Self, DatabaseError> {
        Ok(Self(Arc::new(postgres::Server::open(config).await?)))
    }

    async fn one(&self, sql: &'static str, values: Vec<Value>) -> Result<Done, DatabaseError> {
        let mut done = self.0.run(vec![step(sql, values)]).await?;
        Ok(done.pop().unwrap_or_default())
    }
    async fn first(&self, sql: &'static str, values: Vec<Value>) -> Result<Option<Row>, DatabaseError> {
        Ok(self.one(sql, values).await?.rows.into_iter().next())
    }
}

fn step(sql: &'static str, values: Vec<Value>) -> Step {
    Step { sql, values }
}

impl Row {
    fn take(&mut self, at: usize) -> Value {
        self.0.get_mut(at).map_or(Value::Null, |value| std::mem::replace(value, Value::Null))
    }
    fn int(&mut self, at: usize) -> Result<i64, DatabaseError> {
        self.maybe_int(at)?.ok_or_else(|| odd("a number is missing"))
    }
    fn maybe_int(&mut self, at: usize) -> Result<Option<i64>, DatabaseError> {
        match self.take(at) {
            Value::Int(number) => Ok(Some(number)),
            Value::Null => Ok(None),
            _ => Err(odd("a number was expected")),
        }
    }
    fn count(&mut self, at: usize) -> Result<u64, DatabaseError> {
        u64::try_from(self.int(at)?).map_err(|_| odd("a number below zero"))
    }
    fn time(&mut self, at: usize) -> Result<UnixMillis, DatabaseError> {
        self.count(at).map(UnixMillis)
    }
    fn maybe_time(&mut self, at: usize) -> Result<Option<UnixMillis>, DatabaseError> {
        let number = self.maybe_int(at)?.map(u64::try_from).transpose();
        number.map(|time| time.map(UnixMillis)).map_err(|_| odd("a time below zero"))
    }
    fn text(&mut self, at: usize) -> Result<String, DatabaseError> {
        match self.take(at) {
            Value::Text(text) => Ok(text),
            Value::Null => Ok(String::new()),
            _ => Err(odd("a text was expected")),
        }
    }
    fn bytes(&mut self, at: usize) -> Result<Vec<u8>, DatabaseError> {
        match self.take(at) {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Null => Ok(Vec::new()),
            _ => Err(odd("bytes were expected")),
        }
    }
    fn id<T: std::str::FromStr>(&mut self, at: usize) -> Result<T, DatabaseError> {
        self.text(at)?.parse().map_err(|_| odd("an id that is none"))
    }
}

/// The database was written by somebody else.
fn odd(what: &str) -> DatabaseError {
    DatabaseError::Failed(format!("the records are not as this program writes them: {what}"))
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<UnixMillis> for Value {
    fn from(at: UnixMillis) -> Self {
        at.0.into()
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

//! The tables of signaling on SQLite or PostgreSQL: one trait, two dialects, migrations by number. Knows rows, not rooms.

pub(crate) mod postgres;
pub(crate) mod sqlite;
mod tls;

pub use postgres::{Postgres, PostgresConfig};
pub use sqlite::Sqlite;

use async_trait::async_trait;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Changes that are kept: a reader that is further behind reads everything anew.
pub const JOURNAL: i64 = 10_000;
/// Changes read at once.
pub const PAGE: i64 = 500;

/// Why a database does not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// Not reached, not ours, full, or in the middle of a switch to another server.
    #[error("{0}")]
    Failed(String),
    /// A newer program made it.
    #[error("the database has schema {found}, this program knows {known}: run the newer program")]
    Newer {
        /// In the database.
        found: i64,
        /// In this program.
        known: i64,
    },
}

impl DatabaseError {
    fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        Self::failed(error)
    }
}

impl From<tokio_postgres::Error> for DatabaseError {
    fn from(error: tokio_postgres::Error) -> Self {
        // the server's own words say what is wrong; the crate's alone say "db error"
        Self::Failed(error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned()))
    }
}

impl From<deadpool_postgres::PoolError> for DatabaseError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => error.into(),
            other => Self::failed(other),
        }
    }
}

/// A row of `rooms` with its rows of `members`.
#[derive(Debug, Default)]
pub struct RoomRow {
    /// Title.
    pub title: String,
    /// `open` or `closed`.
    pub state: String,
    /// JSON object of texts.
    pub attributes: String,
    /// Ordered by firm and user.
    pub members: Vec<MemberRow>,
}

/// A row of `members`.
#[derive(Debug)]
pub struct MemberRow {
    /// Firm.
    pub firm: String,
    /// User.
    pub user: String,
    /// May remove others.
    pub host: bool,
    /// JSON list of texts.
    pub groups: String,
}

/// What the journal of changes has.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// Oldest change that is kept; 1 where none ever was.
    pub first: i64,
    /// Newest; 0 where none ever was.
    pub last: i64,
    /// Those after the asked one, oldest first, [`PAGE`] at most.
    pub since: Vec<(i64, String)>,
}

/// One room of a seed file.
// not a wire type: part of the configuration
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedRoom {
    /// Id.
    pub room: domain::RoomId,
    /// Title.
    pub title: String,
    /// Members.
    pub members: Vec<SeedMember>,
}

/// One member of a seed file.
// not a wire type: part of the configuration
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedMember {
    /// Firm.
    pub firm: domain::FirmId,
    /// User.
    pub user: domain::UserId,
    /// May remove others.
    #[serde(default)]
    pub host: bool,
    /// Groups of its firm it is in.
    #[serde(default)]
    pub groups: BTreeSet<String>,
}

impl SeedMember {
    fn groups(&self) -> String {
        serde_json::to_string(&self.groups).expect("texts are JSON")
    }
}

/// The tables, whatever database they are in.
#[async_trait]
pub trait Tables: Send + Sync {
    /// A room; `None` when there is none of this id.
    async fn room(&self, room: &str) -> Result<Option<RoomRow>, DatabaseError>;
    /// The journal, and what it has after `since`.
    async fn journal(&self, since: i64) -> Result<Journal, DatabaseError>;
    /// Keeps a notice for the people of a room.
    async fn keep_notice(&self, room: &str, kind: &str, text: &str) -> Result<(), DatabaseError>;
    /// Notices of a room, oldest first: kind and text.
    async fn notices(&self, room: &str) -> Result<Vec<(String, String)>, DatabaseError>;
    /// Writes rooms as the seed has them, in one transaction; other rooms stay.
    async fn plant(&self, rooms: Vec<SeedRoom>) -> Result<(), DatabaseError>;
}

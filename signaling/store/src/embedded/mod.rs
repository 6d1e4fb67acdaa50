//! The embedded directory: rooms in a database of our own, so that the first command needs no other server. Whoever may
//! write the tables (`sqlite3`, `psql`, an import) changes rooms: triggers tell of it.

use crate::database::{DatabaseError, MemberRow, RoomRow, SeedRoom, Tables};
use crate::directory::{Batch, Change, Cursor, DirectoryError, FEED_WAIT, Notice, RoomDirectory};
use crate::{Member, Role, Room, State};
use async_trait::async_trait;
use domain::RoomId;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The journal is looked at so often: a change has 2 s until it must show in the meeting, and a look is one read of an index.
const LOOK: Duration = Duration::from_millis(250);

/// Rooms in tables.
pub struct Embedded(Arc<dyn Tables>);

impl Embedded {
    /// Over these tables.
    pub fn new(tables: Arc<dyn Tables>) -> Self {
        Self(tables)
    }

    /// Writes the seed's rooms as the seed has them; other rooms stay.
    pub async fn plant(&self, rooms: Vec<SeedRoom>) -> Result<(), DatabaseError> {
        self.0.plant(rooms).await
    }
}

/// Reads a seed file. Says what is wrong with it.
pub fn read_seed(path: &Path) -> Result<Vec<SeedRoom>, String> {
    let shown = path.display();
    let text = std::fs::read(path)
        .map_err(|error| format!("cannot read the rooms {shown}: {error}; correct directory.seed"))?;
    serde_json::from_slice(&text).map_err(|error| format!("{shown} is no list of rooms: {error}; correct the file"))
}

impl From<DatabaseError> for DirectoryError {
    fn from(error: DatabaseError) -> Self {
        Self::Unreachable(error.to_string())
    }
}

fn unusable(error: impl std::fmt::Display) -> DirectoryError {
    DirectoryError::Unusable(error.to_string())
}

fn member(row: MemberRow) -> Result<Member, DirectoryError> {
    Ok(Member {
        firm: row.firm.parse().map_err(unusable)?,
        user: row.user.parse().map_err(unusable)?,
        role: if row.host { Role::Host } else { Role::Participant },
        groups: serde_json::from_str(&row.groups).map_err(unusable)?,
    })
}

fn room(row: RoomRow) -> Result<Room, DirectoryError> {
    Ok(Room {
        title: row.title,
        state: if row.state == "open" { State::Open } else { State::Closed },
        members: row.members.into_iter().map(member).collect::<Result<_, _>>()?,
        attributes: serde_json::from_str(&row.attributes).map_err(unusable)?,
    })
}

#[async_trait]
impl RoomDirectory for Embedded {
    async fn room(&self, wanted: &RoomId) -> Result<Option<Room>, DirectoryError> {
        self.0.room(wanted.as_str()).await?.map(room).transpose()
    }

    async fn changes(&self, since: Option<&Cursor>) -> Result<Batch, DirectoryError> {
        let since: Option<i64> = since.and_then(|cursor| cursor.0.parse().ok());
        let until = Instant::now() + FEED_WAIT;
        loop {
            let journal = self.0.journal(since.unwrap_or(i64::MAX)).await?;
            let at = |serial: i64| Cursor(serial.to_string());
            let Some(since) = since.filter(|since| (journal.first - 1..=journal.last).contains(since)) else {
                return Ok(Batch { cursor: at(journal.last), changes: vec![Change::Reset] });
            };
            if let Some((last, _)) = journal.since.last() {
                let mut changes = Vec::new();
                for (_, name) in &journal.since {
                    let change = Change::Room(name.parse().map_err(unusable)?);
                    if changes.last() != Some(&change) {
                        changes.push(change);
                    }
                }
                return Ok(Batch { cursor: at(*last), changes });
            }
            if Instant::now() >= until {
                return Ok(Batch { cursor: at(since), changes: Vec::new() });
            }
            sleep(LOOK).await;
        }
    }

    async fn post(&self, room: &RoomId, notice: &Notice) -> Result<(), DirectoryError> {
        Ok(self.0.keep_notice(room.as_str(), notice.kind(), &notice.text()).await?)
    }
}

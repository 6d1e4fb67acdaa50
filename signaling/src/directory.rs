//! Rooms and their members. Signaling owns meetings, never rooms: it reads them through [`RoomDirectory`]. Here the
//! embedded directory, one SQLite file; adapters to other rooms come beside it.

use crate::failure::{Failure, config};
use domain::{FirmId, RoomId, UserId};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use signaling_core::Member;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A room as a directory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRoom {
    /// Title, for people.
    pub title: String,
    /// Members.
    pub members: Vec<Member>,
}

/// Why a directory does not answer.
#[derive(Debug)]
pub struct DirectoryError(pub String);

/// Where rooms live.
pub trait RoomDirectory: Send + Sync {
    /// A room with its members; `None` when there is none of this id. May block.
    fn room(&self, room: &RoomId) -> Result<Option<DirectoryRoom>, DirectoryError>;
}

/// One room of the seed file.
// not a wire type: part of the configuration
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedRoom {
    room: RoomId,
    title: String,
    members: Vec<SeedMember>,
}

// not a wire type: part of the configuration
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeedMember {
    firm: FirmId,
    user: UserId,
    #[serde(default)]
    host: bool,
    /// Groups of its firm it is in; information barriers name them.
    #[serde(default)]
    groups: BTreeSet<String>,
}

/// The embedded directory.
pub struct Embedded(Mutex<Connection>);

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA foreign_keys = ON;
    CREATE TABLE IF NOT EXISTS rooms (room TEXT PRIMARY KEY, title TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS members (
        room TEXT NOT NULL REFERENCES rooms(room) ON DELETE CASCADE,
        firm TEXT NOT NULL, user TEXT NOT NULL, host INTEGER NOT NULL, groups TEXT NOT NULL DEFAULT '[]',
        PRIMARY KEY (room, firm, user)) STRICT;
";

impl Embedded {
    /// Opens or makes the database, then writes the seed's rooms as the seed has them; other rooms stay.
    pub fn open(path: &Path, seed: Option<&Path>) -> Result<Self, Failure> {
        let shown = path.display();
        let fail = |error: rusqlite::Error| {
            config(format!("cannot open the room directory {shown}: {error}; is it a database and writable?"))
        };
        let mut database = Connection::open(path).map_err(fail)?;
        database.execute_batch(SCHEMA).map_err(fail)?;
        widen(&database).map_err(fail)?;
        if let Some(seed) = seed {
            plant(&mut database, &read_seed(seed)?).map_err(fail)?;
        }
        Ok(Self(Mutex::new(database)))
    }
}

/// A directory of before there were groups gets their column.
fn widen(database: &Connection) -> rusqlite::Result<()> {
    let known = "SELECT count(*) FROM pragma_table_info('members') WHERE name = 'groups'";
    if database.query_row(known, [], |row| row.get::<_, u32>(0))? == 0 {
        database.execute_batch("ALTER TABLE members ADD COLUMN groups TEXT NOT NULL DEFAULT '[]'")?;
    }
    Ok(())
}

fn read_seed(path: &Path) -> Result<Vec<SeedRoom>, Failure> {
    let shown = path.display();
    let text = std::fs::read(path)
        .map_err(|error| config(format!("cannot read the rooms {shown}: {error}; correct directory.seed")))?;
    serde_json::from_slice(&text)
        .map_err(|error| config(format!("{shown} is no list of rooms: {error}; correct the file")))
}

fn plant(database: &mut Connection, rooms: &[SeedRoom]) -> rusqlite::Result<()> {
    let change = database.transaction()?;
    for seed in rooms {
        let room = seed.room.as_str();
        change.execute("DELETE FROM members WHERE room = ?1", [room])?;
        change.execute(
            "INSERT INTO rooms (room, title) VALUES (?1, ?2) ON CONFLICT (room) DO UPDATE SET title = ?2",
            [room, &seed.title],
        )?;
        for member in &seed.members {
            change.execute(
                "INSERT OR REPLACE INTO members (room, firm, user, host, groups) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![room, member.firm.as_str(), member.user.as_str(), member.host, listed(&member.groups)],
            )?;
        }
    }
    change.commit()
}

fn listed(groups: &BTreeSet<String>) -> String {
    serde_json::to_string(groups).expect("names are JSON")
}

fn bad_row(error: impl std::fmt::Display) -> DirectoryError {
    DirectoryError(error.to_string())
}

impl RoomDirectory for Embedded {
    fn room(&self, room: &RoomId) -> Result<Option<DirectoryRoom>, DirectoryError> {
        let database = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let title: Option<String> = database
            .query_row("SELECT title FROM rooms WHERE room = ?1", [room.as_str()], |row| row.get(0))
            .optional()
            .map_err(bad_row)?;
        let Some(title) = title else { return Ok(None) };
        let mut query = database
            .prepare_cached("SELECT firm, user, host, groups FROM members WHERE room = ?1 ORDER BY firm, user")
            .map_err(bad_row)?;
        let rows = query
            .query_map([room.as_str()], |row| {
                let who = (row.get::<_, String>(0)?, row.get::<_, String>(1)?);
                Ok((who, row.get::<_, bool>(2)?, row.get::<_, String>(3)?))
            })
            .map_err(bad_row)?;
        let mut members = Vec::new();
        for row in rows {
            let ((firm, user), host, groups) = row.map_err(bad_row)?;
            let (firm, user) = (firm.parse().map_err(bad_row)?, user.parse().map_err(bad_row)?);
            members.push(Member { firm, user, host, groups: serde_json::from_str(&groups).map_err(bad_row)? });
        }
        Ok(Some(DirectoryRoom { title, members }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = r#"[{"room":"deal-room","title":"Project Alder","members":[
        {"firm":"bank-a","user":"anna","host":true},{"firm":"bank-b","user":"ben"}]}]"#;

    #[test]
    fn a_seeded_room_reads_back_and_a_second_start_follows_the_seed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, seed) = (folder.path().join("rooms.db"), folder.path().join("rooms.json"));
        std::fs::write(&seed, SEED).unwrap();
        let deal: RoomId = "deal-room".parse().unwrap();
        let room = Embedded::open(&path, Some(&seed)).unwrap().room(&deal).unwrap().expect("seeded");
        assert_eq!(room.title, "Project Alder");
        assert_eq!(room.members.iter().map(|m| m.host).collect::<Vec<_>>(), [true, false]);
        std::fs::write(&seed, SEED.replace(r#",{"firm":"bank-b","user":"ben"}"#, "")).unwrap();
        let again = Embedded::open(&path, Some(&seed)).unwrap();
        assert_eq!(again.room(&deal).unwrap().expect("still there").members.len(), 1);
        assert_eq!(again.room(&"other".parse().unwrap()).unwrap(), None);
    }

    #[test]
    fn groups_are_read_and_a_directory_of_before_them_is_widened() {
        let folder = tempfile::tempdir().unwrap();
        let (path, seed) = (folder.path().join("rooms.db"), folder.path().join("rooms.json"));
        let before = SCHEMA.replace(", groups TEXT NOT NULL DEFAULT '[]'", "");
        assert_ne!(before, SCHEMA);
        Connection::open(&path).unwrap().execute_batch(&before).unwrap();
        std::fs::write(&seed, SEED.replace(r#""user":"ben""#, r#""user":"ben","groups":["research"]"#)).unwrap();
        let room = Embedded::open(&path, Some(&seed)).unwrap().room(&"deal-room".parse().unwrap()).unwrap().unwrap();
        assert!(room.members[0].groups.is_empty());
        assert_eq!(room.members[1].groups, ["research".to_owned()].into());
    }

    #[test]
    fn an_unknown_key_in_the_seed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let seed = folder.path().join("rooms.json");
        std::fs::write(&seed, SEED.replace("\"title\"", "\"heading\"")).unwrap();
        let said = Embedded::open(&folder.path().join("rooms.db"), Some(&seed)).err().expect("refused").to_string();
        assert!(said.contains("heading") && said.contains("rooms.json"), "{said}");
    }
}

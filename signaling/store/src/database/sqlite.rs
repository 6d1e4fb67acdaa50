//! SQLite: one file, one connection, calls on a thread for blocking work.

use super::{DatabaseError, Journal, MemberRow, PAGE, RoomRow, SeedRoom, Tables};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const MIGRATIONS: [&str; 2] =
    [include_str!("../../migrations/sqlite/0001-rooms.sql"), include_str!("../../migrations/sqlite/0002-changes.sql")];
/// Another program that writes holds the file for milliseconds; an administrator's open transaction is waited for so long.
const BUSY: Duration = Duration::from_secs(2);

/// An open database file.
pub struct Sqlite(Arc<Mutex<Connection>>);

impl Sqlite {
    /// Opens or makes the file and brings its tables up to date. Blocks.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let mut database = connect(path)?;
        // a directory of before there were groups gets their column
        migrate(&mut database, &MIGRATIONS, |at, change| if at == 0 { widen(change) } else { Ok(()) })?;
        Ok(Self(Arc::new(Mutex::new(database))))
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let database = self.0.clone();
        let done = tokio::task::spawn_blocking(move || {
            work(&mut database.lock().unwrap_or_else(PoisonError::into_inner)).map_err(DatabaseError::from)
        });
        done.await.map_err(DatabaseError::failed)?
    }
}

/// Opens or makes a file that other programs may have open too.
pub(crate) fn connect(path: &Path) -> Result<Connection, DatabaseError> {
    let database = Connection::open(path)?;
    database.busy_timeout(BUSY)?;
    database.execute_batch("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON;")?;
    Ok(database)
}

/// Does the migrations that are missing, in one transaction; `after` follows each, by its place in the list.
pub(crate) fn migrate(
    database: &mut Connection,
    migrations: &[&str],
    after: impl Fn(usize, &Connection) -> rusqlite::Result<()>,
) -> Result<(), DatabaseError> {
    let known = migrations.len() as i64;
    let change = database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found: i64 = change.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > known {
        return Err(DatabaseError::Newer { found, known });
    }
    for (at, migration) in migrations.iter().enumerate().skip(found as usize) {
        change.execute_batch(migration)?;
        after(at, &change)?;
    }
    change.pragma_update(None, "user_version", known)?;
    Ok(change.commit()?)
}

/// The column of groups, where there is none.
fn widen(database: &Connection) -> rusqlite::Result<()> {
    let known = "SELECT count(*) FROM pragma_table_info('members') WHERE name = 'groups'";
    if database.query_row(known, [], |row| row.get::<_, u32>(0))? == 0 {
        database.execute_batch("ALTER TABLE members ADD COLUMN groups TEXT NOT NULL DEFAULT '[]'")?;
    }
    Ok(())
}

#[async_trait]
impl Tables for Sqlite {
    async fn room(&self, room: &str) -> Result<Option<RoomRow>, DatabaseError> {
        let room = room.to_owned();
        self.with(move |database| {
            // one snapshot for both questions
            let database = database.transaction()?;
            let found = database
                .prepare_cached("SELECT title, state, attributes FROM rooms WHERE room = ?1")?
                .query_row([&room], |row| {
                    let (title, state, attributes) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok(RoomRow { title, state, attributes, members: Vec::new() })
                })
                .optional()?;
            let Some(mut found) = found else { return Ok(None) };
            let asked = "SELECT firm, user, host, groups FROM members WHERE room = ?1 ORDER BY firm, user";
            let members = database
                .prepare_cached(asked)?
                .query_map([&room], |row| {
                    Ok(MemberRow { firm: row.get(0)?, user: row.get(1)?, host: row.get(2)?, groups: row.get(3)? })
                })?
                .collect::<rusqlite::Result<_>>()?;
            found.members = members;
            Ok(Some(found))
        })
        .await
    }

    async fn journal(&self, since: i64) -> Result<Journal, DatabaseError> {
        self.with(move |database| {
            let database = database.transaction()?;
            let (first, last) = database
                .prepare_cached("SELECT coalesce(min(serial), 1), coalesce(max(serial), 0) FROM changes")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let since = database
                .prepare_cached("SELECT serial, room FROM changes WHERE serial > ?1 ORDER BY serial LIMIT ?2")?
                .query_map([since, PAGE], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Journal { first, last, since })
        })
        .await
    }

    async fn keep_notice(&self, room: &str, kind: &str, text: &str) -> Result<(), DatabaseError> {
        let row = [room.to_owned(), kind.to_owned(), text.to_owned()];
        self.with(move |database| {
            database.execute("INSERT INTO notices (room, kind, text) VALUES (?1, ?2, ?3)", row).map(|_| ())
        })
        .await
    }

    async fn notices(&self, room: &str) -> Result<Vec<(String, String)>, DatabaseError> {
        let room = room.to_owned();
        self.with(move |database| {
            database
                .prepare_cached("SELECT kind, text FROM notices WHERE room = ?1 ORDER BY id")?
                .query_map([&room], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .await
    }

    async fn plant(&self, rooms: Vec<SeedRoom>) -> Result<(), DatabaseError> {
        self.with(move |database| {
            let change = database.transaction()?;
            for seed in &rooms {
                let room = seed.room.as_str();
                change.execute("DELETE FROM members WHERE room = ?1", [room])?;
                change.execute(
                    "INSERT INTO rooms (room, title) VALUES (?1, ?2) ON CONFLICT (room) DO UPDATE SET title = ?2",
                    [room, &seed.title],
                )?;
                for member in &seed.members {
                    change.execute(
                        "INSERT OR REPLACE INTO members (room, firm, user, host, groups) VALUES (?1, ?2, ?3, ?4, ?5)",
                        params![room, member.firm.as_str(), member.user.as_str(), member.host, member.groups()],
                    )?;
                }
            }
            change.commit()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_of_before_versions_and_groups_is_brought_up_to_date_with_its_rooms() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rooms.db");
        let before = MIGRATIONS[0].replace(", groups TEXT NOT NULL DEFAULT '[]'", "");
        assert_ne!(before, MIGRATIONS[0]);
        let old = Connection::open(&path).unwrap();
        old.execute_batch(&before).unwrap();
        old.execute_batch("INSERT INTO rooms VALUES ('r', 'Alder'); INSERT INTO members VALUES ('r', 'a', 'anna', 1)")
            .unwrap();
        drop(old);
        for _ in 0..2 {
            let room = Sqlite::open(&path).unwrap().room("r").await.unwrap().expect("kept");
            assert_eq!((room.title.as_str(), room.state.as_str(), room.members.len()), ("Alder", "open", 1));
            assert_eq!(room.members[0].groups, "[]");
        }
    }

    #[test]
    fn a_database_of_a_newer_program_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rooms.db");
        drop(Sqlite::open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(Sqlite::open(&path).err(), Some(DatabaseError::Newer { found: 99, .. })));
    }
}

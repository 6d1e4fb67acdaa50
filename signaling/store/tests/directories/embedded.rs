//! The embedded directory, changed from outside as an administrator does: by SQL of another program.

use crate::suite::{self, Place, conformance};
use async_trait::async_trait;
use domain::RoomId;
use room_servers::postgres::Postgres;
use signaling_store::database::{self, JOURNAL, PostgresConfig, Sqlite, Tables};
use signaling_store::{Embedded, Member, Role, RoomDirectory};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// SQL of both dialects.
trait Outside: Send + Sync {
    fn sql(&self, text: &str);
    /// A table expression with a column `series` of `1..=n`.
    fn series(&self, n: i64) -> String;
}

struct File(std::path::PathBuf);

impl Outside for File {
    fn sql(&self, text: &str) {
        let database = rusqlite::Connection::open(&self.0).unwrap();
        database.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        database.execute_batch(&format!("PRAGMA foreign_keys = ON; {text}")).unwrap();
    }
    fn series(&self, n: i64) -> String {
        let from = format!("SELECT 1 UNION ALL SELECT series + 1 FROM counted WHERE series < {n}");
        format!("(WITH RECURSIVE counted(series) AS ({from}) SELECT series FROM counted)")
    }
}

impl Outside for Postgres {
    fn sql(&self, text: &str) {
        Postgres::sql(self, text).unwrap();
    }
    fn series(&self, n: i64) -> String {
        format!("generate_series(1, {n}) AS series")
    }
}

struct Database {
    tables: Arc<dyn Tables>,
    directory: Arc<Embedded>,
    outside: Box<dyn Outside>,
    made: AtomicU32,
}

impl Database {
    fn new(tables: Arc<dyn Tables>, outside: impl Outside + 'static) -> Self {
        let directory = Arc::new(Embedded::new(tables.clone()));
        Self { tables, directory, outside: Box::new(outside), made: AtomicU32::new(0) }
    }
}

#[async_trait]
impl Place for Database {
    fn directory(&self) -> Arc<dyn RoomDirectory> {
        self.directory.clone()
    }
    async fn make(&self, title: &str, members: &[Member]) -> RoomId {
        let room: RoomId = format!("room-{}", self.made.fetch_add(1, Ordering::Relaxed)).parse().unwrap();
        self.outside.sql(&format!("INSERT INTO rooms (room, title) VALUES ('{room}', '{title}')"));
        for member in members {
            self.add(&room, member).await;
        }
        room
    }
    async fn add(&self, room: &RoomId, member: &Member) {
        let host = member.role == Role::Host;
        self.outside.sql(&format!(
            r#"INSERT INTO members (room, firm, "user", host) VALUES ('{room}', '{}', '{}', {host})"#,
            member.firm,
            member.user.as_str()
        ));
    }
    async fn remove(&self, room: &RoomId, member: &Member) {
        let user = member.user.as_str();
        self.outside.sql(&format!(
            r#"DELETE FROM members WHERE room = '{room}' AND firm = '{}' AND "user" = '{user}'"#,
            member.firm
        ));
    }
    async fn promote(&self, room: &RoomId, member: &Member) {
        let user = member.user.as_str();
        self.outside.sql(&format!(r#"UPDATE members SET host = TRUE WHERE room = '{room}' AND "user" = '{user}'"#));
    }
    async fn rename(&self, room: &RoomId, title: &str) {
        self.outside.sql(&format!("UPDATE rooms SET title = '{title}' WHERE room = '{room}'"));
    }
    async fn close(&self, room: &RoomId) {
        self.outside.sql(&format!("UPDATE rooms SET state = 'closed' WHERE room = '{room}'"));
    }
    async fn overflow(&self, room: &RoomId) {
        let series = self.outside.series(JOURNAL + 5);
        self.outside.sql(&format!(
            r#"INSERT INTO members (room, firm, "user", host) SELECT '{room}', 'bank-z', 'u' || series, FALSE FROM {series}"#
        ));
    }
    async fn posted(&self, room: &RoomId) -> Vec<String> {
        self.tables.notices(room.as_str()).await.unwrap().into_iter().map(|(_, text)| text).collect()
    }
}

#[tokio::test]
async fn rooms_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rooms.db");
    let tables = Arc::new(Sqlite::open(&path).unwrap());
    conformance("embedded", &Database::new(tables, File(path))).await;
}

fn config(server: &Postgres) -> PostgresConfig {
    PostgresConfig { url: server.url(), password_file: Some(server.password_file()), ca: None }
}

#[tokio::test]
async fn rooms_in_postgresql() {
    let server = Postgres::start().unwrap();
    let config = config(&server);
    // two that start at once do not stumble over each other's migration
    let (one, other) = tokio::join!(database::Postgres::open(&config), database::Postgres::open(&config));
    drop(other.unwrap());
    conformance("embedded", &Database::new(Arc::new(one.unwrap()), server)).await;
}

#[tokio::test]
async fn a_postgresql_that_was_away_is_used_again_without_a_restart_and_its_stream_goes_on() {
    let mut server = Postgres::start().unwrap();
    let tables = Arc::new(database::Postgres::open(&config(&server)).await.unwrap());
    let directory = Embedded::new(tables);
    server.sql("INSERT INTO rooms (room, title) VALUES ('deal-room', 'Alder')").unwrap();
    let room: RoomId = "deal-room".parse().unwrap();
    let place = directory.changes(None).await.unwrap().cursor;
    server.stop();
    assert!(directory.room(&room).await.is_err(), "no answer is no empty room");
    assert!(directory.changes(Some(&place)).await.is_err(), "no answer is no quiet feed");
    server.go_on().unwrap();
    server.sql("INSERT INTO members VALUES ('deal-room', 'bank-a', 'anna')").unwrap();
    let heard = directory.changes(Some(&place)).await.unwrap();
    assert_eq!(heard.changes, [signaling_store::Change::Room(room.clone())]);
    let read = directory.room(&room).await.unwrap().expect("kept");
    assert_eq!(read.members, [suite::member("bank-a", "anna", Role::Participant)]);
}

//! PostgreSQL: a pool of connections that are made anew after a failure, so a restarted or promoted server needs no restart
//! of signaling.

use super::tls::Rustls;
use super::{DatabaseError, Journal, MemberRow, PAGE, RoomRow, SeedRoom, Tables};
use async_trait::async_trait;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{IsolationLevel, NoTls};

const MIGRATIONS: [&str; 1] = [include_str!("../../migrations/postgres/0001-rooms.sql")];
/// Connections: reads of joins take a millisecond; more would only queue in the server.
const CONNECTIONS: usize = 8;
/// A connection, or an answer, that takes longer is none: a join waits for it.
const PATIENCE: Duration = Duration::from_secs(3);
/// Two starting processes must not migrate side by side: the number of a lock that is ours in this database.
const MIGRATING: i64 = 7_262_517_482;

/// Where the database is.
// not a wire type: part of the configuration
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// `postgresql://user@host:port/database`; never with a password.
    pub url: String,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// CA of the server's certificate, PEM. Without it only loopback and sockets of this machine are taken.
    pub ca: Option<PathBuf>,
}

impl PostgresConfig {
    /// Relative paths begin at `folder`.
    pub fn rebase(&mut self, folder: &Path) {
        let paths = self.password_file.iter_mut().chain(&mut self.ca);
        paths.for_each(|path| *path = folder.join(&*path));
    }
}

/// A database on a server.
pub struct Postgres(Pool);

fn local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

fn roots(path: &Path) -> Result<RootCertStore, DatabaseError> {
    let wrong = |why: String| DatabaseError::Failed(format!("{}: {why}; correct `ca`", path.display()));
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&text) {
        let root = root.map_err(|error| wrong(error.to_string()))?;
        store.add(root).map_err(|error| wrong(error.to_string()))?;
    }
    if store.is_empty() { Err(wrong("no certificate in PEM".to_owned())) } else { Ok(store) }
}

fn read(config: &PostgresConfig) -> Result<(tokio_postgres::Config, Option<Rustls>), DatabaseError> {
    let mut wanted: tokio_postgres::Config =
        config.url.parse().map_err(|_| DatabaseError::Failed("`url` is no address of PostgreSQL".to_owned()))?;
    if wanted.get_password().is_some() {
        return Err(DatabaseError::Failed("a password in `url` is refused: use `password_file`".to_owned()));
    }
    if let Some(path) = &config.password_file {
        let text = std::fs::read_to_string(path)
            .map_err(|error| DatabaseError::Failed(format!("{}: {error}; correct `password_file`", path.display())))?;
        wanted.password(text.trim_end());
    }
    wanted.connect_timeout(PATIENCE).tcp_user_timeout(PATIENCE).application_name("strongroom-signaling");
    wanted.options(format!("-c statement_timeout={0} -c lock_timeout={0}", PATIENCE.as_millis()));
    let Some(ca) = &config.ca else {
        return if wanted.get_hosts().iter().all(local) {
            wanted.ssl_mode(SslMode::Disable);
            Ok((wanted, None))
        } else {
            Err(DatabaseError::Failed("a server elsewhere needs TLS: name its CA in `ca`".to_owned()))
        };
    };
    wanted.ssl_mode(SslMode::Require);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(DatabaseError::failed)?
        .with_root_certificates(roots(ca)?)
        .with_no_client_auth();
    Ok((wanted, Some(Rustls(Arc::new(tls)))))
}

impl Postgres {
    /// Connects and brings the tables up to date.
    pub async fn open(config: &PostgresConfig) -> Result<Self, DatabaseError> {
        let database = Self(connect(config)?);
        migrate(&mut database.client().await?, "strongroom_schema", &MIGRATIONS).await?;
        Ok(database)
    }

    async fn client(&self) -> Result<Object, DatabaseError> {
        Ok(self.0.get().await?)
    }
}

/// A pool of connections; none is made yet.
pub(crate) fn connect(config: &PostgresConfig) -> Result<Pool, DatabaseError> {
    let (wanted, tls) = read(config)?;
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = match tls {
        Some(tls) => Manager::from_config(wanted, tls, recycling),
        None => Manager::from_config(wanted, NoTls, recycling),
    };
    let limits = Timeouts { wait: Some(PATIENCE), create: Some(PATIENCE), recycle: Some(PATIENCE) };
    let pool = Pool::builder(manager).max_size(CONNECTIONS).timeouts(limits).runtime(Runtime::Tokio1);
    pool.build().map_err(DatabaseError::failed)
}

/// Does the migrations that are missing, in one transaction. What was done stands in `table`.
pub(crate) async fn migrate(client: &mut Object, table: &str, migrations: &[&str]) -> Result<(), DatabaseError> {
    let known = migrations.len() as i64;
    let change = client.transaction().await?;
    change.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATING]).await?;
    change.batch_execute(&format!("CREATE TABLE IF NOT EXISTS {table} (version BIGINT NOT NULL)")).await?;
    let row = change.query_one(&format!("SELECT coalesce(max(version), 0) FROM {table}"), &[]).await?;
    let found: i64 = row.try_get(0)?;
    if found > known {
        return Err(DatabaseError::Newer { found, known });
    }
    for (at, migration) in migrations.iter().enumerate().skip(found as usize) {
        change.batch_execute(migration).await?;
        change.execute(&format!("INSERT INTO {table} VALUES ($1)"), &[&(at as i64 + 1)]).await?;
    }
    Ok(change.commit().await?)
}

/// No answer in time is a failure: a server that froze must not freeze us.
pub(crate) async fn in_time<T>(
    work: impl Future<Output = Result<T, DatabaseError>> + Send,
) -> Result<T, DatabaseError> {
    let late = || DatabaseError::Failed("PostgreSQL does not answer in time".to_owned());
    tokio::time::timeout(2 * PATIENCE, work).await.map_err(|_| late())?
}

#[async_trait]
impl Tables for Postgres {
    async fn room(&self, room: &str) -> Result<Option<RoomRow>, DatabaseError> {
        in_time(async {
            let mut client = self.client().await?;
            // one snapshot for both questions
            let snapshot =
                client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start();
            let snapshot = snapshot.await?;
            let asked = snapshot.prepare_cached("SELECT title, state, attributes FROM rooms WHERE room = $1").await?;
            let Some(row) = snapshot.query_opt(&asked, &[&room]).await? else { return Ok(None) };
            let mut found = RoomRow {
                title: row.try_get(0)?,
                state: row.try_get(1)?,
                attributes: row.try_get(2)?,
                members: Vec::new(),
            };
            let asked = r#"SELECT firm, "user", host, groups FROM members WHERE room = $1 ORDER BY firm, "user""#;
            for row in snapshot.query(&snapshot.prepare_cached(asked).await?, &[&room]).await? {
                let (firm, user) = (row.try_get(0)?, row.try_get(1)?);
                found.members.push(MemberRow { firm, user, host: row.try_get(2)?, groups: row.try_get(3)? });
            }
            snapshot.commit().await?;
            Ok(Some(found))
        })
        .await
    }

    async fn journal(&self, since: i64) -> Result<Journal, DatabaseError> {
        in_time(async {
            let client = self.client().await?;
            let ends = "SELECT coalesce(min(serial), 1), coalesce(max(serial), 0) FROM changes";
            let ends = client.query_one(&client.prepare_cached(ends).await?, &[]).await?;
            let asked = "SELECT serial, room FROM changes WHERE serial > $1 ORDER BY serial LIMIT $2";
            let rows = client.query(&client.prepare_cached(asked).await?, &[&since, &PAGE]).await?;
            let since: Result<Vec<_>, _> = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect();
            let since = since.map_err(|error: tokio_postgres::Error| DatabaseError::from(error))?;
            Ok(Journal { first: ends.try_get(0)?, last: ends.try_get(1)?, since })
        })
        .await
    }

    async fn keep_notice(&self, room: &str, kind: &str, text: &str) -> Result<(), DatabaseError> {
        in_time(async {
            let asked = "INSERT INTO notices (room, kind, text) VALUES ($1, $2, $3)";
            self.client().await?.execute(asked, &[&room, &kind, &text]).await?;
            Ok(())
        })
        .await
    }

    async fn notices(&self, room: &str) -> Result<Vec<(String, String)>, DatabaseError> {
        in_time(async {
            let asked = "SELECT kind, text FROM notices WHERE room = $1 ORDER BY id";
            let rows = self.client().await?.query(asked, &[&room]).await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
        })
        .await
    }

    async fn plant(&self, rooms: Vec<SeedRoom>) -> Result<(), DatabaseError> {
        in_time(async {
            let mut client = self.client().await?;
            let change = client.transaction().await?;
            for seed in &rooms {
                let room = seed.room.as_str();
                change.execute("DELETE FROM members WHERE room = $1", &[&room]).await?;
                let asked =
                    "INSERT INTO rooms (room, title) VALUES ($1, $2) ON CONFLICT (room) DO UPDATE SET title = $2";
                change.execute(asked, &[&room, &seed.title]).await?;
                for member in &seed.members {
                    let (firm, user, groups) = (member.firm.as_str(), member.user.as_str(), member.groups());
                    let asked = "INSERT INTO members VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
                    change.execute(asked, &[&room, &firm, &user, &member.host, &groups]).await?;
                }
            }
            Ok(change.commit().await?)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        let config = PostgresConfig { url: url.to_owned(), password_file: None, ca: None };
        read(&config).err().expect("refused").to_string()
    }

    #[test]
    fn a_server_elsewhere_needs_tls_and_a_password_in_the_address_is_refused_and_not_repeated() {
        assert!(refused("postgresql://strongroom@10.0.0.9/strongroom").contains("`ca`"));
        let said = refused("postgresql://strongroom:hunter2@127.0.0.1/strongroom");
        assert!(said.contains("password_file") && !said.contains("hunter2"), "{said}");
        let here = PostgresConfig { url: "postgresql://a@127.0.0.1:1/b".to_owned(), password_file: None, ca: None };
        assert!(read(&here).is_ok());
    }
}

//! Asking an LDAP server: the whole directory, then every change as it happens where the server knows RFC 4533
//! (refreshAndPersist), else the whole again every two seconds. TLS is ours: the library sees a pair of local sockets.

use super::settings::Ldap as Settings;
use super::{Held, Key, MAX_PEOPLE};
use crate::app::App;
use crate::config::is_localhost_name;
use domain::UserId;
use ldap3::controls::{
    Control, ControlType, EntryState, RefreshMode, SyncInfo, SyncRequest, SyncState, parse_syncinfo,
};
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, ResultEntry, Scope, SearchEntry, StdStream};
use rustls_pki_types::ServerName;
use service::metrics::names::front as names;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsConnector;

/// Between two whole readings where the server tells no changes, and between two tries.
const AGAIN: Duration = Duration::from_secs(2);
/// A server answers within this; a whole directory comes entry by entry, each within it.
const ANSWER: Duration = Duration::from_secs(10);
/// While it has nothing to tell the server is asked so often whether it is there.
const PULSE: Duration = Duration::from_secs(2);

/// Why the directory was left, for the log.
#[derive(Debug, thiserror::Error)]
enum LdapFault {
    #[error("it cannot be reached: {0}")]
    Reach(String),
    #[error("it refused us or broke off: {0}")]
    Protocol(#[from] ldap3::LdapError),
    #[error("it does not answer")]
    Silent,
    #[error("it has more than {MAX_PEOPLE} people")]
    TooMany,
    #[error(transparent)]
    Held(#[from] Held),
}

/// Follows the directory for as long as the process runs.
pub async fn run(app: Arc<App>, settings: Settings) {
    loop {
        let (inner, own) = (app.clone(), settings.clone());
        // the library panics on some malformed answers: that ends one connection
        let ended = tokio::spawn(async move { follow(&inner, &own).await }).await;
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => {
                names::DIRECTORY_UP.set(0);
                tracing::error!("the people directory: {fault}; who was known stays for a bounded time");
            }
            Err(_) => {
                names::DIRECTORY_UP.set(0);
                tracing::error!("the people directory sent what cannot be read");
            }
        }
        sleep(AGAIN).await;
    }
}

/// One connection: until the whole was read, or for as long as changes are told.
async fn follow(app: &App, settings: &Settings) -> Result<(), LdapFault> {
    let mut ldap = timeout(ANSWER, connect(settings)).await.map_err(|_| LdapFault::Silent)??;
    let bound = ldap.with_timeout(ANSWER).simple_bind(&settings.bind_dn, settings.password()).await?;
    bound.success()?;
    let mut pulse = ldap.clone();
    let request = SyncRequest { mode: RefreshMode::RefreshAndPersist, cookie: None, reload_hint: false };
    let attributes = vec![settings.user.as_str()];
    let mut search = ldap
        .with_controls(request)
        .streaming_search(&settings.base, Scope::Subtree, &settings.filter, attributes)
        .await?;
    let mut reader = Reader { app, settings, seen: BTreeMap::new(), whole: false };
    let mut pulses = interval(PULSE);
    pulses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            entry = search.next() => match entry? {
                Some(entry) => reader.take(entry).await?,
                None => {
                    search.finish().await.success()?;
                    return reader.all().await;
                }
            },
            _ = pulses.tick() => {
                pulse.with_timeout(ANSWER).extended(ldap3::exop::WhoAmI).await?;
                if reader.whole {
                    app.directory(|people| people.alive(app.clock.now()));
                    names::DIRECTORY_UP.set(1);
                }
            }
        }
    }
}

async fn connect(settings: &Settings) -> Result<Ldap, LdapFault> {
    let reach = |e: &dyn std::fmt::Display| LdapFault::Reach(e.to_string());
    let (host, port, tls) = settings.server().ok_or_else(|| LdapFault::Reach("no address".to_owned()))?;
    // names under .localhost are this machine, whatever the resolver says
    let at = if is_localhost_name(host) { "127.0.0.1" } else { host };
    let tcp = TcpStream::connect((at, port)).await.map_err(|e| reach(&e))?;
    let (ours, theirs) = UnixStream::pair().map_err(|e| reach(&e))?;
    if let Some(config) = tls.then(|| settings.tls()).transpose().map_err(|e| reach(&e))? {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| reach(&e))?;
        let stream = TlsConnector::from(config).connect(name, tcp).await.map_err(|e| reach(&e))?;
        tokio::spawn(carry(stream, ours));
    } else {
        tokio::spawn(carry(tcp, ours));
    }
    let theirs = theirs.into_std().map_err(|e| reach(&e))?;
    let connection = LdapConnSettings::new().set_std_stream(StdStream::Unix(theirs));
    let (connection, ldap) = LdapConnAsync::with_settings(connection, "ldapi:///").await?;
    ldap3::drive!(connection);
    Ok(ldap)
}

/// Either end that goes takes the other along.
async fn carry(mut far: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, mut near: UnixStream) {
    let _ = tokio::io::copy_bidirectional(&mut far, &mut near).await;
}

struct Reader<'a> {
    app: &'a App,
    settings: &'a Settings,
    seen: BTreeMap<Key, UserId>,
    /// The whole was read; what comes now are changes.
    whole: bool,
}

impl Reader<'_> {
    async fn take(&mut self, entry: ResultEntry) -> Result<(), LdapFault> {
        if entry.is_ref() {
            return Ok(());
        }
        if entry.is_intermediate() {
            return match parse_syncinfo(entry) {
                SyncInfo::RefreshDelete { refresh_done: true, .. }
                | SyncInfo::RefreshPresent { refresh_done: true, .. } => self.all().await,
                SyncInfo::SyncIdSet { refresh_deletes: true, sync_uuids, .. } => {
                    for key in sync_uuids {
                        self.gone(&key).await?;
                    }
                    Ok(())
                }
                _ => Ok(()),
            };
        }
        let state = entry.1.iter().find_map(|Control(kind, raw)| match kind {
            Some(ControlType::SyncState) => Some(raw.parse::<SyncState>()),
            _ => None,
        });
        let parsed = SearchEntry::construct(entry);
        let key = state.as_ref().map_or_else(|| parsed.dn.clone().into_bytes(), |state| state.entry_uuid.clone());
        if state.is_some_and(|state| matches!(state.state, EntryState::Delete)) {
            return self.gone(&key).await;
        }
        let user = parsed.attrs.get(&self.settings.user).and_then(|values| values.first()?.parse::<UserId>().ok());
        // an entry whose name is no user id can neither enrol nor be in a meeting
        let Some(user) = user else { return if self.whole { self.gone(&key).await } else { Ok(()) } };
        if self.whole {
            let now = self.app.clock.now();
            let gone = self.app.directory(|people| people.came(now, key, user)).transpose()?.flatten();
            self.out(gone).await;
        } else if self.seen.len() < MAX_PEOPLE {
            self.seen.insert(key, user);
        } else {
            return Err(LdapFault::TooMany);
        }
        Ok(())
    }

    async fn all(&mut self) -> Result<(), LdapFault> {
        if self.whole {
            return Ok(());
        }
        let (now, seen) = (self.app.clock.now(), std::mem::take(&mut self.seen));
        let count = seen.len();
        let gone = self.app.directory(|people| people.all(now, seen)).transpose()?;
        self.whole = true;
        names::DIRECTORY_UP.set(1);
        tracing::debug!(people = count, "the people directory was read");
        self.out(gone.into_iter().flatten()).await;
        Ok(())
    }

    async fn gone(&mut self, key: &Key) -> Result<(), LdapFault> {
        let now = self.app.clock.now();
        let gone = self.app.directory(|people| people.gone(now, key)).transpose()?.flatten();
        self.out(gone).await;
        Ok(())
    }

    async fn out(&self, gone: impl IntoIterator<Item = UserId>) {
        for user in gone {
            // custody that does not answer is in this front's readiness; the certificate ends by itself within half a day
            if let Err(error) = self.app.leavers.out(self.app, user).await {
                tracing::error!("somebody left, and the certificates could not be ended: {error}");
            }
        }
    }
}

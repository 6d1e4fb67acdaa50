//! Everything a running front holds, and how it is put together from its configuration.

use crate::admin::Desk;
use crate::clock::Clock;
use crate::config::{Config, Loaded};
use crate::directory::People;
use crate::export::Exports;
use crate::http::headers::security_headers;
use crate::http::pages::Pages;
use crate::idp::DevelopmentIdp;
use crate::leavers::Leavers;
use crate::oidc::RelyingParty;
use crate::replay::grants::Grants;
use crate::replay::memory::Memory;
use crate::replay::reel::Means;
use crate::review::acts::Acts;
use crate::review::away::Away;
use crate::review::chain::Chain;
use crate::review::known::Known;
use crate::review::meetings::Meetings;
use crate::review::requests::Requests;
use crate::review::retention::Retention;
use crate::rooms::Rooms;
use crate::session::Sessions;
use axum::http::{HeaderName, HeaderValue};
use domain::{UnixMillis, UserId};
use evidence::identity::TrustMap;
use evidence::key::PublicKey;
use recorder_store::StoreConfig;
use service::config::{ConfigError, bytes};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

/// Password hashes computed at once: each keeps a core busy for a third of a second.
const LOGINS_AT_ONCE: usize = 2;
/// Parts of meetings opened at once: each takes all cores, and its ciphertext and clear form in memory.
const OPENINGS_AT_ONCE: usize = 1;

/// A running front.
pub struct App {
    /// As configured.
    pub config: Config,
    /// The trust map.
    pub trust: TrustMap,
    /// Headers of every answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Built pages.
    pub pages: Pages,
    /// Time.
    pub clock: Clock,
    /// Sessions of certified people.
    pub sessions: Sessions,
    /// The development identity provider, where there is one.
    pub idp: Option<DevelopmentIdp>,
    /// The firm's own identity provider, where it is another.
    pub oidc: Option<RelyingParty>,
    /// Who is in the firm's people directory, where one is configured.
    people_directory: Option<Mutex<People>>,
    /// Ends certificates.
    pub leavers: Leavers,
    /// Rooms for the list.
    pub rooms: Rooms,
    /// Token *people*.
    pub people: custody::Client,
    /// Token *archive*.
    pub archive: custody::Client,
    /// Further archive tokens: asked to open probes alone.
    pub further_archives: Vec<custody::Client>,
    /// When each archive key last opened a probe.
    pub probes: Mutex<custody::probe::Probes>,
    /// Archived meetings.
    pub meetings: Meetings,
    /// Replay requests.
    pub requests: Requests,
    /// Open grants.
    pub grants: Grants,
    /// Exports.
    pub exports: Exports,
    /// Memory and places for opening meetings.
    pub means: Means,
    /// How far the ledger's chain was verified.
    pub ledger: Chain,
    /// What is known of the ledger's entries about supervision and openings.
    pub known: Known,
    /// What officers signed while supervising.
    pub acts: Acts,
    /// Acts of retention, and the recorder's books.
    pub retention: Retention,
    /// One act at a time.
    pub acting: tokio::sync::Mutex<()>,
    /// What administrators work on.
    pub desk: Desk,
    /// Places for password hashing.
    pub logins: Semaphore,
}

impl App {
    /// Puts a front together; reads pages, users, key, statements and requests.
    ///
    /// # Errors
    /// [`ConfigError`] naming file and key.
    pub fn new(file: &Path, loaded: Loaded, clock: Clock) -> Result<Self, ConfigError> {
        let Loaded { config, trust } = loaded;
        let value = |key, detail: String| service::config::value(file, key, detail);
        let own =
            trust.firm(&config.firm).ok_or_else(|| value("trust", "the firm is not in the trust map.".to_owned()))?;
        let record_key = PublicKey::from_spki(&own.record_key).map_err(|_| {
            value("trust", "the firm's record key is no P-256 key. Make the trust map anew.".to_owned())
        })?;
        let ledger_key = PublicKey::from_spki(&own.ledger_key).map_err(|_| {
            value("trust", "the firm's ledger key is no P-256 key. Make the trust map anew.".to_owned())
        })?;
        let pages = Pages::read(&config.pages).map_err(|detail| value("pages", detail))?;
        let idp = development_idp(file, &config)?;
        let oidc = config.oidc.as_ref().map(|oidc| RelyingParty::new(oidc, &config.client_id, &config.origin));
        let oidc = oidc.transpose().map_err(|detail| value("oidc", detail))?;
        let rooms = Rooms::read(file, &config, &trust)?;
        let no_folder = |folder: &str, e: std::io::Error| {
            let at = config.archive.display();
            value("archive", format!("cannot use the folder {folder}/ in {at}: {e}. Make {at} writable for this user."))
        };
        let requests =
            Requests::open(&config.archive, config.firm.clone(), &trust).map_err(|e| no_folder("review", e))?;
        let acts =
            Acts::open(&config.archive, config.firm.clone(), trust.clone()).map_err(|e| no_folder("supervision", e))?;
        let desk = Desk::open(&config.administration, &config.archive, &config.firm)
            .map_err(|detail| value("administration", detail))?;
        let retention =
            Retention::open(&config.archive, config.firm.clone(), trust.clone()).map_err(|e| no_folder("acts", e))?;
        Ok(Self {
            headers: security_headers(&config),
            pages,
            clock,
            sessions: Sessions::default(),
            idp,
            oidc,
            people_directory: config.ldap.as_ref().map(|ldap| Mutex::new(People::new(ldap.stale_s * 1000))),
            leavers: Leavers::default(),
            rooms,
            people: custody::Client::new(&config.custody.people),
            archive: custody::Client::new(&config.custody.archive),
            further_archives: config.custody.further_archives.iter().map(custody::Client::new).collect(),
            probes: Mutex::new(custody::probe::Probes::of(&own.archive_keys)),
            meetings: Meetings::new(&config.archive, config.firm.clone(), record_key)
                .paired_with(config.paired_archive.as_deref())
                .with_stores(
                    stores(file, "stores", &config.stores)?,
                    stores(file, "paired_stores", &config.paired_stores)?,
                ),
            requests,
            grants: Grants::default(),
            exports: Exports::new(&config.exports),
            means: Means {
                memory: Memory::new(config.memory_mib),
                openings: Arc::new(Semaphore::new(OPENINGS_AT_ONCE)),
            },
            ledger: Chain::new(config.firm.clone(), ledger_key.clone()),
            known: Known::new(config.firm.clone(), ledger_key),
            acts,
            retention,
            acting: tokio::sync::Mutex::default(),
            desk,
            logins: Semaphore::new(LOGINS_AT_ONCE),
            config,
            trust,
        })
    }

    /// The person behind a login at whichever provider there is.
    pub fn login_user(&self, session: &str, now: UnixMillis) -> Option<UserId> {
        let development = self.idp.as_ref().and_then(|idp| idp.session_user(session, now));
        development.or_else(|| self.oidc.as_ref()?.session_user(session, now))
    }

    /// Asks or tells the people directory, where there is one.
    pub fn directory<T>(&self, with: impl FnOnce(&mut People) -> T) -> Option<T> {
        let people = self.people_directory.as_ref()?;
        Some(with(&mut people.lock().expect("nothing panics while it is held")))
    }

    /// What the pages must say about this installation.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.idp.is_some() {
            warnings.push("Development identity provider: not for production.".to_owned());
        }
        if self.config.tls.is_none() {
            warnings.push("Demo archive, not WORM.".to_owned());
        }
        warnings
    }
}

/// Stores that are read through. Dates are the recorder's business: nothing is locked from here.
fn stores(file: &Path, key: &'static str, named: &[StoreConfig]) -> Result<Away, ConfigError> {
    let folder = service::config::folder(file);
    let open = recorder_store::config::open(named, &folder, || UnixMillis(0));
    let open = open.map_err(|detail| service::config::value(file, key, detail))?;
    Ok(Away::new(open.into_iter().map(|one| one.store).collect()))
}

fn development_idp(file: &Path, config: &Config) -> Result<Option<DevelopmentIdp>, ConfigError> {
    let Some(idp) = &config.development_idp else { return Ok(None) };
    let value = |key, detail: String| service::config::value(file, key, detail);
    let users = bytes(file, "development_idp.users", &idp.users)?;
    let key = String::from_utf8(bytes(file, "development_idp.key", &idp.key)?)
        .map_err(|_| value("development_idp.key", format!("{} is not PEM.", idp.key.display())))?;
    let provider = DevelopmentIdp::new(&users, &key, config.issuer(), config.client_id.clone())
        .map_err(|detail| value("development_idp", detail))?;
    Ok(Some(provider))
}

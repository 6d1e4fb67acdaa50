//! Configuration of a firm's front. Relative paths count from the configuration file's folder.

use crate::admin::settings::Administration;
use crate::directory::settings::Ldap;
use domain::FirmId;
use evidence::identity::TrustMap;
use recorder_store::StoreConfig;
use serde::Deserialize;
use service::config::{ConfigError, bytes, value};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Everything a front is told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose front.
    pub firm: FirmId,
    /// The firm's name for people.
    pub name: String,
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Address of the pages as browsers see it, `http://bank-a.localhost:8441`.
    pub origin: String,
    /// Signaling, `ws://` or `wss://` with path.
    pub signaling: String,
    /// Trust map, JSON.
    pub trust: PathBuf,
    /// Sockets of the token processes.
    pub custody: CustodySockets,
    /// The archive that the firm's recorders write.
    pub archive: PathBuf,
    /// The archive that the second of two paired recorders writes: replays and bundles join both copies of a meeting.
    pub paired_archive: Option<PathBuf>,
    /// The stores of the archive, as in `recorder.toml`: tracks that are there alone are read through. Reading suffices.
    #[serde(default)]
    pub stores: Vec<StoreConfig>,
    /// The stores of the paired archive.
    #[serde(default)]
    pub paired_stores: Vec<StoreConfig>,
    /// The built pages.
    pub pages: PathBuf,
    /// The exporter's program; without it exports are refused.
    pub export: Option<PathBuf>,
    /// Where finished exports are kept until fetched: memory, never a disk, by default.
    #[serde(default = "default_exports")]
    pub exports: PathBuf,
    /// Memory for clear meetings, MiB: open replays and exports together. What does not fit is refused.
    #[serde(default = "default_memory")]
    pub memory_mib: u32,
    /// Signed statements (`<firm>.<room>.cose`), for the rooms list.
    pub statements: Option<PathBuf>,
    /// The embedded directory's seed, for titles and members of the rooms list.
    pub rooms: Option<PathBuf>,
    /// OIDC client id, also the audience of ID tokens.
    #[serde(default = "default_client_id")]
    pub client_id: String,
    /// An outside identity provider; exactly one of this and `development_idp`.
    pub oidc: Option<Oidc>,
    /// The firm's people directory: who is in it may enrol, who goes from it is out.
    pub ldap: Option<Ldap>,
    /// The development identity provider inside this front; never for production.
    pub development_idp: Option<DevelopmentIdp>,
    /// TLS; without it `listen` must be a loopback address.
    pub tls: Option<Tls>,
    /// What people see of the openings of meetings in which they were.
    #[serde(default)]
    pub opened: Opened,
    /// What administrators' pages work with.
    #[serde(default)]
    pub administration: Administration,
    /// How operators see it.
    #[serde(default)]
    pub operations: service::operations::Settings,
}

/// What a person may see of the openings of meetings in which he or she was ("who replayed me"). An inquiry must not warn
/// whom it is about: what is not said otherwise is a month late and names neither officer nor case.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Opened {
    /// How much.
    pub show: Show,
    /// Only openings that took place so many days ago.
    pub after_days: u32,
}

impl Default for Opened {
    fn default() -> Self {
        Self { show: Show::When, after_days: 30 }
    }
}

/// How much is shown of an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Show {
    /// Nothing.
    Nothing,
    /// Which meeting, and when.
    When,
    /// Also for which case.
    Case,
    /// Also by whom.
    Officer,
}

/// Sockets of the token processes this front talks to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustodySockets {
    /// Token *people*.
    pub people: PathBuf,
    /// Token *archive*.
    pub archive: PathBuf,
    /// Further archive tokens (a second module, a designated third party's): asked to open probes, nothing else.
    #[serde(default)]
    pub further_archives: Vec<PathBuf>,
}

/// An outside identity provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// Issuer address, exactly as the provider writes it.
    pub issuer: String,
    /// File with the client's secret, mode 0600; without it the front is a public client.
    pub client_secret_file: Option<PathBuf>,
    /// Root that the provider's certificate is judged by, PEM; without it the usual ones.
    pub ca_file: Option<PathBuf>,
    /// Scopes asked for.
    #[serde(default = "default_scope")]
    pub scope: String,
    /// Algorithms that are taken, and what the provider calls users and roles.
    #[serde(default)]
    pub claims: custody::id_token::Claims,
}

/// The development identity provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DevelopmentIdp {
    /// Users with salted password hashes (`strongroom-front hash-users`).
    pub users: PathBuf,
    /// Signing key, PKCS#8 PEM, P-256 (`strongroom-front idp-key`).
    pub key: PathBuf,
}

/// Server certificate.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Chain, PEM.
    pub certificate: PathBuf,
    /// Key, PEM.
    pub key: PathBuf,
}

fn default_scope() -> String {
    "openid profile".to_owned()
}

fn default_exports() -> PathBuf {
    PathBuf::from("/dev/shm")
}

/// One hour of three people in 720p, opened and exported, with room for a second officer.
fn default_memory() -> u32 {
    6 * 1024
}

fn default_client_id() -> String {
    "strongroom-page".to_owned()
}

/// Configuration with what it names read and judged.
pub struct Loaded {
    /// As configured, paths made absolute.
    pub config: Config,
    /// The trust map.
    pub trust: TrustMap,
}

/// Reads `file` with the overrides among `environment`.
///
/// # Errors
/// [`ConfigError`] naming file and key.
pub fn load(file: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Loaded, ConfigError> {
    let mut config: Config = service::config::read(file, environment)?;
    config.absolute(&service::config::folder(file));
    config.judge(file)?;
    config.operations.settle(file)?;
    config.administration.settle(file)?;
    if let Some(ldap) = &mut config.ldap {
        ldap.settle(file)?;
    }
    let trust: TrustMap = serde_json::from_slice(&bytes(file, "trust", &config.trust)?)
        .map_err(|e| value(file, "trust", format!("{} is no trust map: {e}", config.trust.display())))?;
    if trust.firm(&config.firm).is_none() {
        let detail = format!(
            "{} does not know the firm {}. Take the trust map that lists it.",
            config.trust.display(),
            config.firm
        );
        return Err(value(file, "trust", detail));
    }
    if !config.pages.join("index.html").is_file() {
        let detail = format!("{} has no index.html. Build the pages first.", config.pages.display());
        return Err(value(file, "pages", detail));
    }
    Ok(Loaded { config, trust })
}

impl Config {
    fn absolute(&mut self, folder: &Path) {
        let required = [
            &mut self.trust,
            &mut self.custody.people,
            &mut self.custody.archive,
            &mut self.archive,
            &mut self.pages,
            &mut self.exports,
        ];
        let optional =
            [&mut self.export, &mut self.statements, &mut self.rooms, &mut self.paired_archive].into_iter().flatten();
        let idp = self.development_idp.iter_mut().flat_map(|idp| [&mut idp.users, &mut idp.key]);
        let oidc = self.oidc.iter_mut().flat_map(|oidc| [&mut oidc.client_secret_file, &mut oidc.ca_file]).flatten();
        let ldap = self.ldap.iter_mut();
        let ldap = ldap.flat_map(|ldap| ldap.ca_file.iter_mut().chain([&mut ldap.password_file]));
        let tls = self.tls.iter_mut().flat_map(|tls| [&mut tls.certificate, &mut tls.key]);
        let further = self.custody.further_archives.iter_mut();
        for path in required.into_iter().chain(optional).chain(idp).chain(oidc).chain(ldap).chain(tls).chain(further) {
            *path = folder.join(&*path);
        }
    }

    fn judge(&self, file: &Path) -> Result<(), ConfigError> {
        let scheme = if self.tls.is_some() { "https://" } else { "http://" };
        let Some(host) = self.origin.strip_prefix(scheme).filter(|host| !host.is_empty() && !host.contains('/')) else {
            let detail = format!(
                "`{}` must be {scheme}HOST:PORT without a path{}",
                self.origin,
                if self.tls.is_some() { "." } else { "; https needs the table [tls]." }
            );
            return Err(value(file, "origin", detail));
        };
        if self.tls.is_none() {
            if !self.listen.ip().is_loopback() {
                let detail = format!(
                    "{} is not a loopback address: plain HTTP is for one machine only. Listen on 127.0.0.1 or add the table [tls].",
                    self.listen
                );
                return Err(value(file, "listen", detail));
            }
            if !is_localhost_name(host) {
                let detail = format!(
                    "plain HTTP is served on names under .localhost only, not on {host}. Use NAME.localhost:PORT or add the table [tls]."
                );
                return Err(value(file, "origin", detail));
            }
        }
        let secure = self.signaling.starts_with("wss://");
        let local =
            self.signaling.strip_prefix("ws://").and_then(|rest| rest.split('/').next()).is_some_and(is_localhost_name);
        // the address goes into a header: nothing in it may end a directive
        let clean = self.signaling.bytes().all(|b| b.is_ascii_graphic() && !b";,'\"".contains(&b));
        if !(secure || local) || !clean {
            let detail = format!("`{}` must be wss://HOST/PATH, or ws:// on a name under .localhost.", self.signaling);
            return Err(value(file, "signaling", detail));
        }
        match (&self.oidc, &self.development_idp) {
            (None, None) => Err(value(
                file,
                "development_idp",
                "no identity provider: give the table [oidc] (or [development_idp] on a developer's machine)."
                    .to_owned(),
            )),
            (Some(_), Some(_)) => Err(value(
                file,
                "development_idp",
                "two identity providers: remove [oidc] or [development_idp].".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// Host (with port) of [`Config::origin`].
    pub fn host(&self) -> &str {
        self.origin.split("://").nth(1).unwrap_or_default()
    }

    /// Issuer of ID tokens.
    pub fn issuer(&self) -> String {
        self.oidc.as_ref().map_or_else(|| format!("{}/idp", self.origin), |oidc| oidc.issuer.clone())
    }
}

/// Is `host` (with or without port) a name under `.localhost`, which every resolver keeps on this machine (RFC 6761)?
pub fn is_localhost_name(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.strip_suffix(".localhost").is_some_and(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(extra: &str) -> String {
        format!(
            "firm='bank-a'\nname='Bank A'\nlisten='127.0.0.1:8441'\norigin='http://bank-a.localhost:8441'\n\
             signaling='ws://signaling.localhost:8440/v1/meet'\ntrust='trust.json'\narchive='archive'\npages='pages'\n{extra}\n\
             [custody]\npeople='p.sock'\narchive='a.sock'\n[development_idp]\nusers='u.json'\nkey='k.pem'\n"
        )
    }

    fn error_of(text: &str, environment: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("front.toml");
        std::fs::write(&file, text).expect("written");
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        load(&file, environment).err().expect("refused").to_string()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_file() {
        let said = error_of(&text("colour='red'"), &[]);
        assert!(said.contains("front.toml") && said.contains("colour"), "{said}");
    }

    #[test]
    fn the_documented_sample_is_good() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/deploy/config/front.toml");
        let mut sample: Config = service::config::read(&file, std::iter::empty()).expect("every key is known");
        sample.judge(&file).expect("good");
        sample.operations.settle(&file).expect("good");
    }

    #[test]
    fn an_override_of_an_unknown_key_is_named_too() {
        let said = error_of(&text(""), &[("STRONGROOM__CUSTODY__COLOUR", "red")]);
        assert!(said.contains("colour"), "{said}");
    }

    #[test]
    fn plain_http_beyond_loopback_is_refused() {
        let said = error_of(&text("").replace("127.0.0.1:8441", "0.0.0.0:8441"), &[]);
        assert!(said.contains("listen") && said.contains("[tls]"), "{said}");
        let said = error_of(&text("").replace("http://bank-a.localhost", "http://bank-a.example"), &[]);
        assert!(said.contains("origin"), "{said}");
    }

    #[test]
    fn a_signaling_address_cannot_carry_a_csp_directive() {
        let said = error_of(&text("").replace("ws://signaling.localhost:8440/v1/meet", "wss://x/; script-src *"), &[]);
        assert!(said.contains("signaling"), "{said}");
    }

    #[test]
    fn an_override_wins_and_a_missing_file_names_its_key() {
        let said = error_of(&text(""), &[("STRONGROOM__TRUST", "elsewhere.json")]);
        assert!(said.contains("trust") && said.contains("elsewhere.json"), "{said}");
    }
}

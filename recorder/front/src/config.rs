//! Configuration of a firm's front: one TOML file, `STRONGROOM__A__B` overrides, and errors that name file, key and
//! what to do. Relative paths count from the configuration file's folder.

use domain::FirmId;
use evidence::identity::TrustMap;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Why the configuration cannot be used; always the caller's to correct.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file, or one it names, is not readable.
    #[error("{file}: {key}: cannot read {path}: {cause}. Correct the path or its permissions.", file = file.display(), path = path.display())]
    Unreadable {
        /// Configuration file.
        file: PathBuf,
        /// Key that names the path (`file` for the configuration itself).
        key: &'static str,
        /// What could not be read.
        path: PathBuf,
        /// By the system.
        cause: String,
    },
    /// Not TOML, an unknown key, a missing key or a wrong type.
    #[error("{file}: {detail}. Remove or correct this key.", file = file.display())]
    Malformed {
        /// Configuration file.
        file: PathBuf,
        /// Names key and place.
        detail: String,
    },
    /// A value that cannot be.
    #[error("{file}: {key}: {detail}", file = file.display())]
    Value {
        /// Configuration file.
        file: PathBuf,
        /// Which key.
        key: &'static str,
        /// What is wrong and what to do.
        detail: String,
    },
}

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
    /// The built pages.
    pub pages: PathBuf,
    /// The exporter's program; without it exports are refused.
    pub export: Option<PathBuf>,
    /// Where finished exports are kept until fetched: memory, never a disk, by default.
    #[serde(default = "default_exports")]
    pub exports: PathBuf,
    /// Signed statements (`<firm>.<room>.cose`), for the rooms list.
    pub statements: Option<PathBuf>,
    /// The embedded directory's seed, for titles and members of the rooms list.
    pub rooms: Option<PathBuf>,
    /// OIDC client id, also the audience of ID tokens.
    #[serde(default = "default_client_id")]
    pub client_id: String,
    /// An outside identity provider; exactly one of this and `development_idp`.
    pub oidc: Option<Oidc>,
    /// The development identity provider inside this front; never for production.
    pub development_idp: Option<DevelopmentIdp>,
    /// TLS; without it `listen` must be a loopback address.
    pub tls: Option<Tls>,
}

/// Sockets of the token processes this front talks to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustodySockets {
    /// Token *people*.
    pub people: PathBuf,
    /// Token *archive*.
    pub archive: PathBuf,
}

/// An outside identity provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// Issuer address.
    pub issuer: String,
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

fn default_exports() -> PathBuf {
    PathBuf::from("/dev/shm")
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
pub fn load(file: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Loaded, ConfigError> {
    let text = read(file, "file", file)?;
    let text = String::from_utf8(text)
        .map_err(|_| ConfigError::Malformed { file: file.to_owned(), detail: "the file is not UTF-8".to_owned() })?;
    let malformed = |detail: String| ConfigError::Malformed { file: file.to_owned(), detail };
    let mut table: toml::Table = toml::from_str(&text).map_err(|e| malformed(one_line(&e.to_string())))?;
    for (name, value) in environment {
        if let Some(path) = name.strip_prefix("STRONGROOM__") {
            set(&mut table, &path.to_ascii_lowercase().split("__").collect::<Vec<_>>(), &value)
                .map_err(|key| malformed(format!("environment {name}: `{key}` is not a table")))?;
        }
    }
    let mut config: Config = table.try_into().map_err(|e: toml::de::Error| malformed(one_line(&e.to_string())))?;
    let folder = file.parent().unwrap_or(Path::new(".")).to_owned();
    config.absolute(&folder);
    config.judge(file)?;
    let trust: TrustMap = serde_json::from_slice(&read(file, "trust", &config.trust)?)
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

fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
        .trim_end_matches('.')
        .to_owned()
}

fn value(file: &Path, key: &'static str, detail: String) -> ConfigError {
    ConfigError::Value { file: file.to_owned(), key, detail }
}

/// Reads a file that `key` of `file` names.
pub fn read(file: &Path, key: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|e| ConfigError::Unreadable {
        file: file.to_owned(),
        key,
        path: path.to_owned(),
        cause: e.to_string(),
    })
}

/// Sets `path` in `table`; a value that is no TOML scalar is taken as text. On failure names the part that is no table.
fn set(table: &mut toml::Table, path: &[&str], text: &str) -> Result<(), String> {
    let [first, rest @ ..] = path else { return Ok(()) };
    if rest.is_empty() {
        let scalar = toml::from_str::<toml::Table>(&format!("v = {text}")).ok().and_then(|mut t| t.remove("v"));
        table.insert((*first).to_owned(), scalar.unwrap_or_else(|| toml::Value::String(text.to_owned())));
        return Ok(());
    }
    let inner = table.entry((*first).to_owned()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
    set(inner.as_table_mut().ok_or_else(|| (*first).to_owned())?, rest, text)
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
        let optional = [&mut self.export, &mut self.statements, &mut self.rooms].into_iter().flatten();
        let idp = self.development_idp.iter_mut().flat_map(|idp| [&mut idp.users, &mut idp.key]);
        let tls = self.tls.iter_mut().flat_map(|tls| [&mut tls.certificate, &mut tls.key]);
        for path in required.into_iter().chain(optional).chain(idp).chain(tls) {
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

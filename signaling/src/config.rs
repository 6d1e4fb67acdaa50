//! Configuration: one TOML file. An unknown key is an error that names it; `STRONGROOM__A__B` overrides key `b` of table
//! `a`; relative paths are taken from the folder of the file.

use crate::failure::{Failure, config};
use serde::Deserialize;
use signaling_store::database::PostgresConfig;
use signaling_store::matrix::MatrixConfig;
use signaling_store::symphony::SymphonyConfig;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where participants connect.
    pub listen: SocketAddr,
    /// Origins of the firms' fronts; a browser page of another origin is refused.
    pub origins: Vec<String>,
    /// TLS of `listen`; without it `listen` must be loopback.
    pub tls: Option<Tls>,
    /// The control link's listener.
    pub control: Control,
    /// Trust map (JSON).
    pub trust: PathBuf,
    /// Order key of the delivery service (PKCS#8 PEM, P-256).
    pub order_key: PathBuf,
    /// Folder of signed statements.
    pub statements: PathBuf,
    /// Folder of the firms' lists of ended certificates, which this process writes; made if it is missing.
    #[serde(default = "revocations")]
    pub revocations: PathBuf,
    /// Where rooms live.
    pub directory: Directory,
    /// Where it keeps what it must not forget.
    #[serde(default)]
    pub store: Store,
    /// TURN servers for networks that let no UDP through; none by default.
    pub relays: Option<Relays>,
    /// What programs may ask; off by default.
    pub rest: Option<crate::rest::config::Settings>,
    /// How operators see it.
    #[serde(default)]
    pub operations: service::operations::Settings,
}

/// TURN servers that share a secret with us (coturn's `use-auth-secret`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relays {
    /// `turn:host:port?transport=udp`, `turn:host:port?transport=tcp`, `turns:host:port`.
    pub urls: Vec<String>,
    /// File with the shared secret.
    pub secret_file: PathBuf,
}

/// Certificate and key of a listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Chain, PEM.
    pub certificate: PathBuf,
    /// Key, PEM.
    pub key: PathBuf,
}

/// Where SFUs connect, by mutual TLS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Address.
    pub listen: SocketAddr,
    /// Chain, PEM.
    pub certificate: PathBuf,
    /// Key, PEM.
    pub key: PathBuf,
    /// The operator's CA: an SFU's certificate must be signed by it.
    pub client_ca: PathBuf,
}

/// Where rooms live: exactly one of `path`, `postgres`, `matrix` and `symphony`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// Our own rooms in a SQLite database; made if it is missing.
    pub path: Option<PathBuf>,
    /// Our own rooms in PostgreSQL.
    pub postgres: Option<PostgresConfig>,
    /// Rooms of a Matrix homeserver.
    pub matrix: Option<MatrixConfig>,
    /// Rooms of a Symphony pod.
    pub symphony: Option<SymphonyConfig>,
    /// Rooms and members to write into our own rooms at start (JSON).
    pub seed: Option<PathBuf>,
}

/// Where signaling keeps what it must not forget: `path` or `postgres`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// A SQLite database, made if it is missing; `signaling.db` where nothing is said.
    pub path: Option<PathBuf>,
    /// A PostgreSQL database, which may be the one of the rooms.
    pub postgres: Option<PostgresConfig>,
}

/// The SQLite database where nothing is said.
pub const STORE: &str = "signaling.db";

fn revocations() -> PathBuf {
    PathBuf::from("revocations")
}

/// Reads the file, then the environment.
pub fn read(path: &Path) -> Result<Config, Failure> {
    read_with(path, service::config::environment())
}

fn read_with(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Config, Failure> {
    let mut parsed: Config = service::config::read(path, environment).map_err(|error| config(error.to_string()))?;
    parsed.rebase(&service::config::folder(path));
    parsed.check(path)?;
    parsed.operations.settle(path)?;
    Ok(parsed)
}

impl Config {
    fn rebase(&mut self, folder: &Path) {
        let control = [&mut self.control.certificate, &mut self.control.key, &mut self.control.client_ca];
        let tls = self.tls.iter_mut().flat_map(|tls| [&mut tls.certificate, &mut tls.key]);
        let own = [&mut self.trust, &mut self.order_key, &mut self.statements, &mut self.revocations];
        let directory = &mut self.directory;
        directory.postgres.iter_mut().for_each(|postgres| postgres.rebase(folder));
        directory.matrix.iter_mut().for_each(|matrix| matrix.rebase(folder));
        directory.symphony.iter_mut().for_each(|symphony| symphony.rebase(folder));
        let store = &mut self.store;
        match &mut store.postgres {
            Some(postgres) => postgres.rebase(folder),
            None => store.path = store.path.take().or(Some(STORE.into())),
        }
        let all = control.into_iter().chain(tls).chain(own).chain(&mut directory.path).chain(&mut directory.seed);
        let all = all.chain(&mut store.path);
        let all = all.chain(self.relays.as_mut().map(|relays| &mut relays.secret_file));
        all.for_each(|path| *path = folder.join(&*path));
        if let Some(rest) = &mut self.rest {
            rest.rebase(folder);
        }
    }

    fn check(&self, path: &Path) -> Result<(), Failure> {
        let shown = path.display();
        if self.tls.is_none() && !self.listen.ip().is_loopback() {
            return Err(config(format!(
                "{shown}: without [tls] `listen` must be a loopback address, not {}; add [tls] certificate and key",
                self.listen
            )));
        }
        if self.origins.is_empty() {
            return Err(config(format!("{shown}: `origins` is empty; list the addresses of the firms' fronts")));
        }
        if let Some(why) = self.rest.as_ref().and_then(|rest| rest.check().err()) {
            return Err(config(format!("{shown}: {why}")));
        }
        for origin in &self.origins {
            let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if rest.is_none_or(|rest| rest.is_empty() || rest.contains('/')) {
                return Err(config(format!(
                    "{shown}: `origins` has {origin:?}; an origin is http(s)://host[:port], without a path"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"listen = "127.0.0.1:0"
origins = ["http://bank-a.localhost:8441"]
trust = "trust.json"
order_key = "order.pem"
statements = "statements"
[control]
listen = "127.0.0.1:0"
certificate = "c.pem"
key = "k.pem"
client_ca = "ca.pem"
[directory]
path = "rooms.db"
"#;

    fn read_text(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("signaling.toml");
        std::fs::write(&file, text).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        read_with(&file, environment).map_err(|failure| failure.to_string())
    }

    #[test]
    fn an_unknown_key_is_named_with_its_file() {
        let said = read_text(&GOOD.replace("[control]", "colour = 1\n[control]"), &[]).unwrap_err();
        assert!(said.contains("colour") && said.contains("signaling.toml"), "{said}");
        let said = read_text(&GOOD.replace("[directory]", "[directory]\nshade = 1"), &[]).unwrap_err();
        assert!(said.contains("shade"), "{said}");
    }

    #[test]
    fn the_environment_overrides_and_its_unknown_keys_are_named_too() {
        let read = read_text(GOOD, &[("STRONGROOM__CONTROL__LISTEN", "127.0.0.1:9")]).unwrap();
        assert_eq!(read.control.listen.port(), 9);
        let said = read_text(GOOD, &[("STRONGROOM__CONTROL__COLOUR", "red")]).unwrap_err();
        assert!(said.contains("colour"), "{said}");
    }

    #[test]
    fn the_documented_sample_is_good() {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy/config/signaling.toml");
        assert!(read_with(&sample, std::iter::empty()).is_ok_and(|sample| sample.operations.security.is_some()));
    }

    #[test]
    fn plain_http_is_served_on_loopback_only() {
        let said = read_text(&GOOD.replacen("127.0.0.1:0", "0.0.0.0:80", 1), &[]).unwrap_err();
        assert!(said.contains("loopback"), "{said}");
    }

    #[test]
    fn an_origin_is_no_address_of_a_page() {
        let said = read_text(&GOOD.replace("8441", "8441/call"), &[]).unwrap_err();
        assert!(said.contains("origin"), "{said}");
    }
}

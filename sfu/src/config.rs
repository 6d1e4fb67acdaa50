//! `sfu.toml`: read, overridden by `STRONGROOM__A__B` from the environment, and judged before anything is opened.

use crate::shards::MAX_SHARDS;
use serde::Deserialize;
use service::config::ConfigError;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// The whole file. Relative paths are relative to the file's folder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of this node towards signaling and in logs.
    pub node: String,
    /// Region it stands in, as firms' statements name regions; a meeting whose statements name any runs only where it is
    /// said. Absent: not said.
    #[serde(default)]
    pub region: Option<String>,
    /// Control link.
    pub control: Control,
    /// Record link.
    pub record: Record,
    /// UDP port of the first shard's media; every further shard takes the next. 0: any free ones.
    pub udp_port: u16,
    /// TCP port of all shards' media, for networks that let no UDP out; 443 passes most of them. Absent: no TCP. 0: a free
    /// one.
    pub tcp_port: Option<u16>,
    /// Shards: threads that carry media, each pinned to a processor. 0: one for each processor this process may use.
    #[serde(default)]
    pub shards: usize,
    /// Local addresses to bind; empty: all of the machine.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// How operators see it.
    #[serde(default)]
    pub operations: service::operations::Settings,
    /// Processors the shards are pinned to, in order; empty: those this process may use, from the last.
    #[serde(default)]
    pub cores: Vec<usize>,
}

/// Control link: we dial.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// `wss://host:port/v1/sfu`.
    pub url: String,
    /// Operator CA, PEM.
    pub ca: PathBuf,
    /// Our certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// Record link: recorders dial us.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Where we listen.
    pub listen: SocketAddr,
    /// `host:port` that recorders are told.
    pub advertise: String,
    /// TLS server name that recorders are told.
    pub server_name: String,
    /// Our certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

impl Config {
    /// Reads and judges a file under the environment of this process.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        Self::load_with(file, service::config::environment())
    }

    /// ... under a given environment.
    pub fn load_with(file: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut config: Self = service::config::read(file, environment)?;
        let folder = service::config::folder(file);
        for path in config.paths() {
            *path = folder.join(&*path);
        }
        config.judge(file)?;
        config.operations.settle(file)?;
        Ok(config)
    }

    fn paths(&mut self) -> [&mut PathBuf; 5] {
        let (control, record) = (&mut self.control, &mut self.record);
        [&mut control.ca, &mut control.certificate, &mut control.key, &mut record.certificate, &mut record.key]
    }

    fn judge(&self, file: &Path) -> Result<(), ConfigError> {
        let value = |key, detail: &str| service::config::value(file, key, detail);
        if !self.control.url.starts_with("wss://") {
            return Err(value("control.url", "must begin with wss://; the control link is mutual TLS"));
        }
        if self.shards > MAX_SHARDS {
            return Err(value("shards", "must be at most 64; 0 means one for each processor"));
        }
        if self.udp_port != 0 && usize::from(self.udp_port) + self.shards.max(1) - 1 > usize::from(u16::MAX) {
            return Err(value("udp_port", "leaves no ports for the other shards: each takes the next port"));
        }
        if self.cores.len() > MAX_SHARDS {
            return Err(value("cores", "must name at most 64 processors"));
        }
        if self.node.is_empty() || self.node.len() > 64 {
            return Err(value("node", "must have 1 to 64 characters"));
        }
        if !self.record.advertise.contains(':') {
            return Err(value("record.advertise", "must be host:port, as recorders dial it"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        node = "sfu-1"
        udp_port = 8445
        [control]
        url = "wss://localhost:8443/v1/sfu"
        ca = "ca.pem"
        certificate = "sfu.pem"
        key = "sfu.key"
        [record]
        listen = "127.0.0.1:8444"
        advertise = "127.0.0.1:8444"
        server_name = "localhost"
        certificate = "sfu.pem"
        key = "sfu.key"
    "#;

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("sfu.toml");
        std::fs::write(&file, text).expect("written");
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::load_with(&file, environment).map_err(|e| e.to_string())
    }

    #[test]
    fn a_good_file_is_taken_and_the_environment_overrides_it() {
        let environment = [("STRONGROOM__RECORD__SERVER_NAME", "sfu.localhost"), ("STRONGROOM__UDP_PORT", "9000")];
        let config = load(GOOD, &environment).expect("good");
        assert_eq!((config.udp_port, config.record.server_name.as_str()), (9000, "sfu.localhost"));
        assert!(config.control.ca.is_absolute() && config.addresses.is_empty());
        assert_eq!(config.tcp_port, None, "off unless it is asked for");
        assert_eq!(load(GOOD, &[("STRONGROOM__TCP_PORT", "443")]).expect("good").tcp_port, Some(443));
    }

    #[test]
    fn the_documented_sample_is_good() {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy/config/sfu.toml");
        Config::load_with(&sample, std::iter::empty()).expect("good");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let unknown = load(&GOOD.replace("udp_port", "udp_prot"), &[]).expect_err("unknown key");
        assert!(unknown.contains("udp_prot") && unknown.contains("sfu.toml"), "{unknown}");
        let nested = load(&GOOD.replace("advertise", "advertize"), &[]).expect_err("unknown key");
        assert!(nested.contains("advertize"), "{nested}");
        let plain = load(&GOOD.replace("wss://", "ws://"), &[]).expect_err("plain");
        assert!(plain.contains("control.url"), "{plain}");
        let open = load(&format!("{GOOD}[operations]\nlisten = \"0.0.0.0:9\"\n"), &[]).expect_err("open");
        assert!(open.contains("operations.listen"), "{open}");
        let many = load(&format!("shards = 65\n{GOOD}"), &[]).expect_err("too many");
        assert!(many.contains("shards"), "{many}");
        let high = load(&format!("shards = 2\n{}", GOOD.replace("8445", "65535")), &[]).expect_err("no port");
        assert!(high.contains("udp_port"), "{high}");
        let wrong = load(GOOD, &[("STRONGROOM__UDP_PROT", "1")]).expect_err("unknown key");
        assert!(wrong.contains("udp_prot"), "{wrong}");
        let missing = Config::load(Path::new("nowhere.toml")).expect_err("missing").to_string();
        assert!(missing.contains("nowhere.toml"), "{missing}");
    }
}

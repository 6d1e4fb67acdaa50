//! Configuration: TOML, an unknown key is an error, `STRONGROOM__A__B` overrides. Relative paths are taken from the folder
//! of the configuration file.

use crate::Failure;
use domain::{FirmId, RoomId, UserId};
use evidence::identity::{FirmTrust, TrustMap};
use recorder_store::StoreConfig;
use recorder_store::class::Purpose;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Rooms of one recorder: each is a connection and, while a meeting runs, a few files.
const MAX_ROOMS: usize = 256;

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose recorder.
    pub firm: FirmId,
    /// Its name: the user id in its certificate.
    pub name: UserId,
    /// Address of signaling, `ws://` on loopback only, else `wss://`.
    pub signaling: String,
    /// Base address of the firm's front, for enrolment.
    pub front: String,
    /// Trust map (JSON), as pinned by the front.
    pub trust: PathBuf,
    /// Root certificate (PEM) of signaling, if it is not a public one.
    pub signaling_ca: Option<PathBuf>,
    /// Folder of the archive.
    pub archive: PathBuf,
    /// Rooms it watches: those in which the firm's own statement says `must` or `should`.
    pub rooms: Vec<RoomId>,
    /// Where custody is.
    pub custody: Custody,
    /// Free space, MiB, below which this recorder is not ready.
    #[serde(default = "reserve")]
    pub reserve_mib: u64,
    /// How operators see it.
    #[serde(default)]
    pub operations: service::operations::Settings,
    /// Where sealed archives go besides this machine.
    #[serde(default)]
    pub stores: Vec<StoreConfig>,
    /// Tracks of meetings that ended so many days ago go here once every store gave them back; without it they stay.
    #[serde(default)]
    pub local_days: Option<u32>,
    /// Who stamps manifests with the time (RFC 3161).
    #[serde(default)]
    pub stamp: Option<Stamp>,
    /// A demonstration records on anything, and its pages say so.
    #[serde(default = "production")]
    pub purpose: Purpose,
    /// Origin of the firm's pages; if given, it must be `front`. A recorder itself is no page and sends no `Origin`.
    #[serde(default)]
    pub origin: Option<String>,
}

/// A time-stamp authority. Its root stands in the trust map.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// Where it answers, `http://` or `https://`: what is sent is a hash, and the answer is signed.
    pub url: String,
}

fn production() -> Purpose {
    Purpose::Production
}

fn reserve() -> u64 {
    crate::operations::RESERVE_MIB
}

/// Sockets of custody.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custody {
    /// The record token's process.
    pub record: PathBuf,
}

impl Config {
    /// Reads the file and the environment.
    ///
    /// # Errors
    /// [`Failure::Config`] naming file and key.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let bad = |why: String| Failure::Config(format!("{}: {why}", path.display()));
        let mut config: Self = service::config::read(path, service::config::environment())?;
        config.judge().map_err(bad)?;
        config.operations.settle(path)?;
        let folder = service::config::folder(path);
        for path in [&mut config.trust, &mut config.archive, &mut config.custody.record] {
            *path = folder.join(&*path);
        }
        config.signaling_ca = config.signaling_ca.map(|path| folder.join(path));
        Ok(config)
    }

    fn judge(&self) -> Result<(), String> {
        if self.rooms.is_empty() || self.rooms.len() > MAX_ROOMS {
            return Err(format!("`rooms` must name 1 to {MAX_ROOMS} rooms"));
        }
        let address = self.signaling.strip_prefix("ws://").map(|rest| rest.split(['/', ':']).next().unwrap_or(""));
        let loopback = |host: &str| host == "localhost" || host.ends_with(".localhost") || host == "127.0.0.1";
        if !self.signaling.starts_with("wss://") && !address.is_some_and(loopback) {
            return Err("`signaling` must be wss://... (ws:// on localhost names only)".to_owned());
        }
        if self.origin.as_ref().is_some_and(|origin| origin.trim_end_matches('/') != self.front.trim_end_matches('/')) {
            return Err("`origin` must be the address in `front`, or be left out".to_owned());
        }
        if self.stamp.as_ref().is_some_and(|one| !one.url.starts_with("http://") && !one.url.starts_with("https://")) {
            return Err("`stamp.url` must be http://... or https://...".to_owned());
        }
        if self.local_days.is_some() && self.stores.len() < recorder_store::trim::LEAST_STORES {
            return Err("`local_days` wants two [[stores]]: one copy is none".to_owned());
        }
        let front = self.front.strip_prefix("http://").map(|rest| rest.split(['/', ':']).next().unwrap_or(""));
        if !self.front.starts_with("https://") && !front.is_some_and(loopback) {
            return Err("`front` must be https://... (http:// on localhost names only)".to_owned());
        }
        Ok(())
    }

    /// Reads the trust map.
    ///
    /// # Errors
    /// [`Failure::Config`] if it cannot be read or does not know this firm.
    pub fn trust_map(&self) -> Result<TrustMap, Failure> {
        let bad = |why: String| Failure::Config(format!("`trust` {}: {why}", self.trust.display()));
        let bytes = std::fs::read(&self.trust).map_err(|e| bad(format!("cannot be read ({e})")))?;
        let map: TrustMap = serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
        self.own(&map).map_err(bad)?;
        Ok(map)
    }

    fn own<'a>(&self, map: &'a TrustMap) -> Result<&'a FirmTrust, String> {
        let own = map.firm(&self.firm).ok_or_else(|| format!("does not know the firm {}", self.firm))?;
        if self.stamp.is_some() && own.stamp_roots.is_empty() {
            return Err(format!("names no root of {}'s time-stamp authority (`stamp_roots`)", self.firm));
        }
        if own.archive_keys.is_empty() {
            return Err(format!("names no archive key of {}: nothing may be recorded that nobody can open", self.firm));
        }
        Ok(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
firm = "bank-a"
name = "recorder-1"
signaling = "ws://signaling.localhost:8440/v1/meet"
front = "http://bank-a.localhost:8441"
trust = "../trust.json"
archive = "archive"
rooms = ["deal-room"]
[custody]
record = "run/record.sock"
"#;

    fn read(text: &str) -> Result<Config, Failure> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("recorder.toml");
        std::fs::write(&path, text).expect("written");
        Config::read(&path)
    }

    #[test]
    fn the_documented_sample_is_good() {
        Config::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/deploy/config/recorder.toml")).expect("good");
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it_and_clear_addresses_stay_on_this_machine() {
        let config = read(GOOD).expect("good");
        assert!(config.archive.is_absolute() && config.archive.ends_with("archive"));
        let error = read(&GOOD.replace("rooms =", "room =")).expect_err("unknown key").to_string();
        assert!(error.contains("recorder.toml") && error.contains("room"), "{error}");
        let error = read(&GOOD.replace("signaling.localhost", "example.org")).expect_err("clear").to_string();
        assert!(error.contains("`signaling`"), "{error}");
        assert!(read(&GOOD.replace("[\"deal-room\"]", "[]")).is_err());
    }
}

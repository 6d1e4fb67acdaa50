//! `[rest]` of the configuration.

use crate::config::Tls;
use domain::message::incident::Called;
use domain::{FirmId, RoomId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The REST interface: a listener of its own, so that what programs may do is no matter of the participants' address.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where programs connect.
    pub listen: SocketAddr,
    /// TLS; without it `listen` must be loopback.
    pub tls: Option<Tls>,
    /// Who may ask for what (JSON, [`super::clients`]).
    pub clients: PathBuf,
    /// Address of each firm's front, for the links that its people enter by.
    #[serde(default)]
    pub fronts: BTreeMap<FirmId, String>,
    /// Who is told of what happens.
    #[serde(default)]
    pub webhooks: Vec<Webhook>,
    /// What an incident opens, by its labels; the first that fits counts.
    #[serde(default)]
    pub crises: Vec<Crisis>,
}

/// Who is called where, for incidents with these labels.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crisis {
    /// Its name.
    pub name: String,
    /// Labels that all alerts of the group have; none fits everything.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Rooms to choose a free one from. Every firm that is called has a statement about each.
    pub rooms: Vec<RoomId>,
    /// Who is called; members of the rooms.
    pub people: Vec<Called>,
}

/// A webhook.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its name.
    pub name: String,
    /// Where messages go; https unless `reach` is `private`.
    pub url: String,
    /// File with the signing secret: `whsec_` and base64, 24 bytes or more (Standard Webhooks).
    pub secret_file: PathBuf,
    /// Is told only of what this firm takes part in; without it, of everything.
    pub firm: Option<FirmId>,
    /// Which addresses it may be at.
    #[serde(default)]
    pub reach: Reach,
    /// First wait before a message is sent again, ms; each next one is four times as long.
    #[serde(default = "first_retry")]
    pub first_retry_ms: u64,
}

/// A receiver that restarts is back within some seconds.
fn first_retry() -> u64 {
    5_000
}

/// Which addresses a webhook may be at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// Public ones: never this machine or its network, whatever a name resolves to.
    #[default]
    Public,
    /// Also loopback and private ones, also without TLS: a receiver of the operator's own.
    Private,
}

impl Settings {
    /// Relative paths begin at `folder`.
    pub fn rebase(&mut self, folder: &Path) {
        let tls = self.tls.iter_mut().flat_map(|tls| [&mut tls.certificate, &mut tls.key]);
        let own = std::iter::once(&mut self.clients).chain(tls);
        let secrets = self.webhooks.iter_mut().map(|hook| &mut hook.secret_file);
        own.chain(secrets).for_each(|path| *path = folder.join(&*path));
    }

    /// What cannot be.
    pub fn check(&self) -> Result<(), String> {
        if self.tls.is_none() && !self.listen.ip().is_loopback() {
            return Err(format!(
                "without [rest.tls] `rest.listen` must be a loopback address, not {}: tokens would cross the network",
                self.listen
            ));
        }
        for origin in self.fronts.values() {
            let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if rest.is_none_or(|rest| rest.is_empty() || rest.contains('/')) {
                return Err(format!("`rest.fronts` has {origin:?}; write http(s)://host[:port], without a path"));
            }
        }
        let names: std::collections::BTreeSet<_> = self.webhooks.iter().map(|hook| &hook.name).collect();
        if names.len() < self.webhooks.len() {
            return Err("two webhooks have one name".into());
        }
        Ok(())
    }
}

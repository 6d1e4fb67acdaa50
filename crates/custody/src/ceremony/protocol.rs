//! The signed protocol of a ceremony: written once it is over, never over another one.

use super::plan;
use crate::ceremony::now;
use crate::config::Config;
use crate::failure::Failure;
use crate::token::{Call, Device, Token, TokenError};
use evidence::ceremony::{LABEL, Protocol, Step};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Refuses a file that is there before anything is done.
///
/// # Errors
/// [`Failure::Config`].
pub fn free(to: Option<&Path>) -> Result<(), Failure> {
    match to {
        Some(path) if path.exists() => {
            Err(Failure::Config(format!("the protocol {} is there already; nothing was done", path.display())))
        }
        _ => Ok(()),
    }
}

/// Account of the operating system, for the protocol.
fn account() -> String {
    let uid = nix::unistd::getuid();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// Signs and writes what was done. `to`: a file that is not there yet; without it one beside the configuration.
///
/// # Errors
/// See [`Failure`]; what was done on the token stays done, and the error says it.
pub fn write(config: &Config, device: &mut Device, steps: Vec<Step>, to: Option<&Path>) -> Result<PathBuf, Failure> {
    let (token, _) = device.name()?;
    let ended_at = now();
    let protocol =
        Protocol { firm: config.firm.clone(), role: config.role, token, account: account(), ended_at, steps };
    let key = plan::protocol_key(config.role);
    let signed = evidence::cose::sign(LABEL, &protocol.encode(), None, |hash| {
        let signature = device.call(&Call::Sign { key, hash: *hash })?;
        let odd = || TokenError::Failed { what: "signing", why: "odd length".to_owned() };
        signature.as_slice().try_into().map_err(|_| odd())
    })?;
    let path =
        to.map_or_else(|| config.beside(&format!("protocol-{}-{}.cose", name(config), ended_at.0)), Path::to_owned);
    let io = |e: std::io::Error| {
        Failure::Other(format!("the token was changed, but the protocol {} cannot be written: {e}", path.display()))
    };
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path).map_err(io)?;
    file.write_all(&signed).and_then(|()| file.sync_all()).map_err(io)?;
    tracing::info!(file = %path.display(), "protocol written");
    Ok(path)
}

fn name(config: &Config) -> String {
    let role = serde_json::to_value(config.role).expect("plain data");
    role.as_str().unwrap_or_default().to_owned()
}

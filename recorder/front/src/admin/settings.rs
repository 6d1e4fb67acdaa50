//! Configuration of the administrators' pages (`[administration]`).

use crate::config::is_localhost_name;
use serde::Deserialize;
use service::config::{ConfigError, value};
use std::path::{Path, PathBuf};

/// 10^9 bytes on two stores for a month, hundredths of a cent: what object storage is listed at.
const GIGABYTE_MONTH: u32 = 460;
/// Services watched: each is asked for every look at the page.
const MAX_SERVICES: usize = 16;

/// What administrators' pages work with.
// not a wire type: configuration
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Administration {
    /// How many administrators sign a statement, 1 or 2: as `people.administrators` of custody *people*, which decides.
    pub administrators: u8,
    /// Signaling's interface for programs, `https://HOST[:PORT]`; without it signed statements are carried there by hand.
    pub signaling: Option<String>,
    /// File with the token for it, mode 0600, with the scopes `statements:read`, `statements:write` and `rooms:read`.
    pub token_file: Option<PathBuf>,
    /// Price of 10^9 bytes for a month, all copies together, hundredths of a cent.
    pub gigabyte_month: u32,
    /// Services whose `/livez` and `/readyz` are shown.
    pub services: Vec<WatchedService>,
    #[serde(skip)]
    token: String,
}

/// A service with an operations listener.
// not a wire type: configuration
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchedService {
    /// Name for people.
    pub name: String,
    /// `http://HOST:PORT`.
    pub address: String,
}

impl Default for Administration {
    fn default() -> Self {
        Self {
            administrators: 1,
            signaling: None,
            token_file: None,
            gigabyte_month: GIGABYTE_MONTH,
            services: Vec::new(),
            token: String::new(),
        }
    }
}

impl std::fmt::Debug for Administration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Administration").field("signaling", &self.signaling).finish_non_exhaustive()
    }
}

impl Administration {
    /// Of the token file.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Judges the table of `file`, takes relative paths from its folder and reads the token.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn settle(&mut self, file: &Path) -> Result<(), ConfigError> {
        let bad = |key, detail: &str| Err(value(file, key, detail));
        if !(1..=2).contains(&self.administrators) {
            return bad("administration.administrators", "must be 1 or 2.");
        }
        if self.services.len() > MAX_SERVICES {
            return bad("administration.services", "are more than 16.");
        }
        if !self.services.iter().all(|one| is_address(&one.address, "http://") || is_address(&one.address, "https://"))
        {
            return bad("administration.services", "have addresses of the form http://HOST:PORT, without a path.");
        }
        let Some(signaling) = &self.signaling else { return Ok(()) };
        let local = signaling.strip_prefix("http://").is_some_and(is_localhost_name);
        if !(is_address(signaling, "https://") || local && is_address(signaling, "http://")) {
            let detail = "must be https://HOST[:PORT] without a path, or http:// on a name under .localhost: a token goes there.";
            return bad("administration.signaling", detail);
        }
        let Some(path) = &mut self.token_file else {
            return bad("administration.token_file", "is missing: signaling asks for a token.");
        };
        *path = service::config::folder(file).join(&*path);
        self.token = crate::oidc::read_secret("administration.token_file", path)
            .map_err(|detail| value(file, "administration.token_file", detail))?;
        Ok(())
    }
}

fn is_address(text: &str, scheme: &str) -> bool {
    let clean = |c: char| c.is_ascii_alphanumeric() || ".:-[]".contains(c);
    text.strip_prefix(scheme).is_some_and(|host| !host.is_empty() && host.chars().all(clean))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(text: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("front.toml");
        let mut read: Administration = toml_of(&file, text);
        read.settle(&file).map_err(|e| e.to_string())
    }

    // not a wire type: a table alone
    #[derive(Deserialize)]
    struct Only {
        administration: Administration,
    }

    fn toml_of(file: &Path, text: &str) -> Administration {
        std::fs::write(file, format!("[administration]\n{text}")).expect("written");
        service::config::read::<Only>(file, std::iter::empty()).expect("TOML").administration
    }

    #[test]
    fn a_token_goes_nowhere_in_clear_and_mistakes_name_their_key() {
        assert_eq!(settle(""), Ok(()));
        for (text, named) in [
            ("administrators = 3", "administrators"),
            ("administrators = 0", "administrators"),
            ("signaling = 'http://signaling.example'\ntoken_file = 't'", "signaling"),
            ("signaling = 'https://signaling.example/path'\ntoken_file = 't'", "signaling"),
            ("signaling = 'https://signaling.example'", "token_file"),
            ("signaling = 'https://signaling.example'\ntoken_file = 'none'", "token_file"),
            ("services = [{ name = 'recorder', address = 'ftp://x' }]", "services"),
        ] {
            let said = settle(text).expect_err(text);
            assert!(said.contains(named), "{text}: {said}");
        }
    }
}

//! Configuration of the people directory (`[ldap]`).

use crate::config::is_localhost_name;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use service::config::{ConfigError, value};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A minute covers a restart of the directory; more than half a day outlives every certificate.
const STALE_S: std::ops::RangeInclusive<u64> = 60..=43_200;

fn default_filter() -> String {
    "(objectClass=inetOrgPerson)".to_owned()
}

fn default_user() -> String {
    "uid".to_owned()
}

/// An hour: long enough to repair a directory, short enough that who left in it is not let in for the day.
fn default_stale() -> u64 {
    3_600
}

/// The people directory.
// not a wire type: configuration
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ldap {
    /// `ldaps://host[:port]`; `ldap://` on names under .localhost only.
    pub url: String,
    /// Root that the server's certificate is judged by, PEM; needed with `ldaps`.
    pub ca_file: Option<PathBuf>,
    /// Who asks; needs to read `user` and nothing else.
    pub bind_dn: String,
    /// File with its password, mode 0600.
    pub password_file: PathBuf,
    /// Below which entry.
    pub base: String,
    /// Which entries are people who work here today.
    #[serde(default = "default_filter")]
    pub filter: String,
    /// Attribute with the user id.
    #[serde(default = "default_user")]
    pub user: String,
    /// For so long what was heard last counts when the server does not answer, s.
    #[serde(default = "default_stale")]
    pub stale_s: u64,
    #[serde(skip)]
    password: String,
}

impl std::fmt::Debug for Ldap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ldap").field("url", &self.url).field("base", &self.base).finish_non_exhaustive()
    }
}

impl Ldap {
    /// Of [`Self::bind_dn`].
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Host, port, and whether it speaks TLS.
    pub fn server(&self) -> Option<(&str, u16, bool)> {
        let (tls, rest) = match (self.url.strip_prefix("ldaps://"), self.url.strip_prefix("ldap://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return None,
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (rest, if tls { 636 } else { 389 }),
        };
        (!host.is_empty() && (tls || is_localhost_name(host))).then_some((host, port, tls))
    }

    /// TLS by `ca_file` alone.
    ///
    /// # Errors
    /// A text that names the file.
    pub fn tls(&self) -> Result<Arc<rustls::ClientConfig>, String> {
        let path = self.ca_file.as_ref().ok_or("`ldaps` needs `ca_file`")?;
        let bad = |why: &dyn std::fmt::Display| format!("`ca_file` {}: {why}", path.display());
        let mut roots = rustls::RootCertStore::empty();
        for root in CertificateDer::pem_file_iter(path).map_err(|e| bad(&e))? {
            roots.add(root.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| bad(&e))?;
        Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
    }

    /// Reads what it names.
    ///
    /// # Errors
    /// [`ConfigError`] naming file and key.
    pub fn settle(&mut self, file: &Path) -> Result<(), ConfigError> {
        let Some((_, _, tls)) = self.server() else {
            let detail = format!("`{}` must be ldaps://HOST, or ldap:// on a name under .localhost.", self.url);
            return Err(value(file, "ldap.url", detail));
        };
        if tls {
            self.tls().map_err(|detail| value(file, "ldap.ca_file", detail))?;
        }
        if !STALE_S.contains(&self.stale_s) {
            let detail = format!("{} to {} seconds are sensible.", STALE_S.start(), STALE_S.end());
            return Err(value(file, "ldap.stale_s", detail));
        }
        let password = crate::oidc::read_secret("ldap.password_file", &self.password_file);
        self.password = password.map_err(|detail| value(file, "ldap.password_file", detail))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Option<(String, u16, bool)> {
        let text = format!("url='{url}'\nbind_dn='cn=x'\npassword_file='p'\nbase='dc=x'");
        let ldap: Ldap = read(&text);
        ldap.server().map(|(host, port, tls)| (host.to_owned(), port, tls))
    }

    fn read(text: &str) -> Ldap {
        let folder = tempfile::tempdir().expect("folder");
        let file = folder.path().join("ldap.toml");
        std::fs::write(&file, text).expect("written");
        service::config::read(&file, std::iter::empty()).expect("good")
    }

    #[test]
    fn passwords_go_to_a_server_with_tls_or_to_this_machine() {
        assert_eq!(server("ldaps://ldap.bank-a.example"), Some(("ldap.bank-a.example".to_owned(), 636, true)));
        assert_eq!(server("ldap://ldap.localhost:3890"), Some(("ldap.localhost".to_owned(), 3890, false)));
        for bad in ["ldap://ldap.bank-a.example", "ldap://10.0.0.1:389", "http://ldap.localhost", "ldaps://", ""] {
            assert_eq!(server(bad), None, "{bad}");
        }
    }
}

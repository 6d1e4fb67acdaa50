//! How whoever runs a service sees how it is: `/livez`, `/readyz` and `/metrics` on a listener of its own, apart from what
//! participants reach, and the target of security events. Nothing here knows what a service does: it asks [`Watched`].
//! Not a wire type: what is read here is configuration.

mod http;
pub mod look;
pub mod reason;

use crate::config::{ConfigError, value};
use crate::ended::Failure;
use crate::metrics::{Sample, Service};
use crate::security::{self, Target};
use crate::traces::Endpoint;
use reason::Reason;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// The table `[operations]` of every service.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where `/livez`, `/readyz` and `/metrics` are served. Absent: nowhere.
    pub listen: Option<SocketAddr>,
    /// How far `listen` may reach.
    #[serde(default)]
    pub reach: Reach,
    /// Where security events go besides the log.
    pub security: Option<Target>,
    /// A collector that traces go to (OTLP over HTTP), as [`Reach`] says; absent: nowhere.
    pub otlp_endpoint: Option<Endpoint>,
}

/// Who may reach the listener. It says nothing secret, but it is plain HTTP without a login.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// This machine.
    #[default]
    Loopback,
    /// Whoever the firewall lets through.
    Network,
}

impl Settings {
    /// Judges the table of `file`, and takes its relative paths from the file's folder.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn settle(&mut self, file: &Path) -> Result<(), ConfigError> {
        if self.reach == Reach::Loopback && self.listen.is_some_and(|at| !at.ip().is_loopback()) {
            let detail = "is not a loopback address: plain HTTP without a login; listen on 127.0.0.1, or say `reach = \"network\"` and let a firewall admit the monitoring alone";
            return Err(value(file, "operations.listen", detail));
        }
        if self.reach == Reach::Loopback && self.otlp_endpoint.as_ref().is_some_and(|at| !at.is_local()) {
            let detail =
                "is not on this machine: plain HTTP; run a collector beside the service, or say `reach = \"network\"`";
            return Err(value(file, "operations.otlp_endpoint", detail));
        }
        if let Some(target) = &mut self.security {
            target.settle(file)?;
        }
        Ok(())
    }
}

/// What comes later; a service is asked on every request.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A service as its operators see it.
pub trait Watched: Send + Sync + 'static {
    /// Does it do anything at all? If not a supervisor should start it again.
    fn alive(&self) -> Answer<'_, bool> {
        Box::pin(std::future::ready(true))
    }

    /// Everything that keeps it from taking new work; nothing: it is ready.
    fn troubles(&self) -> Answer<'_, Vec<Reason>>;

    /// Brings its gauges up to date and makes the lines of metrics that have several; `None` if it does not answer.
    fn samples(&self) -> Answer<'_, Option<Vec<Sample>>>;
}

/// Opened, not yet served.
pub struct Operations {
    service: Service,
    listener: Option<std::net::TcpListener>,
    traces: Option<Endpoint>,
}

/// Opens what the settings name: the listener, and the target of security events.
///
/// # Errors
/// [`Failure::Unavailable`] for an address that is taken, [`Failure::Config`] for a target that cannot be opened.
pub fn open(settings: &Settings, service: Service) -> Result<Operations, Failure> {
    security::start(settings.security.as_ref(), service)?;
    let bind = |at: SocketAddr| {
        let bound =
            std::net::TcpListener::bind(at).and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
        bound.map_err(|e| {
            Failure::Unavailable(format!("cannot listen on {at} (`operations.listen`): {e}; choose another port"))
        })
    };
    let traces = settings.otlp_endpoint.clone();
    Ok(Operations { service, listener: settings.listen.map(bind).transpose()?, traces })
}

impl Operations {
    /// Serves for as long as the runtime lives, inside which this is called.
    ///
    /// # Errors
    /// [`Failure::Other`] by the system.
    pub fn serve(self, watched: Arc<dyn Watched>) -> Result<(), Failure> {
        if let Some(endpoint) = &self.traces {
            crate::traces::start(endpoint, self.service);
        }
        let Some(listener) = self.listener else { return Ok(()) };
        let failed = |e: std::io::Error| Failure::Other(format!("`operations.listen`: {e}"));
        let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
        let at = listener.local_addr().map_err(failed)?;
        tracing::info!(listen = %at, "operations");
        tokio::spawn(http::serve(listener, self.service, watched));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settle(text: &str) -> Result<Settings, String> {
        let mut settings: Settings = toml::from_str(text).expect("well formed");
        settings.settle(Path::new("/etc/strongroom/sfu.toml")).map(|()| settings).map_err(|e| e.to_string())
    }

    #[test]
    fn beyond_loopback_is_only_by_a_word_of_its_own() {
        assert!(settle("").expect("good").listen.is_none());
        assert!(settle("listen = '127.0.0.1:9464'").is_ok() && settle("listen = '[::1]:9464'").is_ok());
        let said = settle("listen = '0.0.0.0:9464'").expect_err("open");
        assert!(said.contains("operations.listen") && said.contains("reach"), "{said}");
        assert!(settle("listen = '10.0.0.1:9464'\nreach = 'network'").is_ok());
        assert!(settle("otlp_endpoint = 'http://127.0.0.1:4318'").is_ok());
        let said = settle("otlp_endpoint = 'http://10.0.0.1:4318'").expect_err("open");
        assert!(said.contains("operations.otlp_endpoint"), "{said}");
    }

    #[test]
    fn each_reason_has_a_code_of_its_own_and_says_what_to_do() {
        let codes: std::collections::BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!(reason.text().contains(';') && reason.code().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        }
    }
}

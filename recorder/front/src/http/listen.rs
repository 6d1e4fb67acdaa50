//! Listening: plain on a loopback address, or TLS by rustls. Hands connections to the router and knows nothing else.

use crate::config::{Config, ConfigError, read};
use axum::Router;
use axum::serve::Listener;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A TLS handshake takes at most so long: a slow network needs 2 s.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at once: each may cost a millisecond of a core.
const HANDSHAKES: usize = 64;

/// Why the front does not listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {cause}. Stop what uses it, or change the key `listen`.")]
    Bind {
        /// As configured.
        address: SocketAddr,
        /// By the system.
        cause: io::Error,
    },
    /// While serving.
    #[error("serving failed: {0}")]
    Serve(io::Error),
}

/// The TLS side, judged before listening; `None` for plain HTTP.
///
/// # Errors
/// [`ConfigError`] naming file and key.
pub fn acceptor(file: &Path, config: &Config) -> Result<Option<TlsAcceptor>, ConfigError> {
    let Some(tls) = &config.tls else { return Ok(None) };
    let value = |key: &'static str, detail: String| ConfigError::Value { file: file.to_owned(), key, detail };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&read(file, "tls.certificate", &tls.certificate)?)
            .collect::<Result<_, _>>()
            .map_err(|e| value("tls.certificate", format!("{} is no PEM chain: {e}", tls.certificate.display())))?;
    let key = PrivateKeyDer::from_pem_slice(&read(file, "tls.key", &tls.key)?)
        .map_err(|e| value("tls.key", format!("{} is no PEM key: {e}", tls.key.display())))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| value("tls.certificate", format!("certificate and key do not fit: {e}")))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(server))))
}

/// Binds the configured address.
///
/// # Errors
/// [`ListenError::Bind`].
pub async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|cause| ListenError::Bind { address, cause })
}

/// Serves until `stop` is done.
///
/// # Errors
/// [`ListenError::Serve`].
pub async fn serve(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ListenError> {
    match acceptor {
        None => axum::serve(listener, router).with_graceful_shutdown(stop).await,
        Some(acceptor) => axum::serve(TlsListener::new(listener, acceptor), router).with_graceful_shutdown(stop).await,
    }
    .map_err(ListenError::Serve)
}

/// Accepts TLS connections; handshakes run beside each other so that a slow one holds nobody up.
struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    local: io::Result<SocketAddr>,
}

impl TlsListener {
    fn new(listener: TcpListener, acceptor: TlsAcceptor) -> Self {
        let (sender, ready) = mpsc::channel(HANDSHAKES);
        let local = listener.local_addr();
        let places = Arc::new(Semaphore::new(HANDSHAKES));
        tokio::spawn(async move {
            let mut listener = listener;
            while let Ok(place) = places.clone().acquire_owned().await {
                // axum's own accept loop: it waits out "too many open files"
                let (stream, from) = Listener::accept(&mut listener).await;
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                tokio::spawn(async move {
                    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        // the receiver is gone only when the front stops
                        let _ = sender.send((stream, from)).await;
                    }
                    drop(place);
                });
            }
        });
        Self { ready, local }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.local.as_ref().copied().map_err(|e| io::Error::from(e.kind()))
    }
}

//! Sockets: bind, accept, TLS, HTTP/1.1 with upgrades.

use crate::failure::Failure;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// A TLS handshake or a request head takes at most so long.
const HEAD: Duration = Duration::from_secs(10);
/// TCP connections of one listener at once, unfinished handshakes and health checks included.
const MAX_SOCKETS: usize = 8_192;
/// After a failed accept (no descriptors left), before the next.
const BREATHE: Duration = Duration::from_millis(100);

/// Binds; an occupied port is said so.
pub async fn bind(address: SocketAddr, key: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let why = if error.kind() == std::io::ErrorKind::AddrInUse {
            "another program has this port: stop it, or choose another port".to_owned()
        } else {
            format!("{error}: choose an address of this machine")
        };
        Failure::Unavailable(format!("cannot listen on {address} (`{key}`): {why}"))
    })
}

/// Serves until the task is dropped.
pub async fn serve(listener: TcpListener, tls: Option<Arc<ServerConfig>>, app: Router) {
    let acceptor = tls.map(TlsAcceptor::from);
    let free = Arc::new(Semaphore::new(MAX_SOCKETS));
    loop {
        let Ok(permit) = free.clone().acquire_owned().await else { return };
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(BREATHE).await;
                continue;
            }
        };
        let (acceptor, app) = (acceptor.clone(), app.clone());
        tokio::spawn(async move {
            accept(socket, acceptor, app).await;
            drop(permit);
        });
    }
}

async fn accept(socket: TcpStream, acceptor: Option<TlsAcceptor>, app: Router) {
    // small messages, each its own: nothing to gain by waiting
    let _ = socket.set_nodelay(true);
    match acceptor {
        None => http(socket, app).await,
        Some(acceptor) => match timeout(HEAD, acceptor.accept(socket)).await {
            Ok(Ok(socket)) => http(socket, app).await,
            Ok(Err(error)) => tracing::info!("a TLS handshake failed: {error}"),
            Err(_) => tracing::info!("a TLS handshake took too long"),
        },
    }
}

async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(socket: S, app: Router) {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    let service = TowerToHyperService::new(app);
    if let Err(error) = builder.serve_connection_with_upgrades(TokioIo::new(socket), service).await {
        tracing::debug!("a connection ended: {error}");
    }
}

//! Listening for HTTP/1.1 with upgrades, plain or over TLS. Bounded against peers that open and say nothing: sockets,
//! handshakes, request heads, and the time to say goodbye.

use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
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
use tokio_util::sync::CancellationToken;

/// A TLS handshake or a request head takes at most so long (a slow network needs 2 s), and so long a connection may be idle.
pub const HEAD: Duration = Duration::from_secs(10);
/// Connections of one listener at once, unfinished handshakes included: six of each of a thousand browsers.
const MAX_SOCKETS: u32 = 8_192;
/// After a failed accept (no descriptors left), before the next.
const BREATHE: Duration = Duration::from_millis(100);
/// Answers under way may end when the service is told to stop; a film of an hour is cut.
const GOODBYE: Duration = Duration::from_secs(5);

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is taken.
    #[error("cannot listen on {address} (`{key}`): another program has this port; stop it, or choose another port")]
    Taken {
        /// As configured.
        address: SocketAddr,
        /// Key of the configuration that names it.
        key: &'static str,
    },
    /// The address is not this machine's, or not this user's to take.
    #[error("cannot listen on {address} (`{key}`): {cause}; choose an address of this machine")]
    Address {
        /// As configured.
        address: SocketAddr,
        /// Key of the configuration that names it.
        key: &'static str,
        /// By the system.
        cause: std::io::Error,
    },
}

/// Binds the address that `key` of the configuration names.
///
/// # Errors
/// [`BindError`].
pub async fn bind(address: SocketAddr, key: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|cause| match cause.kind() {
        std::io::ErrorKind::AddrInUse => BindError::Taken { address, key },
        _ => BindError::Address { address, key, cause },
    })
}

/// Serves until `stop` is done; then no new connections, and those under way have [`GOODBYE`].
pub async fn serve(listener: TcpListener, tls: Option<Arc<ServerConfig>>, app: Router, stop: impl Future<Output = ()>) {
    let edge = Edge { acceptor: tls.map(TlsAcceptor::from), app, head: HEAD, ended: CancellationToken::new() };
    edge.serve(listener, stop).await;
}

/// What every connection of a listener is served with.
#[derive(Clone)]
struct Edge {
    acceptor: Option<TlsAcceptor>,
    app: Router,
    head: Duration,
    ended: CancellationToken,
}

impl Edge {
    async fn serve(self, listener: TcpListener, stop: impl Future<Output = ()>) {
        // also when this future is dropped, all connections end
        let _cut = self.ended.clone().drop_guard();
        let free = Arc::new(Semaphore::new(MAX_SOCKETS as usize));
        tokio::select! {
            () = stop => {}
            () = self.accept_all(&listener, &free) => {}
        }
        drop(listener);
        self.ended.cancel();
        // every place free again: nobody is served any more
        let _ = timeout(GOODBYE, free.acquire_many(MAX_SOCKETS)).await;
    }

    async fn accept_all(&self, listener: &TcpListener, free: &Arc<Semaphore>) {
        loop {
            let Ok(place) = free.clone().acquire_owned().await else { return };
            let socket = match listener.accept().await {
                Ok((socket, _)) => socket,
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(BREATHE).await;
                    continue;
                }
            };
            let edge = self.clone();
            tokio::spawn(async move {
                edge.one(socket).await;
                drop(place);
            });
        }
    }

    async fn one(self, socket: TcpStream) {
        // small messages, each its own: nothing to gain by waiting
        let _ = socket.set_nodelay(true);
        match self.acceptor.clone() {
            None => self.http(socket).await,
            Some(acceptor) => match timeout(self.head, acceptor.accept(socket)).await {
                Ok(Ok(socket)) => self.http(socket).await,
                Ok(Err(error)) => tracing::debug!("a TLS handshake failed: {error}"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            },
        }
    }

    async fn http<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, socket: S) {
        let mut builder = Builder::new();
        // hyper-util's builder would first wait without end for bytes that tell the version
        builder.timer(TokioTimer::new()).header_read_timeout(self.head);
        let service = TowerToHyperService::new(self.app);
        let connection = builder.serve_connection(TokioIo::new(socket), service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let done = tokio::select! {
            done = connection.as_mut() => done,
            () = self.ended.cancelled() => {
                connection.as_mut().graceful_shutdown();
                match timeout(GOODBYE, connection).await {
                    Ok(done) => done,
                    Err(_) => return,
                }
            }
        };
        if let Err(error) = done {
            tracing::debug!("a connection ended: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const SHORT: Duration = Duration::from_millis(200);

    async fn begun() -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = bind("127.0.0.1:0".parse().expect("an address"), "listen").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let app = Router::new().route("/", get(async || "hello"));
        let edge = Edge { acceptor: None, app, head: SHORT, ended: CancellationToken::new() };
        (address, stop.clone(), tokio::spawn(edge.serve(listener, stop.cancelled_owned())))
    }

    #[tokio::test]
    async fn a_head_that_never_ends_and_a_silent_peer_lose_their_connection() {
        let (address, _stop, _serving) = begun().await;
        let whole = &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..];
        for (said, answer) in [(&b""[..], ""), (b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", ""), (whole, "hello")] {
            let mut socket = TcpStream::connect(address).await.expect("connected");
            socket.write_all(said).await.expect("sent");
            let mut heard = Vec::new();
            // a reset is a close as well; without the guard this waits for ever
            let _ = timeout(100 * SHORT, socket.read_to_end(&mut heard)).await.expect("closed");
            assert!(String::from_utf8_lossy(&heard).ends_with(answer));
        }
    }

    #[tokio::test]
    async fn a_service_that_is_told_to_stop_ends_though_a_peer_stays_connected() {
        let (address, stop, serving) = begun().await;
        let mut idle = TcpStream::connect(address).await.expect("connected");
        idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
        let mut first = [0; 1];
        idle.read_exact(&mut first).await.expect("an answer");
        stop.cancel();
        timeout(3 * GOODBYE, serving).await.expect("it ends").expect("without a panic");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn a_taken_address_is_said_with_its_key() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = taken.local_addr().expect("bound");
        let said = bind(address, "control.listen").await.expect_err("taken").to_string();
        assert!(said.contains(&address.to_string()) && said.contains("`control.listen`"), "{said}");
    }
}

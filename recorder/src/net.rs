//! Dialling: names under `localhost` are this machine (RFC 6761 section 6.3), whatever the resolver says.

use crate::Failure;
use crate::config::Config;
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

/// A connection that is not up after so long will not come.
pub const CONNECT: Duration = Duration::from_secs(10);

/// Where `host:port` is.
///
/// # Errors
/// The resolver's.
pub async fn resolve(host: &str, port: u16) -> std::io::Result<SocketAddr> {
    if host == "localhost" || host.ends_with(".localhost") {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let mut found = tokio::net::lookup_host((host, port)).await?;
    found.next().ok_or_else(|| std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address"))
}

/// HTTP to the firm's front.
///
/// # Errors
/// [`Failure::Config`] when the address cannot be read.
pub fn http_client(address: &str) -> Result<reqwest::Client, Failure> {
    let url = reqwest::Url::parse(address).map_err(|e| Failure::Config(format!("`front` {address}: {e}")))?;
    let mut builder = reqwest::Client::builder().timeout(CONNECT).connect_timeout(CONNECT);
    if let Some(host) = url.host_str().filter(|host| host.ends_with(".localhost")) {
        let port = url.port_or_known_default().unwrap_or(80);
        builder = builder.resolve(host, SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    builder.build().map_err(|e| Failure::Other(format!("cannot make an HTTP client: {e}")))
}

/// What came from signaling.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Text(String),
    /// A ping or a pong: where nobody has anything to say, they show that the connection stands.
    Life,
}

/// A WebSocket to signaling.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Dials signaling. No `Origin` is sent: this is no page.
    ///
    /// # Errors
    /// What went wrong, as text for the log.
    pub async fn dial(config: &Config) -> Result<Self, String> {
        let request = config.signaling.as_str().into_client_request().map_err(|e| e.to_string())?;
        let host = request.uri().host().ok_or("the address of signaling has no host")?.to_owned();
        let secure = request.uri().scheme_str() == Some("wss");
        let port = request.uri().port_u16().unwrap_or(if secure { 443 } else { 80 });
        let connect = async {
            let address = resolve(&host, port).await.map_err(|e| e.to_string())?;
            let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
            stream.set_nodelay(true).map_err(|e| e.to_string())?;
            let connector = if secure { connector(config)? } else { Some(Connector::Plain) };
            let limits = WebSocketConfig::default()
                .max_message_size(Some(domain::limits::MAX_CLIENT_MESSAGE))
                .max_frame_size(Some(domain::limits::MAX_CLIENT_MESSAGE));
            let done = client_async_tls_with_config(request, stream, Some(limits), connector).await;
            done.map(|(socket, _)| Self(socket)).map_err(|e| e.to_string())
        };
        tokio::time::timeout(CONNECT, connect).await.map_err(|_| "no answer in time".to_owned())?
    }

    /// What comes next; `None` when the connection is gone.
    pub async fn next(&mut self) -> Option<Heard> {
        match self.0.next().await? {
            Ok(Message::Text(text)) => Some(Heard::Text(text.to_string())),
            Ok(Message::Close(_)) | Err(_) => None,
            Ok(_) => Some(Heard::Life),
        }
    }

    /// Sends a text.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn send(&mut self, text: String) -> Result<(), String> {
        let sent = tokio::time::timeout(CONNECT, self.0.send(Message::text(text))).await;
        sent.map_err(|_| "signaling does not take messages".to_owned())?.map_err(|e| e.to_string())
    }
}

/// `None`: the roots that browsers ship.
fn connector(config: &Config) -> Result<Option<Connector>, String> {
    let Some(path) = &config.signaling_ca else { return Ok(None) };
    let mut roots = rustls::RootCertStore::empty();
    let certificate = rustls::pki_types::CertificateDer::from_pem_file(path)
        .map_err(|e| format!("`signaling_ca` {}: {e}", path.display()))?;
    roots.add(certificate).map_err(|e| format!("`signaling_ca` {}: {e}", path.display()))?;
    Ok(Some(Connector::Rustls(Arc::new(crate::tls::client_of(roots)?))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::accept_async;

    #[tokio::test]
    async fn a_ping_is_a_sign_of_life_and_no_message() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let serve = async {
            let (stream, _) = listener.accept().await.expect("dialled");
            let mut server = accept_async(stream).await.expect("a WebSocket");
            server.send(Message::Ping(Vec::new().into())).await.expect("sent");
            server.send(Message::text("hello")).await.expect("sent");
            server.close(None).await.expect("closed");
        };
        let config = Config {
            firm: "bank-a".parse().expect("an id"),
            name: "recorder-1".parse().expect("an id"),
            signaling: format!("ws://{address}/"),
            front: "http://localhost".to_owned(),
            trust: "trust.json".into(),
            signaling_ca: None,
            archive: "archive".into(),
            rooms: Vec::new(),
            custody: crate::config::Custody { record: "record.sock".into() },
            reserve_mib: 0,
            operations: service::operations::Settings::default(),
            stores: Vec::new(),
            stamp: None,
            local_days: None,
            purpose: recorder_store::class::Purpose::Production,
            origin: None,
        };
        let listen = async {
            let mut socket = Socket::dial(&config).await.expect("dialled");
            [socket.next().await, socket.next().await, socket.next().await]
        };
        let ((), heard) = tokio::join!(serve, listen);
        assert_eq!(heard, [Some(Heard::Life), Some(Heard::Text("hello".to_owned())), None]);
    }
}

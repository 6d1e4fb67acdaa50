//! Control link client: dials signaling (WSS, mutual TLS), says who we are, carries messages both ways, and dials again
//! when it breaks. Running media does not depend on it.

use crate::fence::Fence;
use crate::record::tokens::{Granted, Tokens};
use crate::shards::Shards;
use domain::limits::MAX_CONTROL_MESSAGE;
use domain::message::control::{FromSfu, ToSfu};
use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Message, http::Uri};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Connecting takes so long at most.
const CONNECT: Duration = Duration::from_secs(5);
/// First wait after a broken link; doubled up to [`LAST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait between attempts: a signaling that returns is found within this.
const LAST_WAIT: Duration = Duration::from_secs(2);
/// A ping goes so often; three without an answer end the link.
const PING: Duration = Duration::from_secs(2);

/// Where and as whom we dial.
pub struct Dial {
    /// `wss://host:port/path`.
    pub url: String,
    /// Our certificate and the CA that signaling stands under.
    pub tls: Arc<ClientConfig>,
    /// First message.
    pub hello: FromSfu,
}

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The configured address.
    #[error("control.url is no address: {0}")]
    Url(String),
    /// Nobody there, or refused.
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    /// Too slow.
    #[error("no answer in time")]
    Silent,
    /// WebSocket.
    #[error("connection: {0}")]
    Socket(Box<tokio_tungstenite::tungstenite::Error>),
    /// A message we do not know.
    #[error("a message that cannot be read: {0}")]
    Message(serde_json::Error),
    /// The shard is overloaded or gone.
    #[error(transparent)]
    Shard(#[from] crate::shard::commands::ShardBusy),
    /// Not the newest signaling.
    #[error(transparent)]
    Replaced(#[from] crate::fence::Replaced),
    /// Signaling closed.
    #[error("closed by signaling")]
    Closed,
}

/// Keeps the link up until `outgoing` ends. `connected` says whether it is.
pub async fn run(
    dial: Dial,
    shards: Shards,
    tokens: Arc<Tokens>,
    mut outgoing: mpsc::Receiver<FromSfu>,
    connected: Arc<AtomicBool>,
) {
    let (mut wait, mut fence) = (FIRST_WAIT, Fence::default());
    loop {
        match tokio::time::timeout(CONNECT, connect(&dial)).await.unwrap_or(Err(ControlError::Silent)) {
            Ok(socket) => {
                tracing::info!("control link up");
                wait = FIRST_WAIT;
                connected.store(true, Ordering::Relaxed);
                let ended = carry(socket, &dial, &shards, &tokens, &mut fence, &mut outgoing).await;
                connected.store(false, Ordering::Relaxed);
                match ended {
                    Ok(()) => return,
                    Err(why) => {
                        tracing::warn!(%why, "control link down; running media goes on");
                        service::security::report(service::security::Event::ControlLinkLost);
                    }
                }
            }
            Err(why) => tracing::warn!(%why, retry_ms = wait.as_millis() as u64, "control link"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LAST_WAIT);
    }
}

type Socket = WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>;

async fn connect(dial: &Dial) -> Result<Socket, ControlError> {
    let bad = |reason: &str| ControlError::Url(reason.to_owned());
    let uri: Uri = dial.url.parse().map_err(|_| bad("not a URL"))?;
    let host = uri.host().ok_or_else(|| bad("no host"))?.to_owned();
    let port = uri.port_u16().unwrap_or(443);
    // names below localhost are this machine, whatever the resolver says (RFC 6761 section 6.3)
    let address = if host == "localhost" || host.ends_with(".localhost") { "127.0.0.1" } else { host.as_str() };
    let stream = TcpStream::connect((address, port)).await.map_err(ControlError::Connect)?;
    let _ = stream.set_nodelay(true);
    let name = ServerName::try_from(host).map_err(|_| bad("the host is no TLS server name"))?;
    let stream = TlsConnector::from(dial.tls.clone()).connect(name, stream).await.map_err(ControlError::Connect)?;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MAX_CONTROL_MESSAGE))
        .max_frame_size(Some(MAX_CONTROL_MESSAGE));
    let (socket, _) = client_async_with_config(dial.url.as_str(), stream, Some(limits)).await.map_err(socket_error)?;
    Ok(socket)
}

fn socket_error(error: tokio_tungstenite::tungstenite::Error) -> ControlError {
    ControlError::Socket(Box::new(error))
}

async fn carry(
    socket: Socket,
    dial: &Dial,
    shards: &Shards,
    tokens: &Tokens,
    fence: &mut Fence,
    outgoing: &mut mpsc::Receiver<FromSfu>,
) -> Result<(), ControlError> {
    let (mut sink, mut stream) = socket.split();
    sink.send(text(&dial.hello)?).await.map_err(socket_error)?;
    let mut ping = tokio::time::interval(PING);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            message = stream.next() => {
                heard = Instant::now();
                match message.ok_or(ControlError::Closed)?.map_err(socket_error)? {
                    Message::Text(text) => take(text.as_str(), shards, tokens, fence)?,
                    Message::Close(_) => return Err(ControlError::Closed),
                    _ => {}
                }
            }
            message = outgoing.recv() => match message {
                Some(message) => sink.send(text(&message)?).await.map_err(socket_error)?,
                None => return Ok(()),
            },
            _ = ping.tick() => {
                if heard.elapsed() > 3 * PING {
                    return Err(ControlError::Silent);
                }
                for meeting in fence.forgotten(Instant::now()) {
                    tracing::warn!(%meeting, "signaling does not know this meeting any more: it ends");
                    tokens.revoke(&meeting, None);
                    shards.control(ToSfu::MeetingEnded { meeting })?;
                }
                sink.send(Message::Ping(Vec::new().into())).await.map_err(socket_error)?;
            }
        }
    }
}

fn text(message: &FromSfu) -> Result<Message, ControlError> {
    serde_json::to_string(message).map(|text| Message::Text(text.into())).map_err(ControlError::Message)
}

/// Fences and tokens stay at the edge; everything else is the shard's.
fn take(text: &str, shards: &Shards, tokens: &Tokens, fence: &mut Fence) -> Result<(), ControlError> {
    let message: ToSfu = serde_json::from_str(text).map_err(ControlError::Message)?;
    fence.hear(&message);
    match &message {
        ToSfu::Fence { fence: said } => return Ok(fence.begin(Instant::now(), *said)?),
        ToSfu::RecordToken { meeting, participant, token_hash, certificate_hash } => {
            if let (Ok(hash), Ok(certificate)) =
                (token_hash.as_slice().try_into(), certificate_hash.as_slice().try_into())
            {
                let (meeting, participant) = (meeting.clone(), participant.clone());
                tokens.grant(Instant::now(), hash, Granted { meeting, participant, certificate });
            }
            return Ok(());
        }
        ToSfu::Cut { meeting, participant } => tokens.revoke(meeting, Some(participant)),
        ToSfu::MeetingEnded { meeting } => tokens.revoke(meeting, None),
        _ => {}
    }
    shards.control(message)?;
    Ok(())
}

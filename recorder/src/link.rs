//! The record link's connection: mutual TLS to the SFU, length-framed CBOR both ways. It owns no state of the recording.

use crate::net::{CONNECT, resolve};
use domain::limits::MAX_RECORD_MESSAGE;
use domain::message::record_link::{FromSfuRecord, ToSfuRecord};
use domain::{B64, MeetingId};
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

/// Messages on their way to the recording: what one socket buffer holds.
const QUEUE: usize = 256;
/// Bytes read from TLS at a time: one of its records.
const READ_AHEAD: usize = 16 << 10;
/// The SFU says something every 250 ms; a link silent for so long is dead.
const SILENT: Duration = Duration::from_secs(3);

/// Where to dial, as signaling told.
pub struct Target {
    /// `host:port`.
    pub address: String,
    /// TLS server name.
    pub server_name: String,
    /// One-time token.
    pub token: B64,
    /// Which meeting.
    pub meeting: MeetingId,
    /// Highest durable message.
    pub durable: u64,
}

/// What the link says.
pub enum FromLink {
    /// A message.
    Message(FromSfuRecord),
    /// It broke; why.
    Down(String),
}

/// A running link. Dropped: it is closed.
pub struct Link {
    /// What comes.
    pub incoming: mpsc::Receiver<FromLink>,
    outgoing: mpsc::Sender<ToSfuRecord>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Link {
    /// Dials in the background.
    pub fn start(target: Target, tls: rustls::ClientConfig) -> Self {
        let (to_room, incoming) = mpsc::channel(QUEUE);
        let (outgoing, from_room) = mpsc::channel(QUEUE);
        let task = tokio::spawn(async move {
            let why = match run(target, tls, &to_room, from_room).await {
                Ok(()) => "the SFU closed it".to_owned(),
                Err(why) => why,
            };
            // a closed room needs no answer
            let _ = to_room.send(FromLink::Down(why)).await;
        });
        Self { incoming, outgoing, task }
    }

    /// Sends; a broken link reports itself. On one that does not drain, messages are dropped: acknowledgements name all
    /// that is durable, so the next one that gets through says it all.
    pub fn send(&self, message: ToSfuRecord) {
        let _ = self.outgoing.try_send(message);
    }
}

async fn run(
    target: Target,
    tls: rustls::ClientConfig,
    to_room: &mpsc::Sender<FromLink>,
    mut from_room: mpsc::Receiver<ToSfuRecord>,
) -> Result<(), String> {
    let dial = async {
        let (host, port) = target.address.rsplit_once(':').ok_or("the SFU's address has no port")?;
        let port = port.parse().map_err(|_| "the SFU's address has no port".to_owned())?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address = resolve(host, port).await.map_err(|e| e.to_string())?;
        let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let name = ServerName::try_from(target.server_name.clone()).map_err(|e| e.to_string())?;
        TlsConnector::from(Arc::new(tls)).connect(name, stream).await.map_err(|e| e.to_string())
    };
    let stream = tokio::time::timeout(CONNECT, dial).await.map_err(|_| "no answer in time".to_owned())??;
    let (reader, mut writer) = tokio::io::split(stream);
    let mut reader = BufReader::with_capacity(READ_AHEAD, reader);
    let hello = ToSfuRecord::Hello { token: target.token, meeting: target.meeting, durable: target.durable };
    writer.write_all(&encode(&hello)).await.map_err(|e| e.to_string())?;
    let write = async {
        while let Some(message) = from_room.recv().await {
            writer.write_all(&encode(&message)).await.map_err(|e| e.to_string())?;
        }
        Ok(())
    };
    let read = async {
        loop {
            let message = tokio::time::timeout(SILENT, read_message(&mut reader)).await;
            let Some(message) = message.map_err(|_| "the SFU fell silent".to_owned())?? else { return Ok(()) };
            if to_room.send(FromLink::Message(message)).await.is_err() {
                return Ok(());
            }
        }
    };
    tokio::select! { done = read => done, done = write => done }
}

fn encode(message: &ToSfuRecord) -> Vec<u8> {
    let body = evidence::cbor::encode(message);
    let mut out = (body.len() as u32).to_be_bytes().to_vec();
    out.extend(body);
    out
}

async fn read_message<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Option<FromSfuRecord>, String> {
    let mut head = [0u8; 4];
    match reader.read_exact(&mut head).await {
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other.map_err(|e| e.to_string())?,
    };
    let len = u32::from_be_bytes(head) as usize;
    if len > MAX_RECORD_MESSAGE {
        return Err(format!("the SFU announces a message of {len} bytes"));
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).await.map_err(|e| e.to_string())?;
    evidence::cbor::decode(&body).map(Some).map_err(|e| format!("the SFU sent something unreadable: {e}"))
}

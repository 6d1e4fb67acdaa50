//! Record link server: recorders dial in over mutual TLS, show a one-time token, and get every packet of their meeting
//! until they acknowledge it as durable.

pub mod frame;
pub mod tokens;

use crate::shard::commands::{Command, Commands};
use crate::shards::Shards;
use crate::tls;
use domain::message::record_link::{FromSfuRecord, ToSfuRecord};
use frame::{FrameError, read, write};
use sfu_core::{LinkId, Record};
use std::sync::Arc;
use std::time::Duration;
use tokens::Tokens;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// TLS and the first message take so long at most.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A recorder speaks every 500 ms; one that is silent for so long is gone.
const SILENCE: Duration = Duration::from_secs(5);
/// A message that cannot be written in so long: the recorder does not read.
const STALLED: Duration = Duration::from_secs(5);
/// Links at once: 1,000 meetings of two firms on one node, twice.
const MAX_LINKS: usize = 4096;
/// Messages between shard and link: 100 ms of nine 2.5 Mbit/s streams.
const QUEUE: usize = 1024;
/// Write buffer: a few packets a system call.
const BUFFER: usize = 64 << 10;

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No TLS, or no certificate.
    #[error("the TLS handshake failed")]
    Tls,
    /// Too slow.
    #[error("the recorder was silent beyond its bound")]
    Silent,
    /// The first message was no hello.
    #[error("the first message is not a hello")]
    NoHello,
    /// Wrong, used or late token, or another certificate than the token's.
    #[error("the token is not valid for this certificate")]
    Token,
    /// The shard refused.
    #[error("refused: {0}")]
    Refused(#[from] sfu_core::recording::LinkRefused),
    /// The shard is overloaded or gone.
    #[error(transparent)]
    Shard(#[from] crate::shard::commands::ShardBusy),
    /// Bad framing or connection.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// Ended by us: replaced by a newer connection, or the recorder was removed.
    #[error("closed")]
    Closed,
}

/// Accepts recorders until the listener fails.
pub async fn serve(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    tokens: Arc<Tokens>,
    shards: Shards,
) -> std::io::Result<()> {
    let places = Arc::new(Semaphore::new(MAX_LINKS));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // a connection that failed before it was taken, or no descriptor left: the next may do
            Err(error) => {
                tracing::warn!(%error, "record link not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tracing::warn!("too many record links");
            continue;
        };
        let (acceptor, tokens, shards) = (acceptor.clone(), tokens.clone(), shards.clone());
        tokio::spawn(async move {
            if let Err(why) = link(stream, &acceptor, &tokens, &shards).await {
                tracing::info!(%why, "record link ended");
                if matches!(why, LinkError::Tls | LinkError::Token | LinkError::NoHello) {
                    service::security::report(service::security::Event::RecordLinkRefused);
                }
            }
            drop(place);
        });
    }
}

async fn link(stream: TcpStream, acceptor: &TlsAcceptor, tokens: &Tokens, shards: &Shards) -> Result<(), LinkError> {
    // small messages, sent when they are there
    let _ = stream.set_nodelay(true);
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await;
    let stream = stream.map_err(|_| LinkError::Silent)?.map_err(|_| LinkError::Tls)?;
    let certificate = certificate_hash(&stream).ok_or(LinkError::Tls)?;
    let (reader, writer) = tokio::io::split(stream);
    let (mut reader, mut writer) = (BufReader::new(reader), BufWriter::with_capacity(BUFFER, writer));
    let first = tokio::time::timeout(HANDSHAKE, read(&mut reader)).await.map_err(|_| LinkError::Silent)??;
    let ToSfuRecord::Hello { token, meeting, durable } = first else { return Err(LinkError::NoHello) };
    let granted = tokens.redeem(&token, &certificate).filter(|granted| granted.meeting == meeting);
    let granted = granted.ok_or(LinkError::Token)?;
    let firm = granted.participant.firm.clone();
    let commands = shards.of(&meeting);
    let (messages, queue) = mpsc::channel(QUEUE);
    let (reply, answer) = oneshot::channel();
    let participant = granted.participant;
    commands.send(Command::RecordUp { meeting, participant, durable, messages, reply })?;
    let link = answer.await.map_err(|_| LinkError::Closed)??;
    tracing::info!(%firm, durable, "record link up");
    let result = tokio::select! {
        result = receive(&mut reader, link, commands) => result,
        result = send(&mut writer, queue) => result,
    };
    // the shard knows a link that it closed itself no longer: harmless
    commands.send(Command::RecordDown(link))?;
    tracing::info!(%firm, "record link down");
    result
}

fn certificate_hash(stream: &TlsStream<TcpStream>) -> Option<[u8; 32]> {
    let (_, connection) = stream.get_ref();
    if connection.alpn_protocol() != Some(domain::message::record_link::ALPN) {
        return None;
    }
    Some(tls::fingerprint(connection.peer_certificates()?.first()?))
}

async fn receive(reader: &mut (impl AsyncRead + Unpin), link: LinkId, commands: &Commands) -> Result<(), LinkError> {
    loop {
        let message = tokio::time::timeout(SILENCE, read(reader)).await.map_err(|_| LinkError::Silent)??;
        commands.send(Command::Record(link, message))?;
    }
}

async fn send(
    writer: &mut (impl AsyncWrite + Unpin),
    mut queue: mpsc::Receiver<(u64, Record)>,
) -> Result<(), LinkError> {
    let mut buffer = Vec::with_capacity(2048);
    loop {
        let (seq, record) = match queue.try_recv() {
            Ok(message) => message,
            // nothing waits: let the written part go, then sleep
            Err(_) => {
                let flushed = tokio::time::timeout(STALLED, writer.flush()).await;
                flushed.map_err(|_| LinkError::Silent)?.map_err(FrameError::from)?;
                queue.recv().await.ok_or(LinkError::Closed)?
            }
        };
        let message = wire(seq, record);
        let written = write(writer, &mut buffer, &message);
        tokio::time::timeout(STALLED, written).await.map_err(|_| LinkError::Silent)??;
    }
}

/// The wire form of a message.
fn wire(seq: u64, record: Record) -> FromSfuRecord {
    match record {
        Record::Welcome { oldest } => FromSfuRecord::Welcome { oldest },
        Record::Track { track, participant, slot, codec } => {
            FromSfuRecord::Track { seq, track, participant, slot, codec }
        }
        Record::Packet { track, at, rtp } => FromSfuRecord::Packet { seq, track, arrival_us: at.0, rtp: rtp.into() },
        Record::SenderReport { track, at, ntp, timestamp } => {
            FromSfuRecord::SenderReport { seq, track, arrival_us: at.0, ntp, rtp_timestamp: timestamp }
        }
        Record::Ended { track } => FromSfuRecord::Ended { seq, track },
        Record::Idle => FromSfuRecord::Idle { seq },
    }
}

//! One SFU process: opens what the configuration names, starts the shard's thread and the links, and closes them in
//! order. Everything that can be wrong with the machine is found here, before `ready`.

use crate::admin::{self, Admin};
use crate::config::Config;
use crate::control::{self, Dial};
use crate::record::{self, tokens::Tokens};
use crate::shard::commands::{Command, Commands};
use crate::shard::sockets::{Sockets, local_addresses};
use crate::shard::{Parts, Shard};
use crate::tls::{self, TlsError};
use crate::transport::ice_dtls::{FactoryError, IceDtlsFactory};
use domain::message::control::FromSfu;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;

/// Messages to signaling that wait for the link: those of some minutes of joins while it is away.
const CONTROL_QUEUE: usize = 8192;
/// The shard says goodbye to everybody in so long, or is left behind.
const GOODBYE: Duration = Duration::from_secs(3);

/// Why the node cannot serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Cannot listen.
    #[error("cannot listen on {what}: {source}; is another process using it?")]
    Listen {
        /// Where.
        what: String,
        /// Why.
        source: std::io::Error,
    },
    /// The system.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// DTLS.
    #[error(transparent)]
    Dtls(#[from] FactoryError),
    /// Our bug: the shard's thread ended by itself.
    #[error("the shard ended by itself; its last words are above")]
    ShardEnded,
}

/// What is judged before the node runs, and by `check-config`.
pub struct Opened {
    dial: Dial,
    acceptor: TlsAcceptor,
}

/// Reads certificates and keys.
pub fn open(config: &Config) -> Result<Opened, NodeError> {
    let control = &config.control;
    let tls_client = tls::control_client(&control.ca, &control.certificate, &control.key)?;
    let acceptor = TlsAcceptor::from(tls::record_server(&config.record.certificate, &config.record.key)?);
    let leaf = tls::chain(&config.record.certificate)?;
    let hello = FromSfu::Hello {
        node: config.node.clone(),
        record_address: config.record.advertise.clone(),
        record_server_name: config.record.server_name.clone(),
        record_certificate: tls::fingerprint(&leaf[0]).into(),
    };
    Ok(Opened { dial: Dial { url: control.url.clone(), tls: tls_client, hello }, acceptor })
}

/// Serves until `stop` is done.
pub async fn run(config: Config, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
    let opened = open(&config)?;
    let addresses = if config.addresses.is_empty() { local_addresses()? } else { config.addresses.clone() };
    let sockets = Sockets::bind(&addresses, config.udp_port)
        .map_err(|source| NodeError::Listen { what: format!("UDP port {}", config.udp_port), source })?;
    let locals = sockets.locals();
    let recorders = listen(config.record.listen).await?;
    let metrics = match config.metrics {
        Some(at) => Some(listen(at).await?),
        None => None,
    };
    let (commands, receiver, wake) = Commands::channel()?;
    let (control, outgoing) = mpsc::channel(CONTROL_QUEUE);
    let factory = IceDtlsFactory::new(locals.clone())?;
    let parts = Parts { sockets, factory, commands: receiver, wake, control, seed: rand::random() };
    let (shard, ended) = start(parts, config.core)?;
    let tokens = Arc::new(Tokens::default());
    let connected = Arc::new(AtomicBool::new(false));
    tokio::spawn(control::run(opened.dial, commands.clone(), tokens.clone(), outgoing, connected.clone()));
    tokio::spawn(record::serve(recorders, opened.acceptor, tokens, commands.clone()));
    if let Some(listener) = metrics {
        let router = admin::router(Admin { commands: commands.clone(), connected });
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    let media: Vec<String> = locals.iter().map(SocketAddr::to_string).collect();
    tracing::info!(node = config.node, udp = media.join(" "), record = %config.record.listen, "ready");
    tokio::select! {
        () = stop => {}
        // a node that forwards nothing must not look alive
        _ = ended => return Err(NodeError::ShardEnded),
    }
    tracing::info!("closing");
    close(&commands, shard).await;
    Ok(())
}

async fn listen(at: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(at).await.map_err(|source| NodeError::Listen { what: format!("TCP {at}"), source })
}

/// Starts the shard's thread, pinned: a shard that moves loses its caches. The receiver ends when the thread does.
fn start(
    parts: Parts<IceDtlsFactory>,
    core: Option<usize>,
) -> Result<(JoinHandle<()>, oneshot::Receiver<()>), NodeError> {
    // dropped with the thread, whatever ends it
    let (alive, ended) = oneshot::channel();
    let thread = std::thread::Builder::new().name("shard-0".into()).spawn(move || {
        if let Err(error) = pin(core) {
            tracing::warn!(%error, "the shard is not pinned");
        }
        Shard::new(parts).run();
        drop(alive);
    });
    Ok((thread?, ended))
}

fn pin(core: Option<usize>) -> std::io::Result<()> {
    let allowed = rustix::thread::sched_getaffinity(None)?;
    let last = (0..rustix::thread::CpuSet::MAX_CPU).rev().find(|core| allowed.is_set(*core));
    if let Some(core) = core.or(last) {
        let mut only = rustix::thread::CpuSet::new();
        only.set(core);
        rustix::thread::sched_setaffinity(None, &only)?;
    }
    Ok(())
}

async fn close(commands: &Commands, shard: JoinHandle<()>) {
    // a shard that takes no command is gone or stuck: the deadline below holds either way
    let _ = commands.send(Command::Stop);
    let joined = tokio::task::spawn_blocking(move || shard.join());
    match tokio::time::timeout(GOODBYE, joined).await {
        Ok(Ok(Ok(()))) => tracing::info!("closed"),
        _ => tracing::warn!("the shard did not end in time"),
    }
}

//! One SFU process: opens what the configuration names, starts the shards' threads and the links, and closes them in
//! order. Everything that can be wrong with the machine is found here, before `ready`.

use crate::admin::Admin;
use crate::config::Config;
use crate::control::{self, Dial};
use crate::record::{self, tokens::Tokens};
use crate::shard::commands::{Command, Commands};
use crate::shard::sockets::{Sockets, local_addresses};
use crate::shard::{Parts, Shard};
use crate::shards::{MAX_SHARDS, Shards};
use crate::tcp::gate::{self, Gate};
use crate::tls::{self, TlsError};
use crate::transport::ice_dtls::{FactoryError, IceDtlsFactory};
use domain::message::control::FromSfu;
use service::operations::Operations;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// Messages to signaling that wait for the link: those of some minutes of joins while it is away.
const CONTROL_QUEUE: usize = 8192;
/// The shards say goodbye to everybody in so long, or are left behind.
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
    /// The operations listener.
    #[error(transparent)]
    Operations(#[from] service::ended::Failure),
    /// Our bug: a shard's thread ended by itself.
    #[error("a shard ended by itself; its last words are above")]
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
        region: config.region.clone(),
    };
    Ok(Opened { dial: Dial { url: control.url.clone(), tls: tls_client, hello }, acceptor })
}

/// Serves until `stop` is done.
pub async fn run(config: Config, operations: Operations, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
    let opened = open(&config)?;
    let addresses = if config.addresses.is_empty() { local_addresses()? } else { config.addresses.clone() };
    let recorders = listen(config.record.listen).await?;
    let doors = open_doors(&addresses, config.tcp_port)?;
    let tcp = doors.iter().map(std::net::TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
    let (control, outgoing) = mpsc::channel(CONTROL_QUEUE);
    let mut running = start_all(&config, &addresses, &tcp, &control)?;
    // the links end with the last shard
    drop(control);
    let shards = Shards::new(running.commands);
    let tokens = Arc::new(Tokens::default());
    let connected = Arc::new(AtomicBool::new(false));
    tokio::spawn(control::run(opened.dial, shards.clone(), tokens.clone(), outgoing, connected.clone()));
    tokio::spawn(record::serve(recorders, opened.acceptor, tokens, shards.clone()));
    let gate = Arc::new(Gate::default());
    for door in doors {
        tokio::spawn(gate::serve(TcpListener::from_std(door)?, gate.clone(), shards.clone()));
    }
    operations.serve(Arc::new(Admin { shards: shards.clone(), connected, gate }))?;
    let media: Vec<String> = running.locals.iter().map(SocketAddr::to_string).collect();
    let tcp = tcp.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(" ");
    tracing::info!(node = config.node, udp = media.join(" "), tcp, record = %config.record.listen, "ready");
    tokio::select! {
        () = stop => {}
        // a node that forwards nothing must not look alive
        _ = running.alive.recv() => return Err(NodeError::ShardEnded),
    }
    tracing::info!("closing");
    close(&shards, running.threads).await;
    Ok(())
}

async fn listen(at: SocketAddr) -> Result<TcpListener, NodeError> {
    TcpListener::bind(at).await.map_err(|source| NodeError::Listen { what: format!("TCP {at}"), source })
}

/// Listens for media over TCP at every address on one port (0: the first chooses), if it is wanted at all. An IPv6 address
/// that cannot be bound is left out with a warning.
fn open_doors(addresses: &[IpAddr], port: Option<u16>) -> Result<Vec<std::net::TcpListener>, NodeError> {
    let Some(port) = port else { return Ok(Vec::new()) };
    raise_descriptors();
    let mut doors: Vec<std::net::TcpListener> = Vec::new();
    for ip in addresses {
        let port = doors.first().map_or(Ok(port), |first| first.local_addr().map(|local| local.port()))?;
        let at = SocketAddr::new(*ip, port);
        let door = std::net::TcpListener::bind(at).and_then(|door| door.set_nonblocking(true).map(|()| door));
        match door {
            Ok(door) => doors.push(door),
            Err(error) if ip.is_ipv6() => tracing::warn!(%ip, %error, "address left out"),
            Err(source) => return Err(NodeError::Listen { what: format!("TCP {at}"), source }),
        }
    }
    Ok(doors)
}

/// Each connection is a descriptor: the system's usual soft limit of 1,024 is below what the gate admits.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = gate::IN_ALL as u64 + 1024;
    let possible = maximum.map_or(wanted, |most| most.min(wanted));
    if current.is_some_and(|now| now < possible) {
        // the gate tells when descriptors are used up
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), maximum });
    }
}

/// What runs.
struct Running {
    commands: Vec<Commands>,
    locals: Vec<SocketAddr>,
    threads: Vec<JoinHandle<()>>,
    /// Says something when a shard ends, whatever ends it.
    alive: mpsc::Receiver<()>,
}

/// Opens every shard's sockets before any runs, then starts their threads, each pinned: one that moves loses its caches.
fn start_all(
    config: &Config,
    addresses: &[IpAddr],
    tcp: &[SocketAddr],
    control: &mpsc::Sender<FromSfu>,
) -> Result<Running, NodeError> {
    let cores = cores(&config.cores)?;
    let count = if config.shards == 0 { cores.len().clamp(1, MAX_SHARDS) } else { config.shards };
    let (last_words, alive) = mpsc::channel(count);
    let mut opened = Vec::new();
    for shard in 0..count {
        let port = if config.udp_port == 0 { Some(0) } else { config.udp_port.checked_add(shard as u16) };
        let unusable = |source| NodeError::Listen { what: format!("the UDP port of shard {shard}"), source };
        let port = port.ok_or_else(|| unusable(std::io::ErrorKind::AddrNotAvailable.into()))?;
        let listen = |source| NodeError::Listen { what: format!("UDP port {port}"), source };
        opened.push(Sockets::bind(addresses, port).map_err(listen)?);
    }
    let mut running = Running { commands: Vec::new(), locals: Vec::new(), threads: Vec::new(), alive };
    for (shard, sockets) in opened.into_iter().enumerate() {
        let (commands, receiver, wake) = Commands::channel()?;
        let locals = sockets.locals();
        let factory = IceDtlsFactory::new(locals.clone())?.with_tcp(tcp.to_vec(), shard);
        let control = control.clone();
        let parts = Parts { sockets, factory, commands: receiver, wake, control, seed: rand::random() };
        let (core, last_word) = (cores.get(shard % cores.len().max(1)).copied(), LastWord(last_words.clone()));
        let thread = std::thread::Builder::new().name(format!("shard-{shard}")).spawn(move || {
            if let Err(error) = pin(core) {
                tracing::warn!(shard, %error, "the shard is not pinned");
            }
            Shard::new(parts).run();
            drop(last_word);
        });
        running.threads.push(thread?);
        running.commands.push(commands);
        running.locals.extend(locals);
    }
    Ok(running)
}

/// Says that its thread is over when it is dropped, by a panic as well.
struct LastWord(mpsc::Sender<()>);

impl Drop for LastWord {
    fn drop(&mut self) {
        // the queue has a place for each shard; nobody listens any more when the node closes
        let _ = self.0.try_send(());
    }
}

/// The processors to use: those that are named, else those this process may use, from the last (the first has the
/// machine's interrupts).
fn cores(named: &[usize]) -> std::io::Result<Vec<usize>> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    let allowed = rustix::thread::sched_getaffinity(None)?;
    Ok((0..rustix::thread::CpuSet::MAX_CPU).rev().filter(|core| allowed.is_set(*core)).collect())
}

fn pin(core: Option<usize>) -> std::io::Result<()> {
    if let Some(core) = core.filter(|core| *core < rustix::thread::CpuSet::MAX_CPU) {
        let mut only = rustix::thread::CpuSet::new();
        only.set(core);
        rustix::thread::sched_setaffinity(None, &only)?;
    }
    Ok(())
}

async fn close(shards: &Shards, threads: Vec<JoinHandle<()>>) {
    for shard in shards.all() {
        // one that takes no command is gone or stuck: the deadline below holds either way
        let _ = shard.send(Command::Stop);
    }
    let joined = tokio::task::spawn_blocking(move || threads.into_iter().all(|thread| thread.join().is_ok()));
    match tokio::time::timeout(GOODBYE, joined).await {
        Ok(Ok(true)) => tracing::info!("closed"),
        _ => tracing::warn!("a shard did not end in order and in time"),
    }
}

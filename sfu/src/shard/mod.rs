//! One shard: one thread that owns its sockets, its transports and its engine. Nothing in it is shared or locked;
//! commands come over one bounded channel, what it has to say leaves over another.

pub mod clock;
pub mod commands;
mod egress;
pub mod endpoint;
mod guard;
mod ingress;
mod load;
mod poller;
pub mod sockets;
mod streams;

use crate::transport::{Event, Factory, Path, Protocol};
use clock::Clock;
use commands::{Command, Links};
use domain::TransportKind;
use domain::message::control::FromSfu;
use endpoint::Endpoints;
use ingress::Ingress;
use load::Meter;
use poller::Poller;
use sfu_core::engine::Input;
use sfu_core::participant::LinkState;
use sfu_core::{Cut, Engine, Output, PeerKey};
use sockets::Sockets;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};
use streams::Streams;
use tokio::sync::mpsc;

/// Timers of transports are looked at so often: DTLS repeats after 100 ms, silence counts in seconds.
const SWEEP: Duration = Duration::from_millis(20);
/// Longest sleep: bounds the delay of anything that has no timer.
const MAX_SLEEP: Duration = Duration::from_millis(100);
/// Batches taken from one socket before the others get their turn.
const BATCHES_PER_TURN: usize = 8;
/// Commands taken per turn.
const COMMANDS_PER_TURN: usize = 256;
/// A turn takes no more packets after so long, so that commands and timers have theirs: a join waits 50 ms at most.
const TURN: Duration = Duration::from_millis(10);
/// Token of the commands' wake-up; sockets follow.
const WAKE: u64 = 0;
/// Tokens of TCP connections begin here, beyond those of all sockets.
const TCP: u64 = 1 << 32;

/// A sealed packet in the arena and where it goes.
type Single = (SocketAddr, Range<usize>);

/// Counters of the edge; those of the engine are in [`sfu_core::Stats`].
#[derive(Debug, Clone, Copy, Default)]
pub struct EdgeStats {
    /// Datagrams from sources that no STUN check has proved.
    pub unproven: u64,
    /// STUN messages that were not authentic or named nobody.
    pub bad_stun: u64,
    /// SRTP and SRTCP packets that were not opened.
    pub not_opened: u64,
    /// Packets that were not sealed (our bug if ever above 0).
    pub not_sealed: u64,
    /// Datagrams the kernel did not take.
    pub send_dropped: u64,
    /// Packets that left in GSO runs.
    pub sent_in_runs: u64,
    /// Packets that left one by one.
    pub sent_alone: u64,
    /// Messages to signaling that found its queue full.
    pub control_dropped: u64,
    /// RTCP packets sent.
    pub rtcp_sent: u64,
    /// Panics that ended somebody (our bug if ever above 0).
    pub panics: u64,
    /// Share of the last second that the thread worked, in thousandths.
    pub busy_permille: u64,
    /// Step of what is left out because the thread cannot keep up, 0 for nothing.
    pub shedding: u64,
    /// TCP connections whose first frame proved nothing.
    pub tcp_refused: u64,
    /// Packets that a peer on TCP did not read in time.
    pub tcp_dropped: u64,
    /// Bytes that wait for peers on TCP to read.
    pub tcp_queued: u64,
    /// TCP connections now.
    pub tcp_connections: u64,
    /// Transports now.
    pub transports: u64,
    /// Proven addresses now.
    pub addresses: u64,
    /// Bytes of the packet histories now.
    pub history: u64,
    /// Bytes that the kernel may hold for the UDP sockets, both ways.
    pub socket_buffers: u64,
    /// Meetings now.
    pub meetings: u64,
    /// Participants now.
    pub participants: u64,
}

/// Should the loop go on?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Yes.
    Continue,
    /// It was told to stop.
    Stop,
}

/// One shard.
pub struct Shard<F: Factory> {
    clock: Clock,
    sockets: Sockets,
    streams: Streams,
    locals: Vec<SocketAddr>,
    factory: F,
    endpoints: Endpoints,
    engine: Engine,
    commands: Receiver<Command>,
    wake: Arc<OwnedFd>,
    control: mpsc::Sender<FromSfu>,
    links: Links,
    stats: EdgeStats,
    next_sweep: Instant,
    arena: Vec<u8>,
    cuts: Vec<Cut>,
    lens: Vec<usize>,
    singles: egress::Singles,
    poller: Poller,
    touched: Vec<usize>,
    meter: Meter,
    /// Whom the running step is for.
    blamed: Option<PeerKey>,
    flow: Flow,
}

/// What a shard is made of.
pub struct Parts<F: Factory> {
    /// Bound sockets.
    pub sockets: Sockets,
    /// Maker of transports.
    pub factory: F,
    /// Commands in.
    pub commands: Receiver<Command>,
    /// Wakes the loop when a command was sent.
    pub wake: Arc<OwnedFd>,
    /// Messages to signaling.
    pub control: mpsc::Sender<FromSfu>,
    /// Seed of SSRCs.
    pub seed: u64,
}

impl<F: Factory> Shard<F> {
    /// Puts a shard together.
    pub fn new(parts: Parts<F>) -> Self {
        let locals = parts.sockets.locals();
        let poller = Poller::new().expect("a process that has sockets may have an epoll set");
        poller.watch(&*parts.wake, WAKE).expect("an eventfd can be watched");
        for (socket, token) in parts.sockets.fds().zip(WAKE + 1..) {
            poller.watch(socket, token).expect("a socket can be watched");
        }
        let now = Instant::now();
        Self {
            clock: Clock::new(),
            singles: vec![Vec::with_capacity(2 * egress::SINGLES); locals.len()],
            poller,
            touched: Vec::new(),
            meter: Meter::new(now),
            blamed: None,
            sockets: parts.sockets,
            streams: Streams::new(),
            locals,
            factory: parts.factory,
            endpoints: Endpoints::default(),
            engine: Engine::new(parts.seed),
            commands: parts.commands,
            wake: parts.wake,
            control: parts.control,
            links: Links::default(),
            stats: EdgeStats::default(),
            next_sweep: now + SWEEP,
            arena: Vec::with_capacity(2 * egress::ARENA),
            cuts: Vec::new(),
            lens: Vec::new(),
            flow: Flow::Continue,
        }
    }

    /// Runs until it is told to stop.
    pub fn run(mut self) {
        while self.turn() == Flow::Continue {}
        self.say_goodbye();
    }

    /// One turn: sleep until something is to be done, and do it.
    pub fn turn(&mut self) -> Flow {
        self.sleep();
        self.take_commands();
        let begun = Instant::now();
        let mut drained = true;
        let mut at = 0;
        while let Some(token) = self.poller.ready(at) {
            at += 1;
            if let Some(id) = token.checked_sub(TCP) {
                self.stream_ready(Instant::now(), id);
            } else if let Some(socket) = token.checked_sub(WAKE + 1) {
                drained &= self.receive_some(begun, socket as usize);
            }
        }
        let now = Instant::now();
        if drained {
            self.meter.drained(now);
        }
        self.timers(now);
        self.forward(now);
        self.guarded(now, |shard| shard.outputs(now));
        self.guarded(now, |shard| shard.feed_links(now));
        if let Some(shed) = self.meter.turn(now) {
            let step = shed.step();
            tracing::warn!(step, "the shard changes what it leaves out; 0 is nothing");
            let micros = self.clock.micros(now);
            self.guarded(now, |shard| shard.engine.shed(micros, shed));
        }
        self.flow
    }

    fn timers(&mut self, now: Instant) {
        let micros = self.clock.micros(now);
        if self.engine.poll_timeout().is_some_and(|at| at <= micros) {
            self.guarded(now, |shard| shard.engine.handle_timeout(micros));
        }
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP;
            self.sweep(now);
        }
    }

    fn sleep(&mut self) {
        let now = Instant::now();
        let engine =
            self.engine.poll_timeout().map_or(MAX_SLEEP, |at| Duration::from_micros(at.since(self.clock.micros(now))));
        let sweep = self.next_sweep.saturating_duration_since(now);
        let wait = if self.endpoints.counts().0 == 0 { engine.min(MAX_SLEEP) } else { engine.min(sweep) };
        self.poller.wait(wait);
        self.meter.slept(now.elapsed());
        if (0..).map_while(|at| self.poller.ready(at)).any(|token| token == WAKE) {
            let mut count = [0; 8];
            let _ = rustix::io::read(&*self.wake, &mut count);
        }
    }

    fn take_commands(&mut self) {
        for _ in 0..COMMANDS_PER_TURN {
            match self.commands.try_recv() {
                Ok(command) => {
                    let now = Instant::now();
                    self.guarded(now, |shard| shard.command(now, command));
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.flow = Flow::Stop;
                    return;
                }
            }
        }
    }

    /// Takes a socket's batches, as many as are its turn. True if nothing is left in it.
    fn receive_some(&mut self, begun: Instant, socket: usize) -> bool {
        for _ in 0..BATCHES_PER_TURN {
            if self.receive(socket) < quinn_udp::BATCH_SIZE {
                return true;
            }
            if begun.elapsed() > TURN {
                return false;
            }
        }
        false
    }

    fn receive(&mut self, at: usize) -> usize {
        let now = Instant::now();
        let micros = self.clock.micros(now);
        let Self { sockets, endpoints, engine, stats, touched, .. } = self;
        touched.clear();
        let count = sockets.receive(at, |local, remote, datagram| {
            let path = Path { local, remote, protocol: Protocol::Udp };
            Ingress { now, micros, endpoints, engine, stats, blamed: None }.take(path, datagram, touched);
        });
        self.settle(now);
        count
    }

    /// Lets those say something who were heard, and sends what is ready.
    fn settle(&mut self, now: Instant) {
        for at in 0..self.touched.len() {
            let place = self.touched[at];
            self.guarded(now, |shard| shard.transport_events(now, place));
        }
        self.forward(now);
    }

    /// Lets an endpoint say what it has to say.
    fn transport_events(&mut self, now: Instant, place: usize) {
        while let Some(endpoint) = self.endpoints.get(place) {
            let (peer, transport) = (endpoint.peer, endpoint.kind);
            self.blamed = Some(peer);
            let Some(event) = endpoint.transport.poll() else { return };
            match event {
                Event::Send(path, datagram) => self.send_on(path, &datagram),
                Event::Path(path) => {
                    let way = self.way(path);
                    let endpoint = self.endpoints.get(place);
                    let before = endpoint.and_then(|endpoint| std::mem::replace(&mut endpoint.way, way));
                    if before.is_some() && before != way && transport == TransportKind::Subscribe {
                        self.engine.handle(self.clock.micros(now), Input::Moved { peer });
                    }
                }
                Event::Keys(contexts) => {
                    endpoint.srtp = Some(*contexts);
                    endpoint.heard = now;
                    let input = Input::Transport { peer, transport, state: LinkState::Up };
                    self.engine.handle(self.clock.micros(now), input);
                }
                Event::Ended(why) => {
                    tracing::info!(?transport, %why, "transport ended");
                    self.drop_endpoint(now, place);
                    return;
                }
            }
        }
    }

    fn drop_endpoint(&mut self, now: Instant, place: usize) {
        if let Some(gone) = self.endpoints.remove(place) {
            let input = Input::Transport { peer: gone.peer, transport: gone.kind, state: LinkState::Down };
            self.engine.handle(self.clock.micros(now), input);
        }
    }

    fn sweep(&mut self, now: Instant) {
        for place in 0..self.endpoints.places() {
            self.guarded(now, |shard| shard.sweep_one(now, place));
        }
        self.sweep_streams(now);
    }

    fn sweep_one(&mut self, now: Instant, place: usize) {
        let Some(endpoint) = self.endpoints.get(place) else { return };
        self.blamed = Some(endpoint.peer);
        if endpoint.is_dead(now) {
            tracing::info!(transport = ?endpoint.kind, "transport silent beyond its bound");
            self.drop_endpoint(now, place);
            return;
        }
        endpoint.transport.handle_timeout(now);
        self.transport_events(now, place);
    }

    fn outputs(&mut self, now: Instant) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Control(message) => self.tell(message),
                Output::Rtcp { to, transport, packet } => {
                    // without a path there is nobody to tell
                    let _ = self.send_rtcp(to, transport, &packet);
                }
                Output::Offer { to, revision, sections, tracks } => self.offer(now, to, revision, &sections, tracks),
                Output::ResetSubscribe(peer) => {
                    if let Some(place) = self.endpoints.of(peer, TransportKind::Subscribe) {
                        self.drop_endpoint(now, place);
                    }
                }
                Output::Gone(peer) => {
                    for kind in [TransportKind::Publish, TransportKind::Subscribe] {
                        if let Some(place) = self.endpoints.of(peer, kind) {
                            self.close_endpoint(now, place);
                        }
                    }
                }
                Output::CloseLink(link) => self.links.close(link),
            }
        }
    }

    fn tell(&mut self, message: FromSfu) {
        if self.control.try_send(message).is_err() {
            self.stats.control_dropped += 1;
        }
    }

    fn say_goodbye(&mut self) {
        let now = Instant::now();
        for place in 0..self.endpoints.places() {
            self.guarded(now, |shard| shard.close_endpoint(now, place));
        }
    }

    /// Counters now.
    pub fn stats(&self) -> (EdgeStats, sfu_core::Stats) {
        let (transports, addresses) = self.endpoints.counts();
        let (meetings, participants) = self.engine.population();
        let edge = EdgeStats {
            send_dropped: self.sockets.dropped,
            sent_in_runs: self.sockets.sent_in_runs,
            sent_alone: self.sockets.sent_alone,
            tcp_dropped: self.streams.dropped,
            tcp_queued: self.streams.queued() as u64,
            tcp_connections: self.streams.count() as u64,
            transports: transports as u64,
            addresses: addresses as u64,
            history: self.engine.history_bytes() as u64,
            socket_buffers: self.sockets.buffers() as u64,
            meetings: meetings as u64,
            participants: participants as u64,
            busy_permille: self.meter.busy_permille(),
            shedding: self.engine.shedding().step().into(),
            ..self.stats
        };
        (edge, self.engine.stats())
    }
}

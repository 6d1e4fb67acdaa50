//! One shard: one thread that owns its sockets, its transports and its engine. Nothing in it is shared or locked;
//! commands come over one bounded channel, what it has to say leaves over another.

pub mod clock;
pub mod commands;
pub mod endpoint;
mod ingress;
pub mod sockets;

use crate::transport::{Event, Factory, Path};
use clock::Clock;
use commands::{Command, Links};
use domain::TransportKind;
use domain::message::control::FromSfu;
use endpoint::Endpoints;
use ingress::Ingress;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sfu_core::engine::Input;
use sfu_core::participant::LinkState;
use sfu_core::{Cut, Engine, Output};
use sockets::Sockets;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Timers of transports are looked at so often: DTLS repeats after 100 ms, silence counts in seconds.
const SWEEP: Duration = Duration::from_millis(20);
/// Longest sleep: bounds the delay of anything that has no timer.
const MAX_SLEEP: Duration = Duration::from_millis(100);
/// Batches taken from one socket before the others get their turn.
const BATCHES_PER_TURN: usize = 8;
/// Commands taken per turn.
const COMMANDS_PER_TURN: usize = 256;
/// The arena is sent and emptied when it holds so much.
const ARENA: usize = 256 << 10;

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
    /// Transports now.
    pub transports: u64,
    /// Proven addresses now.
    pub addresses: u64,
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
    singles: Vec<Vec<(SocketAddr, Range<usize>)>>,
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
        Self {
            clock: Clock::new(),
            singles: vec![Vec::new(); locals.len()],
            sockets: parts.sockets,
            locals,
            factory: parts.factory,
            endpoints: Endpoints::default(),
            engine: Engine::new(parts.seed),
            commands: parts.commands,
            wake: parts.wake,
            control: parts.control,
            links: Links::default(),
            stats: EdgeStats::default(),
            next_sweep: Instant::now() + SWEEP,
            arena: Vec::with_capacity(2 * ARENA),
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
        let readable = self.sleep();
        self.take_commands();
        for (at, _) in readable.iter().enumerate().filter(|(_, ready)| **ready) {
            for _ in 0..BATCHES_PER_TURN {
                if self.receive(at) < quinn_udp::BATCH_SIZE {
                    break;
                }
            }
        }
        let now = Instant::now();
        if self.engine.poll_timeout().is_some_and(|at| at <= self.clock.micros(now)) {
            self.engine.handle_timeout(self.clock.micros(now));
        }
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP;
            self.sweep(now);
        }
        self.forward(now);
        self.outputs(now);
        self.feed_links(now);
        self.flow
    }

    fn sleep(&mut self) -> Vec<bool> {
        let now = Instant::now();
        let engine =
            self.engine.poll_timeout().map_or(MAX_SLEEP, |at| Duration::from_micros(at.since(self.clock.micros(now))));
        let sweep = self.next_sweep.saturating_duration_since(now);
        let wait = if self.endpoints.counts().0 == 0 { engine.min(MAX_SLEEP) } else { engine.min(sweep) };
        let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        let mut fds: Vec<PollFd<'_>> = vec![PollFd::new(&*self.wake, PollFlags::IN)];
        fds.extend(self.sockets.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        if poll(&mut fds, Some(&timeout)).is_err() {
            return vec![false; self.locals.len()];
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        if ready[0] {
            let mut count = [0; 8];
            let _ = rustix::io::read(&*self.wake, &mut count);
        }
        ready[1..].to_vec()
    }

    fn take_commands(&mut self) {
        for _ in 0..COMMANDS_PER_TURN {
            match self.commands.try_recv() {
                Ok(command) => self.command(Instant::now(), command),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.flow = Flow::Stop;
                    return;
                }
            }
        }
    }

    fn receive(&mut self, at: usize) -> usize {
        let now = Instant::now();
        let micros = self.clock.micros(now);
        let Self { sockets, endpoints, engine, stats, .. } = self;
        let mut touched = Vec::new();
        let count = sockets.receive(at, |local, remote, datagram| {
            let path = Path { local, remote };
            let mut ingress = Ingress { now, micros, endpoints, engine, stats };
            if let Some(place) = ingress.datagram(path, datagram)
                && !touched.contains(&place)
            {
                touched.push(place);
            }
        });
        for place in touched {
            self.transport_events(now, place);
        }
        self.forward(now);
        count
    }

    /// Lets an endpoint say what it has to say.
    fn transport_events(&mut self, now: Instant, place: usize) {
        while let Some(endpoint) = self.endpoints.get(place) {
            let (peer, transport) = (endpoint.peer, endpoint.kind);
            let Some(event) = endpoint.transport.poll() else { return };
            match event {
                Event::Send(path, datagram) => {
                    if let Some(at) = self.sockets.index_of(path.local) {
                        self.sockets.send(at, path.remote, &datagram);
                    }
                }
                Event::Path(path) => endpoint.path = self.sockets.index_of(path.local).map(|at| (at, path.remote)),
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
        for place in self.endpoints.places() {
            let Some(endpoint) = self.endpoints.get(place) else { continue };
            if endpoint.is_dead(now) {
                tracing::info!(transport = ?endpoint.kind, "transport silent beyond its bound");
                self.drop_endpoint(now, place);
                continue;
            }
            endpoint.transport.handle_timeout(now);
            self.transport_events(now, place);
        }
    }

    /// Seals and sends everything that is ready.
    fn forward(&mut self, now: Instant) {
        let micros = self.clock.micros(now);
        let (mut arena, mut cuts) = (std::mem::take(&mut self.arena), std::mem::take(&mut self.cuts));
        while let Some(peer) = self.engine.poll_forward(micros, &mut arena, &mut cuts) {
            if self.seal(peer, &mut arena, &cuts).is_none() {
                self.stats.not_sealed += cuts.len() as u64;
            }
            if arena.len() >= ARENA {
                self.send_singles(&mut arena);
            }
        }
        self.send_singles(&mut arena);
        (self.arena, self.cuts) = (arena, cuts);
    }

    /// Seals one subscriber's packets in place. A run leaves at once, a single one waits for its like.
    fn seal(&mut self, peer: sfu_core::PeerKey, arena: &mut [u8], cuts: &[Cut]) -> Option<()> {
        let place = self.endpoints.of(peer, TransportKind::Subscribe)?;
        let endpoint = self.endpoints.get(place)?;
        let (socket, to) = endpoint.path?;
        let sender = &mut endpoint.srtp.as_mut()?.sender;
        for cut in cuts {
            let packet = &mut arena[cut.start..cut.start + cut.len + sfu_core::TAG];
            if let Err(error) = sender.seal(packet, cut.header, cut.ssrc, cut.index) {
                tracing::error!(%error, "a packet could not be sealed");
                return None;
            }
        }
        if let [cut] = cuts {
            self.singles[socket].push((to, cut.start..cut.start + cut.len + sfu_core::TAG));
            return Some(());
        }
        let (first, last) = (cuts.first()?, cuts.last()?);
        let range = first.start..last.start + last.len + sfu_core::TAG;
        self.lens.clear();
        self.lens.extend(cuts.iter().map(|cut| cut.len + sfu_core::TAG));
        self.sockets.send_run(socket, to, &arena[range], &self.lens);
        Some(())
    }

    fn send_singles(&mut self, arena: &mut Vec<u8>) {
        for (socket, singles) in self.singles.iter_mut().enumerate() {
            if !singles.is_empty() {
                self.sockets.send_each(socket, singles, arena);
                singles.clear();
            }
        }
        arena.clear();
    }

    fn send_rtcp(&mut self, to: sfu_core::PeerKey, transport: TransportKind, packet: &[u8]) -> Option<()> {
        let place = self.endpoints.of(to, transport)?;
        let endpoint = self.endpoints.get(place)?;
        let (socket, address) = endpoint.path?;
        let sealed = endpoint.srtp.as_mut()?.sender.seal_rtcp(packet).ok()?;
        self.sockets.send(socket, address, &sealed);
        Some(())
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

    /// Says goodbye on one transport and forgets it.
    fn close_endpoint(&mut self, now: Instant, place: usize) {
        let Some(mut endpoint) = self.endpoints.remove(place) else { return };
        endpoint.transport.close(now);
        while let Some(event) = endpoint.transport.poll() {
            if let Event::Send(path, datagram) = event
                && let Some(at) = self.sockets.index_of(path.local)
            {
                self.sockets.send(at, path.remote, &datagram);
            }
        }
    }

    fn say_goodbye(&mut self) {
        let now = Instant::now();
        for place in self.endpoints.places() {
            self.close_endpoint(now, place);
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
            transports: transports as u64,
            addresses: addresses as u64,
            meetings: meetings as u64,
            participants: participants as u64,
            ..self.stats
        };
        (edge, self.engine.stats())
    }
}

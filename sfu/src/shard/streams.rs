//! A shard's TCP connections: each is a path of one transport, beside the paths over UDP. A connection that is here has
//! shown an authentic binding request; it goes when it ends, when its transport goes, or when its peer says nothing, or
//! takes nothing, for long.

use super::endpoint::Way;
use super::ingress::Ingress;
use super::poller::{Interest, Poller};
use super::{Shard, TCP};
use crate::tcp::Arrival;
use crate::tcp::framing::{Class, HEADER, Queue, Reader, TooLong};
use crate::tcp::gate::Permit;
use crate::tcp::life::{Life, Queued};
use crate::transport::{Factory, Path};
use std::collections::HashMap;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

/// Bytes that the kernel keeps for a receiver: beyond a second of picture they are late anyway. It doubles the number.
const SEND_BUFFER: usize = 64 << 10;
/// Bytes taken from a connection by one call, on its turn.
const SCRATCH: usize = 16 << 10;
/// Calls on one turn of a connection, before others get theirs.
const READS_PER_TURN: usize = 4;
/// Packets written by one call: the vectors lie on the stack.
const BATCH: usize = 16;

/// One connection.
struct Stream {
    socket: TcpStream,
    path: Path,
    reader: Reader,
    queue: Queue,
    life: Life,
    /// Given back when the connection goes.
    _permit: Permit,
}

/// All connections of a shard. A number is never used twice, so that nobody's packets go to another's connection.
pub(super) struct Streams {
    open: HashMap<u64, Stream>,
    by_path: HashMap<Path, u64>,
    next: u64,
    scratch: Vec<u8>,
    /// Packets that a peer did not read in time.
    pub(super) dropped: u64,
}

/// The connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Over;

impl From<TooLong> for Over {
    fn from(_: TooLong) -> Self {
        Self
    }
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { open: HashMap::new(), by_path: HashMap::new(), next: 0, scratch: Vec::new(), dropped: 0 }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    /// Bytes that wait in all queues.
    pub(super) fn queued(&self) -> usize {
        self.open.values().map(|stream| stream.queue.len()).sum()
    }

    /// The connection of a path.
    pub(super) fn on(&self, path: Path) -> Option<u64> {
        self.by_path.get(&path).copied()
    }

    fn add(&mut self, now: Instant, poller: &Poller, socket: TcpStream, path: Path, permit: Permit) -> io::Result<u64> {
        socket.set_nonblocking(true)?;
        // packets are whole messages: none waits for the next
        socket.set_nodelay(true)?;
        rustix::net::sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER)?;
        let id = self.next;
        self.next += 1;
        poller.watch(&socket, TCP + id)?;
        self.by_path.insert(path, id);
        let (reader, queue, life) = (Reader::default(), Queue::default(), Life::new(now));
        self.open.insert(id, Stream { socket, path, reader, queue, life, _permit: permit });
        Ok(id)
    }

    fn close(&mut self, id: u64) -> Option<Path> {
        let stream = self.open.remove(&id)?;
        self.by_path.remove(&stream.path);
        Some(stream.path)
    }

    /// Sends packets in order: what the connection does not take waits, what has no room to wait is dropped. Returns
    /// nothing: an end that is over is seen by its next event.
    pub(super) fn send<'a>(&mut self, poller: &Poller, id: u64, packets: impl Iterator<Item = (&'a [u8], Class)>) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        let waited = !stream.queue.is_empty();
        let mut packets = packets.peekable();
        while packets.peek().is_some() {
            let mut batch = [(&[][..], Class::Other); BATCH];
            let mut count = 0;
            for (slot, packet) in batch.iter_mut().zip(&mut packets) {
                *slot = packet;
                count += 1;
            }
            self.dropped += stream.send(&batch[..count]);
        }
        if !waited && !stream.queue.is_empty() {
            // a socket that is watched can be watched for more; if not, its next event writes
            let _ = poller.change(&stream.socket, TCP + id, Interest::ReadAndWrite);
        }
    }

    /// Writes what waits.
    fn flush(&mut self, poller: &Poller, id: u64) -> Result<(), Over> {
        let Some(stream) = self.open.get_mut(&id) else { return Ok(()) };
        while !stream.queue.is_empty() {
            match stream.socket.write_vectored(&stream.queue.slices()) {
                Ok(count) => {
                    stream.life.wrote(count);
                    stream.queue.written(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Err(Over),
            }
            if stream.queue.is_empty() {
                poller.change(&stream.socket, TCP + id, Interest::Read).map_err(|_| Over)?;
            }
        }
        Ok(())
    }

    /// Connections that are over: `known` says whether a path is still somebody's. Allocates for those that are over,
    /// nothing else.
    fn over(&mut self, now: Instant, known: impl Fn(Path) -> bool) -> Vec<u64> {
        let mut over = Vec::new();
        for (id, stream) in &mut self.open {
            let queued = if stream.queue.is_empty() { Queued::Nothing } else { Queued::Something };
            if stream.life.over(now, queued).is_some() || !known(stream.path) {
                over.push(*id);
            }
        }
        over
    }

    /// Reads once. Returns the path and how much was read; `None` if there is nothing now.
    fn read(&mut self, now: Instant, id: u64, scratch: &mut [u8]) -> Result<Option<(Path, usize)>, Over> {
        let stream = self.open.get_mut(&id).ok_or(Over)?;
        match stream.socket.read(scratch) {
            Ok(0) => Err(Over),
            Ok(count) => {
                stream.life.heard(now);
                Ok(Some((stream.path, count)))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
            Err(_) => Err(Over),
        }
    }
}

impl Stream {
    /// Sends a batch; returns how many packets were dropped.
    fn send(&mut self, batch: &[(&[u8], Class)]) -> u64 {
        let mut at = 0;
        if self.queue.is_empty() {
            let headers: [[u8; HEADER]; BATCH] = std::array::from_fn(|n| {
                let len = batch.get(n).map_or(0, |(packet, _)| packet.len());
                u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
            });
            let slices: [IoSlice<'_>; 2 * BATCH] = std::array::from_fn(|n| match batch.get(n / 2) {
                Some(_) if n % 2 == 0 => IoSlice::new(&headers[n / 2]),
                Some((packet, _)) => IoSlice::new(packet),
                None => IoSlice::new(&[]),
            });
            let mut written = self.socket.write_vectored(&slices[..2 * batch.len()]).unwrap_or(0);
            self.life.wrote(written);
            while let Some((packet, _)) = batch.get(at).filter(|(packet, _)| written >= HEADER + packet.len()) {
                written -= HEADER + packet.len();
                at += 1;
            }
            if let Some((packet, _)) = batch.get(at).filter(|_| written > 0) {
                self.queue.push_rest(packet, written);
                at += 1;
            }
        }
        batch[at..].iter().map(|(packet, class)| u64::from(!self.queue.push(packet, *class))).sum()
    }
}

impl<F: Factory> Shard<F> {
    /// Judges a connection by its first frame: it stays if that is an authentic check of somebody here.
    pub(super) fn arrival(&mut self, now: Instant, arrival: Arrival) {
        let Arrival { stream, path, mut first, mut permit } = arrival;
        if let Some(id) = self.streams.on(path) {
            // the same two ends again: the former connection is over, even if its end is not read yet
            self.close_stream(now, id);
        }
        self.touched.clear();
        self.frame(now, path, &mut first);
        if self.endpoints.by_address(path).is_none() {
            self.stats.tcp_refused += 1;
        } else {
            permit.proved();
            if let Err(error) = self.streams.add(now, &self.poller, stream, path, permit) {
                tracing::warn!(%error, "a TCP connection cannot be watched");
                self.endpoints.lost(path);
            }
        }
        self.settle(now);
    }

    /// A connection can be read, or written again.
    pub(super) fn stream_ready(&mut self, now: Instant, id: u64) {
        self.touched.clear();
        let mut scratch = std::mem::take(&mut self.streams.scratch);
        scratch.resize(SCRATCH, 0);
        let open = self.streams.flush(&self.poller, id).and_then(|()| self.read_stream(now, id, &mut scratch));
        self.streams.scratch = scratch;
        if open.is_err() {
            self.close_stream(now, id);
        }
        self.settle(now);
    }

    fn read_stream(&mut self, now: Instant, id: u64, scratch: &mut [u8]) -> Result<(), Over> {
        for _ in 0..READS_PER_TURN {
            let Some((path, count)) = self.streams.read(now, id, scratch)? else { return Ok(()) };
            let mut reader = self.streams.open.get_mut(&id).map(|s| std::mem::take(&mut s.reader)).ok_or(Over)?;
            reader.take(&mut scratch[..count], |frame| self.frame(now, path, frame))?;
            if let Some(stream) = self.streams.open.get_mut(&id) {
                stream.reader = reader;
            }
            if count < scratch.len() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn frame(&mut self, now: Instant, path: Path, frame: &mut [u8]) {
        let micros = self.clock.micros(now);
        let Self { endpoints, engine, stats, touched, .. } = self;
        Ingress { now, micros, endpoints, engine, stats, blamed: None }.take(path, frame, touched);
    }

    /// Forgets a connection: its transport has one path less.
    fn close_stream(&mut self, now: Instant, id: u64) {
        let Some(path) = self.streams.close(id) else { return };
        self.guarded(now, |shard| {
            if let Some(place) = shard.endpoints.by_address(path)
                && let Some(endpoint) = shard.endpoints.get(place)
            {
                shard.blamed = Some(endpoint.peer);
                if endpoint.way == Some(Way::Tcp(id)) {
                    endpoint.way = None;
                }
                endpoint.transport.lost(path);
            }
            shard.endpoints.lost(path);
        });
    }

    /// Closes connections whose transport is gone, and those whose peer is silent or deaf.
    pub(super) fn sweep_streams(&mut self, now: Instant) {
        for id in self.streams.over(now, |path| self.endpoints.by_address(path).is_some()) {
            self.close_stream(now, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::framing::ALL;
    use crate::tcp::gate::Gate;
    use crate::tcp::life::{DEAF, IDLE};
    use crate::transport::Protocol;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::time::Duration;

    /// A connection of a shard and its peer's end.
    fn connected(now: Instant) -> (Streams, Poller, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (socket, remote) = listener.accept().expect("a connection");
        let path = Path { local: listener.local_addr().expect("bound"), remote, protocol: Protocol::Tcp };
        let (mut streams, poller) = (Streams::new(), Poller::new().expect("epoll"));
        let permit = Arc::new(Gate::default()).admit(remote.ip()).expect("the first");
        streams.add(now, &poller, socket, path, permit).expect("watched");
        (streams, poller, peer)
    }

    #[test]
    fn who_sends_and_never_reads_is_closed_after_its_bound_and_who_is_silent_after_another() {
        let mut now = Instant::now();
        let (mut streams, poller, mut deaf) = connected(now);
        let packet = vec![7; 1_200];
        while streams.dropped == 0 {
            streams.send(&poller, 0, std::iter::once((&packet[..], Class::Other)));
        }
        assert!((1..=ALL).contains(&streams.queued()));
        let (began, mut scratch) = (now, vec![0; 64]);
        let closed = loop {
            now += Duration::from_millis(500);
            deaf.write_all(&[0, 1, 9]).expect("taken");
            while streams.read(now, 0, &mut scratch).expect("open").is_none() {}
            streams.flush(&poller, 0).expect("open");
            if streams.over(now, |_| true) == [0] {
                break now - began;
            }
            assert!(now < began + 2 * IDLE);
        };
        // the kernels may have taken a little at first
        assert!((DEAF..2 * DEAF).contains(&closed), "{closed:?}");
        let (mut streams, _, _silent) = connected(now);
        assert!(streams.over(now + IDLE - Duration::from_millis(1), |_| true).is_empty());
        assert_eq!(streams.over(now + IDLE, |_| true), [0]);
        assert_eq!(streams.over(now, |_| false), [0], "its transport is gone");
    }
}

//! The way out: what the engine set ready is sealed in place and sent, a run as soon as it is sealed, single packets some
//! at a time. Nothing is allocated per packet.

use super::endpoint::Way;
use super::{Shard, Single};
use crate::tcp::framing::Class;
use crate::transport::{Event, Factory, Path, Protocol};
use domain::{Codec, TransportKind};
use sfu_core::subscription::payload_types;
use sfu_core::{Cut, PeerKey, TAG};
use std::time::Instant;

/// The arena is sent and emptied when it holds so much.
pub(super) const ARENA: usize = 256 << 10;
/// Single packets wait for so many others, so that one system call sends them all: more save little and delay the first.
pub(super) const SINGLES: usize = 16;

impl<F: Factory> Shard<F> {
    /// Seals and sends everything that is ready.
    pub(super) fn forward(&mut self, now: Instant) {
        // a step that panics ends somebody, so that this ends; what it had written is written off
        while !self.guarded(now, |shard| shard.forward_all(now)) {
            self.arena.clear();
            self.singles.iter_mut().for_each(Vec::clear);
        }
    }

    fn forward_all(&mut self, now: Instant) {
        let micros = self.clock.micros(now);
        let (mut arena, mut cuts) = (std::mem::take(&mut self.arena), std::mem::take(&mut self.cuts));
        while let Some(peer) = self.engine.poll_forward(micros, &mut arena, &mut cuts) {
            self.blamed = Some(peer);
            match self.seal(peer, &mut arena, &cuts) {
                Some(waiting) if waiting < SINGLES && arena.len() < ARENA => {}
                Some(_) => self.send_singles(&mut arena),
                None => self.stats.not_sealed += cuts.len() as u64,
            }
            self.blamed = None;
        }
        self.send_singles(&mut arena);
        (self.arena, self.cuts) = (arena, cuts);
    }

    /// Seals one subscriber's packets in place. A run leaves at once, a single one waits for its like. Returns how many
    /// wait on its socket.
    fn seal(&mut self, peer: PeerKey, arena: &mut [u8], cuts: &[Cut]) -> Option<usize> {
        let place = self.endpoints.of(peer, TransportKind::Subscribe)?;
        let endpoint = self.endpoints.get(place)?;
        let way = endpoint.way?;
        let sender = &mut endpoint.srtp.as_mut()?.sender;
        for cut in cuts {
            let packet = &mut arena[cut.start..cut.start + cut.len + TAG];
            if let Err(error) = sender.seal(packet, cut.header, cut.ssrc, cut.index) {
                tracing::error!(%error, "a packet could not be sealed");
                return None;
            }
        }
        let (socket, to) = match way {
            Way::Udp(socket, to) => (socket, to),
            Way::Tcp(id) => {
                let packets = cuts.iter().map(|cut| &arena[cut.start..cut.start + cut.len + TAG]);
                self.streams.send(&self.poller, id, packets.map(|packet| (packet, class(packet))));
                return Some(0);
            }
        };
        if let [cut] = cuts {
            self.singles[socket].push((to, cut.start..cut.start + cut.len + TAG));
            return Some(self.singles[socket].len());
        }
        let (first, last) = (cuts.first()?, cuts.last()?);
        let range = first.start..last.start + last.len + TAG;
        self.lens.clear();
        self.lens.extend(cuts.iter().map(|cut| cut.len + TAG));
        self.sockets.send_run(socket, to, &arena[range], &self.lens);
        Some(self.singles[socket].len())
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

    pub(super) fn send_rtcp(&mut self, to: PeerKey, transport: TransportKind, packet: &[u8]) -> Option<()> {
        self.blamed = Some(to);
        let place = self.endpoints.of(to, transport)?;
        let endpoint = self.endpoints.get(place)?;
        let way = endpoint.way?;
        let sealed = endpoint.srtp.as_mut()?.sender.seal_rtcp(packet).ok()?;
        self.send_way(way, &sealed);
        self.stats.rtcp_sent += 1;
        Some(())
    }

    /// Sends what is no media.
    fn send_way(&mut self, way: Way, datagram: &[u8]) {
        match way {
            Way::Udp(socket, to) => self.sockets.send(socket, to, datagram),
            Way::Tcp(id) => self.streams.send(&self.poller, id, std::iter::once((datagram, Class::Other))),
        }
    }

    /// How packets leave on a path, if it is ours.
    pub(super) fn way(&self, path: Path) -> Option<Way> {
        match path.protocol {
            Protocol::Udp => self.sockets.index_of(path.local).map(|at| Way::Udp(at, path.remote)),
            Protocol::Tcp => self.streams.on(path).map(Way::Tcp),
        }
    }

    /// Sends what ICE or DTLS says on a path.
    pub(super) fn send_on(&mut self, path: Path, datagram: &[u8]) {
        if let Some(way) = self.way(path) {
            self.send_way(way, datagram);
        }
    }

    /// Says goodbye on one transport and forgets it.
    pub(super) fn close_endpoint(&mut self, now: Instant, place: usize) {
        let Some(mut endpoint) = self.endpoints.remove(place) else { return };
        endpoint.transport.close(now);
        while let Some(event) = endpoint.transport.poll() {
            if let Event::Send(path, datagram) = event {
                self.send_on(path, &datagram);
            }
        }
    }
}

/// What gives way first if its receiver does not read.
fn class(packet: &[u8]) -> Class {
    let sound = payload_types(Codec::Opus).0;
    if packet.get(1).is_some_and(|second| second & 0x7f == sound) { Class::Other } else { Class::Picture }
}

/// Single packets that wait, by socket.
pub(super) type Singles = Vec<Vec<Single>>;

//! Sends a load into a forwarder and takes what comes out of it.

use crate::client::{Client, Maker};
use crate::load::Packet;
use crate::machine::Meter;
use crate::packet::{self, Kind, LAYERS};
use crate::sink::{Subscriber, Tally};
use sfu_core::Micros;
use sfu_core::rtcp::{self, Item};
use sfu_core::rtp::is_rtcp;
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Subscribers are emptied so often: their buffers hold more.
const EMPTY_EVERY: Duration = Duration::from_millis(8);
/// Subscribers report so often, as browsers do.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// After the last send, nothing more is on its way once nothing came for so long.
const QUIET: Duration = Duration::from_millis(40);
/// A forwarder that is so far behind has lost what it holds.
const DRAIN: Duration = Duration::from_secs(1);
/// Handshakes of all participants take so long at most.
const CONNECT: Duration = Duration::from_secs(30);
/// Packets sent in step stop coming for so long only if they are lost: three times a busy machine's longest pause.
const PATIENCE: Duration = Duration::from_secs(6);
/// Forwarders that estimate what a link carries need so long at most until they send all of a load.
const RAMP: Duration = Duration::from_secs(20);
/// First index of a publisher.
const FIRST_INDEX: u64 = 1000;

/// One publisher.
pub struct Publisher {
    /// Its end of the transport.
    pub client: Client,
    /// What it sends.
    pub kind: Kind,
    /// Number in its meeting: decides SSRC and leaf.
    pub place: u16,
    indices: [u64; LAYERS],
    frames: u32,
    wanted_key: [bool; LAYERS],
}

impl Publisher {
    /// A publisher that has sent nothing.
    pub fn new(client: Client, kind: Kind, place: u16) -> Self {
        Self { client, kind, place, indices: [FIRST_INDEX; LAYERS], frames: 0, wanted_key: [true; LAYERS] }
    }

    /// Seals and sends one packet of a load. A frame is a key frame where one was asked for since the last.
    pub fn send(&mut self, shape: &Packet) {
        let layer = usize::from(shape.layer);
        let key = shape.start && std::mem::take(&mut self.wanted_key[layer]);
        let packet = packet::write(self.kind, self.place, shape, self.indices[layer], self.frames + shape.frame, key);
        self.client.send(&packet, self.indices[layer]);
        self.indices[layer] += 1;
    }

    /// The window is over: the next one's frames are others, and begin with a key frame.
    pub fn advance(&mut self, frames: u32) {
        self.frames += frames;
        self.wanted_key = [true; LAYERS];
    }

    /// Takes what the forwarder says: of its reports and requests, those for a key frame are answered.
    fn hear(&mut self) {
        let mut datagram = [0u8; 2048];
        while let Ok(len) = self.client.socket.recv(&mut datagram) {
            if !is_rtcp(&datagram[..len]) {
                continue;
            }
            let Some(contexts) = &mut self.client.srtp else { return };
            if let Ok(len) = contexts.receiver.open_rtcp(&mut datagram[..len]) {
                // an encoder that is asked for one makes one in each layer
                if rtcp::parse(&datagram[..len]).iter().any(|item| matches!(item, Item::KeyFrame { .. })) {
                    self.wanted_key = [true; LAYERS];
                }
            }
        }
    }
}

/// What a forwarder says at its end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Farewell {
    /// Share of packets that left in GSO sends, where it is known.
    pub gso_share: Option<f64>,
    /// Datagrams that the kernel did not take from it, where it is known.
    pub send_dropped: Option<u64>,
    /// KiB of its packet histories, and what the kernel may hold for its sockets, where they are known.
    pub kept_kib: Option<(u64, u64)>,
}

/// A forwarder with its participants.
pub struct Running {
    /// Publish.
    pub publishers: Vec<Publisher>,
    /// Receive.
    pub subscribers: Vec<Subscriber>,
    /// Whose CPU time counts.
    pub meter: Meter,
    /// Stops it.
    pub end: Box<dyn FnOnce() -> Farewell>,
    /// Joined at the end.
    pub threads: Vec<JoinHandle<()>>,
    /// Cipher of the media.
    pub cipher: &'static str,
}

/// One window's result.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Packets in, a second.
    pub pps_in: u64,
    /// Packets out, a second.
    pub pps_out: u64,
    /// CPU time of the forwarder per packet that left it.
    pub ns_per_packet: u64,
    /// Share of one core that it used.
    pub core_share: f64,
    /// Median way of a packet.
    pub p50_us: u64,
    /// 99 of 100 are faster.
    pub p99_us: u64,
    /// Share that did not arrive.
    pub loss: f64,
    /// Packets out of order at the probes.
    pub late: u64,
}

/// Drives clients until all have keys.
pub fn connect(clients: &mut [&mut Client], mut also: impl FnMut()) -> anyhow::Result<()> {
    let until = Instant::now() + CONNECT;
    while clients.iter().any(|c| c.srtp.is_none()) {
        clients.iter_mut().for_each(|c| c.drive());
        also();
        let left = clients.iter().filter(|c| c.srtp.is_none()).count();
        anyhow::ensure!(Instant::now() < until, "{left} of {} participants did not connect", clients.len());
        std::thread::yield_now();
    }
    Ok(())
}

/// Makes clients of one certificate.
pub fn maker() -> Maker {
    Maker::new()
}

/// Every publisher's packets in order of time; publishers are out of step, as people are.
fn schedule(packets: &[Packet], publishers: usize) -> Vec<(u64, usize, usize)> {
    let period = packets.iter().map(|p| p.at_us).find(|at| *at > 0).unwrap_or(1000);
    let shift = |publisher: usize| period * publisher as u64 / publishers as u64;
    let mut all: Vec<(u64, usize, usize)> = (0..publishers)
        .flat_map(|who| packets.iter().enumerate().map(move |(n, packet)| (packet.at_us + shift(who), who, n)))
        .collect();
    all.sort_unstable();
    all
}

impl Running {
    /// Sends the load until a window of it arrives whole, 20 s at most: a forwarder that estimates what each subscriber's
    /// link carries begins carefully.
    pub fn ramp(&mut self, packets: &[Packet]) -> anyhow::Result<()> {
        let began = Instant::now();
        while self.window(packets)?.loss > 0.0 && began.elapsed() < RAMP {}
        Ok(())
    }

    /// Sends the packets at their times, from every publisher, and measures.
    pub fn window(&mut self, packets: &[Packet]) -> anyhow::Result<Measured> {
        let mut reported = Instant::now();
        let mut empty = |subscribers: &mut Vec<Subscriber>, tally: &mut Tally| {
            let now = clock();
            let due = reported.elapsed() > REPORT_EVERY;
            for subscriber in subscribers {
                subscriber.empty(now, tally);
                if due {
                    subscriber.report();
                }
            }
            if due {
                reported = Instant::now();
            }
        };
        empty(&mut self.subscribers, &mut Tally::default());
        let (mut tally, cpu) = (Tally::default(), self.meter.cpu_ns()?);
        let (begin, mut emptied) = (Instant::now(), Instant::now());
        for (at_us, who, n) in schedule(packets, self.publishers.len()) {
            let due = begin + Duration::from_micros(at_us);
            loop {
                let now = Instant::now();
                if now.duration_since(emptied) > EMPTY_EVERY {
                    emptied = now;
                    empty(&mut self.subscribers, &mut tally);
                    self.publishers.iter_mut().for_each(Publisher::hear);
                } else if now >= due {
                    break;
                }
                std::hint::spin_loop();
            }
            self.publishers[who].send(&packets[n]);
        }
        let last_at = Duration::from_micros(packets.last().map_or(1, |p| p.at_us));
        let window = begin.elapsed().max(last_at);
        self.publishers.iter_mut().for_each(|p| p.advance(packets.last().map_or(0, |p| p.frame + 1)));
        let (sent, mut last, mut known) = (Instant::now(), Instant::now(), 0);
        while last.elapsed() < QUIET && sent.elapsed() < DRAIN {
            empty(&mut self.subscribers, &mut tally);
            if tally.received > known {
                (known, last) = (tally.received, Instant::now());
            }
            std::thread::yield_now();
        }
        let used = self.meter.cpu_ns()?.saturating_sub(cpu);
        Ok(self.judge(packets, tally, used, window))
    }

    /// Sends each packet once the one before has reached everybody, or nothing came for six seconds: no machine is too slow
    /// for it. Returns how many arrived and how many of the probed were late.
    pub fn in_step(&mut self, packets: &[Packet]) -> (u64, u64) {
        let (began, mut tally, mut expected) = (Instant::now(), Tally::default(), 0);
        while began.elapsed() < QUIET {
            self.subscribers.iter_mut().for_each(|subscriber| subscriber.empty(clock(), &mut Tally::default()));
        }
        for packet in packets {
            for publisher in &mut self.publishers {
                publisher.send(packet);
            }
            expected += self.subscribers.iter().map(|s| s.sources as u64).sum::<u64>();
            let (mut last, mut known) = (Instant::now(), tally.received);
            while tally.received < expected && last.elapsed() < PATIENCE {
                self.subscribers.iter_mut().for_each(|subscriber| subscriber.empty(clock(), &mut tally));
                if tally.received > known {
                    (known, last) = (tally.received, Instant::now());
                }
                std::thread::yield_now();
            }
        }
        self.publishers.iter_mut().for_each(|p| p.advance(packets.len() as u32));
        (tally.received, tally.late)
    }

    fn judge(&self, packets: &[Packet], mut tally: Tally, used_ns: u64, window: Duration) -> Measured {
        tally.ways.sort_unstable();
        let at = |share: f64| tally.ways.get((tally.ways.len() as f64 * share) as usize).copied().unwrap_or(0) / 1000;
        let expected: u64 = self.subscribers.iter().map(|subscriber| subscriber.expected(packets)).sum();
        let micros = window.as_micros().max(1) as u64;
        Measured {
            pps_in: (packets.len() * self.publishers.len()) as u64 * 1_000_000 / micros,
            pps_out: tally.received * 1_000_000 / micros,
            ns_per_packet: used_ns / tally.received.max(1),
            core_share: used_ns as f64 / window.as_nanos() as f64,
            p50_us: at(0.5),
            p99_us: at(0.99),
            loss: 1.0 - tally.received.min(expected) as f64 / expected.max(1) as f64,
            late: tally.late,
        }
    }

    /// Opens the packets of the first, the middle and the last subscriber.
    pub fn probe(&mut self) -> anyhow::Result<()> {
        let count = self.subscribers.len();
        for at in [0, count / 2, count - 1] {
            self.subscribers[at].probe()?;
        }
        Ok(())
    }

    /// Ends the forwarder.
    pub fn stop(self) -> Farewell {
        let farewell = (self.end)();
        for thread in self.threads {
            // a forwarder that panicked was seen as loss
            let _ = thread.join();
        }
        farewell
    }
}

/// The receivers' clock. It never goes back: arrival times that did would tell an estimator of a link that is no link.
fn clock() -> Micros {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    Micros(BEGAN.get_or_init(Instant::now).elapsed().as_micros() as u64 + 1_000_000)
}

//! Sends a load into a forwarder and takes what comes out. Every subscriber's packets are counted; those of three probes
//! are opened, and their way is measured from just before the send to the kernel's receive time.

use crate::client::{Client, Maker};
use crate::load::Packet;
use anyhow::Context;
use domain::{Epoch, Kid, LeafIndex, Slot};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
use sfu_core::rtp::{Header, is_rtcp};
use std::collections::BTreeSet;
use std::io::IoSliceMut;
use std::os::fd::AsRawFd;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// SSRC of the picture.
pub const SSRC: u32 = 200;
/// Sinks are emptied so often: their buffers hold 60 ms.
const EMPTY_EVERY: Duration = Duration::from_millis(8);
/// What is on its way after the last send arrives within this.
const DRAIN: Duration = Duration::from_millis(40);
/// Handshakes of all participants take so long at most.
const CONNECT: Duration = Duration::from_secs(20);

/// Which core a thread runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// The load generator's.
    Generator,
    /// The forwarder's.
    Forwarder,
}

/// Pins this thread; with one core both share it.
pub fn pin(core: Core) {
    let Ok(allowed) = rustix::thread::sched_getaffinity(None) else { return };
    let cores: Vec<usize> = (0..rustix::thread::CpuSet::MAX_CPU).filter(|c| allowed.is_set(*c)).collect();
    let chosen = match core {
        Core::Generator => cores.first(),
        Core::Forwarder => cores.last(),
    };
    if let Some(chosen) = chosen {
        let mut only = rustix::thread::CpuSet::new();
        only.set(*chosen);
        // not pinned is measured all the same
        let _ = rustix::thread::sched_setaffinity(None, &only);
    }
}

/// The machine and its load, for the head of a table.
pub fn machine() -> String {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model =
        cpu.lines().find_map(|l| l.strip_prefix("model name")).map_or("", |l| l.trim_start_matches([' ', '\t', ':']));
    let cores = cpu.lines().filter(|l| l.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split(' ').take(1).collect();
    format!("{model} x{cores}, Linux {}, load {}, AEAD_AES_256_GCM", kernel.trim(), load.join(""))
}

/// A forwarder with its participants.
pub struct Running {
    /// Publishes.
    pub publisher: Client,
    /// Receive.
    pub subscribers: Vec<Client>,
    /// Thread whose CPU time counts.
    pub thread_id: u32,
    /// Stops it; returns the share of packets that left in GSO sends, where it is known.
    pub end: Box<dyn FnOnce() -> Option<f64>>,
    /// Joined at the end.
    pub thread: JoinHandle<()>,
    /// Next sequence number.
    pub index: u64,
    /// Frames sent before this window.
    pub frames: u32,
}

/// One window's result.
#[derive(Debug)]
pub struct Measured {
    /// Packets in, a second.
    pub pps_in: u64,
    /// CPU time of the forwarder per packet that left it.
    pub ns_per_packet: u64,
    /// Median way of a packet.
    pub p50_us: u64,
    /// 99 of 100 are faster.
    pub p99_us: u64,
    /// Share that did not arrive.
    pub loss: f64,
}

/// Drives clients until all have keys.
pub fn connect(clients: &mut [&mut Client], mut also: impl FnMut()) -> anyhow::Result<()> {
    let until = Instant::now() + CONNECT;
    while clients.iter().any(|c| c.srtp.is_none()) {
        clients.iter_mut().for_each(|c| c.drive());
        also();
        anyhow::ensure!(Instant::now() < until, "not all participants connected");
        std::thread::yield_now();
    }
    Ok(())
}

/// A participant maker shared by the cases.
pub fn maker() -> Maker {
    Maker::new()
}

fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

/// A sealed-looking VP8 packet with the time of sending at its end.
fn packet(shape: &Packet, key: bool, index: u64, frame: u32) -> Vec<u8> {
    let mut p = vec![0x90, 96 | u8::from(shape.marker) << 7];
    p.extend((index as u16).to_be_bytes());
    p.extend((frame.wrapping_mul(3000)).to_be_bytes());
    p.extend(SSRC.to_be_bytes());
    let sequence = (index as u16).to_be_bytes();
    p.extend([0xbe, 0xde, 0, 1, 0x31, sequence[0], sequence[1], 0]);
    let header = p.len();
    if shape.start {
        let kid = Kid::new(Slot::CAMERA, LeafIndex(0), Epoch(1)).0.to_be_bytes();
        let first = kid.iter().position(|b| *b != 0).unwrap_or(7);
        p.extend([0x10, u8::from(!key), 0x80 | ((7 - first) as u8) << 4 | 1]);
        p.extend(&kid[first..]);
    } else {
        p.push(0);
    }
    p.resize(header + shape.size - 8, 0x5a);
    p.extend(wall_ns().to_be_bytes());
    p
}

impl Running {
    fn cpu_ns(&self) -> anyhow::Result<u64> {
        let file = format!("/proc/self/task/{}/schedstat", self.thread_id);
        let text = std::fs::read_to_string(&file).with_context(|| file.clone())?;
        Ok(text.split(' ').next().unwrap_or("").parse()?)
    }

    /// Sends the packets at their times and measures.
    pub fn window(&mut self, packets: &[Packet]) -> anyhow::Result<Measured> {
        let count = self.subscribers.len();
        let probes: BTreeSet<usize> = [0, count / 2, count - 1].into();
        for probe in &probes {
            setsockopt(&self.subscribers[*probe].socket, sockopt::ReceiveTimestampns, &true)?;
        }
        let (mut received, mut ways) = (0u64, Vec::new());
        self.empty(&probes, &mut 0, &mut Vec::new());
        let cpu = self.cpu_ns()?;
        let begin = Instant::now();
        let mut emptied = begin;
        for (n, shape) in packets.iter().enumerate() {
            let due = begin + Duration::from_micros(shape.at_us);
            while Instant::now() < due {
                if emptied.elapsed() > EMPTY_EVERY {
                    emptied = Instant::now();
                    self.empty(&probes, &mut received, &mut ways);
                }
                std::hint::spin_loop();
            }
            let sealed = packet(shape, n == 0, self.index, self.frames + shape.frame);
            self.publisher.send(&sealed, self.index);
            self.index += 1;
        }
        let window = begin.elapsed().max(Duration::from_micros(packets.last().map_or(1, |p| p.at_us)));
        self.frames += packets.last().map_or(0, |p| p.frame + 1);
        let last = Instant::now();
        while last.elapsed() < DRAIN {
            self.empty(&probes, &mut received, &mut ways);
            std::thread::yield_now();
        }
        let used = self.cpu_ns()? - cpu;
        ways.sort_unstable();
        let at = |share: f64| ways.get((ways.len() as f64 * share) as usize).copied().unwrap_or(0) / 1000;
        let expected = (packets.len() * count) as u64;
        Ok(Measured {
            pps_in: packets.len() as u64 * 1_000_000 / window.as_micros() as u64,
            ns_per_packet: used / received.max(1),
            p50_us: at(0.5),
            p99_us: at(0.99),
            loss: 1.0 - received.min(expected) as f64 / expected as f64,
        })
    }

    fn empty(&mut self, probes: &BTreeSet<usize>, received: &mut u64, ways: &mut Vec<u64>) {
        let mut head = [0u8; 64];
        // reports and requests to the publisher
        while self.publisher.socket.recv(&mut head).is_ok() {}
        for (at, subscriber) in self.subscribers.iter_mut().enumerate() {
            if probes.contains(&at) {
                while let Some(counted) = probe(subscriber, ways) {
                    *received += counted;
                }
                continue;
            }
            while let Ok(len) = subscriber.socket.recv(&mut head) {
                *received += u64::from(head[0] >> 6 == 2 && !is_rtcp(&head[..len]));
            }
        }
    }

    /// Ends the forwarder.
    pub fn stop(self) -> Option<f64> {
        let share = (self.end)();
        // a forwarder that panicked was seen as loss
        let _ = self.thread.join();
        share
    }
}

/// Takes one datagram of a probe: 1 if it was media, with its way noted. `None` if there is none.
fn probe(client: &mut Client, ways: &mut Vec<u64>) -> Option<u64> {
    let mut datagram = [0u8; 2048];
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let (len, arrived) = {
        let mut slices = [IoSliceMut::new(&mut datagram)];
        let fd = client.socket.as_raw_fd();
        let message = recvmsg::<SockaddrIn>(fd, &mut slices, Some(&mut control), MsgFlags::MSG_DONTWAIT).ok()?;
        let stamp = message.cmsgs().ok()?.find_map(|c| match c {
            ControlMessageOwned::ScmTimestampns(at) => Some(at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64),
            _ => None,
        });
        (message.bytes, stamp)
    };
    let datagram = &mut datagram[..len];
    if datagram.first().is_none_or(|b| b >> 6 != 2) || is_rtcp(datagram) {
        return Some(0);
    }
    let Some(header) = Header::parse(datagram) else { return Some(0) };
    let receiver = &mut client.srtp.as_mut()?.receiver;
    let Ok((_, len)) = receiver.open(datagram, header.len, header.ssrc, header.sequence) else { return Some(0) };
    let payload = header.payload(&datagram[..len]).unwrap_or(&[]);
    if let (Some(tail), Some(arrived)) = (payload.last_chunk::<8>(), arrived) {
        ways.push(arrived.saturating_sub(u64::from_be_bytes(*tail)));
    }
    Some(1)
}

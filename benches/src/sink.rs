//! The receiving side of the load: every subscriber's media packets are counted; those of a few probes are opened, checked
//! for order by the index in the payload, and their way is measured to the kernel's receive time. Subscribers report as
//! browsers do: a receiver report and transport-wide feedback ten times a second.

use crate::client::Client;
use crate::load::Packet;
use crate::packet::{LAYERS, OPUS, VP8, trailer};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, recvmsg, setsockopt, sockopt,
};
use sfu_core::Micros;
use sfu_core::rtcp::build::{Block, receiver_report};
use sfu_core::rtcp::twcc::Arrivals;
use sfu_core::rtp::{Header, is_rtcp};
use std::collections::HashMap;
use std::io::IoSliceMut;
use std::os::fd::AsRawFd;

/// SSRC of a subscriber's own reports.
const OWN_SSRC: u32 = 1;
/// Bytes that a counting subscriber reads: the RTP header with its extensions.
const HEAD: usize = 64;
/// Datagrams that it takes at once.
const BATCH: usize = 32;
/// Receive buffer of a subscriber: 60 ms of the fastest load. Beyond the system's limit only root gets it.
const RECEIVE_BUFFER: usize = 4 << 20;

/// What is measured of a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Packets are counted by their clear header.
    Counted,
    /// Packets are opened.
    Probed,
}

/// One subscriber.
pub struct Subscriber {
    /// Its end of the transport.
    pub client: Client,
    /// Publishers that it hears.
    pub sources: usize,
    /// Publishers that it is sent in each layer.
    pub by_layer: [usize; LAYERS],
    /// Id of the transport-wide sequence number in what it gets; 0: none, and then it reports nothing.
    pub feedback_id: u8,
    depth: Depth,
    last: HashMap<u16, u64>,
    highest: Vec<(u32, u32)>,
    arrivals: Arrivals,
}

/// What one pass found.
#[derive(Debug, Default)]
pub struct Tally {
    /// Media packets.
    pub received: u64,
    /// Probed packets that came after a later one of their publisher, or twice.
    pub late: u64,
    /// Ways of probed packets, nanoseconds.
    pub ways: Vec<u64>,
}

impl Subscriber {
    /// A subscriber that counts.
    pub fn new(client: Client, sources: usize, feedback_id: u8) -> Self {
        // root's way first; where it is refused, bursts may be lost, and are counted
        let _ = setsockopt(&client.socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)
            .or_else(|_| setsockopt(&client.socket, sockopt::RcvBuf, &RECEIVE_BUFFER));
        Self {
            client,
            sources,
            by_layer: [sources, 0, 0],
            feedback_id,
            depth: Depth::Counted,
            last: HashMap::new(),
            highest: Vec::new(),
            arrivals: Arrivals::default(),
        }
    }

    /// Packets that are to reach it of what every publisher sends.
    pub fn expected(&self, packets: &[Packet]) -> u64 {
        packets.iter().map(|packet| self.by_layer[usize::from(packet.layer)] as u64).sum()
    }

    /// From now on its packets are opened.
    pub fn probe(&mut self) -> anyhow::Result<()> {
        setsockopt(&self.client.socket, sockopt::ReceiveTimestampns, &true)?;
        self.depth = Depth::Probed;
        Ok(())
    }

    /// Takes everything that has arrived.
    pub fn empty(&mut self, now: Micros, tally: &mut Tally) {
        match self.depth {
            Depth::Probed => while self.take_probed(now, tally) {},
            Depth::Counted => while self.take_counted(now, tally) == BATCH {},
        }
    }

    /// One batch; how many there were. Only the heads are read: what a receiver costs is not what is measured.
    fn take_counted(&mut self, now: Micros, tally: &mut Tally) -> usize {
        let mut heads = [[0u8; HEAD]; BATCH];
        let mut lens = [0; BATCH];
        let mut slices = heads.each_mut().map(|head| [IoSliceMut::new(head)]);
        let (fd, flags) = (self.client.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let mut messages = MultiHeaders::<()>::preallocate(BATCH, None);
        let Ok(results) = recvmmsg(fd, &mut messages, slices.iter_mut(), flags, None) else { return 0 };
        let count = results.zip(&mut lens).map(|(message, len)| *len = message.bytes).count();
        for (head, len) in heads.iter().zip(lens).take(count) {
            tally.received += u64::from(self.note(now, &head[..len]).is_some());
        }
        count
    }

    /// Notes an arrival: of retransmissions and probes too, or they would count as lost. The header, if it is media.
    fn note(&mut self, now: Micros, packet: &[u8]) -> Option<Header> {
        let header = rtp(packet)?;
        if let Some(&[high, low]) = header.extension(packet, self.feedback_id) {
            self.arrivals.note(now, u16::from_be_bytes([high, low]));
        }
        if ![VP8, OPUS].contains(&header.payload_type) {
            return None;
        }
        match self.highest.iter_mut().find(|(ssrc, _)| *ssrc == header.ssrc) {
            Some((_, highest)) => {
                let ahead = header.sequence.wrapping_sub(*highest as u16);
                if ahead < 0x8000 {
                    *highest = highest.wrapping_add(ahead.into());
                }
            }
            None => self.highest.push((header.ssrc, header.sequence.into())),
        }
        Some(header)
    }

    /// One datagram of a probe; false if there is none.
    fn take_probed(&mut self, now: Micros, tally: &mut Tally) -> bool {
        let mut datagram = [0u8; 2048];
        let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
        let (len, arrived) = {
            let mut slices = [IoSliceMut::new(&mut datagram)];
            let fd = self.client.socket.as_raw_fd();
            let flags = MsgFlags::MSG_DONTWAIT;
            let Ok(message) = recvmsg::<SockaddrIn>(fd, &mut slices, Some(&mut control), flags) else { return false };
            let stamp = message.cmsgs().ok().into_iter().flatten().find_map(|c| match c {
                ControlMessageOwned::ScmTimestampns(at) => {
                    Some(at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64)
                }
                _ => None,
            });
            (message.bytes, stamp)
        };
        let datagram = &mut datagram[..len];
        let Some(header) = self.note(now, datagram) else { return true };
        let Some(contexts) = &mut self.client.srtp else { return true };
        let Ok((_, len)) = contexts.receiver.open(datagram, header.len, header.ssrc, header.sequence) else {
            return true;
        };
        let Some(found) = header.payload(&datagram[..len]).and_then(trailer) else { return true };
        let last = self.last.entry(found.publisher).or_default();
        if found.index <= *last {
            tally.late += 1;
        }
        *last = found.index.max(*last);
        tally.received += 1;
        if let Some(arrived) = arrived {
            tally.ways.push(arrived.saturating_sub(found.sent_ns));
        }
        true
    }

    /// Tells the forwarder what arrived.
    pub fn report(&mut self) {
        if self.feedback_id == 0 {
            return;
        }
        let block = |&(ssrc, highest): &(u32, u32)| Block {
            ssrc,
            lost: 0,
            total_lost: 0,
            highest,
            jitter: 0,
            last_sr: 0,
            delay: 0,
        };
        let blocks: Vec<Block> = self.highest.iter().map(block).collect();
        let mut compound = receiver_report(OWN_SSRC, &blocks);
        // before the first picture there may be probes
        let about = self.highest.first().map_or(0, |(ssrc, _)| *ssrc);
        compound.extend(self.arrivals.feedback(OWN_SSRC, about).unwrap_or_default());
        self.client.send_rtcp(&compound);
    }
}

/// The header, if this is RTP.
fn rtp(datagram: &[u8]) -> Option<Header> {
    if datagram.first()? >> 6 != 2 || is_rtcp(datagram) {
        return None;
    }
    Header::parse(datagram)
}

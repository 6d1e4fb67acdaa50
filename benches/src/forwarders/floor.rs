//! The least a forwarder of SRTP can do on this machine: receive, open once, seal N times, send. No ICE, no RTCP, no
//! decisions. The send is either GSO (a whole frame a call) or `sendmmsg` (one packet to all a call).

use super::thread;
use crate::generator::{Farewell, Publisher, Running, maker};
use crate::machine::Meter;
use crate::packet::{Kind, SSRC};
use crate::sink::Subscriber;
use sfu::shard::sockets::Sockets;
use sfu::transport::srtp::{Contexts, Profile, Role, TAG};
use sfu_core::rtp::Header;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How packets leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Send {
    /// Frames by GSO.
    Gso,
    /// Packets by sendmmsg.
    Mmsg,
}

/// Keying material of AEAD_AES_256_GCM.
const MATERIAL: usize = 88;

/// Starts a floor with its participants.
pub fn start(subscribers: usize, send: Send) -> anyhow::Result<Running> {
    let mut sockets = Sockets::bind(&[IpAddr::from([127, 0, 0, 1])], 0)?;
    let to = sockets.locals()[0];
    let keys = |n: usize, role| {
        let material: Vec<u8> = (0..MATERIAL).map(|at| (at * 7 + n) as u8).collect();
        Contexts::new(&material, Profile::Aes256Gcm, role)
    };
    let maker = maker();
    let wired = |n| anyhow::Ok(maker.client().wired(to, keys(n, Role::Client)?));
    let publisher = wired(0)?;
    let clients: Vec<_> = (1..=subscribers).map(wired).collect::<anyhow::Result<_>>()?;
    let mut from = keys(0, Role::Server)?.receiver;
    let mut legs = Vec::new();
    for (n, client) in clients.iter().enumerate() {
        legs.push((client.socket.local_addr()?, keys(n + 1, Role::Server)?.sender));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let (thread_id, thread) = thread(move || {
        let mut floor = Floor { send, legs: &mut legs, frame: Vec::new(), arena: Vec::new(), lens: Vec::new() };
        while !stopped.load(Ordering::Relaxed) {
            if wait(&sockets) {
                floor.turn(&mut from, &mut sockets);
            }
        }
    })?;
    let end = Box::new(move || {
        stop.store(true, Ordering::Relaxed);
        Farewell::default()
    });
    Ok(Running {
        publishers: vec![Publisher::new(publisher, Kind::Video, 0)],
        subscribers: clients.into_iter().map(|client| Subscriber::new(client, 1, 0)).collect(),
        meter: Meter::Threads(vec![thread_id]),
        end,
        threads: vec![thread],
        cipher: "AEAD_AES_256_GCM",
    })
}

/// Waits for packets, a while; true if there are any.
fn wait(sockets: &Sockets) -> bool {
    let timeout = rustix::event::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let poll = |fd| rustix::event::PollFd::from_borrowed_fd(fd, rustix::event::PollFlags::IN);
    let mut fds: Vec<_> = sockets.fds().map(poll).collect();
    rustix::event::poll(&mut fds, Some(&timeout)).unwrap_or(0) > 0
}

type Frame = Vec<(u64, usize, Vec<u8>)>;

struct Floor<'a> {
    send: Send,
    legs: &'a mut [(SocketAddr, sfu::transport::srtp::Sender)],
    frame: Frame,
    arena: Vec<u8>,
    lens: Vec<usize>,
}

impl Floor<'_> {
    fn turn(&mut self, from: &mut sfu::transport::srtp::Receiver, sockets: &mut Sockets) {
        let mut whole = Vec::new();
        sockets.receive(0, |_, _, datagram| {
            let Some(header) = Header::parse(datagram) else { return };
            let Ok((index, len)) = from.open(datagram, header.len, header.ssrc, header.sequence) else { return };
            self.frame.push((index, header.len, datagram[..len].to_vec()));
            if header.marker || self.send == Send::Mmsg {
                whole.push(std::mem::take(&mut self.frame));
            }
        });
        for frame in whole {
            self.forward(&frame, sockets);
        }
    }

    fn forward(&mut self, frame: &Frame, sockets: &mut Sockets) {
        let mut singles: Vec<(SocketAddr, Range<usize>)> = Vec::new();
        for (to, sender) in self.legs.iter_mut() {
            let begin = self.arena.len();
            self.lens.clear();
            for (index, header, packet) in frame {
                let start = self.arena.len();
                self.arena.extend_from_slice(packet);
                self.arena.resize(self.arena.len() + TAG, 0);
                if sender.seal(&mut self.arena[start..], *header, SSRC, *index).is_err() {
                    return;
                }
                self.lens.push(self.arena.len() - start);
            }
            match self.send {
                Send::Gso => {
                    sockets.send_run(0, *to, &self.arena[begin..], &self.lens);
                    self.arena.clear();
                }
                Send::Mmsg => singles.push((*to, begin..self.arena.len())),
            }
        }
        sockets.send_each(0, &singles, &self.arena);
        self.arena.clear();
    }
}

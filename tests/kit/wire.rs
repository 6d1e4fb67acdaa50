//! Sees every packet on the loopback interface, as somebody on the network would. Needs CAP_NET_RAW.

use anyhow::Context;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt};
use nix::sys::time::TimeVal;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Bytes kept: 30 s of a small meeting.
const MAX_KEPT: usize = 256 << 20;

/// A running capture.
pub struct Wire {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<u8>>,
}

/// Why nothing can be captured.
#[derive(Debug, thiserror::Error)]
#[error("capturing needs CAP_NET_RAW (root)")]
pub struct NotAllowed;

impl Wire {
    /// Starts to capture all packets of all interfaces.
    pub fn tap() -> anyhow::Result<Self> {
        let socket = match socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), SockProtocol::EthAll) {
            Ok(socket) => socket,
            Err(Errno::EPERM | Errno::EACCES) => return Err(NotAllowed.into()),
            Err(error) => return Err(error).context("open a packet socket"),
        };
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::new(0, 100_000))?;
        setsockopt(&socket, sockopt::RcvBuf, &(8 << 20))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut kept, mut packet) = (Vec::new(), vec![0; 1 << 16]);
            while !stopped.load(Ordering::Relaxed) && kept.len() < MAX_KEPT {
                if let Ok(got) = recv(socket.as_raw_fd(), &mut packet, MsgFlags::empty()) {
                    kept.extend_from_slice(&packet[..got]);
                }
            }
            kept
        });
        Ok(Self { stop, thread })
    }

    /// Ends the capture and gives all packets, one after the other.
    pub fn stop(self) -> Vec<u8> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

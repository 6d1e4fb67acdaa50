//! The UDP sockets of a shard: one per local address on one port, so that an answer leaves from the address it was asked
//! at. Receives in batches with GRO; sends runs with GSO and singles with `sendmmsg`.

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes that wait for us, of which the kernel makes twice as many: a turn of 50 ms (a key frame to 200 subscribers) while
/// 500,000 datagrams of junk a second arrive, each of which takes 768 of them however small it is.
const RECEIVE_BUFFER: usize = 10 << 20;
/// Bytes on their way out: bursts of key frames to 50 subscribers.
const SEND_BUFFER: usize = 4 << 20;
/// Largest datagram taken: media stays below 1,500 bytes.
const MTU: usize = 1500;
/// Most messages of one `sendmmsg`: they are laid out on the stack, and more a call save less than 1 %.
const SEND_BATCH: usize = 16;
/// Largest GSO send: the IPv4 datagram limit with room for headers.
const MAX_GSO_BYTES: usize = 65_000;

/// One bound socket.
struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
}

/// All sockets of a shard.
pub struct Sockets {
    sockets: Vec<Socket>,
    buffers: Box<[Vec<u8>; BATCH_SIZE]>,
    metas: [RecvMeta; BATCH_SIZE],
    /// Datagrams that the kernel did not take.
    pub dropped: u64,
    /// Packets that left in GSO sends, and alone.
    pub sent_in_runs: u64,
    /// Packets that left one by one.
    pub sent_alone: u64,
}

/// Addresses of this machine that ICE may use: every IPv4 address, loopback included, and global IPv6 ones.
pub fn local_addresses() -> io::Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    for interface in nix::ifaddrs::getifaddrs()? {
        let Some(storage) = interface.address else { continue };
        let ip = match (storage.as_sockaddr_in(), storage.as_sockaddr_in6()) {
            (Some(v4), _) => IpAddr::V4(v4.ip()),
            (_, Some(v6)) if is_global(v6.ip()) => IpAddr::V6(v6.ip()),
            _ => continue,
        };
        if !found.contains(&ip) {
            found.push(ip);
        }
    }
    Ok(found)
}

fn is_global(ip: std::net::Ipv6Addr) -> bool {
    !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && ip.segments()[0] & 0xffc0 != 0xfe80
}

impl Sockets {
    /// Binds every address to `port` (0: the first chooses, the others follow). An IPv6 address that cannot be bound is
    /// left out with a warning.
    pub fn bind(addresses: &[IpAddr], port: u16) -> io::Result<Self> {
        let mut sockets: Vec<Socket> = Vec::new();
        for ip in addresses {
            let port = sockets.first().map_or(port, |first| first.local.port());
            match Socket::bind(SocketAddr::new(*ip, port)) {
                Ok(socket) => sockets.push(socket),
                Err(error) if ip.is_ipv6() => tracing::warn!(%ip, %error, "address left out"),
                Err(error) => {
                    return Err(io::Error::new(error.kind(), format!("UDP {ip} port {port}: {error}")));
                }
            }
        }
        if sockets.is_empty() {
            return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no network interface has an address"));
        }
        let segments = sockets.iter().map(|s| s.state.gro_segments()).max().unwrap_or(1);
        let buffers = Box::new(std::array::from_fn(|_| vec![0; segments * MTU]));
        let metas = [RecvMeta::default(); BATCH_SIZE];
        Ok(Self { sockets, buffers, metas, dropped: 0, sent_in_runs: 0, sent_alone: 0 })
    }

    /// Bytes that the kernel may hold for them, both ways.
    pub fn buffers(&self) -> usize {
        let of = |s: &Socket| {
            let receive = s.state.recv_buffer_size((&s.socket).into());
            receive.unwrap_or(0) + s.state.send_buffer_size((&s.socket).into()).unwrap_or(0)
        };
        self.sockets.iter().map(of).sum()
    }

    /// Where we listen.
    pub fn locals(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|s| s.local).collect()
    }

    /// The socket of a local address.
    pub fn index_of(&self, local: SocketAddr) -> Option<usize> {
        self.sockets.iter().position(|s| s.local == local)
    }

    /// For polling.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(|s| s.socket.as_fd())
    }

    /// Receives one batch of a socket and hands each datagram over. Returns how many buffers were filled.
    pub fn receive(&mut self, at: usize, mut each: impl FnMut(SocketAddr, SocketAddr, &mut [u8])) -> usize {
        let Self { sockets, buffers, metas, .. } = self;
        let socket = &sockets[at];
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] = buffers.each_mut().map(|b| IoSliceMut::new(b));
        let count = socket.state.recv((&socket.socket).into(), &mut slices, metas).unwrap_or(0);
        for (slice, meta) in slices.iter_mut().zip(metas.iter()).take(count) {
            for datagram in slice[..meta.len].chunks_mut(meta.stride.max(1)) {
                each(socket.local, meta.addr, datagram);
            }
        }
        count
    }

    /// Sends one datagram.
    pub fn send(&mut self, at: usize, to: SocketAddr, contents: &[u8]) {
        self.transmit(at, to, contents, None);
        self.sent_alone += 1;
    }

    /// Sends packets that lie end to end, each of `lens`, cut into GSO runs of equal length.
    pub fn send_run(&mut self, at: usize, to: SocketAddr, contents: &[u8], lens: &[usize]) {
        let most = self.sockets[at].state.max_gso_segments();
        let (mut first, mut start) = (0, 0);
        while first < lens.len() {
            let size = lens[first];
            let (mut next, mut total) = (first + 1, size);
            while next < lens.len() && next - first < most && total + lens[next] <= MAX_GSO_BYTES && lens[next] <= size
            {
                total += lens[next];
                next += 1;
                // a shorter one may only be the last
                if lens[next - 1] < size {
                    break;
                }
            }
            if next - first > 1 {
                self.transmit(at, to, &contents[start..start + total], Some(size));
                self.sent_in_runs += (next - first) as u64;
            } else {
                self.send(at, to, &contents[start..start + total]);
            }
            (first, start) = (next, start + total);
        }
    }

    fn transmit(&mut self, at: usize, to: SocketAddr, contents: &[u8], segment_size: Option<usize>) {
        let socket = &self.sockets[at];
        let transmit = Transmit { destination: to, ecn: None, contents, segment_size, src_ip: None };
        if socket.state.try_send((&socket.socket).into(), &transmit).is_err() {
            self.dropped += 1;
        }
    }

    /// Sends one datagram each to several destinations.
    pub fn send_each(&mut self, at: usize, messages: &[(SocketAddr, Range<usize>)], contents: &[u8]) {
        for batch in messages.chunks(SEND_BATCH) {
            if let [(to, range)] = batch {
                self.send(at, *to, &contents[range.clone()]);
                continue;
            }
            self.send_batch(at, batch, contents);
        }
    }

    /// One `sendmmsg`; the arrays lie on the stack, filled up with the last message, which is sent once.
    fn send_batch(&mut self, at: usize, batch: &[(SocketAddr, Range<usize>)], contents: &[u8]) {
        let message = |n: usize| &batch[n.min(batch.len() - 1)];
        let addresses: [SocketAddrAny; SEND_BATCH] = std::array::from_fn(|n| message(n).0.into());
        let slices: [[IoSlice<'_>; 1]; SEND_BATCH] =
            std::array::from_fn(|n| [IoSlice::new(&contents[message(n).1.clone()])]);
        let mut control: [SendAncillaryBuffer<'_, '_, '_>; SEND_BATCH] =
            std::array::from_fn(|_| SendAncillaryBuffer::default());
        let mut parts = addresses.iter().zip(&slices).zip(&mut control);
        let mut headers: [MMsgHdr<'_>; SEND_BATCH] = std::array::from_fn(|_| {
            let ((address, slice), control) = parts.next().expect("all arrays are of one length");
            MMsgHdr::new_with_addr(address, slice, control)
        });
        let mut done = 0;
        while done < batch.len() {
            match rustix::net::sendmmsg(&self.sockets[at].socket, &mut headers[done..batch.len()], SendFlags::DONTWAIT)
            {
                Ok(sent) if sent > 0 => {
                    done += sent;
                    self.sent_alone += sent as u64;
                }
                // the first of the rest cannot be sent: leave it out, go on with the others
                _ => {
                    done += 1;
                    self.dropped += 1;
                }
            }
        }
    }
}

impl Socket {
    fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        let state = UdpSocketState::new((&socket).into())?;
        // `net.core.rmem_max` binds who has not CAP_NET_ADMIN: then bursts may be lost, and the log says so
        let forced = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER);
        if forced.is_err() {
            let _ = state.set_recv_buffer_size((&socket).into(), RECEIVE_BUFFER);
        }
        let _ = state.set_send_buffer_size((&socket).into(), SEND_BUFFER);
        let room = state.recv_buffer_size((&socket).into()).unwrap_or(0);
        if room < RECEIVE_BUFFER {
            tracing::warn!(
                room,
                wanted = 2 * RECEIVE_BUFFER,
                "receive buffer too small for a flood: raise net.core.rmem_max"
            );
        }
        let local = socket.local_addr()?;
        Ok(Self { socket, state, local })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_singles_arrive_whole_and_in_order() {
        let localhost = [IpAddr::from([127, 0, 0, 1])];
        let mut sender = Sockets::bind(&localhost, 0).expect("loopback");
        let mut receiver = Sockets::bind(&localhost, 0).expect("loopback");
        let to = receiver.locals()[0];
        let lens = [100, 100, 60, 200, 50, 50];
        let contents: Vec<u8> = lens.iter().enumerate().flat_map(|(n, len)| vec![n as u8; *len]).collect();
        sender.send_run(0, to, &contents, &lens);
        sender.send_each(0, &[(to, 0..100), (to, 200..260)], &contents);
        let mut got = Vec::new();
        while got.len() < 8 {
            receiver.receive(0, |_, _, datagram| got.push((datagram[0], datagram.len())));
        }
        let expected = [(0, 100), (1, 100), (2, 60), (3, 200), (4, 50), (5, 50), (0, 100), (2, 60)];
        assert_eq!(got, expected);
        assert!(local_addresses().expect("readable").contains(&localhost[0]));
    }
}

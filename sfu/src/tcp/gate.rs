//! Accepts TCP connections and finds the shard that each is for. It runs beside the control link, never on a shard: a
//! flood of connections delays other joins over TCP, and no packet. It reads one frame, proves nothing and answers
//! nothing; the shard proves.

use super::framing::HEADER;
use super::{Arrival, shard_of};
use crate::shard::commands::Command;
use crate::shards::Shards;
use crate::transport::{Path, Protocol};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

/// The first frame must be there in so long: three round trips on the worst link, with one lost segment.
const FIRST: Duration = Duration::from_secs(3);
/// A binding request is longer than a STUN header with a user name, and never longer than this: browsers send below 200.
const FIRST_LEN: std::ops::RangeInclusive<usize> = 20..=548;
/// Connections of one source: a bank's offices may share one address; two transports each, twice while ICE restarts.
const PER_SOURCE: usize = 1024;
/// Connections in all: two transports of a thousand people, twice.
pub const IN_ALL: usize = 4096;
/// ... that have proved nothing yet, of one source: a shared address whose whole floor joins at once.
const UNPROVEN_PER_SOURCE: usize = 64;
/// ... and in all.
const UNPROVEN: usize = 512;
/// The system refuses to accept (descriptors are used up): some will be closed by then.
const RETRY: Duration = Duration::from_millis(50);

/// Counts connections; shared by all listeners of a node.
#[derive(Debug, Default)]
pub struct Gate {
    counts: Mutex<Counts>,
    refused: AtomicU64,
}

/// Connections, as many as there are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    open: usize,
    unproven: usize,
}

#[derive(Debug, Default)]
struct Counts {
    all: Count,
    sources: HashMap<IpAddr, Count>,
}

/// Has the other end proved who it is?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Unproven,
    Proven,
}

/// The place of one connection among all; given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    source: IpAddr,
    standing: Standing,
}

impl Gate {
    /// A place for one more connection, if the bounds leave one.
    pub(crate) fn admit(self: &Arc<Self>, source: IpAddr) -> Option<Permit> {
        let source = network(source);
        let admitted = self.change(source, |all, of_source| {
            let room = all.open < IN_ALL
                && all.unproven < UNPROVEN
                && of_source.open < PER_SOURCE
                && of_source.unproven < UNPROVEN_PER_SOURCE;
            for count in [all, of_source] {
                count.open += usize::from(room);
                count.unproven += usize::from(room);
            }
            room
        });
        admitted.then(|| Permit { gate: self.clone(), source, standing: Standing::Unproven })
    }

    fn change<T>(&self, source: IpAddr, change: impl FnOnce(&mut Count, &mut Count) -> T) -> T {
        // no panic is possible while it is held
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { all, sources } = &mut *counts;
        let of_source = sources.entry(source).or_default();
        let result = change(all, of_source);
        if of_source.open == 0 {
            sources.remove(&source);
        }
        result
    }

    /// Connections that were closed before a shard saw them.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Connections there are.
    pub fn open(&self) -> usize {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).all.open
    }
}

impl Permit {
    /// The other end has proved who it is.
    pub fn proved(&mut self) {
        if self.standing == Standing::Unproven {
            self.standing = Standing::Proven;
            self.gate.change(self.source, |all, of_source| {
                all.unproven -= 1;
                of_source.unproven -= 1;
            });
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.proved();
        self.gate.change(self.source, |all, of_source| {
            all.open -= 1;
            of_source.open -= 1;
        });
    }
}

/// What counts as one source: an IPv6 host may use its whole /64.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// Why a connection was closed: the peer's fault, but for the last.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("its first frame did not come in time")]
    Silent(#[from] tokio::time::error::Elapsed),
    #[error("it ended early: {0}")]
    Ended(#[from] std::io::Error),
    #[error("its first frame has {0} bytes")]
    Length(usize),
    #[error("its first frame is no binding request for a shard of ours")]
    Nobody,
    #[error("the shard takes no more")]
    Busy,
}

/// Accepts connections for ever.
pub async fn serve(listener: TcpListener, gate: Arc<Gate>, shards: Shards) {
    loop {
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        };
        let Some(permit) = gate.admit(remote.ip()) else {
            gate.refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        let (gate, shards) = (gate.clone(), shards.clone());
        tokio::spawn(async move {
            if let Err(why) = introduce(stream, remote, permit, &shards).await {
                gate.refused.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%why, "a TCP connection was closed");
            }
        });
    }
}

/// Takes the first frame and hands the connection to the shard it names.
async fn introduce(mut stream: TcpStream, remote: SocketAddr, permit: Permit, shards: &Shards) -> Result<(), Refused> {
    let path = Path { local: stream.local_addr()?, remote, protocol: Protocol::Tcp };
    let first = tokio::time::timeout(FIRST, first_frame(&mut stream)).await??;
    let message = is::stun::StunMessage::parse(&first).ok().filter(is::stun::StunMessage::is_binding_request);
    let named = message.and_then(|message| shard_of(message.split_username()?.0));
    let shard = named.and_then(|shard| shards.all().get(shard)).ok_or(Refused::Nobody)?;
    let arrival = Arrival { stream: stream.into_std()?, path, first, permit };
    shard.send(Command::Arrival(Box::new(arrival))).map_err(|_| Refused::Busy)
}

/// Exactly one frame: whatever follows is the shard's.
async fn first_frame(stream: &mut TcpStream) -> Result<Vec<u8>, Refused> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).await?;
    let len = usize::from(u16::from_be_bytes(header));
    if !FIRST_LEN.contains(&len) {
        return Err(Refused::Length(len));
    }
    let mut frame = vec![0; len];
    stream.read_exact(&mut frame).await?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(n: usize) -> IpAddr {
        IpAddr::from([10, 0, (n >> 8) as u8, n as u8])
    }

    #[test]
    fn one_source_and_all_together_have_bounds_that_are_given_back() {
        let gate = Arc::new(Gate::default());
        let mut held: Vec<Permit> = (0..UNPROVEN_PER_SOURCE).filter_map(|_| gate.admit(source(1))).collect();
        assert_eq!(held.len(), UNPROVEN_PER_SOURCE);
        assert!(gate.admit(source(1)).is_none() && gate.admit(source(2)).is_some());
        held.iter_mut().for_each(Permit::proved);
        while let Some(mut permit) = gate.admit(source(1)) {
            permit.proved();
            held.push(permit);
        }
        assert_eq!(held.len(), PER_SOURCE, "proven ones have a bound too");
        drop(held);
        assert_eq!((gate.open(), gate.counts.lock().expect("free").sources.len()), (0, 0), "nothing is kept");
    }

    #[test]
    fn many_sources_together_have_bounds() {
        let gate = Arc::new(Gate::default());
        let mut held: Vec<Permit> = (0..2 * UNPROVEN).filter_map(|n| gate.admit(source(n))).collect();
        assert_eq!(held.len(), UNPROVEN);
        held.iter_mut().for_each(Permit::proved);
        for n in 0..2 * IN_ALL {
            if let Some(mut permit) = gate.admit(source(n)) {
                permit.proved();
                held.push(permit);
            }
        }
        assert_eq!((held.len(), gate.open()), (IN_ALL, IN_ALL));
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one_source() {
        let [one, other, far] =
            ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"].map(|ip| ip.parse().expect("an address"));
        assert_eq!(network(one), network(other));
        assert_ne!(network(one), network(far));
        assert_eq!(network("::ffff:10.0.0.1".parse().expect("an address")), IpAddr::from([10, 0, 0, 1]));
    }
}

//! What an attacker sends: datagrams of one kind at a rate, from sources of its own or from a member's.

use clap::ValueEnum;
use quinn_udp::{Transmit, UdpSocketState};
use serde::Serialize;
use sfu::shard::sockets::Sockets;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Bytes of a datagram: a small one costs its receiver as much as a large one.
const SIZE: usize = 100;
/// Datagrams of one send.
const RUN: usize = 48;
/// Different runs of a flood.
const RUNS: usize = 16;
/// Sources of its own.
const SOURCES: usize = 16;
/// A flood that was not let run for so long does not make up for it.
const BEHIND: Duration = Duration::from_millis(5);

/// What the datagrams are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Kind {
    /// Random bytes.
    Random,
    /// Binding requests under no known name.
    Stun,
    /// Binding requests under a member's name, without its password.
    StunNamed,
    /// DTLS records from addresses that proved nothing.
    Dtls,
    /// Media from addresses that proved nothing.
    Media,
    /// Media without a good tag from a member's own address.
    Forged,
    /// DTLS records without a good tag from a member's own address.
    ForgedDtls,
}

/// How they leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Form {
    /// By GSO: the kernel hands them over in runs, as with a network card that joins them.
    Runs,
    /// One by one (`sendmmsg`), as from ever new sources.
    Singles,
}

/// Where from.
pub enum Source {
    /// Anywhere.
    Strangers,
    /// A member's socket.
    Member(UdpSocket),
}

/// One flood.
pub struct Flood {
    /// What.
    pub kind: Kind,
    /// How.
    pub form: Form,
    /// To whom.
    pub to: SocketAddr,
    /// Datagrams a second.
    pub rate: u64,
    /// A member's user name, for [`Kind::StunNamed`].
    pub name: String,
}

impl Kind {
    /// Does it come from a member's address?
    pub fn of_a_member(self) -> bool {
        matches!(self, Self::Forged | Self::ForgedDtls)
    }
}

impl Flood {
    /// Floods for so long; returns how many were sent.
    pub fn run(&self, source: Source, time: Duration) -> anyhow::Result<u64> {
        let runs = self.runs()?;
        let size = runs[0].len() / RUN;
        match source {
            Source::Member(socket) => {
                let state = UdpSocketState::new((&socket).into())?;
                Ok(self.paced(time, |n| {
                    let contents = &runs[n % RUNS];
                    let transmit =
                        Transmit { destination: self.to, ecn: None, contents, segment_size: Some(size), src_ip: None };
                    // what the kernel does not take is no flood
                    if state.try_send((&socket).into(), &transmit).is_ok() { RUN as u64 } else { 0 }
                }))
            }
            Source::Strangers => {
                let loopback = [IpAddr::from([127, 0, 0, 1])];
                let bound = (0..SOURCES).map(|_| Sockets::bind(&loopback, 0));
                let mut sources: Vec<Sockets> = bound.collect::<std::io::Result<_>>()?;
                let lens = [size; RUN];
                let each: Vec<(SocketAddr, Range<usize>)> =
                    (0..RUN).map(|at| (self.to, at * size..(at + 1) * size)).collect();
                Ok(self.paced(time, |n| {
                    let (from, contents) = (&mut sources[n % SOURCES], &runs[n % RUNS]);
                    let before = from.dropped;
                    match self.form {
                        Form::Runs => from.send_run(0, self.to, contents, &lens),
                        Form::Singles => from.send_each(0, &each, contents),
                    }
                    RUN as u64 - (from.dropped - before).min(RUN as u64)
                }))
            }
        }
    }

    fn paced(&self, time: Duration, mut send: impl FnMut(usize) -> u64) -> u64 {
        let step = Duration::from_nanos(1_000_000_000 * RUN as u64 / self.rate.max(1));
        let (began, mut due, mut sent, mut n) = (Instant::now(), Instant::now(), 0, 0);
        while began.elapsed() < time {
            let now = Instant::now();
            if now < due {
                std::thread::yield_now();
                continue;
            }
            due = (due + step).max(now.checked_sub(BEHIND).unwrap_or(now));
            sent += send(n);
            n += 1;
        }
        sent
    }

    /// Runs of datagrams of one size, end to end.
    fn runs(&self) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut seed = 5u64;
        let mut one = || -> anyhow::Result<Vec<u8>> {
            let mut bytes: Vec<u8> = Vec::with_capacity(SIZE);
            while bytes.len() < SIZE {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                bytes.push((seed >> 40) as u8);
            }
            self.shape(&mut bytes)?;
            Ok(bytes)
        };
        let mut run =
            || -> anyhow::Result<Vec<u8>> { Ok((0..RUN).map(|_| one()).collect::<anyhow::Result<Vec<_>>>()?.concat()) };
        (0..RUNS).map(|_| run()).collect()
    }

    fn shape(&self, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
        let head: &[u8] = match self.kind {
            Kind::Random => &[],
            Kind::Stun | Kind::StunNamed => {
                let name = if self.kind == Kind::Stun { "nobody:here" } else { &self.name };
                let id = is::stun::TransId::new();
                let message = is::stun::StunMessage::binding_request(name, id, true, 1, 1, true);
                bytes.resize(512, 0);
                let tag: [u8; 20] = std::array::from_fn(|at| bytes[at]);
                let len = message.to_bytes(Some(b"not the password"), bytes, |_, _| tag)?;
                bytes.truncate(len);
                return Ok(());
            }
            // application data of epoch 1, as long as the datagram
            Kind::Dtls | Kind::ForgedDtls => &[23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, (SIZE - 13) as u8],
            Kind::Media | Kind::Forged => &[0x80, 111],
        };
        bytes[..head.len()].copy_from_slice(head);
        if matches!(self.kind, Kind::Media | Kind::Forged) {
            // the stream of the first microphone
            bytes[8..12].copy_from_slice(&benches::packet::ssrc_of(0).to_be_bytes());
        }
        Ok(())
    }
}

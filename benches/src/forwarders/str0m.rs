//! The case of str0m: a plain forwarder in RTP mode, one thread, one socket, one `sendto` a packet, as its users write it.

use super::thread;
use crate::generator::{Farewell, Publisher, Running, connect, maker};
use crate::machine::Meter;
use crate::packet::{Kind, SSRC};
use crate::sink::Subscriber;
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use str0m::config::Fingerprint;
use str0m::ice::IceCreds;
use str0m::media::{MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// Id of the transport-wide sequence number.
const FEEDBACK: u8 = 3;
/// Longest sleep on the socket.
const MAX_WAIT: Duration = Duration::from_millis(20);

struct Leg {
    rtc: Rtc,
    remote: SocketAddr,
    wake: Instant,
}

/// Starts a forwarder with its participants.
pub fn start(subscribers: usize) -> anyhow::Result<Running> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let local = socket.local_addr()?;
    let maker = maker();
    let (mut clients, mut legs) = (Vec::new(), Vec::new());
    let mid: Mid = "0".into();
    for n in 0..=subscribers {
        let mut client = maker.client();
        let now = Instant::now();
        let config = RtcConfig::new().set_ice_lite(true).set_rtp_mode(true).clear_codecs().enable_vp8(true);
        let mut rtc = config.set_extension(FEEDBACK, Extension::TransportSequenceNumber).build(now);
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        let (ufrag, pass, fingerprint) = client.description();
        let mut api = rtc.direct_api();
        api.set_ice_controlling(false);
        api.set_remote_ice_credentials(IceCreds { ufrag, pass });
        api.set_remote_fingerprint(Fingerprint { hash_func: "sha-256".into(), bytes: fingerprint });
        api.declare_media(mid, MediaKind::Video);
        if n == 0 {
            api.expect_stream_rx(SSRC.into(), Some((SSRC + 1).into()), mid, None);
        } else {
            api.declare_stream_tx(SSRC.into(), Some((SSRC + 1).into()), mid, None);
        }
        api.start_dtls(false)?;
        let creds = api.local_ice_credentials();
        let fingerprint = api.local_dtls_fingerprint().bytes.clone();
        let remote = client.local_address();
        client.expect((creds.ufrag, creds.pass), fingerprint, local);
        rtc.add_remote_candidate(Candidate::host(remote, "udp")?);
        legs.push(Leg { rtc, remote, wake: now });
        clients.push(client);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let (thread_id, thread) = thread(move || {
        let by_address: HashMap<SocketAddr, usize> = legs.iter().enumerate().map(|(n, l)| (l.remote, n)).collect();
        let mut forwarder = Forwarder { socket, local, legs, by_address };
        while !stopped.load(Ordering::Relaxed) {
            if forwarder.turn().is_err() {
                return;
            }
        }
    })?;
    let mut all: Vec<_> = clients.iter_mut().collect();
    connect(&mut all, || {})?;
    let publisher = clients.remove(0);
    let end = Box::new(move || {
        stop.store(true, Ordering::Relaxed);
        Farewell::default()
    });
    Ok(Running {
        cipher: super::cipher(&publisher),
        publishers: vec![Publisher::new(publisher, Kind::Video, 0)],
        subscribers: clients.into_iter().map(|client| Subscriber::new(client, 1, FEEDBACK)).collect(),
        meter: Meter::Threads(vec![thread_id]),
        end,
        threads: vec![thread],
    })
}

struct Forwarder {
    socket: UdpSocket,
    local: SocketAddr,
    legs: Vec<Leg>,
    by_address: HashMap<SocketAddr, usize>,
}

impl Forwarder {
    fn turn(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let next = self.legs.iter().map(|leg| leg.wake).min().unwrap_or(now);
        let wait = next.saturating_duration_since(now).clamp(Duration::from_millis(1), MAX_WAIT);
        self.socket.set_read_timeout(Some(wait))?;
        let mut datagram = [0u8; 2048];
        if let Ok((len, from)) = self.socket.recv_from(&mut datagram) {
            self.datagram(from, &datagram[..len])?;
        }
        let now = Instant::now();
        for leg in 0..self.legs.len() {
            if self.legs[leg].wake <= now {
                self.legs[leg].rtc.handle_input(Input::Timeout(now))?;
                self.drain(leg)?;
            }
        }
        Ok(())
    }

    fn datagram(&mut self, from: SocketAddr, datagram: &[u8]) -> anyhow::Result<()> {
        let Some(leg) = self.by_address.get(&from).copied() else { return Ok(()) };
        let receive =
            Receive { proto: Protocol::Udp, source: from, destination: self.local, contents: datagram.try_into()? };
        self.legs[leg].rtc.handle_input(Input::Receive(Instant::now(), receive))?;
        self.drain(leg)
    }

    fn drain(&mut self, at: usize) -> anyhow::Result<()> {
        loop {
            match self.legs[at].rtc.poll_output()? {
                Output::Timeout(wake) => {
                    self.legs[at].wake = wake;
                    return Ok(());
                }
                Output::Transmit(transmit) => {
                    // a full buffer is loss, and is counted at the subscriber
                    let _ = self.socket.send_to(&transmit.contents, transmit.destination);
                }
                Output::Event(Event::RtpPacket(packet)) => {
                    let now = Instant::now();
                    for to in 1..self.legs.len() {
                        let rtc = &mut self.legs[to].rtc;
                        let mut api = rtc.direct_api();
                        let Some(stream) = api.stream_tx(&Ssrc::from(SSRC)) else { continue };
                        let write = RtpWrite::new(
                            packet.header.payload_type,
                            packet.seq_no,
                            packet.header.timestamp,
                            now,
                            packet.payload.clone(),
                        );
                        stream.write_rtp(write.marker(packet.header.marker).nackable(true));
                        rtc.handle_input(Input::Timeout(now))?;
                        self.drain(to)?;
                    }
                }
                Output::Event(_) => {}
            }
        }
    }
}

//! The shard over real UDP on loopback: ICE, DTLS, SRTP and forwarding, with participants in this process.

mod client;
mod strangers;
mod tcp;

use client::{Client, Maker};
use dimpl::SrtpProfile;
use domain::message::client::PublishedTrack;
use domain::message::control::{FirmRule, FromSfu, ToSfu};
use domain::policy::Rule;
use domain::{Codec, Epoch, Kid, LeafIndex, MeetingId, ParticipantId, Slot, TransportKind};
use sfu::shard::commands::{Command, Commands};
use sfu::shard::sockets::Sockets;
use sfu::shard::{EdgeStats, Parts, Shard};
use sfu::transport::ice_dtls::IceDtlsFactory;
use sfu_core::rtcp::build;
use sfu_core::rtp::Header;
use sfu_core::sdp::offer::OfferSection;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Three times what a loaded machine needs.
const DEADLINE: Duration = Duration::from_secs(20);

struct Server {
    commands: Commands,
    told: mpsc::Receiver<FromSfu>,
    address: SocketAddr,
    thread: Option<std::thread::JoinHandle<()>>,
    door: Option<tcp::Door>,
}

fn meeting() -> MeetingId {
    "0123456789abcdef0123456789abcdef".parse().expect("an id")
}

fn who(name: &str) -> ParticipantId {
    format!("bank-a/{name}/1").parse().expect("a participant")
}

impl Server {
    fn start() -> Self {
        Self::start_at(IpAddr::from([127, 0, 0, 1]))
    }
    fn start_at(address: IpAddr) -> Self {
        Self::start_behind(address, None)
    }
    /// A shard that is reached over TCP as well, if there is a door.
    fn start_behind(address: IpAddr, listener: Option<std::net::TcpListener>) -> Self {
        let sockets = Sockets::bind(&[address], 0).expect("an address of ours");
        let address = sockets.locals()[0];
        let tcp: Vec<SocketAddr> = listener.iter().map(|at| at.local_addr().expect("bound")).collect();
        let factory = IceDtlsFactory::new(sockets.locals()).expect("DTLS").with_tcp(tcp, 0);
        let (commands, receiver, wake) = Commands::channel().expect("a queue");
        let (control, told) = mpsc::channel(1024);
        let parts = Parts { sockets, factory, commands: receiver, wake, control, seed: 1 };
        let thread = std::thread::spawn(move || Shard::new(parts).run());
        let door = listener.map(|listener| tcp::Door::open(listener, &commands));
        let server = Self { commands, told, address, thread: Some(thread), door };
        let firm =
            FirmRule { firm: "bank-a".parse().expect("a firm"), audio_video: Rule::Off, recorder_grace_ms: 2000 };
        server.say(ToSfu::Meeting { meeting: meeting(), firms: vec![firm] });
        server
    }
    fn say(&self, message: ToSfu) {
        self.commands.send(Command::Control(message)).expect("taken");
    }
    fn admit(&self, name: &str) {
        let participant = who(name);
        self.say(ToSfu::Participant { meeting: meeting(), participant, recorder: false, may_publish: true });
    }
    /// Drives the clients until the SFU says what is waited for.
    fn told<T>(&mut self, clients: &mut [&mut Client], mut wanted: impl FnMut(&FromSfu) -> Option<T>) -> T {
        let until = Instant::now() + DEADLINE;
        loop {
            drive(clients);
            while let Ok(message) = self.told.try_recv() {
                if let Some(found) = wanted(&message) {
                    return found;
                }
            }
            assert!(Instant::now() < until, "the SFU did not say it in time");
        }
    }
    fn stats(&self) -> (EdgeStats, sfu_core::Stats) {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Stats(reply)).expect("taken");
        answer.blocking_recv().expect("answered")
    }
    fn publish(&mut self, name: &str, maker: &Maker) -> Client {
        self.admit(name);
        let mut client = maker.client_at(self.address.ip());
        self.offer(name, &mut client);
        client
    }
    fn offer(&mut self, name: &str, client: &mut Client) {
        let section = |mid: &str, codec, ssrc| OfferSection {
            mid: mid.into(),
            codec,
            ssrc,
            repair_ssrc: ssrc + 1,
            stream: Some("me".into()),
        };
        let sdp = client.offer(&[section("0", Codec::Opus, 100), section("1", Codec::Vp8, 200)]);
        let tracks = vec![
            PublishedTrack { mid: "0".into(), slot: Slot::MICROPHONE, codec: Codec::Opus },
            PublishedTrack { mid: "1".into(), slot: Slot::CAMERA, codec: Codec::Vp8 },
        ];
        self.say(ToSfu::PublishOffer { meeting: meeting(), participant: who(name), sdp, tracks });
        let answer = self.told(&mut [], |m| match m {
            FromSfu::PublishAnswer { sdp, .. } => Some(sdp.clone()),
            FromSfu::Failed { detail, .. } => panic!("{detail}"),
            _ => None,
        });
        client.take_answer(&answer);
    }
    fn subscribe(&mut self, name: &str, maker: &Maker) -> (Client, String) {
        let (sdp, revision) = self.offered(&mut [], name);
        let mut client = maker.client_at(self.address.ip());
        self.answer(name, &mut client, &sdp, revision);
        (client, sdp)
    }
    /// Drives the clients until the SFU offers somebody what there is.
    fn offered(&mut self, clients: &mut [&mut Client], name: &str) -> (String, u32) {
        self.told(clients, |m| match m {
            FromSfu::SubscribeOffer { participant, sdp, revision, .. } if *participant == who(name) => {
                Some((sdp.clone(), *revision))
            }
            _ => None,
        })
    }
    fn answer(&self, name: &str, client: &mut Client, sdp: &str, revision: u32) {
        let answer = client.answer(sdp);
        self.say(ToSfu::SubscribeAnswer { meeting: meeting(), participant: who(name), revision, sdp: answer });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the shard panicked");
        }
    }
}

fn drive(clients: &mut [&mut Client]) {
    for client in clients.iter_mut() {
        client.drive();
    }
    std::thread::yield_now();
}

fn until(clients: &mut [&mut Client], mut done: impl FnMut(&mut [&mut Client]) -> bool) {
    let until = Instant::now() + DEADLINE;
    while !done(clients) {
        drive(clients);
        assert!(Instant::now() < until, "it did not happen in time");
    }
}

fn sealed(slot: Slot, size: usize) -> Vec<u8> {
    let kid = Kid::new(slot, LeafIndex(0), Epoch(9)).0.to_be_bytes();
    let first = kid.iter().position(|b| *b != 0).unwrap_or(7);
    let mut out = vec![0x80 | ((7 - first) as u8) << 4 | 3];
    out.extend(&kid[first..]);
    out.resize(size, 0x77);
    out
}

fn rtp(payload_type: u8, ssrc: u32, index: u64, marker: bool, payload: &[u8]) -> Vec<u8> {
    let mut p = vec![0x80, payload_type | u8::from(marker) << 7];
    p.extend((index as u16).to_be_bytes());
    p.extend([0, 0, 3, 132]);
    p.extend(ssrc.to_be_bytes());
    p.extend(payload);
    p
}

fn picture(index: u64, start: bool, marker: bool) -> Vec<u8> {
    let mut payload = if start { vec![0x10, 0] } else { vec![0x00] };
    payload.extend(sealed(Slot::CAMERA, 900));
    rtp(96, 200, index, marker, &payload)
}

#[test]
fn a_packet_published_arrives_resealed_at_the_subscriber_and_lost_ones_are_sent_again() {
    let maker = Maker::new();
    let mut server = Server::start();
    server.admit("ben");
    let mut anna = server.publish("anna", &maker);
    let (mut ben, offer) = server.subscribe("ben", &maker);
    let mut up = Vec::new();
    server.told(&mut [&mut anna, &mut ben], |m| {
        if let FromSfu::Connected { transport, .. } = m {
            up.push(*transport);
        }
        (up.contains(&TransportKind::Publish) && up.contains(&TransportKind::Subscribe)).then_some(())
    });
    until(&mut [&mut anna, &mut ben], |c| c.iter().all(|c| c.srtp.is_some()));
    assert_eq!(anna.profile, Some(SrtpProfile::AEAD_AES_256_GCM));
    assert_eq!(ben.profile, Some(SrtpProfile::AEAD_AES_256_GCM));
    until(&mut [&mut anna, &mut ben], |c| c[0].rtcp.contains(&build::key_frame_request(1, 200)));

    let sound = rtp(111, 100, 40, true, &sealed(Slot::MICROPHONE, 80));
    anna.send(&sound, 40);
    for (index, start, marker) in [(50, true, false), (51, false, false), (52, false, true)] {
        anna.send(&picture(index, start, marker), index);
    }
    until(&mut [&mut anna, &mut ben], |c| c[1].rtp.len() >= 4);
    let by_type = |pt: u8| ben.rtp.iter().filter(move |(_, p)| p[1] & 0x7f == pt).map(|(i, p)| (*i, p.clone()));
    let (_, heard) = by_type(111).next().expect("sound");
    let header = Header::parse(&heard).expect("RTP");
    assert_eq!(heard[header.len..], sound[12..], "the sealed frame is untouched");
    assert_eq!(by_type(96).count(), 3);

    let (_, first) = by_type(96).next().expect("a picture");
    let video = Header::parse(&first).expect("RTP");
    assert!(offer.contains(&format!("a=ssrc-group:FID {} ", video.ssrc)));
    ben.rtp.clear();
    ben.send_rtcp(&build::nack(1, video.ssrc, &[video.sequence]).expect("not empty"));
    until(&mut [&mut anna, &mut ben], |c| !c[1].rtp.is_empty());
    let again = Header::parse(&ben.rtp[0].1).expect("RTP");
    assert_eq!(again.payload_type, 97);
    assert_eq!(ben.rtp[0].1[again.len + 2..], first[video.len..]);

    server.say(ToSfu::Cut { meeting: meeting(), participant: who("anna") });
    until(&mut [&mut anna, &mut ben], |c| c[0].closed);
    let (edge, core) = server.stats();
    assert_eq!((edge.transports, edge.not_sealed, edge.not_opened), (1, 0, 0));
    assert_eq!((core.forwarded, core.retransmitted, core.received), (4, 1, 4));
}

#[test]
fn garbage_on_udp_leaves_no_state_and_is_not_answered() {
    let maker = Maker::new();
    let mut server = Server::start();
    let client = server.publish("anna", &maker);
    let before = server.stats().0;
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    let name = client.user_name();
    let mut seed = 5u64;
    for round in 0..3000u32 {
        let mut datagram = vec![0u8; 1 + (seed >> 33) as usize % 200];
        for byte in &mut datagram {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (seed >> 40) as u8;
        }
        // every kind by its first byte: STUN, DTLS, RTP, and what is none of them
        datagram[0] = [0, 22, 0x80, 200][round as usize % 4];
        let _ = stranger.send_to(&datagram, server.address);
    }
    let message = is::stun::StunMessage::binding_request(&name, is::stun::TransId::new(), true, 1, 1, true);
    let mut buffer = vec![0; 512];
    let len = message
        .to_bytes(Some(b"not the password"), &mut buffer, |key, parts| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
            let mut context = aws_lc_rs::hmac::Context::with_key(&key);
            parts.iter().for_each(|part| context.update(part));
            context.sign().as_ref().try_into().expect("20 bytes")
        })
        .expect("it fits");
    stranger.send_to(&buffer[..len], server.address).expect("sent");
    let until = Instant::now() + DEADLINE;
    let after = loop {
        let (edge, core) = server.stats();
        assert_eq!(core.received, 0);
        if edge.unproven + edge.bad_stun >= 3001 || Instant::now() > until {
            break edge;
        }
    };
    assert!(after.unproven + after.bad_stun >= 3001, "{after:?}");
    assert_eq!((after.transports, after.addresses), (before.transports, before.addresses));
    stranger.set_nonblocking(true).expect("a socket");
    let answered = stranger.recv_from(&mut buffer).is_ok();
    assert!(!answered, "an unproven source was answered");
}

#[test]
fn a_certificate_of_another_fingerprint_gets_no_keys() {
    let (maker, other) = (Maker::new(), Maker::new());
    let mut server = Server::start();
    server.admit("anna");
    let mut thief = other.client();
    let honest = maker.client();
    let section =
        OfferSection { mid: "0".into(), codec: Codec::Opus, ssrc: 1, repair_ssrc: 2, stream: Some("me".into()) };
    let print = |sdp: &str| sdp.lines().find(|l| l.starts_with("a=fingerprint")).map(str::to_owned).expect("there");
    let own = thief.offer(std::slice::from_ref(&section));
    let sdp = own.replace(&print(&own), &print(&honest.offer(&[section])));
    let tracks = vec![PublishedTrack { mid: "0".into(), slot: Slot::MICROPHONE, codec: Codec::Opus }];
    server.say(ToSfu::PublishOffer { meeting: meeting(), participant: who("anna"), sdp, tracks });
    let answer = server.told(&mut [], |m| match m {
        FromSfu::PublishAnswer { sdp, .. } => Some(sdp.clone()),
        _ => None,
    });
    thief.take_answer(&answer);
    let until = Instant::now() + DEADLINE;
    while server.stats().0.transports > 0 {
        thief.drive();
        assert!(Instant::now() < until, "the transport must be dropped");
    }
    while let Ok(message) = server.told.try_recv() {
        assert!(!matches!(message, FromSfu::Connected { .. }));
    }
}

/// Anna publishes to Ben, both connected.
fn pair(server: &mut Server, maker: &Maker) -> (Client, Client) {
    server.admit("ben");
    let mut anna = server.publish("anna", maker);
    let (mut ben, _) = server.subscribe("ben", maker);
    let mut up = 0;
    server.told(&mut [&mut anna, &mut ben], |m| {
        up += usize::from(matches!(m, FromSfu::Connected { .. }));
        (up == 2).then_some(())
    });
    until(&mut [&mut anna, &mut ben], |c| c.iter().all(|c| c.srtp.is_some()));
    (anna, ben)
}

#[test]
fn packets_pass_over_ipv6_as_over_ipv4() {
    let local = IpAddr::from(std::net::Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((local, 0)).is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let maker = Maker::new();
    let mut server = Server::start_at(local);
    let (mut anna, mut ben) = pair(&mut server, &maker);
    for index in 40..48 {
        anna.send(&picture(index, index == 40, index == 47), index);
    }
    until(&mut [&mut anna, &mut ben], |c| c[1].rtp.len() >= 8);
    let (edge, _) = server.stats();
    assert_eq!((edge.sent_in_runs, edge.not_opened, edge.send_dropped), (8, 0, 0), "a frame in one send");
}

#[test]
fn media_goes_on_over_new_ports_after_an_ice_restart_of_both_transports() {
    let maker = Maker::new();
    let mut server = Server::start();
    let (mut anna, mut ben) = pair(&mut server, &maker);
    // Ben publishes nothing to Anna, but has a publish transport: its restart is what he asks with
    let mut own = server.publish("ben", &maker);
    server.told(&mut [&mut anna, &mut ben, &mut own], |m| match m {
        FromSfu::Connected { participant, transport: TransportKind::Publish, .. } if *participant == who("ben") => {
            Some(())
        }
        _ => None,
    });
    let before = server.stats().0.transports;
    own.move_and_restart();
    ben.move_and_restart();
    server.offer("ben", &mut own);
    let (sdp, revision) = server.offered(&mut [&mut anna], "ben");
    server.answer("ben", &mut ben, &sdp, revision);
    ben.rtp.clear();
    let mut index = 60;
    until(&mut [&mut anna, &mut ben, &mut own], |c| {
        // what is sent before the new path is known is lost
        c[0].send(&rtp(111, 100, index, true, &sealed(Slot::MICROPHONE, 80)), index);
        index += 1;
        !c[1].rtp.is_empty()
    });
    let (edge, _) = server.stats();
    assert_eq!(edge.transports, before, "the same associations");
    while let Ok(message) = server.told.try_recv() {
        assert!(!matches!(message, FromSfu::Disconnected { .. } | FromSfu::Failed { .. }), "{message:?}");
    }
}

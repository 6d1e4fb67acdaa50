//! Groups D and S of the attack catalogue against one transport, without sockets and in virtual time: STUN and DTLS from a
//! peer that has proved its address and still means harm, and from one that has not.

use dimpl::certificate::{calculate_fingerprint, generate_self_signed_certificate};
use dimpl::{Config, Dtls, DtlsCertificate, Output};
use is::stun::{StunMessage, TransId};
use sfu::transport::ice_dtls::IceDtlsFactory;
use sfu::transport::{Ended, Event, Factory, IceParameters, Path, Protocol, Transport};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an association may hold for a peer that sends junk: the queues of DTLS, and then some.
const KEPT: u64 = 512 << 10;
/// One flight of the handshake, with the certificate.
const FLIGHT: usize = 2_048;

fn path(port: u16) -> Path {
    let local = "127.0.0.1:8445".parse().expect("an address");
    Path { local, remote: SocketAddr::from(([127, 0, 0, 1], port)), protocol: Protocol::Udp }
}

fn certificate() -> DtlsCertificate {
    generate_self_signed_certificate().expect("a certificate")
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

/// What the transport said.
#[derive(Default)]
struct Said {
    sent: Vec<(Path, Vec<u8>)>,
    paths: Vec<Path>,
    keys: usize,
    ended: Vec<Ended>,
}

impl Said {
    fn bytes(&self) -> usize {
        self.sent.iter().map(|(_, datagram)| datagram.len()).sum()
    }
}

struct World {
    transport: Box<dyn Transport>,
    client: Dtls,
    now: Instant,
    said: Said,
    /// Records of the client on their way.
    flight: Vec<Vec<u8>>,
    connected: bool,
}

impl World {
    /// A page whose certificate is described as it is.
    fn new() -> Self {
        let certificate = certificate();
        let print = calculate_fingerprint(&certificate.certificate);
        Self::with(certificate, &print)
    }

    fn with(certificate: DtlsCertificate, described: &[u8]) -> Self {
        let now = Instant::now();
        let mut transport = IceDtlsFactory::new(vec![path(0).local]).expect("DTLS").create(now);
        transport.set_remote(IceParameters { ufrag: "page".into(), password: "p".repeat(24) }, described);
        let config = Config::builder().build().expect("a configuration");
        let mut client = Dtls::new_12(Arc::new(config), certificate, now);
        client.set_active(true);
        let mut world = Self { transport, client, now, said: Said::default(), flight: Vec::new(), connected: false };
        world.client.handle_timeout(now).expect("a client that begins");
        world.drain_client();
        world
    }

    fn drain(&mut self) {
        while let Some(event) = self.transport.poll() {
            match event {
                Event::Send(path, datagram) => self.said.sent.push((path, datagram)),
                Event::Path(path) => self.said.paths.push(path),
                Event::Keys(_) => self.said.keys += 1,
                Event::Ended(why) => self.said.ended.push(why),
            }
        }
    }

    fn drain_client(&mut self) {
        let mut buffer = vec![0; 4_096];
        loop {
            match self.client.poll_output(&mut buffer) {
                Output::Packet(record) => self.flight.push(record.to_vec()),
                Output::Connected => self.connected = true,
                Output::Timeout(_) => return,
                _ => {}
            }
        }
    }

    fn check(&self, password: &str, chosen: bool) -> Vec<u8> {
        let name = format!("{}:page", self.transport.parameters().ufrag);
        let message = StunMessage::binding_request(&name, TransId::new(), true, 7, 1, chosen);
        let mut out = vec![0; 512];
        let hmac = |key: &[u8], parts: &[&[u8]]| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
            let mut context = aws_lc_rs::hmac::Context::with_key(&key);
            parts.iter().for_each(|part| context.update(part));
            context.sign().as_ref().try_into().expect("20 bytes")
        };
        let len = message.to_bytes(Some(password.as_bytes()), &mut out, hmac).expect("it fits");
        out.truncate(len);
        out
    }

    fn stun(&mut self, port: u16, packet: &[u8]) -> bool {
        let authentic = self.transport.handle_stun(self.now, path(port), packet);
        self.drain();
        authentic
    }

    /// Proves the address with this port.
    fn prove(&mut self, port: u16) {
        let packet = self.check(&self.transport.parameters().password, true);
        assert!(self.stun(port, &packet));
        self.said = Said::default();
    }

    fn dtls(&mut self, record: &[u8]) {
        self.transport.handle_dtls(self.now, record);
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / 20 {
            self.now += Duration::from_millis(20);
            self.transport.handle_timeout(self.now);
            self.drain();
        }
    }

    /// Carries records both ways until nothing is left to carry.
    fn shake_hands(&mut self) {
        let mut taken = self.said.sent.len();
        for _ in 0..20 {
            for record in std::mem::take(&mut self.flight) {
                self.dtls(&record);
            }
            for at in taken..self.said.sent.len() {
                let record = self.said.sent[at].1.clone();
                let _ = self.client.handle_packet(&record);
            }
            taken = self.said.sent.len();
            self.drain_client();
        }
    }

    fn hello(&self) -> Vec<u8> {
        self.flight.first().expect("a ClientHello").clone()
    }
}

/// A handshake record of epoch 0 with one fragment of a message.
fn fragment(record: u64, message: u16, total: u32, offset: u32, body: &[u8]) -> Vec<u8> {
    let mut out = vec![22, 0xfe, 0xfd];
    out.extend(&record.to_be_bytes());
    out.extend(((12 + body.len()) as u16).to_be_bytes());
    out.push(1);
    out.extend(&total.to_be_bytes()[1..]);
    out.extend(message.to_be_bytes());
    out.extend(&offset.to_be_bytes()[1..]);
    out.extend(&(body.len() as u32).to_be_bytes()[1..]);
    out.extend(body);
    out
}

#[test]
fn d1_a_client_hello_before_any_check_is_answered_by_nothing_ever() {
    let mut world = World::new();
    let hello = world.hello();
    for _ in 0..20 {
        world.dtls(&hello);
    }
    world.pass(Duration::from_secs(12));
    assert_eq!((world.said.bytes(), world.said.keys), (0, 0));
}

#[test]
fn d2_a_flood_of_fragments_is_not_kept() {
    let mut world = World::new();
    world.prove(1000);
    let kept = allocation_counter::measure(|| {
        for n in 0..20_000u32 {
            world.dtls(&fragment(n.into(), n as u16, 0x00ff_ffff, n * 64, &[7; 1_000]));
        }
    });
    assert!(kept.bytes_current < KEPT as i64 && kept.bytes_max < KEPT, "{kept:?}");
    assert_eq!(world.said.bytes(), 0);
}

#[test]
fn d3_fragments_of_no_length_end_nothing_but_themselves() {
    let mut world = World::new();
    world.prove(1000);
    for n in 0..2_000u64 {
        world.dtls(&fragment(n, 0, 0, 0, &[]));
        world.dtls(&fragment(n, 0, 100, 0, &[]));
        world.dtls(&[22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, n as u8, 0, 0]);
    }
    assert_eq!(world.said.bytes(), 0, "no answer, and the loop ended");
    // and fragments are read at all: a greeting in two halves is one
    let mut world = World::new();
    world.prove(1000);
    let body = world.hello()[25..].to_vec();
    let half = body.len() / 2;
    world.dtls(&fragment(0, 0, body.len() as u32, 0, &body[..half]));
    assert_eq!(world.said.bytes(), 0);
    world.dtls(&fragment(1, 0, body.len() as u32, half as u32, &body[half..]));
    assert!(world.said.bytes() > 0);
}

#[test]
fn d4_another_certificate_than_the_described_one_gets_no_keys() {
    let mut honest = World::new();
    honest.prove(1000);
    honest.shake_hands();
    assert_eq!((honest.said.keys, honest.said.ended.len()), (1, 0));
    let mut thief = World::with(certificate(), &calculate_fingerprint(&certificate().certificate));
    thief.prove(1000);
    thief.shake_hands();
    assert_eq!((thief.said.keys, thief.said.ended.as_slice()), (0, &[Ended::Fingerprint][..]));
}

#[test]
fn d5_junk_of_any_form_at_any_time_panics_nowhere_and_ends_no_established_association() {
    let junk = |world: &World| {
        let hello = world.hello();
        let framed = [&(hello.len() as u16).to_be_bytes()[..], &hello].concat();
        let mut all = vec![framed, vec![22; 65_507], vec![23], vec![20, 0xfe, 0xfd]];
        all.extend((0..=u8::MAX).map(|kind| vec![kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 0]));
        all.extend((0..=u8::MAX).map(|kind| vec![kind, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 2, 0]));
        all.extend((1..hello.len()).map(|len| hello[..len].to_vec()));
        all
    };
    for step in 0..2 {
        let mut world = World::new();
        if step > 0 {
            world.prove(1000);
        }
        for record in junk(&world) {
            world.dtls(&record);
        }
    }
    let mut world = World::new();
    let all = junk(&world);
    world.prove(1000);
    world.shake_hands();
    assert_eq!(world.said.keys, 1);
    for record in all {
        world.dtls(&record);
    }
    world.pass(Duration::from_secs(30));
    assert_eq!(world.said.ended, [], "whoever forges a source address ends nothing");
    world.client.close().expect("connected");
    world.drain_client();
    world.shake_hands();
    assert_eq!(world.said.ended, [Ended::ByPeer], "its own goodbye does");
}

#[test]
fn d6_no_record_of_the_association_repeats_a_nonce() {
    let mut world = World::new();
    world.prove(1000);
    world.shake_hands();
    world.transport.close(world.now);
    world.drain();
    let mut nonces = Vec::new();
    for (_, datagram) in &world.said.sent {
        let mut rest = datagram.as_slice();
        while rest.len() >= 13 {
            let len = 13 + usize::from(u16::from_be_bytes([rest[11], rest[12]]));
            if rest[3..5] == [0, 1] {
                nonces.push(rest[13..21].to_vec());
            }
            rest = &rest[len..];
        }
    }
    assert!(nonces.len() >= 2, "the end of the handshake and the goodbye");
    let all = nonces.len();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), all);
}

#[test]
fn d7_certificates_that_are_none_are_survived_even_if_described() {
    let good = certificate();
    let mut bad: Vec<Vec<u8>> = vec![vec![0x30], vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff], vec![0x30; 4_000]];
    // an elliptic curve in explicit parameters, where a curve is named
    let named = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let at = good.certificate.windows(named.len()).position(|bytes| bytes == named).expect("P-256");
    let mut explicit = good.certificate.clone();
    explicit[at] = 0x30;
    bad.push(explicit);
    let connects = |certificate: Vec<u8>| {
        let described = calculate_fingerprint(&certificate);
        let shown = DtlsCertificate { certificate, private_key: good.private_key.clone() };
        let mut world = World::with(shown, &described);
        world.prove(1000);
        world.shake_hands();
        world.pass(Duration::from_secs(12));
        world.said.keys == 1
    };
    assert!(!bad.into_iter().any(connects));
    assert!(connects(good.certificate.clone()), "in the same way, one that is a certificate");
}

#[test]
fn d8_a_peer_that_only_says_hello_gets_a_few_flights_and_no_more() {
    let mut world = World::new();
    world.prove(1000);
    let hello = world.hello();
    world.dtls(&hello);
    let first = world.said.bytes();
    assert!((1..=FLIGHT).contains(&first), "{first}");
    world.pass(Duration::from_secs(60));
    assert!(world.said.bytes() <= 6 * first, "{} after a flight of {first}", world.said.bytes());
    assert!(world.said.sent.iter().all(|(to, _)| *to == path(1000)), "to the proven address alone");
    assert_eq!(world.said.ended, [Ended::Handshake]);
}

#[test]
fn d8_a_hello_said_again_and_again_is_not_answered_as_often() {
    let mut world = World::new();
    world.prove(1000);
    let hello = world.hello();
    for n in 0..1_000u16 {
        let mut again = hello.clone();
        again[9..11].copy_from_slice(&n.to_be_bytes());
        world.dtls(&again);
    }
    let (taken, sent) = (1_000 * hello.len(), world.said.bytes());
    assert!(sent <= taken, "{sent} bytes for {taken}");
}

#[test]
fn d9_lengths_that_do_not_fit_are_no_stun() {
    let mut world = World::new();
    let good = world.check(&world.transport.parameters().password, true);
    for len in (0..=64).chain([0x7fff, 0x8000, 0xfffc, 0xffff]) {
        let mut bad = good.clone();
        bad[2..4].copy_from_slice(&u16::to_be_bytes(len));
        if usize::from(len) + 20 != good.len() {
            assert!(!world.stun(1000, &bad), "message length {len}");
        }
        for kind in [0x0006, 0x0008, 0x0024, 0x8028, 0x802a] {
            let mut bad = vec![0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42];
            bad.extend([9; 12]);
            bad.extend(attribute(kind, &[1; 4]));
            bad[22..24].copy_from_slice(&u16::to_be_bytes(len));
            assert!(!world.stun(1000, &bad), "attribute {kind:04x} of length {len}");
        }
    }
    for len in 0..good.len() {
        assert!(!world.stun(1000, &good[..len]));
    }
    assert_eq!((world.said.bytes(), world.said.paths.len()), (0, 0));
    assert!(world.stun(1000, &good), "whole, it is a check");
}

#[test]
fn d10_guessed_names_and_passwords_are_not_answered_and_a_flood_is_answered_one_for_one() {
    let mut world = World::new();
    for guess in ["", "p", "not the password", &"p".repeat(24)] {
        let packet = world.check(guess, true);
        assert!(!world.stun(1000, &packet));
    }
    let good = world.check(&world.transport.parameters().password, true);
    let mut other = good.clone();
    other[25] ^= 1;
    assert!(!world.stun(1000, &other), "another name under the same tag");
    assert_eq!((world.said.bytes(), world.said.paths.len()), (0, 0));
    // whoever has the password may ask from many ports: it is answered, and nothing piles up
    let mut asked = 0;
    let kept = allocation_counter::measure(|| {
        for port in 2_000..12_000 {
            let packet = world.check(&world.transport.parameters().password, false);
            asked += packet.len();
            world.transport.handle_stun(world.now, path(port), &packet);
            world.drain();
            assert!(world.said.bytes() <= 2 * asked);
            world.said.sent.clear();
            asked = 0;
        }
    });
    assert!(kept.bytes_current < KEPT as i64, "{kept:?}");
    world.prove(1000);
    world.shake_hands();
    assert_eq!(world.said.keys, 1, "and the page itself still connects");
}

#[test]
fn s1_what_a_data_channel_would_carry_inside_dtls_says_nothing_and_is_not_kept() {
    let mut world = World::new();
    world.prove(1000);
    world.shake_hands();
    assert!(world.connected && world.said.keys == 1);
    world.said = Said::default();
    // an SCTP INIT with a parameter that is longer than its chunk, and a first fragment of a message that never ends
    let init = [&[0x13, 0x88, 0x13, 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 24][..], &[0xff; 200]].concat();
    let open = [&[0x13, 0x88, 0x13, 0x88, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 4, 0][..], &[7; 1_000]].concat();
    let kept = allocation_counter::measure(|| {
        for n in 0..4_000 {
            world.client.send_application_data(if n % 2 == 0 { &init } else { &open }).expect("connected");
            world.drain_client();
            for record in std::mem::take(&mut world.flight) {
                world.dtls(&record);
            }
        }
    });
    assert_eq!((world.said.bytes(), world.said.ended.len()), (0, 0));
    assert!(kept.bytes_current < KEPT as i64, "{kept:?}");
}

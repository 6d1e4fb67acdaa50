//! A shard on loopback while somebody who was never described, or has described what is not its own, sends to it.

use super::*;
use sfu::transport::srtp::TAG;
use std::sync::Arc;

/// Datagrams of a flood.
const FLOOD: u64 = 50_000;

impl Server {
    /// A microphone's publish offer, changed, and the answer.
    fn describe(&mut self, name: &str, client: &Client, change: impl Fn(String) -> String) -> String {
        self.admit(name);
        let section = OfferSection {
            mid: "0".into(),
            codec: Codec::Opus,
            ssrc: 100,
            repair_ssrc: 101,
            stream: Some("me".into()),
        };
        let sdp = change(client.offer(&[section]));
        let tracks = vec![PublishedTrack { mid: "0".into(), slot: Slot::MICROPHONE, codec: Codec::Opus }];
        self.say(ToSfu::PublishOffer { meeting: meeting(), participant: who(name), sdp, tracks });
        self.told(&mut [], |m| match m {
            FromSfu::PublishAnswer { sdp, .. } => Some(sdp.clone()),
            FromSfu::Failed { detail, .. } => panic!("{detail}"),
            _ => None,
        })
    }

    /// Waits until the shard has seen so many datagrams that it did not take.
    fn refused(&self, count: u64) -> EdgeStats {
        let until = Instant::now() + DEADLINE;
        loop {
            let (edge, _) = self.stats();
            if edge.unproven + edge.bad_stun >= count {
                return edge;
            }
            assert!(Instant::now() < until, "{edge:?}");
        }
    }
}

fn sound(index: u64) -> Vec<u8> {
    rtp(111, 100, index, true, &sealed(Slot::MICROPHONE, 80))
}

/// Junk of every kind, each time other: STUN under no name and under a known one, DTLS, media, feedback and none of them.
fn junk(round: u64, seed: &mut u64, named: &[u8]) -> Vec<u8> {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    if round.is_multiple_of(10) {
        return named.to_vec();
    }
    let mut junk = [seed.to_be_bytes(); 12].concat();
    let heads: [&[u8]; 5] =
        [&[0, 1, 0, 76, 0x21, 0x12, 0xa4, 0x42], &[22, 0xfe, 0xfd, 0, 0], &[0x80, 111], &[0x80, 201], &[200]];
    let head = heads[round as usize % 5];
    junk[..head.len()].copy_from_slice(head);
    junk
}

/// A check under a name that is known, by one who does not have the password.
fn named(client: &Client) -> Vec<u8> {
    let (name, id) = (client.user_name(), is::stun::TransId::new());
    let check = is::stun::StunMessage::binding_request(&name, id, true, 1, 1, true);
    let mut named = vec![0; 512];
    let len = check.to_bytes(Some(b"not the password"), &mut named, |_, _| [7; 20]).expect("it fits");
    named.truncate(len);
    named
}

fn stranger() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
    socket.set_nonblocking(true).expect("a socket");
    socket
}

fn heard_nothing(socket: &UdpSocket) -> bool {
    socket.recv_from(&mut [0; 2_048]).is_err()
}

#[test]
fn d1_a_client_hello_that_overtakes_the_page_from_another_address_is_not_answered() {
    let (maker, mut server) = (Maker::new(), Server::start());
    let mut anna = maker.client();
    let answer = server.describe("anna", &anna, |sdp| sdp);
    let thief = stranger();
    let certificate = dimpl::certificate::generate_self_signed_certificate().expect("a certificate");
    let config = Arc::new(dimpl::Config::builder().build().expect("a configuration"));
    let mut hello = dimpl::Dtls::new_12(config, certificate, Instant::now());
    hello.set_active(true);
    hello.handle_timeout(Instant::now()).expect("a client that begins");
    let mut buffer = vec![0; 4_096];
    let dimpl::Output::Packet(record) = hello.poll_output(&mut buffer) else { panic!("a ClientHello") };
    for _ in 0..20 {
        thief.send_to(record, server.address).expect("sent");
    }
    assert_eq!(server.refused(20).addresses, 0);
    anna.take_answer(&answer);
    until(&mut [&mut anna], |c| c[0].srtp.is_some());
    assert!(heard_nothing(&thief));
}

#[test]
fn r1_a_good_packet_from_another_address_is_not_heard() {
    let (maker, mut server) = (Maker::new(), Server::start());
    let (mut anna, mut ben) = pair(&mut server, &maker);
    let mut sealed = sound(40);
    sealed.resize(sealed.len() + TAG, 0);
    anna.srtp.as_mut().expect("connected").sender.seal(&mut sealed, 12, 100, 40).expect("sealed");
    let thief = stranger();
    thief.send_to(&sealed, server.address).expect("sent");
    let before = server.refused(1);
    assert_eq!((before.unproven, server.stats().1.received), (1, 0));
    anna.send(&sound(41), 41);
    until(&mut [&mut anna, &mut ben], |c| !c[1].rtp.is_empty());
    assert_eq!((ben.rtp.len(), server.stats().1.received), (1, 1), "hers alone");
    assert!(heard_nothing(&thief));
}

#[test]
fn d12_nothing_is_ever_sent_to_an_address_because_a_page_named_it() {
    let (maker, mut server) = (Maker::new(), Server::start());
    let (victim, other) = (stranger(), stranger());
    let port = |socket: &UdpSocket| socket.local_addr().expect("bound").port();
    let candidate = |ip: &str, port| format!("candidate:9 1 udp 2130706431 {ip} {port} typ host");
    let mut anna = maker.client();
    let named: String = ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "169.254.169.254", "224.0.0.251", "me.local"]
        .map(|ip| format!("a={}\r\n", candidate(ip, port(&victim))))
        .concat();
    let answer = server.describe("anna", &anna, |sdp| sdp + &named);
    server.say(ToSfu::Candidate {
        meeting: meeting(),
        participant: who("anna"),
        transport: TransportKind::Publish,
        candidate: candidate("127.0.0.1", port(&other)),
    });
    anna.take_answer(&answer);
    until(&mut [&mut anna], |c| c[0].srtp.is_some());
    for index in 0..20 {
        anna.send(&sound(index), index);
    }
    while server.stats().1.received < 20 {
        drive(&mut [&mut anna]);
    }
    assert!(heard_nothing(&victim) && heard_nothing(&other));
}

#[test]
fn s1_a_data_channel_is_refused_by_the_answer() {
    let (maker, mut server) = (Maker::new(), Server::start());
    let anna = maker.client();
    let channel =
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:7\r\na=sctp-port:5000\r\n";
    let answer = server.describe("anna", &anna, |sdp| sdp + channel);
    assert!(answer.contains("m=application 0 ") && answer.contains("m=audio 9 "), "{answer}");
    assert!(!answer.contains("sctp-port") && answer.contains("a=group:BUNDLE 0\r\n"), "{answer}");
}

#[test]
fn d8_a_flood_of_strangers_is_neither_kept_nor_answered_and_takes_no_sound_away() {
    let (maker, mut server) = (Maker::new(), Server::start());
    let (mut anna, mut ben) = pair(&mut server, &maker);
    let before = server.stats().0;
    let to = server.address;
    let strangers: Vec<UdpSocket> = (0..16).map(|_| stranger()).collect();
    let named = named(&anna);
    let flood = std::thread::spawn(move || {
        let mut seed = 5u64;
        for round in 0..FLOOD {
            let junk = junk(round, &mut seed, &named);
            // a full queue of the kernel loses some, as in the field
            let _ = strangers[round as usize % 16].send_to(&junk, to);
        }
        strangers
    });
    // a packet a millisecond
    let (begun, mut index) = (Instant::now(), 0);
    while !flood.is_finished() || index < 200 {
        if begun.elapsed().as_millis() as u64 > index {
            anna.send(&sound(index), index);
            index += 1;
        }
        drive(&mut [&mut anna, &mut ben]);
    }
    let strangers = flood.join().expect("sent");
    until(&mut [&mut anna, &mut ben], |c| c[1].rtp.len() as u64 >= server.stats().1.received);
    let (after, core) = server.stats();
    assert!(core.received > 0 && core.forwarded == core.received, "{} of {}", core.forwarded, core.received);
    assert_eq!((after.transports, after.addresses, after.panics), (before.transports, before.addresses, 0));
    assert!(after.unproven + after.bad_stun > before.unproven + before.bad_stun);
    assert!(strangers.iter().all(heard_nothing), "a stranger was answered");
}

#[test]
fn d8_no_sound_is_lost_between_forty_thousand_datagrams_of_junk_and_none_of_them_is_kept_or_answered() {
    const ROUNDS: u64 = 200;
    /// Less than the smallest receive buffer that a system gives: the shard takes them before more are sent.
    const BETWEEN: u64 = 200;
    let (maker, mut server) = (Maker::new(), Server::start());
    let (mut anna, mut ben) = pair(&mut server, &maker);
    let (before, named, mut seed) = (server.stats().0, named(&anna), 5);
    let strangers: Vec<UdpSocket> = (0..16).map(|_| stranger()).collect();
    let forger = anna.socket.try_clone().expect("a socket");
    let (mut refused, mut forged) = (before.unproven + before.bad_stun, before.not_opened);
    for index in 0..ROUNDS {
        for n in 0..BETWEEN {
            let junk = junk(n, &mut seed, &named);
            let is_media = junk[0] == 0x80;
            if is_media && n % 2 == 1 {
                // under her own address, without her keys
                forger.send_to(&junk, server.address).expect("sent");
                forged += 1;
            } else {
                strangers[n as usize % 16].send_to(&junk, server.address).expect("sent");
                refused += 1;
            }
        }
        anna.send(&sound(index), index);
        drive(&mut [&mut anna, &mut ben]);
        let until = Instant::now() + DEADLINE;
        while server.refused(refused).not_opened < forged {
            assert!(Instant::now() < until, "{:?}", server.stats().0);
        }
    }
    until(&mut [&mut anna, &mut ben], |c| c[1].rtp.len() as u64 >= ROUNDS);
    let (after, core) = server.stats();
    assert_eq!((core.received, core.forwarded, ben.rtp.len() as u64), (ROUNDS, ROUNDS, ROUNDS), "all of her sound");
    assert_eq!((after.transports, after.addresses, after.panics), (before.transports, before.addresses, 0));
    assert_eq!((after.unproven + after.bad_stun, after.not_opened), (refused, forged), "each one is counted once");
    assert!(strangers.iter().all(heard_nothing), "a stranger was answered");
}

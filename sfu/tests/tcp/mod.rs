//! The shard over real TCP on loopback: framing, the gate, media both ways, and sources that mean harm.

use super::*;
use sfu::shards::Shards;
use sfu::tcp::framing::ALL;
use sfu::tcp::gate::{self, Gate};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// The gate before a shard.
pub struct Door {
    address: SocketAddr,
    gate: Arc<Gate>,
    _runtime: Runtime,
}

impl Door {
    pub fn open(listener: TcpListener, commands: &Commands) -> Self {
        let address = listener.local_addr().expect("bound");
        listener.set_nonblocking(true).expect("a socket");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (gate, shards) = (Arc::new(Gate::default()), Shards::new(vec![commands.clone()]));
        let serving = gate.clone();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime");
            gate::serve(listener, serving, shards).await;
        });
        Self { address, gate, _runtime: runtime }
    }
}

const LOCALHOST: [u8; 4] = [127, 0, 0, 1];

fn server() -> Server {
    let listener = TcpListener::bind((IpAddr::from(LOCALHOST), 0)).expect("loopback");
    Server::start_behind(LOCALHOST.into(), Some(listener))
}

impl Server {
    fn door(&self) -> &Door {
        self.door.as_ref().expect("a server that listens")
    }

    fn stranger(&self) -> TcpStream {
        let stream = TcpStream::connect(self.door().address).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        stream
    }

    fn publish_over_tcp(&mut self, name: &str, maker: &Maker) -> Client {
        self.admit(name);
        let mut client = maker.client();
        client.move_to_tcp();
        self.offer(name, &mut client);
        client
    }

    fn subscribe_over_tcp(&mut self, name: &str, maker: &Maker) -> Client {
        let (sdp, revision) = self.offered(&mut [], name);
        let mut client = maker.client();
        client.move_to_tcp();
        self.answer(name, &mut client, &sdp, revision);
        client
    }
}

fn connected(server: &mut Server, clients: &mut [&mut Client]) {
    let (mut up, wanted) = (0, clients.len());
    server.told(clients, |m| {
        up += usize::from(matches!(m, FromSfu::Connected { .. }));
        (up == wanted).then_some(())
    });
    until(clients, |c| c.iter().all(|c| c.srtp.is_some()));
}

/// The other end closes it without a word.
fn closed_without_an_answer(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

fn refused(server: &Server) -> u64 {
    server.door().gate.refused() + server.stats().0.tcp_refused
}

fn sound(index: u64, size: usize) -> Vec<u8> {
    rtp(111, 100, index, true, &sealed(Slot::MICROPHONE, size))
}

#[test]
fn media_passes_both_ways_over_tcp_and_lost_connections_leave_nothing() {
    let maker = Maker::new();
    let mut server = server();
    server.admit("ben");
    let mut anna = server.publish_over_tcp("anna", &maker);
    let mut ben = server.subscribe_over_tcp("ben", &maker);
    connected(&mut server, &mut [&mut anna, &mut ben]);
    let (edge, _) = server.stats();
    assert_eq!((edge.tcp_connections, edge.addresses, server.door().gate.open()), (2, 2, 2));
    // what the SFU asks for comes back the same way
    until(&mut [&mut anna, &mut ben], |c| c[0].rtcp.contains(&build::key_frame_request(1, 200)));
    anna.send(&sound(40, 80), 40);
    for index in 50..70 {
        anna.send(&picture(index, index == 50, index == 69), index);
    }
    until(&mut [&mut anna, &mut ben], |c| c[1].rtp.len() >= 21);
    let (edge, core) = server.stats();
    assert_eq!((core.received, core.forwarded, edge.not_opened, edge.tcp_dropped), (21, 21, 0, 0));
    assert_eq!((edge.sent_in_runs, edge.unproven, edge.bad_stun), (0, 0, 0), "no datagram");
    drop((anna, ben));
    let until = Instant::now() + DEADLINE;
    while server.door().gate.open() > 0 || server.stats().0.tcp_connections > 0 {
        assert!(Instant::now() < until, "a closed connection must go");
    }
    assert_eq!(server.stats().0.addresses, 0);
}

#[test]
fn a_transport_moves_from_udp_to_tcp_by_ice_restart() {
    let maker = Maker::new();
    let mut server = server();
    let (mut anna, mut ben) = pair(&mut server, &maker);
    let mut own = server.publish("ben", &maker);
    connected(&mut server, &mut [&mut own]);
    let before = server.stats().0.transports;
    own.move_to_tcp();
    ben.move_to_tcp();
    server.offer("ben", &mut own);
    let (sdp, revision) = server.offered(&mut [&mut anna], "ben");
    server.answer("ben", &mut ben, &sdp, revision);
    ben.rtp.clear();
    let mut index = 60;
    until(&mut [&mut anna, &mut ben, &mut own], |c| {
        // what is sent before the new path is known is lost
        c[0].send(&sound(index, 80), index);
        index += 1;
        // each of the two connects for itself, and the other's media proves nothing of its own
        !c[1].rtp.is_empty() && server.stats().0.tcp_connections == 2
    });
    assert_eq!(server.stats().0.transports, before, "the same associations");
}

#[test]
fn a_first_frame_that_is_no_known_and_authentic_check_closes_the_connection_at_once() {
    let maker = Maker::new();
    let mut server = server();
    let client = server.publish("anna", &maker);
    let (name, before) = (client.user_name(), server.stats().0);
    let frame = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let (ours, _) = name.split_once(':').expect("two fragments");
    let foreign = name.replacen(ours, "Anobody", 1);
    let elsewhere = name.replacen(ours, "/nobody", 1);
    let cases = [
        ("a web request", b"GET / HTTP/1.1\r\nHost: sfu\r\n\r\n".to_vec()),
        ("TLS", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
        ("a huge length", vec![0xff, 0xff, 0, 1]),
        ("an empty frame", vec![0, 0]),
        ("media", frame(&sound(1, 80))),
        ("DTLS", frame(&[22; 120])),
        ("a fragment of nobody", frame(&check(&foreign))),
        ("a shard that is not there", frame(&check(&elsewhere))),
        ("a wrong password", frame(&check(&name))),
    ];
    for (n, (what, bytes)) in cases.iter().enumerate() {
        let mut stranger = server.stranger();
        stranger.write_all(bytes).expect("sent");
        assert!(closed_without_an_answer(&mut stranger), "{what}");
        let until = Instant::now() + DEADLINE;
        while refused(&server) <= n as u64 {
            assert!(Instant::now() < until, "{what} is counted");
        }
    }
    let after = server.stats().0;
    assert_eq!((after.transports, after.addresses, after.tcp_connections), (before.transports, before.addresses, 0));
    assert_eq!(server.door().gate.open(), 0);
}

/// A check under this user name and a password that is nobody's.
fn check(name: &str) -> Vec<u8> {
    let message = is::stun::StunMessage::binding_request(name, is::stun::TransId::new(), true, 1, 1, true);
    let mut buffer = vec![0; 512];
    let len = message
        .to_bytes(Some(b"not the password"), &mut buffer, |key, parts| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
            let mut context = aws_lc_rs::hmac::Context::with_key(&key);
            parts.iter().for_each(|part| context.update(part));
            context.sign().as_ref().try_into().expect("20 bytes")
        })
        .expect("it fits");
    buffer.truncate(len);
    buffer
}

#[test]
fn a_connection_that_says_nothing_or_half_a_frame_is_closed_after_its_time() {
    let server = server();
    let (mut silent, mut slow) = (server.stranger(), server.stranger());
    slow.write_all(&[0, 100, 0, 1]).expect("sent");
    assert!(closed_without_an_answer(&mut silent) && closed_without_an_answer(&mut slow));
    let until = Instant::now() + DEADLINE;
    while refused(&server) < 2 || server.door().gate.open() > 0 {
        assert!(Instant::now() < until, "both are counted and gone");
    }
}

#[test]
fn one_address_has_a_bounded_number_of_connections_that_prove_nothing() {
    let server = server();
    let _held: Vec<TcpStream> = (0..64).map(|_| server.stranger()).collect();
    let mut one_more = server.stranger();
    assert!(closed_without_an_answer(&mut one_more));
    assert!(server.door().gate.refused() >= 1);
}

#[test]
fn a_receiver_that_does_not_read_loses_packets_grows_nothing_and_delays_nobody() {
    let maker = Maker::new();
    let mut server = server();
    for name in ["ben", "carol"] {
        server.admit(name);
    }
    let mut anna = server.publish("anna", &maker);
    let mut ben = server.subscribe_over_tcp("ben", &maker);
    let (mut carol, _) = server.subscribe("carol", &maker);
    connected(&mut server, &mut [&mut anna, &mut ben, &mut carol]);
    let (mut index, until) = (40, Instant::now() + DEADLINE);
    // Ben's kernel and ours have buffers too, and a sound may send only so much a second
    while server.stats().0.tcp_dropped < 20 {
        anna.send(&sound(index, 1_000), index);
        index += 1;
        drive(&mut [&mut anna, &mut carol]);
        ben.drive_deaf();
        assert!(server.stats().0.tcp_queued <= ALL as u64);
        assert!(Instant::now() < until, "nothing was dropped");
    }
    let (edge, core) = server.stats();
    assert_eq!(edge.send_dropped, 0);
    super::until(&mut [&mut carol], |c| 2 * c[0].rtp.len() as u64 >= core.forwarded);
    // when he reads again, the stream is still whole
    ben.drive();
    let heard = ben.rtp.len();
    super::until(&mut [&mut anna, &mut ben, &mut carol], |c| {
        c[0].send(&sound(index, 80), index);
        index += 1;
        c[1].rtp.len() > heard
    });
    assert_eq!(server.stats().0.tcp_connections, 1, "the same connection");
}

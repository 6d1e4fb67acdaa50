//! What a hop carries behind its first byte: DTLS records, feedback, descriptors, retransmissions, and sequences of all of
//! them from several peers with time between.

use domain::message::control::{FirmRule, ToSfu};
use domain::policy::Rule;
use domain::{Codec, MeetingId, ParticipantId, Slot, TransportKind};
use sfu::transport::ice_dtls::IceDtlsFactory;
use sfu::transport::replay::Window;
use sfu::transport::{Event, Factory, IceParameters, Path, Protocol, Transport};
use sfu_core::congestion::Downlink;
use sfu_core::engine::Input;
use sfu_core::participant::LinkState;
use sfu_core::rtcp::twcc;
use sfu_core::rtp::{Header, av1, dependency, vp8, vp9};
use sfu_core::track::PublishSection;
use sfu_core::{Engine, Micros, Output, PeerKey};
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Bytes that one association may answer a proven peer with beside as many as it took: the flight with our certificate,
/// repeated until it is given up.
const FLIGHTS: usize = 6 * 2_048;
/// Bytes that one step may make ready: a second of a track, again, to everybody.
const STEP: usize = 1 << 20;

/// Transport-wide feedback, and an estimate that believes it.
pub fn feedback(data: &[u8]) {
    let mut downlink = Downlink::default();
    let mut now = Micros(1_000_000_000);
    for part in data.chunks(200) {
        now = now.plus_ms(50);
        if let Some(feedback) = twcc::read(part) {
            assert!(feedback.packets.len() <= twcc::MAX_READ);
            assert!(feedback.packets.iter().all(|(_, at)| at.is_none_or(|at| at < twcc::REFERENCE_WRAP_US)));
            downlink.feedback(now, &feedback);
        }
        downlink.tick(now);
        assert!(downlink.memory() < STEP);
    }
}

/// The dependency descriptor: a key frame's, and those after it.
pub fn dependency(data: &[u8]) {
    let mut known = None;
    for part in data.chunks(64) {
        if let Some(read) = dependency::descriptor(part, known.as_ref()) {
            assert!(read.spatial < 64 && read.temporal < 64);
            known = read.structure.or(known);
        }
    }
}

/// Payload descriptors of VP8, VP9 and AV1.
pub fn descriptors(data: &[u8]) {
    let inside = |at: Option<usize>, len: usize| assert!(at.is_none_or(|at| at < len));
    if let Some(read) = vp8::descriptor(data) {
        assert!(read.len <= data.len() && read.temporal < 4);
        inside(read.picture_id, read.len);
        inside(read.tl0, read.len);
    }
    if let Some(read) = vp9::descriptor(data) {
        assert!(read.len <= data.len() && read.temporal < 8 && read.spatial < 8);
        inside(read.picture_id, read.len);
        inside(read.tl0, read.len);
    }
    if let Some(read) = av1::start(data) {
        assert!(read.content <= data.len());
    }
}

fn path(port: u16) -> Path {
    let local = SocketAddr::from(([127, 0, 0, 1], 8_445));
    Path { local, remote: SocketAddr::from(([127, 0, 0, 1], port)), protocol: Protocol::Udp }
}

static FACTORY: LazyLock<IceDtlsFactory> =
    LazyLock::new(|| IceDtlsFactory::new(vec![path(0).local]).expect("an environment with random numbers"));
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// One association and what it took and gave.
struct Hop {
    transport: Box<dyn Transport>,
    /// Its peer.
    peer: Path,
    proven: bool,
    took: usize,
    gave: usize,
}

impl Hop {
    fn new(port: u16) -> Self {
        let mut transport = FACTORY.create(*START);
        transport.set_remote(IceParameters { ufrag: "page".into(), password: "p".repeat(24) }, &[7; 32]);
        Self { transport, peer: path(port), proven: false, took: 0, gave: 0 }
    }

    /// A check under our name; with our password it proves the peer's address.
    fn check(&mut self, now: Instant, from: Path, password: Option<&str>) {
        let own = self.transport.parameters();
        let name = format!("{}:page", own.ufrag);
        let message = is::stun::StunMessage::binding_request(&name, is::stun::TransId::new(), true, 7, 1, true);
        let mut out = vec![0; 512];
        let hmac = |key: &[u8], parts: &[&[u8]]| {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
            let mut context = aws_lc_rs::hmac::Context::with_key(&key);
            parts.iter().for_each(|part| context.update(part));
            context.sign().as_ref().try_into().expect("20 bytes")
        };
        let password = password.unwrap_or(&own.password).as_bytes().to_vec();
        let len = message.to_bytes(Some(&password), &mut out, hmac).expect("it fits");
        self.stun(now, from, &out[..len]);
    }

    fn stun(&mut self, now: Instant, from: Path, packet: &[u8]) {
        if from == self.peer {
            self.took += packet.len();
        }
        self.proven |= self.transport.handle_stun(now, from, packet) && from == self.peer;
        self.drain();
    }

    /// As the shard does: only from a proven address.
    fn dtls(&mut self, now: Instant, record: &[u8]) {
        if self.proven {
            self.took += record.len();
            self.transport.handle_dtls(now, record);
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.transport.poll() {
            match event {
                Event::Send(to, datagram) => {
                    assert!(self.proven && to == self.peer, "an unproven source was answered");
                    self.gave += datagram.len();
                }
                Event::Keys(_) => panic!("keys for a certificate that nobody has"),
                Event::Path(_) | Event::Ended(_) => {}
            }
        }
        // an answer to a check may be longer than the check, never by much
        assert!(self.gave <= 4 * self.took + FLIGHTS, "{} bytes for {}", self.gave, self.took);
    }
}

/// DTLS records: the first byte of each part says what it is, how much time passed before it, and whether a check came.
pub fn dtls(data: &[u8]) {
    let (mut hop, mut now) = (Hop::new(1_000), *START);
    for part in parts(data) {
        now += Duration::from_millis(u64::from(part.wait) * 4);
        hop.transport.handle_timeout(now);
        hop.drain();
        match part.kind % 8 {
            0 => hop.check(now, hop.peer, None),
            1 => hop.stun(now, hop.peer, part.bytes),
            _ => hop.dtls(now, part.bytes),
        }
    }
}

/// A piece of an input: a kind, time before it, and its bytes.
pub struct Part<'a> {
    kind: u8,
    wait: u8,
    bytes: &'a [u8],
}

/// Kind, time, two bytes of length, and so many bytes or what is left.
fn parts(mut data: &[u8]) -> Vec<Part<'_>> {
    let mut all = Vec::new();
    while let [kind, wait, high, low, rest @ ..] = data {
        let len = usize::from(u16::from_be_bytes([*high, *low]) % 2_048).min(rest.len());
        let (bytes, after) = rest.split_at(len);
        all.push(Part { kind: *kind, wait: *wait, bytes });
        data = after;
    }
    all
}

/// The same, written.
pub fn part(kind: u8, wait: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind, wait][..], &(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn section(mid: &str, slot: Slot, codec: Codec, payload_type: u8, ssrcs: (u32, Option<u32>)) -> PublishSection {
    let repair_payload_type = ssrcs.1.map(|_| payload_type + 1);
    let section = super::media::section(mid, slot, codec, payload_type, ssrcs);
    PublishSection { repair_payload_type, carried_id: 5, ..section }
}

/// A meeting of two who send and one who listens.
struct World {
    engine: Engine,
    now: Micros,
    peers: Vec<PeerKey>,
    windows: [Window; 4],
    published: usize,
}

impl World {
    fn new() -> Self {
        let meeting: MeetingId = "0123456789abcdef0123456789abcdef".parse().expect("an id");
        let (mut engine, now) = (Engine::new(1), Micros(1_000_000_000));
        let rule = |firm: &str| FirmRule {
            firm: firm.parse().expect("an id"),
            audio_video: Rule::Off,
            recorder_grace_ms: 2_000,
        };
        let firms = vec![rule("bank-a"), rule("bank-b")];
        engine.handle(now, Input::Control(ToSfu::Meeting { meeting: meeting.clone(), firms }));
        let mut peers = Vec::new();
        for who in ["bank-a/anna/1", "bank-b/ben/1", "bank-b/carol/1"] {
            let participant: ParticipantId = who.parse().expect("an id");
            let meeting = meeting.clone();
            let admitted = ToSfu::Participant {
                meeting: meeting.clone(),
                participant: participant.clone(),
                recorder: false,
                may_publish: true,
            };
            engine.handle(now, Input::Control(admitted));
            peers.push(engine.peer(&meeting, &participant).expect("admitted"));
        }
        let mut world = Self { engine, now, peers, windows: Default::default(), published: 0 };
        for (n, codec, payload_type) in [(0, Codec::Vp8, 96), (1, Codec::Vp9, 98)] {
            let base = 7_000 + n as u32 * 10;
            let sections = vec![
                section("0", Slot::MICROPHONE, Codec::Opus, 111, (base + 2, None)),
                section("1", Slot::CAMERA, codec, payload_type, (base, Some(base + 1))),
            ];
            let peer = world.peers[n];
            world.engine.handle(now, Input::Published { peer, sections });
            let up = Input::Transport { peer, transport: TransportKind::Publish, state: LinkState::Up };
            world.engine.handle(now, up);
        }
        world.answer();
        world
    }

    /// Everybody takes what it is offered.
    fn answer(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            if let Output::Offer { to: peer, revision, sections, .. } = output {
                let accepted = sections.iter().filter(|s| s.stream.is_some()).map(|s| s.mid.clone()).collect();
                self.engine.handle(self.now, Input::Answered { peer, revision, accepted });
                let up = Input::Transport { peer, transport: TransportKind::Subscribe, state: LinkState::Up };
                self.engine.handle(self.now, up);
            }
        }
    }

    fn rtp(&mut self, who: usize, packet: &[u8]) {
        let Some(header) = Header::parse(packet) else { return };
        let window = &mut self.windows[(who + header.ssrc as usize) % 4];
        let index = window.guess(header.sequence);
        if window.is_new(index) {
            window.mark(index);
            self.published += packet.len();
            self.engine.handle_rtp(self.now, self.peers[who], &header, index, packet);
        }
    }

    fn step(&mut self, wait: u8) {
        self.now = self.now.plus(u64::from(wait) * 1_000);
        self.engine.handle_timeout(self.now);
        let (mut arena, mut cuts, mut turns) = (Vec::new(), Vec::new(), 0);
        while let Some(to) = self.engine.poll_forward(self.now, &mut arena, &mut cuts) {
            turns += 1;
            assert!(self.peers.contains(&to) && turns < 10_000, "it ends");
        }
        assert!(arena.len() <= STEP, "{} bytes at once", arena.len());
        let said = std::iter::from_fn(|| self.engine.poll_output()).count();
        assert!(said < 256, "one step asks for {said} things");
    }
}

/// Retransmissions (RFC 4588) of a publisher among its packets. The first byte of a part says what it is: even is media, odd
/// a repair whose bytes are an original number and a payload, or less; two bits set padding and extension; the highest ones
/// say under which SSRC it comes: the described one, the media's, another publisher's, nobody's.
pub fn repairs(data: &[u8]) {
    let mut world = World::new();
    for part in parts(data) {
        let repair = part.kind % 2 == 1;
        let (kind, described) = if repair { (97, 7_001u32) } else { (96, 7_000) };
        let ssrc = [described, described, 7_000, 7_001, 7_010, 7_011, 7_002, 9_999]
            [usize::from(part.kind >> 6) * 2 + usize::from(part.kind >> 1 & 1)];
        let mut packet = vec![0x80 | part.kind & 0x30, kind, 0, part.wait];
        packet.extend([0, 0, 0, part.wait >> 2]);
        packet.extend(ssrc.to_be_bytes());
        packet.extend(part.bytes);
        world.rtp(0, &packet);
        world.step(part.wait % 16);
        assert!(world.engine.stats().recovered as usize <= world.published);
    }
    let stats = world.engine.stats();
    assert!(stats.forwarded <= 3 * stats.received, "each packet goes to each subscriber once");
}

/// A whole server without its sockets: datagrams of peers with and without a proven address, opened packets of publishers
/// and subscribers, and time.
pub fn server(data: &[u8]) {
    let mut world = World::new();
    let mut hops = [Hop::new(1_000), Hop::new(2_000)];
    let (stranger, mut now) = (path(9_999), *START);
    for part in parts(data) {
        now += Duration::from_millis(u64::from(part.wait));
        let at = usize::from(part.kind >> 7);
        let hop = &mut hops[at];
        hop.transport.handle_timeout(now);
        hop.drain();
        match part.kind % 10 {
            0 => hop.check(now, hop.peer, None),
            1 => hop.check(now, stranger, Some("not the password at all")),
            2 => hop.stun(now, stranger, part.bytes),
            3 | 4 => hop.dtls(now, part.bytes),
            5 => world.engine.handle_rtcp(world.now, world.peers[at], TransportKind::Publish, part.bytes),
            6 => world.engine.handle_rtcp(world.now, world.peers[2], TransportKind::Subscribe, part.bytes),
            _ => world.rtp(at, part.bytes),
        }
        world.step(part.wait);
    }
}

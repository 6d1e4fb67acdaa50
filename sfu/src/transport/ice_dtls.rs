//! [`Transport`] on the crates `is` (ICE) and `dimpl` (DTLS), with the rules of an SFU that they leave to their user:
//! follow the peer's choice of path at once, never become controlling, take AEAD profiles only, and give out keys only
//! after our own check of the fingerprint.

use super::srtp::{Contexts, Profile, Role};
use super::{Ended, Event, Factory, IceParameters, Path, Protocol, Transport};
use dimpl::certificate::{calculate_fingerprint, generate_self_signed_certificate};
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// First DTLS retransmission: two lost flights cost 0.35 s instead of 2 s.
const FLIGHT_RTO: Duration = Duration::from_millis(100);
/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Output buffer of DTLS; it grows if a record wants more.
const DTLS_BUFFER: usize = 2048;
/// Pairs of candidates kept per transport: a page with a few interfaces against a few of ours.
const MAX_PAIRS: usize = 64;
/// Sources that one agent is shown: it keeps each for good. Beyond them it begins anew under the same credentials.
const MAX_SOURCES: usize = 64;
/// DTLS datagrams that wait for others before them: a flight has five.
const MAX_WAITING: usize = 30;

/// Makes [`IceDtls`] transports with one certificate.
pub struct IceDtlsFactory {
    listening: Arc<Listening>,
    certificate: DtlsCertificate,
    config: Arc<Config>,
}

/// Where a shard's transports are reached.
#[derive(Debug, Clone)]
struct Listening {
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    /// Which shard: user name fragments begin with its mark.
    shard: usize,
}

/// Why the factory could not be made: our environment.
#[derive(Debug, thiserror::Error)]
#[error("DTLS could not be set up: {0}")]
pub struct FactoryError(String);

impl IceDtlsFactory {
    /// Listens on these addresses for UDP alone; makes a fresh certificate.
    pub fn new(udp: Vec<SocketAddr>) -> Result<Self, FactoryError> {
        let certificate = generate_self_signed_certificate().map_err(|e| FactoryError(e.to_string()))?;
        // STUN has proved the path: no cookie, which saves a round trip
        let config =
            Config::builder().flight_start_rto(FLIGHT_RTO).handshake_timeout(HANDSHAKE).use_server_cookie(false);
        let config = config.max_queue_rx(MAX_WAITING).require_client_certificate(true);
        let config = Arc::new(config.build().map_err(|e| FactoryError(e.to_string()))?);
        Ok(Self { listening: Arc::new(Listening { udp, tcp: Vec::new(), shard: 0 }), certificate, config })
    }

    /// ... and for TCP on these, where the user name fragment tells the shard.
    pub fn with_tcp(mut self, tcp: Vec<SocketAddr>, shard: usize) -> Self {
        self.listening = Arc::new(Listening { udp: self.listening.udp.clone(), tcp, shard });
        self
    }
}

impl IceDtlsFactory {
    fn make(&self, now: Instant) -> IceDtls {
        // 1.2: the 1.3 server takes the client's first profile, which is SHA-1 with browsers
        let dtls = Dtls::new_12(self.config.clone(), self.certificate.clone(), now);
        IceDtls {
            ice: agent(&self.listening, fresh(self.listening.shard), now),
            dtls,
            listening: self.listening.clone(),
            sources: Vec::new(),
            remote_fingerprint: None,
            peer_fingerprint: None,
            unchecked: None,
            path: None,
            moving: false,
            early: None,
            next_dtls: None,
            buffer: vec![0; DTLS_BUFFER],
            events: VecDeque::new(),
            ended: None,
        }
    }
}

impl Factory for IceDtlsFactory {
    fn create(&self, now: Instant) -> Box<dyn Transport> {
        Box::new(self.make(now))
    }

    fn fingerprint(&self) -> String {
        self.certificate.fingerprint_str()
    }

    fn tcp(&self) -> &[SocketAddr] {
        &self.listening.tcp
    }
}

/// New credentials that name their shard.
fn fresh(shard: usize) -> IceCreds {
    let IceCreds { ufrag, pass } = IceCreds::new();
    IceCreds { ufrag: format!("{}{ufrag}", crate::tcp::mark(shard)), pass }
}

fn agent(listening: &Listening, credentials: IceCreds, now: Instant) -> IceAgent {
    let mut ice = IceAgent::new(credentials);
    ice.set_ice_lite(true);
    ice.set_controlling(false);
    // the highest tie-breaker wins every conflict: a lite agent must never be talked into controlling
    ice.set_control_tie_breaker(u64::MAX);
    ice.set_max_candidate_pairs(MAX_PAIRS);
    for (locals, protocol) in [(&listening.udp, Protocol::Udp), (&listening.tcp, Protocol::Tcp)] {
        for local in locals {
            if let Ok(candidate) = Candidate::host(*local, is::Protocol::from(protocol)) {
                ice.add_local_candidate(candidate);
            }
        }
    }
    ice.handle_timeout(now);
    ice
}

impl From<Protocol> for is::Protocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Udp => Self::Udp,
            Protocol::Tcp => Self::Tcp,
        }
    }
}

/// Ours have no candidates of any other kind.
fn protocol(of: is::Protocol) -> Protocol {
    if of == is::Protocol::Udp { Protocol::Udp } else { Protocol::Tcp }
}

/// One association.
pub struct IceDtls {
    ice: IceAgent,
    dtls: Dtls,
    listening: Arc<Listening>,
    /// Sources that the agent knows.
    sources: Vec<Path>,
    remote_fingerprint: Option<Vec<u8>>,
    peer_fingerprint: Option<Vec<u8>>,
    /// Keys whose fingerprint is not checked yet: the page's answer may come after its handshake.
    unchecked: Option<Box<Contexts>>,
    path: Option<Path>,
    /// The peer restarted ICE, which it does when its path is gone: the first path that it proves is better.
    moving: bool,
    /// Last authenticated source: the ClientHello comes before the nomination.
    early: Option<Path>,
    next_dtls: Option<Instant>,
    buffer: Vec<u8>,
    events: VecDeque<Event>,
    ended: Option<Ended>,
}

impl IceDtls {
    fn end(&mut self, why: Ended) {
        if self.ended.is_none() {
            self.ended = Some(why);
            self.unchecked = None;
            self.events.push_back(Event::Ended(why));
        }
    }

    /// Whoever has the password may ask from any number of ports; the agent would remember them all.
    fn remember(&mut self, now: Instant, path: Path) {
        if self.sources.contains(&path) {
            return;
        }
        if self.sources.len() >= MAX_SOURCES {
            self.sources.clear();
            let remote = self.ice.remote_credentials().cloned();
            self.ice = agent(&self.listening, self.ice.local_credentials().clone(), now);
            if let Some(remote) = remote {
                self.ice.set_remote_credentials(remote);
            }
        }
        self.sources.push(path);
    }

    fn drain_ice(&mut self, now: Instant) {
        // nominations come out of handle_timeout only
        self.ice.handle_timeout(now);
        while let Some(transmit) = self.ice.poll_transmit() {
            let (local, remote) = (transmit.source, transmit.destination);
            let path = Path { local, remote, protocol: protocol(transmit.proto) };
            self.events.push_back(Event::Send(path, Vec::from(transmit.contents)));
        }
        while let Some(event) = self.ice.poll_event() {
            if let IceAgentEvent::NominatedSend { proto, source, destination, .. } = event
                && self.path.is_none()
            {
                self.follow(Path { local: source, remote: destination, protocol: protocol(proto) });
            }
        }
    }

    fn follow(&mut self, path: Path) {
        if self.path != Some(path) {
            self.path = Some(path);
            self.events.push_back(Event::Path(path));
        }
    }

    fn drive_dtls(&mut self, now: Instant, packet: Option<&[u8]>) {
        if self.ended.is_some() {
            return;
        }
        let mut result = self.dtls.handle_timeout(now);
        if let (Ok(()), Some(packet)) = (&result, packet) {
            result = self.dtls.handle_packet(packet);
        }
        if let Err(error) = result {
            tracing::debug!(%error, "DTLS gave up");
            self.end(Ended::Handshake);
            return;
        }
        self.drain_dtls();
    }

    fn drain_dtls(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(record) => {
                    if let Some(path) = self.path.or(self.early) {
                        self.events.push_back(Event::Send(path, record.to_vec()));
                    }
                }
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::Timeout(at) => {
                    self.next_dtls = Some(at);
                    break;
                }
                Output::PeerCert(certificate) => self.peer_fingerprint = Some(calculate_fingerprint(certificate)),
                Output::KeyingMaterial(material, profile) => self.take_keys(&material, profile),
                Output::CloseNotify => self.end(Ended::ByPeer),
                _ => {}
            }
        }
        self.buffer = buffer;
        self.release_keys();
    }

    fn take_keys(&mut self, material: &[u8], profile: SrtpProfile) {
        let profile = match profile {
            SrtpProfile::AEAD_AES_256_GCM => Profile::Aes256Gcm,
            SrtpProfile::AEAD_AES_128_GCM => Profile::Aes128Gcm,
            _ => return self.end(Ended::Profile),
        };
        match Contexts::new(material, profile, Role::Server) {
            Ok(contexts) => self.unchecked = Some(Box::new(contexts)),
            Err(_) => self.end(Ended::Handshake),
        }
    }

    /// Gives out the keys if the certificate is the described one. Until the description is there they wait.
    fn release_keys(&mut self) {
        let (Some(described), Some(shown)) = (&self.remote_fingerprint, &self.peer_fingerprint) else { return };
        if described != shown {
            return self.end(Ended::Fingerprint);
        }
        if let Some(contexts) = self.unchecked.take() {
            // a page that has not nominated yet is answered where it spoke from
            if let (None, Some(early)) = (self.path, self.early) {
                self.follow(early);
            }
            self.events.push_back(Event::Keys(contexts));
        }
    }
}

impl Transport for IceDtls {
    fn parameters(&self) -> IceParameters {
        let IceCreds { ufrag, pass } = self.ice.local_credentials().clone();
        IceParameters { ufrag, password: pass }
    }

    fn set_remote(&mut self, remote: IceParameters, fingerprint: &[u8]) {
        self.ice.set_remote_credentials(IceCreds { ufrag: remote.ufrag, pass: remote.password });
        self.remote_fingerprint = Some(fingerprint.to_vec());
        self.release_keys();
    }

    fn restart(&mut self, now: Instant) {
        // the path in use stays until the peer proves another
        self.moving = true;
        self.sources.clear();
        self.ice = agent(&self.listening, fresh(self.listening.shard), now);
    }

    fn handle_stun(&mut self, now: Instant, path: Path, packet: &[u8]) -> bool {
        let Ok(message) = StunMessage::parse(packet) else { return false };
        let chosen = message.use_candidate();
        let proto = path.protocol.into();
        let stun = StunPacket { proto, source: path.remote, destination: path.local, message };
        let authentic = self.ice.handle_packet(now, stun);
        self.drain_ice(now);
        if authentic {
            self.remember(now, path);
            self.early = Some(path);
            if chosen || self.moving {
                self.moving = false;
                self.follow(path);
            }
        }
        authentic
    }

    fn lost(&mut self, path: Path) {
        self.path = self.path.filter(|known| *known != path);
        self.early = self.early.filter(|known| *known != path);
    }

    fn handle_dtls(&mut self, now: Instant, packet: &[u8]) {
        self.drive_dtls(now, Some(packet));
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.ice.poll_timeout().is_none_or(|at| at <= now) {
            self.drain_ice(now);
        }
        if self.next_dtls.is_some_and(|at| at <= now) {
            self.drive_dtls(now, None);
        }
    }

    fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn close(&mut self, now: Instant) {
        if self.ended.is_none() && self.dtls.handle_timeout(now).is_ok() && self.dtls.close().is_ok() {
            self.drain_dtls();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use is::stun::TransId;

    const LOCAL: &str = "127.0.0.1:8445";

    fn path(port: u16) -> Path {
        let remote = SocketAddr::from(([127, 0, 0, 1], port));
        Path { local: LOCAL.parse().expect("an address"), remote, protocol: Protocol::Udp }
    }

    fn transport() -> Box<dyn Transport> {
        let factory = IceDtlsFactory::new(vec![path(0).local]).expect("DTLS");
        let mut transport = factory.create(Instant::now());
        let remote = IceParameters { ufrag: "page".into(), password: "p".repeat(24) };
        transport.set_remote(remote, &[0; 32]);
        transport
    }

    #[test]
    fn v17_each_start_makes_a_key_of_its_own() {
        let start = || IceDtlsFactory::new(vec![path(0).local]).expect("DTLS").fingerprint();
        assert_ne!(start(), start());
    }

    #[test]
    fn v17_a_profile_of_sha1_gets_no_keys() {
        let factory = IceDtlsFactory::new(vec![path(0).local]).expect("DTLS");
        for (profile, taken) in [
            (SrtpProfile::AEAD_AES_256_GCM, true),
            (SrtpProfile::AEAD_AES_128_GCM, true),
            (SrtpProfile::AES128_CM_SHA1_80, false),
        ] {
            let mut transport = factory.make(Instant::now());
            let material = [7; 128];
            let length = if profile == SrtpProfile::AEAD_AES_256_GCM { 88 } else { 56 };
            transport.take_keys(&material[..length], profile);
            assert_eq!((transport.unchecked.is_some(), transport.ended.is_none()), (taken, taken), "{profile:?}");
        }
    }

    /// Role that a check claims.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Claim {
        Controlling,
        Controlled,
    }

    fn check(transport: &dyn Transport, claim: Claim, chosen: bool) -> Vec<u8> {
        let IceParameters { ufrag, password } = transport.parameters();
        let name = format!("{ufrag}:page");
        let controlling = claim == Claim::Controlling;
        let message = StunMessage::binding_request(&name, TransId::new(), controlling, 7, 1, chosen);
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

    fn events(transport: &mut dyn Transport) -> (Vec<Path>, Vec<Vec<u8>>) {
        let (mut paths, mut sent) = (Vec::new(), Vec::new());
        while let Some(event) = transport.poll() {
            match event {
                Event::Path(path) => paths.push(path),
                Event::Send(_, datagram) => sent.push(datagram),
                Event::Keys(_) | Event::Ended(_) => {}
            }
        }
        (paths, sent)
    }

    #[test]
    fn the_latest_authentic_choice_of_path_is_followed_at_once() {
        let (mut transport, now) = (transport(), Instant::now());
        let mut chosen = Vec::new();
        for (port, chooses) in [(1000, false), (1000, true), (2000, false), (2000, true), (1000, false), (1000, true)] {
            let packet = check(&*transport, Claim::Controlling, chooses);
            assert!(transport.handle_stun(now, path(port), &packet));
            chosen.extend(events(&mut *transport).0);
        }
        assert_eq!(chosen, [path(1000), path(2000), path(1000)]);
        let mut forged = check(&*transport, Claim::Controlling, true);
        let last = forged.len() - 9;
        forged[last] ^= 1;
        assert!(!transport.handle_stun(now, path(3000), &forged));
        assert!(events(&mut *transport).0.is_empty());
    }

    #[test]
    fn after_a_restart_the_first_path_that_is_proven_is_followed_and_then_only_chosen_ones() {
        let (mut transport, now) = (transport(), Instant::now());
        let packet = check(&*transport, Claim::Controlling, true);
        assert!(transport.handle_stun(now, path(1000), &packet));
        events(&mut *transport);
        transport.restart(now);
        let stale = packet;
        assert!(!transport.handle_stun(now, path(2000), &stale), "by the parameters of before");
        let mut chosen = events(&mut *transport).0;
        for (port, chooses) in [(3000, false), (4000, false), (1000, true)] {
            let packet = check(&*transport, Claim::Controlling, chooses);
            assert!(transport.handle_stun(now, path(port), &packet));
            chosen.extend(events(&mut *transport).0);
        }
        assert_eq!(chosen, [path(3000), path(1000)]);
    }

    #[test]
    fn a_peer_that_claims_to_be_controlled_is_told_of_the_conflict_and_changes_nothing() {
        let (mut transport, now) = (transport(), Instant::now());
        let packet = check(&*transport, Claim::Controlled, false);
        transport.handle_stun(now, path(1000), &packet);
        let (_, sent) = events(&mut *transport);
        let answer = sent.iter().find_map(|datagram| StunMessage::parse(datagram).ok()).expect("an answer");
        assert_eq!(answer.error_code().map(|(code, _)| code), Some(487));
        let packet = check(&*transport, Claim::Controlling, true);
        assert!(transport.handle_stun(now, path(1000), &packet));
        assert_eq!(events(&mut *transport).0, [path(1000)], "still the controlled side");
    }
}

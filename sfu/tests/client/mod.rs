//! A small participant for tests and benches: ICE (controlling) and DTLS (client) of the same crates, SRTP of the SFU's
//! own code, one UDP socket or one TCP connection, driven by its owner.
#![allow(dead_code)]

use dimpl::certificate::{calculate_fingerprint, generate_self_signed_certificate};
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};
use sfu::tcp::framing::{MAX_FRAME, Reader};
use sfu::transport::srtp::{Contexts, Profile, Role, TAG};
use sfu_core::rtp::{self, Header};
use sfu_core::sdp::{self, LocalTransport, offer::OfferSection};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What carries the packets.
pub enum Carrier {
    Udp,
    /// A connection is opened when the SFU's candidates are known.
    Tcp(Option<TcpStream>, Reader),
}

/// One transport of a participant.
pub struct Client {
    pub socket: UdpSocket,
    pub carrier: Carrier,
    local: SocketAddr,
    ice: IceAgent,
    dtls: Dtls,
    fingerprint: Vec<u8>,
    remote_fingerprint: Vec<u8>,
    to: Option<SocketAddr>,
    started: bool,
    buffer: Vec<u8>,
    pub srtp: Option<Contexts>,
    pub profile: Option<SrtpProfile>,
    /// Opened RTP packets with their extended index.
    pub rtp: Vec<(u64, Vec<u8>)>,
    /// Opened RTCP compounds.
    pub rtcp: Vec<Vec<u8>>,
    pub closed: bool,
}

/// A certificate costs the random number generator's start: make one for all.
pub struct Maker {
    certificate: DtlsCertificate,
    config: Arc<Config>,
}

impl Maker {
    pub fn new() -> Self {
        let certificate = generate_self_signed_certificate().expect("a certificate");
        let config = Config::builder().flight_start_rto(Duration::from_millis(100)).build().expect("a configuration");
        Self { certificate, config: Arc::new(config) }
    }

    pub fn client(&self) -> Client {
        self.client_at(IpAddr::from([127, 0, 0, 1]))
    }

    /// A client at another address of this machine.
    pub fn client_at(&self, address: IpAddr) -> Client {
        let socket = UdpSocket::bind((address, 0)).expect("an address of ours");
        socket.set_nonblocking(true).expect("a socket");
        let local = socket.local_addr().expect("bound");
        let now = Instant::now();
        let mut ice = IceAgent::new(IceCreds::new());
        ice.set_controlling(true);
        ice.add_local_candidate(Candidate::host(local, "udp").expect("an address"));
        let mut dtls = Dtls::new_12(self.config.clone(), self.certificate.clone(), now);
        dtls.set_active(true);
        Client {
            socket,
            carrier: Carrier::Udp,
            local,
            ice,
            dtls,
            fingerprint: self.certificate.fingerprint(),
            remote_fingerprint: Vec::new(),
            to: None,
            started: false,
            buffer: vec![0; 2048],
            srtp: None,
            profile: None,
            rtp: Vec::new(),
            rtcp: Vec::new(),
            closed: false,
        }
    }
}

impl Client {
    fn local_transport(&self) -> LocalTransport {
        let creds = self.ice.local_credentials();
        LocalTransport {
            ufrag: creds.ufrag.clone(),
            password: creds.pass.clone(),
            association: "a".repeat(20),
            fingerprint: dimpl::certificate::format_fingerprint(&self.fingerprint),
            candidates: vec![self.local],
            tcp: Vec::new(),
        }
    }

    /// The user name of a check: the SFU's fragment and ours.
    pub fn user_name(&self) -> String {
        let remote = self.ice.remote_credentials().expect("a description was taken");
        format!("{}:{}", remote.ufrag, self.ice.local_credentials().ufrag)
    }

    /// Without ICE and DTLS: a peer and keys that both sides have.
    pub fn wired(mut self, to: SocketAddr, contexts: Contexts) -> Self {
        self.to = Some(to);
        self.srtp = Some(contexts);
        self
    }

    /// ICE parameters and fingerprint, for a server that is set up without SDP.
    pub fn description(&self) -> (String, String, Vec<u8>) {
        let creds = self.ice.local_credentials();
        (creds.ufrag.clone(), creds.pass.clone(), self.fingerprint.clone())
    }

    /// Where the SFU is, once a path is chosen.
    pub fn server(&self) -> Option<SocketAddr> {
        self.to
    }

    /// Where we are.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// The server's ICE parameters, fingerprint and address, without SDP.
    pub fn expect(&mut self, (ufrag, pass): (String, String), fingerprint: Vec<u8>, address: SocketAddr) {
        self.ice.set_remote_credentials(IceCreds { ufrag, pass });
        self.remote_fingerprint = fingerprint;
        self.ice.add_remote_candidate(Candidate::host(address, "udp").expect("an address"));
    }

    /// New ICE parameters from another port, as after a change of network: everything sent before is lost.
    pub fn move_and_restart(&mut self) {
        let socket = UdpSocket::bind((self.local.ip(), 0)).expect("an address of ours");
        socket.set_nonblocking(true).expect("a socket");
        self.local = socket.local_addr().expect("bound");
        self.socket = socket;
        self.ice = IceAgent::new(IceCreds::new());
        self.ice.set_controlling(true);
        self.ice.add_local_candidate(Candidate::host(self.local, "udp").expect("an address"));
        self.to = None;
    }

    /// The same, to a TCP connection.
    pub fn move_to_tcp(&mut self) {
        self.carrier = Carrier::Tcp(None, Reader::default());
        // what still comes to the old one is lost
        self.socket = UdpSocket::bind((self.local.ip(), 0)).expect("an address of ours");
        self.socket.set_nonblocking(true).expect("a socket");
        self.ice = IceAgent::new(IceCreds::new());
        self.ice.set_controlling(true);
        self.to = None;
    }

    fn protocol(&self) -> Protocol {
        match self.carrier {
            Carrier::Udp => Protocol::Udp,
            Carrier::Tcp(..) => Protocol::Tcp,
        }
    }

    fn connect(&mut self, to: SocketAddr) {
        if let Carrier::Tcp(connection @ None, _) = &mut self.carrier {
            let stream = TcpStream::connect(to).expect("the SFU listens");
            stream.set_nonblocking(true).expect("a socket");
            stream.set_nodelay(true).expect("a socket");
            self.local = stream.local_addr().expect("connected");
            *connection = Some(stream);
            self.ice.add_local_candidate(Candidate::host(self.local, "tcp").expect("an address"));
        }
    }

    /// A publish offer for these sections.
    pub fn offer(&self, sections: &[OfferSection]) -> String {
        sdp::offer::write(&self.local_transport(), 1, sections)
    }

    /// Takes the SFU's answer.
    pub fn take_answer(&mut self, text: &str) {
        let answer = sdp::read::read(text).expect("readable");
        assert_eq!(answer.setup, "passive");
        self.take_remote(&answer, text);
    }

    /// Takes the SFU's offer and answers it.
    pub fn answer(&mut self, text: &str) -> String {
        let offer = sdp::read::read(text).expect("readable");
        self.take_remote(&offer, text);
        // every section is taken as it is offered
        text.replace("a=setup:actpass", "a=setup:active")
            .replace("a=sendonly", "a=recvonly")
            .lines()
            .filter(|l| !l.starts_with("a=ssrc") && !l.starts_with("a=candidate") && !l.starts_with("a=ice-lite"))
            .map(|l| match l.split_once(':') {
                Some(("a=ice-ufrag", _)) => format!("a=ice-ufrag:{}\r\n", self.ice.local_credentials().ufrag),
                Some(("a=ice-pwd", _)) => format!("a=ice-pwd:{}\r\n", self.ice.local_credentials().pass),
                Some(("a=fingerprint", _)) => {
                    format!("a=fingerprint:sha-256 {}\r\n", dimpl::certificate::format_fingerprint(&self.fingerprint))
                }
                _ => format!("{l}\r\n"),
            })
            .collect()
    }

    fn take_remote(&mut self, remote: &sdp::read::Description, text: &str) {
        if self.ice.remote_credentials().is_some_and(|known| known.ufrag == remote.ufrag) {
            return;
        }
        self.ice.set_remote_credentials(IceCreds { ufrag: remote.ufrag.clone(), pass: remote.password.clone() });
        self.remote_fingerprint = remote.fingerprint.clone();
        for line in text.lines().filter_map(|l| l.strip_prefix("a=candidate:")) {
            let parts: Vec<&str> = line.split(' ').collect();
            let protocol = self.protocol();
            if parts[4] == self.local.ip().to_string() && parts[2] == protocol.to_string() {
                let ip: IpAddr = parts[4].parse().expect("an address");
                let address = SocketAddr::new(ip, parts[5].parse().expect("a port"));
                self.connect(address);
                self.ice.add_remote_candidate(Candidate::host(address, protocol).expect("an address"));
            }
        }
    }

    /// Takes what has arrived and does what is due.
    pub fn drive(&mut self) {
        let mut datagram = [0u8; 2048];
        loop {
            match self.socket.recv_from(&mut datagram) {
                Ok((len, from)) => self.datagram(from, &mut datagram[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("receive: {error}"),
            }
        }
        self.read_connection();
        self.timers(Instant::now());
    }

    /// Does what is due and reads nothing.
    pub fn drive_deaf(&mut self) {
        self.timers(Instant::now());
    }

    fn read_connection(&mut self) {
        let mut bytes = [0u8; 4 * MAX_FRAME];
        let mut frames = Vec::new();
        let Carrier::Tcp(Some(stream), reader) = &mut self.carrier else { return };
        while let Ok(count) = stream.read(&mut bytes) {
            if count == 0 {
                self.closed = true;
                break;
            }
            reader.take(&mut bytes[..count], |frame| frames.push(frame.to_vec())).expect("the SFU's own frames");
        }
        if let Some(from) = self.to.or_else(|| stream.peer_addr().ok()) {
            frames.iter_mut().for_each(|frame| self.datagram(from, frame));
        }
    }

    fn transmit(&mut self, packet: &[u8], to: SocketAddr) {
        match &mut self.carrier {
            Carrier::Udp => drop(self.socket.send_to(packet, to)),
            Carrier::Tcp(Some(stream), _) => {
                let frame = [&(packet.len() as u16).to_be_bytes()[..], packet].concat();
                let mut rest = &frame[..];
                while !rest.is_empty() {
                    match stream.write(rest) {
                        Ok(count) => rest = &rest[count..],
                        Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                        // it ended: what is sent is lost
                        Err(_) => return,
                    }
                }
            }
            Carrier::Tcp(None, _) => {}
        }
    }

    fn timers(&mut self, now: Instant) {
        self.ice.handle_timeout(now);
        while let Some(transmit) = self.ice.poll_transmit() {
            self.transmit(&transmit.contents, transmit.destination);
        }
        while let Some(event) = self.ice.poll_event() {
            if let IceAgentEvent::NominatedSend { destination, .. } = event {
                self.to = Some(destination);
            }
        }
        if self.to.is_some() && !self.closed {
            self.started = true;
            if self.dtls.handle_timeout(now).is_err() {
                self.closed = true;
            }
            self.drain_dtls();
        }
    }

    fn datagram(&mut self, from: SocketAddr, datagram: &mut [u8]) {
        let now = Instant::now();
        match datagram[0] {
            0..=3 => {
                if let Ok(message) = StunMessage::parse(datagram) {
                    let packet = StunPacket { proto: self.protocol(), source: from, destination: self.local, message };
                    self.ice.handle_packet(now, packet);
                }
            }
            20..=63 => {
                let fine = self.dtls.handle_timeout(now).is_ok() && self.dtls.handle_packet(datagram).is_ok();
                self.closed |= !fine;
                self.drain_dtls();
            }
            _ => self.media(datagram),
        }
    }

    fn media(&mut self, datagram: &mut [u8]) {
        let Some(contexts) = &mut self.srtp else { return };
        if rtp::is_rtcp(datagram) {
            if let Ok(len) = contexts.receiver.open_rtcp(datagram) {
                self.rtcp.push(datagram[..len].to_vec());
            }
        } else if let Some(header) = Header::parse(datagram)
            && let Ok((index, len)) = contexts.receiver.open(datagram, header.len, header.ssrc, header.sequence)
        {
            self.rtp.push((index, datagram[..len].to_vec()));
        }
    }

    fn drain_dtls(&mut self) {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(record) => {
                    if let Some(to) = self.to {
                        self.transmit(record, to);
                    }
                }
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::Timeout(_) => break,
                Output::PeerCert(der) => assert_eq!(calculate_fingerprint(der), self.remote_fingerprint),
                Output::KeyingMaterial(material, profile) => {
                    self.profile = Some(profile);
                    let ours = match profile {
                        SrtpProfile::AEAD_AES_256_GCM => Profile::Aes256Gcm,
                        SrtpProfile::AEAD_AES_128_GCM => Profile::Aes128Gcm,
                        other => panic!("profile {other:?}"),
                    };
                    self.srtp = Some(Contexts::new(&material, ours, Role::Client).expect("keys"));
                }
                Output::CloseNotify => self.closed = true,
                _ => {}
            }
        }
        self.buffer = buffer;
    }

    /// Seals and sends an RTP packet (header and payload).
    pub fn send(&mut self, packet: &[u8], index: u64) {
        let header = Header::parse(packet).expect("RTP");
        let mut sealed = packet.to_vec();
        sealed.resize(packet.len() + TAG, 0);
        let contexts = self.srtp.as_mut().expect("connected");
        contexts.sender.seal(&mut sealed, header.len, header.ssrc, index).expect("a new index");
        self.transmit(&sealed, self.to.expect("connected"));
    }

    /// Seals and sends RTCP.
    pub fn send_rtcp(&mut self, packet: &[u8]) {
        let sealed = self.srtp.as_mut().expect("connected").sender.seal_rtcp(packet).expect("sealed");
        self.transmit(&sealed, self.to.expect("connected"));
    }
}

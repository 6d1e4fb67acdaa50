//! The transports of a shard's participants, found by participant, by ICE user name and by address. Only a source that
//! STUN has proved is ever in the address map: anything else leaves nothing behind.

use crate::transport::srtp::Contexts;
use crate::transport::{Path, Transport};
use domain::TransportKind;
use sfu_core::PeerKey;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A transport that is silent for so long is gone: consent checks come every 2.5 s at least.
pub const LIVENESS: Duration = Duration::from_secs(5);
/// A transport that does not come up in so long is given up.
pub const CONNECT: Duration = Duration::from_secs(30);
/// Addresses one transport may be heard from: its candidates, and some for a changing NAT.
const MAX_ADDRESSES: usize = 16;

/// How packets leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From this socket to this address.
    Udp(usize, SocketAddr),
    /// On the connection of this number.
    Tcp(u64),
}

/// One transport of one participant.
pub struct Endpoint {
    /// Whose.
    pub peer: PeerKey,
    /// Which.
    pub kind: TransportKind,
    /// ICE and DTLS.
    pub transport: Box<dyn Transport>,
    /// Keys, once checked.
    pub srtp: Option<Contexts>,
    /// Where packets go.
    pub way: Option<Way>,
    /// User name fragment and fingerprint that the page described.
    pub remote: Option<(String, Vec<u8>)>,
    /// Last authentic packet.
    pub heard: Instant,
    /// Its first user name fragment: its name for as long as it lives.
    first_ufrag: String,
    born: Instant,
    ufrag: String,
    addresses: Vec<Path>,
}

/// All endpoints.
#[derive(Default)]
pub struct Endpoints {
    places: Vec<Option<Endpoint>>,
    by_peer: HashMap<(PeerKey, TransportKind), usize>,
    by_ufrag: HashMap<String, usize>,
    by_address: HashMap<Path, usize>,
}

impl Endpoints {
    /// Adds a transport; the participant's former one of the kind must be gone.
    pub fn add(&mut self, now: Instant, peer: PeerKey, kind: TransportKind, transport: Box<dyn Transport>) -> usize {
        let ufrag = transport.parameters().ufrag;
        let place = self.places.iter().position(Option::is_none).unwrap_or(self.places.len());
        if place == self.places.len() {
            self.places.push(None);
        }
        self.by_ufrag.insert(ufrag.clone(), place);
        self.by_peer.insert((peer, kind), place);
        self.places[place] = Some(Endpoint {
            peer,
            kind,
            transport,
            srtp: None,
            way: None,
            remote: None,
            heard: now,
            born: now,
            first_ufrag: ufrag.clone(),
            ufrag,
            addresses: Vec::new(),
        });
        place
    }

    /// Removes one.
    pub fn remove(&mut self, place: usize) -> Option<Endpoint> {
        let endpoint = self.places.get_mut(place)?.take()?;
        self.by_ufrag.remove(&endpoint.ufrag);
        self.by_peer.remove(&(endpoint.peer, endpoint.kind));
        for path in &endpoint.addresses {
            self.by_address.remove(path);
        }
        Some(endpoint)
    }

    /// The ICE parameters of an endpoint were renewed.
    pub fn renamed(&mut self, place: usize) {
        if let Some(endpoint) = self.places.get_mut(place).and_then(Option::as_mut) {
            self.by_ufrag.remove(&endpoint.ufrag);
            endpoint.ufrag = endpoint.transport.parameters().ufrag;
            self.by_ufrag.insert(endpoint.ufrag.clone(), place);
        }
    }

    /// Place of a participant's transport.
    pub fn of(&self, peer: PeerKey, kind: TransportKind) -> Option<usize> {
        self.by_peer.get(&(peer, kind)).copied()
    }

    /// Place by our user name fragment.
    pub fn by_ufrag(&self, ufrag: &str) -> Option<usize> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// Place by proven address.
    pub fn by_address(&self, path: Path) -> Option<usize> {
        self.by_address.get(&path).copied()
    }

    /// The endpoint at a place.
    pub fn get(&mut self, place: usize) -> Option<&mut Endpoint> {
        self.places.get_mut(place)?.as_mut()
    }

    /// STUN proved that the endpoint is at the other end of this path.
    pub fn prove(&mut self, place: usize, path: Path) {
        if self.by_address.get(&path) == Some(&place) {
            return;
        }
        let Some(endpoint) = self.places.get_mut(place).and_then(Option::as_mut) else { return };
        if endpoint.addresses.len() >= MAX_ADDRESSES {
            let oldest = endpoint.addresses.remove(0);
            self.by_address.remove(&oldest);
        }
        endpoint.addresses.push(path);
        if let Some(former) = self.by_address.insert(path, place)
            && let Some(former) = self.places.get_mut(former).and_then(Option::as_mut)
        {
            former.addresses.retain(|known| *known != path);
        }
    }

    /// A path is no more.
    pub fn lost(&mut self, path: Path) {
        if let Some(place) = self.by_address.remove(&path)
            && let Some(endpoint) = self.get(place)
        {
            endpoint.addresses.retain(|known| *known != path);
        }
    }

    /// Places there are, free ones included.
    pub fn places(&self) -> usize {
        self.places.len()
    }

    /// How many there are: transports, proven addresses.
    pub fn counts(&self) -> (usize, usize) {
        (self.by_peer.len(), self.by_address.len())
    }
}

impl Endpoint {
    /// Name of its DTLS association (RFC 8842).
    pub fn association(&self) -> String {
        format!("dtls-{}", self.first_ufrag)
    }

    /// Silent beyond its bound, or never up.
    pub fn is_dead(&self, now: Instant) -> bool {
        let bound = if self.srtp.is_some() { self.heard + LIVENESS } else { self.born + CONNECT };
        now >= bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ice_dtls::IceDtlsFactory;
    use crate::transport::srtp::{Profile, Role};
    use crate::transport::{Factory, Protocol};
    use domain::message::control::ToSfu;
    use sfu_core::engine::Input;
    use sfu_core::{Engine, Micros};

    fn someone() -> PeerKey {
        let mut engine = Engine::new(1);
        let meeting: domain::MeetingId = "0123456789abcdef0123456789abcdef".parse().expect("an id");
        let participant: domain::ParticipantId = "bank-a/anna/1".parse().expect("a participant");
        engine.handle(Micros(0), Input::Control(ToSfu::Meeting { meeting: meeting.clone(), firms: vec![] }));
        let admit = ToSfu::Participant {
            meeting: meeting.clone(),
            participant: participant.clone(),
            recorder: false,
            may_publish: true,
        };
        engine.handle(Micros(0), Input::Control(admit));
        engine.peer(&meeting, &participant).expect("admitted")
    }

    #[test]
    fn a_transport_ends_exactly_at_its_bound_and_leaves_no_address() {
        let local: SocketAddr = "127.0.0.1:8445".parse().expect("an address");
        let factory = IceDtlsFactory::new(vec![local]).expect("DTLS");
        let (mut endpoints, now) = (Endpoints::default(), Instant::now());
        let place = endpoints.add(now, someone(), TransportKind::Publish, factory.create(now));
        for port in 1..=40 {
            let remote = SocketAddr::from(([127, 0, 0, 1], port));
            endpoints.prove(place, Path { local, remote, protocol: Protocol::Udp });
        }
        assert_eq!(endpoints.counts(), (1, MAX_ADDRESSES));
        let endpoint = endpoints.get(place).expect("added");
        let millisecond = Duration::from_millis(1);
        assert!(!endpoint.is_dead(now + CONNECT - millisecond) && endpoint.is_dead(now + CONNECT));
        endpoint.srtp = Some(Contexts::new(&[7; 88], Profile::Aes256Gcm, Role::Server).expect("keys"));
        endpoint.heard = now + CONNECT;
        let bound = now + CONNECT + LIVENESS;
        assert!(!endpoint.is_dead(bound - millisecond) && endpoint.is_dead(bound));
        assert!(endpoints.remove(place).is_some());
        assert_eq!(endpoints.counts(), (0, 0));
    }
}

//! One ICE and DTLS association with a participant, up to its SRTP keys. The trait keeps the crates behind it replaceable;
//! SRTP itself is ours and is used by the shard alone.

pub mod ice_dtls;
pub mod replay;
pub mod srtp;

use std::net::SocketAddr;
use std::time::Instant;

/// What carries packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// Frames on a connection that the peer opened.
    Tcp,
}

/// Where packets of a transport come from and go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Path {
    /// Our address: the socket that sends.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// Between them.
    pub protocol: Protocol,
}

/// ICE parameters of one side (RFC 8445 section 5.3).
#[derive(Clone, PartialEq, Eq)]
pub struct IceParameters {
    /// User name fragment.
    pub ufrag: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for IceParameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IceParameters(…)")
    }
}

/// Why a transport ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// The peer said goodbye.
    #[error("closed by the peer")]
    ByPeer,
    /// DTLS failed.
    #[error("the DTLS handshake failed")]
    Handshake,
    /// The certificate is not the one of the description.
    #[error("the certificate has another fingerprint")]
    Fingerprint,
    /// Only an SRTP profile with SHA-1 was offered.
    #[error("no AEAD profile in common")]
    Profile,
}

/// What a transport has to say.
pub enum Event {
    /// Send this datagram.
    Send(Path, Vec<u8>),
    /// Packets go here from now on.
    Path(Path),
    /// The fingerprint was checked: these are the keys.
    Keys(Box<srtp::Contexts>),
    /// Over.
    Ended(Ended),
}

/// An ICE-lite, DTLS-passive end.
pub trait Transport {
    /// Our ICE parameters.
    fn parameters(&self) -> IceParameters;
    /// The peer's ICE parameters and the SHA-256 of its certificate, from its description.
    fn set_remote(&mut self, remote: IceParameters, fingerprint: &[u8]);
    /// ICE restart: new parameters of ours, same DTLS association.
    fn restart(&mut self, now: Instant);
    /// A STUN message. True if it was authentic.
    fn handle_stun(&mut self, now: Instant, path: Path, packet: &[u8]) -> bool;
    /// A path is no more: its connection ended. Another may be chosen later, or the same one opened again.
    fn lost(&mut self, path: Path);
    /// A DTLS record from an address that STUN has proved.
    fn handle_dtls(&mut self, now: Instant, packet: &[u8]);
    /// Time passed.
    fn handle_timeout(&mut self, now: Instant);
    /// The next event.
    fn poll(&mut self) -> Option<Event>;
    /// Says goodbye.
    fn close(&mut self, now: Instant);
}

/// Makes transports of one kind.
pub trait Factory {
    /// A new one, that listens on the shard's addresses.
    fn create(&self, now: Instant) -> Box<dyn Transport>;
    /// SHA-256 of our certificate, as `AA:BB:...`.
    fn fingerprint(&self) -> String;
    /// Where pages may connect to over TCP; empty if nowhere.
    fn tcp(&self) -> &[SocketAddr];
}

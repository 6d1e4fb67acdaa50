//! The way in over TCP (RFC 6544, framed by RFC 4571), for networks that let no UDP out: off unless `tcp_port` is set.
//!
//! All shards share one port, because a firewall that lets nothing but 443 out knows no second one. The [`gate`] accepts,
//! takes exactly one frame within 3 s and reads nothing else of it than whose shard it names: the first character of our
//! ICE user name fragment is the shard's. It hands the connection over to that shard, which answers for everything from
//! there on: the first frame must be an authentic binding request, or the connection is closed at once. From then on it
//! is one more path of the transport it named: frames are datagrams, TCP's end is a lost path.
//!
//! The gate keeps nothing of a source but how many connections it has. What a peer does not read is dropped: pictures
//! first, then sound ([`framing::Queue`]); who reads nothing at all for long is closed ([`life::Life`]).

pub mod framing;
pub mod gate;
pub mod life;

use crate::shards::MAX_SHARDS;
use crate::transport::Path;
use gate::Permit;
use std::net::TcpStream;

/// Names of shards: the characters that ICE allows (RFC 8839 section 5.4).
const MARKS: &[u8; MAX_SHARDS] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// First character of the user name fragments of a shard.
pub fn mark(shard: usize) -> char {
    char::from(MARKS[shard % MAX_SHARDS])
}

/// The shard that a user name fragment names.
pub fn shard_of(ufrag: &str) -> Option<usize> {
    let first = *ufrag.as_bytes().first()?;
    MARKS.iter().position(|mark| *mark == first)
}

/// A connection that a shard is to judge.
pub struct Arrival {
    /// The connection, non-blocking.
    pub stream: TcpStream,
    /// Its two ends.
    pub path: Path,
    /// Its first frame.
    pub first: Vec<u8>,
    /// Its place among all.
    pub permit: Permit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_has_a_mark_of_its_own() {
        for shard in 0..MAX_SHARDS {
            assert_eq!(shard_of(&format!("{}rest", mark(shard))), Some(shard));
        }
        assert_eq!((shard_of(""), shard_of("-x"), shard_of("é")), (None, None, None));
    }
}

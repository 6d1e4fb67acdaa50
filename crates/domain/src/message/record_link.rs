//! Record link: the recorder dials the SFU (mutual TLS; client certificate = its leaf, ALPN `strongroom-record/1`).
//! Each message: u32 big-endian length, then CBOR of [`ToSfuRecord`] or [`FromSfuRecord`] (externally tagged).
//!
//! What the SFU sends are RTP packets after the hop is opened: header, extensions and SFrame payload as the sender
//! made them, nothing rewritten. It keeps them until they are acknowledged.

use crate::units::Slot;
use crate::{B64, Codec, MeetingId, ParticipantId};
use serde::{Deserialize, Serialize};

/// TLS application protocol.
pub const ALPN: &[u8] = b"strongroom-record/1";

/// From recorder to SFU.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToSfuRecord {
    /// First message.
    Hello {
        /// One-time token from signaling.
        token: B64,
        /// Which meeting.
        meeting: MeetingId,
        /// Highest `seq` that is durable here from an earlier connection: the SFU goes on after it.
        durable: u64,
    },
    /// Everything up to `seq` is on disk (fsync done). Sent at least every 500 ms, also when nothing is new.
    Ack {
        /// Highest durable sequence number.
        seq: u64,
    },
    /// Ask the sender of this track for a key frame.
    NeedKeyFrame {
        /// Which.
        track: u32,
    },
}

/// From SFU to recorder. `seq` counts every message but [`FromSfuRecord::Welcome`], from 1, over reconnections.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromSfuRecord {
    /// The link stands.
    Welcome {
        /// Oldest `seq` still kept here; if it is above `durable + 1` the difference is lost.
        oldest: u64,
    },
    /// A track begins.
    Track {
        /// Sequence number.
        seq: u64,
        /// Number of the track on this link (never reused).
        track: u32,
        /// Whose.
        participant: ParticipantId,
        /// First slot of the source.
        slot: Slot,
        /// Codec.
        codec: Codec,
    },
    /// One RTP packet.
    Packet {
        /// Sequence number.
        seq: u64,
        /// Track.
        track: u32,
        /// SFU's clock at arrival, microseconds since 1970.
        arrival_us: u64,
        /// RTP packet, hop encryption removed.
        #[serde(with = "bytes_field")]
        rtp: Vec<u8>,
    },
    /// An RTCP sender report of the track: ties its RTP clock to the sender's wall clock.
    SenderReport {
        /// Sequence number.
        seq: u64,
        /// Track.
        track: u32,
        /// SFU's clock at arrival, microseconds since 1970.
        arrival_us: u64,
        /// NTP timestamp of the report (RFC 3550 section 6.4.1).
        ntp: u64,
        /// RTP timestamp of the report.
        rtp_timestamp: u32,
    },
    /// A track ended.
    Ended {
        /// Sequence number.
        seq: u64,
        /// Track.
        track: u32,
    },
    /// Nothing else to say for 250 ms.
    Idle {
        /// Sequence number.
        seq: u64,
    },
}

/// CBOR byte strings for `Vec<u8>` (serde would write an array of numbers).
pub mod bytes_field {
    use serde::de::{Deserializer, Error, SeqAccess, Visitor};
    use serde::ser::Serializer;

    /// Writes a byte string.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }
    /// Reads a byte string.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte string")
            }
            fn visit_bytes<E: Error>(self, v: &[u8]) -> Result<Vec<u8>, E> {
                Ok(v.to_vec())
            }
            fn visit_byte_buf<E: Error>(self, v: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(v)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
                let mut out = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    out.push(byte);
                }
                Ok(out)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

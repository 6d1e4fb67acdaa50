//! What kinds of media travel, in which codecs, over which transport.

use serde::{Deserialize, Serialize};

/// Sound or picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// Sound, Opus at 48 kHz.
    Audio,
    /// Picture, 90 kHz.
    Video,
}

impl MediaKind {
    /// RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Audio => 48_000,
            Self::Video => 90_000,
        }
    }
}

/// A codec; the number is the codec id that SFrame authenticates as metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// RFC 6716 / 7587.
    Opus = 0,
    /// RFC 6386 / 7741.
    Vp8 = 1,
    /// RFC 9628.
    Vp9 = 2,
    /// AV1 RTP specification.
    Av1 = 3,
}

impl Codec {
    /// The id byte in the metadata.
    pub fn id(self) -> u8 {
        self as u8
    }
    /// Sound or picture.
    pub fn kind(self) -> MediaKind {
        if self == Self::Opus { MediaKind::Audio } else { MediaKind::Video }
    }
    /// Name in `a=rtpmap`.
    pub fn sdp_name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
        }
    }
}

/// The two PeerConnections of a participant. The page offers *publish*, the SFU offers *subscribe*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    /// Participant to SFU.
    Publish,
    /// SFU to participant.
    Subscribe,
}

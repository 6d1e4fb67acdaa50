//! RTP packets that look like a page's: VP8 or Opus, a sealed-looking frame, and at the end of the payload who sent it,
//! which one it is, and when.

use crate::load::Packet;
use domain::{Epoch, Kid, LeafIndex, Slot};
use sfu_core::sdp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes at the end of a payload: publisher, index, time of sending.
pub const TRAILER: usize = 2 + 6 + 8;
/// Payload type of the picture.
pub const VP8: u8 = 96;
/// Payload type of sound.
pub const OPUS: u8 = 111;
/// Epoch of every KID.
pub const EPOCH: Epoch = Epoch(1);
/// First SSRC: the publisher's place is added.
pub const SSRC: u32 = 200;
/// SSRCs of a publisher: media and repair.
pub const SSRC_STEP: u32 = 2;

/// What a publisher sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// VP8.
    Video,
    /// VP8 in three layers.
    Layers,
    /// Opus.
    Audio,
}

/// Layers of a camera, and their names.
pub const LAYERS: usize = 3;
const RIDS: [u8; LAYERS] = *b"qhf";
/// Ids of the extensions that name section and layer.
const MID_ID: u8 = 9;
const RID_ID: u8 = 10;
/// First SSRC of layers: the publisher's place and the layer are added.
const LAYERS_SSRC: u32 = 10_000;

/// What was found at the end of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Who sent it, and in which layer.
    pub publisher: u16,
    /// Which packet.
    pub index: u64,
    /// When, nanoseconds of the wall clock.
    pub sent_ns: u64,
}

/// Nanoseconds of the wall clock, which the kernel's receive times use as well.
pub fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

/// SSRC of the publisher at this place.
pub fn ssrc_of(publisher: u16) -> u32 {
    SSRC + SSRC_STEP * u32::from(publisher)
}

/// An offer of one camera, in three layers that are told apart by name.
pub fn layered(offer: &str) -> String {
    let lines = offer.lines().filter(|line| !line.starts_with("a=ssrc"));
    let mut text: String = lines.flat_map(|line| [line, "\r\n"]).collect();
    text.push_str(&format!("a=extmap:{MID_ID} {}\r\na=extmap:{RID_ID} {}\r\n", sdp::MID, sdp::RID));
    text.push_str("a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:send q;h;f\r\n");
    text
}

/// A packet, not yet sealed by SRTP.
pub fn write(kind: Kind, publisher: u16, shape: &Packet, index: u64, frame: u32, key: bool) -> Vec<u8> {
    let picture = kind != Kind::Audio;
    let payload_type = if picture { VP8 } else { OPUS };
    let mut p = vec![0x90, payload_type | u8::from(shape.marker) << 7];
    p.extend((index as u16).to_be_bytes());
    let step = if picture { 3000 } else { 960 };
    p.extend((frame.wrapping_mul(step)).to_be_bytes());
    let sequence = (index as u16).to_be_bytes();
    if kind == Kind::Layers {
        p.extend((LAYERS_SSRC + u32::from(publisher) * LAYERS as u32 + u32::from(shape.layer)).to_be_bytes());
        let rid = RIDS[usize::from(shape.layer)];
        p.extend([0xbe, 0xde, 0, 2, 0x31, sequence[0], sequence[1], MID_ID << 4, b'0', RID_ID << 4, rid, 0]);
    } else {
        p.extend(ssrc_of(publisher).to_be_bytes());
        p.extend([0xbe, 0xde, 0, 1, 0x31, sequence[0], sequence[1], 0]);
    }
    let header = p.len();
    let slot = if picture { Slot(Slot::CAMERA.0 + shape.layer) } else { Slot::MICROPHONE };
    if picture {
        p.push(if shape.start { 0x10 } else { 0 });
    }
    if shape.start {
        if picture {
            p.push(u8::from(!key));
        }
        seal_head(&mut p, Kid::new(slot, LeafIndex(publisher.into()), EPOCH));
    }
    p.resize((header + shape.size).max(p.len() + TRAILER) - TRAILER, 0x5a);
    p.extend((publisher * LAYERS as u16 + u16::from(shape.layer)).to_be_bytes());
    p.extend(&index.to_be_bytes()[2..]);
    p.extend(wall_ns().to_be_bytes());
    p
}

/// SFrame header with counter 1 (RFC 9605 section 4.3): the KID in as few bytes as it needs.
fn seal_head(out: &mut Vec<u8>, kid: Kid) {
    if kid.0 < 8 {
        out.push((kid.0 as u8) << 4 | 1);
        return;
    }
    let bytes = kid.0.to_be_bytes();
    let first = bytes.iter().position(|b| *b != 0).unwrap_or(7);
    out.push(0x80 | ((7 - first) as u8) << 4 | 1);
    out.extend(&bytes[first..]);
}

/// Reads the end of a payload.
pub fn trailer(payload: &[u8]) -> Option<Trailer> {
    let tail: [u8; TRAILER] = *payload.last_chunk()?;
    let word = |at: usize| u64::from_be_bytes(tail[at..at + 8].try_into().unwrap_or_default());
    Some(Trailer { publisher: (word(0) >> 48) as u16, index: word(0) & 0xffff_ffff_ffff, sent_ns: word(8) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sfu_core::rtp::Header;

    #[test]
    fn who_sent_which_packet_when_is_read_back() {
        let shape = Packet { at_us: 0, size: 200, start: true, marker: true, frame: 0, layer: 0 };
        for kind in [Kind::Video, Kind::Layers, Kind::Audio] {
            let packet = write(kind, 7, &shape, 70_000, 3, true);
            let header = Header::parse(&packet).expect("RTP");
            let payload = header.payload(&packet).expect("no padding");
            let found = trailer(payload).expect("whole");
            assert_eq!((found.publisher, found.index, payload.len()), (7 * LAYERS as u16, 70_000, 200));
            assert!(found.sent_ns > 0 && found.sent_ns <= wall_ns());
        }
    }
}

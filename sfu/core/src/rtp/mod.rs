//! RTP headers (RFC 3550 section 5.1) and header extensions (RFC 8285), read in place. Nothing here allocates.

pub mod av1;
pub mod dependency;
pub mod vp8;
pub mod vp9;

/// Bytes of the fixed header.
pub const FIXED_HEADER: usize = 12;
/// Profile of one-byte header extensions.
const ONE_BYTE: u16 = 0xbede;
/// Profile of two-byte header extensions, without the application bits.
const TWO_BYTE: u16 = 0x1000;

/// A parsed RTP header; offsets are into the packet it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the whole header, CSRCs and extensions included.
    pub len: usize,
    /// Payload type.
    pub payload_type: u8,
    /// Marker bit.
    pub marker: bool,
    /// Sequence number as on the wire.
    pub sequence: u16,
    /// Timestamp in units of the clock rate.
    pub timestamp: u32,
    /// Sender.
    pub ssrc: u32,
    /// The payload ends in padding.
    pub padding: bool,
    profile: u16,
    extensions: (usize, usize),
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Is this datagram RTCP when multiplexed with RTP (RFC 5761 section 4)?
pub fn is_rtcp(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

impl Header {
    /// Reads the header of `packet`; `None` if it is not RTP version 2 or ends inside its header.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let first = *packet.first()?;
        if first >> 6 != 2 || packet.len() < FIXED_HEADER {
            return None;
        }
        let mut len = FIXED_HEADER + 4 * usize::from(first & 0x0f);
        let (mut profile, mut extensions) = (0, (0, 0));
        if first & 0x10 != 0 {
            profile = be16(packet, len)?;
            let words = usize::from(be16(packet, len + 2)?);
            extensions = (len + 4, len + 4 + 4 * words);
            len = extensions.1;
        }
        if packet.len() < len {
            return None;
        }
        Some(Self {
            len,
            payload_type: packet[1] & 0x7f,
            marker: packet[1] & 0x80 != 0,
            sequence: be16(packet, 2)?,
            timestamp: be32(packet, 4)?,
            ssrc: be32(packet, 8)?,
            padding: first & 0x20 != 0,
            profile,
            extensions,
        })
    }

    /// The extension element with this id, if the packet carries it. Id 0 is never one.
    pub fn extension<'a>(&self, packet: &'a [u8], id: u8) -> Option<&'a [u8]> {
        if id == 0 {
            return None;
        }
        let mut rest = packet.get(self.extensions.0..self.extensions.1)?;
        while let Some(&first) = rest.first() {
            if first == 0 {
                rest = &rest[1..];
                continue;
            }
            let (found, len, head) = if self.profile == ONE_BYTE {
                if first >> 4 == 15 {
                    return None;
                }
                (first >> 4, usize::from(first & 0x0f) + 1, 1)
            } else if self.profile & 0xfff0 == TWO_BYTE {
                (first, usize::from(*rest.get(1)?), 2)
            } else {
                return None;
            };
            let value = rest.get(head..head + len)?;
            if found == id {
                return Some(value);
            }
            rest = &rest[head + len..];
        }
        None
    }

    /// Payload of an opened packet without its padding; `None` if the padding count is impossible.
    pub fn payload<'a>(&self, packet: &'a [u8]) -> Option<&'a [u8]> {
        let payload = packet.get(self.len..)?;
        if !self.padding {
            return Some(payload);
        }
        let count = usize::from(*payload.last()?);
        if count == 0 || count > payload.len() {
            return None;
        }
        Some(&payload[..payload.len() - count])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Vec<u8> {
        let mut p = vec![0x90, 0x80 | 96, 0, 7, 0, 0, 0, 1, 0, 0, 0, 9];
        p.extend([0xbe, 0xde, 0, 2, 0x10, 0xaa, 0x21, 1, 2, 0, 0, 0]);
        p.extend([5, 6, 7]);
        p
    }

    #[test]
    fn a_header_with_extensions_reads_back() {
        let p = packet();
        let h = Header::parse(&p).expect("well formed");
        assert_eq!((h.len, h.payload_type, h.marker, h.sequence, h.ssrc), (24, 96, true, 7, 9));
        assert_eq!(h.extension(&p, 1), Some(&[0xaa][..]));
        assert_eq!(h.extension(&p, 2), Some(&[1, 2][..]));
        assert_eq!(h.extension(&p, 3), None);
        assert_eq!(h.payload(&p), Some(&[5, 6, 7][..]));
    }

    #[test]
    fn two_byte_extensions_read_back() {
        let mut p = vec![0x90, 96, 0, 7, 0, 0, 0, 1, 0, 0, 0, 9, 0x10, 0, 0, 2];
        p.extend([20, 3, 1, 2, 3, 7, 0, 0]);
        let h = Header::parse(&p).expect("well formed");
        assert_eq!(h.extension(&p, 20), Some(&[1, 2, 3][..]));
        assert_eq!(h.extension(&p, 7), Some(&[][..]));
    }

    #[test]
    fn padding_is_taken_off_and_impossible_padding_refused() {
        let mut p = packet();
        p[0] |= 0x20;
        p.extend([0, 2]);
        let h = Header::parse(&p).expect("well formed");
        assert_eq!(h.payload(&p), Some(&[5, 6, 7][..]));
        *p.last_mut().expect("not empty") = 200;
        assert_eq!(h.payload(&p), None);
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_survived() {
        let p = packet();
        for len in 0..24 {
            assert_eq!(Header::parse(&p[..len]), None, "{len} bytes");
        }
        let mut seed = 1u32;
        for round in 0..20_000 {
            let mut q = p.clone();
            for _ in 0..=round % 4 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = seed as usize / 7 % q.len();
                q[at] = (seed >> 24) as u8;
            }
            q.truncate(seed as usize % (p.len() + 1));
            if let Some(h) = Header::parse(&q) {
                assert!(h.len <= q.len());
                for id in 0..=255 {
                    let _ = h.extension(&q, id);
                }
                let _ = h.payload(&q);
            }
        }
    }
}

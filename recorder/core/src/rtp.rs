//! RTP headers (RFC 3550 section 5.1, RFC 8285 extensions skipped) as the record link delivers them.

/// A parsed packet; borrows the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// Last packet of a frame (video).
    pub marker: bool,
    /// 7 bits.
    pub payload_type: u8,
    /// Wire sequence number.
    pub sequence: u16,
    /// Media clock.
    pub timestamp: u32,
    /// Source.
    pub ssrc: u32,
    /// Without padding; empty for padding-only packets.
    pub payload: &'a [u8],
}

/// Reads a packet; `None` if it is no RTP of version 2 or ends too early.
pub fn parse(bytes: &[u8]) -> Option<RtpPacket<'_>> {
    let head: &[u8; 12] = bytes.first_chunk()?;
    if head[0] >> 6 != 2 {
        return None;
    }
    let mut at = 12 + 4 * usize::from(head[0] & 0x0f);
    if head[0] & 0x10 != 0 {
        let words = u16::from_be_bytes(bytes.get(at + 2..at + 4)?.try_into().ok()?);
        at += 4 + 4 * usize::from(words);
    }
    let mut end = bytes.len();
    if head[0] & 0x20 != 0 {
        let padding = usize::from(*bytes.last()?);
        end = end.checked_sub(padding).filter(|_| padding > 0)?;
    }
    Some(RtpPacket {
        marker: head[1] & 0x80 != 0,
        payload_type: head[1] & 0x7f,
        sequence: u16::from_be_bytes([head[2], head[3]]),
        timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        ssrc: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
        payload: bytes.get(at..end)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_and_padding_are_no_payload_and_short_packets_are_refused() {
        let mut packet = vec![0xb0, 0x80 | 96, 0x12, 0x34, 0, 0, 0, 5, 0, 0, 0, 9];
        packet.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        packet.extend([7, 8, 9, 0, 0, 3]);
        let read = parse(&packet).expect("well formed");
        assert_eq!(
            (read.marker, read.payload_type, read.sequence, read.timestamp, read.ssrc),
            (true, 96, 0x1234, 5, 9)
        );
        assert_eq!(read.payload, [7, 8, 9]);
        for end in 0..20 {
            assert!(parse(&packet[..end]).is_none_or(|packet| packet.payload.len() < 3), "{end}");
        }
        assert_eq!(parse(&[0x40; 20]), None);
    }
}

//! The AV1 aggregation header (AV1 RTP specification, section 4.4), as far as a sealed frame needs it: the worker makes
//! each frame one OBU, a sequence header for a key frame and a frame otherwise, and the packetizer drops its size field.

/// What a packet says of its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// First packet of the frame.
    pub start: bool,
    /// A key frame (only told at its start).
    pub key: bool,
    /// Where the OBU's content stands, if the frame starts here.
    pub content: usize,
}

/// OBU types of the shim.
const SEQUENCE_HEADER: u8 = 1;
const FRAME: u8 = 6;

/// Reads the head of a payload; `None` if it ends inside it or is no frame of ours.
pub fn start(payload: &[u8]) -> Option<Start> {
    let aggregation = *payload.first()?;
    if aggregation & 0x80 != 0 {
        return Some(Start { start: false, key: false, content: 1 });
    }
    let mut at = 1;
    // only a last element stands without its length
    if aggregation >> 4 & 3 != 1 {
        at += leb128(payload, at)?;
    }
    let header = *payload.get(at)?;
    at += 1;
    let kind = header >> 3 & 0x0f;
    if header & 0x80 != 0 || header & 0x04 != 0 || !matches!(kind, SEQUENCE_HEADER | FRAME) {
        return None;
    }
    if header & 0x02 != 0 {
        at += leb128(payload, at)?;
    }
    (at <= payload.len()).then_some(Start { start: true, key: kind == SEQUENCE_HEADER, content: at })
}

/// Bytes of a length.
fn leb128(payload: &[u8], at: usize) -> Option<usize> {
    let end = payload.get(at..)?.iter().take(4).position(|byte| byte & 0x80 == 0)?;
    Some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_and_continuations_are_told_apart() {
        assert_eq!(start(&[0x18, 0x08, 9]), Some(Start { start: true, key: true, content: 2 }));
        assert_eq!(start(&[0x50, 0x30, 9]), Some(Start { start: true, key: false, content: 2 }));
        assert_eq!(start(&[0x00, 0x82, 0x01, 0x32, 0x05, 9]), Some(Start { start: true, key: false, content: 5 }));
        assert_eq!(start(&[0x90, 9]), Some(Start { start: false, key: false, content: 1 }));
        for bad in [&[][..], &[0x10], &[0x10, 0x80], &[0x10, 0x18], &[0x00, 0x80, 0x80, 0x80, 0x80, 1]] {
            assert_eq!(start(bad), None, "{bad:02x?}");
        }
    }
}

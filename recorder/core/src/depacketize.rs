//! Payload descriptors before the sealed frame: VP8 (RFC 7741 section 4.2), VP9 (RFC 9628 section 4.2), Opus (RFC 7587:
//! none), AV1 (its RTP specification, section 4.4: an aggregation header, and the one OBU of a sealed frame without its
//! size).

use domain::Codec;

/// One packet's share of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// First packet of a frame.
    pub start: bool,
    /// Last packet of a frame, where the descriptor tells; else the RTP marker does.
    pub end: Option<bool>,
    /// It begins a key frame, where the descriptor tells and the shim does not: VP9.
    pub key: bool,
    /// Bytes of the frame.
    pub data: &'a [u8],
}

/// Reads the descriptor; `None` if it is malformed or the codec is not taken.
pub fn part(codec: Codec, payload: &[u8]) -> Option<Part<'_>> {
    match codec {
        Codec::Opus => Some(Part { start: true, end: Some(true), key: false, data: payload }),
        Codec::Vp8 => vp8(payload),
        Codec::Vp9 => vp9(payload),
        Codec::Av1 => av1(payload),
    }
}

/// Bit of an OBU header: a size follows.
const HAS_SIZE: u8 = 0x02;

/// What the packetizer took from a whole frame is put back: the size of AV1's OBU.
pub fn restore(codec: Codec, bytes: Vec<u8>) -> Vec<u8> {
    let (Codec::Av1, Some((first, content))) = (codec, bytes.split_first()) else { return bytes };
    if first & HAS_SIZE != 0 {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len() + 4);
    out.push(first | HAS_SIZE);
    let mut rest = content.len();
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out.extend_from_slice(content);
    out
}

fn av1(payload: &[u8]) -> Option<Part<'_>> {
    let aggregation = *payload.first()?;
    let (goes_on, ends, elements) = (aggregation & 0x80 != 0, aggregation & 0x40 == 0, aggregation >> 4 & 3);
    let mut data = payload.get(1..)?;
    // a sealed frame is one OBU: one element, with its length only where the header does not say that it is the last
    if elements == 0 {
        let (len, head) = leb128(data)?;
        data = data.get(head..).filter(|data| data.len() == len)?;
    } else if elements > 1 {
        return None;
    }
    Some(Part { start: !goes_on, end: Some(ends), key: false, data })
}

/// A length and the bytes it takes.
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

fn vp8(payload: &[u8]) -> Option<Part<'_>> {
    let first = *payload.first()?;
    let mut at = 1;
    if first & 0x80 != 0 {
        let extension = *payload.get(at)?;
        at += 1;
        if extension & 0x80 != 0 {
            at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
        }
        if extension & 0x40 != 0 {
            at += 1;
        }
        if extension & 0x30 != 0 {
            at += 1;
        }
    }
    let start = first & 0x10 != 0 && first & 0x07 == 0;
    Some(Part { start, end: None, key: false, data: payload.get(at..)? })
}

fn vp9(payload: &[u8]) -> Option<Part<'_>> {
    let first = *payload.first()?;
    let (picture_id, predicted, layers, flexible) =
        (first & 0x80 != 0, first & 0x40 != 0, first & 0x20 != 0, first & 0x10 != 0);
    let mut at = 1;
    if picture_id {
        at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    let mut base = true;
    if layers {
        base = payload.get(at)? >> 1 & 7 == 0;
        at += if flexible { 1 } else { 2 };
    }
    if flexible && predicted {
        // at most three reference indices, each says whether another follows
        for n in 0.. {
            let more = payload.get(at)? & 1 != 0;
            at += 1;
            if !more {
                break;
            }
            if n == 2 {
                return None;
            }
        }
    }
    if first & 0x02 != 0 {
        let structure = *payload.get(at)?;
        at += 1;
        if structure & 0x10 != 0 {
            at += 4 * (usize::from(structure >> 5) + 1);
        }
        if structure & 0x08 != 0 {
            let pictures = *payload.get(at)?;
            at += 1;
            for _ in 0..pictures {
                at += 1 + usize::from(payload.get(at)? >> 2 & 3);
            }
        }
    }
    let start = first & 0x08 != 0;
    Some(Part { start, end: Some(first & 0x04 != 0), key: start && base && !predicted, data: payload.get(at..)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vp8_descriptors_of_every_length_are_stripped() {
        assert_eq!(part(Codec::Vp8, &[0x10, 1, 2]), Some(Part { start: true, end: None, key: false, data: &[1, 2] }));
        assert_eq!(part(Codec::Vp8, &[0x00, 1]).map(|p| p.start), Some(false));
        assert_eq!(part(Codec::Vp8, &[0x11, 1]).map(|p| p.start), Some(false), "a later partition starts no frame");
        let long = [0x90, 0xf0, 0x80, 1, 2, 3, 9, 9];
        assert_eq!(part(Codec::Vp8, &long).map(|p| p.data), Some(&[9u8, 9][..]));
        assert_eq!(part(Codec::Vp8, &[0x90, 0x80]), None);
    }

    #[test]
    fn a_sealed_av1_frame_in_packets_is_the_frame_again() {
        for len in [1usize, 100, 127, 128, 3_000, 20_000] {
            let mut frame = Vec::new();
            domain::sframe::write_shim(Codec::Av1, len.is_multiple_of(2), len, &mut frame);
            let size = frame.len() - 1;
            frame.extend((0..len).map(|n| n as u8));
            // as the packetizer has it: no size in the OBU, cut anywhere
            let bare: Vec<u8> =
                std::iter::once(frame[0] & !HAS_SIZE).chain(frame[1 + size..].iter().copied()).collect();
            let parts: Vec<&[u8]> = bare.chunks(1_000).collect();
            let mut out = Vec::new();
            for (at, data) in parts.iter().enumerate() {
                let (first, last) = (at == 0, at + 1 == parts.len());
                let head = 0x10 | u8::from(!first) << 7 | u8::from(!last) << 6;
                let packet = [&[head], *data].concat();
                let read = part(Codec::Av1, &packet).expect("well formed");
                assert_eq!((read.start, read.end), (first, Some(last)));
                out.extend_from_slice(read.data);
            }
            assert_eq!(restore(Codec::Av1, out), frame, "{len} bytes");
        }
        assert_eq!(part(Codec::Av1, &[0x00, 2, 0x08, 9]).map(|p| p.data), Some(&[0x08u8, 9][..]));
        for bad in [&[][..], &[0x00], &[0x00, 3, 0x08, 9], &[0x20, 1, 8, 9], &[0x00, 0x80, 0x80, 0x80, 0x80, 1]] {
            assert_eq!(part(Codec::Av1, bad), None, "{bad:02x?}");
        }
    }

    #[test]
    fn vp9_descriptors_tell_start_and_end_of_each_layer_frame() {
        let read = part(Codec::Vp9, &[0x8c, 0x81, 0x02, 7]).expect("well formed");
        assert_eq!(read, Part { start: true, end: Some(true), key: true, data: &[7] });
        let key = |payload: &[u8]| part(Codec::Vp9, payload).map(|part| part.key);
        assert_eq!(key(&[0xcc, 0x81, 0x02, 7]), Some(false), "it leans on an earlier picture");
        assert_eq!(key(&[0xbc, 0x81, 0x02, 0x02, 7]), Some(false), "of the second spatial layer");
        assert_eq!(key(&[0x84, 0x81, 0x02, 7]), Some(false), "not its first packet");
        assert_eq!(part(Codec::Vp9, &[0xd0, 0x01, 3, 3, 3, 3]), None);
    }
}

//! Payload descriptors before the sealed frame: VP8 (RFC 7741 section 4.2), VP9 (RFC 9628 section 4.2), Opus (RFC 7587:
//! none). AV1 is not taken yet.

use domain::Codec;

/// One packet's share of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// First packet of a frame.
    pub start: bool,
    /// Last packet of a frame, where the descriptor tells; else the RTP marker does.
    pub end: Option<bool>,
    /// Bytes of the frame.
    pub data: &'a [u8],
}

/// Reads the descriptor; `None` if it is malformed or the codec is not taken.
pub fn part(codec: Codec, payload: &[u8]) -> Option<Part<'_>> {
    match codec {
        Codec::Opus => Some(Part { start: true, end: Some(true), data: payload }),
        Codec::Vp8 => vp8(payload),
        Codec::Vp9 => vp9(payload),
        Codec::Av1 => None,
    }
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
    Some(Part { start: first & 0x10 != 0 && first & 0x07 == 0, end: None, data: payload.get(at..)? })
}

fn vp9(payload: &[u8]) -> Option<Part<'_>> {
    let first = *payload.first()?;
    let (picture_id, predicted, layers, flexible) =
        (first & 0x80 != 0, first & 0x40 != 0, first & 0x20 != 0, first & 0x10 != 0);
    let mut at = 1;
    if picture_id {
        at += if payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    if layers {
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
    Some(Part { start: first & 0x08 != 0, end: Some(first & 0x04 != 0), data: payload.get(at..)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vp8_descriptors_of_every_length_are_stripped() {
        assert_eq!(part(Codec::Vp8, &[0x10, 1, 2]), Some(Part { start: true, end: None, data: &[1, 2] }));
        assert_eq!(part(Codec::Vp8, &[0x00, 1]).map(|p| p.start), Some(false));
        assert_eq!(part(Codec::Vp8, &[0x11, 1]).map(|p| p.start), Some(false), "a later partition starts no frame");
        let long = [0x90, 0xf0, 0x80, 1, 2, 3, 9, 9];
        assert_eq!(part(Codec::Vp8, &long).map(|p| p.data), Some(&[9u8, 9][..]));
        assert_eq!(part(Codec::Vp8, &[0x90, 0x80]), None);
    }

    #[test]
    fn vp9_descriptors_tell_start_and_end_of_each_layer_frame() {
        let read = part(Codec::Vp9, &[0x8c, 0x81, 0x02, 7]).expect("well formed");
        assert_eq!(read, Part { start: true, end: Some(true), data: &[7] });
        assert_eq!(part(Codec::Vp9, &[0xd0, 0x01, 3, 3, 3, 3]), None);
    }
}

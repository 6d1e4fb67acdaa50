//! "Refuses what is not SFrame": on the start of each frame the shim, the SFrame header and the KID are looked at. A
//! tripwire, no guarantee; the guarantee is the tag that the receiver checks.

use crate::leaves::{LeafLines, Verdict};
use crate::rtp::{Header, vp8};
use crate::{Micros, history::Marks};
use domain::{Codec, MediaKind, ParticipantId, Slot, sframe};

/// Slots of one source from its first: one for sound, the rest of its range for pictures.
fn in_range(first: Slot, slot: Slot) -> bool {
    match first.0 {
        0 | 1 => slot == first,
        2..=15 => (first.0..=15).contains(&slot.0),
        _ => (first.0..=31).contains(&slot.0),
    }
}

/// What a packet is in its frame.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape {
    /// First packet of a frame.
    pub start: bool,
    /// Key frame start (for sound: every packet), and offsets for rewriting.
    pub marks: Marks,
}

/// Why a packet is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The payload is not what the codec's packets look like.
    #[error("malformed payload")]
    Malformed,
    /// The frame does not begin with shim and SFrame header.
    #[error("the frame is not sealed")]
    NotSealed,
    /// Slot of another kind or another source.
    #[error("the KID names another slot")]
    WrongSlot,
    /// Leaf of another participant.
    #[error("the KID names another leaf")]
    WrongLeaf,
}

/// The leaf check's outcome for the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafCheck {
    /// Not at the start of a frame, or passed.
    Passed,
    /// No line for the epoch.
    Suspended,
}

/// Whose frames are expected.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Publisher.
    pub participant: &'a ParticipantId,
    /// First slot of the source.
    pub slot: Slot,
    /// Codec.
    pub codec: Codec,
}

/// Judges the opened payload of one packet.
pub fn judge(
    now: Micros,
    header: &Header,
    payload: &[u8],
    expected: Expected<'_>,
    lines: &LeafLines,
) -> Result<(Shape, LeafCheck), Refusal> {
    let (start, offset, marks) = match expected.codec {
        Codec::Vp8 => {
            let d = vp8::descriptor(payload).ok_or(Refusal::Malformed)?;
            (d.start, d.len, Marks { picture_id: d.picture_id, tl0: d.tl0, key: false })
        }
        Codec::Opus => (true, 0, Marks::default()),
        // their packets are not opened further until their descriptors are read here
        Codec::Vp9 | Codec::Av1 => return Err(Refusal::Malformed),
    };
    if !start {
        return Ok((Shape { start, marks }, LeafCheck::Passed));
    }
    let frame = &payload[offset..];
    let shim = sframe::shim(expected.codec, frame).ok_or(Refusal::NotSealed)?;
    let sealed = &frame[shim.len..];
    let sframe = sframe::header(sealed).map_err(|_| Refusal::NotSealed)?;
    if !sframe.kid.is_ours() || (header.marker && sealed.len() < sframe::MIN_SEALED) {
        return Err(Refusal::NotSealed);
    }
    if !in_range(expected.slot, sframe.kid.slot()) {
        return Err(Refusal::WrongSlot);
    }
    let check = match lines.judge(now, sframe.kid, expected.participant) {
        Verdict::Owner => LeafCheck::Passed,
        Verdict::Unknown => LeafCheck::Suspended,
        Verdict::Foreign => return Err(Refusal::WrongLeaf),
    };
    let key = expected.codec.kind() == MediaKind::Audio || shim.key_frame == Some(true);
    Ok((Shape { start, marks: Marks { key, ..marks } }, check))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Epoch, Kid, LeafIndex};

    fn packet(marker: bool, payload: &[u8]) -> (Header, Vec<u8>) {
        let mut p = vec![0x80, 96 | u8::from(marker) << 7, 0, 7, 0, 0, 0, 1, 0, 0, 0, 9];
        p.extend(payload);
        (Header::parse(&p).expect("well formed"), payload.to_vec())
    }

    fn sealed(slot: u8, leaf: u32, epoch: u64) -> Vec<u8> {
        let kid = Kid::new(Slot(slot), LeafIndex(leaf), Epoch(epoch)).0.to_be_bytes();
        let first = kid.iter().position(|b| *b != 0).unwrap_or(7);
        let mut out = vec![0x80 | ((7 - first) as u8) << 4 | 5];
        out.extend(&kid[first..]);
        out.extend([0xcc; 40]);
        out
    }

    fn vp8(shim: u8, sealed: &[u8]) -> Vec<u8> {
        [&[0x90, 0x80, 0x80, 1, shim], sealed].concat()
    }

    #[test]
    fn sealed_frames_of_the_own_leaf_pass_and_all_others_are_named() {
        let anna: ParticipantId = "bank-a/anna/1".parse().expect("well formed");
        let ben: ParticipantId = "bank-b/ben/1".parse().expect("well formed");
        let mut lines = LeafLines::default();
        lines.take(Micros(0), Epoch(3), vec![(LeafIndex(1), anna.clone()), (LeafIndex(2), ben)]);
        let expected = Expected { participant: &anna, slot: Slot::CAMERA, codec: Codec::Vp8 };
        let run = |payload: &[u8], marker| {
            let (header, payload) = packet(marker, payload);
            judge(Micros(1), &header, &payload, expected, &lines)
        };
        let (shape, check) = run(&vp8(0, &sealed(2, 1, 3)), false).expect("sealed");
        assert!(shape.start && shape.marks.key && check == LeafCheck::Passed && shape.marks.picture_id == Some(2));
        let (shape, _) = run(&vp8(1, &sealed(3, 1, 3)), true).expect("a second layer");
        assert!(shape.start && !shape.marks.key);
        assert_eq!(run(&vp8(0, &sealed(2, 1, 4)), false).map(|r| r.1), Ok(LeafCheck::Suspended));
        let refusals = [
            (vp8(0x9d, &sealed(2, 1, 3)), Refusal::NotSealed),
            (vp8(0, &[0xff, 0]), Refusal::NotSealed),
            (vp8(0, &sealed(2, 1, 3)[..20]), Refusal::NotSealed),
            (vp8(0, &sealed(16, 1, 3)), Refusal::WrongSlot),
            (vp8(0, &sealed(0, 1, 3)), Refusal::WrongSlot),
            (vp8(0, &sealed(2, 2, 3)), Refusal::WrongLeaf),
            (vp8(0, &sealed(2, 9, 3)), Refusal::WrongLeaf),
            (vec![], Refusal::Malformed),
        ];
        for (payload, refusal) in refusals {
            assert_eq!(run(&payload, true).map(|_| ()), Err(refusal), "{payload:02x?}");
        }
        assert!(run(&[0x80, 0x80, 0x80, 1, 0xff, 0xff], false).is_ok(), "a later packet of a frame is not looked into");
    }
}

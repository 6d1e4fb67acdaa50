//! "Refuses what is not SFrame": on the start of each frame the shim, the SFrame header and the KID are looked at. A
//! tripwire, no guarantee; the guarantee is the tag that the receiver checks.

use crate::leaves::{LeafLines, Verdict};
use crate::rtp::dependency::{self, Structure};
use crate::rtp::{Header, av1, vp8, vp9};
use crate::{Micros, history::Marks};
use domain::limits::MAX_LAYERS;
use domain::{Codec, ParticipantId, Slot, sframe};

/// Which slots a stream may be sealed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slots {
    /// This one: sound, or one simulcast layer.
    One(Slot),
    /// From this one, one for each spatial layer inside the stream.
    Nested(Slot),
}

impl Slots {
    fn hold(self, slot: Slot) -> bool {
        match self {
            Self::One(only) => slot == only,
            Self::Nested(first) => {
                slot.kind() == first.kind()
                    && (slot >= Slot::SCREEN) == (first >= Slot::SCREEN)
                    && (first.0..first.0 + MAX_LAYERS).contains(&slot.0)
            }
        }
    }
}

/// What a packet is in its frame.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// First packet of a frame.
    pub start: bool,
    /// Key frame start (for sound: every packet), layers, and offsets for rewriting.
    pub marks: Marks,
    /// A dependency descriptor that reads well came with it.
    pub described: bool,
    /// ... and brought this structure.
    pub structure: Option<Structure>,
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
    /// Under which slots.
    pub slots: Slots,
    /// Codec.
    pub codec: Codec,
    /// Id of the dependency descriptor, 0 if none, and the structure it gave so far.
    pub dependency: (u8, Option<&'a Structure>),
}

/// Judges the opened payload of one packet; `packet` is the whole of it.
pub fn judge(
    now: Micros,
    (header, packet): (&Header, &[u8]),
    payload: &[u8],
    expected: Expected<'_>,
    lines: &LeafLines,
) -> Result<(Shape, LeafCheck), Refusal> {
    let Opening { start, offset, marks, key, described, structure } = opening(header, packet, payload, &expected)?;
    let shape = Shape { start, marks, described, structure };
    if !start {
        return Ok((shape, LeafCheck::Passed));
    }
    let sealed = &payload[offset..];
    let sframe = sframe::header(sealed).map_err(|_| Refusal::NotSealed)?;
    if !sframe.kid.is_ours() || (header.marker && sealed.len() < sframe::MIN_SEALED) {
        return Err(Refusal::NotSealed);
    }
    if !expected.slots.hold(sframe.kid.slot()) {
        return Err(Refusal::WrongSlot);
    }
    let check = match lines.judge(now, sframe.kid, expected.participant) {
        Verdict::Owner => LeafCheck::Passed,
        Verdict::Unknown => LeafCheck::Suspended,
        Verdict::Foreign => return Err(Refusal::WrongLeaf),
    };
    Ok((Shape { marks: Marks { key, ..shape.marks }, ..shape }, check))
}

/// What stands before the sealed bytes of a packet.
struct Opening {
    start: bool,
    /// Where the SFrame header stands, if the frame starts here.
    offset: usize,
    marks: Marks,
    key: bool,
    described: bool,
    structure: Option<Structure>,
}

impl Opening {
    /// Of a codec that needs no dependency descriptor.
    fn plain(start: bool, offset: usize, marks: Marks, key: bool) -> Self {
        Self { start, offset, marks, key, described: false, structure: None }
    }
}

fn opening(header: &Header, packet: &[u8], payload: &[u8], expected: &Expected<'_>) -> Result<Opening, Refusal> {
    match expected.codec {
        Codec::Opus => Ok(Opening::plain(true, 0, Marks::default(), true)),
        Codec::Vp8 => {
            let d = vp8::descriptor(payload).ok_or(Refusal::Malformed)?;
            let marks = Marks {
                picture_id: d.picture_id,
                tl0: d.tl0,
                begins: d.start,
                ends: header.marker,
                temporal: d.temporal,
                sync: d.sync,
                ..Marks::default()
            };
            let (mut offset, mut key) = (d.len, false);
            if d.start {
                let shim = sframe::shim(Codec::Vp8, &payload[d.len..]).ok_or(Refusal::NotSealed)?;
                (offset, key) = (d.len + shim.len, shim.key_frame == Some(true));
            }
            Ok(Opening::plain(d.start, offset, marks, key))
        }
        Codec::Vp9 => {
            let d = vp9::descriptor(payload).ok_or(Refusal::Malformed)?;
            let marks = Marks {
                picture_id: d.picture_id,
                tl0: d.tl0,
                begins: d.start,
                ends: d.end,
                spatial: d.spatial,
                temporal: d.temporal,
                sync: d.switching,
                ..Marks::default()
            };
            Ok(Opening::plain(d.start, d.len, marks, d.key()))
        }
        Codec::Av1 => av1(header, packet, payload, expected),
    }
}

/// AV1: the aggregation header, then one OBU whose size field the packetizer took away. Layers are known by the
/// dependency descriptor alone; without one the stream is taken as a single layer.
fn av1(header: &Header, packet: &[u8], payload: &[u8], expected: &Expected<'_>) -> Result<Opening, Refusal> {
    let obu = av1::start(payload).ok_or(Refusal::Malformed)?;
    let (id, known) = expected.dependency;
    let described = header.extension(packet, id).and_then(|bytes| dependency::descriptor(bytes, known));
    let mut marks = Marks { begins: obu.start, ends: header.marker, ..Marks::default() };
    let (mut structure, is_described) = (None, described.is_some());
    if let Some(d) = described {
        (marks.spatial, marks.temporal, marks.sync, marks.ends) = (d.spatial, d.temporal, d.sync, d.end);
        structure = d.structure;
    }
    // nobody can begin at a higher layer, whatever its shim says
    let key = obu.key && marks.spatial == 0;
    Ok(Opening { start: obu.start, offset: obu.content, marks, key, described: is_described, structure })
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
        let expected = Expected {
            participant: &anna,
            slots: Slots::Nested(Slot::CAMERA),
            codec: Codec::Vp8,
            dependency: (0, None),
        };
        let run = |payload: &[u8], marker| {
            let (header, payload) = packet(marker, payload);
            judge(Micros(1), (&header, &payload), &payload, expected, &lines)
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

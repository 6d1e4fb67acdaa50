//! Segment files: a header, then length-framed records in a CRC chain. Reading and framing; hashing is [`super::segment`].
//!
//! All numbers are big-endian.
//! ```text
//! file    = "SRSEG\0\0\x01" | u32 length | header (CBOR of SegmentHeader) | u32 crc | record*
//! record  = u32 length | u8 type | u64 seq | u64 at_us | body | u32 crc        length counts type..body
//! media   = u64 sfu_us | u32 rtp | u32 ssrc | u64 epoch | u8 flags | u8 shim length | shim | SFrame header, ciphertext, tag
//! report  = u64 sfu_us | u64 ntp | u32 rtp
//! index   = (u64 seq | u64 offset | u64 at_us)*
//! crc     = CRC-32(crc before (0 at the header) | all bytes from the length on)
//! ```
//! `seq` counts the records of one track over all its segments, from 0. A gap, event or checkpoint body is CBOR.

use super::crc;
use super::event::{ArchiveEvent, Gap};
use domain::{Codec, Epoch, FirmId, MeetingId, ParticipantId, Slot, UnixMillis};
use serde::{Deserialize, Serialize};

/// First bytes of a segment; the last of them is the version.
pub const MAGIC: [u8; 8] = *b"SRSEG\0\0\x01";
/// Largest header: two ids of people and a few numbers.
pub const MAX_HEADER: usize = 4096;
/// Largest record: one frame of [`domain::limits::MAX_FRAME`] or one commit with GroupInfo, and its head.
pub const MAX_RECORD: usize = domain::limits::MAX_FRAME + 4096;
/// Type, sequence number and time.
pub(super) const HEAD: usize = 1 + 8 + 8;
/// Bytes of a [`KeyFramePlace`].
pub(super) const KEY_FRAME_PLACE: usize = 24;

/// Whose source a media segment holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackInfo {
    /// Number of the track in this meeting's archive, from 1.
    pub track: u32,
    /// Whose.
    pub participant: ParticipantId,
    /// First slot of the source (layers follow).
    pub slot: Slot,
    /// Codec.
    pub codec: Codec,
}

/// Head of a segment file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentHeader {
    /// Always 1.
    pub version: u16,
    /// Whose archive.
    pub firm: FirmId,
    /// Which meeting.
    pub meeting: MeetingId,
    /// Media: whose source. `None`: the event segment.
    pub track: Option<TrackInfo>,
    /// Counts the segments of the track from 1.
    pub index: u32,
    /// `seq` of its first record.
    pub first_seq: u64,
    /// SFrame cipher suite of the frames (RFC 9605): always 5.
    pub suite: u16,
    /// RTP clock in Hz, 0 for events.
    pub clock_rate: u32,
    /// Recorder's wall clock when the file began.
    pub started_at: UnixMillis,
    /// Recorder's monotonic clock at the same moment, ms.
    pub monotonic_ms: u64,
}

/// Flag: key frame.
pub const KEY_FRAME: u8 = 1;
/// Flag: RTP numbers before it are missing.
pub const DISCONTINUITY: u8 = 2;
/// Flag: the recorder checked the frame's tag.
pub const OPENED: u8 = 4;
/// Flag: the recorder never held this epoch's key.
pub const NO_KEY: u8 = 8;

/// One frame as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media<'a> {
    /// SFU's clock at the arrival of the frame's last packet, microseconds since 1970: one clock for all tracks of a
    /// node, so the one to align lanes by.
    pub sfu_us: u64,
    /// RTP timestamp.
    pub rtp_timestamp: u32,
    /// RTP source.
    pub ssrc: u32,
    /// The whole epoch (the KID carries 16 bits of it).
    pub epoch: Epoch,
    /// [`KEY_FRAME`], [`DISCONTINUITY`], [`OPENED`], [`NO_KEY`].
    pub flags: u8,
    /// Codec shim.
    pub shim: &'a [u8],
    /// SFrame header, ciphertext, tag.
    pub sframe: &'a [u8],
}

/// A key frame's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFramePlace {
    /// Record.
    pub seq: u64,
    /// Offset of the record in this file.
    pub offset: u64,
    /// Its time.
    pub at_us: u64,
}

/// State of the segment when it was written; lets a reader say how far a cut file is known to be good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointBody {
    /// Records before this one.
    pub records: u64,
    /// Merkle root over them and the header.
    pub root: super::Digest,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub enum Record<'a> {
    /// A frame.
    Media(Media<'a>),
    /// RTCP sender report.
    SenderReport {
        /// SFU's clock at arrival, microseconds since 1970.
        sfu_us: u64,
        /// NTP timestamp.
        ntp: u64,
        /// RTP timestamp.
        rtp_timestamp: u32,
    },
    /// Frames that are missing, with the cause.
    Gap(Gap),
    /// Something that happened.
    Event(Box<ArchiveEvent>),
    /// Root so far.
    Checkpoint(CheckpointBody),
    /// Key frames of this file; last record of a closed one.
    KeyFrameIndex(Vec<KeyFramePlace>),
}

impl Record<'_> {
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Media(_) => 1,
            Self::SenderReport { .. } => 2,
            Self::Gap(_) => 3,
            Self::Event(_) => 4,
            Self::Checkpoint(_) => 5,
            Self::KeyFrameIndex(_) => 6,
        }
    }
}

/// A record and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed<'a> {
    /// Offset of its length field.
    pub offset: u64,
    /// Bytes it takes with length and CRC.
    pub len: u64,
    /// Number in the track.
    pub seq: u64,
    /// Recorder's clock, microseconds since 1970.
    pub at_us: u64,
    /// What it says.
    pub record: Record<'a>,
    /// Its bytes without the CRC.
    framed: &'a [u8],
}

impl Placed<'_> {
    /// A media record's frame as it came over the wire: shim and SFrame bytes in one piece.
    pub fn wire(&self) -> Option<&[u8]> {
        let Record::Media(media) = &self.record else { return None };
        self.framed.len().checked_sub(media.shim.len() + media.sframe.len()).map(|start| &self.framed[start..])
    }
    /// Its Merkle leaf.
    pub fn leaf(&self) -> super::Digest {
        super::segment::leaf_of(self.framed, &self.record, None)
    }
    /// The same where the SHA-256 of the record's SFrame bytes is known already: each byte is hashed once.
    pub fn leaf_with(&self, sframe: &super::Digest) -> super::Digest {
        super::segment::leaf_of(self.framed, &self.record, Some(sframe))
    }
}

/// Why a segment cannot be read on, and from which byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset}: {problem}")]
pub struct RecordError {
    /// First byte of what is wrong.
    pub offset: u64,
    /// What.
    pub problem: RecordProblem,
}

/// What is wrong with a segment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordProblem {
    /// No segment of this version.
    #[error("not a segment of version 1")]
    Magic,
    /// The file ends inside the header or a record: it was cut.
    #[error("the file ends inside a record")]
    Cut,
    /// A length that no record has.
    #[error("impossible record length {0}")]
    Length(u32),
    /// The chain breaks.
    #[error("the CRC of the record of {length} bytes is wrong")]
    Crc {
        /// Bytes of the record with length and CRC.
        length: u64,
    },
    /// A record number that does not follow.
    #[error("record {found} stands where {expected} belongs")]
    Sequence {
        /// Follows.
        expected: u64,
        /// Stands.
        found: u64,
    },
    /// The CRC holds and the content is no record of this version.
    #[error("a record of type {0} that cannot be read")]
    Content(u8),
}

/// Reads a segment from its first byte; borrows the frames.
#[derive(Debug, Clone)]
pub struct SegmentReader<'a> {
    bytes: &'a [u8],
    at: usize,
    crc: u32,
    seq: u64,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().expect("four bytes")))
}
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().expect("eight bytes")))
}

impl<'a> SegmentReader<'a> {
    /// Reads the header.
    pub fn new(bytes: &'a [u8]) -> Result<(SegmentHeader, Self), RecordError> {
        let fail = |offset: usize, problem| RecordError { offset: offset as u64, problem };
        if let Some(wrong) = (0..MAGIC.len().min(bytes.len())).find(|at| bytes[*at] != MAGIC[*at]) {
            return Err(fail(wrong, RecordProblem::Magic));
        }
        let start = MAGIC.len();
        let length = u32_at(bytes, start).ok_or_else(|| fail(0, RecordProblem::Cut))?;
        if length as usize > MAX_HEADER {
            return Err(fail(start, RecordProblem::Length(length)));
        }
        let end = start + 4 + length as usize;
        let stored = u32_at(bytes, end).ok_or_else(|| fail(0, RecordProblem::Cut))?;
        if crc::chained(0, &[&bytes[start..end]]) != stored {
            return Err(fail(start, RecordProblem::Crc { length: u64::from(length) + 8 }));
        }
        let header: SegmentHeader =
            crate::cbor::decode(&bytes[start + 4..end]).map_err(|_| fail(start + 4, RecordProblem::Content(0)))?;
        let reader = Self { bytes, at: end + 4, crc: stored, seq: header.first_seq };
        Ok((header, reader))
    }

    /// Behind `at` bytes that were read before, with the CRC and number that they left.
    pub(super) fn going_on(bytes: &'a [u8], at: usize, crc: u32, seq: u64) -> Self {
        Self { bytes, at, crc, seq }
    }

    /// Bytes read and found good so far: a cut file is cut back to here.
    pub fn good(&self) -> u64 {
        self.at as u64
    }
    /// CRC at [`Self::good`].
    pub(super) fn crc(&self) -> u32 {
        self.crc
    }
    /// Number of the next record.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    fn fail(&self, problem: RecordProblem) -> RecordError {
        RecordError { offset: self.at as u64, problem }
    }

    /// Places and values of the one byte that would make the CRC of the next record right, if one byte is wrong.
    pub fn repairs(&self, limit: usize) -> Vec<(u64, u8)> {
        let Some(length) = u32_at(self.bytes, self.at) else { return Vec::new() };
        let end = self.at + 4 + length as usize;
        let (Some(part), Some(stored)) = (self.bytes.get(self.at..end), u32_at(self.bytes, end)) else {
            return Vec::new();
        };
        let mut found: Vec<(u64, u8)> = crc::repairs(self.crc, part, stored, limit)
            .into_iter()
            .map(|(at, value)| ((self.at + at) as u64, value))
            .collect();
        let right = crc::chained(self.crc, &[part]).to_be_bytes();
        let differing: Vec<usize> = (0..4).filter(|i| right[*i] != stored.to_be_bytes()[*i]).collect();
        if let [only] = differing[..] {
            found.push(((end + only) as u64, right[only]));
        }
        found
    }

    fn parse(&self, kind: u8, body: &'a [u8]) -> Option<Record<'a>> {
        Some(match kind {
            1 => {
                let shim_len = usize::from(*body.get(25)?);
                Record::Media(Media {
                    sfu_us: u64_at(body, 0)?,
                    rtp_timestamp: u32_at(body, 8)?,
                    ssrc: u32_at(body, 12)?,
                    epoch: Epoch(u64_at(body, 16)?),
                    flags: body[24],
                    shim: body.get(26..26 + shim_len)?,
                    sframe: body.get(26 + shim_len..)?,
                })
            }
            2 if body.len() == 20 => Record::SenderReport {
                sfu_us: u64_at(body, 0)?,
                ntp: u64_at(body, 8)?,
                rtp_timestamp: u32_at(body, 16)?,
            },
            3 => Record::Gap(crate::cbor::decode(body).ok()?),
            4 => Record::Event(Box::new(crate::cbor::decode(body).ok()?)),
            5 => Record::Checkpoint(crate::cbor::decode(body).ok()?),
            6 if body.len().is_multiple_of(KEY_FRAME_PLACE) => Record::KeyFrameIndex(
                body.chunks_exact(KEY_FRAME_PLACE)
                    .map(|part| KeyFramePlace {
                        seq: u64_at(part, 0).expect("24 bytes"),
                        offset: u64_at(part, 8).expect("24 bytes"),
                        at_us: u64_at(part, 16).expect("24 bytes"),
                    })
                    .collect(),
            ),
            _ => return None,
        })
    }

    /// The next record; `Ok(None)` exactly at the end of the file. After an error it stays where it is.
    pub fn next_record(&mut self) -> Result<Option<Placed<'a>>, RecordError> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let length = u32_at(self.bytes, self.at).ok_or_else(|| self.fail(RecordProblem::Cut))?;
        if (length as usize) < HEAD || length as usize > MAX_RECORD {
            return Err(self.fail(RecordProblem::Length(length)));
        }
        let end = self.at + 4 + length as usize;
        let stored = u32_at(self.bytes, end).ok_or_else(|| self.fail(RecordProblem::Cut))?;
        let framed = &self.bytes[self.at..end];
        if crc::chained(self.crc, &[framed]) != stored {
            return Err(self.fail(RecordProblem::Crc { length: u64::from(length) + 8 }));
        }
        let kind = framed[4];
        let seq = u64_at(framed, 5).expect("the head is there");
        if seq != self.seq {
            return Err(self.fail(RecordProblem::Sequence { expected: self.seq, found: seq }));
        }
        let record = self.parse(kind, &framed[4 + HEAD..]).ok_or_else(|| self.fail(RecordProblem::Content(kind)))?;
        let placed = Placed {
            offset: self.at as u64,
            len: framed.len() as u64 + 4,
            seq,
            at_us: u64_at(framed, 13).expect("the head is there"),
            framed,
            record,
        };
        self.at = end + 4;
        self.crc = stored;
        // the header is anybody's until the manifest is checked
        self.seq = self.seq.wrapping_add(1);
        Ok(Some(placed))
    }
}

/// Appends the bytes of a header to `out`; returns its CRC.
pub(super) fn write_header(header: &SegmentHeader, out: &mut Vec<u8>) -> u32 {
    let body = super::to_cbor(header);
    let length = (body.len() as u32).to_be_bytes();
    let crc = crc::chained(0, &[&length, &body]);
    out.extend(MAGIC);
    out.extend(length);
    out.extend(body);
    out.extend(crc.to_be_bytes());
    crc
}

/// Appends the bytes of a record to `out`; returns its CRC.
pub(super) fn write_record(previous: u32, seq: u64, at_us: u64, record: &Record<'_>, out: &mut Vec<u8>) -> u32 {
    let start = out.len();
    out.extend([0; 4]);
    out.push(record.kind());
    out.extend(seq.to_be_bytes());
    out.extend(at_us.to_be_bytes());
    match record {
        Record::Media(media) => {
            out.extend(media.sfu_us.to_be_bytes());
            out.extend(media.rtp_timestamp.to_be_bytes());
            out.extend(media.ssrc.to_be_bytes());
            out.extend(media.epoch.0.to_be_bytes());
            out.push(media.flags);
            out.push(u8::try_from(media.shim.len()).expect("shims have at most five bytes"));
            out.extend(media.shim);
            out.extend(media.sframe);
        }
        Record::SenderReport { sfu_us, ntp, rtp_timestamp } => {
            out.extend(sfu_us.to_be_bytes());
            out.extend(ntp.to_be_bytes());
            out.extend(rtp_timestamp.to_be_bytes());
        }
        Record::Gap(gap) => out.extend(super::to_cbor(gap)),
        Record::Event(event) => out.extend(super::to_cbor(event)),
        Record::Checkpoint(body) => out.extend(super::to_cbor(body)),
        Record::KeyFrameIndex(places) => {
            for place in places {
                out.extend(place.seq.to_be_bytes());
                out.extend(place.offset.to_be_bytes());
                out.extend(place.at_us.to_be_bytes());
            }
        }
    }
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    let crc = crc::chained(previous, &[&out[start..]]);
    out.extend(crc.to_be_bytes());
    crc
}

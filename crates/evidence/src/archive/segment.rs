//! Writing segments: bytes, Merkle leaves and what the signed segment manifest says of them.

use super::digest::{Digest, sha256};
use super::merkle::{Frontier, leaf_hash, leaf_hash_of};
use super::record::{
    CheckpointBody, HEAD, KEY_FRAME, KEY_FRAME_PLACE, KeyFramePlace, MAX_RECORD, Placed, Record, RecordError,
    SegmentHeader, SegmentReader, write_header, write_record,
};
use domain::{FirmId, MeetingId, UnixMillis};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Size of the pieces hashed one by one, so that a verifier names the place of a change: 1,024 hashes a full segment.
pub const CHUNK: usize = 64 * 1024;

/// Key frames that the index of one file names, from its begin: as many as one record holds. A sender can make every frame
/// one; seeking behind them reads on from the last.
const MAX_INDEXED: usize = (MAX_RECORD - HEAD) / KEY_FRAME_PLACE;

/// Merkle leaf of a record. For media the SFrame bytes stand in it as their SHA-256, the value that sender manifests
/// carry (its first 16 bytes): so a frame can be proven without being shown.
pub(super) fn leaf_of(framed: &[u8], record: &Record<'_>, sframe: Option<&Digest>) -> Digest {
    let Record::Media(media) = record else { return leaf_hash(framed) };
    let head = &framed[..framed.len() - media.sframe.len()];
    let sframe = sframe.copied().unwrap_or_else(|| sha256(media.sframe));
    leaf_hash_of(&[head, &sframe.0])
}

/// What the record key signs for a closed segment. Leaf 0 of the tree is the header, then one leaf per record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentManifest {
    /// Always `segment`.
    pub record: String,
    /// Always 1.
    pub version: u16,
    /// Whose.
    pub firm: FirmId,
    /// Which meeting.
    pub meeting: MeetingId,
    /// Path in the meeting's folder.
    pub path: String,
    /// Number of the track, 0 for events.
    pub track: u32,
    /// Which segment of the track.
    pub index: u32,
    /// `seq` of its first record.
    pub first_seq: u64,
    /// Records.
    pub records: u64,
    /// Media records among them.
    pub frames: u64,
    /// Bytes of the file.
    pub size: u64,
    /// Merkle root.
    pub root: Digest,
    /// SHA-256 of each [`CHUNK`] bytes of the file.
    pub chunks: Vec<Digest>,
    /// When it was closed.
    pub closed_at: UnixMillis,
}

impl SegmentManifest {
    /// Reads the payload of a signed one.
    pub fn from_cbor(payload: &[u8]) -> Option<Self> {
        let manifest: Self = crate::cbor::decode(payload).ok()?;
        (manifest.record == "segment" && manifest.version == 1).then_some(manifest)
    }
    /// What is signed.
    pub fn to_cbor(&self) -> Vec<u8> {
        super::to_cbor(self)
    }
}

/// What a writer knew at the end of a record, without what the mark before it told: with all marks of a segment, reading
/// goes on behind the last one. A convenience of the recorder that wrote it, no part of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentMark {
    /// Bytes before it.
    pub size: u64,
    /// CRC there: the four bytes before `size`.
    pub crc: u32,
    /// Records before it.
    pub records: u64,
    /// Frames among them.
    pub frames: u64,
    /// Merkle subtrees over header and records, largest first.
    pub edge: Vec<Digest>,
    /// SHA-256 of each [`CHUNK`] that became whole.
    pub chunks: Vec<Digest>,
    /// Key frames that came: number, offset, time.
    pub key_frames: Vec<(u64, u64, u64)>,
}

impl SegmentMark {
    /// Where the bytes begin that are needed to go on behind `marks`: what no whole chunk holds, and the last CRC.
    pub fn tail_from(marks: &[Self]) -> Option<u64> {
        let whole: usize = marks.iter().map(|mark| mark.chunks.len()).sum();
        Some(((whole * CHUNK) as u64).min(marks.last()?.size.checked_sub(4)?))
    }
}

/// Turns records into bytes and keeps what the manifest needs. It owns no file: the caller appends what it returns.
#[derive(Clone)]
pub struct SegmentWriter {
    header: SegmentHeader,
    crc: u32,
    seq: u64,
    size: u64,
    records: u64,
    frames: u64,
    tree: Frontier,
    chunk: Sha256,
    chunk_fill: usize,
    chunks: Vec<Digest>,
    key_frames: Vec<KeyFramePlace>,
    /// Chunks and key frames that the last mark told.
    marked: (usize, usize),
}

impl SegmentWriter {
    /// Begins a segment; its first bytes go to `out`.
    pub fn new(header: SegmentHeader, out: &mut Vec<u8>) -> Self {
        let start = out.len();
        let crc = write_header(&header, out);
        let mut writer = Self::bare(header, crc);
        writer.tree.push(leaf_hash(&out[start..]));
        writer.count(&out[start..]);
        writer
    }

    fn bare(header: SegmentHeader, crc: u32) -> Self {
        Self {
            seq: header.first_seq,
            header,
            crc,
            size: 0,
            records: 0,
            frames: 0,
            tree: Frontier::default(),
            chunk: Sha256::new(),
            chunk_fill: 0,
            chunks: Vec::new(),
            key_frames: Vec::new(),
            marked: (0, 0),
        }
    }

    /// Goes on with a file found after a crash: takes every record that is whole, stops at the first that is not.
    /// The caller cuts the file to [`Self::size`]. The error, if any, says what stood behind the last good record.
    pub fn resume(bytes: &[u8]) -> Result<(Self, Option<RecordError>), RecordError> {
        Self::resume_with(bytes, &mut |_| {})
    }

    /// The same; `each` sees every good record on the way.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub fn resume_with(
        bytes: &[u8],
        each: &mut dyn FnMut(&Placed<'_>),
    ) -> Result<(Self, Option<RecordError>), RecordError> {
        let (header, mut reader) = SegmentReader::new(bytes)?;
        let mut writer = Self::bare(header, reader.crc());
        writer.tree.push(leaf_hash(&bytes[..reader.good() as usize]));
        let wrong = writer.read_on(&mut reader, 0, each);
        writer.count(&bytes[..reader.good() as usize]);
        Ok((writer, wrong))
    }

    /// Takes every good record that `reader`, which begins at `base` of the file, still has.
    fn read_on(
        &mut self,
        reader: &mut SegmentReader<'_>,
        base: u64,
        each: &mut dyn FnMut(&Placed<'_>),
    ) -> Option<RecordError> {
        let wrong = loop {
            match reader.next_record() {
                Ok(Some(placed)) => {
                    self.note(&placed.record, base + placed.offset, placed.at_us);
                    self.tree.push(placed.leaf());
                    each(&placed);
                }
                Ok(None) => break None,
                Err(error) => break Some(RecordError { offset: base + error.offset, ..error }),
            }
        };
        self.crc = reader.crc();
        self.seq = reader.seq();
        wrong
    }

    /// Merkle root over header and records so far.
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// What is known now, without what the mark before told.
    pub fn mark(&mut self) -> SegmentMark {
        let (chunks, key_frames) = std::mem::replace(&mut self.marked, (self.chunks.len(), self.key_frames.len()));
        SegmentMark {
            size: self.size,
            crc: self.crc,
            records: self.records,
            frames: self.frames,
            edge: self.tree.edge().to_vec(),
            chunks: self.chunks[chunks..].to_vec(),
            key_frames: self.key_frames[key_frames..].iter().map(|one| (one.seq, one.offset, one.at_us)).collect(),
        }
    }

    /// Goes on behind all `marks` of a segment: `tail` are the file's bytes from [`SegmentMark::tail_from`] on. `None`: the
    /// marks are not of this file, as far as its bytes there tell.
    pub fn go_on(
        header: SegmentHeader,
        marks: &[SegmentMark],
        tail: &[u8],
        each: &mut dyn FnMut(&Placed<'_>),
    ) -> Option<(Self, Option<RecordError>)> {
        let last = marks.last()?;
        let from = SegmentMark::tail_from(marks)?;
        let at = usize::try_from(last.size.checked_sub(from)?).ok()?;
        if tail.get(at.checked_sub(4)?..at)? != last.crc.to_be_bytes() {
            return None;
        }
        let mut writer = Self::bare(header, last.crc);
        writer.seq = writer.header.first_seq.wrapping_add(last.records);
        (writer.records, writer.frames) = (last.records, last.frames);
        writer.tree = Frontier::from_edge(last.edge.clone(), last.records.checked_add(1)?)?;
        for mark in marks {
            writer.chunks.extend(&mark.chunks);
            let places = mark.key_frames.iter().map(|(seq, offset, at_us)| (*seq, *offset, *at_us));
            writer.key_frames.extend(places.map(|(seq, offset, at_us)| KeyFramePlace { seq, offset, at_us }));
        }
        let whole = (writer.chunks.len() * CHUNK) as u64;
        let partial = tail.get(usize::try_from(whole.checked_sub(from)?).ok()?..at)?;
        writer.count(partial);
        writer.size = last.size;
        writer.marked = (writer.chunks.len(), writer.key_frames.len());
        let mut reader = SegmentReader::going_on(tail, at, last.crc, writer.seq);
        let wrong = writer.read_on(&mut reader, from, each);
        writer.count(&tail[at..reader.good() as usize]);
        Some((writer, wrong))
    }

    fn count(&mut self, mut bytes: &[u8]) {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.chunk_fill));
            self.chunk.update(now);
            self.chunk_fill += now.len();
            if self.chunk_fill == CHUNK {
                self.chunks.push(Digest(self.chunk.finalize_reset().into()));
                self.chunk_fill = 0;
            }
            bytes = later;
        }
    }

    fn note(&mut self, record: &Record<'_>, offset: u64, at_us: u64) {
        if let Record::Media(media) = record {
            self.frames += 1;
            if media.flags & KEY_FRAME != 0
                && self.key_frames.len() < MAX_INDEXED
                && self.header.track.as_ref().is_some_and(|t| t.codec != domain::Codec::Opus)
            {
                let seq = self.header.first_seq.wrapping_add(self.records);
                self.key_frames.push(KeyFramePlace { seq, offset, at_us });
            }
        }
        self.records += 1;
    }

    /// Adds a record; its bytes go to `out`. Returns its number.
    pub fn push(&mut self, at_us: u64, record: &Record<'_>, out: &mut Vec<u8>) -> u64 {
        self.push_with(at_us, record, None, out)
    }

    /// The same where the SHA-256 of a frame's SFrame bytes is known already.
    pub fn push_with(&mut self, at_us: u64, record: &Record<'_>, sframe: Option<&Digest>, out: &mut Vec<u8>) -> u64 {
        let (start, seq) = (out.len(), self.seq);
        self.crc = write_record(self.crc, seq, at_us, record, out);
        self.tree.push(leaf_of(&out[start..out.len() - 4], record, sframe));
        self.note(record, self.size, at_us);
        self.count(&out[start..]);
        self.seq = self.seq.wrapping_add(1);
        seq
    }

    /// Adds a checkpoint record.
    pub fn checkpoint(&mut self, at_us: u64, out: &mut Vec<u8>) {
        let body = CheckpointBody { records: self.records, root: self.tree.root() };
        self.push(at_us, &Record::Checkpoint(body), out);
    }

    /// Head of the file.
    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }
    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// Media records so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }
    /// Number of the next record.
    pub fn next_seq(&self) -> u64 {
        self.seq
    }

    /// Closes the segment: writes the key-frame index to `out` and returns the manifest to be signed.
    pub fn close(mut self, path: String, at: UnixMillis, out: &mut Vec<u8>) -> SegmentManifest {
        if !self.key_frames.is_empty() {
            let places = std::mem::take(&mut self.key_frames);
            self.push(at.0 * 1000, &Record::KeyFrameIndex(places), out);
        }
        let mut chunks = self.chunks;
        if self.chunk_fill > 0 {
            chunks.push(Digest(self.chunk.finalize().into()));
        }
        SegmentManifest {
            record: "segment".to_owned(),
            version: 1,
            firm: self.header.firm,
            meeting: self.header.meeting,
            path,
            track: self.header.track.map_or(0, |track| track.track),
            index: self.header.index,
            first_seq: self.header.first_seq,
            records: self.records,
            frames: self.frames,
            size: self.size,
            root: self.tree.root(),
            chunks,
            closed_at: at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{ArchiveEvent, Gap, GapCause};
    use super::super::record::{Media, RecordProblem, TrackInfo};
    use super::*;
    use domain::{Codec, Epoch, Slot};

    fn sample() -> (Vec<u8>, Vec<u64>, SegmentManifest) {
        let header = SegmentHeader {
            version: 1,
            firm: "bank-a".parse().expect("an id"),
            meeting: "00112233445566778899aabbccddeeff".parse().expect("an id"),
            track: Some(TrackInfo {
                track: 1,
                participant: "bank-a/anna/d1".parse().expect("an id"),
                slot: Slot(2),
                codec: Codec::Vp8,
            }),
            index: 1,
            first_seq: 40,
            suite: 5,
            clock_rate: 90_000,
            started_at: UnixMillis(1_000),
            monotonic_ms: 5,
        };
        let mut bytes = Vec::new();
        let mut writer = SegmentWriter::new(header, &mut bytes);
        let mut ends = vec![bytes.len() as u64];
        let frame: Vec<u8> = (0..5_000u32).map(|n| (n * 7 % 256) as u8).collect();
        for n in 0..40u64 {
            let record = match n % 8 {
                5 => Record::SenderReport { sfu_us: n, ntp: n << 32, rtp_timestamp: 7 },
                6 => Record::Gap(Gap {
                    participant: None,
                    slot: Some(Slot(2)),
                    epoch: Epoch(n),
                    first_ctr: 3,
                    count: 2,
                    cause: GapCause::LostBeforeSfu,
                    from: UnixMillis(1),
                    to: UnixMillis(2),
                }),
                7 => Record::Event(Box::new(ArchiveEvent::LinkUp { lost: n })),
                _ => Record::Media(Media {
                    sfu_us: n * 33_000,
                    rtp_timestamp: n as u32 * 3_000,
                    ssrc: 9,
                    epoch: Epoch(n),
                    flags: if n % 4 == 0 { KEY_FRAME } else { 0 },
                    shim: &[u8::from(n % 4 != 0)],
                    sframe: &frame[..(n as usize * 97) % 5_000],
                }),
            };
            assert_eq!(writer.push(n, &record, &mut bytes), 40 + n);
            ends.push(bytes.len() as u64);
        }
        let manifest = writer.close("tracks/t1/1.seg".to_owned(), UnixMillis(9), &mut bytes);
        ends.push(bytes.len() as u64);
        (bytes, ends, manifest)
    }

    #[test]
    fn a_segment_reads_back_whole_and_gives_the_root_that_was_signed() {
        let (bytes, ends, manifest) = sample();
        let (header, mut reader) = SegmentReader::new(&bytes).expect("a header");
        let mut tree = Frontier::default();
        tree.push(leaf_hash(&bytes[..ends[0] as usize]));
        let mut n = 0;
        while let Some(placed) = reader.next_record().expect("good") {
            assert_eq!((placed.offset, placed.seq), (ends[n], header.first_seq + n as u64));
            tree.push(placed.leaf());
            n += 1;
        }
        assert_eq!((n as u64, tree.root()), (manifest.records, manifest.root));
        assert_eq!(manifest.size, bytes.len() as u64);
        let chunks: Vec<Digest> = bytes.chunks(CHUNK).map(sha256).collect();
        assert_eq!(chunks, manifest.chunks);
        assert_eq!(SegmentManifest::from_cbor(&manifest.to_cbor()), Some(manifest));
    }

    /// One more than fit into the index, each a few bytes long.
    #[test]
    fn more_key_frames_than_an_index_holds_leave_a_segment_that_reads_back() {
        let (sample, ..) = sample();
        let (header, _) = SegmentReader::new(&sample).expect("a header");
        let mut bytes = Vec::new();
        let mut writer = SegmentWriter::new(header, &mut bytes);
        let frame = Media {
            sfu_us: 0,
            rtp_timestamp: 0,
            ssrc: 9,
            epoch: Epoch(1),
            flags: KEY_FRAME,
            shim: &[0],
            sframe: &[7; 26],
        };
        for n in 0..=MAX_INDEXED as u64 {
            writer.push(n, &Record::Media(frame.clone()), &mut bytes);
        }
        writer.close("tracks/1/1.seg".to_owned(), UnixMillis(1), &mut bytes);
        let (_, mut reader) = SegmentReader::new(&bytes).expect("a header");
        let mut last = None;
        while let Some(placed) = reader.next_record().expect("every record is one that is read") {
            last = Some(placed.record);
        }
        let Some(Record::KeyFrameIndex(places)) = last else { panic!("an index") };
        assert_eq!(places.len(), MAX_INDEXED);
    }

    #[test]
    fn record_numbers_at_the_very_end_stop_no_reader() {
        let (sample, ..) = sample();
        let (mut header, _) = SegmentReader::new(&sample).expect("a header");
        header.first_seq = u64::MAX;
        let mut bytes = Vec::new();
        let crc = write_header(&header, &mut bytes);
        let event = Record::Event(Box::new(ArchiveEvent::LinkDown {}));
        write_record(crc, u64::MAX, 0, &event, &mut bytes);
        let (mut writer, wrong) = SegmentWriter::resume(&bytes).expect("a header");
        assert_eq!((wrong, writer.size()), (None, bytes.len() as u64));
        writer.checkpoint(0, &mut bytes);
    }

    #[test]
    fn bytes_behind_a_manifest_make_it_none() {
        let (_, _, manifest) = sample();
        let mut payload = manifest.to_cbor();
        payload.push(0);
        assert_eq!(SegmentManifest::from_cbor(&payload), None);
    }

    #[test]
    fn a_file_cut_at_any_byte_keeps_every_whole_record_and_goes_on_to_the_same_root() {
        let (bytes, ends, _) = sample();
        for cut in (0..bytes.len()).step_by(13).chain(ends.iter().map(|end| *end as usize)) {
            let Ok((writer, wrong)) = SegmentWriter::resume(&bytes[..cut]) else {
                assert!((cut as u64) < ends[0], "a whole header was refused at {cut}");
                continue;
            };
            let kept = *ends.iter().filter(|end| **end <= cut as u64).max().expect("the header is whole");
            assert_eq!(writer.size(), kept);
            assert_eq!(wrong.is_none(), kept == cut as u64);
            assert!(wrong.is_none_or(|error| error.problem == RecordProblem::Cut && error.offset == kept));
        }
        let (writer, _) = SegmentWriter::resume(&bytes[..ends[20] as usize + 3]).expect("a header");
        let (whole, _) = SegmentWriter::resume(&bytes[..ends[20] as usize]).expect("a header");
        let (mut a, mut b) = (Vec::new(), Vec::new());
        assert_eq!(
            writer.close("x".to_owned(), UnixMillis(1), &mut a),
            whole.close("x".to_owned(), UnixMillis(1), &mut b)
        );
        assert_eq!(a, b);
    }

    #[test]
    fn every_flipped_bit_breaks_the_chain_at_its_record_and_names_the_byte() {
        let (bytes, ends, _) = sample();
        for at in (ends[0] as usize..bytes.len()).step_by(211) {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            let (_, mut reader) = SegmentReader::new(&bad).expect("the header is whole");
            let error = loop {
                match reader.next_record() {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("a flipped bit at {at} was not seen"),
                    Err(error) => break error,
                }
            };
            let record = *ends.iter().filter(|end| **end <= at as u64).max().expect("after the header");
            assert_eq!(error.offset, record, "flip at {at}");
            if matches!(error.problem, RecordProblem::Crc { .. }) && at as u64 >= record + 4 {
                assert!(reader.repairs(64).contains(&(at as u64, bytes[at])), "flip at {at}");
            }
        }
    }
}

//! What a restart would otherwise read whole segments for: the counters of their frames, and where reading can go on.
//!
//! A file of its own beside each segment, `index/<track>/<segment>.idx`, written behind group commits and never synced. It
//! is no part of the archive and goes when the meeting is closed. Each entry is hashed over the one before and the
//! segment's name, so a torn, cut or exchanged file ends at its last good entry; the segment's own bytes say whether the
//! marks are of it (CRC chain), a signed manifest whether they lead to its root. What nothing of that can show, counters
//! that were changed on purpose, is read again before a closed meeting is signed ([`FrameRuns::of_segment`]).
//!
//! ```text
//! file  = entry*
//! entry = u32 length | CBOR of the entry | first 16 bytes of SHA-256(SHA-256 before | CBOR); at first: SHA-256(path)
//! ```

use crate::store::FileId;
use domain::{Epoch, Slot, UnixMillis, sframe};
use evidence::archive::record::{DISCONTINUITY, NO_KEY};
use evidence::archive::{Media, Record, RecordError, SegmentMark, SegmentReader, SegmentWriter};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// An entry after so many bytes of a segment: what is read again of each after a stop.
pub const EVERY_BYTES: u64 = 256 * 1024;
/// Bytes of an entry's hash on disk: found by accident once in 2^128 times.
const HASH: usize = 16;

// not a wire type: a recorder's own notes, gone when the meeting is closed
/// Frames of one layer with consecutive counters, as they lie in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrameRun {
    /// Layer.
    pub slot: Slot,
    /// Epoch.
    pub epoch: Epoch,
    /// First counter.
    pub first_ctr: u64,
    /// How many.
    pub count: u64,
    /// RTP numbers are missing before the first.
    pub hole_before: bool,
    /// The recorder had no key for them.
    pub no_key: bool,
    /// When the first came, by the recorder's clock.
    pub first_at: UnixMillis,
    /// When the last came.
    pub last_at: UnixMillis,
    /// When the first came, by the SFU's clock, microseconds.
    pub first_us: u64,
    /// The latest such time.
    pub last_us: u64,
}

impl FrameRun {
    /// One frame; `None` if its header cannot be read, and then nothing counts it.
    pub fn of(at: UnixMillis, media: &Media<'_>) -> Option<Self> {
        let header = sframe::header(media.sframe).ok()?;
        Some(Self {
            slot: header.kid.slot(),
            epoch: media.epoch,
            first_ctr: header.ctr.0,
            count: 1,
            hole_before: media.flags & DISCONTINUITY != 0,
            no_key: media.flags & NO_KEY != 0,
            first_at: at,
            last_at: at,
            first_us: media.sfu_us,
            last_us: media.sfu_us,
        })
    }

    fn goes_on_with(&self, next: &Self) -> bool {
        (self.slot, self.epoch, self.no_key) == (next.slot, next.epoch, next.no_key)
            && self.first_ctr.checked_add(self.count) == Some(next.first_ctr)
            && !next.hole_before
    }
}

/// Runs in the order of their segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameRuns(Vec<FrameRun>);

impl FrameRuns {
    /// Adds what follows.
    pub fn push(&mut self, run: FrameRun) {
        match self.0.last_mut().filter(|last| last.goes_on_with(&run)) {
            Some(last) => {
                last.count += run.count;
                last.last_at = last.last_at.max(run.last_at);
                last.last_us = last.last_us.max(run.last_us);
            }
            None => self.0.push(run),
        }
    }
    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &FrameRun> {
        self.0.iter()
    }
    /// Read from all records of a segment; of the hashes nothing is made.
    ///
    /// # Errors
    /// The segment cannot be read to its end.
    pub fn of_segment(bytes: &[u8]) -> Result<Self, RecordError> {
        let (_, mut reader) = SegmentReader::new(bytes)?;
        let mut runs = Self::default();
        while let Some(placed) = reader.next_record()? {
            if let Record::Media(media) = &placed.record
                && let Some(run) = FrameRun::of(UnixMillis(placed.at_us / 1000), media)
            {
                runs.push(run);
            }
        }
        Ok(runs)
    }
}

// not a wire type: as above
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    mark: SegmentMark,
    /// Since the entry before.
    runs: Vec<FrameRun>,
}

/// Writes the index of one segment.
pub struct IndexWriter {
    before: [u8; 32],
    runs: FrameRuns,
    told: u64,
}

impl IndexWriter {
    /// Of a new segment.
    pub fn new(file: FileId) -> Self {
        Self { before: Sha256::digest(file.path()).into(), runs: FrameRuns::default(), told: 0 }
    }
    /// A frame was added to the segment.
    pub fn frame(&mut self, run: FrameRun) {
        self.runs.push(run);
    }
    /// The entry that is due, if one is.
    pub fn due(&mut self, segment: &mut SegmentWriter) -> Option<Vec<u8>> {
        (segment.size() >= self.told + EVERY_BYTES).then(|| self.entry(segment))
    }
    /// An entry up to here.
    pub fn entry(&mut self, segment: &mut SegmentWriter) -> Vec<u8> {
        self.told = segment.size();
        let entry = Entry { mark: segment.mark(), runs: std::mem::take(&mut self.runs).0 };
        let body = evidence::cbor::encode(&entry);
        self.before = hash(&self.before, &body);
        let length = u32::try_from(body.len()).expect("an entry is a few kB");
        [&length.to_be_bytes()[..], &body, &self.before[..HASH]].concat()
    }
}

fn hash(before: &[u8; 32], body: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(before).chain_update(body).finalize().into()
}

/// An index as it was found.
#[derive(Debug, Default)]
pub struct Index {
    /// In order.
    pub marks: Vec<SegmentMark>,
    /// Up to the last mark.
    pub runs: FrameRuns,
}

impl Index {
    /// Are the frames in this segment those that the entries speak of? What follows the last entry is not judged: it was
    /// read itself.
    pub fn covers(&self, segment: &[u8]) -> bool {
        let size = self.marks.last().map_or(0, |mark| mark.size);
        let covered = usize::try_from(size).ok().and_then(|size| segment.get(..size));
        covered.is_some_and(|bytes| FrameRuns::of_segment(bytes).is_ok_and(|runs| runs == self.runs))
    }

    /// Reads all entries up to the first that is torn, or of another segment.
    pub fn read(file: FileId, mut bytes: &[u8]) -> Self {
        let mut index = Self::default();
        let mut before: [u8; 32] = Sha256::digest(file.path()).into();
        while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let Some((body, rest)) = rest.split_at_checked(length) else { break };
            let Some((stored, rest)) = rest.split_first_chunk::<HASH>() else { break };
            before = hash(&before, body);
            if *stored != before[..HASH] {
                break;
            }
            let Ok(entry) = evidence::cbor::decode::<Entry>(body) else { break };
            index.marks.push(entry.mark);
            entry.runs.into_iter().for_each(|run| index.runs.push(run));
            bytes = rest;
        }
        index
    }
}

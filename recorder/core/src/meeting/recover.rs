//! From the files of an unfinished meeting back to a recording that goes on, or is closed.

use super::writer::{Found, Writer};
use super::{Config, Meeting, Now};
use crate::index::{FrameRun, FrameRuns, Index, IndexWriter};
use crate::store::FileId;
use crate::summary::Summary;
use domain::UnixMillis;
use evidence::archive::{
    EpochKey, Placed, Record, RecordError, SegmentManifest, SegmentMark, SegmentReader, SegmentWriter,
};

/// An archive being read back. Order: [`Self::new`], each track segment by [`Self::segment`], then [`Self::go_on`] or
/// [`Self::close`].
pub struct Recovered {
    summary: Summary,
    events: SegmentWriter,
    events_size: u64,
    epoch_keys_size: u64,
    segments: Vec<(u32, u32, SegmentWriter, Found)>,
}

/// What is known of a segment that is not read whole.
pub struct Part<'a> {
    /// Its first bytes: at least its header.
    pub head: &'a [u8],
    /// Bytes of the file.
    pub size: u64,
    /// What was signed of it.
    pub manifest: Option<&'a SegmentManifest>,
}

fn note(placed: &Placed<'_>, runs: &mut FrameRuns) {
    if let Record::Media(media) = &placed.record {
        FrameRun::of(UnixMillis(placed.at_us / 1000), media).into_iter().for_each(|run| runs.push(run));
    }
}

impl Recovered {
    /// Reads events and epoch keys.
    ///
    /// # Errors
    /// The header of the event segment cannot be read: there is nothing to go on with.
    pub fn new(events: &[u8], epoch_keys: &[u8]) -> Result<Self, RecordError> {
        let (writer, _) = SegmentWriter::resume(events)?;
        let events_size = writer.size();
        let (_, mut reader) = SegmentReader::new(&events[..events_size as usize])?;
        let mut summary = Summary::default();
        while let Some(placed) = reader.next_record()? {
            let at = UnixMillis(placed.at_us / 1000);
            match placed.record {
                Record::Event(event) => summary.event(at, &event),
                Record::Gap(gap) => summary.gaps.push(gap),
                _ => {}
            }
        }
        let (keys, good) = EpochKey::read_all(epoch_keys);
        for key in &keys {
            summary.epoch_key(key, summary.last_at);
        }
        Ok(Self { summary, events: writer, events_size, epoch_keys_size: good as u64, segments: Vec::new() })
    }

    /// Reads a whole track segment. Returns how many of its bytes are good: the file is cut there (0: it is removed).
    pub fn segment(&mut self, bytes: &[u8], sealed: Found) -> u64 {
        self.rebuilt(bytes, sealed).0
    }

    /// The same, and an index of it for the next time.
    pub fn rebuilt(&mut self, bytes: &[u8], sealed: Found) -> (u64, Vec<u8>) {
        let mut runs = FrameRuns::default();
        let resumed = SegmentWriter::resume_with(bytes, &mut |placed| note(placed, &mut runs));
        let Ok((mut writer, _)) = resumed else { return (0, Vec::new()) };
        let Some(info) = &writer.header().track else { return (0, Vec::new()) };
        let mut index = IndexWriter::new(FileId::Track { track: info.track, index: writer.header().index });
        runs.iter().for_each(|run| index.frame(*run));
        let index = index.entry(&mut writer);
        (self.take(writer, &runs, sealed), index)
    }

    /// The same from the segment's index and what lies behind its last entry. `head`: the first bytes of the file, with its
    /// header; `part`: reads so many bytes from an offset on. `Ok(None)`: nothing was taken, the index does not fit.
    ///
    /// # Errors
    /// Of `part`.
    pub fn indexed<E>(
        &mut self,
        index: Index,
        segment: &Part<'_>,
        part: impl FnOnce(u64, u64) -> Result<Vec<u8>, E>,
    ) -> Result<Option<u64>, E> {
        let (Ok((header, _)), Some(from), Some(last)) =
            (SegmentReader::new(segment.head), SegmentMark::tail_from(&index.marks), index.marks.last())
        else {
            return Ok(None);
        };
        if last.size > segment.size {
            return Ok(None);
        }
        let tail = part(from, segment.size - from)?;
        let mut runs = index.runs;
        let Some((mut writer, wrong)) =
            SegmentWriter::go_on(header, &index.marks, &tail, &mut |placed| note(placed, &mut runs))
        else {
            return Ok(None);
        };
        if let Some(manifest) = segment.manifest {
            let read = writer.mark();
            let is_it = wrong.is_none() && manifest.size == segment.size && read.size == manifest.size;
            if !is_it || writer.root() != manifest.root || read.frames != manifest.frames {
                return Ok(None);
            }
        }
        let sealed = if segment.manifest.is_some() { Found::Sealed } else { Found::Unsealed };
        Ok(Some(self.take(writer, &runs, sealed)))
    }

    fn take(&mut self, writer: SegmentWriter, runs: &FrameRuns, sealed: Found) -> u64 {
        let good = writer.size();
        let Some(info) = writer.header().track.clone() else { return 0 };
        self.summary.found_track(&info);
        for run in runs.iter() {
            self.summary.frames_came(info.track, run);
        }
        self.segments.push((info.track, writer.header().index, writer, sealed));
        good
    }

    /// What the archive says.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
    /// Good bytes of `events.seg` and `keys/epochs.cbor`.
    pub fn sizes(&self) -> [(FileId, u64); 2] {
        [(FileId::Events, self.events_size), (FileId::EpochKeys, self.epoch_keys_size)]
    }

    fn meeting(mut self, config: Config, now: Now) -> Meeting {
        let upto = self.summary.durable;
        let mut writer = Writer::bare(&config, now, Some(self.events), upto);
        self.segments.sort_by_key(|(track, index, ..)| (*track, *index));
        for (track, index, segment, sealed) in self.segments {
            writer.found(now, track, index, segment, sealed);
        }
        Meeting::with(config, now, self.summary, writer)
    }

    /// The meeting goes on: a new incarnation writes behind what is there.
    pub fn go_on(self, config: Config, now: Now) -> Meeting {
        let mut meeting = self.meeting(config, now);
        meeting.start(now);
        meeting
    }

    /// The meeting is over: close what is there.
    pub fn close(self, config: Config, now: Now) -> Meeting {
        let mut meeting = self.meeting(config, now);
        meeting.close(now);
        meeting.step(now);
        meeting
    }
}

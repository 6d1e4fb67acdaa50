//! From the files of an unfinished meeting back to a recording that goes on, or is closed.

use super::writer::{Found, Writer};
use super::{Config, Meeting, Now};
use crate::store::FileId;
use crate::summary::Summary;
use domain::UnixMillis;
use evidence::archive::{EpochKey, Record, RecordError, SegmentReader, SegmentWriter};

/// An archive being read back. Order: [`Self::new`], each track segment by [`Self::segment`], then [`Self::go_on`] or
/// [`Self::close`].
pub struct Recovered {
    summary: Summary,
    events: SegmentWriter,
    events_size: u64,
    epoch_keys_size: u64,
    segments: Vec<(u32, u32, SegmentWriter, Found)>,
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

    /// Reads a track segment. Returns how many of its bytes are good: the file is cut there (0: it is removed).
    pub fn segment(&mut self, bytes: &[u8], sealed: Found) -> u64 {
        let Ok((writer, _)) = SegmentWriter::resume(bytes) else { return 0 };
        let good = writer.size();
        let Some(info) = writer.header().track.clone() else { return 0 };
        let Ok((_, mut reader)) = SegmentReader::new(&bytes[..good as usize]) else { return 0 };
        self.summary.found_track(&info);
        while let Ok(Some(placed)) = reader.next_record() {
            if let Record::Media(media) = &placed.record {
                self.summary.media(UnixMillis(placed.at_us / 1000), info.track, media);
            }
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

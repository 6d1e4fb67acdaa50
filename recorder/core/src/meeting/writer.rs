//! Open segments and the group commit: what waits, what is on its way, what is durable.

use super::{Config, Now};
use crate::index::{FrameRun, IndexWriter};
use crate::store::{Batch, FileId};
use crate::summary::Summary;
use evidence::archive::{
    ArchiveEvent, Digest, EpochKey, Gap, Media, Record, SegmentHeader, SegmentManifest, SegmentWriter, TrackInfo,
};
use std::collections::BTreeMap;

/// A group commit after so long, ms: half of what an acknowledgement may take, the other half is the disk's. What a
/// commit costs is its calls to fsync, one for each file however little it grew: seldom is cheap.
pub const COMMIT_MS: u64 = 150;
/// ... or so many bytes: at most so many are lost by a power failure (the SFU has them still), and wait in memory.
pub const COMMIT_BYTES: usize = 4 << 20;
/// A segment is closed at so many bytes.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// ... or after so long, ms: it is signed and can be uploaded then.
pub const SEGMENT_MS: u64 = 5 * 60_000;
/// Most room made for a file's part of a commit before it is there: a track of 10 Mbit/s.
const MAX_ROOM: usize = 256 << 10;
/// A commit that takes longer makes the beacon say `waiting`, ms: half of the smallest recorder grace.
pub const PROMPT_MS: u64 = 1_000;

struct OpenSegment {
    writer: SegmentWriter,
    index: IndexWriter,
    since_ms: u64,
}

struct InFlight {
    ticket: u64,
    since_ms: u64,
    upto: u64,
    frames: u64,
    receipts: usize,
    sealed: Vec<SegmentManifest>,
}

/// What a group commit made durable.
pub(super) struct Done {
    pub upto: u64,
    pub receipts: usize,
    pub sealed: Vec<SegmentManifest>,
}

/// Everything between records and files.
pub(super) struct Writer {
    events: Option<SegmentWriter>,
    tracks: BTreeMap<u32, OpenSegment>,
    next_index: BTreeMap<u32, (u32, u64)>,
    head: SegmentHeader,
    waiting: BTreeMap<FileId, Vec<u8>>,
    /// Bytes that a file had in a commit before: room for as many is made at once.
    room: usize,
    waiting_events: Vec<u8>,
    waiting_indexes: Vec<(FileId, Vec<u8>)>,
    waiting_bytes: usize,
    waiting_since_ms: Option<u64>,
    waiting_receipts: usize,
    urgent: bool,
    closed: Vec<SegmentManifest>,
    in_flight: Option<InFlight>,
    tickets: u64,
    written_upto: u64,
    frames: u64,
    durable_frames: u64,
    ended: bool,
}

impl Writer {
    pub(super) fn new(config: &Config, now: Now) -> Self {
        let mut writer = Self::bare(config, now, None, 0);
        let header = writer.header(now, None, 1, 0);
        let mut bytes = Vec::new();
        writer.events = Some(SegmentWriter::new(header, &mut bytes));
        writer.put_events(now, bytes);
        writer
    }

    /// On files that are there already: `events` goes on, tracks continue in new segments after `next_index`.
    pub(super) fn bare(config: &Config, now: Now, events: Option<SegmentWriter>, upto: u64) -> Self {
        let head = SegmentHeader {
            version: 1,
            firm: config.firm.clone(),
            meeting: config.meeting.clone(),
            track: None,
            index: 1,
            first_seq: 0,
            suite: 5,
            clock_rate: 0,
            started_at: now.wall,
            monotonic_ms: now.mono_ms,
        };
        Self {
            events,
            tracks: BTreeMap::new(),
            next_index: BTreeMap::new(),
            head,
            waiting: BTreeMap::new(),
            room: 0,
            waiting_events: Vec::new(),
            waiting_indexes: Vec::new(),
            waiting_bytes: 0,
            waiting_since_ms: None,
            waiting_receipts: 0,
            urgent: false,
            closed: Vec::new(),
            in_flight: None,
            tickets: 0,
            written_upto: upto,
            frames: 0,
            durable_frames: 0,
            ended: false,
        }
    }

    fn header(&self, now: Now, track: Option<TrackInfo>, index: u32, first_seq: u64) -> SegmentHeader {
        let clock_rate = track.as_ref().map_or(0, |info| info.codec.kind().clock_rate());
        SegmentHeader {
            track,
            index,
            first_seq,
            clock_rate,
            started_at: now.wall,
            monotonic_ms: now.mono_ms,
            ..self.head.clone()
        }
    }

    /// A segment found on disk: numbers go on after it. `open` if it still has to be closed.
    pub(super) fn found(&mut self, now: Now, track: u32, index: u32, writer: SegmentWriter, open: Found) {
        let after = self.next_index.entry(track).or_insert((1, 0));
        *after = (after.0.max(index + 1), after.1.max(writer.next_seq()));
        self.frames += writer.frames();
        self.durable_frames += writer.frames();
        if open == Found::Unsealed {
            self.close_segment(now, track, writer);
        }
    }

    fn dirty(&mut self, now: Now, bytes: usize) {
        self.waiting_bytes += bytes;
        self.waiting_since_ms.get_or_insert(now.mono_ms);
    }

    fn put(&mut self, now: Now, file: FileId, bytes: Vec<u8>) {
        self.dirty(now, bytes.len());
        self.waiting.entry(file).or_default().extend(bytes);
    }

    fn put_events(&mut self, now: Now, bytes: Vec<u8>) {
        self.dirty(now, bytes.len());
        self.waiting_events.extend(bytes);
    }

    pub(super) fn event(&mut self, now: Now, event: ArchiveEvent) {
        self.event_record(now, &Record::Event(Box::new(event)));
    }

    pub(super) fn gap(&mut self, now: Now, gap: &Gap) {
        self.event_record(now, &Record::Gap(gap.clone()));
    }

    fn event_record(&mut self, now: Now, record: &Record<'_>) {
        let mut bytes = Vec::new();
        if let Some(events) = &mut self.events {
            events.push(now.wall.0 * 1000, record, &mut bytes);
        }
        self.put_events(now, bytes);
    }

    pub(super) fn epoch_key(&mut self, now: Now, key: &EpochKey, waiting: usize) {
        self.put(now, FileId::EpochKeys, key.to_cbor());
        self.waiting_receipts = waiting;
        // a receipt holds up everybody's epoch change: commit at once
        self.urgent = true;
    }

    /// Receipts given out no longer count.
    pub(super) fn receipts_given(&mut self, count: usize) {
        self.waiting_receipts = self.waiting_receipts.saturating_sub(count);
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.receipts = in_flight.receipts.saturating_sub(count);
        }
    }

    /// Adds a sender report to a track's segment.
    pub(super) fn track(&mut self, now: Now, info: &TrackInfo, record: &Record<'_>) {
        self.add(now, info, record, None);
    }

    /// Adds a frame, with the SHA-256 of its SFrame bytes if that is known.
    pub(super) fn frame(
        &mut self,
        now: Now,
        info: &TrackInfo,
        media: Media<'_>,
        (run, sha256): (FrameRun, Option<Digest>),
    ) {
        self.frames += 1;
        self.add(now, info, &Record::Media(media), Some((run, sha256)));
    }

    fn add(&mut self, now: Now, info: &TrackInfo, record: &Record<'_>, frame: Option<(FrameRun, Option<Digest>)>) {
        if !self.tracks.contains_key(&info.track) {
            let (index, first_seq) = self.next_index.get(&info.track).copied().unwrap_or((1, 0));
            let header = self.header(now, Some(info.clone()), index, first_seq);
            let (file, mut bytes) = (FileId::Track { track: info.track, index }, Vec::new());
            let writer = SegmentWriter::new(header, &mut bytes);
            self.put(now, file, bytes);
            let index = IndexWriter::new(file);
            self.tracks.insert(info.track, OpenSegment { writer, index, since_ms: now.mono_ms });
        }
        let open = self.tracks.get_mut(&info.track).expect("made above");
        let sha256 = frame.and_then(|(_, sha256)| sha256);
        let file = FileId::Track { track: info.track, index: open.writer.header().index };
        // straight into what the disk is given: one copy, and one write for all of a commit
        let bytes = self.waiting.entry(file).or_insert_with(|| Vec::with_capacity(self.room));
        let before = bytes.len();
        open.writer.push_with(now.wall.0 * 1000, record, sha256.as_ref(), bytes);
        let grown = bytes.len() - before;
        frame.into_iter().for_each(|(run, _)| open.index.frame(run));
        let (entry, full) = (open.index.due(&mut open.writer), open.writer.size() >= SEGMENT_BYTES);
        self.waiting_indexes.extend(entry.map(|entry| (file, entry)));
        self.dirty(now, grown);
        if full {
            self.close_track(now, info.track);
        }
    }

    pub(super) fn close_track(&mut self, now: Now, track: u32) {
        if let Some(open) = self.tracks.remove(&track) {
            self.close_segment(now, track, open.writer);
        }
    }

    fn close_segment(&mut self, now: Now, track: u32, writer: SegmentWriter) {
        let index = writer.header().index;
        let file = FileId::Track { track, index };
        let mut bytes = Vec::new();
        let first_seq = writer.header().first_seq;
        let manifest = writer.close(file.path(), now.wall, &mut bytes);
        self.next_index.insert(track, (index + 1, first_seq + manifest.records));
        self.put(now, file, bytes);
        self.closed.push(manifest);
    }

    pub(super) fn rotate_by_age(&mut self, now: Now) {
        let old: Vec<u32> = self
            .tracks
            .iter()
            .filter(|(_, open)| now.mono_ms.saturating_sub(open.since_ms) >= SEGMENT_MS)
            .map(|(track, _)| *track)
            .collect();
        for track in old {
            self.close_track(now, track);
        }
    }

    /// Ends every file.
    pub(super) fn close_all(&mut self, now: Now) {
        for track in self.tracks.keys().copied().collect::<Vec<_>>() {
            self.close_track(now, track);
        }
        self.ended = true;
        self.urgent = true;
    }

    /// The group commit that is due, if one is and none is on its way. `upto` asks every source how far it is: only when
    /// the answer counts, not for each packet.
    pub(super) fn poll_commit(&mut self, now: Now, upto: impl Fn() -> u64, summary: &mut Summary) -> Option<Batch> {
        let since = match self.waiting_since_ms {
            Some(since) => since,
            None if upto() > self.written_upto => *self.waiting_since_ms.insert(now.mono_ms),
            None => return None,
        };
        let due = self.urgent || self.waiting_bytes >= COMMIT_BYTES || now.mono_ms >= since + COMMIT_MS;
        if self.in_flight.is_some() || !due {
            return None;
        }
        let upto = upto();
        if upto > self.written_upto {
            self.written_upto = upto;
            let event = ArchiveEvent::Durable { seq: upto };
            summary.event(now.wall, &event);
            self.event(now, event);
        }
        if self.ended {
            self.close_events(now);
        }
        self.tickets += 1;
        self.in_flight = Some(InFlight {
            ticket: self.tickets,
            since_ms: now.mono_ms,
            upto: self.written_upto,
            frames: self.frames,
            receipts: self.waiting_receipts,
            sealed: std::mem::take(&mut self.closed),
        });
        (self.waiting_since_ms, self.waiting_bytes, self.urgent) = (None, 0, false);
        self.room = self.waiting.values().map(Vec::len).max().unwrap_or(0).min(MAX_ROOM);
        Some(Batch {
            ticket: self.tickets,
            writes: std::mem::take(&mut self.waiting).into_iter().collect(),
            events: std::mem::take(&mut self.waiting_events),
            indexes: std::mem::take(&mut self.waiting_indexes),
        })
    }

    fn close_events(&mut self, now: Now) {
        if let Some(events) = self.events.take() {
            let mut bytes = Vec::new();
            self.closed.push(events.close(FileId::Events.path(), now.wall, &mut bytes));
            self.waiting_events.extend(bytes);
        }
    }

    pub(super) fn committed(&mut self, _now: Now, ticket: u64) -> Option<Done> {
        let done = self.in_flight.take_if(|in_flight| in_flight.ticket == ticket)?;
        self.durable_frames = done.frames;
        Some(Done { upto: done.upto, receipts: done.receipts, sealed: done.sealed })
    }

    /// Ticket of the group commit that will hold what is written now.
    pub(super) fn next_ticket(&self) -> u64 {
        self.tickets + 1
    }
    /// Nothing waits and nothing is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting_since_ms.is_none() && self.in_flight.is_none() && self.closed.is_empty()
    }
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }
    pub(super) fn durable_frames(&self) -> u64 {
        self.durable_frames
    }
    /// The disk keeps up.
    pub(super) fn is_prompt(&self, now: Now) -> bool {
        self.in_flight.as_ref().is_none_or(|one| now.mono_ms.saturating_sub(one.since_ms) < PROMPT_MS)
    }
    pub(super) fn poll_timeout(&self) -> Option<u64> {
        if self.in_flight.is_some() {
            return None;
        }
        let age = self.tracks.values().map(|open| open.since_ms + SEGMENT_MS).min();
        let commit = self.waiting_since_ms.map(|since| if self.urgent { since } else { since + COMMIT_MS });
        age.into_iter().chain(commit).min()
    }
}

/// State of a segment found on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Its signed manifest is there.
    Sealed,
    /// It has to be closed.
    Unsealed,
}

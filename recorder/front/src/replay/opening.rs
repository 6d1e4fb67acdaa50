//! Reads a verified meeting's segments, checks each against the signed manifest and opens its frames in memory: the events
//! once, the media of one person in one interval at a time. Blocking and bounded; writes nothing anywhere.

use crate::replay::marks::Marks;
use crate::replay::timeline::{Times, place};
use crate::review::meetings::Verified;
use domain::message::front::LaneEvent;
use domain::{Codec, Epoch, LeafIndex, ParticipantId, Slot, UnixMillis};
use evidence::archive::merkle::{Frontier, leaf_hash};
use evidence::archive::record::DISCONTINUITY;
use evidence::archive::{ArchiveEvent, Digest, Media, Record, SegmentEntry, SegmentReader};
use evidence::said::{Said, read_unverified};
use std::collections::{BTreeMap, HashMap, HashSet};
use zeroize::Zeroizing;

/// A frame that arrived this much outside the interval cannot belong to it.
pub const MARGIN_MS: u64 = 10_000;

/// Why a meeting is not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpeningError {
    /// The archive is not what was signed.
    #[error("{path} is not what the signed manifest says: {problem}")]
    Damaged {
        /// File in the meeting's folder.
        path: String,
        /// What differs.
        problem: String,
    },
    /// The environment's.
    #[error("{path} cannot be read: {cause}")]
    Unreadable {
        /// File in the meeting's folder.
        path: String,
        /// By the system.
        cause: String,
    },
    /// The keys that custody gave open nothing of this meeting.
    #[error("the opened meeting key does not open the keys of this meeting")]
    Keys,
}

/// What opens frames. Keys live in it and are wiped with it.
pub trait FrameKeys {
    /// Opens one frame: capture time of the sender and clear bytes; `None` if there is no key or it does not
    /// authenticate.
    fn open(&mut self, codec: Codec, media: &Media<'_>) -> Option<(u64, Zeroizing<Vec<u8>>)>;
    /// Reads a chat line; `None` as above.
    fn read(&self, from: &ParticipantId, said: &Said) -> Option<String>;
}

/// One clear frame on the meeting's time line.
pub struct Clear {
    /// Microseconds from the meeting's begin.
    pub pts_us: u64,
    /// Key frame?
    pub key_frame: bool,
    /// Frames before it are missing.
    pub lost_before: bool,
    /// Clear bytes.
    pub data: Zeroizing<Vec<u8>>,
}

/// One source of one participant, opened.
pub struct Source {
    /// Whose.
    pub participant: ParticipantId,
    /// First slot.
    pub slot: Slot,
    /// Codec.
    pub codec: Codec,
    /// In order of time.
    pub frames: Vec<Clear>,
}

/// One person's media in an interval, opened.
#[derive(Default)]
pub struct OpenMedia {
    /// Sources with frames in the interval.
    pub sources: Vec<Source>,
    /// Frames that the keys did not open.
    pub unopened: u64,
}

/// What the event segments tell.
pub struct Story {
    /// Whose leaf is whose.
    pub leaves: Leaves,
    /// Joins, leaves, epochs, incidents, gaps.
    pub events: Vec<LaneEvent>,
    /// What was said, sealed.
    pub said: Vec<Kept>,
}

/// A chat line, or what announced a file, as it is kept: sealed, at the recorder's time.
pub struct Kept {
    /// SHA-256 of the signed object.
    pub file: Digest,
    /// Microseconds since 1970.
    pub at_us: u64,
    /// Whose.
    pub from: ParticipantId,
    /// What. The recorder judged its signature before it was kept, and the record key's covers that.
    pub said: Said,
}

/// What of a meeting is opened, ms from its begin.
#[derive(Debug, Clone, Copy)]
pub struct Interval {
    /// Begin.
    pub from_ms: u64,
    /// End.
    pub to_ms: u64,
}

struct Raw {
    times: Times,
    key_frame: bool,
    lost_before: bool,
    data: Zeroizing<Vec<u8>>,
}

/// Reads the events of the whole meeting.
///
/// # Errors
/// [`OpeningError`]: nothing of a damaged file is shown, it is named.
pub fn story(meeting: &Verified) -> Result<Story, OpeningError> {
    let (mut leaves, mut marks, mut said) = (Leaves::default(), Marks::new(&meeting.manifest), Vec::new());
    for segment in meeting.manifest.segments.iter().filter(|segment| segment.track == 0) {
        walk(segment, &read(meeting, segment)?, |at_us, record| {
            if let Record::Event(event) = record {
                leaves.learn(&event);
                marks.add(at_us, &event);
                said.extend(kept(at_us, &event));
            }
        })?;
    }
    Ok(Story { leaves, events: marks.finish(), said })
}

fn kept(at_us: u64, event: &ArchiveEvent) -> Option<Kept> {
    let ArchiveEvent::Said { participant, said } = event else { return None };
    let file = evidence::archive::sha256(said);
    Some(Kept { file, at_us, from: participant.clone(), said: read_unverified(said)? })
}

/// Chunks of a file, sealed, in order.
///
/// # Errors
/// [`OpeningError`]: nothing of a damaged file is given, it is named.
pub fn file(meeting: &Verified, wanted: &Digest) -> Result<Vec<Vec<u8>>, OpeningError> {
    let mut parts = Vec::new();
    for segment in meeting.manifest.segments.iter().filter(|segment| segment.track == 0) {
        walk(segment, &read(meeting, segment)?, |_, record| {
            if let Record::Event(event) = record
                && let ArchiveEvent::FilePart { file, index, part } = *event
                && file == *wanted
                && index as usize == parts.len()
            {
                parts.push(part);
            }
        })?;
    }
    Ok(parts)
}

/// Opens one person's frames of `interval` out of these segments.
///
/// # Errors
/// [`OpeningError`]: nothing of a damaged segment is shown, it is named.
pub fn media(
    meeting: &Verified,
    segments: &[&SegmentEntry],
    leaves: &Leaves,
    interval: Interval,
    keys: &mut dyn FrameKeys,
) -> Result<OpenMedia, OpeningError> {
    let manifest = &meeting.manifest;
    let mut raw: BTreeMap<(ParticipantId, Slot, Codec), Vec<Raw>> = BTreeMap::new();
    let (mut seen, mut unopened) = (HashSet::new(), 0);
    for segment in segments {
        let Some(track) = manifest.tracks.iter().find(|track| track.track == segment.track) else { continue };
        let frames = raw.entry((track.participant.clone(), track.slot, track.codec)).or_default();
        walk(segment, &read(meeting, segment)?, |_, record| {
            let Record::Media(media) = record else { return };
            if !within(&media, manifest.started_at, interval) || !is_new(&mut seen, &media) {
                return;
            }
            let opens = leaves.allow(&media, &track.participant).then(|| keys.open(track.codec, &media)).flatten();
            match opens {
                Some((capture_us, data)) => frames.push(Raw {
                    times: Times { capture_us, sfu_us: media.sfu_us },
                    key_frame: track.codec == Codec::Opus || media.flags & evidence::archive::record::KEY_FRAME != 0,
                    lost_before: media.flags & DISCONTINUITY != 0,
                    data,
                }),
                None => unopened += 1,
            }
        })?;
    }
    Ok(OpenMedia { sources: align(raw, manifest.started_at, interval), unopened })
}

/// Whose leaf is whose, from the rosters in the event segment (which stands first in every manifest).
#[derive(Default)]
pub struct Leaves(HashMap<(Epoch, LeafIndex), ParticipantId>);

impl Leaves {
    fn learn(&mut self, event: &ArchiveEvent) {
        if let ArchiveEvent::Epoch { epoch, members, .. } = event {
            self.0.extend(members.iter().map(|member| ((*epoch, member.leaf), member.participant.clone())));
        }
    }
    /// A frame on one person's track that was sealed by another's leaf is not shown as the first one's.
    fn allow(&self, media: &Media<'_>, track_of: &ParticipantId) -> bool {
        let leaf = domain::sframe::header(media.sframe).map(|header| header.kid.leaf());
        leaf.is_ok_and(|leaf| self.0.get(&(media.epoch, leaf)).is_none_or(|whose| whose == track_of))
    }
}

/// When a segment began, by its own head: a hint where to look, proven only when the whole segment is walked.
pub fn began(meeting: &Verified, segment: &SegmentEntry) -> Option<UnixMillis> {
    use std::io::Read;
    let mut head = Vec::new();
    let most = evidence::archive::record::MAX_HEADER as u64 + 64;
    let file = std::fs::File::open(meeting.folder.join(plain(segment)?)).ok()?;
    file.take(most).read_to_end(&mut head).ok()?;
    SegmentReader::new(&head).ok().map(|(header, _)| header.started_at)
}

/// The segment's path, if it stays inside the meeting's folder.
fn plain(segment: &SegmentEntry) -> Option<&std::path::Path> {
    let path = std::path::Path::new(&segment.path);
    path.components().all(|part| matches!(part, std::path::Component::Normal(_))).then_some(path)
}

/// Tracks of old meetings may be in the stores alone: the recorder says so in the folder.
fn where_it_is(meeting: &Verified, error: &std::io::Error) -> String {
    let away = error.kind() == std::io::ErrorKind::NotFound && meeting.folder.join("stores.json").is_file();
    if !away {
        return error.to_string();
    }
    format!(
        "it is in the stores alone; an operator brings it back: strongroom-recorder restore --meeting {}",
        meeting.manifest.meeting
    )
}

fn read(meeting: &Verified, segment: &SegmentEntry) -> Result<Vec<u8>, OpeningError> {
    let damaged = |problem: &str| OpeningError::Damaged { path: segment.path.clone(), problem: problem.to_owned() };
    let path = plain(segment).ok_or_else(|| damaged("its path leads out of the meeting's folder"))?;
    let bytes = std::fs::read(meeting.folder.join(path))
        .map_err(|e| OpeningError::Unreadable { path: segment.path.clone(), cause: where_it_is(meeting, &e) })?;
    if bytes.len() as u64 == segment.size { Ok(bytes) } else { Err(damaged("its size differs")) }
}

/// Gives every record to `each`, then compares the Merkle root with the signed one.
fn walk(segment: &SegmentEntry, bytes: &[u8], mut each: impl FnMut(u64, Record<'_>)) -> Result<(), OpeningError> {
    let damaged = |problem: String| OpeningError::Damaged { path: segment.path.clone(), problem };
    let (header, mut reader) = SegmentReader::new(bytes).map_err(|e| damaged(e.to_string()))?;
    if header.track.as_ref().map_or(0, |track| track.track) != segment.track || header.index != segment.index {
        return Err(damaged("it is another segment".to_owned()));
    }
    let mut tree = Frontier::default();
    tree.push(leaf_hash(&bytes[..reader.good() as usize]));
    while let Some(placed) = reader.next_record().map_err(|e| damaged(e.to_string()))? {
        tree.push(placed.leaf());
        each(placed.at_us, placed.record);
    }
    if tree.root() == segment.root { Ok(()) } else { Err(damaged("its Merkle root differs".to_owned())) }
}

fn within(media: &Media<'_>, started_at: UnixMillis, interval: Interval) -> bool {
    let at_ms = (media.sfu_us / 1000).saturating_sub(started_at.0);
    at_ms.saturating_add(MARGIN_MS) >= interval.from_ms && at_ms <= interval.to_ms.saturating_add(MARGIN_MS)
}

/// A frame kept by two incarnations of the recorder is one frame.
fn is_new(seen: &mut HashSet<(Epoch, u64, u64)>, media: &Media<'_>) -> bool {
    domain::sframe::header(media.sframe).is_ok_and(|header| seen.insert((media.epoch, header.kid.0, header.ctr.0)))
}

/// One clock per participant: all sources of one sender are placed together.
fn align(
    raw: BTreeMap<(ParticipantId, Slot, Codec), Vec<Raw>>,
    started_at: UnixMillis,
    interval: Interval,
) -> Vec<Source> {
    let begin_us = started_at.0.saturating_mul(1000);
    let mut by_person: BTreeMap<ParticipantId, Vec<(Slot, Codec, Vec<Raw>)>> = BTreeMap::new();
    for ((participant, slot, codec), frames) in raw {
        by_person.entry(participant).or_default().push((slot, codec, frames));
    }
    let mut sources = Vec::new();
    for (participant, of_person) in by_person {
        let times: Vec<Times> =
            of_person.iter().flat_map(|(_, _, frames)| frames.iter().map(|frame| frame.times)).collect();
        let mut placed = place(&times).into_iter();
        for (slot, codec, frames) in of_person {
            let mut clear: Vec<Clear> = frames
                .into_iter()
                .map(|frame| Clear {
                    pts_us: placed.next().expect("one place per frame").saturating_sub(begin_us),
                    key_frame: frame.key_frame,
                    lost_before: frame.lost_before,
                    data: frame.data,
                })
                .filter(|frame| (interval.from_ms..=interval.to_ms).contains(&(frame.pts_us / 1000)))
                .collect();
            clear.sort_by_key(|frame| frame.pts_us);
            if !clear.is_empty() {
                sources.push(Source { participant: participant.clone(), slot, codec, frames: clear });
            }
        }
    }
    sources
}

/// Does a file hash to what the manifest says?
pub fn fits(bytes: &[u8], expected: &Digest) -> bool {
    evidence::archive::sha256(bytes) == *expected
}

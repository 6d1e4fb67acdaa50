//! Reads a verified meeting's segments, checks each against the signed manifest and opens its frames in memory: the events
//! once, the media of one person in one interval at a time. Blocking and bounded; writes nothing anywhere.

use crate::replay::marks::Told;
use crate::replay::stitch::stitch;
use crate::replay::timeline::{Times, place};
use crate::review::copies::{Copies, Holes, touches};
use crate::review::meetings::Verified;
use domain::message::front::LaneEvent;
use domain::{Codec, Epoch, Kid, LeafIndex, MediaKind, ParticipantId, Slot, UnixMillis};
use evidence::archive::merkle::{Frontier, leaf_hash};
use evidence::archive::record::DISCONTINUITY;
use evidence::archive::{ArchiveEvent, Digest, Media, Record, SegmentEntry, SegmentManifest, SegmentReader};
use evidence::said::{Said, read_unverified};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
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

/// A segment to be read, and what of it is wanted.
pub struct Piece<'a> {
    /// Of which copy.
    pub copy: usize,
    /// Which.
    pub segment: &'a SegmentEntry,
    /// Only frames that arrived in these, ms from the begin; `None`: all.
    pub holes: Option<Arc<Holes>>,
}

/// A frame before it has its place.
pub(super) struct Raw {
    pub times: Times,
    pub key_frame: bool,
    pub lost_before: bool,
    pub data: Zeroizing<Vec<u8>>,
    /// Whose copy it is from.
    pub copy: usize,
    /// Epoch, key id and counter: the frame's name.
    pub name: (Epoch, Kid, u64),
}

/// Reads the events of the whole meeting, of both copies where there are two: what both tell is told once.
///
/// # Errors
/// [`OpeningError`]: nothing of a damaged file is shown, it is named.
pub fn story(copies: &Copies) -> Result<Story, OpeningError> {
    let (mut leaves, mut told, mut said) = (Leaves::default(), Told::default(), Vec::new());
    let mut seen = HashSet::new();
    for (copy, meeting) in copies.all().iter().enumerate() {
        for segment in meeting.manifest.segments.iter().filter(|segment| segment.track == 0) {
            walk(meeting, segment, &read(meeting, segment)?, |at_us, record| {
                if let Record::Event(event) = record {
                    leaves.learn(&event);
                    said.extend(kept(at_us, &event).filter(|kept| seen.insert(kept.file)));
                    told.take(copy, at_us, *event);
                }
            })?;
        }
    }
    if copies.second().is_some() {
        said.sort_by_key(|kept: &Kept| kept.at_us);
    }
    Ok(Story { leaves, events: told.marks(copies), said })
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
        walk(meeting, segment, &read(meeting, segment)?, |_, record| {
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

/// Opens one person's frames of `interval` out of these segments; the first copy's stand first, and a frame that both have is
/// the first one's.
///
/// # Errors
/// [`OpeningError`]: nothing of a damaged segment is shown, it is named.
pub fn media(
    copies: &Copies,
    pieces: &[Piece<'_>],
    leaves: &Leaves,
    interval: Interval,
    keys: &mut dyn FrameKeys,
) -> Result<OpenMedia, OpeningError> {
    let started_at = copies.manifest.started_at;
    let mut raw: BTreeMap<(ParticipantId, Slot, Codec), Vec<Raw>> = BTreeMap::new();
    let (mut seen, mut unopened) = (HashSet::new(), 0);
    for Piece { copy, segment, holes } in pieces {
        let meeting = &copies.all()[*copy];
        let Some(track) = meeting.manifest.tracks.iter().find(|track| track.track == segment.track) else { continue };
        let frames = raw.entry((track.participant.clone(), copies.slot_of(track), track.codec)).or_default();
        walk(meeting, segment, &read(meeting, segment)?, |_, record| {
            let Record::Media(media) = record else { return };
            let at_ms = (media.sfu_us / 1000).saturating_sub(started_at.0);
            let is_wanted = within(at_ms, interval) && holes.as_ref().is_none_or(|holes| touches(holes, at_ms, at_ms));
            let Some(name) = name_of(&media).filter(|name| is_wanted && seen.insert(*name)) else { return };
            let opens = leaves.allow(&media, &track.participant).then(|| keys.open(track.codec, &media)).flatten();
            match opens {
                Some((capture_us, data)) => frames.push(Raw {
                    times: Times { capture_us, sfu_us: media.sfu_us },
                    key_frame: track.codec == Codec::Opus || media.flags & evidence::archive::record::KEY_FRAME != 0,
                    lost_before: media.flags & DISCONTINUITY != 0,
                    data,
                    copy: *copy,
                    name,
                }),
                None => unopened += 1,
            }
        })?;
    }
    for ((_, slot, _), frames) in &mut raw {
        if slot.kind() == Some(MediaKind::Video) && frames.iter().any(|frame| frame.copy > 0) {
            stitch(frames);
        }
    }
    Ok(OpenMedia { sources: align(raw, started_at, interval), unopened })
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

/// When a segment began, by its own head: a hint where to look, proven only when the whole segment is walked. Of one that is
/// in the stores alone, when the one before it was closed: nothing is fetched for a hint.
pub fn began(meeting: &Verified, segment: &SegmentEntry) -> Option<UnixMillis> {
    use std::io::Read;
    if meeting.is_away(segment) {
        let of_track = |one: &&SegmentEntry| one.track == segment.track && one.index + 1 == segment.index;
        let before = meeting.manifest.segments.iter().find(of_track)?;
        let signed = std::fs::read(meeting.folder.join(&before.manifest)).ok()?;
        let payload = evidence::cose::payload_unverified(&signed)?;
        return SegmentManifest::from_cbor(&payload).map(|manifest| manifest.closed_at);
    }
    let mut head = Vec::new();
    let most = evidence::archive::record::MAX_HEADER as u64 + 64;
    let file = std::fs::File::open(meeting.path(segment)?).ok()?;
    file.take(most).read_to_end(&mut head).ok()?;
    SegmentReader::new(&head).ok().map(|(header, _)| header.started_at)
}

fn read(meeting: &Verified, segment: &SegmentEntry) -> Result<Vec<u8>, OpeningError> {
    let bytes = meeting
        .bytes(segment)
        .map_err(|cause| OpeningError::Unreadable { path: meeting.called(&segment.path), cause })?;
    let problem = "its size differs".to_owned();
    let is_whole = bytes.len() as u64 == segment.size;
    if is_whole { Ok(bytes) } else { Err(OpeningError::Damaged { path: meeting.called(&segment.path), problem }) }
}

/// Gives every record to `each`, then compares the Merkle root with the signed one.
fn walk(
    meeting: &Verified,
    segment: &SegmentEntry,
    bytes: &[u8],
    mut each: impl FnMut(u64, Record<'_>),
) -> Result<(), OpeningError> {
    let damaged = |problem: String| OpeningError::Damaged { path: meeting.called(&segment.path), problem };
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

fn within(at_ms: u64, interval: Interval) -> bool {
    at_ms.saturating_add(MARGIN_MS) >= interval.from_ms && at_ms <= interval.to_ms.saturating_add(MARGIN_MS)
}

/// A frame kept by two incarnations of a recorder, or by two recorders, is one frame; what is no SFrame is none.
fn name_of(media: &Media<'_>) -> Option<(Epoch, Kid, u64)> {
    domain::sframe::header(media.sframe).ok().map(|header| (media.epoch, header.kid, header.ctr.0))
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

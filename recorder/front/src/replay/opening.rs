//! Reads a verified meeting's segments, checks each against the signed manifest and opens its frames in memory. Blocking
//! and bounded; writes nothing anywhere.

use crate::replay::marks::Marks;
use crate::replay::timeline::{Times, place};
use crate::review::meetings::Verified;
use domain::message::front::LaneEvent;
use domain::{Codec, Epoch, LeafIndex, ParticipantId, Slot, UnixMillis};
use evidence::archive::merkle::{Frontier, leaf_hash};
use evidence::archive::record::DISCONTINUITY;
use evidence::archive::{ArchiveEvent, Digest, Media, MeetingManifest, Record, SegmentEntry, SegmentReader};
use std::collections::{BTreeMap, HashMap, HashSet};
use zeroize::Zeroizing;

/// Ciphertext opened for one grant at most: it is held in memory twice for a moment. About one hour of 720p of three
/// people; a longer meeting is replayed by intervals.
pub const MAX_OPEN_BYTES: u64 = 2 << 30;
/// What a second of one lane takes that nobody fills with frames of the own: 50 packets of silence with their heads and
/// places, and half a black picture.
const FILL_PER_S: u64 = 8 * 1024;
/// A frame that arrived this much outside the interval cannot belong to it.
const MARGIN_MS: u64 = 10_000;

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
    /// Too much for memory.
    #[error("the interval holds {gib} GiB and a replay at most 2; ask for a shorter interval")]
    TooLarge {
        /// Of ciphertext.
        gib: u64,
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

/// A whole meeting, opened.
pub struct OpenMeeting {
    /// Sources with frames in the interval.
    pub sources: Vec<Source>,
    /// Joins, leaves, epochs, incidents.
    pub events: Vec<LaneEvent>,
    /// Frames that the keys did not open.
    pub unopened: u64,
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

/// Memory that opening `interval` takes at most: ciphertext and clear form together, and what fills the lanes' holes.
///
/// # Errors
/// [`OpeningError::TooLarge`].
pub fn needs(manifest: &MeetingManifest, interval: Interval) -> Result<u64, OpeningError> {
    let total = segments_of(manifest, interval).iter().fold(0u64, |sum, segment| sum.saturating_add(segment.size));
    if total > MAX_OPEN_BYTES {
        return Err(OpeningError::TooLarge { gib: total.div_ceil(1 << 30) });
    }
    let people: HashSet<_> =
        manifest.tracks.iter().map(|track| (&track.participant, track.slot >= Slot::SCREEN)).collect();
    let length_s = manifest.ended_at.since(manifest.started_at) / 1000 + 1;
    let fill = (people.len() as u64).saturating_mul(length_s).saturating_mul(FILL_PER_S);
    Ok(total.saturating_mul(2).saturating_add(fill))
}

/// Opens the frames of `interval`; the caller holds what [`needs`] said.
///
/// # Errors
/// [`OpeningError`]: nothing of a damaged meeting is shown, its first wrong file is named.
pub fn open(meeting: &Verified, interval: Interval, keys: &mut dyn FrameKeys) -> Result<OpenMeeting, OpeningError> {
    let manifest = &meeting.manifest;
    // an interval is what an officer asked for; what is shown ends with the meeting, or a far end would be filled with black
    let length_ms = manifest.ended_at.since(manifest.started_at);
    let interval = Interval { to_ms: interval.to_ms.min(length_ms.saturating_add(MARGIN_MS)), ..interval };
    let needed = segments_of(manifest, interval);
    let mut opened = OpenMeeting { sources: Vec::new(), events: Vec::new(), unopened: 0 };
    let mut raw: BTreeMap<(ParticipantId, Slot, Codec), Vec<Raw>> = BTreeMap::new();
    let mut seen = HashSet::new();
    let (mut leaves, mut marks) = (Leaves::default(), Marks::new(manifest));
    for segment in needed {
        let bytes = read(meeting, segment)?;
        let track = manifest.tracks.iter().find(|track| track.track == segment.track);
        walk(segment, &bytes, |at_us, record| match (record, track) {
            (Record::Media(media), Some(track)) => {
                if !within(&media, manifest.started_at, interval) || !is_new(&mut seen, &media) {
                    return;
                }
                let opens = leaves.allow(&media, &track.participant).then(|| keys.open(track.codec, &media)).flatten();
                match opens {
                    Some((capture_us, data)) => {
                        raw.entry((track.participant.clone(), track.slot, track.codec)).or_default().push(Raw {
                            times: Times { capture_us, sfu_us: media.sfu_us },
                            key_frame: track.codec == Codec::Opus
                                || media.flags & evidence::archive::record::KEY_FRAME != 0,
                            lost_before: media.flags & DISCONTINUITY != 0,
                            data,
                        });
                    }
                    None => opened.unopened += 1,
                }
            }
            (Record::Event(event), _) => {
                leaves.learn(&event);
                marks.add(at_us, &event);
            }
            _ => {}
        })?;
    }
    opened.events = marks.finish();
    opened.sources = align(raw, manifest.started_at, interval);
    Ok(opened)
}

/// Whose leaf is whose, from the rosters in the event segment (which stands first in every manifest).
#[derive(Default)]
struct Leaves(HashMap<(Epoch, LeafIndex), ParticipantId>);

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

/// Event segments always; media segments of tracks that have frames in the interval.
fn segments_of(manifest: &MeetingManifest, interval: Interval) -> Vec<&SegmentEntry> {
    let from_us = manifest.started_at.plus(interval.from_ms.saturating_sub(MARGIN_MS)).0.saturating_mul(1000);
    let to_us = manifest.started_at.plus(interval.to_ms.saturating_add(MARGIN_MS)).0.saturating_mul(1000);
    let wanted = |segment: &SegmentEntry| {
        let track = manifest.tracks.iter().find(|track| track.track == segment.track);
        segment.track == 0 || track.is_some_and(|track| track.last_us >= from_us && track.first_us <= to_us)
    };
    manifest.segments.iter().filter(|segment| wanted(segment)).collect()
}

fn read(meeting: &Verified, segment: &SegmentEntry) -> Result<Vec<u8>, OpeningError> {
    let plain =
        std::path::Path::new(&segment.path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let damaged = |problem: &str| OpeningError::Damaged { path: segment.path.clone(), problem: problem.to_owned() };
    if !plain {
        return Err(damaged("its path leads out of the meeting's folder"));
    }
    let bytes = std::fs::read(meeting.folder.join(&segment.path))
        .map_err(|e| OpeningError::Unreadable { path: segment.path.clone(), cause: e.to_string() })?;
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
        tree.push(placed.leaf);
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

//! What an opened meeting consists of before anything of it is opened: lanes, marks, parts, and which segments may hold
//! frames of which part. No key, no clear frame.

use crate::replay::files::{MAX_FILES, Sent};
use crate::replay::lanes::{self, LaneHead};
use crate::replay::marks::{self, MAX_MARKS};
use crate::replay::opening::{self, Interval, Kept, Leaves, MARGIN_MS, OpeningError, Piece};
use crate::review::copies::{Copies, Holes, touches};
use domain::ParticipantId;
use domain::message::front::LaneEvent;
use e2ee::file::Card;
use evidence::said::What;
use std::sync::Arc;

/// Length of a part: opened in well under the two seconds in which a replay begins, long enough that its whole segments
/// (five minutes at most) are not read too often.
pub const PART_MS: u64 = 120_000;
/// A part's file begins so much before what it shows, so that its picture has a key frame: the recorder asks for one at
/// the latest 10 s after the last.
pub const LEAD_MS: u64 = 12_000;
/// What a second of one lane takes that nobody fills with frames of the own: 50 packets of silence with their heads and
/// places, and half a black picture.
const FILL_PER_S: u64 = 8 * 1024;

/// One part on the meeting's time line, ms from its begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Where its file begins.
    pub begin_ms: u64,
    /// From here on it is shown.
    pub from_ms: u64,
    /// Up to here.
    pub to_ms: u64,
}

/// A segment and when it may have frames, ms from the begin.
struct Timed {
    copy: usize,
    at: usize,
    /// Of the second copy: only what the first lacks is taken of it.
    holes: Option<Arc<Holes>>,
    from_ms: u64,
    to_ms: u64,
}

/// A meeting that can be opened.
pub struct Plan {
    /// Which: one copy, or two that are shown as one.
    pub copies: Arc<Copies>,
    /// Whose leaf is whose.
    pub leaves: Leaves,
    /// Its lanes.
    pub lanes: Vec<LaneHead>,
    /// Marks on the time line.
    pub events: Vec<LaneEvent>,
    /// What was said, sealed.
    pub said: Vec<Kept>,
    /// Files sent in the interval.
    pub files: Vec<Sent>,
    /// Its parts; there is always one.
    pub spans: Vec<Span>,
    segments: Vec<Timed>,
}

/// The parts of an interval; nothing before it is in any.
fn spans(interval: Interval) -> Vec<Span> {
    let length = interval.to_ms.saturating_sub(interval.from_ms).max(1);
    let of = |n: u64| {
        let from_ms = interval.from_ms + n * PART_MS;
        Span {
            begin_ms: from_ms.saturating_sub(LEAD_MS).max(interval.from_ms),
            from_ms,
            to_ms: interval.to_ms.min(from_ms + PART_MS).max(from_ms + 1),
        }
    };
    (0..length.div_ceil(PART_MS)).map(of).collect()
}

impl Plan {
    /// Reads the events and where the segments lie. Blocking.
    ///
    /// # Errors
    /// [`OpeningError`].
    pub fn new(copies: Arc<Copies>, interval: Interval) -> Result<Self, OpeningError> {
        let manifest = &copies.manifest;
        let story = opening::story(&copies)?;
        let last = manifest.tracks.iter().map(|track| lanes::times(manifest, track).1).max().unwrap_or(0);
        let length_ms = manifest.ended_at.since(manifest.started_at);
        // what is asked for may reach further than there is anything; but the last frame of a recorder whose clock is ahead
        // of signaling's is still shown
        let end_ms = length_ms.max((last + 1).min(length_ms.saturating_add(MARGIN_MS)));
        let to_ms = if interval.to_ms >= length_ms { end_ms } else { interval.to_ms };
        let interval = Interval { from_ms: interval.from_ms.min(to_ms), to_ms };
        let (heads, unshown) = lanes::heads(manifest, interval.from_ms, interval.to_ms);
        let mut events = story.events;
        events.extend(unshown);
        events.sort_by_key(|event| event.at_ms);
        let segments = (0..copies.all().len()).flat_map(|copy| timed(&copies, copy)).collect();
        Ok(Self {
            leaves: story.leaves,
            said: story.said,
            files: Vec::new(),
            lanes: heads,
            events,
            spans: spans(interval),
            segments,
            copies,
        })
    }

    /// Puts what was said in the interval among the marks, as `open` reads it, and lists files, as `card` reads them.
    pub fn read(&mut self, open: impl Fn(&Kept) -> Option<String>, card: impl Fn(&Kept) -> Option<Card>) {
        let manifest = &self.copies.manifest;
        let (from_ms, to_ms) = (self.spans[0].from_ms, self.spans[self.spans.len() - 1].to_ms);
        let at_ms = |kept: &Kept| (kept.at_us / 1000).saturating_sub(manifest.started_at.0);
        let all = std::mem::take(&mut self.said);
        let inside = || all.iter().filter(|kept| (from_ms..=to_ms).contains(&at_ms(kept)));
        for kept in inside().filter(|kept| matches!(kept.said.what, What::Text { .. })).take(MAX_MARKS) {
            self.events.push(marks::chat(manifest, at_ms(kept), &kept.from, open(kept)));
        }
        let sent = inside().filter_map(|kept| Sent::new(&self.copies, kept, at_ms(kept), card(kept).as_ref()));
        self.files = sent.take(MAX_FILES).collect();
        self.events.sort_by_key(|event| event.at_ms);
    }

    /// Memory that opening a part takes at most: ciphertext and clear form together, and what fills the lanes' holes.
    pub fn needs(&self, part: usize) -> u64 {
        let Some(span) = self.spans.get(part) else { return 0 };
        let interval = Interval { from_ms: span.begin_ms, to_ms: span.to_ms };
        let sizes = self.pieces(interval).map(|piece| piece.segment.size).fold(0, u64::saturating_add);
        let fill = (self.lanes.len() as u64).saturating_mul((span.to_ms - span.begin_ms) / 1000 + 1);
        sizes.saturating_mul(2).saturating_add(fill.saturating_mul(FILL_PER_S))
    }

    /// Segments that may have frames of an interval, the first copy's first; of the second copy where the first has a hole.
    pub fn pieces(&self, interval: Interval) -> impl Iterator<Item = Piece<'_>> {
        let (from_ms, to_ms) = (interval.from_ms.saturating_sub(MARGIN_MS), interval.to_ms.saturating_add(MARGIN_MS));
        let near = move |one: &&Timed| {
            let is_there = one.to_ms >= from_ms && one.from_ms <= to_ms;
            is_there && one.holes.as_ref().is_none_or(|holes| touches(holes, from_ms, to_ms))
        };
        let piece = move |one: &Timed| {
            let segment = &self.copies.all()[one.copy].manifest.segments[one.at];
            Piece { copy: one.copy, segment, holes: one.holes.clone() }
        };
        self.segments.iter().filter(near).map(piece)
    }

    /// Those of one person.
    pub fn pieces_of(&self, whose: &ParticipantId, interval: Interval) -> impl Iterator<Item = Piece<'_>> {
        let of_person = move |piece: &Piece<'_>| {
            let tracks = &self.copies.all()[piece.copy].manifest.tracks;
            tracks.iter().any(|track| track.track == piece.segment.track && track.participant == *whose)
        };
        self.pieces(interval).filter(of_person)
    }
}

/// When each media segment of a copy may have frames: from its own begin to the next one's of its track.
fn timed(copies: &Copies, copy: usize) -> Vec<Timed> {
    let (meeting, begin) = (&copies.all()[copy], copies.manifest.started_at);
    let manifest = &meeting.manifest;
    let mut all: Vec<Timed> = Vec::new();
    let mut holes: Option<Arc<Holes>> = None;
    for (at, segment) in manifest.segments.iter().enumerate() {
        let Some(track) = manifest.tracks.iter().find(|track| track.track == segment.track) else { continue };
        let (first, last) = lanes::times_from(begin, track);
        // a head that cannot be read is looked into at every place, so that what is wrong with it is said
        let began = opening::began(meeting, segment).map_or(0, |began| began.since(begin));
        let from_ms = if segment.index <= 1 { began.min(first) } else { began };
        match all.last_mut().filter(|one| manifest.segments[one.at].track == segment.track) {
            Some(before) => before.to_ms = from_ms.max(before.from_ms),
            None => holes = (copy > 0).then(|| Arc::new(copies.holes(&track.participant, track.slot))),
        }
        all.push(Timed { copy, at, holes: holes.clone(), from_ms, to_ms: last });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_interval_without_a_hole_and_nothing_before_it() {
        let of = |from_ms, to_ms| spans(Interval { from_ms, to_ms });
        assert_eq!(of(0, 6_000), [Span { begin_ms: 0, from_ms: 0, to_ms: 6_000 }]);
        let long = of(0, 3_600_000);
        assert_eq!(long.len(), 30);
        assert!(long.windows(2).all(|two| two[0].to_ms == two[1].from_ms));
        assert!(long[1..].iter().all(|span| span.from_ms - span.begin_ms == LEAD_MS));
        let late = of(600_000, 900_000);
        assert_eq!((late[0].begin_ms, late[2].to_ms), (600_000, 900_000));
        assert_eq!(late[1].begin_ms, 720_000 - LEAD_MS);
    }
}

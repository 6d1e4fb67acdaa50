//! The copies of one meeting that the firm's recorders kept, as one (ADR-0016, ADR-0020): who was there in either, what was
//! sent in either, and what is missing in both. Pure; each copy stays what it is, and verifies by itself.

use crate::review::meetings::Verified;
use domain::{MediaKind, ParticipantId, Slot, UnixMillis};
use evidence::archive::manifest::Closed;
use evidence::archive::{Attendance, Gap, GapCause, MeetingManifest, TrackEntry};
use evidence::grant::{Named, Request};
use std::collections::HashMap;
use std::sync::Arc;

/// Clocks of two recorders of a firm are this close, or an incident says otherwise: gaps of both meet within it.
const SKEW_MS: u64 = 1_000;

/// One or two copies of a meeting.
pub struct Copies {
    all: Vec<Arc<Verified>>,
    /// What they tell together: of one copy, its own manifest. Segments and keys are those of the first.
    pub manifest: MeetingManifest,
}

/// What of a person's source is not in the first copy, ms from the begin, in order and apart from each other.
pub type Holes = Vec<(u64, u64)>;

impl Copies {
    /// Of one copy.
    pub fn one(copy: Arc<Verified>) -> Self {
        Self { manifest: copy.manifest.clone(), all: vec![copy] }
    }

    /// Of the first and the paired recorder's.
    pub fn two(first: Arc<Verified>, second: Arc<Verified>) -> Self {
        Self { manifest: joined(&first.manifest, &second.manifest), all: vec![first, second] }
    }

    /// What is shown where the other has nothing missing.
    pub fn first(&self) -> &Arc<Verified> {
        &self.all[0]
    }

    /// The other recorder's.
    pub fn second(&self) -> Option<&Arc<Verified>> {
        self.all.get(1)
    }

    /// All, the first one first.
    pub fn all(&self) -> &[Arc<Verified>] {
        &self.all
    }

    /// Those that a request names; `None`: one that it names is not here, or is another by now.
    pub fn named(&self, request: &Request) -> Option<Self> {
        let find = |which| self.all.iter().find(|copy| request.names(&copy.hash) == Some(which)).cloned();
        let first = find(Named::First)?;
        match request.paired {
            None => Some(Self::one(first)),
            // whichever is whole stays the first
            Some(_) => find(Named::Paired).map(|_| Self::two(self.all[0].clone(), self.all[1].clone())),
        }
    }

    /// Memory that reading the events takes: those of one copy at a time, with all files that were sent.
    pub fn events_size(&self) -> u64 {
        let of = |copy: &Arc<Verified>| {
            let events = copy.manifest.segments.iter().filter(|segment| segment.track == 0);
            events.map(|segment| segment.size).fold(0, u64::saturating_add)
        };
        self.all.iter().map(of).max().unwrap_or(0)
    }

    /// By which slot a track of any copy is known in both: two recorders may have met other layers of a source first.
    pub fn slot_of(&self, track: &TrackEntry) -> Slot {
        let same = |known: &&TrackEntry| {
            known.participant == track.participant && known.codec == track.codec && same_source(known.slot, track.slot)
        };
        let known = self.second().and_then(|_| self.manifest.tracks.iter().find(same));
        known.map_or(track.slot, |known| known.slot)
    }

    /// When the first recorder was not there, ms from the begin.
    pub fn first_away(&self) -> Holes {
        let manifest = &self.first().manifest;
        let ms = |at: UnixMillis| at.since(self.manifest.started_at);
        let (began, ended) = absences(manifest);
        let away = manifest.gaps.iter().filter(|gap| gap.participant.is_none());
        let mut all: Holes = away.map(|gap| (ms(gap.from), ms(gap.to))).collect();
        all.extend([(0, ms(began)), (ms(ended), u64::MAX)]);
        merged(all)
    }

    /// Where the first copy lacks frames of a person's source that the second may have: its gaps, and the time before its
    /// first frame and after its last, if the second has frames there.
    pub fn holes(&self, whose: &ParticipantId, slot: Slot) -> Holes {
        let Some(second) = self.second() else { return Holes::new() };
        let manifest = &self.first().manifest;
        let (here, there) = (kept(manifest, whose, slot), kept(&second.manifest, whose, slot));
        let Some((first_us, last_us)) = there else { return Holes::new() };
        let Some(own) = here else { return vec![(0, u64::MAX)] };
        let ms = |at: UnixMillis| at.since(self.manifest.started_at);
        let touches = |gap: &&Gap| {
            gap.participant.as_ref().is_none_or(|of| of == whose) && gap.slot.is_none_or(|of| same_source(of, slot))
        };
        let mut all: Holes = manifest.gaps.iter().filter(touches).map(|gap| (ms(gap.from), ms(gap.to))).collect();
        if first_us < own.0 {
            all.push((0, ms(UnixMillis(own.0 / 1000))));
        }
        if last_us > own.1 {
            all.push((ms(UnixMillis(own.1 / 1000)), u64::MAX));
        }
        let widened = all.into_iter().map(|(from, to)| (from.saturating_sub(SKEW_MS), to.saturating_add(SKEW_MS)));
        merged(widened.collect())
    }
}

/// First and last kept frame of a person's source, microseconds since 1970 by the SFU's clock.
fn kept(manifest: &MeetingManifest, whose: &ParticipantId, slot: Slot) -> Option<(u64, u64)> {
    let of = |one: &&TrackEntry| one.frames > 0 && one.participant == *whose && same_source(one.slot, slot);
    let tracks = || manifest.tracks.iter().filter(of);
    Some((tracks().map(|one| one.first_us).min()?, tracks().map(|one| one.last_us).max()?))
}

fn merged(mut all: Holes) -> Holes {
    all.sort_unstable();
    let mut out: Holes = Vec::new();
    for (from, to) in all {
        match out.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

/// Does a moment, or an interval, lie in a hole?
pub fn touches(holes: &[(u64, u64)], from_ms: u64, to_ms: u64) -> bool {
    let at = holes.partition_point(|(_, to)| *to < from_ms);
    holes.get(at).is_some_and(|(from, _)| *from <= to_ms)
}

/// Layers of one source: a camera, a screen, a microphone.
pub fn same_source(a: Slot, b: Slot) -> bool {
    let source =
        |slot: Slot| (slot.kind() == Some(MediaKind::Audio), slot == Slot::SCREEN_AUDIO || slot >= Slot::SCREEN);
    source(a) == source(b)
}

/// A copy tells of the time between: its recorder's first epoch, and its end.
fn absences(manifest: &MeetingManifest) -> (UnixMillis, UnixMillis) {
    let began = manifest.epochs.iter().map(|epoch| epoch.at).min().unwrap_or(manifest.started_at);
    (began, manifest.ended_at)
}

/// The manifest of both together. Nobody signed it: it is for looking at, and each part of it stands in a signed one.
fn joined(first: &MeetingManifest, second: &MeetingManifest) -> MeetingManifest {
    let mut both = first.clone();
    both.started_at = first.started_at.min(second.started_at);
    both.ended_at = end(first, second);
    both.closed = if second.closed == Closed::Ended { second.closed } else { first.closed };
    both.retain_until = first.retain_until.max(second.retain_until);
    both.rejected = first.rejected.max(second.rejected);
    second.roster.iter().for_each(|row| attend(&mut both.roster, row));
    let new = second.statements.iter().filter(|one| !first.statements.contains(one));
    both.statements.extend(new.cloned());
    second.tracks.iter().for_each(|track| add_track(&mut both.tracks, track));
    both.frames = both.tracks.iter().map(|track| track.frames).sum();
    both.gaps = missing_in_both(first, second);
    both.tags.trades.extend(second.tags.trades.iter().cloned());
    both.tags.counterparties.extend(second.tags.counterparties.iter().cloned());
    for tags in [&mut both.tags.trades, &mut both.tags.counterparties] {
        tags.sort();
        tags.dedup();
    }
    let asked = |who: &ParticipantId| first.copies_wanted.iter().any(|one| one.participant == *who);
    both.copies_wanted.extend(second.copies_wanted.iter().filter(|one| !asked(&one.participant)).cloned());
    for file in &second.files {
        match both.files.iter_mut().find(|one| one.file == file.file) {
            Some(known) if known.missing.is_some() => known.missing = file.missing,
            Some(_) => {}
            None => both.files.push(file.clone()),
        }
    }
    both
}

/// When both together end: a recorder that was stopped and came back later ended then, long after the meeting.
fn end(first: &MeetingManifest, second: &MeetingManifest) -> UnixMillis {
    let there = [first, second].into_iter().filter(|one| one.closed == Closed::Ended).map(|one| one.ended_at).max();
    there.unwrap_or_else(|| first.ended_at.max(second.ended_at))
}

/// Somebody's presence, seen by another recorder: one row where the two overlap.
fn attend(roster: &mut Vec<Attendance>, row: &Attendance) {
    let open = |epoch: Option<domain::Epoch>| epoch.map_or(u64::MAX, |epoch| epoch.0);
    let overlaps = |known: &&mut Attendance| {
        known.participant == row.participant
            && known.joined_epoch.0 < open(row.left_epoch)
            && row.joined_epoch.0 < open(known.left_epoch)
    };
    let Some(known) = roster.iter_mut().find(overlaps) else { return roster.push(row.clone()) };
    if row.joined_epoch < known.joined_epoch {
        (known.joined_epoch, known.joined_at) = (row.joined_epoch, row.joined_at);
    }
    match (known.left_epoch, row.left_epoch) {
        // a recorder that ended saw nobody leave after that
        (None, Some(_)) => (known.left_epoch, known.left_at) = (row.left_epoch, row.left_at),
        (None, None) => known.left_at = known.left_at.max(row.left_at),
        (Some(_), _) => {}
    }
}

fn add_track(tracks: &mut Vec<TrackEntry>, track: &TrackEntry) {
    let same = |known: &&mut TrackEntry| {
        known.participant == track.participant && known.codec == track.codec && same_source(known.slot, track.slot)
    };
    match tracks.iter_mut().find(same) {
        Some(known) if known.frames == 0 => *known = TrackEntry { track: known.track, ..track.clone() },
        Some(_) if track.frames == 0 => {}
        Some(known) => {
            known.frames = known.frames.max(track.frames);
            known.first_us = known.first_us.min(track.first_us);
            known.last_us = known.last_us.max(track.last_us);
        }
        None => tracks.push(TrackEntry { track: tracks.len() as u32 + 1, ..track.clone() }),
    }
}

/// What a person's source misses, or everybody.
type Whose = Option<(ParticipantId, bool, bool)>;

fn whose(gap: &Gap) -> Whose {
    let slot = gap.slot?;
    let participant = gap.participant.clone()?;
    Some((participant, slot.kind() == Some(MediaKind::Audio), slot >= Slot::SCREEN || slot == Slot::SCREEN_AUDIO))
}

/// Gaps of a copy, to be looked up: in order of their begin.
struct Lookup<'a> {
    runs: HashMap<Whose, (Vec<&'a Gap>, u64)>,
    times: Vec<&'a Gap>,
}

impl<'a> Lookup<'a> {
    fn new(gaps: &'a [Gap]) -> Self {
        let (mut runs, mut times): (HashMap<Whose, (Vec<&Gap>, u64)>, _) = (HashMap::new(), Vec::new());
        for gap in gaps {
            match whose(gap) {
                None => times.push(gap),
                key => {
                    let (list, longest) = runs.entry(key).or_default();
                    *longest = (*longest).max(gap.to.since(gap.from));
                    list.push(gap);
                }
            }
        }
        runs.values_mut().for_each(|(list, _)| list.sort_by_key(|gap| gap.from));
        Self { runs, times }
    }

    /// Those that may meet `gap`.
    fn near(&self, gap: &Gap) -> impl Iterator<Item = &'a Gap> {
        let lists: Vec<&(Vec<&'a Gap>, u64)> = match whose(gap) {
            None => self.runs.values().collect(),
            key => self.runs.get(&key).into_iter().collect(),
        };
        let (from, to) = (gap.from.0.saturating_sub(SKEW_MS), gap.to.plus(SKEW_MS));
        let mut found: Vec<&'a Gap> = self.times.clone();
        for (list, longest) in lists {
            let first = list.partition_point(|one| one.from.0.saturating_add(*longest) < from);
            found.extend(list[first..].iter().take_while(|one| one.from <= to));
        }
        found.into_iter()
    }
}

/// What neither has: a gap of one is filled where the other declares nothing for the same frames at the same time.
fn missing_in_both(first: &MeetingManifest, second: &MeetingManifest) -> Vec<Gap> {
    let (mut out, lookup, end) = (Vec::new(), Lookup::new(&second.gaps), end(first, second));
    for gap in &first.gaps {
        if let (Some(whose), Some(slot)) = (&gap.participant, gap.slot)
            && kept(second, whose, slot).is_none()
        {
            out.push(gap.clone());
            continue;
        }
        out.extend(lookup.near(gap).filter_map(|other| meet(gap, other)));
        out.extend(away(second, end).iter().filter_map(|absent| meet(gap, absent)));
    }
    // what one of them says of the time in which the other was not there
    for absent in away(first, end) {
        out.extend(second.gaps.iter().filter_map(|gap| meet(gap, &absent)));
    }
    out.sort_by_key(|gap| (gap.from, gap.to));
    out.dedup();
    out
}

/// The times of a meeting in which a copy's recorder was not there.
fn away(manifest: &MeetingManifest, end: UnixMillis) -> [Gap; 2] {
    let (began, ended) = absences(manifest);
    let absent = |from, to| Gap {
        participant: None,
        slot: None,
        epoch: domain::Epoch(0),
        first_ctr: 0,
        count: 0,
        cause: GapCause::RecorderAbsent,
        from,
        to,
    };
    [absent(manifest.started_at, began.max(manifest.started_at)), absent(ended.min(end), end)]
}

/// What two gaps have in common.
fn meet(a: &Gap, b: &Gap) -> Option<Gap> {
    if let (Some(one), Some(other)) = (&a.participant, &b.participant)
        && one != other
    {
        return None;
    }
    if let (Some(one), Some(other)) = (a.slot, b.slot) {
        if !same_source(one, other) {
            return None;
        }
        // frames are counted by layer and epoch: two runs of one layer are compared by their numbers
        if one == other && a.count > 0 && b.count > 0 {
            let first = a.first_ctr.max(b.first_ctr);
            let end = a.first_ctr.saturating_add(a.count).min(b.first_ctr.saturating_add(b.count));
            return (a.epoch == b.epoch && first < end).then(|| Gap {
                first_ctr: first,
                count: end - first,
                ..a.clone()
            });
        }
    }
    let (from, to) = (a.from.max(b.from), a.to.min(b.to));
    // the one that says more of whose frames they are
    let (said, other) = if a.slot.is_some() || b.slot.is_none() { (a, b) } else { (b, a) };
    let is_moment = said.from == said.to;
    if from > to || (from == to && !is_moment) {
        return None;
    }
    let is_whole = other.from <= said.from && said.to <= other.to;
    Some(Gap { from, to, count: if is_whole { said.count } else { 0 }, ..said.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Epoch;

    fn run(who: &str, slot: u8, (first_ctr, count): (u64, u64), (from, to): (u64, u64)) -> Gap {
        Gap {
            participant: Some(format!("bank-a/{who}/d1").parse().expect("an id")),
            slot: Some(Slot(slot)),
            epoch: Epoch(1),
            first_ctr,
            count,
            cause: GapCause::LostAfterSfu,
            from: UnixMillis(from),
            to: UnixMillis(to),
        }
    }
    fn absent(from: u64, to: u64) -> Gap {
        let of = run("x", 0, (0, 0), (from, to));
        Gap { participant: None, slot: None, cause: GapCause::RecorderAbsent, ..of }
    }

    #[test]
    fn runs_of_one_layer_meet_by_their_numbers_and_others_by_time() {
        let a = run("anna", 2, (10, 10), (1_000, 2_000));
        let met = meet(&a, &run("anna", 2, (15, 10), (1_500, 2_500))).expect("meet");
        assert_eq!((met.first_ctr, met.count), (15, 5));
        assert_eq!(meet(&a, &run("anna", 2, (20, 5), (1_500, 2_500))), None, "other frames at the same time");
        assert_eq!(meet(&a, &run("ben", 2, (10, 10), (1_000, 2_000))), None, "somebody else's");
        assert_eq!(meet(&a, &run("anna", 0, (10, 10), (1_000, 2_000))), None, "the sound of the same person");
        let other_layer = meet(&a, &run("anna", 3, (90, 5), (1_900, 2_900))).expect("nothing of the picture is there");
        assert_eq!((other_layer.from.0, other_layer.to.0, other_layer.count), (1_900, 2_000, 0));
    }

    #[test]
    fn of_a_time_without_a_recorder_only_what_the_other_lacks_too_is_left() {
        let a = absent(1_000, 5_000);
        let met = meet(&a, &run("anna", 2, (7, 3), (2_000, 2_500))).expect("meet");
        assert_eq!((met.slot, met.count, met.from.0), (Some(Slot(2)), 3, 2_000));
        assert_eq!(meet(&a, &run("anna", 2, (7, 3), (6_000, 6_500))), None);
        let met = meet(&a, &absent(4_000, 9_000)).expect("meet");
        assert_eq!((met.from.0, met.to.0, met.count), (4_000, 5_000, 0));
        assert_eq!(meet(&a, &absent(5_000, 9_000)), None, "one went as the other came");
        let moment = run("anna", 2, (7, 1), (2_000, 2_000));
        assert_eq!(meet(&moment, &a).map(|met| met.count), Some(1), "one frame has no length");
    }

    #[test]
    fn what_is_asked_of_holes_is_answered_at_their_edges() {
        let holes = merged(vec![(5_000, 6_000), (0, 1_000), (900, 2_000)]);
        assert_eq!(holes, [(0, 2_000), (5_000, 6_000)]);
        assert!(touches(&holes, 2_000, 2_000) && touches(&holes, 3_000, 5_000) && !touches(&holes, 2_001, 4_999));
        assert!(!touches(&holes, 6_001, u64::MAX));
    }

    #[test]
    fn who_is_in_both_rosters_is_there_once_and_leaves_when_the_recorder_that_saw_it_says() {
        let row = |joined, left: Option<u64>, left_at| Attendance {
            participant: "bank-a/anna/d1".parse().expect("an id"),
            name: "Anna".to_owned(),
            role: domain::message::custody::LeafRole::Member,
            joined_epoch: Epoch(joined),
            joined_at: UnixMillis(joined * 10),
            left_epoch: left.map(Epoch),
            left_at: UnixMillis(left_at),
        };
        // the first recorder died in epoch 4 and saw nobody leave
        let mut roster = vec![row(3, None, 40)];
        attend(&mut roster, &row(2, Some(9), 90));
        assert_eq!((roster.len(), roster[0].joined_at.0, roster[0].left_at.0), (1, 20, 90));
        attend(&mut roster, &row(11, None, 200));
        assert_eq!(roster.len(), 2, "who comes back is one more row");
    }
}

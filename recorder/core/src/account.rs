//! Which frames of which sender are missing, and why: counters of what came, sender manifests, holes in RTP numbers,
//! and what is known of the record link.
//!
//! Counters start at 0 in each epoch and layer (KID). A layer that the SFU did not forward is no gap: counters count
//! only inside the stretches in which the layer was the source's current one.

use crate::index::FrameRun;
use crate::ranges::Ranges;
use domain::{Epoch, MediaKind, ParticipantId, Slot, UnixMillis};
use evidence::archive::{Gap, GapCause};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// A sender is asked for the names of the same frames so often: by then it is gone, or has forgotten them (it keeps 90 s,
/// and is asked every 3 s).
const MAX_ASKED: u32 = 30;
/// Runs asked for at one look: a restart leaves one per source and epoch.
const MAX_UNNAMED: usize = 64;

/// One KID of one sender.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    participant: ParticipantId,
    slot: Slot,
    epoch: Epoch,
}

#[derive(Debug, Default)]
struct Stream {
    received: Ranges,
    listed: Ranges,
    rejected: BTreeSet<u64>,
    no_key: Ranges,
    /// Counters that came right after a hole in the RTP numbers.
    after_hole: BTreeSet<u64>,
    /// Stretches in which this layer was forwarded: from, to (`None`: still).
    active: Vec<(u64, Option<u64>)>,
}

/// Did the source's layer change?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// No, or it is the source's first frame.
    Same,
    /// Yes.
    Switched,
}

/// The account of a meeting.
#[derive(Debug, Default)]
pub struct Accounts {
    streams: BTreeMap<Key, Stream>,
    current: BTreeMap<(ParticipantId, Slot), Slot>,
    /// Times at which the SFU could not deliver what it had kept.
    link_losses: Vec<UnixMillis>,
    /// Times in which nothing was recorded, and why.
    absences: Vec<(UnixMillis, UnixMillis, GapCause)>,
    /// Times in which the copy stood still.
    pauses: Vec<(UnixMillis, UnixMillis)>,
    /// Frames that had no name at the last look.
    suspects: BTreeMap<(Key, u64), Suspect>,
}

/// Kept frames that no sender manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    /// Whose.
    pub participant: ParticipantId,
    /// Layer.
    pub slot: Slot,
    /// Epoch.
    pub epoch: Epoch,
    /// First counter.
    pub first_ctr: u64,
    /// How many.
    pub count: u64,
}

/// A run of frames without a name, by its first counter.
#[derive(Debug, Clone, Copy)]
struct Suspect {
    end: u64,
    asked: u32,
}

impl Accounts {
    fn stream(&mut self, participant: &ParticipantId, slot: Slot, epoch: Epoch) -> &mut Stream {
        self.streams.entry(Key { participant: participant.clone(), slot, epoch }).or_default()
    }

    /// Is this frame already kept?
    pub fn has(&self, participant: &ParticipantId, slot: Slot, epoch: Epoch, ctr: u64) -> bool {
        let key = Key { participant: participant.clone(), slot, epoch };
        self.streams.get(&key).is_some_and(|stream| stream.received.contains(ctr))
    }

    /// Frames of a source were kept.
    pub fn received(&mut self, participant: &ParticipantId, source: Slot, run: &FrameRun) -> Layer {
        let before = self.current.insert((participant.clone(), source), run.slot);
        let switched = before.filter(|slot| *slot != run.slot);
        if let Some(old) = switched {
            for (_, stream) in
                self.streams.iter_mut().filter(|(key, _)| key.participant == *participant && key.slot == old)
            {
                let end = stream.received.end();
                if let Some(last) = stream.active.last_mut().filter(|last| last.1.is_none()) {
                    last.1 = Some(end);
                }
            }
        }
        let went_on = before == Some(run.slot) || (before.is_none() && run.slot.kind() == Some(MediaKind::Audio));
        let (first, end) = (run.first_ctr, run.first_ctr.saturating_add(run.count));
        let stream = self.stream(participant, run.slot, run.epoch);
        match stream.active.last() {
            None => stream.active.push((if went_on { 0 } else { first }, None)),
            Some((_, Some(stopped))) if end > *stopped => stream.active.push((first.max(*stopped), None)),
            Some(_) => {}
        }
        stream.received.insert_between(first, end, (run.first_at, run.last_at));
        if run.hole_before {
            stream.after_hole.insert(first);
        }
        if run.no_key {
            stream.no_key.insert_between(first, end, (run.first_at, run.last_at));
        }
        if switched.is_some() { Layer::Switched } else { Layer::Same }
    }

    /// A frame came and did not authenticate; its header is not proven.
    pub fn rejected(&mut self, participant: &ParticipantId, slot: Slot, epoch: Epoch, ctr: u64) {
        self.stream(participant, slot, epoch).rejected.insert(ctr);
    }

    /// A sender says that it sealed `first..first + count`.
    pub fn listed(
        &mut self,
        at: UnixMillis,
        participant: &ParticipantId,
        slot: Slot,
        epoch: Epoch,
        first: u64,
        count: u64,
    ) {
        self.stream(participant, slot, epoch).listed.insert(first, first + count, at);
    }

    /// Frames that were here without a name at the look before and still are: their manifests were lost on the way here.
    /// Looks must be further apart than manifests.
    pub fn unnamed(&mut self) -> Vec<Unnamed> {
        let before = std::mem::take(&mut self.suspects);
        let mut out = Vec::new();
        for (key, stream) in &self.streams {
            let runs = stream.received.iter().flat_map(|run| stream.listed.missing(run.start, run.end));
            for (start, end) in runs {
                let mut suspect = Suspect { end, asked: 0 };
                if let Some(known) = before.get(&(key.clone(), start)) {
                    suspect.asked = known.asked;
                    if known.asked < MAX_ASKED && out.len() < MAX_UNNAMED {
                        suspect.asked += 1;
                        out.push(Unnamed {
                            participant: key.participant.clone(),
                            slot: key.slot,
                            epoch: key.epoch,
                            first_ctr: start,
                            count: known.end.min(end) - start,
                        });
                    }
                }
                self.suspects.insert((key.clone(), start), suspect);
            }
        }
        out
    }

    /// The SFU could not deliver some of what it had.
    pub fn link_lost(&mut self, at: UnixMillis) {
        self.link_losses.push(at);
    }

    /// Nothing was recorded in this time: the recorder was away, or could not write.
    pub fn away(&mut self, from: UnixMillis, to: UnixMillis, why: GapCause) {
        self.absences.push((from, to, why));
    }

    /// The copy stood still in this time.
    pub fn paused(&mut self, from: UnixMillis, to: UnixMillis) {
        self.pauses.push((from, to));
    }

    /// What came next of this layer, in a later epoch.
    fn after(&self, key: &Key) -> Option<&Stream> {
        let later = self.streams.range((Bound::Excluded(key), Bound::Unbounded));
        let same = later.take_while(|(next, _)| next.participant == key.participant && next.slot == key.slot);
        same.map(|(_, stream)| stream).find(|stream| stream.received.iter().next().is_some())
    }

    fn cause(&self, key: &Key, from: u64, to: u64, window: (UnixMillis, UnixMillis)) -> GapCause {
        let stream = &self.streams[key];
        // the numbers of RTP know no epochs: the frame after an epoch's last ones tells of them as any other does
        let hole = if to < stream.received.end() {
            stream.after_hole.contains(&to)
        } else {
            let next = self.after(key);
            let first = next.and_then(|next| Some((next, next.received.iter().next()?.start)));
            first.is_none_or(|(next, first)| next.after_hole.contains(&first))
        };
        let mut away = self.absences.iter().filter(|(start, end, _)| *start <= window.1 && window.0 <= *end);
        if (from..to).all(|ctr| stream.rejected.contains(&ctr)) {
            GapCause::Rejected
        } else if self.pauses.iter().any(|(start, end)| *start <= window.1 && window.0 <= *end) {
            GapCause::Paused
        } else if let Some((_, _, why)) = away.next() {
            *why
        } else if self.link_losses.iter().any(|at| window.0 <= *at && *at <= window.1) {
            GapCause::LostAfterSfu
        } else if hole {
            GapCause::LostBeforeSfu
        } else {
            GapCause::NeverSent
        }
    }

    /// Everything that is missing, in order of sender, layer, epoch and counter. `has_key` says whether the base key of
    /// an epoch is kept: frames that could not be opened when they came are no gap if it is.
    pub fn gaps(&self, end: UnixMillis, has_key: impl Fn(Epoch) -> bool) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for (key, stream) in &self.streams {
            let gap = |first_ctr, count, cause, (from, to)| Gap {
                participant: Some(key.participant.clone()),
                slot: Some(key.slot),
                epoch: key.epoch,
                first_ctr,
                count,
                cause,
                from,
                to,
            };
            let next = self.after(key).and_then(|next| next.received.iter().next());
            let came_next = next.map_or(end, |run| run.first_at);
            for (start, stop) in self.stretches(key, stream) {
                for (from, to) in stream.received.missing(start, stop) {
                    let window = (
                        stream.received.around(from).0.map_or(UnixMillis(0), |run| run.last_at),
                        stream.received.around(to).1.map_or(came_next, |run| run.first_at),
                    );
                    gaps.push(gap(from, to - from, self.cause(key, from, to, window), window));
                }
            }
            if !has_key(key.epoch) {
                for run in stream.no_key.iter() {
                    gaps.push(gap(run.start, run.end - run.start, GapCause::NoKey, (run.first_at, run.last_at)));
                }
            }
        }
        gaps
    }

    /// Stretches of counters that should be here.
    fn stretches(&self, key: &Key, stream: &Stream) -> Vec<(u64, u64)> {
        let known_end = stream.received.end().max(stream.listed.end());
        if stream.active.is_empty() {
            // nothing came in this epoch: all of it is missing if the layer was current before, or cannot be unchosen
            let was_current = self.streams.range(..key).next_back().is_some_and(|(before, earlier)| {
                before.participant == key.participant
                    && before.slot == key.slot
                    && earlier.active.last().is_some_and(|last| last.1.is_none())
            });
            let sound = key.slot.kind() == Some(MediaKind::Audio);
            return if was_current || sound { vec![(0, stream.listed.end())] } else { Vec::new() };
        }
        stream.active.iter().map(|(from, to)| (*from, to.unwrap_or(known_end))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anna() -> ParticipantId {
        "bank-a/anna/d1".parse().expect("an id")
    }

    fn one(slot: u8, epoch: u64, ctr: u64) -> FrameRun {
        let at = UnixMillis(1000 * epoch + ctr);
        FrameRun {
            slot: Slot(slot),
            epoch: Epoch(epoch),
            first_ctr: ctr,
            count: 1,
            hole_before: false,
            no_key: false,
            first_at: at,
            last_at: at,
            first_us: 0,
            last_us: 0,
        }
    }

    fn come(accounts: &mut Accounts, slot: u8, epoch: u64, ctrs: impl IntoIterator<Item = u64>, hole_at: u64) {
        for ctr in ctrs {
            let source = if slot >= 2 { Slot(2) } else { Slot(slot) };
            let run = FrameRun { hole_before: ctr == hole_at, ..one(slot, epoch, ctr) };
            accounts.received(&anna(), source, &run);
        }
    }

    fn found(accounts: &Accounts) -> Vec<(u8, u64, u64, u64, GapCause)> {
        let gaps = accounts.gaps(UnixMillis(99_999), |_| true);
        gaps.iter().map(|g| (g.slot.map_or(99, |s| s.0), g.epoch.0, g.first_ctr, g.count, g.cause)).collect()
    }

    #[test]
    fn missing_frames_are_named_with_where_they_were_lost() {
        let mut accounts = Accounts::default();
        come(&mut accounts, 0, 1, (0..10).chain(13..20).chain(25..30), 13);
        assert_eq!(found(&accounts), [(0, 1, 10, 3, GapCause::LostBeforeSfu), (0, 1, 20, 5, GapCause::NeverSent)]);
        accounts.link_lost(UnixMillis(1022));
        assert_eq!(found(&accounts)[1].4, GapCause::LostAfterSfu);
        accounts.away(UnixMillis(1021), UnixMillis(1023), GapCause::RecorderAbsent);
        assert_eq!(found(&accounts)[1].4, GapCause::RecorderAbsent);
    }

    #[test]
    fn a_manifest_shows_the_tail_and_the_epoch_that_never_came() {
        let mut accounts = Accounts::default();
        come(&mut accounts, 0, 1, 0..10, 99);
        accounts.listed(UnixMillis(1), &anna(), Slot(0), Epoch(1), 0, 12);
        accounts.listed(UnixMillis(1), &anna(), Slot(0), Epoch(2), 0, 4);
        assert_eq!(found(&accounts), [(0, 1, 10, 2, GapCause::LostBeforeSfu), (0, 2, 0, 4, GapCause::LostBeforeSfu)]);
    }

    #[test]
    fn the_last_frames_of_an_epoch_are_lost_if_a_hole_follows_and_were_never_sent_if_none_does() {
        for (hole_at, cause) in [(99, GapCause::NeverSent), (0, GapCause::LostBeforeSfu)] {
            let mut accounts = Accounts::default();
            come(&mut accounts, 0, 1, 0..10, 99);
            accounts.listed(UnixMillis(1), &anna(), Slot(0), Epoch(1), 0, 12);
            // an epoch in which nothing was sealed lies between
            come(&mut accounts, 0, 3, 0..5, hole_at);
            accounts.listed(UnixMillis(1), &anna(), Slot(0), Epoch(3), 0, 5);
            assert_eq!(found(&accounts), [(0, 1, 10, 2, cause)]);
            let gap = &accounts.gaps(UnixMillis(99_999), |_| true)[0];
            assert_eq!((gap.from, gap.to), (UnixMillis(1_009), UnixMillis(3_000)), "it lasts until the next frame");
        }
    }

    #[test]
    fn a_layer_that_was_not_chosen_is_no_gap_and_what_it_lost_while_chosen_is() {
        let mut accounts = Accounts::default();
        come(&mut accounts, 2, 1, 5..10, 99);
        come(&mut accounts, 3, 1, (40..45).chain(46..50), 46);
        come(&mut accounts, 2, 1, 60..70, 99);
        for slot in [2, 3, 4] {
            accounts.listed(UnixMillis(1), &anna(), Slot(slot), Epoch(1), 0, 70);
            accounts.listed(UnixMillis(1), &anna(), Slot(slot), Epoch(2), 0, 30);
        }
        come(&mut accounts, 2, 2, 3..30, 3);
        assert_eq!(found(&accounts), [(2, 2, 0, 3, GapCause::LostBeforeSfu), (3, 1, 45, 1, GapCause::LostBeforeSfu)]);
    }

    #[test]
    fn frames_that_stay_without_a_name_are_asked_for_until_named_or_given_up() {
        let mut accounts = Accounts::default();
        let look = |accounts: &mut Accounts| -> Vec<_> {
            accounts.unnamed().iter().map(|u| (u.slot.0, u.epoch.0, u.first_ctr, u.count)).collect()
        };
        come(&mut accounts, 0, 1, 0..100, 999);
        accounts.listed(UnixMillis(1), &anna(), Slot(0), Epoch(1), 0, 40);
        assert_eq!(look(&mut accounts), [], "the manifest may still be on its way");
        come(&mut accounts, 0, 1, 100..200, 999);
        assert_eq!(look(&mut accounts), [(0, 1, 40, 60)], "the newest have time until the next look");
        accounts.listed(UnixMillis(1), &anna(), Slot(0), Epoch(1), 40, 60);
        assert_eq!(look(&mut accounts), [], "another run begins at 100");
        accounts.listed(UnixMillis(1), &anna(), Slot(0), Epoch(1), 100, 100);
        accounts.listed(UnixMillis(1), &anna(), Slot(0), Epoch(1), 40, 60);
        assert_eq!(look(&mut accounts), []);
        come(&mut accounts, 0, 2, 0..1, 999);
        let asked = (0..1_000).filter(|_| !look(&mut accounts).is_empty()).count();
        assert_eq!(asked as u32, MAX_ASKED, "a sender that never says is not asked for ever");
    }

    #[test]
    fn frames_without_a_key_are_a_gap_until_the_key_is_kept() {
        let mut accounts = Accounts::default();
        accounts.received(&anna(), Slot(0), &FrameRun { no_key: true, ..one(0, 4, 0) });
        assert_eq!(found(&accounts), []);
        assert_eq!(accounts.gaps(UnixMillis(9), |_| false)[0].cause, GapCause::NoKey);
    }
}

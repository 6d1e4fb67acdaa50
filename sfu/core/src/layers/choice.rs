//! Which layer of each source a subscriber is sent: wishes, estimate and what flows, put together every fifth of a second;
//! and the change of a section from one layer to another.

use crate::Micros;
use crate::congestion::BitRate;
use crate::forward::{Run, Shared};
use crate::layers::allocate::{Rank, Wish, allocate, needed};
use crate::layers::follow::Room;
use crate::layers::ladder::{Ladder, Rung};
use crate::layers::wishes::{View, Wanted};
use crate::layers::{feeds, follow};
use crate::meeting::Meeting;
use crate::participant::{Participant, Subscribing};
use crate::subscription::{Cap, Section};
use domain::message::client::{FeedLimit, Weight};
use domain::{MediaKind, Slot};

/// Layers are chosen so often: a tile that grows is sharp within a quarter of a second, and 250 subscribers of 250
/// sources still cost little.
pub const CHOOSE_US: u64 = 200_000;
/// One that had to give way does not rise for so long.
pub const SETTLE_US: u64 = 3_000_000;
/// ... and one that only left out pictures, for which no key frame is needed, for so long.
const SETTLE_THIN_US: u64 = 1_000_000;
/// ... and one whose layer was given up: the lowest is a stopgap until the queue is empty and the link known.
const SETTLE_GIVEN_UP_US: u64 = 1_500_000;
/// An estimate is relied on in what is asked of publishers only after so long: probes look for the link's rate first.
const KNOWN_US: u64 = 2_000_000;
/// An estimate that fell to this share is not left to the next choice: what is too much fills a queue.
const FELL: f64 = 0.85;
/// What takes so many times the estimate fills a queue faster than it can be replaced.
const FAR: f64 = 1.5;
/// Cameras sent to one subscriber at most: no screen shows more faces than that large enough to be told apart.
pub const LAST_N: usize = 25;

/// What is to happen with one section.
struct Plan {
    at: usize,
    wanted: Wanted,
    rungs: Vec<Rung>,
    /// The whole ladder ends below what the tile could show.
    short: bool,
    kind: MediaKind,
    /// What is sent of it now is given up.
    given_up: bool,
}

impl Plan {
    /// What the link leaves for the source that was granted this rung, beside `spare` more.
    fn room(&self, spare: Option<u64>, rung: Option<usize>) -> Room {
        if self.wanted.height == 0 {
            return Room::None;
        }
        let (Some(spare), Some(top)) = (spare, self.rungs.last()) else { return Room::Any };
        let granted = rung.map(|rung| self.rungs[rung]);
        let is_whole = |granted: &Rung| self.rungs.iter().all(|r| r.track != granted.track || r.rate <= granted.rate);
        let on = granted.filter(is_whole).map(|granted| if self.nested() { 0 } else { granted.layer });
        debug_assert!(granted.is_none_or(|granted| granted.rate <= top.rate), "rungs rise");
        Room::Of { rate: granted.map_or(0, |granted| granted.rate) + spare, on }
    }

    /// Are all its rungs parts of one stream?
    fn nested(&self) -> bool {
        self.rungs.iter().all(|rung| rung.track == self.rungs[0].track)
    }
}

impl Subscribing {
    /// Did the estimate fall so far since layers were chosen that they are to be chosen anew at once?
    fn estimate_fell(&self) -> bool {
        let fell = |now: BitRate, before: BitRate| now < before.scale(FELL);
        self.estimate.zip(self.chosen_by).is_some_and(|(now, before)| fell(now, before))
    }

    /// If the section comes down to `rung`, it stays there for a while; what by far does not pass is given up.
    fn fall(&mut self, now: Micros, at: usize, plan: &Plan, rung: Rung) {
        let section = &mut self.sections[at];
        let before = section.feed.and_then(|feed| on(&plan.rungs, feed, section.goal)).map(|before| plan.rungs[before]);
        let Some(before) = before.filter(|before| before.rate > rung.rate) else { return };
        let thinned = before.track == rung.track && before.spatial == rung.spatial;
        if !thinned {
            section.retry.fell(now, before.rate);
        }
        section.settles = Some(now.plus(match (thinned, plan.given_up) {
            (true, _) => SETTLE_THIN_US,
            (_, true) => SETTLE_GIVEN_UP_US,
            _ => SETTLE_US,
        }));
        if plan.given_up && before.track != rung.track && section.target != Some(rung.track) {
            section.give_up(now);
            self.downlink.take_back([section.ssrc, section.repair_ssrc]);
        }
    }
}

impl Meeting {
    /// A page said what it shows.
    pub(crate) fn view(&mut self, shared: &mut Shared, now: Micros, place: usize, view: View) {
        let Some(participant) = &mut self.participants[place] else { return };
        participant.subscribing.view = Some(view);
        let ladders = self.ladders(now);
        self.choose(shared, now, place, &ladders);
        self.tell_needs(shared, now);
    }

    /// Chooses for everybody whose time has come.
    pub(crate) fn choose_all(&mut self, shared: &mut Shared, now: Micros) {
        let due = |p: &Participant| now.since(p.subscribing.chosen) >= CHOOSE_US || p.subscribing.estimate_fell();
        if !self.participants.iter().flatten().any(due) {
            return;
        }
        let ladders = self.ladders(now);
        for place in 0..self.participants.len() {
            if self.participants[place].as_ref().is_some_and(due) {
                self.choose(shared, now, place, &ladders);
            }
        }
        self.choose_recorded(shared, now);
        self.tell_needs(shared, now);
    }

    fn ladders(&self, now: Micros) -> Vec<Ladder> {
        let leads = |place: &usize| self.tracks[*place].as_ref().is_some_and(|track| track.lead == *place);
        let one = |place| if leads(&place) { Ladder::of(now, &self.tracks, place) } else { Ladder::default() };
        (0..self.tracks.len()).map(one).collect()
    }

    fn choose(&mut self, shared: &mut Shared, now: Micros, place: usize, ladders: &[Ladder]) {
        let lowest_only = shared.shed.lowest_layers();
        let Some(participant) = &mut self.participants[place] else { return };
        (participant.subscribing.chosen, participant.subscribing.chosen_by) = (now, participant.subscribing.estimate);
        let subscribing = &participant.subscribing;
        let mut plans: Vec<Plan> = Vec::new();
        let mut wishes: Vec<Wish> = Vec::new();
        for (at, section) in subscribing.sections.iter().enumerate().filter(|(_, s)| s.live) {
            let Some(ladder) = section.track.and_then(|track| ladders.get(track)) else { continue };
            let view = subscribing.view.as_ref();
            let wanted = view.map_or(Wanted::ALL, |view| view.of(&section.participant, section.slot));
            let hidden = wanted.height == 0 && section.kind == MediaKind::Video;
            let within = if hidden { &[][..] } else { ladder.within(wanted.height) };
            let rungs: Vec<Rung> =
                within.iter().filter(|rung| !lowest_only || rung.layer == within[0].layer).copied().collect();
            let current = section.feed.and_then(|feed| on(&rungs, feed, section.goal));
            let speaks = self.speaker.current().is_some_and(|speaker| {
                section.track.and_then(|track| self.tracks[track].as_ref()).is_some_and(|track| track.owner == speaker)
            });
            wishes.push(Wish {
                rank: rank(section, wanted, speaks),
                rungs: rungs.iter().map(|rung| rung.rate).collect(),
                current,
                settling: section.settles.is_some_and(|until| now < until),
                barred: barred(section, now, &rungs, current, subscribing.estimate),
                near: section
                    .feed
                    .and_then(|feed| rungs.iter().rposition(|r| r.track == feed && (r.follows || r.kept))),
            });
            let top = rungs.last().map_or(0, |rung| rung.height);
            let short = u32::from(top) * 4 < u32::from(wanted.height) * 3 && wanted != Wanted::ALL;
            plans.push(Plan { at, wanted, rungs, short, kind: section.kind, given_up: false });
        }
        last_n(&mut wishes, &mut plans);
        let most: u64 = plans.iter().filter_map(|plan| plan.rungs.last()).map(|rung| rung.ahead).sum();
        participant.subscribing.downlink.set_wanted(BitRate(needed(most)));
        let estimate = participant.subscribing.estimate.map(|estimate| estimate.0);
        give_up(estimate, &mut wishes, &mut plans);
        let granted = allocate(estimate, &wishes);
        let known = participant.subscribing.measured.is_some_and(|since| now.since(since) >= KNOWN_US);
        let spare = follow::spare(estimate.filter(|_| known), needed(most), &wishes, &granted);
        for (plan, rung) in plans.iter().zip(&granted) {
            participant.subscribing.sections[plan.at].room = plan.room(spare, *rung);
        }
        let mut changed = Vec::new();
        for (plan, rung) in plans.iter().zip(granted) {
            if plan.kind == MediaKind::Video {
                self.carry_out(shared, now, (place, plan.at), plan, rung);
                changed.extend(
                    feeds::limit(plan.wanted, plan.short, plan.rungs.len(), rung).map(|limit| (plan.at, limit)),
                );
            }
        }
        self.tell_feeds(shared, place, &changed);
    }

    fn carry_out(&mut self, shared: &mut Shared, now: Micros, to: (usize, usize), plan: &Plan, rung: Option<usize>) {
        let Some(section) = self.participants[to.0].as_mut().map(|p| &mut p.subscribing.sections[to.1]) else { return };
        let hidden = plan.wanted.height == 0;
        let Some(rung) = rung.map(|rung| plan.rungs[rung]) else {
            if hidden || !plan.rungs.is_empty() {
                section.pause();
                self.unfollow(to);
            } else if section.feed.is_none()
                && section.target.is_none()
                && let Some(lead) = section.track
            {
                // nothing flows yet: the first picture of the lowest layer is as good as any
                self.follow(shared, now, to, lead);
            }
            return;
        };
        let top = plan.rungs.len() - 1;
        let whole = plan.rungs[top] == rung;
        if !whole && let Some(participant) = self.participants[to.0].as_mut() {
            participant.subscribing.fall(now, to.1, plan, rung);
        }
        let Some(section) = self.participants[to.0].as_mut().map(|p| &mut p.subscribing.sections[to.1]) else { return };
        let deepest = plan.rungs.iter().filter(|r| r.track == rung.track);
        let cap = |level: u8, most: Option<u8>| if Some(level) == most { u8::MAX } else { level };
        section.goal = Cap {
            spatial: if whole && !plan.short {
                rung.spatial
            } else {
                cap(rung.spatial, deepest.clone().map(|r| r.spatial).max())
            },
            temporal: cap(rung.temporal, deepest.map(|r| r.temporal).max()),
        };
        if section.feed == Some(rung.track) {
            if section.target.take().is_some() {
                self.unfollow(to);
            }
            let rises = self.participants[to.0].as_ref().is_some_and(|p| {
                let section = &p.subscribing.sections[to.1];
                section.cap.spatial < section.goal.spatial.min(rung.spatial)
                    || section.given_up.is_some_and(|_| section.awaiting_key)
            });
            if rises {
                self.want_key(shared, now, rung.track);
            }
        } else if section.target != Some(rung.track) {
            self.follow(shared, now, to, rung.track);
        } else {
            self.want_key(shared, now, rung.track);
        }
    }

    /// Makes `layer` the section's target and asks for a key frame of it, unless one of the last second serves.
    pub(crate) fn follow(&mut self, shared: &mut Shared, now: Micros, to: (usize, usize), layer: usize) {
        let Some(section) = self.participants[to.0].as_mut().map(|p| &mut p.subscribing.sections[to.1]) else { return };
        let height = |place: usize| self.tracks[place].as_ref().map(|track| track.layer);
        if section.feed.is_some_and(|feed| height(feed) < height(layer)) {
            section.retry.rose(now);
        }
        section.target = Some(layer);
        let fresh = section.feed.is_none() || section.given_up.is_some_and(|(_, at)| at == now);
        self.unfollow(to);
        let Some(track) = &mut self.tracks[layer] else { return };
        if !track.subscribers.contains(&to) {
            track.subscribers.push(to);
        }
        // a key frame of the last second serves as well as a new one, and costs the publisher nothing; but one who has
        // seen what came after it would go back in time; who gave that up has a hole there anyway
        let recent =
            track.last_key.filter(|key| fresh && track.keys.throttled(now) && track.history.get(*key).is_some());
        match recent {
            Some(key) => {
                let indices = track.history.since(key).collect();
                shared.runs.push_back(Run::replay(self.place, layer, indices, to));
            }
            None => self.want_key(shared, now, layer),
        }
    }

    /// Takes the section off the layers that it neither is sent nor waits for.
    pub(crate) fn unfollow(&mut self, to: (usize, usize)) {
        let Some(section) = self.participants[to.0].as_ref().map(|p| &p.subscribing.sections[to.1]) else { return };
        let kept = [section.feed, section.target];
        let Some(lead) = section.track.and_then(|track| self.tracks[track].as_ref()) else { return };
        for layer in lead.layers.clone() {
            if let Some(track) = self.tracks[layer].as_mut().filter(|_| !kept.contains(&Some(layer))) {
                track.subscribers.retain(|subscriber| *subscriber != to);
            }
        }
    }
}

/// The rung that a section stands on: the highest of its layer that is sent. A layer that is thinned further than any rung
/// counts as its lowest.
fn on(rungs: &[Rung], feed: usize, goal: Cap) -> Option<usize> {
    let sent = |rung: &Rung| rung.track == feed && rung.spatial <= goal.spatial && rung.temporal <= goal.temporal;
    let lowest = || rungs.iter().position(|rung| rung.track == feed);
    rungs.iter().rposition(sent).or_else(lowest)
}

/// The first rung of another layer that is not to be tried yet.
fn barred(
    section: &Section,
    now: Micros,
    rungs: &[Rung],
    current: Option<usize>,
    estimate: Option<BitRate>,
) -> Option<usize> {
    let (current, estimate) = (current?, estimate?);
    let bars = |rung: &Rung| rung.track != rungs[current].track && section.retry.bars(now, rung.rate, estimate.0);
    rungs.iter().skip(current + 1).position(bars).map(|at| current + 1 + at)
}

fn rank(section: &Section, wanted: Wanted, speaks: bool) -> Rank {
    if section.kind == MediaKind::Audio {
        Rank::Sound
    } else if section.slot >= Slot::SCREEN {
        Rank::Screen
    } else if wanted.weight == Weight::Pinned {
        Rank::Pinned
    } else if speaks {
        Rank::Speaker
    } else {
        Rank::Normal
    }
}

/// Where what is sent does not pass by far, it is given up: the lowest rungs, whose key frames are small, come first, and
/// the others again when the link is known.
fn give_up(estimate: Option<u64>, wishes: &mut [Wish], plans: &mut [Plan]) {
    let sent = |wish: &Wish| wish.current.and_then(|current| wish.rungs.get(current).copied()).unwrap_or(0);
    let all: u64 = wishes.iter().map(sent).sum();
    if estimate.is_some_and(|estimate| BitRate(all) > BitRate(estimate).scale(FAR)) {
        wishes.iter_mut().for_each(|wish| wish.rungs.truncate(1));
        plans.iter_mut().for_each(|plan| plan.given_up = true);
    }
}

/// Leaves no more than [`LAST_N`] cameras: the important ones, then those that were there first.
fn last_n(wishes: &mut [Wish], plans: &mut [Plan]) {
    let is_camera = |wish: &Wish| wish.rank < Rank::Screen && !wish.rungs.is_empty();
    let mut cameras: Vec<usize> = (0..wishes.len()).filter(|at| is_camera(&wishes[*at])).collect();
    cameras.sort_by_key(|at| std::cmp::Reverse(wishes[*at].rank));
    for at in cameras.into_iter().skip(LAST_N) {
        wishes[at].rungs.clear();
        plans[at].rungs.clear();
        plans[at].wanted = Wanted::HIDDEN;
    }
}

/// What a limit is called, for the page.
pub(crate) type Limited = (usize, FeedLimit);

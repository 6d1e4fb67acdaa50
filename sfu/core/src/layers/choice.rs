//! Which layer of each source a subscriber is sent: wishes, estimate and what flows, put together every fifth of a second;
//! and the change of a section from one layer to another.

use crate::Micros;
use crate::congestion::BitRate;
use crate::forward::{Run, Shared};
use crate::layers::allocate::{Rank, Wish, allocate, needed};
use crate::layers::feeds;
use crate::layers::ladder::{Ladder, Rung};
use crate::layers::wishes::{View, Wanted};
use crate::meeting::Meeting;
use crate::subscription::{Cap, Section};
use domain::message::client::{FeedLimit, Weight};
use domain::{MediaKind, Slot};

/// Layers are chosen so often: a tile that grows is sharp within a quarter of a second, and 250 subscribers of 250
/// sources still cost little.
pub const CHOOSE_US: u64 = 200_000;
/// One that had to give way does not rise for so long.
pub const SETTLE_US: u64 = 3_000_000;
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
        let due = |p: &crate::participant::Participant| now.since(p.subscribing.chosen) >= CHOOSE_US;
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
        participant.subscribing.chosen = now;
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
                settling: section.fell.is_some_and(|fell| now.since(fell) < SETTLE_US),
            });
            let top = rungs.last().map_or(0, |rung| rung.height);
            let short = u32::from(top) * 4 < u32::from(wanted.height) * 3 && wanted != Wanted::ALL;
            plans.push(Plan { at, wanted, rungs, short, kind: section.kind });
        }
        last_n(&mut wishes, &mut plans);
        let most: u64 = wishes.iter().filter_map(|wish| wish.rungs.last()).sum();
        participant.subscribing.downlink.set_wanted(BitRate(needed(most)));
        let granted = allocate(participant.subscribing.estimate.map(|estimate| estimate.0), &wishes);
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
        let before = section.feed.and_then(|feed| on(&plan.rungs, feed, section.goal));
        if before.is_some_and(|before| plan.rungs[before].rate > rung.rate) && !whole {
            section.fell = Some(now);
        }
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
        section.target = Some(layer);
        let fresh = section.feed.is_none();
        self.unfollow(to);
        let Some(track) = &mut self.tracks[layer] else { return };
        if !track.subscribers.contains(&to) {
            track.subscribers.push(to);
        }
        // a key frame of the last second serves as well as a new one, and costs the publisher nothing; but one who has
        // seen what came after it would go back in time
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

/// The rung that a section stands on.
fn on(rungs: &[Rung], feed: usize, goal: Cap) -> Option<usize> {
    rungs.iter().rposition(|rung| rung.track == feed && rung.spatial <= goal.spatial && rung.temporal <= goal.temporal)
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

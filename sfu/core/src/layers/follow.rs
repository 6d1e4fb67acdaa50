//! At what rate each layer of a source is worth encoding: what the best placed of its viewers could take. A layer that is
//! a little too much for every link is encoded at what fits, instead of being withheld from all.
//!
//! It says what is to be asked of a publisher; who is sent which layer is decided elsewhere. A layer that is written down
//! for a recorder has no bound: nobody's link makes the record poorer; the one below it may take more than usual instead.

use crate::Micros;
use crate::layers::allocate::{Allocation, Rank, Wish};
use crate::layers::raise::raised;

/// Of what a viewer's link leaves for a source, so much is asked for, in tenths: an encoder's rate is that of its pictures,
/// RTP and SRTP add a twentieth, and an estimate swings.
const ASKED: u64 = 9;
/// ... for a layer that it would have to go over to, which must leave room ([`crate::layers::allocate::HEADROOM`]).
const ASKED_BEFORE: u64 = 8;
/// The lowest layer is encoded at this at least, bit/s: below it a face is no longer one.
const LEAST: u64 = 60_000;
/// Below this rate a picture of [`FLOOR_HEIGHT`] looks no better than the next smaller one at its full rate, bit/s:
/// a little more than browsers themselves take for the least of 720 lines, which is what they give to 360 at most.
const FLOOR: f64 = 650_000.0;
/// The height that [`FLOOR`] is meant for.
const FLOOR_HEIGHT: f64 = 720.0;
/// A bound of so many times the least rate bounds nothing.
const FULL: u64 = 3;
/// A bound rises at most so often ...
const RISE_US: u64 = 1_000_000;
/// ... and by a third at most: a key frame's worth of queue would follow a jump.
const RISE: u64 = 3;
/// Changes of less than one part in so many are not worth a message.
const STEP: u64 = 32;
/// An encoder has taken a lower bound up by then: a message, a change of parameters, half a second of its rate control.
const REACTION_US: u64 = 1_200_000;
/// Until then what is asked for counts instead of what flows, if that is no more than five thirds of it.
const REACTION_MOST: (u64, u64) = (5, 3);
/// After it, pictures may take a third more than asked for a moment: a key frame does.
const SWING: (u64, u64) = (4, 3);
/// Bytes on the way for each byte of the encoder, in hundredths.
const ON_THE_WAY: u64 = 103;

/// Below this rate the next lower layer is the better one. It grows with the lines to the power of 1.5: large pictures
/// compress better. A root is the same on every machine, a power is not.
pub fn floor(layer: usize, height: u16) -> u64 {
    if layer == 0 {
        return LEAST;
    }
    let larger = f64::from(height) / FLOOR_HEIGHT;
    (FLOOR * larger * larger.sqrt()) as u64
}

/// From this rate on a bound says nothing.
pub fn full(height: u16) -> u64 {
    (floor(1, height) * FULL).max(LEAST)
}

/// What one subscriber's link leaves for a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Room {
    /// As much as the source has, or nobody knows.
    #[default]
    Any,
    /// Nothing is wished for.
    None,
    /// This many bit/s.
    Of {
        /// For the whole source.
        rate: u64,
        /// The layer that it is sent whole.
        on: Option<u8>,
    },
}

/// What each picture of an allocation could take beside what it was granted, bit/s; `None`: whatever it wants. `wanted` is
/// the estimate above which nothing more is looked for.
pub fn spare(estimate: Option<u64>, wanted: u64, wishes: &[Wish], granted: &Allocation) -> Option<u64> {
    let estimate = estimate.filter(|estimate| *estimate < wanted)?;
    let cost = |(wish, rung): (&Wish, &Option<usize>)| rung.map_or(0, |rung| wish.rungs[rung]);
    let used: u64 = wishes.iter().zip(granted).map(cost).sum();
    let pictures = wishes.iter().filter(|wish| wish.rank != Rank::Sound && !wish.rungs.is_empty()).count() as u64;
    estimate.saturating_sub(used).checked_div(pictures)
}

/// What a layer is to be encoded at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// bit/s; `None`: no bound.
    pub rate: Option<u64>,
    /// From this rate on a bound says nothing, unless the layer may take more.
    pub usual: u64,
    /// What it may take.
    pub most: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    /// Nobody would take it.
    Nobody,
    /// Somebody would if the link were better.
    Later,
    /// Somebody takes this much, bit/s.
    Rate(u64),
    /// Somebody takes all there is.
    All,
}

/// What the viewers of one source could take of each of its layers.
#[derive(Debug)]
pub struct Asked {
    each: Vec<Ask>,
    heights: Vec<u16>,
    recorded: Option<usize>,
    raised: Option<usize>,
}

impl Asked {
    /// Of layers with these heights, one of which is written down.
    pub fn new(heights: Vec<u16>, recorded: Option<usize>) -> Self {
        Self { each: vec![Ask::Nobody; heights.len()], heights, recorded, raised: None }
    }

    /// The layer below the one that is written down may take more than usual.
    pub fn raise_below(&mut self) {
        self.raised = self.recorded.and_then(|recorded| recorded.checked_sub(1));
    }

    fn raise(&mut self, layer: usize, ask: Ask) {
        self.each[layer] = self.each[layer].max(ask);
    }

    /// A viewer has `room` and would take layers up to `top`.
    pub fn by(&mut self, room: Room, top: usize) {
        let (rate, on) = match room {
            Room::None => return,
            Room::Any => return self.raise(top, Ask::All),
            Room::Of { rate, on } => (rate, on.map(usize::from)),
        };
        let asked = |layer: usize| rate * if on == Some(layer) { ASKED } else { ASKED_BEFORE } / 10;
        let fits =
            |layer: &usize| asked(*layer) >= floor(*layer, self.heights[*layer]) && self.recorded != Some(*layer);
        let layer = (0..=top).rev().find(fits).unwrap_or(0).max(on.unwrap_or(0)).min(top);
        self.raise(layer, Ask::Rate(asked(layer)));
        (layer + 1..=top).for_each(|above| self.raise(above, Ask::Later));
    }

    /// The rate that each layer is to have at most.
    pub fn targets(&self) -> Vec<Target> {
        let one = |(layer, ask): (usize, &Ask)| {
            let height = self.heights[layer];
            let usual = full(height);
            let most = if self.raised == Some(layer) { raised(height) } else { usual };
            let rate = match ask {
                _ if self.recorded == Some(layer) => None,
                Ask::Nobody | Ask::All => None,
                Ask::Later => Some(floor(layer, height)),
                Ask::Rate(rate) => Some((*rate).max(floor(layer, height)).min(most)),
            };
            Target { rate: rate.filter(|rate| *rate < usual || usual < most), usual, most }
        };
        self.each.iter().enumerate().map(one).collect()
    }
}

/// What a publisher was told of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bound {
    told: Option<u64>,
    most: u64,
    changed: Micros,
    fell: Option<Micros>,
}

impl Bound {
    /// bit/s; `None`: no bound.
    pub fn told(&self) -> Option<u64> {
        self.told
    }

    /// Goes towards `target`: down at once, up in steps. Is the publisher to be told?
    pub fn follow(&mut self, now: Micros, target: Target) -> bool {
        let Target { rate, usual, most } = target;
        self.most = most;
        let raised = self.told.is_some_and(|told| told > usual);
        // without a bound a layer takes what is usual; more only while somebody has a use for it
        let goal = rate.unwrap_or(if raised { usual } else { u64::MAX });
        let next = match (self.told, goal) {
            (None, u64::MAX) => return false,
            (None, goal) => goal.min(usual),
            (Some(told), lower) if lower < told - told / STEP => lower,
            (Some(told), higher) if higher > told + told / STEP && now.since(self.changed) >= RISE_US => {
                higher.min(told + told / RISE)
            }
            _ => return false,
        };
        if self.told.is_none_or(|told| next < told) {
            self.fell = Some(now);
        }
        self.told = (next < usual || rate.is_some_and(|_| usual < most)).then_some(next);
        self.changed = now;
        true
    }

    /// Bits a second that a layer which was measured at `rate` takes, once its encoder does as it was told.
    pub fn expected(&self, now: Micros, rate: u64) -> u64 {
        let Some(told) = self.told.map(|told| told * ON_THE_WAY / 100) else { return rate };
        let reacting = self.fell.is_some_and(|fell| now.since(fell) < REACTION_US);
        let (most, least) = if reacting { REACTION_MOST } else { SWING };
        if rate * least <= told * most { rate.min(told) } else { rate }
    }

    /// The rate to look for: the next step of a bound, else what flows.
    pub fn ahead(&self, rate: u64) -> u64 {
        self.told.map_or(rate, |told| rate.max((told + told / RISE).min(self.most)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEIGHTS: [u16; 3] = [180, 360, 720];

    fn targets(rooms: &[(u64, Option<u8>)], recorded: Option<usize>) -> Vec<Option<u64>> {
        let mut asked = Asked::new(HEIGHTS.to_vec(), recorded);
        rooms.iter().for_each(|(rate, on)| asked.by(Room::Of { rate: *rate, on: *on }, 2));
        rates(&asked)
    }

    fn rates(asked: &Asked) -> Vec<Option<u64>> {
        asked.targets().iter().map(|target| target.rate).collect()
    }

    fn to(rate: Option<u64>) -> Target {
        Target { rate, usual: 1_800_000, most: 1_800_000 }
    }

    #[test]
    fn the_best_placed_viewer_decides_and_a_layer_that_fits_nobody_waits_at_its_least() {
        assert_eq!(targets(&[(1_000_000, Some(2)), (700_000, None)], None), [None, Some(560_000), Some(900_000)]);
        assert_eq!(targets(&[(3_000_000, Some(2))], None), [None; 3], "all of it");
        assert_eq!(targets(&[(450_000, None)], None), [None, Some(360_000), Some(650_000)]);
        assert_eq!(targets(&[(100_000, None)], None), [Some(80_000), Some(229_809), Some(650_000)]);
        assert_eq!(targets(&[(10_000, None)], None)[0], Some(LEAST));
    }

    #[test]
    fn what_is_written_down_has_no_bound() {
        assert_eq!(targets(&[(1_000_000, None)], Some(2)), [None; 3], "the layer below it is the viewer's");
        assert_eq!(targets(&[(450_000, None)], Some(2)), [None, Some(360_000), None]);
        assert_eq!(targets(&[(450_000, Some(2))], Some(2)), [None; 3]);
    }

    #[test]
    fn below_what_is_written_down_a_layer_takes_more_than_usual_while_somebody_has_a_use_for_it() {
        let mut asked = Asked::new(HEIGHTS.to_vec(), Some(2));
        asked.by(Room::Of { rate: 2_000_000, on: Some(1) }, 2);
        assert_eq!(rates(&asked), [None; 3]);
        asked.raise_below();
        let target = asked.targets()[1];
        assert_eq!(target, Target { rate: Some(raised(360)), usual: full(360), most: raised(360) });
        let (mut bound, second) = (Bound::default(), |n: u64| Micros(n * 1_000_000));
        assert!(bound.follow(second(1), target) && bound.follow(second(2), target));
        assert_eq!((bound.told(), bound.ahead(700_000)), (target.rate, target.most));
        assert!(!bound.follow(second(3), target));
        assert!(bound.follow(Micros(3_000_001), Target { rate: None, ..target }), "its viewer takes the recorded one");
        assert_eq!(bound.told(), None);
        assert!(!bound.follow(second(4), Target { rate: None, ..target }));
        assert!(bound.follow(second(5), target) && bound.follow(second(6), target));
        assert!(bound.follow(Micros(6_000_001), Target { rate: None, usual: target.usual, most: target.usual }));
        assert_eq!(bound.told(), None, "the record's layer needs it");
        let nobody = Asked::new(HEIGHTS.to_vec(), Some(0));
        assert_eq!(nobody.raised, None);
    }

    #[test]
    fn whoever_takes_all_lifts_the_bound_of_the_layer_it_takes() {
        let mut asked = Asked::new(HEIGHTS.to_vec(), None);
        asked.by(Room::Of { rate: 1_000_000, on: None }, 2);
        asked.by(Room::Any, 2);
        assert_eq!(rates(&asked), [None; 3]);
        let mut asked = Asked::new(HEIGHTS.to_vec(), None);
        asked.by(Room::Of { rate: 1_000_000, on: None }, 2);
        asked.by(Room::Any, 1);
        asked.by(Room::None, 2);
        assert_eq!(rates(&asked), [None, None, Some(800_000)], "a small tile takes no part of the highest");
    }

    #[test]
    fn a_bound_falls_at_once_and_rises_in_steps_a_second_apart_until_it_bounds_nothing() {
        let (mut bound, second) = (Bound::default(), |n: u64| Micros(n * 1_000_000));
        assert!(bound.follow(second(1), to(Some(900_000))));
        assert!(bound.follow(Micros(1_200_000), to(Some(600_000))));
        assert_eq!(bound.told(), Some(600_000));
        assert!(!bound.follow(second(9), to(Some(610_000))), "too little to be said");
        assert!(!bound.follow(second(9), to(Some(590_000))));
        let mut seen = Vec::new();
        for tick in 45..80 {
            if bound.follow(Micros(tick * 200_000), to(None)) {
                seen.push((tick, bound.told()));
            }
        }
        let steps = [(45, Some(800_000)), (50, Some(1_066_666)), (55, Some(1_422_221)), (60, None)];
        assert_eq!(seen, steps);
    }

    #[test]
    fn what_was_asked_for_counts_while_the_encoder_reacts_and_what_flows_if_it_does_not() {
        let mut bound = Bound::default();
        assert_eq!(bound.expected(Micros(0), 1_700_000), 1_700_000);
        bound.follow(Micros(0), to(Some(1_200_000)));
        assert_eq!(bound.expected(Micros(1), 1_700_000), 1_236_000);
        assert_eq!(bound.expected(Micros(1), 400_000), 400_000, "an encoder may need less");
        assert_eq!(bound.expected(Micros(REACTION_US), 1_700_000), 1_700_000, "it does not obey");
        assert_eq!(bound.expected(Micros(REACTION_US), 1_500_000), 1_236_000, "a key frame");
        assert_eq!(bound.expected(Micros(1), 2_500_000), 2_500_000, "too far for a moment's patience");
    }

    #[test]
    fn what_is_left_is_divided_among_the_pictures() {
        let wish =
            |rank, rate| Wish { rank, rungs: vec![rate], current: None, settling: false, near: None, barred: None };
        let all = [wish(Rank::Normal, 300), wish(Rank::Screen, 300), wish(Rank::Sound, 100)];
        let granted = vec![Some(0), None, Some(0)];
        assert_eq!(spare(Some(1_000), 2_000, &all, &granted), Some(300));
        assert_eq!(spare(Some(2_000), 2_000, &all, &granted), None, "the link is not what bounds it");
        assert_eq!(spare(None, 2_000, &all, &granted), None);
        assert_eq!(spare(Some(1_000), 2_000, &all[2..], &granted[2..].to_vec()), None, "there is only sound");
    }
}

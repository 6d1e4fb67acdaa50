//! What of everything wished for fits the link: a pure function from an estimate and wishes to rungs.
//!
//! Sound is never asked to give way. Then everybody gets its lowest rung, the more important first; then the more
//! important ones rise as far as they may before the others do, those of one rank in turns.

/// Headroom that a rise must leave, in parts of the estimate (one eighth): an estimate swings by about so much without
/// the link having changed, and a layer that comes and goes is worse than a small one.
pub const HEADROOM: u64 = 8;

/// ... and within a layer that is encoded at what fits, one part in so many.
const HEADROOM_NEAR: u64 = 32;

/// A picture is taken away whole only where its lowest rung would not even pass at the pace, a quarter above the estimate:
/// after a cut the estimate is lower than the link for a moment, and a picture that comes back needs a key frame first.
const KEEP_LOWEST: u64 = 4;

/// The estimate at which everything of `rate` bit/s fits, risen to from nothing.
pub fn needed(rate: u64) -> u64 {
    rate.saturating_mul(HEADROOM).div_ceil(HEADROOM - 1)
}

/// Rank of a wish, the most important last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A picture among others.
    Normal,
    /// Whoever speaks.
    Speaker,
    /// Enlarged by the viewer.
    Pinned,
    /// A shared screen: what it shows is read, and cannot be guessed from a blurred one.
    Screen,
    /// Sound.
    Sound,
}

/// One source that a subscriber wishes for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// How much it matters.
    pub rank: Rank,
    /// What each rung takes, bit/s, lowest first, as far as this wish goes; empty: nothing can be sent now.
    pub rungs: Vec<u64>,
    /// The rung it is on.
    pub current: Option<usize>,
    /// It may not rise now: it fell a moment ago.
    pub settling: bool,
    /// The rung from which on it may not rise yet: what takes as much did not last.
    pub barred: Option<usize>,
    /// Highest rung of the layer it is sent, where its rate is known: it takes no key frame to reach.
    pub near: Option<usize>,
}

/// Rungs of the wishes, in their order; `None` is nothing.
pub type Allocation = Vec<Option<usize>>;

/// Divides `estimate` bit/s (`None`: unlimited) among `wishes`.
pub fn allocate(estimate: Option<u64>, wishes: &[Wish]) -> Allocation {
    let Some(estimate) = estimate else {
        return wishes.iter().map(|wish| wish.rungs.len().checked_sub(1)).collect();
    };
    let mut order: Vec<usize> = (0..wishes.len()).collect();
    // stable: equals keep their order
    order.sort_by_key(|at| std::cmp::Reverse(wishes[*at].rank));
    let mut table = Table { estimate, used: 0, granted: vec![None; wishes.len()], wishes };
    order.iter().for_each(|at| table.begin(*at));
    for group in order.chunk_by(|a, b| wishes[*a].rank == wishes[*b].rank) {
        while group.iter().filter(|at| table.rise(**at)).count() > 0 {}
    }
    table.granted
}

struct Table<'a> {
    estimate: u64,
    used: u64,
    granted: Allocation,
    wishes: &'a [Wish],
}

impl Table<'_> {
    fn begin(&mut self, at: usize) {
        let wish = &self.wishes[at];
        let Some(lowest) = wish.rungs.first() else { return };
        if wish.rank == Rank::Sound || self.fits(at, 0, *lowest) {
            self.used += lowest;
            self.granted[at] = Some(0);
        }
    }

    /// Would `more` bit/s for rung `rung` fit? What it has already needs no headroom, and a first picture none either.
    fn fits(&self, at: usize, rung: usize, more: u64) -> bool {
        let kept = self.wishes[at].current.is_some_and(|current| rung <= current);
        let bound = match (kept, rung) {
            (true, 0) => self.estimate + self.estimate / KEEP_LOWEST,
            (true, _) | (false, 0) => self.estimate,
            (false, _) if self.wishes[at].near.is_some_and(|near| rung <= near) => {
                self.estimate - self.estimate / HEADROOM_NEAR
            }
            (false, _) => self.estimate - self.estimate / HEADROOM,
        };
        self.used.saturating_add(more) <= bound
    }

    fn rise(&mut self, at: usize) -> bool {
        let wish = &self.wishes[at];
        let Some(rung) = self.granted[at] else { return false };
        let Some(cost) = wish.rungs.get(rung + 1) else { return false };
        let more = cost.saturating_sub(wish.rungs[rung]);
        let rises = wish.current.is_none_or(|current| rung + 1 > current);
        let barred = wish.barred.is_some_and(|barred| rung + 1 >= barred);
        if (rises && (wish.settling || barred)) || !self.fits(at, rung + 1, more) {
            return false;
        }
        self.used += more;
        self.granted[at] = Some(rung + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wish(rank: Rank, rungs: &[u64]) -> Wish {
        Wish { rank, rungs: rungs.to_vec(), current: None, settling: false, near: None, barred: None }
    }

    const CAMERA: [u64; 3] = [150_000, 500_000, 1_500_000];

    #[test]
    fn everybody_gets_the_lowest_rung_before_anybody_rises_and_the_important_rise_first() {
        let all = [
            wish(Rank::Normal, &CAMERA),
            wish(Rank::Speaker, &CAMERA),
            wish(Rank::Screen, &[300_000, 900_000]),
            wish(Rank::Sound, &[40_000]),
        ];
        assert_eq!(allocate(Some(740_000), &all), [Some(0), Some(0), Some(0), Some(0)]);
        assert_eq!(allocate(Some(1_430_000), &all), [Some(0), Some(0), Some(1), Some(0)]);
        assert_eq!(allocate(Some(1_830_000), &all), [Some(0), Some(1), Some(1), Some(0)]);
        assert_eq!(allocate(Some(10_000_000), &all), [Some(2), Some(2), Some(1), Some(0)]);
        assert_eq!(allocate(None, &all), [Some(2), Some(2), Some(1), Some(0)]);
    }

    #[test]
    fn sound_is_never_starved() {
        let all = [wish(Rank::Screen, &[300_000]), wish(Rank::Sound, &[40_000]), wish(Rank::Sound, &[40_000])];
        assert_eq!(allocate(Some(10_000), &all), [None, Some(0), Some(0)]);
    }

    #[test]
    fn an_estimate_that_swings_by_less_than_the_headroom_moves_nothing() {
        let mut one = wish(Rank::Normal, &CAMERA);
        one.current = Some(1);
        for estimate in [505_000, 560_000, 1_500_000, 1_700_000] {
            assert_eq!(allocate(Some(estimate), std::slice::from_ref(&one)), [Some(1)], "{estimate}");
        }
        assert_eq!(allocate(Some(1_720_000), std::slice::from_ref(&one)), [Some(2)]);
        assert_eq!(allocate(Some(490_000), std::slice::from_ref(&one)), [Some(0)]);
    }

    #[test]
    fn a_picture_comes_at_its_rate_and_goes_only_where_it_would_not_pass_at_all() {
        let mut one = wish(Rank::Normal, &CAMERA[..1]);
        assert_eq!(allocate(Some(149_000), std::slice::from_ref(&one)), [None]);
        assert_eq!(allocate(Some(150_000), std::slice::from_ref(&one)), [Some(0)]);
        one.current = Some(0);
        assert_eq!(allocate(Some(120_000), std::slice::from_ref(&one)), [Some(0)]);
        assert_eq!(allocate(Some(119_000), std::slice::from_ref(&one)), [None]);
    }

    #[test]
    fn at_what_is_needed_everything_rises() {
        let one = wish(Rank::Normal, &CAMERA);
        let needed = needed(CAMERA[2]);
        assert_eq!(allocate(Some(needed), std::slice::from_ref(&one)), [Some(2)]);
        assert_eq!(allocate(Some(needed - 10), std::slice::from_ref(&one)), [Some(1)]);
    }

    #[test]
    fn one_that_fell_a_moment_ago_does_not_rise() {
        let mut one = wish(Rank::Normal, &CAMERA);
        (one.current, one.settling) = (Some(0), true);
        assert_eq!(allocate(Some(9_000_000), std::slice::from_ref(&one)), [Some(0)]);
    }

    #[test]
    fn one_whose_higher_layer_did_not_last_rises_below_it_alone_and_keeps_what_it_has() {
        let mut one = wish(Rank::Normal, &CAMERA);
        (one.current, one.barred) = (Some(0), Some(2));
        assert_eq!(allocate(Some(9_000_000), std::slice::from_ref(&one)), [Some(1)]);
        one.current = Some(2);
        assert_eq!(allocate(Some(9_000_000), std::slice::from_ref(&one)), [Some(2)]);
    }

    fn any_wish() -> impl Strategy<Value = Wish> {
        let rank = prop_oneof![
            Just(Rank::Normal),
            Just(Rank::Speaker),
            Just(Rank::Pinned),
            Just(Rank::Screen),
            Just(Rank::Sound)
        ];
        let steps = proptest::collection::vec(20_000u64..900_000, 0..4);
        (rank, steps, proptest::option::of(0usize..4), any::<bool>()).prop_map(|(rank, steps, current, settling)| {
            let rungs: Vec<u64> = steps
                .iter()
                .scan(0, |sum, step| {
                    *sum += step;
                    Some(*sum)
                })
                .collect();
            let rungs = if rank == Rank::Sound { rungs.into_iter().take(1).collect() } else { rungs };
            let current = current.filter(|current| *current < rungs.len());
            Wish { rank, rungs, current, settling, near: current.filter(|_| settling), barred: None }
        })
    }

    fn cost(wishes: &[Wish], granted: &Allocation, sound: bool) -> u64 {
        let each = wishes.iter().zip(granted).filter(|(wish, _)| sound || wish.rank != Rank::Sound);
        each.filter_map(|(wish, rung)| rung.map(|rung| wish.rungs[rung])).sum()
    }

    proptest! {
        #[test]
        fn what_is_granted_fits_unless_it_is_sound_alone(estimate in 0u64..5_000_000, wishes in proptest::collection::vec(any_wish(), 0..12)) {
            let granted = allocate(Some(estimate), &wishes);
            prop_assert!(cost(&wishes, &granted, true) <= estimate * 5 / 4 || cost(&wishes, &granted, false) == 0);
            for (wish, rung) in wishes.iter().zip(&granted) {
                prop_assert!(rung.is_none_or(|rung| rung < wish.rungs.len()));
                prop_assert!(wish.rank != Rank::Sound || wish.rungs.is_empty() || *rung == Some(0));
            }
        }

        #[test]
        fn who_gets_nothing_would_not_fit_beside_the_lowest_rungs_of_the_others(estimate in 0u64..5_000_000, wishes in proptest::collection::vec(any_wish(), 0..12)) {
            let granted = allocate(Some(estimate), &wishes);
            let lowest: u64 = wishes.iter().zip(&granted).filter(|(_, rung)| rung.is_some()).map(|(wish, _)| wish.rungs[0]).sum();
            for (wish, rung) in wishes.iter().zip(&granted) {
                if rung.is_none() && let Some(first) = wish.rungs.first() {
                    prop_assert!(lowest + first > estimate);
                }
            }
        }

        #[test]
        fn what_was_granted_is_granted_again(estimate in 0u64..5_000_000, wishes in proptest::collection::vec(any_wish(), 0..12)) {
            let granted = allocate(Some(estimate), &wishes);
            let mut again = wishes;
            for (wish, rung) in again.iter_mut().zip(&granted) {
                wish.current = *rung;
            }
            let twice = allocate(Some(estimate), &again);
            for ((wish, before), after) in again.iter().zip(&granted).zip(&twice) {
                prop_assert!(after >= before || wish.rank < Rank::Screen, "{wish:?}: {before:?} then {after:?}");
            }
            prop_assert!(cost(&again, &twice, true) <= estimate * 5 / 4 || cost(&again, &twice, false) == 0);
        }
    }
}

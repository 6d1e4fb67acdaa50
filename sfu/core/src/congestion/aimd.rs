//! The rate that the delay allows: down at once when a queue grows, up slowly near the last known limit and faster away
//! from it (draft-ietf-rmcat-gcc-02 section 5.5).

use super::BitRate;
use super::delay::Usage;
use crate::Micros;

/// On over-use the rate becomes this share of what arrives (GCC: `beta`, there 0.85). The pacer's queue empties beside it,
/// as it takes frames no faster than the rate.
const BACK_OFF: f64 = 0.9;
/// ... and where the queue is not of our making, this share of itself (GCC's `beta`).
const FOREIGN_BACK_OFF: f64 = 0.85;
/// Of what is sent, so much arrives where our packets do not wait longer and longer.
const ALL: f64 = 0.9;
/// Growth a second away from the limit (GCC: `eta`).
const GROWTH: f64 = 1.08;
/// At most so much above what arrives.
const AHEAD: f64 = 1.5;
/// ... and this beside it, so that silence can be left.
const AHEAD_MORE: BitRate = BitRate::kbps(10);
/// Weight of what arrived lately, beside the longer mean, where a queue grows by what we send.
const LATELY: f64 = 0.67;
/// Least growth near the limit, a second.
const LEAST_GROWTH: f64 = 4_000.0;
/// Time of reaction beside the round trip, microseconds.
const REACTION_US: u64 = 100_000;
/// Two cuts of one queue are so far apart, beside the round trip, microseconds: the first must be seen at work.
const CUT_SPACING_US: u64 = 200_000;
/// A cut so soon after another, microseconds ...
const AGAIN_US: u64 = 1_000_000;
/// ... leaves this share at least.
const AGAIN: f64 = 0.8;
/// Weight of a new sight of the limit.
const LIMIT_WEIGHT: f64 = 0.05;
/// Standard deviations around the limit that are still near it.
const NEAR: f64 = 3.0;

/// Where the last over-uses were.
#[derive(Debug, Default)]
struct Limit {
    kbps: Option<f64>,
    deviation: f64,
}

impl Limit {
    fn seen(&mut self, rate: BitRate) {
        let kbps = rate.0 as f64 / 1000.0;
        let known = self.kbps.map_or(kbps, |known| (1.0 - LIMIT_WEIGHT) * known + LIMIT_WEIGHT * kbps);
        let error = (known - kbps).powi(2) / known.max(1.0);
        self.deviation = ((1.0 - LIMIT_WEIGHT) * self.deviation + LIMIT_WEIGHT * error).clamp(0.4, 2.5);
        self.kbps = Some(known);
    }

    fn bounds(&self) -> Option<(f64, f64)> {
        let kbps = self.kbps?;
        let spread = NEAR * (self.deviation * kbps).sqrt();
        Some((kbps - spread, kbps + spread))
    }
}

/// What the rest of the estimator knows.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Rate of arrival.
    pub acked: Option<BitRate>,
    /// The same in the last eighth of a second.
    pub recent: BitRate,
    /// What was sent in such a time.
    pub sent: BitRate,
    /// Round trip, microseconds.
    pub round_trip: u64,
    /// Bounds of the rate.
    pub bounds: (BitRate, BitRate),
}

/// Rate control by delay.
#[derive(Debug)]
pub struct Aimd {
    rate: BitRate,
    limit: Limit,
    raised: Option<Micros>,
    cut: Option<Micros>,
    holding: bool,
}

impl Aimd {
    /// Begins at `start`.
    pub fn new(start: BitRate) -> Self {
        Self {
            rate: start,
            limit: Limit { deviation: 0.4, ..Limit::default() },
            raised: None,
            cut: None,
            holding: false,
        }
    }

    /// The rate now.
    pub fn rate(&self) -> BitRate {
        self.rate
    }

    /// A probe or another source knows better.
    pub fn set(&mut self, now: Micros, rate: BitRate) {
        if self.limit.bounds().is_some_and(|(_, high)| rate.0 as f64 / 1000.0 > high) {
            self.limit = Limit { deviation: 0.4, ..Limit::default() };
        }
        (self.rate, self.raised) = (rate, Some(now));
    }

    /// Loss bounds what is sent, so that nobody can tell whether more would be carried.
    pub fn stay_below(&mut self, most: BitRate) {
        self.rate = self.rate.min(most);
    }

    /// When the rate was last cut.
    pub fn last_cut(&self) -> Option<Micros> {
        self.cut
    }

    /// Feedback came.
    pub fn update(&mut self, now: Micros, usage: Usage, known: Known) {
        match usage {
            Usage::Over => self.reduce(now, known),
            Usage::Under => self.holding = true,
            Usage::Normal if self.holding => {
                self.holding = false;
                self.raised = Some(now);
            }
            Usage::Normal => self.raise(now, known),
        }
    }

    fn reduce(&mut self, now: Micros, known: Known) {
        self.holding = true;
        if self.cut.is_some_and(|cut| now.since(cut) < known.round_trip + CUT_SPACING_US) {
            return;
        }
        // what arrived lately says more than the longer mean where it is we who send more than passes
        let ours = known.recent < known.sent.scale(ALL);
        let mean = |acked: BitRate| {
            if ours { acked.scale(1.0 - LATELY).plus(known.recent.scale(LATELY)) } else { acked }
        };
        let Some(acked) = known.acked.map(|acked| mean(acked).max(known.recent)) else {
            self.cut = Some(now);
            self.rate = self.rate.scale(BACK_OFF).max(known.bounds.0);
            return;
        };
        if self.limit.bounds().is_some_and(|(low, _)| (acked.0 as f64 / 1000.0) < low) {
            self.limit = Limit { deviation: 0.4, ..Limit::default() };
        }
        let again = self.cut.replace(now).is_some_and(|cut| now.since(cut) < AGAIN_US);
        if known.recent >= known.sent.scale(ALL) && acked.scale(BACK_OFF) < self.rate.scale(FOREIGN_BACK_OFF) {
            // less is sent than might be, and it arrives as fast: the queue is another's, and says little of our limit
            self.rate = self.rate.scale(FOREIGN_BACK_OFF).max(known.bounds.0);
            return;
        }
        self.limit.seen(acked);
        // right after a cut much less is sent, and what arrives says little while the queue empties
        let least = if again { self.rate.scale(AGAIN) } else { known.bounds.0 };
        self.rate = self.rate.min(acked.scale(BACK_OFF).max(least)).max(known.bounds.0);
    }

    fn raise(&mut self, now: Micros, known: Known) {
        let elapsed = self.raised.map_or(0, |at| now.since(at)).min(1_000_000) as f64 / 1_000_000.0;
        self.raised = Some(now);
        let acked_kbps = known.acked.map(|acked| acked.0 as f64 / 1000.0);
        if let (Some((_, high)), Some(acked)) = (self.limit.bounds(), acked_kbps)
            && acked > high
        {
            self.limit = Limit { deviation: 0.4, ..Limit::default() };
        }
        // what arrives while no queue grows is carried, whatever was thought before; a cut would leave as much
        let carried = known.acked.unwrap_or(BitRate::ZERO).scale(BACK_OFF);
        self.rate = self.rate.max(carried).min(known.bounds.1);
        let rate = self.rate.0 as f64;
        let grown = if self.limit.kbps.is_some() {
            // one packet of a picture more per reaction time
            let frame_bits = rate / 30.0;
            let packet_bits = frame_bits / (frame_bits / 9_600.0).ceil().max(1.0);
            let reaction = (known.round_trip + REACTION_US) as f64 / 1_000_000.0;
            rate + (packet_bits / reaction).max(LEAST_GROWTH) * elapsed
        } else {
            rate * GROWTH.powf(elapsed) + 1000.0 * elapsed
        };
        let grown = BitRate(grown as u64);
        let most = known.acked.map_or(known.bounds.1, |acked| acked.scale(AHEAD).plus(AHEAD_MORE));
        // what a probe found is not taken back by silence
        self.rate = grown.min(most.max(self.rate)).min(known.bounds.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: (BitRate, BitRate) = (BitRate::kbps(50), BitRate::kbps(10_000));

    fn known(acked: u64) -> Known {
        Known {
            acked: Some(BitRate::kbps(acked)),
            recent: BitRate::kbps(acked),
            sent: BitRate::kbps(acked * 6 / 5),
            round_trip: 100_000,
            bounds: BOUNDS,
        }
    }

    #[test]
    fn over_use_cuts_below_what_arrives_once_a_queue() {
        let mut aimd = Aimd::new(BitRate::kbps(2000));
        aimd.update(Micros(1_000_000), Usage::Over, known(1000));
        assert_eq!(aimd.rate(), BitRate::kbps(900));
        aimd.update(Micros(1_100_000), Usage::Over, known(900));
        assert_eq!(aimd.rate(), BitRate::kbps(900), "the first cut is not at work yet");
        aimd.update(Micros(1_400_000), Usage::Over, known(600));
        assert_eq!(aimd.rate(), BitRate::kbps(720), "what arrives so soon after a cut says little");
        aimd.update(Micros(2_400_000), Usage::Over, known(600));
        assert_eq!(aimd.rate(), BitRate::kbps(540));
    }

    #[test]
    fn where_a_link_has_just_fallen_what_arrived_lately_counts_more_than_the_longer_mean() {
        let fell = |sent| Known { recent: BitRate::kbps(560), sent: BitRate::kbps(sent), ..known(1440) };
        let mut aimd = Aimd::new(BitRate::kbps(2900));
        aimd.update(Micros(1_000_000), Usage::Over, fell(1460));
        let cut = aimd.rate().0 / 1000;
        assert!((760..=770).contains(&cut), "{cut}");
        let mut aimd = Aimd::new(BitRate::kbps(2900));
        aimd.update(Micros(1_000_000), Usage::Over, Known { acked: Some(BitRate::kbps(400)), ..fell(1460) });
        assert_eq!(aimd.rate(), BitRate::kbps(504), "more than before arrives");
    }

    #[test]
    fn loss_that_bounds_keeps_it_near() {
        let mut aimd = Aimd::new(BitRate::kbps(1600));
        aimd.stay_below(BitRate::kbps(400));
        aimd.stay_below(BitRate::kbps(9000));
        assert_eq!(aimd.rate(), BitRate::kbps(400));
    }

    #[test]
    fn a_queue_of_anothers_making_costs_little() {
        let quiet = |sent| Known { recent: BitRate::kbps(50), sent: BitRate::kbps(sent), ..known(50) };
        let mut aimd = Aimd::new(BitRate::kbps(1000));
        aimd.update(Micros(1_000_000), Usage::Over, quiet(50));
        assert_eq!(aimd.rate(), BitRate::kbps(850), "all that was sent arrived");
        let mut aimd = Aimd::new(BitRate::kbps(1000));
        aimd.update(Micros(1_000_000), Usage::Over, quiet(100));
        assert_eq!(aimd.rate(), BitRate::kbps(50), "half of it waits");
    }

    #[test]
    fn what_arrives_without_a_queue_is_carried() {
        let mut aimd = Aimd::new(BitRate::kbps(300));
        aimd.update(Micros(1_000_000), Usage::Normal, known(1000));
        assert_eq!(aimd.rate(), BitRate::kbps(900));
    }

    #[test]
    fn growth_is_eight_percent_a_second_far_from_the_limit_and_slower_near_it() {
        let mut aimd = Aimd::new(BitRate::kbps(1000));
        for tick in 0..=20 {
            aimd.update(Micros(tick * 50_000), Usage::Normal, known(1000));
        }
        assert!((1075..=1085).contains(&(aimd.rate().0 / 1000)), "{}", aimd.rate());
        aimd.update(Micros(2_000_000), Usage::Over, known(1000));
        for tick in 0..=21 {
            aimd.update(Micros(2_500_000 + tick * 50_000), Usage::Normal, known(900));
        }
        assert!((930..=960).contains(&(aimd.rate().0 / 1000)), "{}", aimd.rate());
    }

    #[test]
    fn growth_stays_near_what_arrives() {
        let mut aimd = Aimd::new(BitRate::kbps(300));
        for tick in 0..=2000 {
            aimd.update(Micros(tick * 50_000), Usage::Normal, known(200));
        }
        assert_eq!(aimd.rate(), BitRate::kbps(310));
    }
}

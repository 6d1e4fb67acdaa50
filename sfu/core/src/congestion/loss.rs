//! The rate that loss allows. Loss that goes away when less is sent is congestion, and the lower rate stays; loss that
//! stays is the link's own (radio), and the cut is taken back. So 5 % of random loss costs one short trial, not the rate.

use super::BitRate;
use crate::Micros;

/// Loss is judged over so long ...
const INTERVAL_US: u64 = 250_000;
/// ... and so many packets at least.
const LEAST_PACKETS: u32 = 20;
/// More than this above the link's own loss is cut at once (GCC section 6).
const MUCH: f64 = 0.10;
/// More than this is tried with a lower rate when it lasts (GCC section 6: above it the rate does not grow).
const SOME: f64 = 0.02;
/// It lasts when it was there for so many intervals.
const LASTING: u32 = 4;
/// A trial of a lower rate takes so long: the queue must empty first.
const TRIAL_US: u64 = 1_000_000;
/// Loss that falls below this share of what it was came from our rate.
const FELL_TO: f64 = 0.5;
/// A trial's cut at least.
const LEAST_CUT: f64 = 0.05;
/// Growth of the bound a second while there is little loss (GCC section 6).
const GROWTH: f64 = 1.08;
/// Weight of a new interval in the link's own loss, when it is lower.
const FORGET: f64 = 0.3;
/// No more than this is ever taken for the link's own: such a link is of no use at full rate.
const MOST_OWN: f64 = 0.20;

#[derive(Debug, Clone, Copy)]
struct Trial {
    began: Micros,
    loss: f64,
    lost: u32,
    packets: u32,
}

/// Rate control by loss.
#[derive(Debug, Default)]
pub struct LossControl {
    bound: Option<BitRate>,
    lost: u32,
    packets: u32,
    since: Option<Micros>,
    lasting: u32,
    own: f64,
    last: f64,
    trial: Option<Trial>,
    grown: Option<Micros>,
}

impl LossControl {
    /// A feedback told of so many packets, so many of them missing.
    pub fn note(&mut self, packets: u32, lost: u32) {
        self.packets += packets;
        self.lost += lost;
        if let Some(trial) = &mut self.trial {
            trial.packets += packets;
            trial.lost += lost;
        }
    }

    /// Share lost in the last interval.
    pub fn loss(&self) -> f64 {
        self.last
    }

    /// Is loss above the link's own at present? Then nothing should be probed.
    pub fn is_lossy(&self) -> bool {
        self.last > self.own + MUCH
    }

    /// A probe of this rate arrived: a bound below it bounds nothing that is there now.
    pub fn lift(&mut self, found: BitRate) {
        if self.bound.is_some_and(|bound| bound < found) {
            (self.bound, self.trial, self.lasting) = (None, None, 0);
        }
    }

    /// The bound now, given the rate in use and that of what arrives: `None` while loss bounds nothing.
    pub fn update(&mut self, now: Micros, rate: BitRate, arriving: BitRate) -> Option<BitRate> {
        let since = *self.since.get_or_insert(now);
        if let Some(trial) = self.trial.filter(|trial| now.since(trial.began) >= TRIAL_US) {
            self.judge(trial);
        }
        if now.since(since) < INTERVAL_US || self.packets < LEAST_PACKETS {
            return self.bound;
        }
        let loss = f64::from(self.lost) / f64::from(self.packets);
        (self.lost, self.packets, self.since, self.last) = (0, 0, Some(now), loss);
        if loss < self.own {
            self.own += (loss - self.own) * FORGET;
        }
        let excess = loss - self.own;
        self.lasting = if excess > SOME { self.lasting + 1 } else { 0 };
        if self.trial.is_none() && (excess > MUCH || self.lasting >= LASTING) {
            // to what arrives, and no lower: what was lost may have been sent at the rate before
            let cut = loss.max(LEAST_CUT);
            self.trial = Some(Trial { began: now, loss, lost: 0, packets: 0 });
            self.bound = Some(rate.scale(1.0 - cut).max(arriving.min(rate)));
        } else if self.trial.is_some() && excess > 2.0 * MUCH {
            // far too much: the trial's cut was too small
            let before = self.bound.unwrap_or(rate).min(rate);
            self.bound = Some(before.scale(1.0 - loss / 2.0).max(arriving.min(before)));
        } else if excess <= SOME && self.trial.is_none() {
            self.grow(now, rate);
        }
        self.grown = Some(now);
        self.bound
    }

    fn judge(&mut self, trial: Trial) {
        if trial.packets < LEAST_PACKETS {
            return; // nothing was told: the trial goes on
        }
        self.trial = None;
        self.lasting = 0;
        let after = f64::from(trial.lost) / f64::from(trial.packets);
        if after >= FELL_TO * trial.loss {
            self.own = after.min(MOST_OWN);
            // what it was before is the delay's to say
            self.bound = None;
        }
    }

    fn grow(&mut self, now: Micros, rate: BitRate) {
        let Some(bound) = self.bound else { return };
        let elapsed = self.grown.map_or(0, |at| now.since(at)).min(1_000_000) as f64 / 1_000_000.0;
        let grown = bound.scale(GROWTH.powf(elapsed));
        // a bound far above what is in use bounds nothing
        self.bound = (grown < rate.scale(2.0)).then_some(grown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds 100 packets a 100 ms with the loss that `of` gives for the bound; the bounds seen.
    fn run(control: &mut LossControl, ms: std::ops::Range<u64>, of: impl Fn(BitRate) -> u32) -> Vec<BitRate> {
        let rate = BitRate::kbps(1000);
        let mut seen = Vec::new();
        for at in ms.step_by(100) {
            let now = control.bound.unwrap_or(rate).min(rate);
            let lost = of(now);
            control.note(100, lost);
            control.update(Micros(at * 1000), now, now.scale(1.0 - f64::from(lost) / 100.0));
            seen.push(control.bound.unwrap_or(rate).min(rate));
        }
        seen
    }

    #[test]
    fn loss_that_stays_when_less_is_sent_costs_one_trial() {
        let mut control = LossControl::default();
        let seen = run(&mut control, 0..20_000, |_| 5);
        assert!(seen.iter().min() < Some(&BitRate::kbps(1000)), "it was tried");
        assert!(seen[60..].iter().all(|rate| *rate == BitRate::kbps(1000)), "{:?}", &seen[60..]);
    }

    #[test]
    fn loss_that_comes_of_our_rate_keeps_the_rate_down() {
        let mut control = LossControl::default();
        let policer = |rate: BitRate| if rate > BitRate::kbps(700) { 100 - (70_000_000 / rate.0) as u32 } else { 0 };
        let seen = run(&mut control, 0..30_000, policer);
        let late = &seen[150..];
        assert!(late.iter().all(|rate| *rate <= BitRate::kbps(900)), "{late:?}");
        let mean = late.iter().map(|r| r.0).sum::<u64>() / late.len() as u64;
        assert!((600_000..=800_000).contains(&mean), "{mean}");
    }

    #[test]
    fn what_arrives_is_left_where_more_was_lost_than_the_rate_in_use_can_explain() {
        let (rate, arriving) = (BitRate::kbps(600), BitRate::kbps(500));
        let mut control = LossControl::default();
        // the rate fell a moment ago: seven in ten of what was sent at the one before are lost
        control.note(30, 0);
        control.update(Micros(1), rate, arriving);
        control.note(100, 70);
        let bound = control.update(Micros(300_000), rate, arriving).expect("much was lost");
        assert_eq!(bound, arriving);
        control.note(100, 70);
        let bound = control.update(Micros(600_000), rate, arriving).expect("and still is");
        assert_eq!(bound, arriving);
        let mut control = LossControl::default();
        control.note(100, 70);
        control.update(Micros(1), rate, BitRate::ZERO);
        let bound = control.update(Micros(300_000), rate, BitRate::ZERO).expect("much was lost");
        assert!(bound < rate.scale(0.4), "nobody knows what arrives: {bound}");
    }

    #[test]
    fn a_burst_of_one_second_is_over_within_two() {
        let mut control = LossControl::default();
        run(&mut control, 0..2000, |_| 0);
        run(&mut control, 2000..3000, |_| 20);
        let seen = run(&mut control, 3000..6000, |_| 0);
        assert!(seen[20..].iter().all(|rate| *rate >= BitRate::kbps(900)), "{seen:?}");
    }

    #[test]
    fn a_probe_that_arrived_lifts_a_bound_below_it_and_no_other() {
        let mut control = LossControl::default();
        run(&mut control, 0..1000, |_| 40);
        let bound = control.bound.expect("much was lost");
        control.lift(bound.scale(0.9));
        assert_eq!(control.bound, Some(bound));
        control.lift(bound.scale(1.1));
        assert_eq!(control.bound, None);
    }
}

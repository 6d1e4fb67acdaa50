//! Is a queue growing? The delay gradient between groups of packets, its trend over a window and an adaptive threshold
//! (draft-ietf-rmcat-gcc-02 sections 5.1 to 5.4, with the trendline filter that browsers use in place of the Kalman
//! filter).

use crate::Micros;
use std::collections::VecDeque;

/// Packets that leave within so long are one group (GCC section 5.2: `burst_time`).
const GROUP_US: u64 = 5_000;
/// A burst that arrives back to back is one group, up to so long.
const MAX_BURST_US: u64 = 100_000;
/// Groups in the trend's window: 0.3 to 0.7 s of a call.
const WINDOW: usize = 20;
/// Weight of the past in the smoothed delay.
const SMOOTHING: f64 = 0.9;
/// Trend times this (and the number of groups, up to [`MAX_DELTAS`]) is compared with the threshold.
const GAIN: f64 = 4.0;
/// More groups than this make a trend no surer.
const MAX_DELTAS: f64 = 60.0;
/// First threshold, ms (GCC section 5.4: `del_var_th`).
const FIRST_THRESHOLD: f64 = 12.5;
/// Bounds of the threshold, ms.
const THRESHOLD: (f64, f64) = (6.0, 600.0);
/// How fast the threshold rises and falls: fast down, slow up, so that flows which fill queues do not starve us.
const RISE: f64 = 0.0087;
const FALL: f64 = 0.039;
/// A trend so far above the threshold is a spike and does not move it, ms.
const SPIKE: f64 = 15.0;
/// Over-use must last so long to count, ms (GCC section 5.4: `overuse_time_th`).
const OVERUSE_MS: f64 = 10.0;
/// Times that jump by more than this are another clock: start over.
const MAX_GAP_US: u64 = 3_000_000;

/// What the delay says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Usage {
    /// The queue stands.
    #[default]
    Normal,
    /// It grows.
    Over,
    /// It empties.
    Under,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent: u64,
    last_sent: u64,
    first_arrival: u64,
    last_arrival: u64,
}

impl Group {
    fn new(sent: u64, arrival: u64) -> Self {
        Self { first_sent: sent, last_sent: sent, first_arrival: arrival, last_arrival: arrival }
    }

    fn takes(&self, sent: u64, arrival: u64) -> bool {
        if sent - self.first_sent <= GROUP_US {
            return true;
        }
        let between = arrival.saturating_sub(self.last_arrival);
        let queued = (sent - self.last_sent) > between;
        queued && between <= GROUP_US && arrival.saturating_sub(self.first_arrival) < MAX_BURST_US
    }
}

/// The detector of one transport.
#[derive(Debug)]
pub struct DelayDetector {
    current: Option<Group>,
    previous: Option<Group>,
    window: VecDeque<(f64, f64)>,
    first_arrival: Option<u64>,
    accumulated: f64,
    smoothed: f64,
    groups: u32,
    threshold: f64,
    updated: Option<f64>,
    last_trend: f64,
    over_for: Option<f64>,
    over_count: u32,
    usage: Usage,
}

impl Default for DelayDetector {
    fn default() -> Self {
        Self {
            current: None,
            previous: None,
            window: VecDeque::with_capacity(WINDOW + 1),
            first_arrival: None,
            accumulated: 0.0,
            smoothed: 0.0,
            groups: 0,
            threshold: FIRST_THRESHOLD,
            updated: None,
            last_trend: 0.0,
            over_for: None,
            over_count: 0,
            usage: Usage::Normal,
        }
    }
}

impl DelayDetector {
    /// A packet left at `sent` (our clock) and arrived at `arrival` (the receiver's clock, microseconds).
    pub fn note(&mut self, sent: Micros, arrival: u64) {
        let sent = sent.0;
        let Some(current) = &mut self.current else {
            self.current = Some(Group::new(sent, arrival));
            return;
        };
        if sent < current.first_sent {
            return; // overtaken: its group is closed
        }
        let jumped = arrival.abs_diff(current.last_arrival) > MAX_GAP_US;
        if jumped {
            *self = Self { threshold: self.threshold, ..Self::default() };
            self.current = Some(Group::new(sent, arrival));
            return;
        }
        if current.takes(sent, arrival) {
            current.last_sent = current.last_sent.max(sent);
            current.last_arrival = current.last_arrival.max(arrival);
            return;
        }
        let done = *current;
        *current = Group::new(sent, arrival);
        if let Some(previous) = self.previous.replace(done) {
            let sent_delta = (done.last_sent - previous.last_sent) as f64 / 1000.0;
            let arrival_delta = (done.last_arrival as f64 - previous.last_arrival as f64) / 1000.0;
            self.group(sent_delta, arrival_delta, done.last_arrival);
        }
    }

    fn group(&mut self, sent_delta: f64, arrival_delta: f64, arrival: u64) {
        let origin = *self.first_arrival.get_or_insert(arrival);
        let at = (arrival as f64 - origin as f64) / 1000.0;
        self.groups = self.groups.saturating_add(1);
        self.accumulated += arrival_delta - sent_delta;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.accumulated;
        self.window.push_back((at, self.smoothed));
        if self.window.len() > WINDOW {
            self.window.pop_front();
        }
        let trend = if self.window.len() == WINDOW { slope(&self.window) } else { None };
        self.detect(trend.unwrap_or(self.last_trend), sent_delta, at);
    }

    fn detect(&mut self, trend: f64, sent_delta: f64, at: f64) {
        if self.groups < 2 {
            self.usage = Usage::Normal;
            return;
        }
        let signal = f64::from(self.groups).min(MAX_DELTAS) * trend * GAIN;
        if signal > self.threshold {
            let over = self.over_for.map_or(sent_delta / 2.0, |over| over + sent_delta);
            self.over_for = Some(over);
            self.over_count += 1;
            if over > OVERUSE_MS && self.over_count > 1 && trend >= self.last_trend {
                (self.over_for, self.over_count) = (Some(0.0), 0);
                self.usage = Usage::Over;
            }
        } else {
            (self.over_for, self.over_count) = (None, 0);
            self.usage = if signal < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.last_trend = trend;
        self.adapt(signal.abs(), at);
    }

    fn adapt(&mut self, signal: f64, at: f64) {
        let last = self.updated.replace(at).unwrap_or(at);
        if signal > self.threshold + SPIKE {
            return;
        }
        let speed = if signal < self.threshold { FALL } else { RISE };
        let elapsed = (at - last).clamp(0.0, 100.0);
        self.threshold = (self.threshold + speed * (signal - self.threshold) * elapsed).clamp(THRESHOLD.0, THRESHOLD.1);
    }

    /// What the delay says now.
    pub fn usage(&self) -> Usage {
        self.usage
    }
}

/// Least-squares slope.
fn slope(points: &VecDeque<(f64, f64)>) -> Option<f64> {
    let count = points.len() as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0, y + p.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (up, down) = points
        .iter()
        .fold((0.0, 0.0), |(up, down), (x, y)| (up + (x - mean_x) * (y - mean_y), down + (x - mean_x) * (x - mean_x)));
    (down > 0.0).then(|| up / down)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet every 10 ms, each `growth` microseconds later than the one before; what was ever said.
    fn run(detector: &mut DelayDetector, from: u64, packets: u64, growth: i64) -> Vec<Usage> {
        let mut said = Vec::new();
        for n in 0..packets {
            let sent = from + n * 10_000;
            let arrival = (sent + 50_000).saturating_add_signed(growth * n as i64);
            detector.note(Micros(sent), arrival);
            if said.last() != Some(&detector.usage()) {
                said.push(detector.usage());
            }
        }
        said
    }

    #[test]
    fn a_standing_delay_is_normal_a_growing_one_is_over_a_shrinking_one_under() {
        let mut detector = DelayDetector::default();
        assert_eq!(run(&mut detector, 0, 200, 0), [Usage::Normal]);
        assert!(run(&mut detector, 2_000_000, 60, 2_000).contains(&Usage::Over), "2 ms more each 10 ms");
        let mut detector = DelayDetector::default();
        run(&mut detector, 0, 200, 0);
        assert!(run(&mut detector, 2_000_000, 60, -2_000).contains(&Usage::Under));
    }

    #[test]
    fn over_use_is_said_within_a_third_of_a_second() {
        let mut detector = DelayDetector::default();
        run(&mut detector, 0, 300, 0);
        let mut after = None;
        for n in 0..100 {
            let sent = 3_000_000 + n * 10_000;
            detector.note(Micros(sent), sent + 50_000 + n * 3_000);
            if detector.usage() == Usage::Over {
                after = after.or(Some(n * 10));
            }
        }
        assert!(after.is_some_and(|ms| ms <= 330), "{after:?}");
    }

    #[test]
    fn even_jitter_is_no_over_use() {
        let mut detector = DelayDetector::default();
        let mut seed = 5u64;
        for n in 0..3_000u64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let sent = n * 20_000;
            detector.note(Micros(sent), sent + 50_000 + (seed >> 33) % 8_000);
            assert_ne!(detector.usage(), Usage::Over, "packet {n}");
        }
    }

    #[test]
    fn a_jump_of_the_receivers_clock_starts_over() {
        let mut detector = DelayDetector::default();
        run(&mut detector, 0, 100, 0);
        detector.note(Micros(1_000_000), 900_000_000);
        assert!(detector.window.is_empty());
    }
}

//! How busy a shard's thread is, and what follows: told each sleep and each drained queue, it says how much is to be left
//! out. A receive queue that was never empty for [`STUCK`] grows: every further such time one step more is left out. A
//! second with enough sleep takes one step back.

use sfu_core::Shed;
use std::time::{Duration, Instant};

/// A queue that is not drained for so long grows: a key frame to 200 subscribers takes half of it, and the socket buffer
/// holds three times as much.
const STUCK: Duration = Duration::from_millis(100);
/// Shares are taken over so long.
const WINDOW: Duration = Duration::from_secs(1);
/// Below this share of busy time there is room for what was left out: a quarter of the pictures costs less than the rest.
const ROOM: f64 = 0.6;

/// Measures one thread.
#[derive(Debug)]
pub struct Meter {
    begun: Instant,
    slept: Duration,
    drained: Instant,
    busy: f64,
    shed: Shed,
}

impl Meter {
    /// A thread that has not done anything.
    pub fn new(now: Instant) -> Self {
        Self { begun: now, slept: Duration::ZERO, drained: now, busy: 0.0, shed: Shed::NONE }
    }

    /// It slept for so long.
    pub fn slept(&mut self, time: Duration) {
        self.slept += time;
    }

    /// Nothing was left in the receive queues.
    pub fn drained(&mut self, now: Instant) {
        self.drained = now;
    }

    /// A turn ended. Says how much is to be left out, if that changed.
    pub fn turn(&mut self, now: Instant) -> Option<Shed> {
        let before = self.shed;
        if now.saturating_duration_since(self.drained) >= STUCK {
            self.drained = now;
            self.shed = self.shed.more();
        }
        let passed = now.saturating_duration_since(self.begun);
        if passed >= WINDOW {
            self.busy = 1.0 - (self.slept.as_secs_f64() / passed.as_secs_f64()).min(1.0);
            (self.begun, self.slept) = (now, Duration::ZERO);
            if self.busy < ROOM && self.shed == before {
                self.shed = self.shed.less();
            }
        }
        (self.shed != before).then_some(self.shed)
    }

    /// Share of the last whole second that it worked, in thousandths.
    pub fn busy_permille(&self) -> u64 {
        (self.busy * 1000.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Runs turns of 1 ms, each after a sleep of `sleep`, for `time`; returns every change with its time in ms.
    fn run(meter: &mut Meter, now: &mut Instant, sleep: Duration, time: Duration) -> Vec<(u128, u8)> {
        let (start, mut changes) = (*now, Vec::new());
        while *now - start < time {
            *now += sleep;
            meter.slept(sleep);
            *now += MS;
            if !sleep.is_zero() {
                meter.drained(*now);
            }
            if let Some(shed) = meter.turn(*now) {
                changes.push(((*now - start).as_millis(), shed.step()));
            }
        }
        changes
    }

    #[test]
    fn a_queue_that_is_not_drained_leaves_out_more_every_tenth_of_a_second_and_takes_it_back_with_room() {
        let mut now = Instant::now();
        let mut meter = Meter::new(now);
        let second = Duration::from_secs(1);
        assert!(run(&mut meter, &mut now, MS, 3 * second).is_empty(), "half busy");
        assert_eq!(meter.busy_permille(), 500);
        let changes = run(&mut meter, &mut now, Duration::ZERO, 2 * second);
        assert_eq!(changes, [(100, 1), (200, 2), (300, 3), (400, 4), (500, 5), (600, 6)]);
        assert_eq!(meter.busy_permille(), 1000);
        assert!(run(&mut meter, &mut now, MS / 4, 3 * second).is_empty(), "80 % busy: no room");
        let back: Vec<u8> = run(&mut meter, &mut now, MS, 8 * second).into_iter().map(|(_, step)| step).collect();
        assert_eq!(back, [5, 4, 3, 2, 1, 0]);
    }
}

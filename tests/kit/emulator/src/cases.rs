//! The schedules of a subscriber's link that a forwarder is judged by.

use crate::link::{Conditions, Link, Loss};
use sfu_core::{BitRate, Micros};

/// A named schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name in results.
    pub name: &'static str,
    /// Seconds it takes.
    pub seconds: u64,
    /// Towards the subscribers: second and conditions, the first at 0.
    pub down: Vec<(u64, Conditions)>,
    /// From them.
    pub up: Vec<(u64, Conditions)>,
    /// Subscribers that share the link.
    pub subscribers: usize,
}

impl Case {
    /// Its links towards the subscribers and from them, from a time on; the seed decides what is lost.
    pub fn links<T>(&self, start: Micros, seed: u64) -> (Link<T>, Link<T>) {
        let link = |schedule: &[(u64, Conditions)], seed| {
            let mut link = Link::new(schedule[0].1, seed);
            for (second, conditions) in &schedule[1..] {
                link.change_at(start.plus(second * 1_000_000), *conditions);
            }
            link
        };
        (link(&self.down, seed), link(&self.up, seed ^ 0xff))
    }
}

fn one(name: &'static str, seconds: u64, down: Vec<(u64, Conditions)>) -> Case {
    Case { name, seconds, down, up: vec![(0, Conditions::open(50_000))], subscribers: 1 }
}

fn steps(steps: &[(u64, u64)]) -> Vec<(u64, Conditions)> {
    steps.iter().map(|(at, kbps)| (*at, Conditions::narrow(*kbps))).collect()
}

/// All cases.
pub fn all() -> Vec<Case> {
    let wide = Conditions::narrow(10_000);
    let burst = wide.with_loss(Loss::Random(200_000));
    vec![
        one("rfc8867_5.1", 100, steps(&[(0, 1000), (40, 2500), (60, 600), (80, 1000)])),
        Case {
            subscribers: 2,
            ..one("rfc8867_5.2", 125, steps(&[(0, 4000), (25, 2000), (50, 3500), (75, 1000), (100, 2000)]))
        },
        Case {
            up: steps(&[(0, 2000), (35, 800), (70, 2000)]),
            ..one("rfc8867_5.3", 100, steps(&[(0, 2000), (20, 1000), (40, 500), (60, 2000)]))
        },
        one("burst_20_percent_1s", 40, vec![(0, wide), (20, burst), (21, wide)]),
        one("loss_5_percent_100ms", 60, vec![(0, wide.with_loss(Loss::Random(50_000)))]),
        one("bursty_wifi", 60, vec![(0, wide.with_loss(Loss::Bursty { enter: 5_000, leave: 150_000, lost: 600_000 }))]),
        one("jitter_30ms", 60, vec![(0, Conditions { jitter_us: 30_000, ..Conditions::narrow(2000) })]),
        one("300_kbps", 60, steps(&[(0, 300)])),
        one("500_kbps", 60, steps(&[(0, 500)])),
        one("1_mbps", 60, steps(&[(0, 1000)])),
        one("2_mbps", 60, steps(&[(0, 2000)])),
        one("open", 30, vec![(0, Conditions { rate: Some(BitRate::kbps(100_000)), ..wide })]),
    ]
}

/// The case of a name.
pub fn named(name: &str) -> Option<Case> {
    all().into_iter().find(|case| case.name == name)
}

//! One direction of a network path: a bottleneck with a drop-tail queue, then propagation with jitter that keeps the
//! order, with random or bursty loss before it. Conditions change by a schedule.
//!
//! Own, and not `str0m-netem`: there the packets that propagate fill the bottleneck's queue, so that 50 ms of path make a
//! 300 ms queue a shorter one, and a change of rate does not reach what is queued already.

use crate::dice::Dice;
use sfu_core::{BitRate, Micros};
use std::collections::VecDeque;

/// Bytes of IPv4 and UDP around each packet: they take the link's time too.
pub const OVERHEAD: usize = 28;

/// How packets are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loss {
    /// Not at all.
    #[default]
    None,
    /// Each by itself, so many in a million.
    Random(u64),
    /// In bursts (Gilbert and Elliott); all in millionths a packet.
    Bursty {
        /// From good to bad.
        enter: u64,
        /// From bad to good.
        leave: u64,
        /// Lost while bad.
        lost: u64,
    },
}

/// What a link is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    /// Rate of the bottleneck; `None`: none.
    pub rate: Option<BitRate>,
    /// Longest queue, as time at the rate, microseconds.
    pub queue_us: u64,
    /// Propagation, microseconds.
    pub delay_us: u64,
    /// Up to so much more, evenly, microseconds.
    pub jitter_us: u64,
    /// Loss.
    pub loss: Loss,
}

impl Conditions {
    /// A path without a bottleneck.
    pub const fn open(delay_us: u64) -> Self {
        Self { rate: None, queue_us: 0, delay_us, jitter_us: 0, loss: Loss::None }
    }

    /// A bottleneck of `kbps` with a queue of 300 ms behind 50 ms of path: the defaults of RFC 8867 section 4.
    pub const fn narrow(kbps: u64) -> Self {
        Self { rate: Some(BitRate::kbps(kbps)), queue_us: 300_000, ..Self::open(50_000) }
    }

    /// With loss.
    pub const fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }
}

/// What a link did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets in.
    pub offered: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Lost because the queue was full.
    pub overflowed: u64,
    /// Bytes out of the bottleneck, [`OVERHEAD`] included.
    pub carried: u64,
    /// Longest wait in the queue, microseconds.
    pub longest_wait: u64,
}

/// A link that carries `T`.
#[derive(Debug)]
pub struct Link<T> {
    conditions: Conditions,
    schedule: VecDeque<(Micros, Conditions)>,
    dice: Dice,
    bad: bool,
    queue: VecDeque<(T, usize, Micros)>,
    queued: usize,
    /// When the packet at the head has left the bottleneck.
    head_done: Option<Micros>,
    under_way: VecDeque<(Micros, T)>,
    last_arrival: Micros,
    tally: Tally,
}

impl<T> Link<T> {
    /// A link of a seed.
    pub fn new(conditions: Conditions, seed: u64) -> Self {
        Self {
            conditions,
            schedule: VecDeque::new(),
            dice: Dice::new(seed),
            bad: false,
            queue: VecDeque::new(),
            queued: 0,
            head_done: None,
            under_way: VecDeque::new(),
            last_arrival: Micros(0),
            tally: Tally::default(),
        }
    }

    /// Changes the conditions at a time; times must rise.
    pub fn change_at(&mut self, at: Micros, conditions: Conditions) {
        self.schedule.push_back((at, conditions));
    }

    /// The conditions now.
    pub fn conditions(&self) -> Conditions {
        self.conditions
    }

    /// What it did so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    fn is_lost(&mut self) -> bool {
        match self.conditions.loss {
            Loss::None => false,
            Loss::Random(millionths) => self.dice.chance(millionths),
            Loss::Bursty { enter, leave, lost } => {
                let turn = if self.bad { leave } else { enter };
                self.bad ^= self.dice.chance(turn);
                self.bad && self.dice.chance(lost)
            }
        }
    }

    /// A packet of `size` bytes (UDP payload) enters.
    pub fn send(&mut self, now: Micros, size: usize, packet: T) {
        self.advance(now);
        self.tally.offered += 1;
        if self.is_lost() {
            self.tally.lost += 1;
            return;
        }
        let size = size + OVERHEAD;
        let Some(rate) = self.conditions.rate else {
            self.tally.carried += size as u64;
            self.propagate(now, packet);
            return;
        };
        if self.queued + size > rate.bytes_in(self.conditions.queue_us) as usize && !self.queue.is_empty() {
            self.tally.overflowed += 1;
            return;
        }
        self.queued += size;
        self.queue.push_back((packet, size, now));
        if self.head_done.is_none() {
            self.head_done = Some(now.plus(rate.time_of(size as u64)));
        }
    }

    fn propagate(&mut self, left: Micros, packet: T) {
        let jitter = self.dice.below(self.conditions.jitter_us + 1);
        let arrival = left.plus(self.conditions.delay_us + jitter).max(self.last_arrival);
        self.last_arrival = arrival;
        self.under_way.push_back((arrival, packet));
    }

    fn advance(&mut self, now: Micros) {
        loop {
            let change = self.schedule.front().map(|(at, _)| *at).filter(|at| *at <= now);
            let done = self.head_done.filter(|at| *at <= now);
            match (change, done) {
                (None, None) => return,
                (Some(at), done) if done.is_none_or(|done| at < done) => {
                    let (_, conditions) = self.schedule.pop_front().expect("its time was just read");
                    self.adopt(at, conditions);
                }
                _ => self.serve(),
            }
        }
    }

    /// What of the head has not left yet leaves at the new rate.
    fn adopt(&mut self, at: Micros, conditions: Conditions) {
        if let (Some(done), Some(before)) = (self.head_done, self.conditions.rate) {
            let left = before.bytes_in(done.since(at));
            self.head_done = Some(at.plus(conditions.rate.map_or(0, |rate| rate.time_of(left))));
        }
        self.conditions = conditions;
    }

    fn serve(&mut self) {
        let Some(done) = self.head_done.take() else { return };
        let Some((packet, size, entered)) = self.queue.pop_front() else { return };
        self.queued -= size;
        self.tally.carried += size as u64;
        self.tally.longest_wait = self.tally.longest_wait.max(done.since(entered));
        self.propagate(done, packet);
        if let Some((_, size, _)) = self.queue.front() {
            let takes = self.conditions.rate.map_or(0, |rate| rate.time_of(*size as u64));
            self.head_done = Some(done.plus(takes));
        }
    }

    /// The next packet that arrived.
    pub fn poll(&mut self, now: Micros) -> Option<T> {
        self.advance(now);
        self.under_way.front().filter(|(at, _)| *at <= now)?;
        self.under_way.pop_front().map(|(_, packet)| packet)
    }

    /// When something happens next.
    pub fn poll_timeout(&self) -> Option<Micros> {
        let arrival = self.under_way.front().map(|(at, _)| *at);
        let change = self.schedule.front().map(|(at, _)| *at).filter(|_| !self.queue.is_empty());
        [arrival, self.head_done, change].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a packet of 972 B (1,000 on the link) every `every` microseconds; arrivals.
    fn run(link: &mut Link<u64>, packets: u64, every: u64) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        for n in 0..packets {
            link.send(Micros(n * every), 972, n);
        }
        let mut now = Micros(packets * every);
        while let Some(at) = link.poll_timeout() {
            now = now.max(at);
            while let Some(packet) = link.poll(now) {
                out.push((packet, now.0));
            }
        }
        out
    }

    #[test]
    fn a_bottleneck_carries_its_rate_and_drops_what_its_queue_does_not_hold() {
        let mut link = Link::new(Conditions::narrow(800), 1);
        // 1.6 Mbit/s offered for 10 s
        let arrived = run(&mut link, 2_000, 5_000).len() as u64;
        let tally = link.tally();
        assert_eq!(arrived + tally.overflowed, 2_000);
        assert!((1_000..=1_031).contains(&arrived), "{arrived}: 10 s of 100 packets and 30 in the queue");
        assert!((290_000..=310_000).contains(&tally.longest_wait), "{}", tally.longest_wait);
    }

    #[test]
    fn a_change_of_rate_reaches_what_is_queued() {
        let mut link = Link::new(Conditions::narrow(800), 1);
        link.change_at(Micros(105_000), Conditions::narrow(80));
        for n in 0..20 {
            link.send(Micros(0), 972, n);
        }
        let mut arrivals = Vec::new();
        while let Some(at) = link.poll_timeout() {
            while link.poll(at).is_some() {
                arrivals.push(at.0);
            }
        }
        assert_eq!(arrivals[..10], (1..=10).map(|n| n * 10_000 + 50_000).collect::<Vec<_>>()[..]);
        // half of the eleventh at the old rate, half at the tenth of it
        assert_eq!(arrivals[10..12], [105_000 + 50_000 + 50_000, 105_000 + 50_000 + 150_000]);
    }

    #[test]
    fn loss_is_as_frequent_and_as_bursty_as_it_is_said_and_the_seed_repeats_it() {
        let lost = |loss, seed| {
            let mut link = Link::new(Conditions::open(1_000).with_loss(loss), seed);
            let arrived: Vec<u64> = run(&mut link, 100_000, 10).iter().map(|a| a.0).collect();
            (100_000 - arrived.len(), arrived)
        };
        let random = lost(Loss::Random(50_000), 3);
        assert!((4_700..=5_300).contains(&random.0), "{}", random.0);
        assert_eq!(random, lost(Loss::Random(50_000), 3));
        assert_ne!(random.1, lost(Loss::Random(50_000), 4).1);
        // a tenth of the time bad, bursts of ten packets, half lost
        let (count, arrived) = lost(Loss::Bursty { enter: 11_111, leave: 100_000, lost: 500_000 }, 3);
        assert!((4_000..=6_000).contains(&count), "{count}");
        let together = arrived.windows(2).filter(|w| w[1] - w[0] > 2).count();
        assert!(together > 300, "{together} bursts of two and more");
    }

    #[test]
    fn jitter_keeps_the_order() {
        let mut link = Link::new(Conditions { jitter_us: 30_000, ..Conditions::open(50_000) }, 3);
        let arrived = run(&mut link, 1_000, 1_000);
        assert!(arrived.is_sorted());
        assert_eq!(arrived.len(), 1_000);
    }
}

//! The way out of one transport in virtual time: a source that sends what the estimate allows, a link with a queue, and a
//! receiver that gives feedback.
#![expect(clippy::print_stdout, reason = "the measured values stand beside the bound they keep")]

use super::pacer::Admission;
use super::{BitRate, Downlink, Purpose};
use crate::Micros;
use crate::forward::{Cut, TAG};
use crate::rewrite::FORWARD_HEADER;
use crate::rtcp::twcc::{self, Arrivals};
use crate::rtp::FIXED_HEADER;
use std::collections::VecDeque;

/// A link: bytes a second, a queue of some time, propagation, and loss in percent.
#[derive(Clone, Copy)]
struct Link {
    rate: BitRate,
    queue_us: u64,
    delay_us: u64,
    loss: u64,
}

const OPEN: Link = Link { rate: BitRate::kbps(2500), queue_us: 300_000, delay_us: 50_000, loss: 0 };

struct Run {
    downlink: Downlink,
    link: Link,
    /// What the source would send if it could.
    wanted: BitRate,
    now: Micros,
    free: u64,
    under_way: VecDeque<(u64, u16)>,
    arrivals: Arrivals,
    fed_back: u64,
    feedback: VecDeque<(u64, Vec<u8>)>,
    seed: u64,
    delivered: u64,
    worst_queue: u64,
}

impl Run {
    fn new(link: Link, wanted: BitRate) -> Self {
        let mut downlink = Downlink::default();
        downlink.set_wanted(wanted);
        Self {
            downlink,
            link,
            wanted,
            now: Micros(1_000_000_000),
            free: 0,
            under_way: VecDeque::new(),
            arrivals: Arrivals::default(),
            fed_back: 0,
            feedback: VecDeque::new(),
            seed: 9,
            delivered: 0,
            worst_queue: 0,
        }
    }

    fn transmit(&mut self, arena: &[u8], cuts: &[Cut]) {
        for cut in cuts {
            let packet = &arena[cut.start..cut.start + cut.len];
            let sequence = u16::from_be_bytes([packet[21], packet[22]]);
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let queued = self.free.saturating_sub(self.now.0);
            self.worst_queue = self.worst_queue.max(queued);
            if (self.seed >> 33) % 100 < self.link.loss || queued > self.link.queue_us {
                continue;
            }
            self.free = self.free.max(self.now.0) + self.link.rate.time_of((cut.len + TAG + 28) as u64);
            self.delivered += (cut.len + TAG + 28) as u64;
            self.under_way.push_back((self.free + self.link.delay_us, sequence));
        }
    }

    fn write(&mut self, purpose: Purpose, sizes: &[usize]) {
        let (mut arena, mut cuts) = (Vec::new(), Vec::new());
        let admission = self.downlink.admits(self.now, purpose);
        if admission == Admission::Refused {
            return;
        }
        for size in sizes {
            let start = arena.len();
            arena.resize(start + size + TAG, 0);
            arena[start + FIXED_HEADER] = 0xbe; // the block of extensions that is stamped
            cuts.push(Cut { start, len: *size, header: FORWARD_HEADER, ssrc: 1, index: 0 });
        }
        self.downlink.dispatch(self.now, purpose, admission, &mut arena, &mut cuts);
        self.transmit(&arena, &cuts);
    }

    /// One millisecond.
    fn step(&mut self) {
        let ms = self.now.0 / 1000;
        if ms.is_multiple_of(20) {
            self.write(Purpose::Audio, &[120]);
            self.downlink.tick(self.now);
        }
        if ms.is_multiple_of(33) {
            let rate = self.downlink.target().min(self.wanted).less(BitRate::kbps(60));
            let bytes = rate.bytes_in(33_000) as usize;
            let parts = bytes.div_ceil(1100).max(1);
            self.write(Purpose::Video, &vec![(bytes / parts).max(50); parts]);
        }
        let (mut arena, mut cuts) = (Vec::new(), Vec::new());
        self.downlink.release(self.now, &mut arena, &mut cuts);
        self.transmit(&arena, &cuts);
        for _ in 0..self.downlink.probes(self.now) {
            self.write(Purpose::Probe, &[1100]);
        }
        while self.under_way.front().is_some_and(|(at, _)| *at <= self.now.0) {
            let (at, sequence) = self.under_way.pop_front().expect("just seen");
            // the receiver's clock is another
            self.arrivals.note(Micros(at + 77_000_000), sequence);
        }
        if self.now.0 - self.fed_back >= 50_000 {
            self.fed_back = self.now.0;
            if let Some(packet) = self.arrivals.feedback(1, 1) {
                self.feedback.push_back((self.now.0 + self.link.delay_us, packet));
            }
        }
        while self.feedback.front().is_some_and(|(at, _)| *at <= self.now.0) {
            let (_, packet) = self.feedback.pop_front().expect("just seen");
            self.downlink.feedback(self.now, &twcc::read(&packet).expect("our own words"));
        }
        self.now = self.now.plus(1_000);
    }

    /// So many milliseconds; the share of the link that was delivered.
    fn run(&mut self, ms: u64) -> f64 {
        self.delivered = 0;
        self.worst_queue = 0;
        (0..ms).for_each(|_| self.step());
        self.delivered as f64 / self.link.rate.bytes_in(ms * 1000) as f64
    }

    /// Milliseconds until the estimate is at least `rate`.
    fn until(&mut self, rate: BitRate, most: u64) -> u64 {
        (0..most)
            .find(|_| {
                self.step();
                self.downlink.target() >= rate
            })
            .unwrap_or(most)
    }
}

const WANTED: BitRate = BitRate::kbps(6000);

#[test]
fn an_open_link_is_found_within_a_second() {
    let mut run = Run::new(Link { rate: BitRate::kbps(20_000), ..OPEN }, WANTED);
    let took = run.until(WANTED, 5_000);
    assert!(took <= 1_000, "{took} ms");
    run.run(20_000);
    assert!(run.downlink.target() >= WANTED, "and it stays: {}", run.downlink.target());
    assert!(run.worst_queue <= 50_000, "without a queue: {} us", run.worst_queue);
}

#[test]
fn narrow_links_are_filled_without_overflowing_their_queues() {
    for kbps in [500, 1000, 2000] {
        let mut run = Run::new(Link { rate: BitRate::kbps(kbps), ..OPEN }, WANTED);
        run.run(5_000);
        let share = run.run(60_000);
        println!("{kbps} kbit/s: {share:.3} delivered, worst queue {} us", run.worst_queue);
        assert!(share >= 0.85, "{kbps}: {share}");
        assert!(run.worst_queue <= 300_000, "{kbps}: {}", run.worst_queue);
    }
}

#[test]
fn a_drop_and_a_rise_of_capacity_are_followed() {
    // RFC 8867 section 5.1
    let mut run = Run::new(Link { rate: BitRate::kbps(1000), ..OPEN }, WANTED);
    let (mut shares, mut took) = (Vec::new(), Vec::new());
    for (kbps, seconds) in [(1000, 40), (2500, 20), (600, 20), (1000, 20)] {
        run.link.rate = BitRate::kbps(kbps);
        let climb = run.until(BitRate::kbps(kbps).scale(0.9), 20_000);
        took.push(climb);
        shares.push(run.run(seconds * 1000 - climb));
    }
    println!("shares {shares:?}, reached after {took:?} ms");
    assert!(took.iter().all(|ms| *ms <= 8_000), "{took:?}");
    assert!(shares.iter().all(|share| *share >= 0.85), "{shares:?}");
}

#[test]
fn steady_random_loss_costs_little() {
    let mut run = Run::new(Link { loss: 5, rate: BitRate::kbps(20_000), ..OPEN }, BitRate::kbps(2500));
    run.run(5_000);
    let before = run.delivered;
    run.run(60_000);
    let rate = BitRate::of(run.delivered, 60_000_000);
    println!("{rate} of 2500 kbit/s at 5 % loss ({before})");
    assert!(rate >= BitRate::kbps(2500).scale(0.9 * 0.95), "{rate}");
}

#[test]
fn a_burst_of_loss_is_forgotten_within_three_seconds() {
    let mut run = Run::new(Link { rate: BitRate::kbps(10_000), ..OPEN }, BitRate::kbps(2500));
    run.run(20_000);
    assert!(run.downlink.target() >= BitRate::kbps(2500));
    run.link.loss = 20;
    run.run(1_000);
    run.link.loss = 0;
    let took = run.until(BitRate::kbps(2500), 10_000);
    assert!(took <= 3_000, "{took} ms");
}

#[test]
fn a_dead_way_back_lowers_the_rate_until_it_lives_again() {
    let mut run = Run::new(OPEN, WANTED);
    run.run(10_000);
    let before = run.downlink.target();
    run.link.delay_us = 60_000_000;
    run.run(5_000);
    assert!(run.downlink.target() <= before.scale(0.3), "{} after {before}", run.downlink.target());
}

#[test]
fn where_nothing_flows_the_link_is_still_looked_at() {
    let mut run = Run::new(OPEN, BitRate::kbps(10_000));
    for _ in 0..3_000 {
        run.step();
    }
    // what there is, is larger than the estimate: nothing leaves, and no feedback comes
    let mut quiet = |ticks: u32| {
        (0..ticks).fold(0, |asked, _| {
            run.now = run.now.plus(20_000);
            run.downlink.tick(run.now);
            asked + run.downlink.probes(run.now)
        })
    };
    quiet(500);
    assert!(quiet(500) > 0, "nobody looks whether the link carries more");
}

//! One subscribe transport's way out: what is written for a subscriber is stamped with transport-wide numbers and leaves,
//! or waits in the pacer; probes and repeated requests are kept within bounds.

use super::BitRate;
use super::estimator::Estimator;
use super::pacer::{Admission, Mood, Pacer};
use super::sent::Purpose;
use crate::Micros;
use crate::forward::{Cut, TAG};
use crate::rewrite::stamp;
use crate::rtcp::twcc::Feedback;
use std::collections::VecDeque;

/// A packet is not sent again within a round trip of the last time; before one is known, within this, microseconds.
const FIRST_REPEAT_US: u64 = 40_000;
/// Packets again are remembered for so long, microseconds: as long as their source is kept.
const REMEMBER_US: u64 = 1_000_000;
/// ... and so many of them.
const MAX_REPEATED: usize = 128;
/// Packets again take no more of what is sent than one in so many bytes: they must not be the cause of loss.
const REPAIR_SHARE: u64 = 5;
/// ... beside this much, which the first losses of a quiet stream need.
const REPAIR_BASE: u64 = 20_000;
/// Probe packets of one wake-up.
const PROBE_BATCH: u64 = 8;
/// Bytes of a probe packet, about.
const PROBE_PACKET: u64 = 1_100;

/// While a queue stands somewhere on the way, pictures leave at this share of the usual pace, so that it empties.
const TIGHT_SHARE: f64 = 0.8;
/// Time between the wake-ups of a probe at least, microseconds.
const PROBE_SPACING_US: u64 = 1_000;

/// How a transport fares, for statistics and for the page.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Condition {
    /// What the network carries.
    pub estimate: BitRate,
    /// Share of packets lost on the way, lately.
    pub loss: f64,
    /// Round trip, microseconds; 0 while unknown.
    pub round_trip: u64,
    /// Time that waiting packets take, microseconds.
    pub pacing: u64,
}

/// The way out of one subscribe transport.
#[derive(Debug, Default)]
pub struct Downlink {
    estimator: Estimator,
    pacer: Pacer,
    repeated: VecDeque<(u32, u64, Micros)>,
    repair_debt: u64,
    paced: bool,
    /// When the engine is to call [`Self::release`], as it was told last.
    pub(crate) wake: Option<Micros>,
}

impl Downlink {
    /// The estimate.
    pub fn target(&self) -> BitRate {
        self.estimator.target()
    }

    /// The estimate, if feedback says anything of the network.
    pub fn measured(&self, now: Micros) -> Option<BitRate> {
        self.estimator.is_measured(now).then(|| self.estimator.target())
    }

    /// Rate that would be sent if the network carried it: probes look for no more.
    pub fn set_wanted(&mut self, wanted: BitRate) {
        self.estimator.set_wanted(wanted);
    }

    /// That rate.
    pub fn wanted(&self) -> BitRate {
        self.estimator.wanted()
    }

    /// Did the first packets leave so lately that no feedback could come yet?
    pub fn is_starting(&self, now: Micros) -> bool {
        self.estimator.is_starting(now)
    }

    /// How the transport fares.
    pub fn condition(&self) -> Condition {
        Condition {
            estimate: self.estimator.target(),
            loss: self.estimator.loss(),
            round_trip: self.estimator.round_trip().unwrap_or(0),
            pacing: self.pacer.delay(),
        }
    }

    /// Bytes of memory beside this value itself.
    pub fn memory(&self) -> usize {
        self.estimator.memory() + self.pacer.waiting()
    }

    /// May a frame be written for this subscriber now?
    pub fn admits(&mut self, now: Micros, purpose: Purpose) -> Admission {
        if self.paced { self.pacer.admit(now, purpose) } else { Admission::Now }
    }

    /// Sends what was just written to the arena (`cuts`, all of one purpose, admitted as `admission`): stamps what leaves
    /// now and takes the rest out of the arena.
    pub fn dispatch(
        &mut self,
        now: Micros,
        purpose: Purpose,
        admission: Admission,
        arena: &mut Vec<u8>,
        cuts: &mut Vec<Cut>,
    ) {
        let mut leaving = 0;
        if admission == Admission::Now {
            let free = !self.paced || !matches!(purpose, Purpose::Video | Purpose::Repair);
            for cut in cuts.iter() {
                if !free && !self.pacer.has_budget() {
                    break;
                }
                self.leave(now, purpose, &mut arena[cut.start..cut.start + cut.len]);
                self.pacer.spend(cut.len);
                leaving += 1;
            }
        }
        if let Some(first) = cuts.get(leaving) {
            let keep = first.start;
            for cut in cuts.drain(leaving..) {
                self.pacer.queue(purpose, &arena[cut.start..cut.start + cut.len], cut);
            }
            arena.truncate(keep);
        }
    }

    fn leave(&mut self, now: Micros, purpose: Purpose, packet: &mut [u8]) {
        let sequence = self.estimator.sent(now, packet.len() + TAG, purpose);
        stamp(packet, now, sequence);
        if matches!(purpose, Purpose::Audio | Purpose::Video) {
            self.repair_debt = self.repair_debt.saturating_sub(packet.len() as u64 / REPAIR_SHARE);
        }
    }

    /// Takes back what waits of a stream and its repair stream: it would be late, and the way is needed for something else.
    pub fn take_back(&mut self, streams: [u32; 2]) {
        self.pacer.take_back(streams);
    }

    /// Moves what may leave now to the arena.
    pub fn release(&mut self, now: Micros, arena: &mut Vec<u8>, cuts: &mut Vec<Cut>) {
        while let Some((cut, purpose)) = self.pacer.pop(now, arena) {
            self.leave(now, purpose, &mut arena[cut.start..cut.start + cut.len]);
            cuts.push(cut);
        }
    }

    /// Probe packets to be made now.
    pub fn probes(&mut self, now: Micros) -> usize {
        self.estimator.probe_due(now).div_ceil(PROBE_PACKET).min(PROBE_BATCH) as usize
    }

    /// When something leaves by itself: a burst, or a probe.
    pub fn next(&self, now: Micros) -> Option<Micros> {
        // never at once: where no packet could be made for a probe, the next try comes after a while
        let probe = self.estimator.next_probe(now, PROBE_PACKET).map(|at| at.max(now.plus(PROBE_SPACING_US)));
        self.pacer.next(now).into_iter().chain(probe).min()
    }

    /// How often this packet is to be sent again now: not within a round trip of the last time, not beyond the share of
    /// packets again, and twice if it was lost again: a third round trip would freeze the picture.
    pub fn repeats(&mut self, now: Micros, ssrc: u32, sequence: u64, len: usize) -> usize {
        let spacing = self.estimator.round_trip().unwrap_or(FIRST_REPEAT_US);
        while self.repeated.front().is_some_and(|(.., at)| now.since(*at) >= REMEMBER_US)
            || self.repeated.len() >= MAX_REPEATED
        {
            self.repeated.pop_front();
        }
        let before = self.repeated.iter().rev().find(|(s, known, _)| (*s, *known) == (ssrc, sequence));
        if before.is_some_and(|(.., at)| now.since(*at) < spacing) || self.repair_debt >= REPAIR_BASE {
            return 0;
        }
        let copies = if before.is_some() { 2 } else { 1 };
        self.repair_debt += (copies * len) as u64;
        self.repeated.push_back((ssrc, sequence, now));
        copies
    }

    /// Transport-wide feedback came.
    pub fn feedback(&mut self, now: Micros, feedback: &Feedback) {
        self.estimator.feedback(now, feedback);
        self.set_pace(now);
    }

    /// A receiver report told of a stream's loss (of 256) and, where it can be known, of the round trip.
    pub fn report(&mut self, now: Micros, lost: u8, round_trip: Option<u64>) {
        if let Some(round_trip) = round_trip {
            self.estimator.measured(round_trip);
        }
        self.estimator.report(now, lost);
    }

    /// The receiver's own estimate came.
    pub fn remb(&mut self, now: Micros, rate: BitRate) {
        self.estimator.remb(now, rate);
        self.set_pace(now);
    }

    /// Housekeeping.
    pub fn tick(&mut self, now: Micros) {
        self.estimator.tick(now);
        self.set_pace(now);
    }

    fn set_pace(&mut self, now: Micros) {
        self.paced = self.estimator.is_measured(now) || self.estimator.is_starting(now) || self.pacer.waiting() > 0;
        if self.paced {
            let (mood, share) =
                if self.estimator.is_calm(now) { (Mood::Calm, 1.0) } else { (Mood::Tight, TIGHT_SHARE) };
            self.pacer.set(now, self.estimator.target().scale(share), mood);
        }
    }
}

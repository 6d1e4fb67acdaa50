//! The estimate of what one subscribe transport carries: delay and loss from transport-wide feedback, probes to find
//! more, and receiver reports or REMB where a receiver gives nothing better.

use super::BitRate;
use super::acked::{AckedRate, Recent};
use super::aimd::{Aimd, Known};
use super::delay::{DelayDetector, Usage};
use super::loss::LossControl;
use super::probe::Prober;
use super::sent::{Purpose, SentLog};
use crate::Micros;
use crate::rtcp::twcc::{Feedback, REFERENCE_WRAP_US};

/// The estimate before anything is known: sound and a middle picture; probes find more within half a second.
pub const START: BitRate = BitRate::kbps(600);
/// Never below: sound must pass, and something must flow to find out that the network is better again.
pub const LEAST: BitRate = BitRate::kbps(60);
/// Never above: nine 720p pictures and a screen; a probe for more would be a burst of 75 kB.
pub const MOST: BitRate = BitRate::kbps(30_000);
/// Probes look for so much more than is wanted, and no further.
const ABOVE_WANTED: f64 = 1.25;
/// While loss bounds the rate, what the delay allows stays this near: once it bounds no more, what was thought before is old.
const ABOVE_LOSS: f64 = 1.25;
/// Without feedback for so long while packets are out, the way back or there is broken.
const SILENCE_US: u64 = 1_000_000;
/// ... and every so long the rate falls.
const SILENCE_STEP_US: u64 = 500_000;
/// ... to this share.
const SILENCE_CUT: f64 = 0.7;
/// A REMB counts so long: receivers repeat it every second.
const REMB_US: u64 = 5_000_000;
/// A transport whose feedback ended so long ago has no estimate that pacing may rely on.
const STALE_US: u64 = 10_000_000;
/// Round trip until one was measured, microseconds.
const FIRST_ROUND_TRIP: u64 = 200_000;
/// No probe so soon after a cut: what it would find is the rest of the queue.
const AFTER_CUT_US: u64 = 1_000_000;

/// A receiver that gave no feedback to the first packets within this gives none: nothing is known of its network, and
/// nothing is held back.
const FIRST_FEEDBACK_US: u64 = 500_000;

/// The estimator of one transport.
#[derive(Debug)]
pub struct Estimator {
    sent: SentLog,
    delay: DelayDetector,
    acked: AckedRate,
    leaving: Recent,
    aimd: Aimd,
    loss: LossControl,
    prober: Prober,
    round_trip: Option<u64>,
    remb: Option<(Micros, BitRate)>,
    wanted: BitRate,
    target: BitRate,
    first_sent: Option<Micros>,
    feedback: Option<Micros>,
    silence: Option<Micros>,
    arrival: Option<u64>,
}

impl Default for Estimator {
    fn default() -> Self {
        Self {
            sent: SentLog::default(),
            delay: DelayDetector::default(),
            acked: AckedRate::default(),
            leaving: Recent::default(),
            aimd: Aimd::new(START),
            loss: LossControl::default(),
            prober: Prober::default(),
            round_trip: None,
            remb: None,
            wanted: MOST,
            target: START,
            first_sent: None,
            feedback: None,
            silence: None,
            arrival: None,
        }
    }
}

impl Estimator {
    /// The estimate.
    pub fn target(&self) -> BitRate {
        self.target
    }

    /// Rate that the subscriber would be sent if the network carried it: probes look for no more.
    pub fn set_wanted(&mut self, wanted: BitRate) {
        self.wanted = wanted;
    }

    /// That rate.
    pub fn wanted(&self) -> BitRate {
        self.wanted
    }

    /// Does feedback flow, so that the estimate says something?
    pub fn is_measured(&self, now: Micros) -> bool {
        let alive = |at: Micros| now.since(at) < STALE_US;
        self.feedback.is_some_and(alive) || self.remb.is_some_and(|(at, _)| alive(at))
    }

    /// Did the first packets leave so lately that no feedback could come yet?
    pub fn is_starting(&self, now: Micros) -> bool {
        let lately = |at: Micros| now.since(at) < FIRST_FEEDBACK_US;
        self.feedback.is_none() && self.first_sent.is_none_or(lately)
    }

    /// Is the network at ease: no queue, little loss, nothing cut lately?
    pub fn is_calm(&self, now: Micros) -> bool {
        let recent = self.aimd.last_cut().is_some_and(|cut| now.since(cut) < 2 * AFTER_CUT_US);
        self.delay.usage() != Usage::Over && !recent && !self.loss.is_lossy()
    }

    /// Rate at which packets arrive, once known.
    pub fn acked(&self) -> Option<BitRate> {
        self.acked.rate()
    }

    /// Share of packets lost on the way, lately.
    pub fn loss(&self) -> f64 {
        self.loss.loss()
    }

    /// Round trip, microseconds.
    pub fn round_trip(&self) -> Option<u64> {
        self.round_trip
    }

    /// Bytes sent without feedback.
    pub fn in_flight(&self) -> u64 {
        self.sent.in_flight()
    }

    /// Bytes of memory beside this value itself.
    pub fn memory(&self) -> usize {
        self.sent.memory()
    }

    /// A packet leaves: its transport-wide sequence number.
    pub fn sent(&mut self, now: Micros, size: usize, purpose: Purpose) -> u16 {
        let sequence = self.sent.next_sequence();
        self.first_sent.get_or_insert(now);
        let probe = self.prober.tag(size as u64);
        self.sent.push(now, size, purpose, probe);
        self.leaving.note(now.0, size as u64);
        sequence
    }

    /// Bytes that a probe wants now.
    pub fn probe_due(&mut self, now: Micros) -> u64 {
        self.prober.due(now)
    }

    /// When a probe wants something, if one is planned or under way.
    pub fn next_probe(&self, now: Micros, packet: u64) -> Option<Micros> {
        self.prober.next_due(now, packet)
    }

    /// Transport-wide feedback came.
    pub fn feedback(&mut self, now: Micros, feedback: &Feedback) {
        let first = self.feedback.replace(now).is_none();
        self.silence = None;
        self.sent.expire(now);
        let (mut packets, mut lost, mut newest) = (0, 0, None);
        for (sequence, arrival) in &feedback.packets {
            let Some(arrival) = arrival else {
                if self.sent.missing(*sequence).is_some() {
                    (packets, lost) = (packets + 1, lost + 1);
                }
                continue;
            };
            let Some(sent) = self.sent.arrived(*sequence) else { continue };
            packets += 1;
            newest = newest.max(Some(sent.at));
            let arrival = self.unwrap(*arrival);
            self.acked.note(arrival, sent.size.into());
            self.delay.note(sent.at, arrival);
            if sent.probe != 0 {
                self.prober.arrived(sent.probe, sent.at, arrival, sent.size.into());
            }
        }
        if let Some(newest) = newest {
            let sample = now.since(newest);
            self.round_trip = Some(self.round_trip.map_or(sample, |known| (known * 7 + sample) / 8));
        }
        self.loss.note(packets, lost);
        if first {
            self.prober.begin(START, MOST);
        }
        if packets > 0 {
            self.decide(now);
        }
    }

    fn decide(&mut self, now: Micros) {
        let known = Known {
            acked: self.acked.rate(),
            recent: self.acked.recent(),
            sent: self.leaving.rate(),
            round_trip: self.round_trip.unwrap_or(FIRST_ROUND_TRIP),
            bounds: (LEAST, MOST),
        };
        let (cut_before, most) = (self.aimd.last_cut(), self.most());
        let usage = match self.delay.usage() {
            // a probe is a queue of our own making that is gone in a moment
            Usage::Over if self.prober.lately(now) && known.recent >= known.sent => Usage::Under,
            usage => usage,
        };
        self.aimd.update(now, usage, known);
        if self.aimd.last_cut() != cut_before {
            self.prober.pause(now);
        } else if let Some(found) = self.prober.result(now, self.aimd.rate(), most) {
            self.loss.lift(found);
            if found > self.aimd.rate() {
                self.aimd.set(now, found.min(MOST));
            }
        }
        let by_delay = self.aimd.rate();
        let by_loss = self.loss.update(now, self.target, known.recent).unwrap_or(MOST);
        self.aimd.stay_below(by_loss.scale(ABOVE_LOSS));
        self.aim(now, by_delay.min(by_loss));
        if self.target < self.wanted && self.may_probe(now) {
            self.prober.seek(now, self.target, most);
        }
    }

    fn may_probe(&self, now: Micros) -> bool {
        let recent = self.aimd.last_cut().is_some_and(|cut| now.since(cut) < AFTER_CUT_US);
        !recent && self.delay.usage() == Usage::Normal && !self.loss.is_lossy()
    }

    fn most(&self) -> BitRate {
        self.wanted.scale(ABOVE_WANTED).clamp(LEAST, MOST)
    }

    fn aim(&mut self, now: Micros, rate: BitRate) {
        let remb = self.remb.filter(|(at, _)| now.since(*at) < REMB_US).map_or(MOST, |(_, rate)| rate);
        self.target = rate.min(remb).clamp(LEAST, MOST);
    }

    /// The receiver's clock without its wraps: as near as possible to the last time seen.
    fn unwrap(&mut self, wrapped: u64) -> u64 {
        let last = self.arrival.unwrap_or(wrapped + REFERENCE_WRAP_US);
        let behind = (last % REFERENCE_WRAP_US + REFERENCE_WRAP_US - wrapped) % REFERENCE_WRAP_US;
        let arrival = if behind < REFERENCE_WRAP_US / 2 {
            last.saturating_sub(behind)
        } else {
            last + REFERENCE_WRAP_US - behind
        };
        self.arrival = Some(arrival.max(last));
        arrival
    }

    /// A receiver report told of a stream: its share lost, of 256. Counts only without transport-wide feedback.
    pub fn report(&mut self, now: Micros, lost: u8) {
        if self.feedback.is_some_and(|at| now.since(at) < STALE_US) {
            return;
        }
        self.loss.note(256, lost.into());
        if let Some(bound) = self.loss.update(now, self.target, BitRate::ZERO) {
            self.aim(now, bound);
        }
    }

    /// The receiver's own estimate (draft-alvestrand-rmcat-remb-03): a bound, and the estimate where there is no other.
    pub fn remb(&mut self, now: Micros, rate: BitRate) {
        self.remb = Some((now, rate));
        let own = if self.feedback.is_some() { self.aimd.rate() } else { rate };
        self.aim(now, own);
    }

    /// A round trip measured by reports.
    pub fn measured(&mut self, round_trip: u64) {
        if self.feedback.is_none() {
            self.round_trip = Some(self.round_trip.map_or(round_trip, |known| (known * 7 + round_trip) / 8));
        }
    }

    /// Time passed.
    pub fn tick(&mut self, now: Micros) {
        let Some(last) = self.feedback else {
            if self.remb.is_none() && self.first_sent.is_some_and(|at| now.since(at) >= FIRST_FEEDBACK_US) {
                let bound = self.loss.update(now, self.target, BitRate::ZERO).unwrap_or(MOST);
                self.aim(now, bound);
            }
            return;
        };
        // nothing flows, so no feedback asks for it: what is larger than the estimate would stay away for ever
        if self.target < self.wanted && now.since(last) >= SILENCE_US {
            self.prober.seek(now, self.target, self.most());
        }
        let before = self.sent.in_flight();
        self.sent.expire(now);
        if before == 0 || now.since(last) < SILENCE_US {
            return;
        }
        if self.silence.is_none_or(|at| now.since(at) >= SILENCE_STEP_US) {
            self.silence = Some(now);
            let rate = self.target.scale(SILENCE_CUT).max(LEAST);
            self.aimd.set(now, rate);
            self.prober.pause(now);
            self.aim(now, rate);
        }
    }
}

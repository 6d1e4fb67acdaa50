//! The engine's side of congestion control: feedback to the downlink it is about, waiting packets out when they may
//! leave, probes made of packets that the subscriber was sent before.

use super::estimator::START;
use super::pacer::Admission;
use super::{BitRate, Purpose};
use crate::Micros;
use crate::forward::{Cut, Run, Shared, padding};
use crate::meeting::Meeting;
use crate::participant::{LinkState, PeerKey, Subscribing};
use crate::rtcp::twcc::Feedback;
use crate::subscription::Section;
use domain::MediaKind;

/// A subscriber that missed frames gets a key frame once what waits takes no longer than this, microseconds.
const DRAINED_US: u64 = 50_000;

/// Packets of padding that make up one probe packet.
const PADDING_PACKETS: usize = 4;

impl Subscribing {
    /// Layers are chosen by the estimate: a careful one until the first feedback had time to come, none where none came.
    fn tell_estimate(&mut self, now: Micros) {
        if let Some(estimate) = self.downlink.measured(now) {
            self.estimate = Some(estimate);
            self.measured.get_or_insert(now);
        } else if self.downlink.is_starting(now) {
            self.estimate.get_or_insert(START);
        } else if self.estimate == Some(START) {
            (self.estimate, self.measured) = (None, None);
        }
    }
}

impl Meeting {
    /// A subscriber's time has come: moves what may leave to the arena and makes due probes ready.
    pub(crate) fn serve(
        &mut self,
        shared: &mut Shared,
        (now, due): (Micros, Micros),
        peer: PeerKey,
        arena: &mut Vec<u8>,
        cuts: &mut Vec<Cut>,
    ) {
        let place = peer.place as usize;
        let Some(participant) = self.participants.get_mut(place).and_then(Option::as_mut) else { return };
        let subscribing = &mut participant.subscribing;
        let downlink = &mut subscribing.downlink;
        if participant.key != peer || downlink.wake != Some(due) {
            return;
        }
        downlink.wake = None;
        if subscribing.state == LinkState::Down {
            return;
        }
        downlink.release(now, arena, cuts);
        let released = cuts.len();
        let probes = downlink.probes(now);
        if probes == 0 {
            shared.wakes.arm(now, peer, downlink);
            return;
        }
        let fit = |section: &&mut Section| section.live && section.kind == MediaKind::Video;
        let Some((at, section)) = subscribing.sections.iter_mut().enumerate().find(|(_, section)| fit(section)) else {
            return; // sound alone needs no probe; the next tick looks again
        };
        for back in 0..probes as u16 {
            let again =
                section.rewriter.newest().and_then(|newest| section.rewriter.source_of(newest.wrapping_sub(back)));
            let kept = again.filter(|(_, source, index)| {
                self.tracks
                    .get(*source)
                    .and_then(Option::as_ref)
                    .is_some_and(|track| track.history.get(*index).is_some())
            });
            shared.stats.probed += 1;
            if let Some((extended, source, index)) = kept {
                let again = (extended, Purpose::Probe);
                shared.runs.push_back(Run::resend(self.place, source, index, (place, at), again));
                continue;
            }
            // nothing was sent lately: padding alone
            for _ in 0..PADDING_PACKETS {
                padding(section, arena, cuts);
            }
        }
        // what was released is stamped already
        let mut padded = cuts.split_off(released);
        downlink.dispatch(now, Purpose::Probe, Admission::Now, arena, &mut padded);
        cuts.append(&mut padded);
        shared.wakes.arm(now, peer, downlink);
    }

    /// Transport-wide feedback of a subscriber.
    pub(crate) fn transport_feedback(&mut self, shared: &mut Shared, now: Micros, place: usize, feedback: &Feedback) {
        let Some(participant) = &mut self.participants[place] else { return };
        let downlink = &mut participant.subscribing.downlink;
        downlink.feedback(now, feedback);
        shared.wakes.arm(now, participant.key, downlink);
        participant.subscribing.tell_estimate(now);
    }

    /// A subscriber's own estimate.
    pub(crate) fn remb(&mut self, now: Micros, place: usize, rate: u64) {
        let Some(participant) = &mut self.participants[place] else { return };
        participant.subscribing.downlink.remb(now, BitRate(rate));
        participant.subscribing.tell_estimate(now);
    }

    /// A report block of a subscriber about one of its streams.
    pub(crate) fn subscriber_block(
        &mut self,
        now: Micros,
        place: usize,
        ssrc: u32,
        (lost, last_sr, delay): (u8, u32, u32),
    ) {
        let Some(participant) = &mut self.participants[place] else { return };
        let subscribing = &mut participant.subscribing;
        let Some(section) = subscribing.sections.iter_mut().find(|s| s.ssrc == ssrc && s.live) else { return };
        section.lost = lost;
        let round_trip = section
            .reported
            .filter(|(sr, _)| *sr == last_sr && last_sr != 0)
            .and_then(|(_, at)| now.since(at).checked_sub(u64::from(delay) * 1_000_000 / 65_536));
        subscribing.downlink.report(now, lost, round_trip);
    }

    /// Housekeeping of one subscriber's way out: silence, pace, and key frames for those that missed frames.
    pub(crate) fn tick_downlink(&mut self, shared: &mut Shared, now: Micros, place: usize) {
        let Some(participant) = &mut self.participants[place] else { return };
        let subscribing = &mut participant.subscribing;
        if subscribing.state == LinkState::Down {
            return;
        }
        subscribing.downlink.tick(now);
        shared.wakes.arm(now, participant.key, &mut subscribing.downlink);
        subscribing.tell_estimate(now);
        if subscribing.downlink.condition().pacing <= DRAINED_US {
            let starved =
                |s: &mut Section| (std::mem::take(&mut s.starved) && s.live).then(|| s.feed.or(s.track)).flatten();
            let tracks: Vec<usize> = subscribing.sections.iter_mut().filter_map(starved).collect();
            for track in tracks {
                self.want_key(shared, now, track);
            }
        }
    }
}

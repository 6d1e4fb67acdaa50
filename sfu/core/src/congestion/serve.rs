//! The engine's side of congestion control: feedback to the downlink it is about, waiting packets out when they may
//! leave, probes made of packets that the subscriber was sent before.

use super::{BitRate, Purpose};
use crate::Micros;
use crate::forward::{Cut, Run, Shared};
use crate::meeting::Meeting;
use crate::participant::{LinkState, PeerKey};
use crate::rtcp::twcc::Feedback;
use crate::subscription::Section;
use domain::MediaKind;

/// A subscriber that missed frames gets a key frame once what waits takes no longer than this, microseconds.
const DRAINED_US: u64 = 50_000;

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
        let probes = downlink.probes(now);
        if probes == 0 {
            shared.wakes.arm(now, peer, downlink);
            return;
        }
        // those that are made arm the next; where none can be made, the next tick looks again
        let Some((at, section, newest)) = subscribing.sections.iter().enumerate().find_map(|(at, section)| {
            let fit = section.live && section.kind == MediaKind::Video;
            Some((at, section, section.rewriter.newest().filter(|_| fit)?))
        }) else {
            return;
        };
        for back in 0..probes as u16 {
            if let Some((extended, source, index)) = section.rewriter.source_of(newest.wrapping_sub(back)) {
                let again = (extended, Purpose::Probe);
                shared.runs.push_back(Run::resend(self.place, source, index, (place, at), again));
                shared.stats.probed += 1;
            }
        }
    }

    /// Transport-wide feedback of a subscriber.
    pub(crate) fn transport_feedback(&mut self, shared: &mut Shared, now: Micros, place: usize, feedback: &Feedback) {
        let Some(participant) = &mut self.participants[place] else { return };
        let downlink = &mut participant.subscribing.downlink;
        downlink.feedback(now, feedback);
        shared.wakes.arm(now, participant.key, downlink);
    }

    /// A subscriber's own estimate.
    pub(crate) fn remb(&mut self, now: Micros, place: usize, rate: u64) {
        let Some(participant) = &mut self.participants[place] else { return };
        participant.subscribing.downlink.remb(now, BitRate(rate));
    }

    /// A report block of a subscriber about one of its streams.
    pub(crate) fn subscriber_block(&mut self, now: Micros, place: usize, ssrc: u32, (lost, last_sr, delay): (u8, u32, u32)) {
        let Some(participant) = &mut self.participants[place] else { return };
        let subscribing = &mut participant.subscribing;
        let Some(section) = subscribing.sections.iter_mut().find(|s| s.ssrc == ssrc && s.live) else { return };
        section.lost = lost;
        let round_trip = section.reported.filter(|(sr, _)| *sr == last_sr && last_sr != 0).and_then(|(_, at)| {
            now.since(at).checked_sub(u64::from(delay) * 1_000_000 / 65_536)
        });
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
        if subscribing.downlink.condition().pacing <= DRAINED_US {
            let starved = |s: &mut Section| (std::mem::take(&mut s.starved) && s.live).then(|| s.feed.or(s.track)).flatten();
            let tracks: Vec<usize> = subscribing.sections.iter_mut().filter_map(starved).collect();
            for track in tracks {
                self.want_key(shared, now, track);
            }
        }
    }
}

//! RTCP of both sides and everything that is done by the clock: retransmission requests, reports, key-frame requests.

use crate::Micros;
use crate::congestion::Purpose;
use crate::engine::Output;
use crate::forward::{Run, Shared};
use crate::grace::Gate;
use crate::layers::feeds::quality;
use crate::meeting::Meeting;
use crate::participant::{LinkState, Participant};
use crate::record::Record;
use crate::rtcp::{self, Item, build};
use crate::track::{Role, Track};
use domain::message::control::FromSfu;
use domain::{MediaKind, TransportKind};

/// SSRC that the SFU's own feedback carries.
const OWN_SSRC: u32 = 1;
/// Receiver and sender reports, one per so long (RFC 3550 wants about 5 s or less for small groups).
const REPORT_US: u64 = 1_000_000;
/// Transport-wide feedback, one per so long: what Chromium's own receivers do at usual rates.
const TRANSPORT_FEEDBACK_US: u64 = 50_000;

impl Meeting {
    pub(crate) fn rtcp(
        &mut self,
        shared: &mut Shared,
        now: Micros,
        place: usize,
        transport: TransportKind,
        packet: &[u8],
    ) {
        let mut clock_given = false;
        for item in rtcp::parse(packet) {
            match (transport, item) {
                (TransportKind::Publish, Item::SenderReport { ssrc, ntp, timestamp }) => {
                    self.sender_report(shared, now, place, ssrc, (ntp, timestamp));
                }
                (TransportKind::Subscribe, Item::Nack { ssrc, sequences }) => {
                    self.resend(shared, now, place, ssrc, &sequences);
                }
                (TransportKind::Subscribe, Item::TransportFeedback(feedback)) => {
                    self.transport_feedback(shared, now, place, &feedback);
                }
                // at once, so that nothing is to be added to the way there and back; and once a compound, so that
                // no more is said than was heard
                (_, Item::ReceiverTime { ssrc, ntp }) if !clock_given => {
                    clock_given = true;
                    let Some(to) = self.participants[place].as_ref().map(|p| p.key) else { continue };
                    let packet = build::receiver_time_back(OWN_SSRC, ssrc, (ntp >> 16) as u32, 0);
                    shared.outputs.push_back(Output::Rtcp { to, transport, packet });
                }
                (TransportKind::Subscribe, Item::Remb { rate }) => self.remb(now, place, rate),
                (TransportKind::Subscribe, Item::Block { ssrc, lost, last_sr, delay }) => {
                    self.subscriber_block(now, place, ssrc, (lost, last_sr, delay));
                }
                (TransportKind::Subscribe, Item::KeyFrame { ssrc }) => {
                    let track = self.participants[place].as_ref().and_then(|p| {
                        p.subscribing
                            .sections
                            .iter()
                            .find(|s| s.ssrc == ssrc && s.live)
                            .and_then(|s| s.target.or(s.feed))
                    });
                    if let Some(track) = track {
                        self.want_key(shared, now, track);
                    }
                }
                _ => {}
            }
        }
    }

    fn sender_report(
        &mut self,
        shared: &mut Shared,
        now: Micros,
        place: usize,
        ssrc: u32,
        (ntp, timestamp): (u64, u32),
    ) {
        let Some(participant) = &self.participants[place] else { return };
        let known = participant.publishing.streams.iter().find(|(s, _, role)| *s == ssrc && *role == Role::Media);
        let Some((_, place, _)) = known.copied() else { return };
        let Some(track) = self.tracks[place].as_mut() else { return };
        if let Some(reception) = &mut track.reception {
            reception.note_report(now, ntp, timestamp);
        }
        let lead = track.lead;
        let Some(track) = self.tracks[lead].as_ref().filter(|lead| lead.recorded.feed == Some(place)) else { return };
        for (recorder, number) in &track.recorders {
            if let Some(log) = self.participants[*recorder].as_mut().and_then(Participant::log) {
                log.push(now, Record::SenderReport { track: *number, at: now, ntp, timestamp });
                shared.stats.recorded += 1;
            }
        }
    }

    fn resend(&mut self, shared: &mut Shared, now: Micros, place: usize, ssrc: u32, sequences: &[u16]) {
        let Some(participant) = &mut self.participants[place] else { return };
        let subscribing = &mut participant.subscribing;
        let Some(at) = subscribing.sections.iter().position(|s| s.ssrc == ssrc && s.live) else { return };
        let section = &subscribing.sections[at];
        if section.kind == MediaKind::Audio {
            return; // no repair stream, and its own numbers are sealed once
        }
        for sequence in sequences {
            shared.stats.nacked += 1;
            if section.is_given_up(now, *sequence) {
                continue;
            }
            let Some((extended, source, index)) = section.rewriter.source_of(*sequence) else { continue };
            let kept = self.tracks[source].as_ref().and_then(|track| track.history.get(index));
            let Some((_, payload)) = kept else { continue };
            for _ in 0..subscribing.downlink.repeats(now, ssrc, extended, payload.len()) {
                let again = (extended, Purpose::Repair);
                shared.runs.push_back(Run::resend(self.place, source, index, (place, at), again));
            }
        }
    }

    /// Wants a key frame of a track, and asks for it if the spacing allows.
    pub(crate) fn want_key(&mut self, shared: &mut Shared, now: Micros, track: usize) {
        if !self.is_used(track) {
            return;
        }
        if let Some(track) = &mut self.tracks[track] {
            track.want_key();
        }
        self.request_key(shared, now, track);
    }

    /// A layer that nobody is sent, waits for or records needs no key frame.
    fn is_used(&self, place: usize) -> bool {
        let Some(track) = &self.tracks[place] else { return false };
        let recorded = self.tracks[track.lead].as_ref().is_some_and(|lead| {
            !lead.recorders.is_empty() && (lead.recorded.feed == Some(place) || lead.recorded.target == Some(place))
        });
        !track.is_layer() || recorded || !track.subscribers.is_empty()
    }

    fn request_key(&mut self, shared: &mut Shared, now: Micros, track: usize) {
        let Some(track) = &mut self.tracks[track] else { return };
        let Some(owner) = &self.participants[track.owner] else { return };
        let Some(ssrc) = track.ssrc.or(track.section.ssrcs.map(|s| s.0)) else { return };
        // a firm that is stopped makes no pictures; it is asked when its gate opens
        let stopped = self.firms.get(&owner.id.firm).is_none_or(|clock| clock.gate(now) == Gate::Closed);
        if stopped || owner.publishing.state == LinkState::Down || !track.keys.due(now) {
            return;
        }
        shared.stats.key_requests += 1;
        let packet = build::key_frame_request(OWN_SSRC, ssrc);
        shared.outputs.push_back(Output::Rtcp { to: owner.key, transport: TransportKind::Publish, packet });
    }

    /// Housekeeping, once a tick.
    pub(crate) fn tick(&mut self, shared: &mut Shared, now: Micros) {
        for place in 0..self.participants.len() {
            self.publisher_feedback(shared, now, place);
            self.subscriber_reports(shared, now, place);
            self.tick_downlink(shared, now, place);
            if let Some(log) = self.participants[place].as_mut().and_then(Participant::log) {
                log.expire(now);
                log.idle(now);
                shared.stats.record_lost += log.take_lost();
            }
        }
        for track in 0..self.tracks.len() {
            self.request_key(shared, now, track);
        }
        self.choose_all(shared, now);
        self.offers(shared, now);
        if let Some(place) = self.speaker.decide(now)
            && let Some(participant) = self.participants.get(place).and_then(Option::as_ref)
        {
            let (meeting, participant) = (self.id.clone(), participant.id.clone());
            shared.tell(FromSfu::Speaker { meeting, participant });
        }
    }

    /// By track, the share that the worst subscriber of a sound loses: its sender is told, so that it adds redundancy
    /// (Opus in-band FEC) for whom it cannot see.
    fn worst_heard(&self) -> Vec<u8> {
        let lost = |(place, at): &(usize, usize)| {
            self.participants[*place].as_ref().and_then(|p| p.subscribing.sections.get(*at)).map_or(0, |s| s.lost)
        };
        let worst = |track: &Track| match track.kind() {
            MediaKind::Audio => track.subscribers.iter().map(lost).max().unwrap_or(0),
            MediaKind::Video => 0,
        };
        self.tracks.iter().map(|track| track.as_ref().map_or(0, worst)).collect()
    }

    fn publisher_feedback(&mut self, shared: &mut Shared, now: Micros, place: usize) {
        let due =
            |p: &Participant| p.publishing.state == LinkState::Up && now.since(p.publishing.reported) >= REPORT_US;
        let heard = if self.participants[place].as_ref().is_some_and(due) { self.worst_heard() } else { Vec::new() };
        let Some(participant) = &mut self.participants[place] else { return };
        let publishing = &mut participant.publishing;
        if publishing.state == LinkState::Down {
            return;
        }
        let mut packets = Vec::new();
        let report = now.since(publishing.reported) >= REPORT_US;
        let (mut blocks, mut any) = (Vec::new(), 0);
        for place in &publishing.tracks {
            let Some(track) = &mut self.tracks[*place] else { continue };
            let Some(ssrc) = track.ssrc else { continue };
            any = ssrc;
            if track.kind() == MediaKind::Video && track.section.repair_payload_type.is_some() {
                let missing = track.gaps.due(now);
                shared.stats.nacks_sent += missing.len() as u64;
                packets.extend(build::nack(OWN_SSRC, ssrc, &missing));
            }
            if report && let Some(reception) = &mut track.reception {
                let mut block = reception.block(now, ssrc);
                track.quality = quality(block.lost);
                block.lost = block.lost.max(heard.get(*place).copied().unwrap_or(0));
                blocks.push(block);
            }
        }
        if report && !blocks.is_empty() {
            publishing.reported = now;
            packets.push(build::receiver_report(OWN_SSRC, &blocks));
        }
        if now.since(publishing.fed_back) >= TRANSPORT_FEEDBACK_US {
            publishing.fed_back = now;
            packets.extend(publishing.arrivals.feedback(OWN_SSRC, any));
        }
        let (to, transport) = (participant.key, TransportKind::Publish);
        shared.outputs.extend(packets.into_iter().map(|packet| Output::Rtcp { to, transport, packet }));
    }

    fn subscriber_reports(&mut self, shared: &mut Shared, now: Micros, place: usize) {
        let Some(participant) = &mut self.participants[place] else { return };
        let subscribing = &mut participant.subscribing;
        if subscribing.state == LinkState::Down || now.since(subscribing.reported) < REPORT_US {
            return;
        }
        subscribing.reported = now;
        for section in subscribing.sections.iter_mut().filter(|s| s.live) {
            // the sender's own mapping, not ours: only it knows when sound and picture were captured (lip sync)
            let track = section.feed.and_then(|track| self.tracks[track].as_ref());
            let clock = track.and_then(|track| track.reception.as_ref()?.sender_clock());
            let Some((ntp, source)) = clock.map(|clock| clock.carried_to(now, section.kind.clock_rate())) else {
                continue;
            };
            let Some(timestamp) = section.rewriter.translate(source) else { continue };
            section.reported = Some(((ntp >> 16) as u32, now));
            let packet = build::sender_report(section.ssrc, ntp, timestamp, section.packets, section.octets);
            let (to, transport) = (participant.key, TransportKind::Subscribe);
            shared.outputs.push_back(Output::Rtcp { to, transport, packet });
        }
    }
}

//! A meeting: who is in it, whose tracks go to whom, and under which rules. Packets are handled in [`crate::media`],
//! feedback in [`crate::feedback`], record links in [`crate::recording`].

use crate::Micros;
use crate::engine::Output;
use crate::forward::Shared;
use crate::grace::{Gate, GraceClock};
use crate::layers::ladder::Ladder;
use crate::leaves::LeafLines;
use crate::participant::{ANSWER_WAIT_US, Kind, LinkState, MAX_TRACKS, Participant, PeerKey, Publishing, Subscribing};
use crate::record::{LinkId, Record, RecordLog};
use crate::sdp::offer::OfferSection;
use crate::speaker::Speaker;
use crate::subscription::Carried;
use crate::track::{PublishSection, Role, Track};
use domain::limits::{GRACE_MIN_MS, MAX_LAYERS, MAX_MEMBERS};
use domain::message::client::SubscribedTrack;
use domain::message::control::{FirmRule, FromSfu};
use domain::{Codec, FirmId, MediaKind, MeetingId, ParticipantId, Slot, TransportKind};
use std::collections::BTreeMap;

/// One meeting.
#[derive(Debug)]
pub struct Meeting {
    pub(crate) id: MeetingId,
    pub(crate) place: u32,
    pub(crate) firms: BTreeMap<FirmId, GraceClock>,
    pub(crate) leaves: LeafLines,
    pub(crate) participants: Vec<Option<Participant>>,
    pub(crate) tracks: Vec<Option<Track>>,
    pub(crate) speaker: Speaker,
    /// Panics that were caught while it was at work.
    pub(crate) faults: u32,
}

impl Meeting {
    pub(crate) fn new(id: MeetingId, place: u32) -> Self {
        Self {
            id,
            place,
            firms: BTreeMap::new(),
            leaves: LeafLines::default(),
            participants: Vec::new(),
            tracks: Vec::new(),
            speaker: Speaker::default(),
            faults: 0,
        }
    }

    pub(crate) fn set_rules(&mut self, shared: &mut Shared, now: Micros, rules: Vec<FirmRule>) {
        self.firms.retain(|firm, _| rules.iter().any(|rule| rule.firm == *firm));
        for rule in rules {
            for participant in self.participants.iter_mut().flatten().filter(|p| p.id.firm == rule.firm) {
                if let Some(log) = participant.log() {
                    log.set_grace(rule.recorder_grace_ms);
                }
            }
            match self.firms.get_mut(&rule.firm) {
                Some(clock) => clock.set_rule(rule),
                None => {
                    self.firms.insert(rule.firm.clone(), GraceClock::new(rule));
                }
            }
        }
        for place in 0..self.tracks.len() {
            let ends = self.tracks[place].as_ref().is_some_and(|track| self.refuses(track.section.codec));
            if ends {
                self.tell_refused(shared, place);
                self.end_track(shared, now, place);
            }
        }
        self.announce_gates(shared, now);
    }

    /// What a firm keeps must be shown in its replay, which knows VP8 alone so far.
    fn refuses(&self, codec: Codec) -> bool {
        matches!(codec, Codec::Vp9 | Codec::Av1) && self.firms.values().any(GraceClock::records)
    }

    pub(crate) fn peer(&self, participant: &ParticipantId) -> Option<PeerKey> {
        self.participants.iter().flatten().find(|p| p.id == *participant).map(|p| p.key)
    }

    pub(crate) fn is_current(&self, peer: PeerKey) -> bool {
        self.participants.get(peer.place as usize).and_then(Option::as_ref).is_some_and(|p| p.key == peer)
    }

    pub(crate) fn name(&self, place: usize) -> Option<(&MeetingId, &ParticipantId)> {
        Some((&self.id, &self.participants.get(place)?.as_ref()?.id))
    }

    pub(crate) fn population(&self) -> usize {
        self.participants.iter().flatten().count()
    }

    /// Admits someone, or changes what an admitted one may do. One whose subscribe transport is not up is offered anew.
    pub(crate) fn admit(
        &mut self,
        shared: &mut Shared,
        now: Micros,
        id: ParticipantId,
        recorder: bool,
        may_publish: bool,
    ) {
        if let Some(known) = self.participants.iter_mut().flatten().find(|p| p.id == id) {
            known.may_publish = may_publish;
            let place = known.key.place as usize;
            if known.is_member() && known.subscribing.state == LinkState::Down && known.subscribing.revision > 0 {
                self.renew_subscription(shared, place);
            }
            return;
        }
        if self.population() >= MAX_MEMBERS {
            return;
        }
        let place = self.participants.iter().position(Option::is_none).unwrap_or(self.participants.len());
        if place == self.participants.len() {
            self.participants.push(None);
        }
        let key = PeerKey { meeting: self.place, place: place as u32, generation: shared.next_generation() };
        let grace = self.firms.get(&id.firm).map_or(GRACE_MIN_MS, GraceClock::grace_ms);
        let kind = if recorder { Kind::Recorder(Box::new(RecordLog::new(grace))) } else { Kind::Member };
        let subscribing = Subscribing::new(shared.random_ssrc());
        let publishing = Publishing::default();
        self.participants[place] = Some(Participant { key, id, kind, may_publish, publishing, subscribing });
        if !recorder {
            self.carry_all(place);
        }
        self.offers(shared, now);
    }

    /// Gives a subscriber a section for every track of the others.
    fn carry_all(&mut self, place: usize) {
        for track_place in 0..self.tracks.len() {
            if self.is_lead(track_place)
                && let Some(carried) = self.carried(track_place)
                && self.tracks[track_place].as_ref().is_some_and(|t| t.owner != place)
                && let Some(participant) = &mut self.participants[place]
            {
                participant.subscribing.carry(carried);
            }
        }
    }

    fn is_lead(&self, track: usize) -> bool {
        self.tracks[track].as_ref().is_some_and(|t| t.lead == track)
    }

    fn carried(&self, track: usize) -> Option<Carried> {
        let found = self.tracks.get(track)?.as_ref()?;
        let participant = self.participants.get(found.owner)?.as_ref()?.id.clone();
        Some(Carried { track, participant, slot: found.section.slot, codec: found.section.codec })
    }

    pub(crate) fn cut(&mut self, shared: &mut Shared, now: Micros, id: &ParticipantId) {
        let Some(key) = self.peer(id) else { return };
        self.remove(shared, now, key.place as usize);
        self.offers(shared, now);
    }

    fn remove(&mut self, shared: &mut Shared, now: Micros, place: usize) {
        let Some(participant) = &self.participants[place] else { return };
        for track in participant.publishing.tracks.clone() {
            self.end_track(shared, now, track);
        }
        for track in self.tracks.iter_mut().flatten() {
            track.subscribers.retain(|(subscriber, _)| *subscriber != place);
            track.recorders.retain(|(recorder, _)| *recorder != place);
        }
        let Some(mut gone) = self.participants[place].take() else { return };
        self.speaker.forget(place);
        if let Some(number) = gone.log().and_then(|log| log.link()) {
            shared.outputs.push_back(Output::CloseLink(LinkId { meeting: self.place, place: place as u32, number }));
        }
        if let Kind::Recorder(_) = gone.kind {
            let firm = gone.id.firm.clone();
            let another = self.participants.iter().flatten().any(|p| !p.is_member() && p.id.firm == firm);
            if let Some(clock) = self.firms.get_mut(&firm).filter(|_| !another) {
                clock.forget();
            }
            self.announce_gates(shared, now);
        }
        shared.outputs.push_back(Output::Gone(gone.key));
    }

    pub(crate) fn end(&mut self, shared: &mut Shared, now: Micros) {
        for place in 0..self.participants.len() {
            self.remove(shared, now, place);
        }
        // nobody is left to be told of gates or offered anything
        shared.runs.retain(|run| run.meeting != self.place);
    }

    /// Host's mute. Lifting it needs nothing here: the next packet that passes asks for a key frame.
    pub(crate) fn mute(&mut self, id: &ParticipantId, slot: Slot, muted: bool) {
        let Some(participant) = self.participants.iter_mut().flatten().find(|p| p.id == *id) else { return };
        let list = &mut participant.publishing.muted;
        list.retain(|known| *known != slot);
        if muted && list.len() < MAX_TRACKS {
            list.push(slot);
        }
    }

    /// The publish offer's sections: tracks that stay go on, others end, new ones begin.
    pub(crate) fn published(&mut self, shared: &mut Shared, now: Micros, place: usize, new: Vec<PublishSection>) {
        let Some(participant) = &mut self.participants[place] else { return };
        participant.publishing.transport_sequence_id = new.iter().map(|s| s.transport_sequence_id).max().unwrap_or(0);
        let known = participant.publishing.tracks.clone();
        let mut kept = Vec::new();
        for track_place in known {
            let Some(track) = &mut self.tracks[track_place] else { continue };
            let same = |s: &&PublishSection| {
                let old = &track.section;
                s.mid == old.mid && s.slot == old.slot && s.codec == old.codec && s.rids == old.rids
            };
            match new.iter().find(same) {
                Some(section) => {
                    track.section = section.clone();
                    kept.push(section.mid.clone());
                    self.learn_ssrcs(place, track_place);
                }
                None => self.end_track(shared, now, track_place),
            }
        }
        for section in new.into_iter().filter(|s| !kept.contains(&s.mid)).take(MAX_TRACKS) {
            if self.refuses(section.codec) {
                self.tell_refused_slot(shared, place, section.slot);
            } else {
                self.begin_track(shared, now, place, section);
            }
        }
    }

    /// One track for each layer of the source, the lowest first: it leads.
    fn begin_track(&mut self, shared: &mut Shared, now: Micros, owner: usize, section: PublishSection) {
        let mut layers = Vec::new();
        for layer in 0..section.rids.len().max(1) {
            let place = self.tracks.iter().position(Option::is_none).unwrap_or(self.tracks.len());
            if place == self.tracks.len() {
                self.tracks.push(None);
            }
            let lead = layers.first().copied().unwrap_or(place);
            self.tracks[place] = Some(Track::new(owner, section.clone(), lead, layer as u8));
            layers.push(place);
        }
        if let Some(participant) = &mut self.participants[owner] {
            participant.publishing.tracks.extend(&layers);
        }
        let lead = layers[0];
        if let Some(track) = &mut self.tracks[lead] {
            // what has one encoding is recorded from its first packet on
            track.recorded.feed = (layers.len() == 1).then_some(lead);
            track.layers = layers;
        }
        self.learn_ssrcs(owner, lead);
        for recorder in 0..self.participants.len() {
            self.announce_track(shared, now, recorder, lead);
        }
        let Some(carried) = self.carried(lead) else { return };
        for participant in self.participants.iter_mut().flatten() {
            if participant.key.place as usize != owner && participant.is_member() {
                participant.subscribing.carry(carried.clone());
            }
        }
    }

    /// A page said how high the layers of a source are now.
    pub(crate) fn heights(&mut self, id: &ParticipantId, slot: Slot, heights: Vec<u16>) {
        let Some(place) = self.peer(id).map(|key| key.place as usize) else { return };
        let of_source = |track: &&mut Track| track.owner == place && track.section.slot == slot && track.layer == 0;
        if let Some(lead) = self.tracks.iter_mut().flatten().find(of_source) {
            lead.heights = heights.into_iter().take(usize::from(MAX_LAYERS)).collect();
        }
    }

    fn learn_ssrcs(&mut self, owner: usize, place: usize) {
        let (Some(participant), Some(track)) = (&mut self.participants[owner], &self.tracks[place]) else { return };
        // layers are known by their names alone
        let Some((media, repair)) = track.section.ssrcs.filter(|_| !track.is_layer()) else { return };
        participant.publishing.learn(media, place, Role::Media);
        if let Some(repair) = repair {
            participant.publishing.learn(repair, place, Role::Repair);
        }
    }

    fn end_track(&mut self, shared: &mut Shared, now: Micros, place: usize) {
        let Some(track) = self.tracks[place].take() else { return };
        shared.runs.retain(|run| run.meeting != self.place || run.track != place);
        if let Some(owner) = &mut self.participants[track.owner] {
            owner.publishing.tracks.retain(|known| *known != place);
            owner.publishing.streams.retain(|(_, known, _)| *known != place);
        }
        for (recorder, number) in track.recorders {
            if let Some(log) = self.participants[recorder].as_mut().and_then(Participant::log) {
                log.push(now, Record::Ended { track: number });
                shared.stats.recorded += 1;
            }
        }
        for participant in self.participants.iter_mut().flatten() {
            for section in participant.subscribing.sections.iter_mut() {
                if section.track == Some(place) {
                    section.end();
                    participant.subscribing.changed = true;
                } else if section.feed == Some(place) || section.target == Some(place) {
                    section.pause();
                }
            }
        }
    }

    /// The page's subscribe side is gone: everything is offered from the beginning.
    pub(crate) fn renew_subscription(&mut self, shared: &mut Shared, place: usize) {
        for track in self.tracks.iter_mut().flatten() {
            track.subscribers.retain(|(subscriber, _)| *subscriber != place);
        }
        let Some(participant) = &mut self.participants[place] else { return };
        let revision = participant.subscribing.revision;
        participant.subscribing = Subscribing::new(shared.random_ssrc());
        participant.subscribing.revision = revision;
        shared.outputs.push_back(Output::ResetSubscribe(participant.key));
        self.carry_all(place);
    }

    /// What was offered is offered again, however the last offer fares: its answer would name old ICE parameters.
    pub(crate) fn reoffer(&mut self, place: usize) {
        if let Some(participant) = &mut self.participants[place]
            && participant.subscribing.revision > 0
        {
            (participant.subscribing.changed, participant.subscribing.outstanding) = (true, None);
        }
    }

    /// Another path: pictures begin anew with a key frame, without waiting until the page has missed them.
    pub(crate) fn moved(&mut self, shared: &mut Shared, now: Micros, place: usize) {
        let Some(participant) = &self.participants[place] else { return };
        let sent = participant.subscribing.sections.iter().filter(|section| section.live);
        let feeds: Vec<usize> = sent.filter_map(|section| section.feed).collect();
        for track in feeds {
            self.want_key(shared, now, track);
        }
    }

    /// Makes the offers that are due: something changed and no offer is unanswered.
    pub(crate) fn offers(&mut self, shared: &mut Shared, now: Micros) {
        for place in 0..self.participants.len() {
            let Some(participant) = &mut self.participants[place] else { continue };
            let subscribing = &mut participant.subscribing;
            if subscribing.outstanding.is_some_and(|since| now.since(since) >= ANSWER_WAIT_US) {
                (subscribing.outstanding, subscribing.changed) = (None, true);
            }
            if !subscribing.changed || subscribing.outstanding.is_some() || subscribing.sections.is_empty() {
                continue;
            }
            subscribing.revision += 1;
            (subscribing.changed, subscribing.outstanding) = (false, Some(now));
            let (key, revision) = (participant.key, subscribing.revision);
            for section in &mut subscribing.sections {
                section.offered_active = section.track.is_some();
            }
            let (sections, tracks) = self.describe(place);
            shared.outputs.push_back(Output::Offer { to: key, revision, sections, tracks });
        }
    }

    fn describe(&self, place: usize) -> (Vec<OfferSection>, Vec<SubscribedTrack>) {
        let sections = self.participants[place].as_ref().map_or(&[][..], |p| &p.subscribing.sections);
        let stream = |track: Option<usize>| {
            let track = self.tracks.get(track?)?.as_ref()?;
            let owner = self.participants[track.owner].as_ref()?;
            let screen = matches!(track.section.slot.0, 1 | 16..);
            Some(format!("{}{}", if screen { "screen" } else { "person" }, owner.key.generation))
        };
        let offer = sections.iter().map(|s| OfferSection {
            mid: s.mid.clone(),
            codec: s.codec,
            ssrc: s.ssrc,
            repair_ssrc: s.repair_ssrc,
            stream: stream(s.track),
        });
        let tracks = sections.iter().map(|s| SubscribedTrack {
            mid: s.mid.clone(),
            participant: s.participant.clone(),
            slot: s.slot,
            codec: s.codec,
            active: s.track.is_some(),
        });
        (offer.collect(), tracks.collect())
    }

    pub(crate) fn answered(
        &mut self,
        shared: &mut Shared,
        now: Micros,
        place: usize,
        revision: u32,
        accepted: &[String],
    ) {
        let Some(participant) = &mut self.participants[place] else { return };
        let subscribing = &mut participant.subscribing;
        if revision != subscribing.revision {
            return;
        }
        subscribing.outstanding = None;
        let mut refused = Vec::new();
        for section in &mut subscribing.sections {
            if !section.offered_active {
                section.free = section.track.is_none();
            } else if section.track.is_some() && accepted.contains(&section.mid) {
                section.answered = true;
            } else if matches!(section.codec, Codec::Vp9 | Codec::Av1) {
                refused.extend(section.track);
            }
        }
        for track in refused {
            self.tell_refused(shared, track);
        }
        self.go_live(shared, now, place);
    }

    /// Somebody cannot decode what is sent here: its publisher is to send what everybody can.
    fn tell_refused(&self, shared: &mut Shared, track: usize) {
        let Some(track) = self.tracks.get(track).and_then(Option::as_ref) else { return };
        self.tell_refused_slot(shared, track.owner, track.section.slot);
    }

    fn tell_refused_slot(&self, shared: &mut Shared, owner: usize, slot: Slot) {
        let Some(owner) = &self.participants[owner] else { return };
        let (meeting, participant) = (self.id.clone(), owner.id.clone());
        shared.tell(FromSfu::CodecRefused { meeting, participant, slot });
    }

    pub(crate) fn transport(
        &mut self,
        shared: &mut Shared,
        now: Micros,
        place: usize,
        transport: TransportKind,
        state: LinkState,
    ) {
        let Some(participant) = &mut self.participants[place] else { return };
        let (meeting, id) = (self.id.clone(), participant.id.clone());
        let known = match transport {
            TransportKind::Publish => &mut participant.publishing.state,
            TransportKind::Subscribe => &mut participant.subscribing.state,
        };
        let before = std::mem::replace(known, state);
        if before == state {
            return;
        }
        shared.tell(match state {
            LinkState::Up => FromSfu::Connected { meeting, participant: id, transport },
            LinkState::Down => FromSfu::Disconnected { meeting, participant: id, transport },
        });
        match (transport, state) {
            (TransportKind::Subscribe, LinkState::Up) => self.go_live(shared, now, place),
            // nothing of it can be used again: a page that is still there, or back, is offered all from the beginning
            (TransportKind::Subscribe, LinkState::Down) => self.renew_subscription(shared, place),
            (TransportKind::Publish, _) => {}
        }
    }

    /// Starts forwarding on every section that the page knows, once the transport is up.
    fn go_live(&mut self, shared: &mut Shared, now: Micros, place: usize) {
        let Some(participant) = &mut self.participants[place] else { return };
        if participant.subscribing.state == LinkState::Down {
            return;
        }
        let mut began = Vec::new();
        for (at, section) in participant.subscribing.sections.iter_mut().enumerate() {
            let Some(lead) = section.track.filter(|_| section.answered && !section.live) else { continue };
            section.live = true;
            section.interrupt();
            began.push((at, lead, section.kind));
        }
        for (at, lead, kind) in began {
            match kind {
                MediaKind::Video => self.follow(shared, now, (place, at), self.first_layer(now, lead)),
                MediaKind::Audio => self.feed(place, at, lead),
            }
        }
    }

    /// Sound is sent from now on.
    fn feed(&mut self, place: usize, at: usize, track: usize) {
        if let Some(participant) = &mut self.participants[place] {
            participant.subscribing.sections[at].feed = Some(track);
        }
        if let Some(track) = &mut self.tracks[track] {
            track.subscribers.push((place, at));
        }
    }

    /// The layer that a newcomer is shown before more is known of its link: the lowest that flows.
    fn first_layer(&self, now: Micros, lead: usize) -> usize {
        Ladder::of(now, &self.tracks, lead).0.first().map_or(lead, |rung| rung.track)
    }

    /// Tells signaling whose gate opened or closed, and asks for pictures where it opened.
    pub(crate) fn announce_gates(&mut self, shared: &mut Shared, now: Micros) {
        let mut opened = Vec::new();
        for (firm, clock) in &mut self.firms {
            if let Some(gate) = clock.changed(now) {
                let suspended = gate == Gate::Closed;
                shared.tell(FromSfu::FirmSuspended { meeting: self.id.clone(), firm: firm.clone(), suspended });
                if gate == Gate::Open {
                    opened.push(firm.clone());
                }
            }
        }
        for track in 0..self.tracks.len() {
            let owner = self.tracks[track].as_ref().and_then(|t| self.participants[t.owner].as_ref());
            if owner.is_some_and(|owner| opened.contains(&owner.id.firm)) {
                self.want_key(shared, now, track);
            }
        }
    }

    /// Next time something changes by itself: a held frame is due or a gate closes.
    pub(crate) fn deadline(&self) -> Option<Micros> {
        let held = self.tracks.iter().flatten().filter_map(|t| Some(t.pending_since?.0.plus(crate::track::HOLD_US)));
        held.chain(self.firms.values().filter_map(GraceClock::deadline)).min()
    }
}

impl Publishing {
    /// Remembers an SSRC; beyond the limit the oldest is forgotten.
    pub(crate) fn learn(&mut self, ssrc: u32, track: usize, role: Role) {
        self.streams.retain(|(known, ..)| *known != ssrc);
        if self.streams.len() >= crate::participant::MAX_STREAMS {
            self.streams.remove(0);
        }
        self.streams.push((ssrc, track, role));
    }
}

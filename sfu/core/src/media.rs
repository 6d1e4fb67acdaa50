//! A publisher's RTP packet: found its track, permitted, looked at, kept, written down for recorders and set ready for
//! subscribers.

use crate::Micros;
use crate::forward::{Run, Shared, pad_to};
use crate::grace::Gate;
use crate::meeting::Meeting;
use crate::participant::{Participant, Publishing};
use crate::reception::Reception;
use crate::record::Record;
use crate::rtp::Header;
use crate::track::{HOLD_US, Role, Track};
use crate::tripwire::{self, Expected, LeafCheck, Refusal, Shape, Slots};
use bytes::Bytes;
use domain::{Codec, MediaKind};

/// Bytes of a color space, without and with what displays of high range need.
const COLOR_SPACES: [usize; 2] = [4, 28];

/// A publisher's packet on its way through; `packet` is header and plaintext.
struct Arrived<'a> {
    header: &'a Header,
    index: u64,
    packet: &'a [u8],
    role: Role,
}

impl Meeting {
    pub(crate) fn rtp(
        &mut self,
        shared: &mut Shared,
        now: Micros,
        place: usize,
        header: &Header,
        index: u64,
        packet: &[u8],
    ) {
        #[cfg(test)]
        crate::contain::spring(packet);
        shared.stats.received += 1;
        shared.stats.received_bytes += packet.len() as u64;
        let Some(participant) = &mut self.participants[place] else { return };
        let publishing = &mut participant.publishing;
        if let Some(&[high, low]) = header.extension(packet, publishing.transport_sequence_id) {
            publishing.arrivals.note(now, u16::from_be_bytes([high, low]));
        }
        let Some((track, role)) = stream(publishing, &self.tracks, header, packet) else {
            shared.stats.unusable += 1;
            return;
        };
        match role {
            Role::Media => {
                if let Some(t) = &mut self.tracks[track]
                    && t.ssrc != Some(header.ssrc)
                {
                    t.restart(header.ssrc);
                    self.interrupt_subscribers(track);
                }
                self.media(shared, now, track, &Arrived { header, index, packet, role });
            }
            Role::Repair => {
                let Some(restored) = self.tracks[track].as_ref().and_then(|t| restore(t, header, packet)) else {
                    return;
                };
                let (index, packet) = restored;
                if let Some(header) = Header::parse(&packet) {
                    shared.stats.recovered += 1;
                    self.media(shared, now, track, &Arrived { header: &header, index, packet: &packet, role });
                }
            }
        }
    }

    fn interrupt_subscribers(&mut self, place: usize) {
        let Some(track) = &self.tracks[place] else { return };
        for (subscriber, at) in &track.subscribers {
            if let Some(participant) = &mut self.participants[*subscriber] {
                let section = &mut participant.subscribing.sections[*at];
                if section.feed == Some(place) {
                    section.interrupt();
                }
            }
        }
    }

    fn media(&mut self, shared: &mut Shared, now: Micros, place: usize, arrived: &Arrived<'_>) {
        let (header, index) = (arrived.header, arrived.index);
        let Some(payload) = header.payload(arrived.packet) else {
            shared.stats.not_sealed += 1;
            return;
        };
        let Some(track) = &mut self.tracks[place] else { return };
        track.gaps.note(now, index);
        let clock_rate = track.kind().clock_rate();
        track.reception.get_or_insert_with(|| Reception::new(index)).note(now, index, header.timestamp, clock_rate);
        if payload.is_empty() {
            return; // padding of a bandwidth probe
        }
        if track.kind() == MediaKind::Audio && !track.allowance.takes(now, arrived.packet.len()) {
            shared.stats.flooded += 1;
            return;
        }
        if !self.permitted(shared, now, place) {
            return;
        }
        let shape = match self.judge(shared, now, place, (header, arrived.packet), payload) {
            Some(shape) => shape,
            None => return,
        };
        let Some(track) = &mut self.tracks[place] else { return };
        let carried = header
            .extension(arrived.packet, track.section.carried_id)
            .filter(|value| goes_on(track.section.codec, value, &shape));
        let whole = (carried.unwrap_or_default(), &arrived.packet[header.len..]);
        if track.history.push(now, index, header, whole, shape.marks).is_err() {
            shared.stats.unusable += 1;
            return;
        }
        track.rate.note(now, shape.marks.spatial, shape.marks.temporal, arrived.packet.len());
        if shape.structure.is_some() {
            track.structure = shape.structure;
        }
        if shape.marks.key && track.kind() == MediaKind::Video {
            track.last_key = Some(track.last_key.map_or(index, |last| last.max(index)));
            track.keys.satisfied(now);
        }
        if track.gaps.take_overrun() {
            track.want_key();
        }
        if let Some(&[level]) = header.extension(arrived.packet, track.section.level_id) {
            self.speaker.note(track.owner, level & 0x7f);
        }
        if self.written(place, shape.marks.key) {
            self.write_down(shared, now, place, arrived.packet);
        }
        self.set_ready(shared, now, place, arrived);
    }

    /// Is the publisher allowed to be forwarded now? An opening makes pictures start at a key frame.
    fn permitted(&mut self, shared: &mut Shared, now: Micros, place: usize) -> bool {
        let Some(track) = &mut self.tracks[place] else { return false };
        let Some(owner) = &self.participants[track.owner] else { return false };
        let gate = self.firms.get(&owner.id.firm).map_or(Gate::Closed, |clock| clock.gate(now));
        let silenced = !owner.may_publish || owner.publishing.muted.contains(&track.section.slot);
        if silenced {
            shared.stats.not_permitted += 1;
        } else if gate == Gate::Closed {
            shared.stats.suspended += 1;
        }
        let gate = if silenced { Gate::Closed } else { gate };
        let before = std::mem::replace(&mut track.gate, gate);
        if gate == Gate::Closed {
            track.pending.clear();
            track.pending_since = None;
            return false;
        }
        if before == Gate::Closed {
            track.last_key = None;
            self.interrupt_subscribers(place);
            self.want_key(shared, now, place);
        }
        true
    }

    fn judge(
        &mut self,
        shared: &mut Shared,
        now: Micros,
        place: usize,
        (header, packet): (&Header, &[u8]),
        payload: &[u8],
    ) -> Option<Shape> {
        let track = self.tracks[place].as_mut()?;
        let owner = self.participants[track.owner].as_ref()?;
        let single = track.is_layer() || track.kind() == MediaKind::Audio;
        let expected = Expected {
            participant: &owner.id,
            slots: if single { Slots::One(track.slot()) } else { Slots::Nested(track.section.slot) },
            codec: track.section.codec,
            dependency: (track.section.carried_id, track.structure.as_ref()),
        };
        match tripwire::judge(now, (header, packet), payload, expected, &self.leaves) {
            Ok((shape, _)) if !shape.start && track.refused == Some(header.timestamp) => {
                shared.stats.not_sealed += 1;
                None
            }
            Ok((shape, check)) => {
                if shape.start {
                    track.refused = None;
                    shared.stats.leaf_unchecked += u64::from(check == LeafCheck::Suspended);
                }
                Some(shape)
            }
            Err(refusal) => {
                track.refused = Some(header.timestamp);
                match refusal {
                    Refusal::WrongLeaf | Refusal::WrongSlot => shared.stats.wrong_leaf += 1,
                    Refusal::Malformed | Refusal::NotSealed => shared.stats.not_sealed += 1,
                }
                None
            }
        }
    }

    /// One copy of the packet for all record logs.
    fn write_down(&mut self, shared: &mut Shared, now: Micros, place: usize, packet: &[u8]) {
        let lead = self.tracks[place].as_ref().and_then(|track| self.tracks[track.lead].as_ref());
        let Some(track) = lead.filter(|lead| !lead.recorders.is_empty()) else { return };
        let rtp = Bytes::copy_from_slice(packet);
        for (recorder, number) in &track.recorders {
            if let Some(log) = self.participants[*recorder].as_mut().and_then(Participant::log) {
                log.push(now, Record::Packet { track: *number, at: now, rtp: rtp.clone() });
                shared.stats.recorded += 1;
            }
        }
    }

    /// Sound goes at once, a picture with its marker or after the hold.
    fn set_ready(&mut self, shared: &mut Shared, now: Micros, place: usize, arrived: &Arrived<'_>) {
        let Some(track) = &mut self.tracks[place] else { return };
        if track.subscribers.is_empty() {
            track.pending.clear();
            track.pending_since = None;
            return;
        }
        if arrived.role == Role::Repair {
            let mut indices = shared.spare.pop().unwrap_or_default();
            indices.push(arrived.index);
            shared.runs.push_back(Run::new(self.place, place, indices, 0));
            return;
        }
        let timestamp = arrived.header.timestamp;
        if track.pending_since.is_some_and(|(_, held)| held != timestamp) {
            release(self.place, place, track, shared);
        }
        track.pending.push(arrived.index);
        track.pending_since.get_or_insert((now, timestamp));
        let whole = arrived.header.marker || track.kind() == MediaKind::Audio;
        if whole || track.pending.len() >= crate::forward::MAX_RUN {
            release(self.place, place, track, shared);
        }
    }

    /// Sends on what was held for its whole time.
    pub(crate) fn release_held(&mut self, shared: &mut Shared, now: Micros) {
        for (place, track) in self.tracks.iter_mut().enumerate() {
            if let Some(track) = track
                && track.pending_since.is_some_and(|(since, _)| now.since(since) >= HOLD_US)
            {
                release(self.place, place, track, shared);
            }
        }
    }
}

/// Does an extension go on to subscribers? A descriptor that was understood does, and a color space of a known length.
fn goes_on(codec: Codec, value: &[u8], shape: &Shape) -> bool {
    if codec == Codec::Av1 { shape.described } else { COLOR_SPACES.contains(&value.len()) }
}

fn release(meeting: u32, place: usize, track: &mut Track, shared: &mut Shared) {
    let mut indices = shared.spare.pop().unwrap_or_default();
    std::mem::swap(&mut indices, &mut track.pending);
    track.pending_since = None;
    // reordered packets leave in order
    if !indices.is_sorted() {
        indices.sort_unstable();
    }
    let pad_to = pad_to(track, &indices);
    shared.runs.push_back(Run::new(meeting, place, indices, pad_to));
}

/// The track and role of an SSRC: known, or learnt from the mid extension and the payload type.
fn stream(
    publishing: &mut Publishing,
    tracks: &[Option<Track>],
    header: &Header,
    packet: &[u8],
) -> Option<(usize, Role)> {
    let by_type = |track: &Track| match header.payload_type {
        media if media == track.section.payload_type => Some(Role::Media),
        repair if Some(repair) == track.section.repair_payload_type => Some(Role::Repair),
        _ => None,
    };
    if let Some((_, place, role)) = publishing.streams.iter().find(|(ssrc, ..)| *ssrc == header.ssrc) {
        let track = tracks[*place].as_ref()?;
        return (by_type(track) == Some(*role)).then_some((*place, *role));
    }
    let own = || publishing.tracks.iter().filter_map(|place| Some((*place, tracks[*place].as_ref()?)));
    let of_mid =
        |t: &Track| header.extension(packet, t.section.mid_id).is_some_and(|mid| mid == t.section.mid.as_bytes());
    let (place, track) = match own().find(|(_, t)| of_mid(t)) {
        Some((_, t)) if t.is_layer() => own().find(|(_, t)| of_mid(t) && names(t, header, packet))?,
        Some(found) => found,
        // without a mid the payload type decides, where it is one track's only
        None => {
            let mut fitting = own().filter(|(_, t)| by_type(t).is_some() && t.section.ssrcs.is_none() && !t.is_layer());
            let first = fitting.next()?;
            fitting.next().is_none().then_some(first)?
        }
    };
    let role = by_type(track)?;
    publishing.learn(header.ssrc, place, role);
    Some((place, role))
}

/// Does the packet name this layer: by its own name, or as a retransmission of it (RFC 8852)?
fn names(track: &Track, header: &Header, packet: &[u8]) -> bool {
    let named = |id: u8| header.extension(packet, id);
    let name = named(track.section.rid_id).or_else(|| named(track.section.repair_rid_id));
    name.is_some() && name == track.rid().map(str::as_bytes)
}

/// The packet inside a retransmission (RFC 4588 section 4), with its extended sequence number.
fn restore(track: &Track, header: &Header, packet: &[u8]) -> Option<(u64, Vec<u8>)> {
    let payload = header.payload(packet)?;
    let original = u16::from_be_bytes([*payload.first()?, *payload.get(1)?]);
    let highest = track.gaps.highest()?;
    let distance = i64::from(original.wrapping_sub(highest as u16) as i16);
    let index = highest.checked_add_signed(distance)?;
    let mut out = packet[..header.len].to_vec();
    out[0] &= !0x20;
    out[1] = track.section.payload_type | u8::from(header.marker) << 7;
    out[2..4].copy_from_slice(&original.to_be_bytes());
    out[8..12].copy_from_slice(&track.ssrc?.to_be_bytes());
    out.extend_from_slice(&payload[2..]);
    Some((index, out))
}

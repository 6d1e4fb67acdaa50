//! A simulated publisher: a microphone and a camera in three encodings, sealed in form (the engine sees headers alone),
//! with a key frame where one is asked for, and an encoder that does what the SFU wants of it after a while.

use domain::message::control::FromSfu;
use domain::{Codec, Epoch, Kid, LeafIndex, Slot};
use sfu_core::rtcp::{self, Item};
use sfu_core::track::PublishSection;
use sfu_core::{BitRate, Micros};
use std::collections::VecDeque;

/// Payload of one packet of a picture at most.
const PART: usize = 1_100;
/// Time between pictures, microseconds.
pub const PICTURE_US: u64 = 33_333;
/// Time between packets of sound, microseconds.
pub const SOUND_US: u64 = 20_000;
/// Bytes of a packet of sound: 32 kbit/s.
const SOUND: usize = 80;
/// A key frame is so many times as large as another: what Chromium's were at these rates.
const KEY_FACTOR: usize = 5;
/// Temporal layers in the order of the pictures, whether a receiver may go up to it there, and the share of a group's bytes
/// in hundredths: Chromium's simulcast has three in VP8 by itself, and these are the sizes of its recorded highest layer.
const TEMPORAL: [(u8, bool, usize); 4] = [(0, false, 33), (2, true, 21), (1, true, 25), (2, false, 21)];
/// From the SFU's word to the encoder: signaling, a message to the page, `setParameters`.
const TOLD_US: u64 = 80_000;
/// Time constant of an encoder's rate control, microseconds: after half a second four fifths of a change are there.
const ENCODER_US: u64 = 300_000;
/// Ids of the extensions: mid, transport-wide sequence number, rid.
const IDS: (u8, u8, u8) = (4, 3, 10);
/// SSRC of the sound.
pub const SOUND_SSRC: u32 = 7_000;
/// SSRC of the picture's lowest layer; the others follow.
pub const PICTURE_SSRC: u32 = 7_100;

/// A packet that leaves.
#[derive(Debug)]
pub struct Outgoing {
    /// Extended sequence number.
    pub index: u64,
    /// Header and plaintext.
    pub packet: Vec<u8>,
}

#[derive(Debug)]
struct Layer {
    rid: &'static str,
    /// What it is set up for.
    usual: BitRate,
    /// What it goes up to if it is asked to.
    most: BitRate,
    /// What it was told.
    aim: BitRate,
    /// What it gives.
    rate: BitRate,
    on: bool,
    index: u64,
    /// Pictures since the last key frame, and groups of temporal layers in all.
    place: (usize, u8),
    key: bool,
}

/// The publisher.
#[derive(Debug)]
pub struct Publisher {
    layers: Vec<Layer>,
    sound: u64,
    picture: u64,
    start: Micros,
    transport: u16,
    told: VecDeque<(Micros, Vec<u8>, Vec<Option<u64>>)>,
}

impl Publisher {
    /// Begins at a time. Rates as the page sets them for 180, 360 and 720 lines.
    pub fn new(start: Micros) -> Self {
        let layer = |rid, kbps, most| {
            let (rate, most) = (BitRate::kbps(kbps), BitRate::kbps(most));
            Layer { rid, usual: rate, most, aim: rate, rate, on: true, index: 1_000, place: (0, 0), key: true }
        };
        let layers = vec![layer("q", 150, 150), layer("h", 600, 850), layer("f", 1_700, 1_700)];
        Self { layers, sound: 0, picture: 0, start, transport: 0, told: VecDeque::new() }
    }

    /// Rate of its highest layer with its sound, as packets of [`crate::link`].
    pub fn wanted(&self) -> BitRate {
        let top = self.layers.last().map_or(BitRate::ZERO, |layer| layer.most);
        top.scale(1.06).plus(BitRate::kbps(60))
    }

    /// What its offer says.
    pub fn sections(&self) -> Vec<PublishSection> {
        let section = |mid: &str, slot, codec, payload_type| PublishSection {
            mid: mid.into(),
            slot,
            codec,
            payload_type,
            repair_payload_type: (codec == Codec::Vp8).then_some(97),
            ssrcs: None,
            rids: Vec::new(),
            rid_id: 0,
            repair_rid_id: 0,
            carried_id: 0,
            mid_id: IDS.0,
            transport_sequence_id: IDS.1,
            level_id: 0,
        };
        let mut camera = section("1", Slot::CAMERA, Codec::Vp8, 96);
        camera.rids = self.layers.iter().map(|layer| layer.rid.to_owned()).collect();
        camera.rid_id = IDS.2;
        vec![section("0", Slot::MICROPHONE, Codec::Opus, 111), camera]
    }

    /// RTCP came.
    pub fn rtcp(&mut self, packet: &[u8]) {
        for item in rtcp::parse(packet) {
            if let Item::KeyFrame { ssrc } = item
                && let Some(layer) = ssrc.checked_sub(PICTURE_SSRC).and_then(|at| self.layers.get_mut(at as usize))
            {
                layer.key = true;
            }
        }
    }

    /// The SFU said something.
    pub fn told(&mut self, now: Micros, message: &FromSfu) {
        if let FromSfu::LayersWanted { layers, rates, .. } = message {
            self.told.push_back((now.plus(TOLD_US), layers.clone(), rates.clone()));
        }
    }

    fn obey(&mut self, now: Micros) {
        while let Some((_, layers, rates)) = self.told.pop_front_if(|(at, ..)| *at <= now) {
            for (at, layer) in self.layers.iter_mut().enumerate() {
                let place = layers.iter().position(|wanted| usize::from(*wanted) == at);
                let rate = place.and_then(|place| rates.get(place).copied().flatten());
                layer.aim = rate.map_or(layer.usual, |rate| BitRate(rate).min(layer.most));
                layer.key |= place.is_some() && !layer.on;
                layer.on = place.is_some();
            }
        }
    }

    /// When something leaves next.
    pub fn poll_timeout(&self) -> Micros {
        self.start.plus((self.sound * SOUND_US).min(self.picture * PICTURE_US))
    }

    /// What leaves now.
    pub fn poll(&mut self, now: Micros) -> Vec<Outgoing> {
        let mut out = Vec::new();
        while self.start.plus(self.sound * SOUND_US) <= now {
            let mut payload = sealed(Slot::MICROPHONE);
            payload.resize(SOUND, 0);
            let timestamp = (self.sound * 960) as u32;
            out.push(self.packet((SOUND_SSRC, 111, "0", ""), self.sound + 1_000, (timestamp, true), &payload));
            self.sound += 1;
        }
        while self.start.plus(self.picture * PICTURE_US) <= now {
            self.obey(now);
            for at in 0..self.layers.len() {
                if self.layers[at].on {
                    self.picture_of(at, &mut out);
                }
            }
            self.picture += 1;
        }
        out
    }

    fn picture_of(&mut self, at: usize, out: &mut Vec<Outgoing>) {
        let layer = &mut self.layers[at];
        let (rid, key) = (layer.rid, std::mem::take(&mut layer.key));
        let step = (layer.aim.0 as i64 - layer.rate.0 as i64) * PICTURE_US as i64 / ENCODER_US as i64;
        layer.rate = BitRate(layer.rate.0.saturating_add_signed(step));
        layer.place.0 = if key { 0 } else { layer.place.0 + 1 };
        let (temporal, sync, share) = TEMPORAL[layer.place.0 % TEMPORAL.len()];
        layer.place.1 = layer.place.1.wrapping_add(u8::from(temporal == 0));
        let (group, usual) = (layer.place.1, layer.rate.bytes_in(PICTURE_US) as usize);
        let bytes = if key { usual * KEY_FACTOR } else { usual * share * TEMPORAL.len() / 100 };
        let parts = bytes.div_ceil(PART);
        let first = layer.index;
        layer.index += parts as u64;
        let number = (self.picture & 0x7fff) as u16 | 0x8000;
        for part in 0..parts {
            let mut payload = vec![0x80 | u8::from(part == 0) << 4, 0xe0];
            payload.extend(number.to_be_bytes());
            payload.extend([group, temporal << 6 | u8::from(sync) << 5]);
            if part == 0 {
                payload.push(u8::from(!key));
                payload.extend(sealed(Slot(Slot::CAMERA.0 + at as u8)));
            }
            payload.resize((bytes / parts).max(60), 0);
            let timing = ((self.picture * 3_000) as u32, part + 1 == parts);
            let ids = (PICTURE_SSRC + at as u32, 96, "1", rid);
            let packet = self.packet(ids, first + part as u64, timing, &payload);
            out.push(packet);
        }
    }

    fn packet(
        &mut self,
        (ssrc, payload_type, mid, rid): (u32, u8, &str, &str),
        index: u64,
        (timestamp, marker): (u32, bool),
        payload: &[u8],
    ) -> Outgoing {
        let mut packet = vec![0x90, payload_type | u8::from(marker) << 7];
        packet.extend((index as u16).to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        let mut extensions = vec![IDS.1 << 4 | 1];
        extensions.extend(self.transport.to_be_bytes());
        self.transport = self.transport.wrapping_add(1);
        for (id, value) in [(IDS.0, mid), (IDS.2, rid)].into_iter().filter(|(_, value)| !value.is_empty()) {
            extensions.push(id << 4 | (value.len() - 1) as u8);
            extensions.extend(value.as_bytes());
        }
        extensions.resize(extensions.len().next_multiple_of(4), 0);
        packet.extend([0xbe, 0xde]);
        packet.extend(((extensions.len() / 4) as u16).to_be_bytes());
        packet.extend(extensions);
        packet.extend(payload);
        Outgoing { index, packet }
    }
}

/// An SFrame header as the first member's.
fn sealed(slot: Slot) -> Vec<u8> {
    let bytes = Kid::new(slot, LeafIndex(0), Epoch(9)).0.to_be_bytes();
    let first = bytes.iter().position(|b| *b != 0).unwrap_or(7);
    let mut out = vec![0x80 | ((7 - first) as u8) << 4 | 3];
    out.extend(&bytes[first..]);
    out
}

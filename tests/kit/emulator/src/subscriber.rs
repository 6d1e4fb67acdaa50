//! A simulated subscriber: takes packets as a browser does, gives transport-wide feedback, asks for missing packets and
//! key frames, and measures what its person would have seen and heard.

use crate::link::OVERHEAD;
use crate::publisher::{PICTURE_US, SOUND_US};
use domain::sframe;
use sfu_core::rtcp::build;
use sfu_core::rtcp::twcc::Arrivals;
use sfu_core::rtp::Header;
use sfu_core::{Micros, TAG};
use std::collections::BTreeMap;

/// Transport-wide feedback, one per so long, microseconds: Chromium's at usual rates.
const FEEDBACK_US: u64 = 50_000;
/// A hole is asked for after so long: packets may still be overtaken.
const REORDER_US: u64 = 5_000;
/// ... and again after so long: a round trip of the cases.
const AGAIN_US: u64 = 120_000;
/// ... so often.
const TRIES: u8 = 10;
/// Without a picture for so long a key frame is asked for.
const STALL_US: u64 = 300_000;
/// ... once in so long.
const KEY_US: u64 = 500_000;
/// Sound that is later than this beside its earliest was not heard. A browser's jitter buffer follows a queue that grows;
/// how late sound is stands beside it ([`Measured::sound_delay_ms`]).
const SOUND_LATE_US: u64 = 400_000;
/// A picture that is late by more than this beside its own time is a freeze (W3C webrtc-stats `freezeCount`).
const FREEZE_US: u64 = 150_000;
/// Place of the shim behind a picture's VP8 descriptor with picture number and temporal layer (RFC 7741 section 4.2).
const SHIM: usize = 6;
/// Id of the transport-wide sequence number in our offers.
const TRANSPORT_ID: u8 = sfu_core::rewrite::TRANSPORT_SEQUENCE_ID;

#[derive(Debug, Clone, Copy)]
struct Part {
    timestamp: u32,
    marker: bool,
    start: bool,
    key: bool,
    layer: Option<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Hole {
    since: Micros,
    asked: Option<Micros>,
    tries: u8,
}

/// SSRCs of the sections that it was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    /// Sound.
    pub sound: u32,
    /// Picture.
    pub picture: u32,
    /// Its repair stream.
    pub repair: u32,
}

/// What it measured.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// When media arrived first, by second: bytes on the link, repeated ones not counted.
    pub bytes: Vec<u64>,
    /// Bytes of probes and repairs that were not needed.
    pub wasted: u64,
    /// When each picture was complete, and its layer.
    pub pictures: Vec<(Micros, u8)>,
    /// Arrival of each packet of sound by its number from the first, 0 where it never came.
    pub sounds: Vec<u64>,
    /// Packets of a picture that came by repair.
    pub repaired: u64,
    /// Key frames asked for.
    pub key_requests: u64,
    /// One-way delays of sound, microseconds, each minus the least.
    pub delays: Vec<u64>,
    /// Time between a picture's completion and its timestamp, microseconds, and a constant.
    pub waits: Vec<u64>,
}

/// The subscriber.
#[derive(Debug)]
pub struct Subscriber {
    streams: Streams,
    began: Micros,
    arrivals: Arrivals,
    fed_back: Micros,
    parts: BTreeMap<u64, Part>,
    holes: BTreeMap<u64, Hole>,
    highest: Option<u64>,
    /// The next number that a picture must begin with; `None` until a key frame.
    next: Option<u64>,
    first_sound: Option<(u64, Micros)>,
    sound_highest: u64,
    asked_key: Option<Micros>,
    clock: Clock,
    /// What it saw and heard.
    pub measured: Measured,
}

/// The clock of the pictures' timestamps (90 kHz).
#[derive(Debug, Default)]
struct Clock {
    last: Option<u32>,
    ticks: i64,
}

impl Clock {
    fn wait(&mut self, now: Micros, timestamp: u32) -> u64 {
        let last = self.last.replace(timestamp).unwrap_or(timestamp);
        self.ticks += i64::from(timestamp.wrapping_sub(last) as i32);
        now.0.saturating_add_signed(-self.ticks * 100 / 9)
    }
}

fn extend(highest: Option<u64>, wire: u16) -> u64 {
    let highest = highest.unwrap_or(u64::from(wire) + 0x1_0000);
    highest.saturating_add_signed(i64::from(wire.wrapping_sub(highest as u16) as i16))
}

impl Subscriber {
    /// One that was offered these streams at a time.
    pub fn new(streams: Streams, now: Micros) -> Self {
        Self {
            streams,
            began: now,
            arrivals: Arrivals::default(),
            fed_back: now,
            parts: BTreeMap::new(),
            holes: BTreeMap::new(),
            highest: None,
            next: None,
            first_sound: None,
            sound_highest: 0,
            asked_key: None,
            clock: Clock::default(),
            measured: Measured::default(),
        }
    }

    /// A packet arrived.
    pub fn packet(&mut self, now: Micros, packet: &[u8]) {
        let Some(header) = Header::parse(packet) else { return };
        if let Some(&[high, low]) = header.extension(packet, TRANSPORT_ID) {
            self.arrivals.note(now, u16::from_be_bytes([high, low]));
        }
        let Some(payload) = header.payload(packet) else { return };
        let fresh = if header.ssrc == self.streams.sound {
            self.sound(now, &header)
        } else if header.ssrc == self.streams.picture {
            self.part(now, header.sequence, &header, payload)
        } else if header.ssrc == self.streams.repair && payload.len() > 2 {
            let fresh = self.part(now, u16::from_be_bytes([payload[0], payload[1]]), &header, &payload[2..]);
            self.measured.repaired += u64::from(fresh);
            fresh
        } else {
            false
        };
        let size = (packet.len() + TAG + OVERHEAD) as u64;
        if fresh {
            let second = (now.since(self.began) / 1_000_000) as usize;
            self.measured.bytes.resize(self.measured.bytes.len().max(second + 1), 0);
            self.measured.bytes[second] += size;
        } else {
            self.measured.wasted += size;
        }
        self.show(now);
    }

    fn sound(&mut self, now: Micros, header: &Header) -> bool {
        let (first, at) = *self.first_sound.get_or_insert((u64::from(header.sequence) + 0x1_0000, now));
        let index = extend(Some(self.sound_highest.max(first)), header.sequence);
        self.sound_highest = self.sound_highest.max(index);
        let Some(number) = index.checked_sub(first) else { return false };
        let sounds = &mut self.measured.sounds;
        sounds.resize(sounds.len().max(number as usize + 1), 0);
        let fresh = sounds[number as usize] == 0;
        if fresh {
            sounds[number as usize] = now.0;
            self.measured.delays.push((now.0 + 10_000_000).saturating_sub(at.0 + number * SOUND_US));
        }
        fresh
    }

    fn part(&mut self, now: Micros, wire: u16, header: &Header, payload: &[u8]) -> bool {
        let index = extend(self.highest, wire);
        let start = payload.first().is_some_and(|first| first & 0x10 != 0);
        let key = start && payload.get(SHIM).is_some_and(|shim| shim & 1 == 0);
        let layer = payload.get(SHIM + 1..).filter(|_| start).and_then(|sealed| sframe::header(sealed).ok());
        let part = Part {
            timestamp: header.timestamp,
            marker: header.marker,
            start,
            key,
            layer: layer.map(|header| header.kid.slot().0 - domain::Slot::CAMERA.0),
        };
        if let Some(highest) = self.highest {
            for missing in highest + 1..index {
                self.holes.insert(missing, Hole { since: now, asked: None, tries: 0 });
            }
        }
        let fresh = self.holes.remove(&index).is_some() || self.highest.is_none_or(|highest| index > highest);
        self.highest = self.highest.max(Some(index));
        if fresh {
            self.parts.insert(index, part);
        }
        fresh
    }

    /// Shows every picture that is complete and can be decoded.
    fn show(&mut self, now: Micros) {
        loop {
            let from = self.next.filter(|next| self.parts.get(next).is_some_and(|part| part.start));
            // a key frame anywhere ahead is as good
            let from = from.or_else(|| self.parts.iter().find(|(_, part)| part.key).map(|(index, _)| *index));
            let Some(shown) = from.and_then(|from| self.complete(from)).or_else(|| self.complete_key()) else { return };
            let Some(first) = self.parts.get(&shown.0) else { return };
            let (layer, timestamp) = (first.layer.unwrap_or(0), first.timestamp);
            self.measured.pictures.push((now, layer));
            self.measured.waits.push(self.clock.wait(now, timestamp));
            self.next = Some(shown.1 + 1);
            self.parts.retain(|index, _| *index > shown.1);
            self.holes.retain(|index, _| *index > shown.1);
        }
    }

    fn complete_key(&self) -> Option<(u64, u64)> {
        self.parts.iter().filter(|(_, part)| part.key).find_map(|(index, _)| self.complete(*index))
    }

    /// First and last number of the picture that begins at `first`, if it is whole.
    fn complete(&self, first: u64) -> Option<(u64, u64)> {
        let timestamp = self.parts.get(&first)?.timestamp;
        let mut at = first;
        loop {
            let part = self.parts.get(&at).filter(|part| part.timestamp == timestamp)?;
            if part.marker {
                return Some((first, at));
            }
            at += 1;
        }
    }

    /// When [`Self::poll`] is due.
    pub fn poll_timeout(&self) -> Micros {
        self.fed_back.plus(FEEDBACK_US).min(Micros(self.fed_back.0 / 10_000 * 10_000 + 10_000))
    }

    /// RTCP to send now. To be called every 10 ms.
    pub fn poll(&mut self, now: Micros) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        if now.since(self.fed_back) >= FEEDBACK_US {
            self.fed_back = now;
            out.extend(self.arrivals.feedback(1, self.streams.picture));
        }
        let mut ask = Vec::new();
        self.holes.retain(|_, hole| hole.tries < TRIES);
        for (index, hole) in &mut self.holes {
            let waited = hole.asked.map_or(now.since(hole.since) >= REORDER_US, |at| now.since(at) >= AGAIN_US);
            if waited {
                (hole.asked, hole.tries) = (Some(now), hole.tries + 1);
                ask.push(*index as u16);
            }
        }
        out.extend(build::nack(1, self.streams.picture, &ask));
        let seen = self.measured.pictures.last().map_or(self.began, |last| last.0);
        let stalled = now.since(seen) >= STALL_US && self.highest.is_some();
        if stalled && self.asked_key.is_none_or(|at| now.since(at) >= KEY_US) {
            self.asked_key = Some(now);
            self.measured.key_requests += 1;
            out.push(build::key_frame_request(1, self.streams.picture));
        }
        out
    }
}

impl Measured {
    /// Longest time without sound, ms: packets that never came or came too late in a row, but for the last of them,
    /// which Opus restores from the next one (in-band FEC).
    pub fn sound_gap_ms(&self) -> u64 {
        let least = self.delays.iter().min().copied().unwrap_or(0);
        let on_time = |n: usize| {
            let at = self.sounds[n];
            let first = self.sounds.first().copied().unwrap_or(0);
            at != 0 && (at + 10_000_000).saturating_sub(first + n as u64 * SOUND_US) <= least + SOUND_LATE_US
        };
        let (mut run, mut worst) = (0u64, 0u64);
        for n in 0..self.sounds.len() {
            run = if on_time(n) { 0 } else { run + 1 };
            worst = worst.max(run);
        }
        worst.saturating_sub(1) * SOUND_US / 1000
    }

    /// How late the latest sound was beside the earliest, ms.
    pub fn sound_delay_ms(&self) -> u64 {
        let (least, most) = (self.delays.iter().min(), self.delays.iter().max());
        (most.copied().unwrap_or(0) - least.copied().unwrap_or(0)) / 1000
    }

    /// Freezes from a time to another: how many, and the longest in ms.
    pub fn freezes(&self, from: Micros, to: Micros) -> (u64, u64) {
        let within = self.pictures.iter().map(|p| p.0).filter(|at| (from..=to).contains(at));
        let times: Vec<Micros> = std::iter::once(from).chain(within).chain(std::iter::once(to)).collect();
        let late = times.windows(2).map(|pair| pair[1].since(pair[0])).filter(|gap| *gap > PICTURE_US + FREEZE_US);
        late.fold((0, 0), |(count, most), gap| (count + 1, most.max((gap - PICTURE_US) / 1000)))
    }

    /// How late each picture was beside the earliest, microseconds.
    pub fn picture_delays(&self) -> impl Iterator<Item = u64> {
        let least = self.waits.iter().min().copied().unwrap_or(0);
        self.waits.iter().map(move |wait| wait - least)
    }

    /// Changes of layer.
    pub fn switches(&self) -> usize {
        self.pictures.windows(2).filter(|pair| pair[0].1 != pair[1].1).count()
    }

    /// When this layer was shown first from a time on.
    pub fn layer_at(&self, from: Micros, layer: u8) -> Option<Micros> {
        self.pictures.iter().find(|(at, shown)| *at >= from && *shown == layer).map(|(at, _)| *at)
    }
}

//! What str0m's own bandwidth estimation makes of the emulator's cases: a small forwarder on str0m in RTP mode between the
//! emulator's publisher and its subscribers, real ICE, DTLS and SRTP over the emulated links, in virtual time.
//!
//! Estimate, probes, padding, pacing, feedback and repair are str0m's, on both sides; which layer is sent follows from its
//! estimate by the rules of our own engine. It thins no temporal layers and has no encoder follow. It owns no clock: str0m is
//! told virtual time from the first datagram on. What it must not do is help str0m, or hinder it.

mod leg;

use anyhow::Context;
use emulator::call::{Outcome, START, UPLINK_US};
use emulator::cases::Case;
use emulator::link::Link;
use emulator::publisher::{PICTURE_SSRC, Publisher, SOUND_SSRC};
use leg::{Leg, STREAMS, Turned};
use sfu_core::keyframe::KeyRequests;
use sfu_core::layers::choice::CHOOSE_US;
use sfu_core::layers::rate::{Rate, TEMPORAL};
use sfu_core::rtcp::{self, Item, build};
use sfu_core::rtp::Header;
use sfu_core::{Micros, Stats};
use std::collections::VecDeque;
use std::time::Instant;
use str0m::Event;
use str0m::bwe::BweKind;
use str0m::media::KeyframeRequestKind;
use str0m::rtp::RtpPacket;

/// Layers are chosen first when each has been measured for a whole window.
const FIRST_CHOICE_US: u64 = 600_000;
/// Where the shim behind a picture's VP8 descriptor says whether it is a key frame.
const SHIM: usize = 6;
/// Layers of the picture.
const LAYERS: usize = 3;

/// A call on str0m under way.
pub struct Baseline {
    case: Case,
    now: Micros,
    publisher: Publisher,
    uplink: VecDeque<(Micros, u64, Vec<u8>)>,
    sound: Rate,
    rates: [Rate; LAYERS],
    requests: [KeyRequests; LAYERS],
    legs: Vec<Leg>,
    down: Link<(usize, Vec<u8>)>,
    up: Link<(usize, Vec<u8>)>,
    next_poll: Micros,
    next_choice: Micros,
}

impl Baseline {
    /// A call of a case; the seed decides what is lost.
    ///
    /// # Errors
    /// Where str0m refuses something.
    pub fn new(case: Case, seed: u64) -> anyhow::Result<Self> {
        let base = Instant::now();
        let legs = (0..case.subscribers).map(|at| Leg::new(base, at as u16)).collect::<anyhow::Result<_>>()?;
        let (down, up) = case.links(START, seed);
        Ok(Self {
            case,
            now: START,
            publisher: Publisher::new(START),
            uplink: VecDeque::new(),
            sound: Rate::default(),
            rates: Default::default(),
            requests: Default::default(),
            legs,
            down,
            up,
            next_poll: START,
            next_choice: START.plus(FIRST_CHOICE_US),
        })
    }

    /// Runs the whole case.
    ///
    /// # Errors
    /// Where str0m refuses something.
    pub fn run(mut self) -> anyhow::Result<Outcome> {
        let end = START.plus(self.case.seconds * 1_000_000);
        while self.now < end {
            self.step()?;
        }
        Ok(Outcome {
            case: self.case,
            measured: self.legs.into_iter().map(|leg| leg.subscriber.measured).collect(),
            down: self.down.tally(),
            stats: Stats::default(),
            wanted: self.publisher.wanted().0,
        })
    }

    fn step(&mut self) -> anyhow::Result<()> {
        let links = [self.down.poll_timeout(), self.up.poll_timeout(), self.uplink.front().map(|(at, ..)| *at)];
        let wakes = self.legs.iter().flat_map(|leg| [leg.server.wake, leg.client.wake]);
        let times = wakes.chain(links.into_iter().flatten()).chain([self.publisher.poll_timeout(), self.next_poll]);
        self.now = self.now.max(times.min().unwrap_or(self.now));
        let now = self.now;
        for outgoing in self.publisher.poll(now) {
            self.uplink.push_back((now.plus(UPLINK_US), outgoing.index, outgoing.packet));
        }
        while let Some((_, index, packet)) = self.uplink.pop_front_if(|(at, ..)| *at <= now) {
            self.forward(index, &packet)?;
        }
        while let Some((to, datagram)) = self.down.poll(now) {
            let turned = self.legs[to].client.receive(now, &datagram)?;
            self.client(to, turned);
        }
        while let Some((from, datagram)) = self.up.poll(now) {
            let turned = self.legs[from].server.receive(now, &datagram)?;
            self.server(from, turned);
        }
        if self.next_poll <= now {
            self.next_poll = now.plus(10_000);
            self.poll();
        }
        for at in 0..self.legs.len() {
            if self.legs[at].server.wake <= now {
                let turned = self.legs[at].server.timeout(now)?;
                self.server(at, turned);
            }
            if self.legs[at].client.wake <= now {
                let turned = self.legs[at].client.timeout(now)?;
                self.client(at, turned);
            }
        }
        Ok(())
    }

    /// A packet of the publisher.
    fn forward(&mut self, index: u64, packet: &[u8]) -> anyhow::Result<()> {
        let header = Header::parse(packet).context("the emulator's words")?;
        let payload = header.payload(packet).context("the emulator's words")?;
        let layer = header.ssrc.checked_sub(PICTURE_SSRC).map(|layer| layer as usize);
        let rate = layer.map_or(&mut self.sound, |layer| &mut self.rates[layer]);
        // str0m estimates and paces payload
        rate.note(self.now, 0, 0, payload.len());
        let key = payload[0] & 0x10 != 0 && payload.get(SHIM).is_some_and(|shim| shim & 1 == 0);
        if let Some(layer) = layer.filter(|_| key) {
            self.requests[layer].satisfied(self.now);
        }
        for at in 0..self.legs.len() {
            let leg = &mut self.legs[at];
            let turned = if header.ssrc == SOUND_SSRC {
                leg.write(self.now, STREAMS.sound, index, &header, payload)?
            } else {
                if key && leg.wanted == layer {
                    leg.sent = layer;
                }
                if leg.sent != layer {
                    continue;
                }
                leg.number += 1;
                leg.write(self.now, STREAMS.picture, leg.number, &header, payload)?
            };
            self.server(at, turned);
        }
        Ok(())
    }

    /// What subscribers ask for, and what is due by time.
    fn poll(&mut self) {
        let now = self.now;
        for leg in &mut self.legs {
            // what it reports and repairs is str0m's work here: only its wish for a key frame is passed on
            for item in leg.subscriber.poll(now).iter().flat_map(|packet| rtcp::parse(packet)) {
                let mut api = leg.client.rtc.direct_api();
                if let (Item::KeyFrame { .. }, Some(stream)) = (item, api.stream_rx(&STREAMS.picture.into())) {
                    stream.request_keyframe(KeyframeRequestKind::Pli);
                    leg.client.wake = now;
                }
            }
        }
        if self.next_choice <= now {
            self.next_choice = now.plus(CHOOSE_US);
            (0..self.legs.len()).for_each(|at| self.choose(at));
        }
        self.ask();
    }

    fn choose(&mut self, at: usize) {
        let of = |rate: &Rate| rate.up_to(0, TEMPORAL as u8);
        let leg = &mut self.legs[at];
        leg.choose(self.now, of(&self.sound), self.rates.iter().map(of).collect());
        leg.server.wake = self.now;
        if let Some(layer) = leg.wanted.filter(|_| leg.wanted != leg.sent) {
            self.requests[layer].want();
        }
    }

    /// Key frames of the publisher, by RTCP.
    fn ask(&mut self) {
        for (ssrc, requests) in (PICTURE_SSRC..).zip(&mut self.requests) {
            if requests.due(self.now) {
                self.publisher.rtcp(&build::key_frame_request(1, ssrc));
            }
        }
    }

    /// What the forwarder's side of a leg came up with.
    fn server(&mut self, at: usize, turned: Turned) {
        for datagram in turned.datagrams {
            self.down.send(self.now, datagram.len(), (at, datagram));
        }
        for event in turned.events {
            match event {
                Event::EgressBitrateEstimate(BweKind::Twcc { estimate, .. }) => {
                    self.legs[at].estimate = estimate.as_u64();
                    if self.now >= START.plus(FIRST_CHOICE_US) {
                        self.choose(at);
                    }
                }
                Event::KeyframeRequest(_) => {
                    let wanted = self.legs[at].wanted;
                    wanted.into_iter().for_each(|layer| self.requests[layer].want());
                }
                _ => {}
            }
        }
        self.ask();
    }

    /// What the subscriber's side came up with.
    fn client(&mut self, at: usize, turned: Turned) {
        for datagram in turned.datagrams {
            self.up.send(self.now, datagram.len(), (at, datagram));
        }
        for event in turned.events {
            if let Event::RtpPacket(packet) = event {
                self.legs[at].subscriber.packet(self.now, &plain(&packet));
            }
        }
    }
}

/// A packet as the emulator's subscriber reads it: as long as it was on the wire, its extensions blank.
fn plain(packet: &RtpPacket) -> Vec<u8> {
    let header = &packet.header;
    let words = (header.header_len.saturating_sub(16) / 4) as u16;
    let mut out = vec![0x90, *header.payload_type | u8::from(header.marker) << 7];
    out.extend((*packet.seq_no as u16).to_be_bytes());
    out.extend(header.timestamp.to_be_bytes());
    out.extend((*header.ssrc).to_be_bytes());
    out.extend([0xbe, 0xde]);
    out.extend(words.to_be_bytes());
    out.resize(16 + 4 * usize::from(words), 0);
    out.extend(&*packet.payload);
    out
}

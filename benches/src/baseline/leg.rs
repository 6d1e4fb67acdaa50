//! One subscriber of the baseline: str0m as the forwarder's side and as the receiver's, and the layer that is sent between
//! them. It sends no datagram itself: what a side came up with is handed out ([`Turned`]).

use anyhow::{Context, ensure};
use emulator::call::START;
use emulator::subscriber::{Streams, Subscriber};
use sfu_core::Micros;
use sfu_core::congestion::estimator;
use sfu_core::layers::allocate::{Rank, Wish, allocate, needed};
use sfu_core::layers::choice::SETTLE_US;
use sfu_core::rtp::Header;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use str0m::bwe::Bitrate;
use str0m::media::MediaKind;
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, RtpWrite, Ssrc};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// Transports are brought up within this before the call begins, over a pipe without delay.
const BEFORE_US: u64 = 1_000_000;
/// What the subscribers are offered.
pub const STREAMS: Streams = Streams { sound: 10, picture: 20, repair: 21 };

/// One side of a transport.
pub struct End {
    /// str0m.
    pub rtc: Rtc,
    base: Instant,
    local: SocketAddr,
    remote: SocketAddr,
    /// When it wants to be told the time.
    pub wake: Micros,
}

/// What a side came up with.
#[derive(Default)]
pub struct Turned {
    /// To be sent.
    pub datagrams: Vec<Vec<u8>>,
    /// To be acted upon.
    pub events: Vec<Event>,
}

/// A subscriber.
pub struct Leg {
    /// The forwarder's side.
    pub server: End,
    /// The receiver's side.
    pub client: End,
    /// Measures what the receiver gets.
    pub subscriber: Subscriber,
    /// str0m's estimate, bit/s of payload.
    pub estimate: u64,
    /// Layer that is sent.
    pub sent: Option<usize>,
    /// Layer that is to be sent from its next key frame on.
    pub wanted: Option<usize>,
    settles: Micros,
    /// Number of the last packet of the picture.
    pub number: u64,
}

impl End {
    fn new(base: Instant, config: RtcConfig, local: SocketAddr, remote: SocketAddr) -> anyhow::Result<Self> {
        let config = config.set_rtp_mode(true).clear_codecs().enable_vp8(true).enable_opus(true, false);
        let config = config.clear_extension_map().set_extension(3, Extension::TransportSequenceNumber);
        let mut rtc = config.set_extension(4, Extension::RtpMid).build(base);
        rtc.add_local_candidate(Candidate::host(local, "udp")?);
        rtc.add_remote_candidate(Candidate::host(remote, "udp")?);
        Ok(Self { rtc, base, local, remote, wake: Micros(START.0 - BEFORE_US) })
    }

    fn at(&self, now: Micros) -> Instant {
        self.base + Duration::from_micros(now.0 + BEFORE_US - START.0)
    }

    fn know(&mut self, other: &mut Self) {
        let mut api = other.rtc.direct_api();
        let (creds, fingerprint) = (api.local_ice_credentials(), api.local_dtls_fingerprint().clone());
        api = self.rtc.direct_api();
        api.set_remote_ice_credentials(creds);
        api.set_remote_fingerprint(fingerprint);
    }

    /// The time has come.
    pub fn timeout(&mut self, now: Micros) -> anyhow::Result<Turned> {
        let at = self.at(now);
        self.rtc.handle_input(Input::Timeout(at))?;
        self.drain(now)
    }

    /// A datagram came.
    pub fn receive(&mut self, now: Micros, datagram: &[u8]) -> anyhow::Result<Turned> {
        let (source, destination) = (self.remote, self.local);
        let receive = Receive { proto: Protocol::Udp, source, destination, contents: datagram.try_into()? };
        let at = self.at(now);
        self.rtc.handle_input(Input::Receive(at, receive))?;
        self.drain(now)
    }

    fn drain(&mut self, now: Micros) -> anyhow::Result<Turned> {
        let mut turned = Turned::default();
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(wake) => {
                    let wake = wake.saturating_duration_since(self.base).as_nanos().div_ceil(1_000) as u64;
                    // never twice at one time
                    self.wake = Micros(wake + START.0 - BEFORE_US).max(now.plus(1));
                    return Ok(turned);
                }
                Output::Transmit(transmit) => turned.datagrams.push(transmit.contents.to_vec()),
                Output::Event(event) => turned.events.push(event),
            }
        }
    }
}

impl Leg {
    /// One whose transport is up and whose streams are declared.
    pub fn new(base: Instant, port: u16) -> anyhow::Result<Self> {
        let (here, there) = (format!("10.0.0.1:{}", 1_000 + port).parse()?, "10.0.0.2:2000".parse()?);
        let start = Bitrate::bps(estimator::START.0);
        let config = RtcConfig::new().set_ice_lite(true).enable_bwe(Some(start));
        let mut server = End::new(base, config, here, there)?;
        let mut client = End::new(base, RtcConfig::new(), there, here)?;
        server.know(&mut client);
        client.know(&mut server);
        for (end, dials) in [(&mut server, false), (&mut client, true)] {
            end.rtc.direct_api().set_ice_controlling(dials);
            end.rtc.direct_api().start_dtls(dials)?;
        }
        let subscriber = Subscriber::new(STREAMS, START);
        let estimate = estimator::START.0;
        let (sent, wanted, settles, number) = (None, Some(0), START, 1_000);
        let mut leg = Self { server, client, subscriber, estimate, sent, wanted, settles, number };
        leg.connect()?;
        leg.declare();
        Ok(leg)
    }

    /// ICE and DTLS, before the call begins.
    fn connect(&mut self) -> anyhow::Result<()> {
        let mut now = Micros(START.0 - BEFORE_US);
        while !(self.server.rtc.is_connected() && self.client.rtc.is_connected()) {
            ensure!(now < START, "no transport in {BEFORE_US} us");
            let mut to_client = self.server.timeout(now)?.datagrams;
            let mut to_server = self.client.timeout(now)?.datagrams;
            while !(to_client.is_empty() && to_server.is_empty()) {
                let mut answers = (Vec::new(), Vec::new());
                for datagram in to_client {
                    answers.0.extend(self.client.receive(now, &datagram)?.datagrams);
                }
                for datagram in to_server {
                    answers.1.extend(self.server.receive(now, &datagram)?.datagrams);
                }
                (to_server, to_client) = answers;
            }
            now = self.server.wake.min(self.client.wake).max(now.plus(1));
        }
        (self.server.wake, self.client.wake) = (START, START);
        Ok(())
    }

    fn declare(&mut self) {
        for end in [&mut self.server, &mut self.client] {
            end.rtc.direct_api().declare_media("0".into(), MediaKind::Audio);
            end.rtc.direct_api().declare_media("1".into(), MediaKind::Video);
        }
        let mut api = self.server.rtc.direct_api();
        api.declare_stream_tx(STREAMS.sound.into(), None, "0".into(), None);
        api.declare_stream_tx(STREAMS.picture.into(), Some(STREAMS.repair.into()), "1".into(), None);
        let mut api = self.client.rtc.direct_api();
        api.expect_stream_rx(STREAMS.sound.into(), None, "0".into(), None);
        api.expect_stream_rx(STREAMS.picture.into(), Some(STREAMS.repair.into()), "1".into(), None);
        api.enable_twcc_feedback();
    }

    /// Sends a packet; of the picture under this leg's own numbers, which the layers share.
    pub fn write(
        &mut self,
        now: Micros,
        ssrc: u32,
        index: u64,
        header: &Header,
        payload: &[u8],
    ) -> anyhow::Result<Turned> {
        let at = self.server.at(now);
        let mut api = self.server.rtc.direct_api();
        let stream = api.stream_tx(&Ssrc::from(ssrc)).context("declared")?;
        let write = RtpWrite::new(header.payload_type.into(), index.into(), header.timestamp, at, payload);
        stream.write_rtp(write.marker(header.marker).nackable(ssrc == STREAMS.picture));
        self.server.timeout(now)
    }

    /// Chooses the layer by the estimate, sound first, and tells str0m what would be worth finding.
    pub fn choose(&mut self, now: Micros, sound: u64, rungs: Vec<u64>) {
        let (top, settling) = (rungs.last().copied().unwrap_or(0), now < self.settles);
        let wish = |rank, rungs, current| Wish { rank, rungs, current, settling, near: None, barred: None };
        let wishes = [wish(Rank::Sound, vec![sound], Some(0)), wish(Rank::Normal, rungs, self.wanted)];
        let granted = allocate(Some(self.estimate), &wishes)[1];
        if granted < self.wanted {
            self.settles = now.plus(SETTLE_US);
        }
        self.wanted = granted;
        // what is too much ends at once, as in our engine; what is better begins with its key frame
        self.sent = self.sent.filter(|sent| Some(*sent) <= granted);
        let next = wishes[1].rungs.get(granted.map_or(0, |rung| rung + 1)).copied().unwrap_or(top);
        self.server.rtc.bwe().set_bitrate(Bitrate::bps(sound + next), Bitrate::bps(needed(sound + top)));
    }
}

//! A whole call in virtual time: the real engine, a publisher beside it, and subscribers behind a link with a schedule.

use crate::cases::Case;
use crate::link::{Link, Tally};
use crate::publisher::Publisher;
use crate::subscriber::{Measured, Streams, Subscriber};
use domain::message::control::{FirmRule, ToSfu};
use domain::message::record_link::ToSfuRecord;
use domain::policy::Rule;
use domain::{MediaKind, MeetingId, ParticipantId, TransportKind};
use sfu_core::engine::{Engine, Input, Output};
use sfu_core::participant::LinkState;
use sfu_core::record::LinkId;
use sfu_core::rtp::Header;
use sfu_core::{Micros, PeerKey, Stats, TAG};
use std::collections::VecDeque;

/// The virtual clock begins here.
pub const START: Micros = Micros(1_000_000_000);
/// Time between the publisher and the engine, microseconds; nothing is lost there.
pub const UPLINK_US: u64 = 10_000;

/// Who records, where somebody does.
const RECORDER: &str = "bank-a/recorder-1/1";

/// A call under way.
#[derive(Debug)]
pub struct Call {
    case: Case,
    engine: Engine,
    now: Micros,
    publisher: Publisher,
    anna: PeerKey,
    uplink: VecDeque<(Micros, u64, Vec<u8>)>,
    peers: Vec<PeerKey>,
    subscribers: Vec<Subscriber>,
    down: Link<(usize, Vec<u8>)>,
    up: Link<(usize, Vec<u8>)>,
    next_poll: Micros,
    record: Option<LinkId>,
}

/// What a call came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The case.
    pub case: Case,
    /// What each subscriber measured.
    pub measured: Vec<Measured>,
    /// What the link towards them did.
    pub down: Tally,
    /// The engine's counters.
    pub stats: Stats,
    /// Rate of the whole source, bits a second.
    pub wanted: u64,
}

fn meeting() -> MeetingId {
    "0123456789abcdef0123456789abcdef".parse().expect("an id")
}

impl Call {
    /// A call of a case that nobody records; the seed decides what is lost.
    pub fn new(case: Case, seed: u64) -> Self {
        Self::under(case, seed, Rule::Off)
    }

    /// A call under the firm's rule; where it keeps, its recorder is there and acknowledges.
    pub fn under(case: Case, seed: u64, audio_video: Rule) -> Self {
        let mut engine = Engine::new(seed);
        let rule = FirmRule { firm: "bank-a".parse().expect("a firm"), audio_video, recorder_grace_ms: 2000 };
        engine.handle(START, Input::Control(ToSfu::Meeting { meeting: meeting(), firms: vec![rule] }));
        let mut join = |name: String, recorder| {
            let participant: ParticipantId = name.parse().expect("a participant");
            let admit = ToSfu::Participant {
                meeting: meeting(),
                participant: participant.clone(),
                recorder,
                may_publish: !recorder,
            };
            engine.handle(START, Input::Control(admit));
            engine.peer(&meeting(), &participant).expect("just admitted")
        };
        let anna = join("bank-a/anna/1".into(), false);
        let peers = (0..case.subscribers).map(|n| join(format!("bank-a/ben{n}/1"), false)).collect();
        let recorded = matches!(audio_video, Rule::Must | Rule::Should);
        if recorded {
            join(RECORDER.into(), true);
        }
        let record = recorded.then(|| {
            let recorder = RECORDER.parse().expect("a participant");
            engine.record_up(START, &meeting(), &recorder, 0).expect("a recorder of the meeting")
        });
        let (down, up) = case.links(START, seed);
        let publisher = Publisher::new(START);
        let sections = publisher.sections();
        engine.handle(START, Input::Published { peer: anna, sections });
        let transport = TransportKind::Publish;
        engine.handle(START, Input::Transport { peer: anna, transport, state: LinkState::Up });
        let mut call = Self {
            case,
            engine,
            now: START,
            publisher,
            anna,
            uplink: VecDeque::new(),
            peers,
            subscribers: Vec::new(),
            down,
            up,
            next_poll: START,
            record,
        };
        call.connect();
        call
    }

    /// Answers the offers and brings the subscribers' transports up.
    fn connect(&mut self) {
        let mut offers = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            if let Output::Offer { to, revision, sections, .. } = output {
                offers.push((to, revision, sections));
            }
        }
        for peer in self.peers.clone() {
            let (_, revision, sections) = offers.iter().rev().find(|o| o.0 == peer).expect("there is a track").clone();
            let of = |kind| sections.iter().find(|s| s.codec.kind() == kind).expect("of each kind");
            let (sound, picture) = (of(MediaKind::Audio), of(MediaKind::Video));
            let streams = Streams { sound: sound.ssrc, picture: picture.ssrc, repair: picture.repair_ssrc };
            let accepted = sections.iter().map(|s| s.mid.clone()).collect();
            self.engine.handle(self.now, Input::Answered { peer, revision, accepted });
            let transport = TransportKind::Subscribe;
            self.engine.handle(self.now, Input::Transport { peer, transport, state: LinkState::Up });
            self.subscribers.push(Subscriber::new(streams, self.now));
        }
    }

    /// Runs the whole case.
    pub fn run(mut self) -> Outcome {
        let end = START.plus(self.case.seconds * 1_000_000);
        while self.now < end {
            self.step();
        }
        Outcome {
            case: self.case,
            measured: self.subscribers.into_iter().map(|subscriber| subscriber.measured).collect(),
            down: self.down.tally(),
            stats: self.engine.stats(),
            wanted: self.publisher.wanted().0,
        }
    }

    fn step(&mut self) {
        let times = [
            self.engine.poll_timeout(),
            Some(self.publisher.poll_timeout()),
            self.uplink.front().map(|(at, ..)| *at),
            self.down.poll_timeout(),
            self.up.poll_timeout(),
            Some(self.next_poll),
        ];
        let next = times.into_iter().flatten().min().unwrap_or(self.now);
        self.now = self.now.max(next);
        let now = self.now;
        for outgoing in self.publisher.poll(now) {
            self.uplink.push_back((now.plus(UPLINK_US), outgoing.index, outgoing.packet));
        }
        while self.uplink.front().is_some_and(|(at, ..)| *at <= now) {
            let (_, index, packet) = self.uplink.pop_front().expect("just seen");
            let header = Header::parse(&packet).expect("our own words");
            self.engine.handle_rtp(now, self.anna, &header, index, &packet);
        }
        while let Some((to, packet)) = self.down.poll(now) {
            self.subscribers[to].packet(now, &packet);
        }
        while let Some((from, packet)) = self.up.poll(now) {
            self.engine.handle_rtcp(now, self.peers[from], TransportKind::Subscribe, &packet);
        }
        if self.next_poll <= now {
            self.next_poll = now.plus(10_000);
            self.acknowledge();
            for (from, subscriber) in self.subscribers.iter_mut().enumerate() {
                for packet in subscriber.poll(now) {
                    self.up.send(now, packet.len() + TAG, (from, packet));
                }
            }
        }
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now);
        }
        self.forward();
    }

    /// The recorder's disk is as quick as a poll.
    fn acknowledge(&mut self) {
        let Some(link) = self.record else { return };
        if let Some((seq, _)) = std::iter::from_fn(|| self.engine.poll_record(link)).last() {
            let message = ToSfuRecord::Ack { seq };
            self.engine.handle(self.now, Input::Record { link, message });
        }
    }

    fn forward(&mut self) {
        let (mut arena, mut cuts) = (Vec::new(), Vec::new());
        while let Some(peer) = self.engine.poll_forward(self.now, &mut arena, &mut cuts) {
            let Some(to) = self.peers.iter().position(|known| *known == peer) else { continue };
            for cut in &cuts {
                let packet = arena[cut.start..cut.start + cut.len].to_vec();
                self.down.send(self.now, packet.len() + TAG, (to, packet));
            }
        }
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Rtcp { to, packet, .. } if to == self.anna => self.publisher.rtcp(&packet),
                Output::Control(message) => self.publisher.told(self.now, &message),
                _ => {}
            }
        }
    }
}

impl Outcome {
    /// Bytes that arrived in a second, all subscribers together.
    fn bytes_in(&self, second: u64) -> u64 {
        self.measured.iter().filter_map(|m| m.bytes.get(second as usize)).sum()
    }

    /// Capacity in a second, bits, never more than is wanted.
    fn capacity(&self, second: u64) -> u64 {
        let now = self.case.down.iter().rev().find(|(from, _)| *from <= second);
        let rate = now.and_then(|(_, conditions)| conditions.rate).map_or(u64::MAX, |rate| rate.0);
        rate.min(self.wanted * self.measured.len() as u64)
    }

    /// Share of the capacity that arrived as media, from the fifth second on.
    pub fn delivered_share(&self) -> f64 {
        let seconds = 5..self.case.seconds;
        let arrived: u64 = seconds.clone().map(|second| 8 * self.bytes_in(second)).sum();
        arrived as f64 / seconds.map(|second| self.capacity(second)).sum::<u64>() as f64
    }

    /// Longest silence of any subscriber, ms.
    pub fn sound_gap_ms(&self) -> u64 {
        self.measured.iter().map(Measured::sound_gap_ms).max().unwrap_or(0)
    }

    /// How late the latest sound of any subscriber was beside its earliest, ms.
    pub fn sound_delay_ms(&self) -> u64 {
        self.measured.iter().map(Measured::sound_delay_ms).max().unwrap_or(0)
    }

    /// Freezes of all subscribers from the first second on, and the longest in ms.
    pub fn freezes(&self) -> (u64, u64) {
        let end = START.plus(self.case.seconds * 1_000_000);
        let each = self.measured.iter().map(|m| m.freezes(START.plus(1_000_000), end));
        each.fold((0, 0), |(count, most), one| (count + one.0, most.max(one.1)))
    }

    /// Longest time after a change until nine tenths of what the stretch settled at (the median of its last five seconds)
    /// arrive in a second, ms.
    pub fn recovery_ms(&self) -> u64 {
        self.settling().skip(1).max().unwrap_or(0) * 1000
    }

    /// The same for the first stretch, in which nobody knows the link yet, ms.
    pub fn start_ms(&self) -> u64 {
        self.settling().next().unwrap_or(0) * 1000
    }

    /// Seconds that each stretch took.
    fn settling(&self) -> impl Iterator<Item = u64> {
        let starts: Vec<u64> = self.case.down.iter().map(|(at, _)| *at).chain([self.case.seconds]).collect();
        let each = starts.windows(2).map(|stretch| {
            let (from, to) = (stretch[0], stretch[1]);
            let mut last: Vec<u64> = (to.saturating_sub(5).max(from)..to).map(|second| self.bytes_in(second)).collect();
            last.sort_unstable();
            let settled = last.get(last.len() / 2).copied().unwrap_or(0);
            (from..to).find(|second| self.bytes_in(*second) * 10 >= settled * 9).map_or(to - from, |at| at - from)
        });
        each.collect::<Vec<_>>().into_iter()
    }

    /// How late pictures were beside the earliest of their subscriber, ms: the median and the 95th percentile of all.
    pub fn picture_delay_ms(&self) -> (u64, u64) {
        let mut all: Vec<u64> = self.measured.iter().flat_map(Measured::picture_delays).collect();
        all.sort_unstable();
        let at = |percent: usize| all.get(all.len() * percent / 100).map_or(0, |micros| micros / 1000);
        (at(50), at(95))
    }

    /// Share of the pictures shown that were of each layer, lowest first, in hundredths.
    pub fn layer_shares(&self) -> [u64; 3] {
        let shown = || self.measured.iter().flat_map(|m| &m.pictures);
        let all = shown().count().max(1);
        [0, 1, 2].map(|layer| (shown().filter(|(_, of)| *of == layer).count() * 100 / all) as u64)
    }

    /// First picture after the beginning, worst subscriber, ms.
    pub fn first_picture_ms(&self) -> Option<u64> {
        let each = self.measured.iter().map(|m| m.pictures.first().map(|(at, _)| at.since(START) / 1000));
        each.collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}

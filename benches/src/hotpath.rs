//! The hot path without sockets, in virtual time: a publisher's sealed packets through SRTP and the engine to N sealed
//! copies. What it counts (packets, runs, instructions, allocations) does not depend on the machine's speed.

use crate::load::Packet;
use crate::packet::{EPOCH, Kind, SSRC, SSRC_STEP, VP8, write};
use domain::message::control::{FirmRule, ToSfu};
use domain::policy::Rule;
use domain::{Codec, LeafIndex, MeetingId, ParticipantId, Slot, TransportKind};
use sfu::transport::srtp::{Contexts, Profile, Receiver, Role, Sender, TAG};
use sfu_core::engine::{Input, Output};
use sfu_core::participant::LinkState;
use sfu_core::rtp::Header;
use sfu_core::track::PublishSection;
use sfu_core::{Cut, Engine, Micros, PeerKey};
use std::collections::HashMap;

/// Keying material of AEAD_AES_256_GCM.
const MATERIAL: usize = 88;
/// Time before the first packet.
const START: Micros = Micros(1_000_000_000);

/// What came out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets put in.
    pub received: u64,
    /// Packets sealed for subscribers.
    pub forwarded: u64,
    /// Of those: in a run that one GSO call sends.
    pub in_runs: u64,
}

/// What the forwarder does at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// One packet from its arrival to its last sealed copy.
    Packet,
    /// What is due by time: frames whose marker is missing, paced packets, reports, choice of layers.
    Timers,
}

/// One packet on its way to the forwarder.
pub struct Datagram {
    at_us: u64,
    bytes: Vec<u8>,
}

/// An engine with one publisher and its subscribers.
pub struct HotPath {
    engine: Engine,
    publisher: Option<PeerKey>,
    uplink: (Sender, Receiver),
    downlinks: HashMap<PeerKey, Sender>,
    index: u64,
    frames: u32,
    began: Micros,
    arena: Vec<u8>,
    cuts: Vec<Cut>,
    /// What came out so far.
    pub counts: Counts,
}

fn contexts(n: usize, role: Role) -> Contexts {
    let material: Vec<u8> = (0..MATERIAL).map(|at| (at * 7 + n) as u8).collect();
    Contexts::new(&material, Profile::Aes256Gcm, role).expect("keying material of this length")
}

fn meeting() -> MeetingId {
    "0123456789abcdef0123456789abcdef".parse().expect("an id")
}

fn section() -> PublishSection {
    PublishSection {
        mid: "0".into(),
        slot: Slot::CAMERA,
        codec: Codec::Vp8,
        payload_type: 96,
        repair_payload_type: Some(97),
        ssrcs: Some((SSRC, Some(SSRC + SSRC_STEP - 1))),
        rids: Vec::new(),
        rid_id: 0,
        repair_rid_id: 0,
        carried_id: 0,
        mid_id: 4,
        transport_sequence_id: 3,
        level_id: 1,
    }
}

impl HotPath {
    /// One publisher of VP8 and so many subscribers, all connected.
    pub fn new(subscribers: usize) -> Self {
        let mut path = Self {
            engine: Engine::new(1),
            publisher: None,
            uplink: (contexts(0, Role::Client).sender, contexts(0, Role::Server).receiver),
            downlinks: HashMap::new(),
            index: 1000,
            frames: 0,
            began: START,
            arena: Vec::with_capacity(1 << 20),
            cuts: Vec::new(),
            counts: Counts::default(),
        };
        let firm =
            FirmRule { firm: "bank-a".parse().expect("a firm"), audio_video: Rule::Off, recorder_grace_ms: 2000 };
        path.control(ToSfu::Meeting { meeting: meeting(), firms: vec![firm] });
        let name = |n: usize| -> ParticipantId { format!("bank-a/p{n}/1").parse().expect("a participant") };
        let admit =
            |n| ToSfu::Participant { meeting: meeting(), participant: name(n), recorder: false, may_publish: true };
        (0..=subscribers).for_each(|n| path.control(admit(n)));
        path.control(ToSfu::Leaves { meeting: meeting(), epoch: EPOCH, leaves: vec![(LeafIndex(0), name(0))] });
        let peer = |path: &Self, n| path.engine.peer(&meeting(), &name(n)).expect("admitted");
        let publisher = peer(&path, 0);
        path.publisher = Some(publisher);
        path.engine.handle(START, Input::Published { peer: publisher, sections: vec![section()] });
        path.up(publisher, TransportKind::Publish);
        for n in 1..=subscribers {
            let peer = peer(&path, n);
            path.downlinks.insert(peer, contexts(n, Role::Server).sender);
            path.up(peer, TransportKind::Subscribe);
        }
        path.outputs();
        path
    }

    fn control(&mut self, message: ToSfu) {
        self.engine.handle(START, Input::Control(message));
        self.outputs();
    }

    fn up(&mut self, peer: PeerKey, transport: TransportKind) {
        self.engine.handle(START, Input::Transport { peer, transport, state: LinkState::Up });
        self.outputs();
    }

    /// Answers offers; everything else is somebody else's.
    fn outputs(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            if let Output::Offer { to, revision, sections, .. } = output {
                let accepted = sections.iter().map(|section| section.mid.clone()).collect();
                self.engine.handle(START, Input::Answered { peer: to, revision, accepted });
            }
        }
    }

    /// A load as the publisher would send it, sealed: [`HotPath::run`] is then the forwarder's work alone.
    pub fn seal(&mut self, packets: &[Packet]) -> Vec<Datagram> {
        let seal = |(n, shape): (usize, &Packet)| {
            let mut bytes = write(Kind::Video, 0, shape, self.index, self.frames + shape.frame, n == 0);
            let header = Header::parse(&bytes).expect("just written");
            bytes.resize(bytes.len() + TAG, 0);
            self.uplink.0.seal(&mut bytes, header.len, header.ssrc, self.index).expect("a new index");
            self.index += 1;
            Datagram { at_us: shape.at_us, bytes }
        };
        let sealed = packets.iter().enumerate().map(seal).collect();
        self.frames += packets.last().map_or(0, |packet| packet.frame + 1);
        sealed
    }

    /// Sends a load through, at its own times.
    pub fn run(&mut self, datagrams: Vec<Datagram>) {
        self.run_watched(datagrams, |_, step| step());
    }

    /// As [`HotPath::run`]; each step is handed to `watch`, which must carry it out.
    pub fn run_watched(&mut self, datagrams: Vec<Datagram>, mut watch: impl FnMut(Step, &mut dyn FnMut())) {
        let last = datagrams.last().map_or(0, |datagram| datagram.at_us);
        for mut datagram in datagrams {
            let now = self.began.plus(datagram.at_us);
            watch(Step::Timers, &mut || self.until(now));
            watch(Step::Packet, &mut || self.take(now, &mut datagram.bytes));
        }
        let end = self.began.plus(last + 2 * sfu_core::track::HOLD_US);
        watch(Step::Timers, &mut || self.until(end));
        self.began = end.plus(1);
    }

    fn until(&mut self, now: Micros) {
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= now) {
            self.engine.handle_timeout(due);
            self.forward(due);
            self.outputs();
        }
    }

    /// What an edge does with one datagram.
    fn take(&mut self, now: Micros, datagram: &mut [u8]) {
        let Some(header) = Header::parse(datagram) else { return };
        let opened = self.uplink.1.open(datagram, header.len, header.ssrc, header.sequence);
        let (Ok((index, len)), Some(publisher)) = (opened, self.publisher) else { return };
        self.counts.received += 1;
        self.engine.handle_rtp(now, publisher, &header, index, &datagram[..len]);
        self.forward(now);
        self.outputs();
    }

    fn forward(&mut self, now: Micros) {
        while let Some(peer) = self.engine.poll_forward(now, &mut self.arena, &mut self.cuts) {
            let Some(sender) = self.downlinks.get_mut(&peer) else { continue };
            for cut in &self.cuts {
                let packet = &mut self.arena[cut.start..cut.start + cut.len + TAG];
                // repairs and probes go out as well, and are none of ours
                let media = packet[1] & 0x7f == VP8;
                let sealed = sender.seal(packet, cut.header, cut.ssrc, cut.index).is_ok();
                self.counts.forwarded += u64::from(sealed && media);
            }
            let media = self.cuts.first().is_some_and(|cut| self.arena[cut.start + 1] & 0x7f == VP8);
            self.counts.in_runs += if media { in_runs(&self.cuts) } else { 0 };
            if self.arena.len() > 256 << 10 {
                self.arena.clear();
            }
        }
        self.arena.clear();
    }
}

/// Packets that leave in runs of equal length, the last of which may be shorter: the kernel's rule for GSO.
fn in_runs(cuts: &[Cut]) -> u64 {
    let (mut first, mut counted) = (0, 0);
    while first < cuts.len() {
        let size = cuts[first].len;
        let equal = cuts[first..].iter().take_while(|cut| cut.len == size).count();
        let shorter = cuts.get(first + equal).is_some_and(|cut| cut.len < size);
        let run = equal + usize::from(shorter);
        counted += if run > 1 { run as u64 } else { 0 };
        first += run;
    }
    counted
}

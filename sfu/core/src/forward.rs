//! From a track's history to one subscriber's packets: numbers rewritten, small frames padded to one size, laid end to
//! end so that the edge seals them in place and sends a frame in one call.

use crate::congestion::pacer::Admission;
use crate::congestion::{Purpose, Wakes};
use crate::engine::Output;
use crate::history::Entry;
use crate::load::Shed;
use crate::meeting::Meeting;
use crate::participant::PeerKey;
use crate::rewrite::{FORWARD_HEADER, Head, Rewritten, carried_id, patch};
use crate::subscription::{Section, payload_types};
use crate::track::Track;
use crate::{Micros, Stats};
use domain::{Codec, MediaKind};
use std::collections::VecDeque;

/// Room behind each packet for the tag of SRTP's AEAD profiles (RFC 7714).
pub const TAG: usize = 16;
/// A packet is padded by so much at most: libwebrtc's parts of a frame differ by 0 or 1 byte.
const MAX_PAD: usize = 1;
/// Packets of one run: a replay from a key frame may hold a second of them; more would stall the others.
pub(crate) const MAX_RUN: usize = 512;

/// One packet in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Where it starts.
    pub start: usize,
    /// Its length without the tag's room.
    pub len: usize,
    /// Bytes of its RTP header: authenticated, not encrypted.
    pub header: usize,
    /// SSRC.
    pub ssrc: u32,
    /// Extended sequence number: SRTP's index.
    pub index: u64,
}

/// Packets of one track that are ready for its subscribers.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) meeting: u32,
    pub(crate) track: usize,
    pub(crate) indices: Vec<u64>,
    to: Audience,
    cursor: usize,
    pad_to: usize,
    /// Place of the subscriber that is being written for.
    pub(crate) serving: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
enum Audience {
    /// Every live subscriber.
    All,
    /// One who just came: (place, section).
    One(usize, usize),
    /// A packet again to one, of its own sequence number: asked for, or for a probe.
    Resend(usize, usize, u64, Purpose),
}

impl Run {
    /// A frame, or what is there of it, for everybody.
    pub(crate) fn new(meeting: u32, track: usize, indices: Vec<u64>, pad_to: usize) -> Self {
        Self { meeting, track, indices, to: Audience::All, cursor: 0, pad_to, serving: None }
    }
    /// Everything since a key frame, for one subscriber.
    pub(crate) fn replay(meeting: u32, track: usize, indices: Vec<u64>, to: (usize, usize)) -> Self {
        Self { meeting, track, indices, to: Audience::One(to.0, to.1), cursor: 0, pad_to: 0, serving: None }
    }
    /// One packet again, over the repair stream.
    pub(crate) fn resend(
        meeting: u32,
        track: usize,
        index: u64,
        to: (usize, usize),
        (sequence, purpose): (u64, Purpose),
    ) -> Self {
        let to = Audience::Resend(to.0, to.1, sequence, purpose);
        Self { meeting, track, indices: vec![index], to, cursor: 0, pad_to: 0, serving: None }
    }
}

/// What all meetings of a shard share: queues, counters and numbers.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) runs: VecDeque<Run>,
    pub(crate) spare: Vec<Vec<u64>>,
    pub(crate) stats: Stats,
    pub(crate) shed: Shed,
    pub(crate) wakes: Wakes,
    random: u64,
    generation: u64,
}

impl Shared {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            outputs: VecDeque::new(),
            runs: VecDeque::new(),
            spare: Vec::new(),
            stats: Stats::default(),
            shed: Shed::NONE,
            wakes: Wakes::default(),
            random: seed,
            generation: 0,
        }
    }

    pub(crate) fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// Start of a transport's SSRC range (splitmix64); transports have own keys, so ranges may meet.
    pub(crate) fn random_ssrc(&mut self) -> u32 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) as u32 >> 2).max(1 << 16)
    }
}

/// Payload length to pad a frame's packets to, 0 for none: all but the last differ by [`MAX_PAD`] at most.
pub(crate) fn pad_to(track: &Track, indices: &[u64]) -> usize {
    let len = |index: &u64| track.history.get(*index).map_or(0, |(_, payload)| payload.len());
    let Some((last, others)) = indices.split_last() else { return 0 };
    let (mut least, mut most) = (usize::MAX, 0);
    for index in others {
        let len = len(index);
        (least, most) = (least.min(len), most.max(len));
    }
    let last = len(last);
    if last > most && last - most <= MAX_PAD {
        most = last;
    }
    if !others.is_empty() && most - least <= MAX_PAD { most } else { 0 }
}

impl Meeting {
    /// Writes the run for its next subscriber. `None` when the run is done.
    pub(crate) fn forward(
        &mut self,
        now: Micros,
        run: &mut Run,
        (shed, stats, wakes): (Shed, &mut Stats, &mut Wakes),
        arena: &mut Vec<u8>,
        cuts: &mut Vec<Cut>,
    ) -> Option<PeerKey> {
        let track = self.tracks.get(run.track)?.as_ref()?;
        let (place, at) = match run.to {
            Audience::All => *track.subscribers.get(run.cursor)?,
            Audience::One(place, at) | Audience::Resend(place, at, ..) if run.cursor == 0 => (place, at),
            Audience::One(..) | Audience::Resend(..) => return None,
        };
        run.cursor += 1;
        run.serving = Some(place as u32);
        let participant = self.participants.get_mut(place)?.as_mut()?;
        let key = participant.key;
        let downlink = &mut participant.subscribing.downlink;
        let Some(section) = participant.subscribing.sections.get_mut(at) else { return Some(key) };
        let again = matches!(run.to, Audience::Resend(..));
        let concerned = again || section.feed == Some(run.track) || section.target == Some(run.track);
        if !section.live || !concerned {
            return Some(key);
        }
        if shed.leaves_out(section.kind, place) {
            section.interrupt();
            stats.shed += run.indices.len() as u64;
            return Some(key);
        }
        let purpose = match (run.to, section.kind) {
            (Audience::Resend(.., purpose), _) => purpose,
            (_, MediaKind::Audio) => Purpose::Audio,
            (_, MediaKind::Video) => Purpose::Video,
        };
        let mut admission = downlink.admits(now, purpose);
        if admission == Admission::Refused {
            if again || section.feed == Some(run.track) {
                stats.refused += run.indices.len() as u64;
                if !again {
                    section.starve();
                }
                return Some(key);
            }
            // the way to a lower layer is not barred by the higher one's queue
            admission = Admission::Later;
        }
        let mut writer = Writer { now, place: run.track, track, section, stats, arena, cuts };
        match run.to {
            Audience::Resend(_, _, sequence, _) => writer.repair(run.indices[0], sequence),
            Audience::All | Audience::One(..) => {
                let last = run.indices.len().saturating_sub(1);
                for (n, index) in run.indices.iter().enumerate().take(MAX_RUN) {
                    writer.packet(*index, if n == last { 0 } else { run.pad_to });
                }
            }
        }
        downlink.dispatch(now, purpose, admission, arena, cuts);
        wakes.arm(now, key, downlink);
        Some(key)
    }
}

/// Writes a packet of padding alone to the repair stream (RFC 3550 section 5.1): what a probe is made of where nothing
/// was sent lately.
pub(crate) fn padding(section: &mut Section, arena: &mut Vec<u8>, cuts: &mut Vec<Cut>) {
    let Some(payload_type) = payload_types(section.codec).1 else { return };
    let (ssrc, index, start) = (section.repair_ssrc, section.repair_sequence, arena.len());
    section.repair_sequence += 1;
    let head = Head { payload_type, ssrc, sequence: index as u16, timestamp: 0, marker: false, padding: true };
    head.write(arena);
    arena.resize(arena.len() + usize::from(u8::MAX) - 1, 0);
    arena.push(u8::MAX);
    let len = arena.len() - start;
    arena.resize(arena.len() + TAG, 0);
    cuts.push(Cut { start, len, header: FORWARD_HEADER, ssrc, index });
}

struct Writer<'a> {
    now: Micros,
    /// Place of the track.
    place: usize,
    track: &'a Track,
    section: &'a mut Section,
    stats: &'a mut Stats,
    arena: &'a mut Vec<u8>,
    cuts: &'a mut Vec<Cut>,
}

impl Writer<'_> {
    fn packet(&mut self, index: u64, pad_to: usize) {
        let Some((entry, payload)) = self.track.history.get(index) else { return };
        let section = &mut *self.section;
        if section.feed != Some(self.place) {
            if section.target != Some(self.place) || !entry.key {
                return;
            }
            section.switch();
        }
        if section.awaiting_key {
            if !entry.key {
                return;
            }
            section.awaiting_key = false;
        }
        if !section.admits(entry) {
            // VP8 counts pictures without holes; VP9 says by number which it leans on
            let pictures = u16::from(entry.begins && section.codec == Codec::Vp8);
            section.rewriter.leave_out(entry.index, pictures);
            return;
        }
        let Some(rewritten) = section.rewriter.place(self.now, self.place, entry, payload) else { return };
        let padding = if entry.padding { 0 } else { pad_to.saturating_sub(payload.len()) };
        let head = self.head(entry, rewritten, self.section.ssrc, rewritten.sequence, padding > 0);
        self.payload(entry, rewritten, payload);
        if padding > 0 {
            self.arena.resize(self.arena.len() + padding - 1, 0);
            self.arena.push(padding as u8);
        }
        self.cut(head, self.section.ssrc, rewritten.sequence);
        self.section.packets = self.section.packets.wrapping_add(1);
        self.section.octets = self.section.octets.wrapping_add(payload.len() as u32);
        self.stats.forwarded += 1;
    }

    /// The packet that was sent as `sequence`, again on the repair stream (RFC 4588 section 4).
    fn repair(&mut self, index: u64, sequence: u64) {
        let Some((entry, payload)) = self.track.history.get(index) else { return };
        let Some(rewritten) = self.section.rewriter.again(entry, sequence) else { return };
        let repair_sequence = self.section.repair_sequence;
        self.section.repair_sequence += 1;
        let head = self.head(entry, rewritten, self.section.repair_ssrc, repair_sequence, false);
        self.arena.extend_from_slice(&(sequence as u16).to_be_bytes());
        self.payload(entry, rewritten, payload);
        self.cut(head, self.section.repair_ssrc, repair_sequence);
        self.stats.retransmitted += 1;
    }

    /// Where the packet starts, and bytes of its header.
    fn head(&mut self, entry: &Entry, rewritten: Rewritten, ssrc: u32, sequence: u64, padded: bool) -> (usize, usize) {
        let start = self.arena.len();
        let (media, repair) = payload_types(self.section.codec);
        let repairing = ssrc == self.section.repair_ssrc;
        let head = Head {
            payload_type: if repairing { repair.unwrap_or(media) } else { media },
            ssrc,
            sequence: sequence as u16,
            timestamp: rewritten.timestamp,
            // the last layer sent ends the picture
            marker: entry.marker || (entry.ends && entry.spatial == self.section.cap.spatial),
            padding: entry.padding || padded,
        };
        let carried = (carried_id(self.track.section.codec), self.track.history.carried(entry));
        let header = head.write_with(carried, self.arena);
        (start, header)
    }

    fn payload(&mut self, entry: &Entry, rewritten: Rewritten, payload: &[u8]) {
        let at = self.arena.len();
        self.arena.extend_from_slice(payload);
        if self.section.kind == MediaKind::Video {
            patch(entry, rewritten, &mut self.arena[at..]);
        }
    }

    fn cut(&mut self, (start, header): (usize, usize), ssrc: u32, index: u64) {
        let len = self.arena.len() - start;
        self.stats.forwarded_bytes += len as u64;
        self.arena.resize(self.arena.len() + TAG, 0);
        self.cuts.push(Cut { start, len, header, ssrc, index });
    }
}

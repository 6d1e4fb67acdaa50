//! A seeded meeting as a record link tells it: which message comes when is a function of the seed, so that a recorder that
//! starts again gets the same messages again, as from an SFU that kept what was not acknowledged.

use domain::message::record_link::FromSfuRecord;
use domain::{Codec, Ctr, Epoch, Kid, LeafIndex, ParticipantId, Slot};
use emulator::dice::Dice;
use evidence::archive::{Digest, sha256};
use std::collections::VecDeque;

/// When the meeting begins: any time is as good.
pub const BEGIN_MS: u64 = 1_795_305_600_000;
/// A new epoch after so many steps of 20 ms.
const EPOCH_STEPS: u64 = 300;
/// A source ends and comes back with this chance a step, in a million: its segment is closed and the next one begun.
const RESTARTS: u64 = 4_000;
/// Payload of a packet at most.
const PAYLOAD: usize = 1_100;
/// Authentication tag and more that every sealed frame has.
const TAG: usize = 24;

/// A frame that must be in the archive once its last message was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Whose, which layer, which epoch, which counter.
    pub name: Name,
    /// SHA-256 of its SFrame bytes.
    pub hash: Digest,
    /// The message that completed it.
    pub seq: u64,
}

/// What tells frames apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Whose.
    pub participant: String,
    /// Which layer.
    pub slot: u8,
    /// Epoch of its key.
    pub epoch: u64,
    /// Counter.
    pub ctr: u64,
}

/// One thing of the stream.
#[derive(Debug, Clone)]
pub struct Told {
    /// Both clocks, ms since the begin.
    pub at_ms: u64,
    /// The message.
    pub message: FromSfuRecord,
    /// Its number.
    pub seq: u64,
    /// The frame it completes.
    pub frame: Option<Frame>,
    /// The group's epoch by now.
    pub epoch: Epoch,
}

struct Source {
    participant: ParticipantId,
    leaf: u32,
    slot: u8,
    codec: Codec,
    link: u32,
    ssrc: u32,
    rtp: u16,
    ctr: u64,
}

/// The messages in order, without end.
pub struct Stream {
    dice: Dice,
    sources: Vec<Source>,
    links: u32,
    seq: u64,
    step: u64,
    ready: VecDeque<Told>,
}

/// A number in the config byte's 4 bits, or after it (RFC 9605 section 4.3).
fn number(value: u64) -> (u8, Vec<u8>) {
    if value < 8 {
        return (value as u8, Vec::new());
    }
    let bytes: Vec<u8> = value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    (8 | (bytes.len() as u8 - 1), bytes)
}

/// A frame that looks sealed: header, noise of `len` bytes.
pub fn sealed(kid: Kid, ctr: Ctr, len: usize, dice: &mut Dice) -> Vec<u8> {
    let (kid_bits, kid) = number(kid.0);
    let (ctr_bits, ctr) = number(ctr.0);
    let mut out = vec![kid_bits << 4 | ctr_bits];
    out.extend(kid);
    out.extend(ctr);
    let end = out.len() + len + TAG;
    while out.len() < end {
        out.extend(dice.roll().to_be_bytes());
    }
    out.truncate(end);
    out
}

fn rtp(source: &mut Source, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80, if marker { 0x80 | 96 } else { 96 }];
    out.extend(source.rtp.to_be_bytes());
    source.rtp = source.rtp.wrapping_add(1);
    out.extend(timestamp.to_be_bytes());
    out.extend(source.ssrc.to_be_bytes());
    out.extend(payload);
    out
}

impl Stream {
    /// The meeting of a seed: three people with microphones, two of them with cameras.
    pub fn new(seed: u64) -> Self {
        let mut stream =
            Self { dice: Dice::new(seed), sources: Vec::new(), links: 0, seq: 0, step: 0, ready: VecDeque::new() };
        for (leaf, slot, codec) in
            [(1, 0, Codec::Opus), (2, 0, Codec::Opus), (3, 0, Codec::Opus), (1, 2, Codec::Vp8), (2, 2, Codec::Vp8)]
        {
            let participant = format!("bank-a/person-{leaf}/d1").parse().expect("an id");
            let ssrc = 1_000 + leaf * 10 + u32::from(slot);
            stream.sources.push(Source { participant, leaf, slot, codec, link: 0, ssrc, rtp: 0, ctr: 0 });
            stream.announce(stream.sources.len() - 1);
        }
        stream
    }

    /// The epoch in this step.
    fn epoch(&self) -> Epoch {
        Epoch(1 + self.step / EPOCH_STEPS)
    }

    fn say(&mut self, message: impl FnOnce(u64) -> FromSfuRecord, frame: Option<Frame>) {
        self.seq += 1;
        let (seq, epoch) = (self.seq, self.epoch());
        self.ready.push_back(Told { at_ms: self.step * 20, message: message(seq), seq, frame, epoch });
    }

    fn announce(&mut self, at: usize) {
        self.links += 1;
        let source = &mut self.sources[at];
        source.link = self.links;
        let (track, participant, slot, codec) =
            (source.link, source.participant.clone(), Slot(source.slot), source.codec);
        self.say(|seq| FromSfuRecord::Track { seq, track, participant, slot, codec }, None);
    }

    fn restart(&mut self, at: usize) {
        let track = self.sources[at].link;
        self.say(|seq| FromSfuRecord::Ended { seq, track }, None);
        // a source that comes back has a new RTP source
        self.sources[at].ssrc += 1_000;
        self.announce(at);
    }

    fn frame(&mut self, at: usize) {
        let epoch = self.epoch();
        let video = self.sources[at].codec == Codec::Vp8;
        let len = if video { 200 + self.dice.below(3_000) as usize } else { 60 + self.dice.below(40) as usize };
        let step = self.step;
        let source = &mut self.sources[at];
        let kid = Kid::new(Slot(source.slot), LeafIndex(source.leaf), epoch);
        let bytes = sealed(kid, Ctr(source.ctr), len, &mut self.dice);
        let name =
            Name { participant: source.participant.to_string(), slot: source.slot, epoch: epoch.0, ctr: source.ctr };
        let hash = sha256(&bytes);
        source.ctr += 1;
        let (track, arrival_us) = (source.link, (BEGIN_MS + step * 20) * 1_000);
        let mut packets = Vec::new();
        if video {
            // the shim of VP8: one byte that says key frame or not
            let mut payload = vec![u8::from(!step.is_multiple_of(100))];
            payload.extend(bytes);
            let count = payload.len().div_ceil(PAYLOAD);
            for (n, part) in payload.chunks(PAYLOAD).enumerate() {
                let mut one = vec![if n == 0 { 0x10 } else { 0 }];
                one.extend(part);
                packets.push(rtp(source, step as u32 * 1_800, n + 1 == count, &one));
            }
        } else {
            packets.push(rtp(source, step as u32 * 960, false, &bytes));
        }
        let last = packets.len() - 1;
        for (n, rtp) in packets.into_iter().enumerate() {
            let seq = self.seq + 1;
            let frame = (n == last).then(|| Frame { name: name.clone(), hash, seq });
            self.say(|seq| FromSfuRecord::Packet { seq, track, arrival_us, rtp }, frame);
        }
    }

    fn advance(&mut self) {
        let before = self.epoch();
        self.step += 1;
        if self.epoch() != before {
            self.sources.iter_mut().for_each(|source| source.ctr = 0);
        }
        for at in 0..self.sources.len() {
            if self.dice.chance(RESTARTS) {
                self.restart(at);
            }
            self.frame(at);
        }
    }
}

impl Iterator for Stream {
    type Item = Told;
    fn next(&mut self) -> Option<Told> {
        while self.ready.is_empty() {
            self.advance();
        }
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_the_same_meeting_again_and_another_seed_another() {
        let tell = |seed| -> Vec<(u64, Option<Frame>)> {
            Stream::new(seed).take(2_000).map(|told| (told.seq, told.frame)).collect()
        };
        assert_eq!(tell(7), tell(7));
        assert_ne!(tell(7), tell(8));
        assert!(tell(7).iter().enumerate().all(|(at, (seq, _))| *seq == at as u64 + 1));
    }
}

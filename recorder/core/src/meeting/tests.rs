//! The recording in virtual time: a disk that commits when told, an SFU that repeats what was not acknowledged.

mod files;

use super::writer::COMMIT_MS;
use super::*;
use crate::summary::Parts;
use domain::{Ctr, Kid, LeafIndex};
use evidence::archive::manifest::Closed;
use evidence::archive::{GapCause, Record, SegmentReader};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

use crate::store::FileId;

const MIC: u32 = 1;
const CAMERA: u32 = 2;

fn anna() -> ParticipantId {
    "bank-a/anna/d1".parse().expect("an id")
}

fn config(incarnation: u64) -> Config {
    Config {
        firm: "bank-a".parse().expect("an id"),
        meeting: "00112233445566778899aabbccddeeff".parse().expect("an id"),
        recorder: "bank-a/recorder-1/r".parse().expect("an id"),
        incarnation,
        software: "test".to_owned(),
        wants: Wants::Media,
        files: FileRule::Kept,
    }
}

/// Opens every frame of epochs up to `known`; answers what `answers` says for a counter of the microphone.
struct Keys {
    known: u64,
    answers: BTreeMap<u64, Verdict>,
    seen: BTreeSet<(u64, u64)>,
}

impl Opener for Keys {
    fn open(&mut self, _: UnixMillis, _: &ParticipantId, _: Slot, codec: Codec, wire: &[u8]) -> Verdict {
        let Some(shim) = domain::sframe::shim(codec, wire) else { return Verdict::Rejected };
        let Ok(header) = domain::sframe::header(&wire[shim.len..]) else { return Verdict::Rejected };
        if let Some(answer) = self.answers.get(&header.ctr.0).filter(|_| codec == Codec::Opus) {
            return *answer;
        }
        if u64::from(header.kid.epoch_low()) > self.known {
            return Verdict::NotYet;
        }
        if !self.seen.insert((header.kid.0, header.ctr.0)) {
            return Verdict::Duplicate;
        }
        Verdict::Opened
    }
}

/// A number in the config byte's 4 bits, or after it.
fn number(value: u64) -> (u8, Vec<u8>) {
    if value < 8 {
        return (value as u8, Vec::new());
    }
    let bytes: Vec<u8> = value.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    (8 | (bytes.len() as u8 - 1), bytes)
}

fn sframe(slot: u8, epoch: u64, ctr: u64, len: usize) -> Vec<u8> {
    let (kid_bits, kid) = number(Kid::new(Slot(slot), LeafIndex(3), Epoch(epoch)).0);
    let (ctr_bits, ctr) = number(Ctr(ctr).0);
    let mut out = vec![kid_bits << 4 | ctr_bits];
    out.extend(kid);
    out.extend(ctr);
    out.extend((0..len + 24).map(|n| n as u8));
    out
}

fn rtp(ssrc: u32, seq: u16, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80, if marker { 0x80 | 96 } else { 96 }];
    out.extend(seq.to_be_bytes());
    out.extend(timestamp.to_be_bytes());
    out.extend(ssrc.to_be_bytes());
    out.extend(payload);
    out
}

/// What the SFU has for the recorder: microphone frames, and camera frames of three packets.
fn stream(frames: u64, epoch_of: impl Fn(u64) -> u64) -> Vec<FromSfuRecord> {
    let mut seq = 0;
    let mut next = || {
        seq += 1;
        seq
    };
    let mut out = Vec::new();
    for (track, slot, codec) in [(MIC, 0, Codec::Opus), (CAMERA, 2, Codec::Vp8)] {
        out.push(FromSfuRecord::Track { seq: next(), track, participant: anna(), slot: Slot(slot), codec });
    }
    let mut first_of_epoch = BTreeMap::new();
    for n in 0..frames {
        let epoch = epoch_of(n);
        let ctr = n - *first_of_epoch.entry(epoch).or_insert(n);
        let at = 1_000_000_000 + n * 20_000;
        let sound = rtp(11, n as u16, n as u32 * 960, false, &sframe(0, epoch, ctr, 60));
        out.push(FromSfuRecord::Packet { seq: next(), track: MIC, arrival_us: at, rtp: sound });
        let mut picture = vec![if n % 30 == 0 { 0u8 } else { 1 }];
        picture.extend(sframe(2, epoch, ctr, 2_000));
        for (part, bytes) in picture.chunks(picture.len().div_ceil(3)).enumerate() {
            let mut payload = vec![if part == 0 { 0x10 } else { 0 }];
            payload.extend(bytes);
            let packet = rtp(22, (n * 3) as u16 + part as u16, n as u32 * 1800, part == 2, &payload);
            out.push(FromSfuRecord::Packet { seq: next(), track: CAMERA, arrival_us: at + 100, rtp: packet });
        }
    }
    out
}

struct Rig {
    meeting: Meeting,
    keys: Keys,
    now: Now,
    disk: BTreeMap<FileId, Vec<u8>>,
    pending: Option<Batch>,
    acked: u64,
    asked: Vec<u32>,
    receipts: Vec<Epoch>,
    beacons: Vec<BeaconState>,
    sealed: Vec<SegmentManifest>,
    wanted: Vec<Unnamed>,
    kept: Vec<Digest>,
    fetches: Vec<Digest>,
    finished: bool,
}

fn at(ms: u64) -> Now {
    Now { wall: UnixMillis(1_000_000 + ms), mono_ms: ms }
}

impl Rig {
    fn new(known: u64) -> Self {
        let mut rig = Self::with(Meeting::new(config(1), at(0)), at(0), known);
        rig.epoch(1);
        rig
    }

    fn with(meeting: Meeting, now: Now, known: u64) -> Self {
        let keys = Keys { known, answers: BTreeMap::new(), seen: BTreeSet::new() };
        Self {
            meeting,
            keys,
            now,
            disk: BTreeMap::new(),
            pending: None,
            acked: 0,
            asked: Vec::new(),
            receipts: Vec::new(),
            beacons: Vec::new(),
            sealed: Vec::new(),
            wanted: Vec::new(),
            kept: Vec::new(),
            fetches: Vec::new(),
            finished: false,
        }
    }

    fn epoch(&mut self, epoch: u64) {
        let terms = ArchiveEvent::Terms {
            room: "deal-room".parse().expect("an id"),
            title: "Project".to_owned(),
            started_at: UnixMillis(1_000_000),
            retention_years: 5,
            statements: Vec::new(),
            trust: Digest([7; 32]),
        };
        self.give(Input::Terms(Box::new(terms)));
        self.give(Input::Epoch { epoch: Epoch(epoch), transcript_hash: Digest([1; 32]), members: Vec::new() });
        let key = EpochKey {
            incarnation: 1,
            epoch: Epoch(epoch),
            sealed: vec![epoch as u8; 60].into(),
            transcript_hash: Digest([1; 32]),
        };
        self.give(Input::EpochKey { key, commitment: [0; 32] });
    }

    fn give(&mut self, input: Input) {
        self.meeting.handle(self.now, input, &mut self.keys);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.meeting.poll_output() {
            match output {
                Output::Commit(batch) => assert!(self.pending.replace(batch).is_none(), "one commit at a time"),
                Output::Ack { seq } => self.acked = self.acked.max(seq),
                Output::NeedKeyFrame { track } => self.asked.push(track),
                Output::Receipt { epoch, .. } => self.receipts.push(epoch),
                Output::Beacon { state, .. } => self.beacons.push(state),
                Output::Seal(manifest) => self.sealed.push(manifest),
                Output::WantManifests(unnamed) => self.wanted.push(unnamed),
                Output::Fetch(file) => self.fetches.push(file),
                Output::Kept(said) => self.kept.extend(said),
                Output::Finished => self.finished = true,
            }
        }
    }

    fn write(&mut self, batch: &Batch, bytes: usize) {
        let mut left = bytes;
        let last = [(FileId::Events, batch.events.clone())];
        for (file, data) in batch.writes.iter().chain(&last) {
            let take = data.len().min(left);
            self.disk.entry(*file).or_default().extend(&data[..take]);
            left -= take;
        }
    }

    fn commit(&mut self) {
        while let Some(batch) = self.pending.take() {
            self.write(&batch, usize::MAX);
            self.give(Input::Committed { ticket: batch.ticket });
        }
    }

    fn pass(&mut self, ms: u64) {
        let until = self.now.mono_ms + ms;
        while let Some(next) = self.meeting.poll_timeout().filter(|next| *next <= until) {
            self.now = at(next.max(self.now.mono_ms));
            self.meeting.handle_timeout(self.now, &mut self.keys);
            self.drain();
            if self.pending.is_some() {
                break;
            }
        }
        if self.pending.is_none() {
            self.now = at(until);
        }
    }

    /// Time passes and the disk commits at once.
    fn run(&mut self, ms: u64) {
        let until = self.now.mono_ms + ms;
        while self.now.mono_ms < until {
            self.commit();
            self.pass(until - self.now.mono_ms);
        }
        self.commit();
    }

    fn up(&mut self, oldest: u64) {
        self.give(Input::Link(FromSfuRecord::Welcome { oldest }));
    }

    fn finish(&mut self) {
        self.commit();
        self.give(Input::Finish);
        self.commit();
        assert!(self.finished);
    }

    fn frames(&self) -> Vec<(u8, u64, u64)> {
        let mut out = Vec::new();
        for (file, bytes) in &self.disk {
            let FileId::Track { .. } = file else { continue };
            let (_, mut reader) = SegmentReader::new(bytes).expect("a header");
            while let Some(placed) = reader.next_record().expect("whole records") {
                if let Record::Media(media) = placed.record {
                    let header = domain::sframe::header(media.sframe).expect("an SFrame header");
                    out.push((header.kid.slot().0, media.epoch.0, header.ctr.0));
                }
            }
        }
        out.sort_unstable();
        out
    }
}

#[test]
fn nothing_is_acknowledged_before_its_group_commit_is_durable() {
    let mut rig = Rig::new(1);
    rig.commit();
    rig.up(1);
    for message in stream(4, |_| 1) {
        rig.give(Input::Link(message));
    }
    assert_eq!((rig.acked, rig.pending.is_some()), (0, false));
    rig.pass(COMMIT_MS);
    let batch = rig.pending.clone().expect("a commit after so long");
    assert_eq!(rig.acked, 0);
    rig.give(Input::Committed { ticket: batch.ticket + 7 });
    assert_eq!(rig.acked, 0, "another ticket acknowledges nothing");
    rig.commit();
    assert_eq!(rig.acked, 2 + 4 * 4);
    assert_eq!(rig.frames().len(), 8);
}

#[test]
fn a_receipt_is_given_when_the_sealed_key_is_durable_and_the_beacon_only_then() {
    let mut rig = Rig::new(1);
    assert_eq!((rig.pending.is_some(), rig.receipts.len()), (true, 0), "the key is committed at once");
    rig.pass(600);
    assert!(rig.beacons.is_empty());
    rig.commit();
    assert_eq!(rig.receipts, [Epoch(1)]);
    assert!(!rig.disk[&FileId::EpochKeys].is_empty());
    rig.pass(600);
    rig.commit();
    assert_eq!(rig.beacons.last(), Some(&BeaconState::Waiting));
    rig.up(1);
    rig.give(Input::Link(FromSfuRecord::Idle { seq: 1 }));
    rig.pass(260);
    rig.commit();
    rig.pass(300);
    assert_eq!(rig.beacons.last(), Some(&BeaconState::Recording));
    rig.pass(2_000);
    assert_eq!(rig.beacons.last(), Some(&BeaconState::Waiting), "a silent link is not recording");
}

#[test]
fn beacons_of_a_restart_count_on_above_those_before_it() {
    let last = |meeting: &mut Meeting, from: u64, to: u64| {
        let mut newest = None;
        for ms in (from..to).step_by(100) {
            meeting.handle(
                at(ms),
                Input::StoreFailed,
                &mut Keys { known: 0, answers: BTreeMap::new(), seen: BTreeSet::new() },
            );
            while let Some(output) = meeting.poll_output() {
                if let Output::Beacon { sequence, .. } = output {
                    newest = newest.max(Some(sequence));
                }
            }
        }
        newest.expect("beacons")
    };
    let before = last(&mut Meeting::new(config(1), at(0)), 0, 3_600_000);
    let after = last(&mut Meeting::new(config(2), at(3_600_500)), 3_600_500, 3_601_000);
    assert!(after > before, "{after} {before}");
}

/// What anna signs for `frames` microphone frames of an epoch; the core leaves the signature to the session.
fn manifest(epoch: u64, frames: usize) -> Input {
    let manifest = evidence::sender_manifest::SenderManifest {
        meeting: config(1).meeting,
        epoch: Epoch(epoch),
        slot: Slot(0),
        first_ctr: Ctr(0),
        hashes: vec![0; frames * evidence::sender_manifest::HASH],
    };
    let payload = evidence::sender_manifest::encode(&manifest);
    let signed = evidence::cose::sign::<std::convert::Infallible>("test", &payload, None, |_| Ok([0; 64]));
    let Ok(signed) = signed;
    Input::SenderManifest { from: anna(), signed: signed.into() }
}

#[test]
fn frames_whose_manifest_was_lost_with_a_killed_recorder_are_asked_for_after_its_return() {
    let mut rig = Rig::new(1);
    rig.up(1);
    stream(40, |_| 1).into_iter().for_each(|message| rig.give(Input::Link(message)));
    rig.run(1_000);
    assert!(rig.acked > 0 && rig.wanted.is_empty(), "the manifest has time");
    // killed: what is durable is read back; the manifest that was on its way never came
    let [events, keys] =
        [FileId::Events, FileId::EpochKeys].map(|file| rig.disk.get(&file).cloned().unwrap_or_default());
    let mut found = Recovered::new(&events, &keys).expect("an event segment");
    for (file, bytes) in &rig.disk {
        if matches!(file, FileId::Track { .. }) {
            found.segment(bytes, Found::Unsealed);
        }
    }
    let mut back = Rig::with(found.go_on(config(2), at(5_000)), at(5_000), 1);
    back.disk = rig.disk.clone();
    back.run(NAMES_MS + 10);
    let sound = |rig: &mut Rig| {
        rig.wanted
            .drain(..)
            .filter(|one| one.slot == Slot(0))
            .map(|one| (one.epoch.0, one.first_ctr, one.count))
            .collect()
    };
    let asked: Vec<_> = sound(&mut back);
    assert_eq!(asked, [(1, 0, 40)]);
    back.run(NAMES_MS);
    let asked: Vec<_> = sound(&mut back);
    assert_eq!(asked, [(1, 0, 40)], "asked again: the question may be lost as well");
    // said again, and by two who were asked: nothing is unnamed, and saying it twice changes nothing
    back.give(manifest(1, 40));
    back.give(manifest(1, 40));
    back.run(3 * NAMES_MS);
    let asked: Vec<(u64, u64, u64)> = sound(&mut back);
    assert_eq!(asked, []);
}

#[test]
fn after_a_failed_write_nothing_is_acknowledged_and_the_beacon_says_so() {
    let mut rig = Rig::new(1);
    rig.commit();
    rig.up(1);
    let all = stream(20, |_| 1);
    for message in all[..20].iter().cloned() {
        rig.give(Input::Link(message));
    }
    rig.pass(COMMIT_MS);
    let batch = rig.pending.take().expect("a commit");
    rig.give(Input::StoreFailed);
    rig.give(Input::Committed { ticket: batch.ticket });
    for message in all[20..].iter().cloned() {
        rig.give(Input::Link(message));
    }
    rig.pass(3_000);
    assert_eq!((rig.acked, rig.pending.is_some()), (0, false));
    assert_eq!(rig.beacons.last(), Some(&BeaconState::Failed));
}

#[test]
fn frames_of_the_next_epoch_wait_for_it_and_are_kept_without_key_when_it_never_comes() {
    let mut rig = Rig::new(1);
    rig.commit();
    rig.up(1);
    for message in stream(10, |n| if n < 5 { 1 } else { 2 }) {
        rig.give(Input::Link(message));
    }
    rig.pass(300);
    rig.commit();
    assert!(rig.acked < 42, "held frames are not acknowledged");
    rig.keys.known = 2;
    rig.epoch(2);
    rig.pass(300);
    rig.commit();
    assert_eq!(rig.acked, 42);
    assert_eq!(rig.frames().len(), 20);

    let mut rig = Rig::new(1);
    rig.commit();
    rig.up(1);
    for message in stream(10, |n| if n < 5 { 1 } else { 2 }) {
        rig.give(Input::Link(message));
    }
    rig.run(1_800);
    assert_eq!(rig.acked, 42, "an epoch that never comes does not stop the acknowledgements");
    rig.finish();
    let gaps = &rig.meeting.summary().gaps;
    assert!(gaps.iter().filter(|gap| gap.cause == GapCause::NoKey).map(|gap| gap.count).sum::<u64>() == 10, "{gaps:?}");
}

#[test]
fn rejected_frames_are_counted_and_named_and_not_kept() {
    let mut rig = Rig::new(1);
    rig.keys.answers = [(3, Verdict::Rejected), (4, Verdict::Rejected)].into();
    rig.commit();
    rig.up(1);
    for message in stream(10, |_| 1) {
        rig.give(Input::Link(message));
    }
    rig.finish();
    assert_eq!(rig.meeting.summary().rejected, 2);
    let rejected: Vec<_> = rig.meeting.summary().gaps.iter().filter(|gap| gap.cause == GapCause::Rejected).collect();
    assert_eq!((rejected.len(), rejected[0].first_ctr, rejected[0].count), (1, 3, 2));
    assert_eq!(rig.frames().len(), 18);
}

#[test]
fn key_frames_are_asked_for_at_the_start_after_a_loss_and_every_ten_seconds() {
    let mut rig = Rig::new(1);
    rig.commit();
    rig.up(1);
    let all = stream(40, |_| 1);
    for message in all.iter().take(100).cloned() {
        rig.give(Input::Link(message));
    }
    assert_eq!(rig.asked, [CAMERA]);
    rig.run(2_000);
    // the whole frame 25 is lost: 3 packets of the camera
    for message in all.iter().skip(100 + 4).cloned() {
        rig.give(Input::Link(message));
    }
    rig.run(1_000);
    assert_eq!(rig.asked, [CAMERA], "a link that is silent itself says nothing about loss");
    rig.give(Input::Link(FromSfuRecord::Idle { seq: 900 }));
    rig.run(100);
    assert_eq!(rig.asked, [CAMERA, CAMERA]);
    rig.now = at(20_000);
    let late = rtp(22, 700, 1800 * 50, true, &[0x10, 1, 2, 3]);
    rig.give(Input::Link(FromSfuRecord::Packet { seq: 1_000, track: CAMERA, arrival_us: 1_900_000_000, rtp: late }));
    assert_eq!(rig.asked, [CAMERA, CAMERA, CAMERA]);
}

#[test]
fn the_manifest_of_a_finished_meeting_names_every_segment_and_frame() {
    let mut rig = Rig::new(1);
    rig.commit();
    rig.up(1);
    for message in stream(50, |_| 1) {
        rig.give(Input::Link(message));
    }
    rig.finish();
    let segments: Vec<_> =
        rig.sealed.iter().map(|one| (one.clone(), "segments/x".to_owned(), Digest([0; 32]))).collect();
    let parts = Parts {
        firm: &"bank-a".parse().expect("an id"),
        meeting: &"00112233445566778899aabbccddeeff".parse().expect("an id"),
        software: "test",
        closed: Closed::Ended,
        segments: &segments,
        sealed_keys: &[],
        epoch_keys: &rig.disk[&FileId::EpochKeys],
    };
    let manifest = rig.meeting.summary().manifest(&parts).expect("terms are known");
    assert_eq!((manifest.frames, manifest.gaps.len(), manifest.epochs.len()), (100, 0, 1));
    let listed: Vec<&str> = manifest.segments.iter().map(|segment| segment.path.as_str()).collect();
    assert_eq!(listed, ["events.seg", "tracks/0001/00001.seg", "tracks/0002/00001.seg"]);
    for segment in &manifest.segments {
        let file = [FileId::Events, FileId::Track { track: 1, index: 1 }, FileId::Track { track: 2, index: 1 }]
            .into_iter()
            .find(|file| file.path() == segment.path)
            .expect("a file of ours");
        assert_eq!(segment.size, rig.disk[&file].len() as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// The recorder is killed after any message, in the middle of any write; the disk keeps at least what was made
    /// durable. Whatever was acknowledged is there, and after the reconnection nothing is missing or doubled.
    #[test]
    fn every_acknowledged_frame_survives_a_cut_at_any_byte_and_the_rest_comes_again(
        stop in 3usize..220,
        spare in 0usize..400_000,
        gap_ms in 1u64..40,
    ) {
        let all = stream(55, |n| 1 + n / 20);
        let mut rig = Rig::new(3);
        rig.epoch(2);
        rig.epoch(3);
        rig.commit();
        rig.up(1);
        for (n, message) in all.iter().enumerate().take(stop) {
            rig.give(Input::Link(message.clone()));
            rig.pass(gap_ms);
            if n % 7 == 3 {
                rig.commit();
            }
        }
        let acked = rig.acked;
        if let Some(batch) = rig.pending.take() {
            rig.write(&batch, spare);
        }

        let disk = std::mem::take(&mut rig.disk);
        let mut found = Recovered::new(&disk[&FileId::Events], &disk[&FileId::EpochKeys]).expect("a header");
        let mut kept = BTreeMap::new();
        for (file, good) in found.sizes() {
            kept.insert(file, disk[&file][..good as usize].to_vec());
        }
        for (file, bytes) in disk.iter().filter(|(file, _)| matches!(file, FileId::Track { .. })) {
            let good = found.segment(bytes, Found::Unsealed);
            if good > 0 {
                kept.insert(*file, bytes[..good as usize].to_vec());
            }
        }
        prop_assert!(found.summary().durable >= acked, "{} < {acked}", found.summary().durable);
        let now = at(rig.now.mono_ms + 5_000);
        let mut again = Rig::with(found.go_on(config(2), now), now, 3);
        again.disk = kept;
        let durable = again.meeting.durable();
        again.up(durable + 1);
        for message in &all[durable as usize..] {
            again.give(Input::Link(message.clone()));
            again.pass(gap_ms);
            again.commit();
        }
        again.finish();
        let first = [0u64, 20, 40];
        let want: Vec<(u8, u64, u64)> = [0u8, 2]
            .into_iter()
            .flat_map(|slot| (0..55u64).map(move |n| (slot, 1 + n / 20, n - first[n as usize / 20])))
            .collect();
        prop_assert_eq!(again.frames(), want);
        prop_assert!(again.meeting.summary().gaps.is_empty(), "{:?}", again.meeting.summary().gaps);
    }
}

/// Word `sequence` of anna, as her session signs it.
fn word(key: &e2ee::leaf::LeafKey, sequence: u64) -> B64 {
    use evidence::said::{LABEL, Said, What, encode};
    let meeting = config(1).meeting;
    let what = What::Text { sealed: vec![1; 40] };
    let said = Said { meeting, epoch: Epoch(1), sequence, at: UnixMillis(1), what };
    B64(key.sign_cose(LABEL, &encode(&said), Some(b"certificate")))
}

#[test]
fn a_word_is_told_as_kept_only_once_it_is_durable_and_again_if_nobody_heard() {
    let key = e2ee::leaf::LeafKey::generate();
    let mut rig = Rig::new(1);
    rig.commit();
    let signed = word(&key, 1);
    let said = || Input::Said { from: anna(), signed: signed.clone() };
    rig.give(said());
    rig.pass(COMMIT_MS);
    assert!(rig.pending.is_some());
    assert_eq!(rig.kept, []);
    rig.give(said());
    assert_eq!(rig.kept, [], "said again while it is on its way");
    rig.commit();
    assert_eq!(rig.kept, [sha256(&signed)]);
    rig.give(said());
    assert_eq!(rig.kept.len(), 2);
    // a restart knows what is on disk
    let recovered = Recovered::new(&rig.disk[&FileId::Events], &rig.disk[&FileId::EpochKeys]).expect("reads");
    assert!(recovered.summary().speech.has(&sha256(&signed)));
}

#[test]
fn words_that_the_recorder_missed_are_declared_at_the_end_once() {
    let key = e2ee::leaf::LeafKey::generate();
    let mut rig = Rig::new(1);
    for sequence in [3, 4, 7, 9] {
        rig.give(Input::Said { from: anna(), signed: word(&key, sequence) });
    }
    rig.finish();
    let (_, mut reader) = SegmentReader::new(&rig.disk[&FileId::Events]).expect("a header");
    let mut missing = Vec::new();
    while let Some(placed) = reader.next_record().expect("whole records") {
        if let Record::Event(event) = placed.record
            && let ArchiveEvent::Unsaid { first, count, .. } = *event
        {
            missing.push((first, count));
        }
    }
    assert_eq!(missing, [(5, 2), (8, 1)]);
}

#[test]
fn a_recorder_of_events_alone_is_recording_without_a_record_link() {
    let chat = Config { wants: Wants::Events, ..config(1) };
    let mut rig = Rig::with(Meeting::new(chat, at(0)), at(0), 1);
    rig.epoch(1);
    rig.commit();
    rig.pass(600);
    assert_eq!(rig.beacons.last(), Some(&BeaconState::Recording));
    rig.run(5_000);
    assert_eq!(rig.beacons.last(), Some(&BeaconState::Recording));
    // a disk that hangs is not recording
    rig.give(Input::Event(ArchiveEvent::LinkDown {}));
    rig.pass(COMMIT_MS);
    assert!(rig.pending.is_some());
    for _ in 0..6 {
        rig.pass(500);
    }
    assert_eq!(rig.beacons.last(), Some(&BeaconState::Waiting));
    rig.commit();
    rig.finish();
}

#[test]
fn r16_a_pause_keeps_no_frame_ends_by_itself_and_is_a_gap_with_its_reason() {
    let mut rig = Rig::new(1);
    rig.commit();
    rig.up(1);
    let all = stream(60, |_| 1);
    let (before, rest) = all.split_at(100);
    let (during, after) = rest.split_at(70);
    before.iter().cloned().for_each(|message| rig.give(Input::Link(message)));
    rig.run(500);
    let sam: ParticipantId = "bank-a/sam/d1".parse().expect("an id");
    rig.give(Input::Pause { by: sam.clone(), at_most_ms: 20_000 });
    let kept = rig.frames().len();
    during.iter().cloned().for_each(|message| rig.give(Input::Link(message)));
    rig.run(1_000);
    assert_eq!(rig.frames().len(), kept, "nothing is kept");
    assert_eq!(rig.acked, 170, "and the SFU need not keep it either");
    rig.give(Input::Pause { by: sam, at_most_ms: 600_000 });
    rig.asked.clear();
    rig.run(18_999);
    assert!(rig.meeting.summary().paused_until.is_some());
    rig.run(1);
    assert!(rig.meeting.summary().paused_until.is_none(), "it ends by itself, and was not made longer");
    assert!(!rig.asked.is_empty(), "pictures begin anew with a key frame");
    after.iter().cloned().for_each(|message| rig.give(Input::Link(message)));
    rig.run(500);
    assert!(rig.frames().len() > kept);
    rig.finish();
    let gaps = &rig.meeting.summary().gaps;
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| gap.cause == GapCause::Paused), "{gaps:?}");
}

#[test]
fn r16_a_restart_inside_a_pause_does_not_lengthen_it() {
    let mut rig = Rig::new(1);
    rig.give(Input::Pause { by: anna(), at_most_ms: 10_000 });
    rig.run(1_000);
    let recovered = Recovered::new(&rig.disk[&FileId::Events], &rig.disk[&FileId::EpochKeys]).expect("reads");
    let mut again = Rig::with(recovered.go_on(config(2), at(4_000)), at(4_000), 1);
    again.run(5_999);
    assert!(again.meeting.summary().paused_until.is_some());
    again.run(1);
    assert!(again.meeting.summary().paused_until.is_none());
}

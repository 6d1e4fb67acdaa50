//! An archived meeting of two people, written and signed as a recorder would.

use super::kit::{BEGAN, CHAT, CHAT_MS, DURATION_MS, MEETING, NOW, Person, firm, key, person, signed};
use domain::message::custody::{IncarnationKey, LeafRole};
use domain::{Codec, Epoch, Kid, LeafIndex, MediaKind, MeetingId, ParticipantId, Slot};
use e2ee::escrow::{MeetingKey, Place, SealedBaseKey};
use e2ee::sframe::{BaseKey, SealKey};
use evidence::archive::manifest::Closed;
use evidence::archive::record::{DISCONTINUITY, KEY_FRAME, OPENED};
use evidence::archive::{
    ArchiveEvent, Attendance, ClockState, CopyWanted, Digest, EpochEntry, EpochKey, FileEntry, Gap, MEETING_LABEL,
    Media, MeetingManifest, Record, SealedKeys, SegmentEntry, SegmentHeader, SegmentWriter, TrackEntry, TrackInfo,
    names, sha256,
};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What one recorder kept of the kit's meeting.
pub struct Kept<'a> {
    /// Its meeting key.
    pub key: [u8; 32],
    /// Which frames, by sender, kind and arrival (microseconds from the begin).
    pub frames: &'a dyn Fn(&ParticipantId, MediaKind, u64) -> bool,
    /// What it declares of the others.
    pub gaps: Vec<Gap>,
    /// What was said, and files.
    pub told: (Vec<ArchiveEvent>, Vec<FileEntry>),
}

/// Writes a meeting of anna (from its begin) and ben (from 2 s): each 3 s of the fixture's picture and tone.
pub fn archive(root: &Path) -> (PathBuf, [u8; 32], Vec<IncarnationKey>) {
    let told = super::files::sent(&MEETING.parse().expect("an id"));
    archive_of(root, Kept { key: [9; 32], frames: &|_, _, _| true, gaps: Vec::new(), told })
}

/// ... as a recorder has it that kept this of it.
pub fn archive_of(root: &Path, kept: Kept<'_>) -> (PathBuf, [u8; 32], Vec<IncarnationKey>) {
    let meeting: MeetingId = MEETING.parse().expect("an id");
    let folder = root.join("bank-a/2027/01").join(MEETING);
    std::fs::create_dir_all(folder.join("keys")).expect("made");
    let (epoch_key, sealed) = epoch_under(&folder, &meeting, &kept.key);
    let (told, files) = kept.told;
    let (mut segments, mut tracks) = (vec![events_of(&folder, &meeting, told)], Vec::new());
    let ben: ParticipantId = "bank-b/ben/d9".parse().expect("an id");
    for (leaf, (who, late_us)) in [(person("anna"), 0u64), (ben.clone(), 2_000_000)].into_iter().enumerate() {
        for (kind, slot, codec) in
            [(MediaKind::Audio, Slot::MICROPHONE, Codec::Opus), (MediaKind::Video, Slot::CAMERA, Codec::Vp8)]
        {
            let track = tracks.len() as u32 + 1;
            let info = TrackInfo { track, participant: who.clone(), slot, codec };
            let key = SealKey::new(&base(), Kid::new(slot, LeafIndex(leaf as u32), Epoch(1)), codec);
            let keeps = |at_us| (kept.frames)(&who, kind, at_us);
            let (entry, tracked) = media(&folder, &meeting, info, key, late_us, &keeps);
            segments.push(entry);
            tracks.push(tracked);
        }
    }
    let roster =
        vec![present(person("anna"), "Anna Berg", LeafRole::Member), present(ben, "Ben Cole", LeafRole::Member)];
    let contents = Contents {
        meeting,
        roster,
        epoch_key,
        sealed,
        tracks,
        segments,
        files,
        gaps: kept.gaps,
        length_ms: DURATION_MS,
    };
    let hash = close(&folder, contents);
    (folder, hash, vec![IncarnationKey { incarnation: 1, key: kept.key.to_vec().into() }])
}

/// What custody opens of the kit's meetings.
pub fn keys() -> Vec<IncarnationKey> {
    vec![IncarnationKey { incarnation: 1, key: vec![9; 32].into() }]
}

/// What a manifest of the kit tells.
pub struct Contents {
    pub meeting: MeetingId,
    pub roster: Vec<Attendance>,
    pub epoch_key: EpochKey,
    pub sealed: SealedBaseKey,
    pub tracks: Vec<TrackEntry>,
    pub segments: Vec<SegmentEntry>,
    pub files: Vec<FileEntry>,
    pub gaps: Vec<Gap>,
    pub length_ms: u64,
}

/// Signs and writes the manifest; answers its hash.
pub fn close(folder: &Path, contents: Contents) -> [u8; 32] {
    let Contents { meeting, roster, epoch_key, sealed, tracks, segments, files, gaps, length_ms } = contents;
    let manifest = MeetingManifest {
        record: "meeting".to_owned(),
        version: 1,
        firm: firm(),
        meeting,
        room: "deal-room".parse().expect("an id"),
        title: "Project Alder".to_owned(),
        started_at: BEGAN,
        ended_at: BEGAN.plus(length_ms),
        closed: Closed::Ended,
        software: "test".to_owned(),
        roster,
        statements: Vec::new(),
        trust: Digest([0; 32]),
        retention_years: 7,
        retain_until: NOW,
        sealed_keys: vec![SealedKeys { incarnation: 1, recorder: person("recorder-1"), keys: Vec::new() }],
        sealed_keys_hash: Digest([0; 32]),
        epochs: vec![EpochEntry {
            incarnation: 1,
            epoch: Epoch(1),
            sealed_hash: sha256(&sealed.bytes),
            transcript_hash: Digest([0; 32]),
            at: BEGAN,
        }],
        epochs_hash: sha256(&epoch_key.to_cbor()),
        frames: tracks.iter().map(|track| track.frames).sum(),
        tracks,
        segments,
        rejected: 0,
        gaps,
        clock: ClockState { synchronised: true, estimated_error_us: 0, against_sfu_ms: 0 },
        tags: Default::default(),
        copies_wanted: vec![CopyWanted { participant: person("anna"), language: "de".to_owned(), at: BEGAN }],
        files,
    };
    let signed = signed(&key(2), MEETING_LABEL, &manifest.to_cbor(), None);
    std::fs::write(folder.join(names::MEETING), &signed).expect("written");
    evidence::sha256(&signed)
}

/// The key of the kit's one epoch, sealed and written.
pub fn epoch(folder: &Path, meeting: &MeetingId) -> (EpochKey, SealedBaseKey) {
    epoch_under(folder, meeting, &[9; 32])
}

fn epoch_under(folder: &Path, meeting: &MeetingId, key: &[u8; 32]) -> (EpochKey, SealedBaseKey) {
    let meeting_key = MeetingKey::from_bytes(key).expect("32 bytes");
    let place = Place { firm: firm(), meeting: meeting.clone(), incarnation: 1, epoch: Epoch(1) };
    let sealed = SealedBaseKey::seal(&meeting_key, &place, &base());
    let epoch_key = EpochKey {
        incarnation: 1,
        epoch: Epoch(1),
        sealed: sealed.bytes.clone().into(),
        transcript_hash: Digest([0; 32]),
    };
    std::fs::write(folder.join(names::EPOCH_KEYS), epoch_key.to_cbor()).expect("written");
    (epoch_key, sealed)
}

/// The base key of that epoch.
pub fn base() -> BaseKey {
    BaseKey::from_bytes(&[8; 32]).expect("32 bytes")
}

/// Somebody who was there from begin to end.
pub fn present(participant: ParticipantId, name: &str, role: LeafRole) -> Attendance {
    Attendance {
        participant,
        name: name.to_owned(),
        role,
        joined_epoch: Epoch(1),
        joined_at: BEGAN,
        left_epoch: None,
        left_at: BEGAN.plus(DURATION_MS),
    }
}

pub fn header(meeting: &MeetingId, track: Option<TrackInfo>) -> SegmentHeader {
    SegmentHeader {
        version: 1,
        firm: firm(),
        meeting: meeting.clone(),
        clock_rate: track.as_ref().map_or(0, |track| track.codec.kind().clock_rate()),
        track,
        index: 1,
        first_seq: 0,
        suite: 5,
        started_at: BEGAN,
        monotonic_ms: 0,
    }
}

pub fn entry(folder: &Path, path: &str, track: u32, writer: SegmentWriter, mut bytes: Vec<u8>) -> SegmentEntry {
    let manifest = writer.close(path.to_owned(), BEGAN.plus(DURATION_MS), &mut bytes);
    std::fs::create_dir_all(folder.join(path).parent().expect("a folder")).expect("made");
    std::fs::write(folder.join(path), &bytes).expect("written");
    SegmentEntry {
        path: path.to_owned(),
        manifest: String::new(),
        manifest_hash: Digest([0; 32]),
        track,
        index: 1,
        root: manifest.root,
        size: manifest.size,
        records: manifest.records,
        frames: manifest.frames,
    }
}

pub fn events_of(folder: &Path, meeting: &MeetingId, more: Vec<ArchiveEvent>) -> SegmentEntry {
    let mut bytes = Vec::new();
    let mut writer = SegmentWriter::new(header(meeting, None), &mut bytes);
    let joined = ArchiveEvent::Joined { participant: person("anna") };
    for event in std::iter::once(joined).chain(more) {
        writer.push(BEGAN.0 * 1000, &Record::Event(Box::new(event)), &mut bytes);
    }
    // each sealing is another: two recorders keep the same one
    static SAID: OnceLock<Vec<u8>> = OnceLock::new();
    let said = SAID.get_or_init(|| Person::new("anna", LeafRole::Member).says(meeting, CHAT)).clone().into();
    let said = ArchiveEvent::Said { participant: person("anna"), said };
    writer.push(BEGAN.0 * 1000 + CHAT_MS * 1000, &Record::Event(Box::new(said)), &mut bytes);
    entry(folder, names::EVENTS, 0, writer, bytes)
}

fn media(
    folder: &Path,
    meeting: &MeetingId,
    info: TrackInfo,
    mut key: SealKey,
    late_us: u64,
    keeps: &dyn Fn(u64) -> bool,
) -> (SegmentEntry, TrackEntry) {
    let (mut bytes, mut wire, mut frames) = (Vec::new(), Vec::new(), 0);
    let mut lost = false;
    let mut writer = SegmentWriter::new(header(meeting, Some(info.clone())), &mut bytes);
    // each sender's clock starts somewhere else
    let clock = 55_000_000 + late_us * 3;
    let (mut first_us, mut last_us) = (0, 0);
    for (of, input) in crate::webm::tests::fixture() {
        if of != info.codec.kind() {
            continue;
        }
        let sealed = key.seal(input.key_frame, &input.data, clock + input.pts_us, &mut wire).expect("sealed");
        let (shim, sframe) = wire.split_at(sealed.shim);
        if !keeps(late_us + input.pts_us) {
            lost = true;
            continue;
        }
        last_us = BEGAN.0 * 1000 + late_us + input.pts_us;
        first_us = if frames == 0 { last_us } else { first_us };
        let flags = OPENED | if input.key_frame { KEY_FRAME } else { 0 };
        let flags = flags | if std::mem::take(&mut lost) { DISCONTINUITY } else { 0 };
        let record =
            Record::Media(Media { sfu_us: last_us, rtp_timestamp: 0, ssrc: 1, epoch: Epoch(1), flags, shim, sframe });
        writer.push(last_us, &record, &mut bytes);
        frames += 1;
    }
    let path = format!("tracks/{}/1.seg", info.track);
    let tracked = TrackEntry {
        track: info.track,
        participant: info.participant,
        slot: info.slot,
        codec: info.codec,
        frames,
        first_us,
        last_us,
    };
    (entry(folder, &path, info.track, writer, bytes), tracked)
}

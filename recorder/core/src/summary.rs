//! What a meeting's archive says of itself, built up record by record: the same way while recording and when an
//! unfinished meeting is read back after a crash.

use crate::account::{Accounts, Layer};
use crate::files::Files;
use crate::index::FrameRun;
use crate::speech::Speech;
use domain::{B64, Codec, Epoch, FirmId, MeetingId, ParticipantId, RoomId, Slot, UnixMillis};
use evidence::archive::manifest::{Closed, read_sealed_keys};
use evidence::archive::{
    ArchiveEvent, Attendance, ClockState, Digest, EpochEntry, EpochKey, Gap, GapCause, MeetingManifest, SegmentEntry,
    SegmentManifest, TrackEntry, TrackInfo, sha256,
};
use evidence::sender_manifest::SenderManifest;
use std::collections::BTreeMap;

/// What bound the meeting.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Room.
    pub room: RoomId,
    /// Title.
    pub title: String,
    /// Begin.
    pub started_at: UnixMillis,
    /// Own firm's retention.
    pub retention_years: u16,
    /// Signed statements.
    pub statements: Vec<B64>,
    /// Hash of the trust map.
    pub trust: Digest,
}

/// State of an archive.
#[derive(Debug, Default)]
pub struct Summary {
    /// Terms, once known.
    pub terms: Option<Terms>,
    /// Highest incarnation.
    pub incarnation: u64,
    /// Who was there.
    pub roster: Vec<Attendance>,
    /// Sources; place n is track n + 1.
    pub tracks: Vec<TrackEntry>,
    /// Number on the record link to number here.
    pub link_tracks: BTreeMap<u32, u32>,
    /// Record link: everything up to here is kept.
    pub durable: u64,
    /// Time of the newest record.
    pub last_at: UnixMillis,
    /// Frames that did not authenticate.
    pub rejected: u64,
    /// Newest clock state.
    pub clock: Option<ClockState>,
    /// Newest epoch.
    pub epoch: Epoch,
    /// Epochs whose base key is kept.
    pub epochs: Vec<EpochEntry>,
    /// Frames kept.
    pub frames: u64,
    /// Gaps already written down.
    pub gaps: Vec<Gap>,
    /// The copy stands still until then.
    pub paused_until: Option<UnixMillis>,
    paused_since: Option<UnixMillis>,
    /// `Ended` was written.
    pub ended: bool,
    /// Account of frames.
    pub accounts: Accounts,
    /// Account of what was said in writing.
    pub speech: Speech,
    /// Account of files.
    pub files: Files,
    epoch_times: BTreeMap<Epoch, UnixMillis>,
    /// A restart whose frames the SFU may or may not have kept: since when nothing was recorded, and why.
    away: Option<(UnixMillis, GapCause)>,
}

/// The archive cannot be closed: it never got its terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the archive holds no terms: the recorder stopped before the meeting was known")]
pub struct NoTerms;

/// What the manifest takes from the files themselves.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    /// Whose archive.
    pub firm: &'a FirmId,
    /// Which meeting.
    pub meeting: &'a MeetingId,
    /// Program that closes it.
    pub software: &'a str,
    /// How.
    pub closed: Closed,
    /// Segments with path and hash of their signed manifests.
    pub segments: &'a [(SegmentManifest, String, Digest)],
    /// `keys/sealed.cbor`.
    pub sealed_keys: &'a [u8],
    /// `keys/epochs.cbor`.
    pub epoch_keys: &'a [u8],
}

impl Summary {
    /// Number of the track of this source, if it has one.
    pub fn track_of(&self, participant: &ParticipantId, slot: Slot, codec: Codec) -> Option<u32> {
        let found = self.tracks.iter().find(|t| t.participant == *participant && t.slot == slot && t.codec == codec);
        found.map(|entry| entry.track)
    }

    /// A source by its number.
    pub fn track(&self, track: u32) -> Option<&TrackEntry> {
        self.tracks.get(track.checked_sub(1)? as usize)
    }

    /// Is the base key of this epoch kept?
    pub fn has_key(&self, epoch: Epoch) -> bool {
        self.epochs.iter().any(|entry| entry.epoch == epoch)
    }

    /// After the start that a reopening is: what came after the newest record on the disk was lost with the failure.
    fn failed(&mut self, since: UnixMillis) {
        let from = self.away.map_or(since, |(from, _)| from.min(since));
        self.away = Some((from, GapCause::ArchiveFailed));
    }

    /// Takes an event.
    pub fn event(&mut self, at: UnixMillis, event: &ArchiveEvent) {
        let before = self.last_at;
        self.last_at = before.max(at);
        match event {
            ArchiveEvent::RecorderStarted { incarnation, .. } => {
                if self.incarnation > 0 {
                    self.away = Some((before.min(at), GapCause::RecorderAbsent));
                }
                self.incarnation = *incarnation;
                self.ended = false;
            }
            ArchiveEvent::Terms { room, title, started_at, retention_years, statements, trust } => {
                self.terms = Some(Terms {
                    room: room.clone(),
                    title: title.clone(),
                    started_at: *started_at,
                    retention_years: *retention_years,
                    statements: statements.clone(),
                    trust: *trust,
                });
            }
            ArchiveEvent::Epoch { epoch, members, .. } => self.enter(at, *epoch, members),
            ArchiveEvent::Track { track, link, participant, slot, codec } => {
                // a source announced again: the SFU began anew and kept nothing of the time before
                let known = self.link_tracks.insert(*link, *track).is_some() || (*track as usize) <= self.tracks.len();
                if let Some((since, why)) = self.away.take_if(|_| known) {
                    self.accounts.away(since, at, why);
                }
                if *track as usize == self.tracks.len() + 1 {
                    self.tracks.push(TrackEntry {
                        track: *track,
                        participant: participant.clone(),
                        slot: *slot,
                        codec: *codec,
                        frames: 0,
                        first_us: 0,
                        last_us: 0,
                    });
                }
            }
            ArchiveEvent::SenderManifest { participant, manifest } => self.listed(at, participant, manifest),
            ArchiveEvent::Said { participant, said } => {
                if let Some(read) = self.speech.said(participant, said) {
                    self.files.told(participant, sha256(said), &read.what);
                }
            }
            ArchiveEvent::FilePart { file, index, .. } => self.files.part(file, *index),
            ArchiveEvent::FileMissing { file, why, .. } => self.files.missing(file, *why),
            ArchiveEvent::Paused { until, .. } => {
                self.paused_since.get_or_insert(at);
                self.paused_until = Some(*until);
            }
            ArchiveEvent::Resumed { .. } => {
                self.paused_until = None;
                if let Some(since) = self.paused_since.take() {
                    self.accounts.paused(since, at);
                }
            }
            ArchiveEvent::Unsaid { .. } => self.speech.declared(event),
            ArchiveEvent::Durable { seq } => self.durable = *seq,
            ArchiveEvent::ArchiveFailed { since } => self.failed(*since),
            ArchiveEvent::LinkUp { lost } if *lost > 0 => match self.away.take() {
                Some((since, why)) => self.accounts.away(since, at, why),
                None => self.accounts.link_lost(at),
            },
            ArchiveEvent::Rejected { frames, .. } => self.rejected += frames,
            ArchiveEvent::Clock { clock } => self.clock = Some(*clock),
            ArchiveEvent::Ended {} => self.ended = true,
            _ => {}
        }
    }

    fn enter(&mut self, at: UnixMillis, epoch: Epoch, members: &[evidence::archive::event::Member]) {
        self.epoch = self.epoch.max(epoch);
        self.epoch_times.entry(epoch).or_insert(at);
        for row in self.roster.iter_mut().filter(|row| row.left_epoch.is_none()) {
            if members.iter().all(|member| member.participant != row.participant) {
                (row.left_epoch, row.left_at) = (Some(epoch), at);
            }
        }
        for member in members {
            let there = self.roster.iter().any(|row| row.left_epoch.is_none() && row.participant == member.participant);
            if !there {
                self.roster.push(Attendance {
                    participant: member.participant.clone(),
                    name: member.name.clone(),
                    role: member.role,
                    joined_epoch: epoch,
                    joined_at: at,
                    left_epoch: None,
                    left_at: at,
                });
            }
        }
    }

    fn listed(&mut self, at: UnixMillis, participant: &ParticipantId, signed: &[u8]) {
        // the session judged the signature before it was written here
        let manifest = evidence::cose::payload_unverified(signed)
            .and_then(|payload| evidence::cbor::decode::<SenderManifest>(&payload).ok());
        if let Some(manifest) = manifest {
            let count = manifest.frames() as u64;
            self.accounts.listed(at, participant, manifest.slot, manifest.epoch, manifest.first_ctr.0, count);
        }
    }

    /// Takes the key of an epoch.
    pub fn epoch_key(&mut self, key: &EpochKey, at: UnixMillis) {
        let at = self.epoch_times.get(&key.epoch).copied().unwrap_or(at);
        self.epochs.push(EpochEntry {
            incarnation: key.incarnation,
            epoch: key.epoch,
            sealed_hash: sha256(&key.sealed),
            transcript_hash: key.transcript_hash,
            at,
        });
    }

    /// Takes kept frames of a track.
    pub fn frames_came(&mut self, track: u32, run: &FrameRun) -> Layer {
        self.last_at = self.last_at.max(run.last_at);
        self.frames += run.count;
        let Some(entry) = track.checked_sub(1).and_then(|place| self.tracks.get_mut(place as usize)) else {
            return Layer::Same;
        };
        entry.frames += run.count;
        if entry.first_us == 0 {
            entry.first_us = run.first_us;
        }
        entry.last_us = entry.last_us.max(run.last_us);
        self.accounts.received(&entry.participant, entry.slot, run)
    }

    /// Makes sure that a track read back from its own file is known.
    pub fn found_track(&mut self, info: &TrackInfo) {
        while self.tracks.len() < info.track as usize {
            self.tracks.push(TrackEntry {
                track: self.tracks.len() as u32 + 1,
                participant: info.participant.clone(),
                slot: info.slot,
                codec: info.codec,
                frames: 0,
                first_us: 0,
                last_us: 0,
            });
        }
    }

    /// The manifest of the closed meeting.
    ///
    /// # Errors
    /// [`NoTerms`] when there is nothing to describe.
    pub fn manifest(&self, parts: &Parts<'_>) -> Result<MeetingManifest, NoTerms> {
        let terms = self.terms.as_ref().ok_or(NoTerms)?;
        let ended_at = self.last_at.max(terms.started_at);
        let mut roster = self.roster.clone();
        for row in roster.iter_mut().filter(|row| row.left_epoch.is_none()) {
            row.left_at = ended_at;
        }
        let mut segments: Vec<SegmentEntry> = parts.segments.iter().map(entry).collect();
        segments.sort_by_key(|segment| (segment.track, segment.index));
        Ok(MeetingManifest {
            record: "meeting".to_owned(),
            version: 1,
            firm: parts.firm.clone(),
            meeting: parts.meeting.clone(),
            room: terms.room.clone(),
            title: terms.title.clone(),
            started_at: terms.started_at,
            ended_at,
            closed: parts.closed,
            software: parts.software.to_owned(),
            roster,
            statements: terms.statements.clone(),
            trust: terms.trust,
            retention_years: terms.retention_years,
            retain_until: ended_at.plus_years(terms.retention_years),
            sealed_keys: read_sealed_keys(parts.sealed_keys).unwrap_or_default(),
            sealed_keys_hash: sha256(parts.sealed_keys),
            epochs: self.epochs.clone(),
            epochs_hash: sha256(parts.epoch_keys),
            tracks: self.tracks.clone(),
            frames: segments.iter().map(|segment| segment.frames).sum(),
            segments,
            rejected: self.rejected,
            gaps: self.gaps.clone(),
            tags: self.speech.tags(),
            copies_wanted: self.speech.copies_wanted(parts.firm),
            files: self.files.entries(),
            clock: self.clock.unwrap_or(ClockState { synchronised: false, estimated_error_us: 0, against_sfu_ms: 0 }),
        })
    }
}

fn entry((manifest, path, hash): &(SegmentManifest, String, Digest)) -> SegmentEntry {
    SegmentEntry {
        path: manifest.path.clone(),
        manifest: path.clone(),
        manifest_hash: *hash,
        track: manifest.track,
        index: manifest.index,
        root: manifest.root,
        size: manifest.size,
        records: manifest.records,
        frames: manifest.frames,
    }
}

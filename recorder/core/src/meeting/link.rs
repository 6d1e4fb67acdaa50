//! The record link inside a meeting: messages to frames, frames to records, and how far all of it is resolved.

use super::{Meeting, Now, Opener, Phase, Verdict};
use crate::account::Layer;
use crate::index::FrameRun;
use crate::reassembly::{Assembled, Before, Came, Reassembly};
use crate::rtp;
use domain::limits::{HOLD_FRAMES, HOLD_MS};
use domain::message::record_link::FromSfuRecord;
use domain::{Codec, Epoch, MediaKind, ParticipantId, Slot, UnixMillis, sframe};
use evidence::archive::record::{DISCONTINUITY, KEY_FRAME, NO_KEY, OPENED};
use evidence::archive::{ArchiveEvent, Digest, Media, Record, TrackInfo};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Ask for a key frame so long after the last one, ms: a replay seeks to key frames.
pub const KEY_FRAME_MS: u64 = 10_000;
/// ... and after a loss not more often than, ms.
pub const KEY_FRAME_RETRY_MS: u64 = 1_000;
/// Reassembly is looked at so often while something waits in it, ms.
const TICK_MS: u64 = 100;
/// Sources (SSRCs) per track: three layers, and room for a restart of the sender.
const MAX_SOURCES: usize = 16;
/// A run of rejected frames is noted so often, ms.
const REJECTED_MS: u64 = 1_000;

struct Track {
    /// Shared: every packet asks for it.
    info: Arc<TrackInfo>,
    sources: BTreeMap<u32, Reassembly>,
    asked_ms: Option<u64>,
    key_frame_ms: Option<u64>,
    rejected: u64,
    rejected_since_ms: u64,
}

struct HeldFrame {
    track: u32,
    since_ms: u64,
    frame: Assembled,
}

/// State of the record link.
pub(super) struct Link {
    up: bool,
    last_ms: Option<u64>,
    received: u64,
    /// By their number on the link.
    tracks: BTreeMap<u32, Track>,
    held: Vec<HeldFrame>,
    /// Tracks whose frames were not kept in a pause.
    skipped: BTreeSet<u32>,
    sfu_us: u64,
    skew_ms: i64,
    next_tick_ms: u64,
}

impl Link {
    pub(super) fn new(durable: u64) -> Self {
        Self {
            up: false,
            last_ms: None,
            received: durable,
            tracks: BTreeMap::new(),
            held: Vec::new(),
            skipped: BTreeSet::new(),
            sfu_us: 0,
            skew_ms: 0,
            next_tick_ms: 0,
        }
    }
    pub(super) fn is_up(&self) -> bool {
        self.up
    }
    pub(super) fn is_alive(&self, now: Now) -> bool {
        self.up && self.last_ms.is_some_and(|last| now.mono_ms.saturating_sub(last) <= super::LINK_ALIVE_MS)
    }
    pub(super) fn skew_ms(&self) -> i64 {
        self.skew_ms
    }
    /// Every message up to here is in records, or is known to hold nothing that will ever be.
    pub(super) fn resolved(&self) -> u64 {
        let waiting =
            self.tracks.values().flat_map(|track| track.sources.values()).filter_map(Reassembly::oldest_link_seq);
        let held = self.held.iter().map(|held| held.frame.link_seq);
        waiting.chain(held).min().map_or(self.received, |oldest| oldest.saturating_sub(1).min(self.received))
    }
    pub(super) fn poll_timeout(&self) -> u64 {
        // asked after every packet: whether anything waits, not how far back
        let waits = |track: &Track| track.rejected > 0 || track.sources.values().any(Reassembly::is_waiting);
        let waits = !self.held.is_empty() || self.tracks.values().any(waits);
        if waits { self.next_tick_ms } else { u64::MAX }
    }
}

impl Meeting {
    pub(super) fn link_message(&mut self, now: Now, message: FromSfuRecord, opener: &mut dyn Opener) {
        self.link.last_ms = Some(now.mono_ms);
        let (FromSfuRecord::Track { seq, .. }
        | FromSfuRecord::Packet { seq, .. }
        | FromSfuRecord::SenderReport { seq, .. }
        | FromSfuRecord::Ended { seq, .. }
        | FromSfuRecord::Idle { seq }) = &message
        else {
            if let FromSfuRecord::Welcome { oldest } = message {
                self.link_up(now, oldest);
            }
            return;
        };
        // after a reconnection the SFU repeats what was not acknowledged
        if *seq <= self.link.received {
            return;
        }
        self.link.received = *seq;
        if self.phase == Phase::Armed {
            self.phase = Phase::Recording;
        }
        match message {
            FromSfuRecord::Track { track, participant, slot, codec, .. } => {
                self.link_track(now, track, participant, slot, codec);
            }
            FromSfuRecord::Packet { seq, track, arrival_us, rtp } => {
                self.packet(now, seq, track, arrival_us, &rtp, opener);
            }
            FromSfuRecord::SenderReport { track, arrival_us, ntp, rtp_timestamp, .. } => {
                if let Some(track) = self.known_track(now, track) {
                    let record = Record::SenderReport { sfu_us: arrival_us, ntp, rtp_timestamp };
                    self.writer.track(now, &track, &record);
                }
            }
            FromSfuRecord::Ended { track, .. } => self.link_ended(now, track, opener),
            FromSfuRecord::Idle { .. } | FromSfuRecord::Welcome { .. } => {}
        }
    }

    fn link_up(&mut self, now: Now, oldest: u64) {
        let lost = oldest.saturating_sub(self.link.received + 1);
        self.link.up = true;
        self.next_ack_ms = now.mono_ms;
        self.record_event(now, ArchiveEvent::LinkUp { lost });
        if lost > 0 {
            self.link.received = oldest - 1;
        }
        for (number, track) in &mut self.link.tracks {
            if track.info.codec.kind() == MediaKind::Video {
                track.asked_ms = Some(now.mono_ms);
                self.out.push_back(super::Output::NeedKeyFrame { track: *number });
            }
        }
    }

    pub(super) fn link_down(&mut self, now: Now) {
        if std::mem::take(&mut self.link.up) {
            self.record_event(now, ArchiveEvent::LinkDown {});
        }
    }

    fn link_track(&mut self, now: Now, link: u32, participant: ParticipantId, slot: Slot, codec: Codec) {
        let known = self.summary.track_of(&participant, slot, codec);
        let track = known.unwrap_or(self.summary.tracks.len() as u32 + 1);
        let info = TrackInfo { track, participant, slot, codec };
        self.add_link_track(now, link, info.clone());
        let TrackInfo { participant, .. } = info;
        self.record_event(now, ArchiveEvent::Track { track, link, participant, slot, codec });
    }

    fn add_link_track(&mut self, now: Now, link: u32, info: TrackInfo) {
        let video = info.codec.kind() == MediaKind::Video;
        let track = Track {
            info: Arc::new(info),
            sources: BTreeMap::new(),
            asked_ms: video.then_some(now.mono_ms),
            key_frame_ms: None,
            rejected: 0,
            rejected_since_ms: now.mono_ms,
        };
        self.link.tracks.insert(link, track);
        if video {
            self.out.push_back(super::Output::NeedKeyFrame { track: link });
        }
    }

    /// A track by its number on the link; after a restart the number may be known from the archive only.
    fn known_track(&mut self, now: Now, link: u32) -> Option<Arc<TrackInfo>> {
        if !self.link.tracks.contains_key(&link) {
            let entry = self.summary.track(*self.summary.link_tracks.get(&link)?)?;
            let info = TrackInfo {
                track: entry.track,
                participant: entry.participant.clone(),
                slot: entry.slot,
                codec: entry.codec,
            };
            self.add_link_track(now, link, info);
        }
        self.link.tracks.get(&link).map(|track| track.info.clone())
    }

    fn link_ended(&mut self, now: Now, link: u32, opener: &mut dyn Opener) {
        let Some(info) = self.known_track(now, link) else { return };
        let mut frames = Vec::new();
        if let Some(mut track) = self.link.tracks.remove(&link) {
            for source in track.sources.values_mut() {
                source.flush(&mut frames);
            }
            self.note_rejected(now, &mut track);
        }
        for frame in frames {
            self.frame(now, &info, frame, opener);
        }
        self.record_event(now, ArchiveEvent::TrackEnded { track: info.track });
        self.writer.close_track(now, info.track);
    }

    fn packet(&mut self, now: Now, seq: u64, link: u32, arrival_us: u64, bytes: &[u8], opener: &mut dyn Opener) {
        self.link.sfu_us = self.link.sfu_us.max(arrival_us);
        self.link.skew_ms = (now.wall.0 as i64).saturating_sub_unsigned(arrival_us / 1000);
        let Some(info) = self.known_track(now, link) else { return };
        let Some(packet) = rtp::parse(bytes) else { return };
        let Some(track) = self.link.tracks.get_mut(&link) else { return };
        if !track.sources.contains_key(&packet.ssrc) && track.sources.len() >= MAX_SOURCES {
            return;
        }
        let source = track.sources.entry(packet.ssrc).or_insert_with(|| Reassembly::new(info.codec, packet.ssrc));
        let mut frames = Vec::new();
        source.push(seq, Came { sfu_us: arrival_us, local_ms: now.mono_ms }, &packet, &mut frames);
        for frame in frames {
            self.frame(now, &info, frame, opener);
        }
        self.ask_key_frame(now, link);
    }

    fn ask_key_frame(&mut self, now: Now, link: u32) {
        let Some(track) = self.link.tracks.get_mut(&link) else { return };
        let last = track.key_frame_ms.max(track.asked_ms);
        if track.info.codec.kind() == MediaKind::Video && last.is_some_and(|last| now.mono_ms >= last + KEY_FRAME_MS) {
            track.asked_ms = Some(now.mono_ms);
            self.out.push_back(super::Output::NeedKeyFrame { track: link });
        }
    }

    /// Judges a whole frame and keeps it.
    fn frame(&mut self, now: Now, info: &TrackInfo, frame: Assembled, opener: &mut dyn Opener) {
        let verdict = opener.open(now.wall, &info.participant, info.slot, info.codec, &frame.bytes);
        if verdict == Verdict::NotYet {
            let waiting = self.link.held.iter().filter(|held| held.track == info.track).count();
            if waiting < HOLD_FRAMES {
                self.link.held.push(HeldFrame { track: info.track, since_ms: now.mono_ms, frame });
                return;
            }
        }
        let sha256 = opener.sha256().filter(|_| verdict == Verdict::Opened);
        self.judged(now, info, &frame, (verdict, sha256));
    }

    fn judged(&mut self, now: Now, info: &TrackInfo, frame: &Assembled, (verdict, sha256): (Verdict, Option<Digest>)) {
        if self.summary.paused_until.is_some() {
            self.link.skipped.insert(info.track);
            return;
        }
        let parsed = sframe::shim(info.codec, &frame.bytes).and_then(|shim| {
            let (head, sealed) = frame.bytes.split_at(shim.len);
            let header = sframe::header(sealed).ok().filter(|header| header.kid.is_ours())?;
            Some((shim, head, sealed, header))
        });
        let Some((shim, head, sealed, header)) = parsed else { return self.reject(now, info, None) };
        let slot = header.kid.slot();
        // sessions hold keys of the last few epochs only, so the 16 bits of the KID are enough
        let epoch = self.whole_epoch(header.kid.epoch_low());
        let judged_flag = match verdict {
            Verdict::Opened => OPENED,
            Verdict::Duplicate => 0,
            Verdict::NotYet | Verdict::NoKey => NO_KEY,
            Verdict::Rejected => return self.reject(now, info, Some((slot, epoch, header.ctr.0))),
        };
        if self.summary.accounts.has(&info.participant, slot, epoch, header.ctr.0) {
            return;
        }
        let key_frame = info.codec.kind() == MediaKind::Video && shim.key_frame.unwrap_or(frame.key);
        let before = if self.link.skipped.remove(&info.track) { Before::Hole } else { frame.before };
        let hole = if before == Before::Hole { DISCONTINUITY } else { 0 };
        let flags = judged_flag | if key_frame { KEY_FRAME } else { 0 } | hole;
        let media = Media {
            sfu_us: frame.sfu_us,
            rtp_timestamp: frame.rtp_timestamp,
            ssrc: frame.ssrc,
            epoch,
            flags,
            shim: head,
            sframe: sealed,
        };
        let Some(run) = FrameRun::of(now.wall, &media) else { return };
        self.writer.frame(now, info, media, (run, sha256));
        if self.summary.frames_came(info.track, &run) == Layer::Switched {
            self.record_event(now, ArchiveEvent::Layer { track: info.track, slot });
        }
        self.after_frame(now, info.track, key_frame, before);
    }

    /// Frames are kept again: pictures begin with a key frame.
    pub(super) fn link_resumed(&mut self) {
        let pictures = self.link.tracks.iter().filter(|(_, track)| track.info.codec.kind() == MediaKind::Video);
        self.out.extend(pictures.map(|(link, _)| super::Output::NeedKeyFrame { track: *link }));
    }

    fn after_frame(&mut self, now: Now, number: u32, key_frame: bool, before: Before) {
        let Some((link, track)) = self.link.tracks.iter_mut().find(|(_, track)| track.info.track == number) else {
            return;
        };
        if key_frame {
            track.key_frame_ms = Some(now.mono_ms);
        }
        let may_ask = track.asked_ms.is_none_or(|asked| now.mono_ms >= asked + KEY_FRAME_RETRY_MS);
        if before != Before::Nothing && !key_frame && may_ask && track.info.codec.kind() == MediaKind::Video {
            track.asked_ms = Some(now.mono_ms);
            self.out.push_back(super::Output::NeedKeyFrame { track: *link });
        }
    }

    /// The epoch with these low 16 bits that is nearest to the current one.
    fn whole_epoch(&self, low: u16) -> Epoch {
        let current = self.summary.epoch.0;
        let delta = low.wrapping_sub(current as u16) as i16;
        Epoch(current.saturating_add_signed(i64::from(delta)))
    }

    fn reject(&mut self, now: Now, info: &TrackInfo, what: Option<(Slot, Epoch, u64)>) {
        if let Some((slot, epoch, ctr)) = what {
            self.summary.accounts.rejected(&info.participant, slot, epoch, ctr);
        }
        if let Some(track) = self.link.tracks.values_mut().find(|track| track.info.track == info.track) {
            if track.rejected == 0 {
                track.rejected_since_ms = now.mono_ms;
                self.link.next_tick_ms = self.link.next_tick_ms.max(now.mono_ms + TICK_MS);
            }
            track.rejected += 1;
        }
    }

    fn note_rejected(&mut self, now: Now, track: &mut Track) {
        let frames = std::mem::take(&mut track.rejected);
        if frames > 0 {
            let participant = track.info.participant.clone();
            self.record_event(now, ArchiveEvent::Rejected { participant, frames });
        }
    }

    /// Frames that waited for an epoch.
    pub(super) fn retry_held(&mut self, now: Now, opener: &mut dyn Opener) {
        for held in std::mem::take(&mut self.link.held) {
            let Some(entry) = self.summary.track(held.track) else { continue };
            let info = TrackInfo {
                track: entry.track,
                participant: entry.participant.clone(),
                slot: entry.slot,
                codec: entry.codec,
            };
            let verdict = opener.open(now.wall, &info.participant, info.slot, info.codec, &held.frame.bytes);
            if verdict == Verdict::NotYet && now.mono_ms < held.since_ms + HOLD_MS {
                self.link.held.push(held);
            } else {
                let sha256 = opener.sha256().filter(|_| verdict == Verdict::Opened);
                self.judged(now, &info, &held.frame, (verdict, sha256));
            }
        }
    }

    pub(super) fn link_tick(&mut self, now: Now, opener: &mut dyn Opener) {
        if now.mono_ms < self.link.next_tick_ms {
            return;
        }
        self.link.next_tick_ms = now.mono_ms + TICK_MS;
        self.retry_held(now, opener);
        // to the newest message, not to now: while the link itself is silent nothing is given up
        let local_ms = self.link.last_ms.unwrap_or(0);
        self.drain_sources(now, opener, |source, out| source.tick(local_ms, out));
        let numbers: Vec<u32> = self.link.tracks.keys().copied().collect();
        for number in numbers {
            let Some(mut track) = self.link.tracks.remove(&number) else { continue };
            if track.rejected > 0 && now.mono_ms >= track.rejected_since_ms + REJECTED_MS {
                self.note_rejected(now, &mut track);
            }
            self.link.tracks.insert(number, track);
        }
    }

    fn drain_sources(
        &mut self,
        now: Now,
        opener: &mut dyn Opener,
        mut pull: impl FnMut(&mut Reassembly, &mut Vec<Assembled>),
    ) {
        let mut frames = Vec::new();
        for track in self.link.tracks.values_mut() {
            for source in track.sources.values_mut() {
                let mut out = Vec::new();
                pull(source, &mut out);
                frames.extend(out.into_iter().map(|frame| (track.info.clone(), frame)));
            }
        }
        for (info, frame) in frames {
            self.frame(now, &info, frame, opener);
        }
    }

    /// The meeting is over: nothing more comes.
    pub(super) fn link_end(&mut self, now: Now, opener: &mut dyn Opener) {
        self.drain_sources(now, opener, |source, out| source.flush(out));
        let late = Now { wall: now.wall, mono_ms: now.mono_ms + HOLD_MS };
        self.retry_held(late, opener);
        for (_, mut track) in std::mem::take(&mut self.link.tracks) {
            self.note_rejected(now, &mut track);
        }
        self.link.up = false;
    }

    /// For tests and logs: the newest SFU time seen.
    pub fn sfu_time(&self) -> UnixMillis {
        UnixMillis(self.link.sfu_us / 1000)
    }
}

//! One meeting's recording: its life (armed, recording, failed, finishing, finished) and its clock.
//!
//! `handle` takes what happened, `poll_output` gives what is to be done, `poll_timeout` says when to call
//! `handle_timeout` next (monotonic milliseconds).

mod files;
mod link;
mod pause;
mod recover;
mod said;
#[cfg(test)]
mod tests;
mod writer;

use crate::account::Unnamed;
use crate::store::Batch;
use crate::summary::Summary;
use domain::limits::BEACON_MS;
use domain::message::record_link::FromSfuRecord;
use domain::{B64, Codec, Epoch, FirmId, MeetingId, ParticipantId, Slot, UnixMillis};
use evidence::archive::event::Member;
use evidence::archive::{ArchiveEvent, ClockState, Digest, EpochKey, FileGap, SegmentManifest, sha256};
use evidence::receipt::BeaconState;
use std::collections::VecDeque;

pub use recover::{Part, Recovered};
pub use writer::Found;

/// An acknowledgement at least so often, also when nothing is new, ms (the record link's rule).
pub const ACK_MS: u64 = 500;
/// Between two looks for kept frames without a name, ms: above the senders' 2 s, so that a manifest on its way is not
/// asked for.
const NAMES_MS: u64 = 3_000;
/// The link counts as alive so long after its last message, ms: the SFU says `Idle` every 250 ms.
pub const LINK_ALIVE_MS: u64 = 1_000;

/// The two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Wall clock: what is written down.
    pub wall: UnixMillis,
    /// Monotonic clock, ms: what timers run by.
    pub mono_ms: u64,
}

/// What became of a frame under the keys of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The tag is right.
    Opened,
    /// Of an epoch that is about to come.
    NotYet,
    /// A frame with this counter was opened before.
    Duplicate,
    /// Of an epoch whose key is not here.
    NoKey,
    /// It does not authenticate, or is no SFrame.
    Rejected,
}

/// Who holds the keys: the e2ee session. The clear frame never comes here.
pub trait Opener {
    /// Judges a frame (shim, SFrame header, ciphertext, tag) of a source.
    fn open(&mut self, now: UnixMillis, from: &ParticipantId, first_slot: Slot, codec: Codec, wire: &[u8]) -> Verdict;
    /// SHA-256 of what stands behind the shim of the frame opened last, if it was made on the way.
    fn sha256(&self) -> Option<Digest> {
        None
    }
}

/// What a meeting's recording must know from the start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whose archive.
    pub firm: FirmId,
    /// Which meeting.
    pub meeting: MeetingId,
    /// This recorder.
    pub recorder: ParticipantId,
    /// Counts the recorder's starts in this meeting from 1.
    pub incarnation: u64,
    /// Name and version of the program.
    pub software: String,
    /// What the firm's statement wants kept.
    pub wants: Wants,
    /// ... of files.
    pub files: FileRule,
}

/// What becomes of files that are sent in the meeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRule {
    /// They are fetched and kept.
    Kept,
    /// That they were sent is kept, and nothing of them.
    Named,
}

/// What comes to this recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Sound and picture, over the record link, and events.
    Media,
    /// Events alone, chat among them: there is no record link.
    Events,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// What binds the meeting, as admitted.
    Terms(Box<ArchiveEvent>),
    /// A message of the record link.
    Link(FromSfuRecord),
    /// The record link broke.
    LinkDown,
    /// The group reached an epoch.
    Epoch {
        /// Which.
        epoch: Epoch,
        /// Transcript hash.
        transcript_hash: Digest,
        /// Everybody.
        members: Vec<Member>,
    },
    /// Its base key, sealed, and the commitment that members compare.
    EpochKey {
        /// Key.
        key: EpochKey,
        /// Commitment.
        commitment: [u8; 32],
    },
    /// A sender's manifest whose signature was judged.
    SenderManifest {
        /// Whose.
        from: ParticipantId,
        /// COSE_Sign1.
        signed: B64,
    },
    /// Something a member said, whose signature was judged.
    Said {
        /// Who.
        from: ParticipantId,
        /// COSE_Sign1.
        signed: B64,
    },
    /// A file that was asked for ([`Output::Fetch`]), sealed, and judged to be what was signed for.
    File {
        /// SHA-256 of what announced it.
        file: Digest,
        /// All chunks.
        sealed: Vec<u8>,
    },
    /// A file that was asked for does not come.
    FileLost {
        /// SHA-256 of what announced it.
        file: Digest,
        /// Why.
        why: FileGap,
    },
    /// The firm's copy is to stand still; who may say so was judged.
    Pause {
        /// Who wants it.
        by: ParticipantId,
        /// For so long at most, ms.
        at_most_ms: u64,
    },
    /// The firm's copy is to go on.
    Resume {
        /// Who wants it.
        by: ParticipantId,
    },
    /// Something else for the archive.
    Event(ArchiveEvent),
    /// A group commit is durable.
    Committed {
        /// [`Batch::ticket`].
        ticket: u64,
    },
    /// The archive could not be written. Nothing is acknowledged from now on; a new [`Meeting`] is made from what is
    /// on disk once it can be written again.
    StoreFailed,
    /// The meeting is over.
    Finish,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write and make durable, then say [`Input::Committed`].
    Commit(Batch),
    /// Tell the SFU.
    Ack {
        /// Everything up to here is durable.
        seq: u64,
    },
    /// Tell the SFU.
    NeedKeyFrame {
        /// Number on the record link.
        track: u32,
    },
    /// Ask a sender in the group for its manifests again.
    WantManifests(Unnamed),
    /// Sign and send: the sealed base key is durable.
    Receipt {
        /// Epoch.
        epoch: Epoch,
        /// Transcript hash.
        transcript_hash: Digest,
        /// SHA-256 of the sealed base key.
        sealed_hash: Digest,
        /// Commitment to the base key.
        commitment: [u8; 32],
    },
    /// Sign and send.
    Beacon {
        /// Newest epoch.
        epoch: Epoch,
        /// Counts up.
        sequence: u64,
        /// Frames durable.
        fsynced_frames: u64,
        /// State.
        state: BeaconState,
    },
    /// Tell the group: these signed objects (SHA-256) are durable.
    Kept(Vec<Digest>),
    /// Ask signaling for this file (SHA-256 of what announced it).
    Fetch(Digest),
    /// A closed segment is durable: have its manifest signed.
    Seal(SegmentManifest),
    /// Everything is durable and closed: make the meeting manifest from [`Meeting::summary`].
    Finished,
}

/// Where a recording stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Keys are sealed, nothing has come yet.
    Armed,
    /// Messages come over the record link.
    Recording,
    /// The archive cannot be written.
    Failed,
    /// The last group commit is on its way.
    Finishing,
    /// Done.
    Finished,
}

struct WaitingReceipt {
    epoch: Epoch,
    transcript_hash: Digest,
    sealed_hash: Digest,
    commitment: [u8; 32],
}

/// One meeting.
pub struct Meeting {
    config: Config,
    phase: Phase,
    summary: Summary,
    link: link::Link,
    writer: writer::Writer,
    out: VecDeque<Output>,
    receipts: Vec<WaitingReceipt>,
    said: said::Waiting,
    files: files::Waiting,
    /// Monotonic ms at which a pause is looked at again.
    pause_ends_ms: Option<u64>,
    receipt_epoch: Option<Epoch>,
    beacons: u64,
    next_beacon_ms: u64,
    next_ack_ms: u64,
    next_names_ms: u64,
    acknowledged: u64,
}

impl Meeting {
    /// Begins a recording. The meeting key must be sealed and durable before.
    pub fn new(config: Config, now: Now) -> Self {
        let writer = writer::Writer::new(&config, now);
        let mut meeting = Self::with(config, now, Summary::default(), writer);
        meeting.start(now);
        meeting
    }

    fn with(config: Config, now: Now, summary: Summary, writer: writer::Writer) -> Self {
        Self {
            config,
            phase: Phase::Armed,
            acknowledged: summary.durable,
            link: link::Link::new(summary.durable),
            writer,
            out: VecDeque::new(),
            receipts: Vec::new(),
            said: said::Waiting::default(),
            files: files::Waiting::default(),
            // a restart inside a pause: it goes on to its end, and no longer
            pause_ends_ms: summary.paused_until.map(|until| now.mono_ms + until.since(now.wall)),
            summary,
            receipt_epoch: None,
            // a restart from a checkpoint signs with the same key: its beacons must count on above the old ones, and a
            // clock in ms always runs ahead of one beacon every 500 ms
            beacons: now.wall.0,
            next_beacon_ms: now.mono_ms,
            next_ack_ms: now.mono_ms,
            // what a restart finds is known to be old: it is asked for at the second look
            next_names_ms: now.mono_ms,
        }
    }

    fn start(&mut self, now: Now) {
        let event = ArchiveEvent::RecorderStarted {
            recorder: self.config.recorder.clone(),
            incarnation: self.config.incarnation,
            software: self.config.software.clone(),
        };
        self.record_event(now, event);
    }

    /// The recorder enrolled again: another leaf, another meeting key, the same archive.
    pub fn begin_incarnation(&mut self, now: Now, incarnation: u64) {
        self.config.incarnation = incarnation;
        self.receipt_epoch = None;
        self.start(now);
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }
    /// What the archive holds.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }
    /// Highest record-link message that is durable: for `Hello`.
    pub fn durable(&self) -> u64 {
        self.acknowledged
    }
    /// Bytes that wait for a group commit: the edge stops reading the record link above its bound.
    pub fn waiting_bytes(&self) -> usize {
        self.writer.waiting_bytes()
    }

    fn record_event(&mut self, now: Now, event: ArchiveEvent) {
        self.summary.event(now.wall, &event);
        self.writer.event(now, event);
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Now, input: Input, opener: &mut dyn Opener) {
        match input {
            Input::StoreFailed => self.fail(),
            _ if matches!(self.phase, Phase::Failed | Phase::Finished) => {}
            Input::Committed { ticket } => self.committed(now, ticket),
            _ if self.phase == Phase::Finishing => {}
            Input::Link(message) => self.link_message(now, message, opener),
            Input::LinkDown => self.link_down(now),
            Input::Terms(event) => self.record_event(now, *event),
            Input::Event(event) => self.record_event(now, event),
            Input::Epoch { epoch, transcript_hash, members } => {
                self.record_event(now, ArchiveEvent::Epoch { epoch, transcript_hash, members });
                self.retry_held(now, opener);
            }
            Input::EpochKey { key, commitment } => self.epoch_key(now, key, commitment),
            Input::SenderManifest { from, signed } => {
                self.record_event(now, ArchiveEvent::SenderManifest { participant: from, manifest: signed });
            }
            Input::Said { from, signed } => self.said(now, from, signed),
            Input::File { file, sealed } => self.file_came(now, file, sealed),
            Input::FileLost { file, why } => self.file_lost(now, file, why),
            Input::Pause { by, at_most_ms } => self.pause(now, by, at_most_ms),
            Input::Resume { by } => self.resume(now, Some(by)),
            Input::Finish => self.finish(now, opener),
        }
        self.step(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now, opener: &mut dyn Opener) {
        if matches!(self.phase, Phase::Armed | Phase::Recording) {
            self.link_tick(now, opener);
            if self.summary.paused_until.is_some_and(|until| until <= now.wall) {
                self.resume(now, None);
            }
            self.writer.rotate_by_age(now);
        }
        self.step(now);
    }

    fn step(&mut self, now: Now) {
        if self.phase != Phase::Finished && now.mono_ms >= self.next_beacon_ms {
            self.next_beacon_ms = now.mono_ms + BEACON_MS;
            if self.receipt_epoch.is_some() || self.phase == Phase::Failed {
                self.beacons += 1;
                self.out.push_back(Output::Beacon {
                    epoch: self.summary.epoch,
                    sequence: self.beacons,
                    fsynced_frames: self.writer.durable_frames(),
                    state: self.beacon_state(now),
                });
            }
        }
        if matches!(self.phase, Phase::Failed | Phase::Finished) {
            return;
        }
        if self.link.is_up() && now.mono_ms >= self.next_ack_ms {
            self.next_ack_ms = now.mono_ms + ACK_MS;
            self.out.push_back(Output::Ack { seq: self.acknowledged });
        }
        if now.mono_ms >= self.next_names_ms {
            self.next_names_ms = now.mono_ms + NAMES_MS;
            self.out.extend(self.summary.accounts.unnamed().into_iter().map(Output::WantManifests));
        }
        if let Some(batch) = self.writer.poll_commit(now, || self.link.resolved(), &mut self.summary) {
            self.out.push_back(Output::Commit(batch));
        }
    }

    fn beacon_state(&self, now: Now) -> BeaconState {
        match self.phase {
            Phase::Failed => BeaconState::Failed,
            Phase::Armed if self.config.wants == Wants::Events && self.writer.is_prompt(now) => BeaconState::Recording,
            Phase::Recording if self.link.is_alive(now) && self.writer.is_prompt(now) => BeaconState::Recording,
            _ => BeaconState::Waiting,
        }
    }

    fn epoch_key(&mut self, now: Now, key: EpochKey, commitment: [u8; 32]) {
        self.receipts.push(WaitingReceipt {
            epoch: key.epoch,
            transcript_hash: key.transcript_hash,
            sealed_hash: sha256(&key.sealed),
            commitment,
        });
        self.summary.epoch_key(&key, now.wall);
        self.writer.epoch_key(now, &key, self.receipts.len());
    }

    fn committed(&mut self, now: Now, ticket: u64) {
        let Some(done) = self.writer.committed(now, ticket) else { return };
        for receipt in self.receipts.drain(..done.receipts.min(self.receipts.len())) {
            self.receipt_epoch = Some(receipt.epoch);
            self.out.push_back(Output::Receipt {
                epoch: receipt.epoch,
                transcript_hash: receipt.transcript_hash,
                sealed_hash: receipt.sealed_hash,
                commitment: receipt.commitment,
            });
        }
        self.writer.receipts_given(done.receipts);
        self.said_is_durable(ticket);
        if self.phase != Phase::Finishing {
            self.write_file(now, files::PARTS_A_COMMIT);
        }
        if done.upto > self.acknowledged {
            self.acknowledged = done.upto;
            if self.link.is_up() {
                self.next_ack_ms = now.mono_ms + ACK_MS;
                self.out.push_back(Output::Ack { seq: done.upto });
            }
        }
        self.out.extend(done.sealed.into_iter().map(Output::Seal));
        if self.phase == Phase::Finishing && self.writer.is_empty() {
            self.phase = Phase::Finished;
            self.out.push_back(Output::Finished);
        }
    }

    /// After a failed write or fsync nothing here is believed any more: neither what was in flight nor what follows.
    fn fail(&mut self) {
        if self.phase != Phase::Finished {
            self.phase = Phase::Failed;
            self.out.retain(|output| matches!(output, Output::Beacon { .. }));
        }
    }

    fn finish(&mut self, now: Now, opener: &mut dyn Opener) {
        self.link_end(now, opener);
        self.close(now);
    }

    /// Writes what is missing and why, ends every file.
    fn close(&mut self, now: Now) {
        let summary = &self.summary;
        let gaps = summary.accounts.gaps(now.wall, |epoch| summary.has_key(epoch));
        for gap in gaps {
            if !self.summary.gaps.contains(&gap) {
                self.writer.gap(now, &gap);
                self.summary.gaps.push(gap);
            }
        }
        if self.summary.paused_until.is_some() {
            self.resume(now, None);
        }
        self.close_files(now);
        for missing in self.summary.speech.missing() {
            self.record_event(now, missing);
        }
        if !self.summary.ended {
            self.record_event(now, ArchiveEvent::Ended {});
        }
        self.writer.close_all(now);
        self.phase = Phase::Finishing;
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call [`Self::handle_timeout`], monotonic ms.
    pub fn poll_timeout(&self) -> Option<u64> {
        if self.phase == Phase::Finished {
            return None;
        }
        let mut at = self.next_beacon_ms;
        if self.phase != Phase::Failed {
            if self.link.is_up() {
                at = at.min(self.next_ack_ms);
            }
            at = at
                .min(self.pause_ends_ms.unwrap_or(u64::MAX))
                .min(self.next_names_ms)
                .min(self.writer.poll_timeout().unwrap_or(u64::MAX))
                .min(self.link.poll_timeout());
        }
        Some(at)
    }

    /// Notes the state of the clock.
    pub fn clock(&mut self, now: Now, mut clock: ClockState) {
        clock.against_sfu_ms = self.link.skew_ms();
        self.record_event(now, ArchiveEvent::Clock { clock });
    }
}

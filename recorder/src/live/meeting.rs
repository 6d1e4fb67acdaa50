//! What session, SFU and disk say while a meeting runs, and what the recording asks for.

use super::{LINK_RETRY_MS, Live, REDIAL_MS, STEP_BACK_MS};
use crate::clock::now;
use crate::link::{Link, Target};
use crate::probe;
use crate::recording::{FromDisk, Recording};
use crate::tls;
use domain::message::client::{MeetingTerms, Problem, ProblemCode, ToClient, ToServer};
use domain::message::record_link::ToSfuRecord;
use domain::policy::{Rule, Statement};
use domain::{B64, Ctr, Epoch};
use e2ee::session::{Event, FileTrouble, Session};
use evidence::archive::manifest::Closed;
use evidence::archive::{ArchiveEvent, Digest, EpochKey, FileGap, event};
use evidence::receipt::{Beacon, Receipt};
use evidence::said::What;
use recorder_core::{Input, Output};
use service::security::{Event as Kind, report};

impl Live {
    pub(super) async fn session_event(&mut self, event: Event) {
        match event {
            Event::Admitted { roster, .. } => {
                let people = roster.into_iter().filter(|entry| !entry.recorder);
                self.people = people.map(|entry| entry.participant).collect();
                self.on_admitted().await;
            }
            Event::Epoch { epoch, members, .. } => self.on_epoch(epoch, members),
            Event::Manifest { from, manifest } => self.core(Input::SenderManifest { from, signed: manifest }),
            // a reconnection brings them all again
            Event::Acknowledged { from: participant, acknowledgement }
                if self.noted.insert(evidence::sha256(&acknowledgement)) =>
            {
                self.note(ArchiveEvent::Acknowledged { participant, acknowledgement });
            }
            // what lasts is told again to who came back
            Event::Ordered { from: participant, signed: act, .. } if self.noted.insert(evidence::sha256(&act)) => {
                self.note(ArchiveEvent::HostAct { participant, act });
            }
            Event::Declared { from, what, signed, .. } => {
                self.core(Input::Said { from: from.clone(), signed });
                // the session judged that the firm's statement names who may; another firm's pause is not ours
                match what {
                    What::Pause { at_most_ms, .. } if from.firm == self.shared.config.firm => {
                        self.core(Input::Pause { by: from, at_most_ms });
                    }
                    What::Resume {} if from.firm == self.shared.config.firm => self.core(Input::Resume { by: from }),
                    _ => {}
                }
            }
            Event::Said { from, signed, .. } if self.keeps_chat() => self.core(Input::Said { from, signed }),
            // a file that is not kept is named
            Event::Shared { from, signed, .. } => self.core(Input::Said { from, signed }),
            Event::Fetched { file } => self.fetched(&file),
            Event::FileLost { file, why } => self.file_lost(&file, why),
            Event::Incident { kind, participant } => {
                tracing::warn!(room = %self.room, ?kind, "incident");
                let firm = participant.map(|participant| participant.firm);
                self.note(ArchiveEvent::Incident { firm, text: format!("{kind:?}") });
            }
            Event::Removed { problem } => self.on_removed(&problem),
            Event::Passed(message) => self.on_passed(message),
            _ => {}
        }
    }

    /// Everybody's lines reach every member; what the own firm does not keep is not kept.
    fn keeps_chat(&self) -> bool {
        self.statement.as_ref().is_some_and(|own| matches!(own.chat, Rule::Must | Rule::Should))
    }

    /// The last receipt may have been lost with the connection before: nobody of our firm sends without it.
    fn repeat_receipt(&mut self) {
        if let Some((leaf, receipt)) = &self.receipt
            && *leaf == self.leaf
        {
            self.outbox.push_back(ToServer::Receipt { receipt: receipt.clone() });
        }
    }

    pub(super) async fn on_admitted(&mut self) {
        let Some(session) = &self.session else { return };
        let Some(terms) = session.terms().cloned() else { return };
        let own = session.rules().and_then(|rules| rules.firm_rule(&self.shared.config.firm)).cloned();
        let keeps = |rule: Rule| matches!(rule, Rule::Must | Rule::Should);
        let Some(statement) = own.filter(|own| [own.audio_video, own.chat, own.files].into_iter().any(keeps)) else {
            tracing::warn!(room = %self.room, "our firm states that nothing is kept in this room: not recording");
            return self.step_back();
        };
        self.admitted = true;
        self.redial_ms = REDIAL_MS.0;
        self.close_unfinished(Some(&terms.meeting));
        let armed = match &mut self.recording {
            Some(_) if self.recorded_leaf == self.leaf => Ok(()),
            Some(recording) => recording.renew(&self.shared, &statement).await,
            None => self.arm(&terms, &statement).await,
        };
        if let Err(e) = armed {
            tracing::error!(room = %self.room, "recording cannot start: {e}");
            service::metrics::names::recorder::RECORDINGS_REFUSED.count();
            report(Kind::RecordingRefused);
            return self.step_back();
        }
        let same = self.recorded_leaf == self.leaf && self.statement.is_some();
        self.recorded_leaf = self.leaf;
        self.statement = Some(statement);
        self.repeat_receipt();
        // a restored session is in its epoch already: the new meeting key needs it too
        if let (false, Some(session)) = (same, &self.session)
            && let Some(epoch) = session.epoch()
        {
            let members = session.members();
            self.on_epoch(epoch, members);
        }
        if self.link.is_none() {
            self.ask_link_ms = Some(now().mono_ms);
        }
    }

    async fn arm(&mut self, terms: &MeetingTerms, statement: &Statement) -> Result<(), String> {
        self.shared.stores.permit(statement).map_err(|e| e.to_string())?;
        self.recording = Some(probe::open(&self.shared, terms, statement).await?);
        self.clock_ms = now().mono_ms;
        Ok(())
    }

    /// Leaves a meeting that cannot or must not be recorded, and tries again later.
    pub(super) fn step_back(&mut self) {
        self.session = None;
        self.redial_ms = STEP_BACK_MS;
        self.disconnected("leaving the room");
    }

    pub(super) fn on_epoch(&mut self, epoch: Epoch, members: Vec<e2ee::session::Member>) {
        tracing::info!(room = %self.room, epoch = epoch.0, members = members.len(), "epoch");
        let Some(transcript) = self.session.as_ref().and_then(|session| session.transcript_hash(epoch)) else { return };
        let members = members
            .into_iter()
            .map(|one| event::Member { leaf: one.leaf, participant: one.participant, name: one.name, role: one.role })
            .collect();
        self.core(Input::Epoch { epoch, transcript_hash: Digest(transcript), members });
        self.seal_epoch(epoch);
    }

    pub(super) fn seal_epoch(&mut self, epoch: Epoch) {
        let (Some(session), Some(recording)) = (&self.session, &self.recording) else { return };
        let sealed = session.seal_base_key(epoch, recording.incarnation, &recording.key);
        let (Some(sealed), Some(commitment), Some(transcript)) =
            (sealed, session.epoch_commitment(epoch), session.transcript_hash(epoch))
        else {
            return tracing::warn!(room = %self.room, epoch = epoch.0, "the epoch's key is gone before it was sealed");
        };
        let key = EpochKey {
            incarnation: recording.incarnation,
            epoch,
            sealed: sealed.bytes.into(),
            transcript_hash: Digest(transcript),
        };
        self.core(Input::EpochKey { key, commitment });
        if let (Some(session), Some(recording), Some(leaf)) = (&mut self.session, &self.recording, self.chain.first()) {
            recording.checkpoint(&self.room, session, &self.secret, leaf);
        }
    }

    pub(super) fn on_removed(&mut self, problem: &Problem) {
        // with people still there it was this recorder that was taken for gone: it comes back
        let over = problem.code == ProblemCode::Removed && self.people.is_empty();
        if over {
            self.meeting_over();
        }
        self.session = None;
        if problem.code != ProblemCode::Removed {
            tracing::error!(room = %self.room, code = ?problem.code, "signaling refuses this recorder: {}", problem.detail);
            report(Kind::RecorderRefused);
            self.redial_ms = self.redial_ms.max(STEP_BACK_MS / 4);
        }
        self.disconnected(if over { "the meeting is over" } else { "refused" });
    }

    pub(super) fn on_passed(&mut self, message: ToClient) {
        match message {
            ToClient::RecordLink { address, server_name, certificate, token } => {
                self.dial_link(address, server_name, &certificate, token);
            }
            ToClient::RosterChanged { entry } if !entry.recorder && self.people.insert(entry.participant.clone()) => {
                self.note(ArchiveEvent::Joined { participant: entry.participant });
            }
            ToClient::RosterLeft { participant } => {
                self.people.remove(&participant);
                self.note(ArchiveEvent::Left { participant });
            }
            ToClient::Problem(problem) => {
                tracing::warn!(room = %self.room, code = ?problem.code, "{}", problem.detail);
                if problem.code == ProblemCode::MediaUnavailable {
                    self.ask_link_ms = Some(now().mono_ms + LINK_RETRY_MS);
                }
            }
            _ => {}
        }
    }

    pub(super) fn dial_link(&mut self, address: String, server_name: String, certificate: &[u8], token: domain::B64) {
        let Some(recording) = &self.recording else { return };
        let Ok(pinned) = <[u8; 32]>::try_from(certificate) else {
            return tracing::error!(room = %self.room, "signaling named no certificate of the SFU");
        };
        match tls::record_link(&self.chain, &self.pkcs8, pinned) {
            Ok(tls) => {
                let (meeting, durable) = (recording.meeting_id.clone(), recording.core.durable());
                tracing::info!(room = %self.room, durable, "dialling the record link");
                self.link = Some(Link::start(Target { address, server_name, token, meeting, durable }, tls));
                self.ask_link_ms = None;
            }
            Err(e) => tracing::error!(room = %self.room, "no record link: {e}"),
        }
    }

    pub(super) fn link_down(&mut self, why: &str) {
        tracing::warn!(room = %self.room, "the record link is down: {why}");
        service::metrics::names::recorder::RECORD_LINK_LOST.count();
        self.link = None;
        self.core(Input::LinkDown);
        self.ask_link_ms = Some(now().mono_ms + LINK_RETRY_MS);
    }

    pub(super) fn disk(&mut self, done: FromDisk) {
        match done {
            FromDisk::Commit(ticket, Ok(())) => self.core(Input::Committed { ticket }),
            FromDisk::Commit(_, Err(e)) => {
                if let Some(recording) = &mut self.recording {
                    recording.failed(&e);
                }
                self.link = None;
            }
            FromDisk::Reopened(found) => {
                let terms = self.session.as_ref().and_then(Session::terms).zip(self.statement.as_ref());
                let (Some((terms, statement)), Some(recording)) = (terms, &mut self.recording) else { return };
                let event = Recording::terms(terms, statement);
                if recording.reopened(&self.shared, *found, &event) {
                    let epoch = self.session.as_ref().and_then(Session::epoch);
                    let members = self.session.as_ref().map(Session::members).unwrap_or_default();
                    if let Some(epoch) = epoch {
                        self.on_epoch(epoch, members);
                    }
                    self.ask_link_ms = Some(now().mono_ms);
                }
            }
        }
    }

    pub(super) fn core_output(&mut self, output: Output) {
        match output {
            Output::Ack { seq } => self.to_sfu(ToSfuRecord::Ack { seq }),
            Output::WantManifests(one) => {
                if let Some(session) = self.session.as_mut().filter(|_| self.admitted) {
                    tracing::info!(room = %self.room, frames = one.count, "frames without a name: their sender is asked");
                    session.want_manifests(one.participant, one.epoch, one.slot, Ctr(one.first_ctr), one.count);
                }
            }
            Output::NeedKeyFrame { track } => self.to_sfu(ToSfuRecord::NeedKeyFrame { track }),
            Output::Receipt { epoch, transcript_hash, sealed_hash, commitment } => {
                let (Some(session), Some(recording)) = (&self.session, &self.recording) else { return };
                let receipt = Receipt {
                    meeting: recording.meeting_id.clone(),
                    firm: self.shared.config.firm.clone(),
                    recorder: self.shared.participant.clone(),
                    incarnation: recording.incarnation,
                    epoch,
                    transcript_hash: transcript_hash.0,
                    sealed_hash: sealed_hash.0,
                    commitment,
                };
                let signed = session.sign_receipt(&receipt);
                self.note(ArchiveEvent::Receipt { receipt: signed.clone().into() });
                // before admission nothing but the greeting may be said; without a connection it waits for the next
                if self.admitted {
                    self.outbox.push_back(ToServer::Receipt { receipt: signed.clone().into() });
                }
                self.receipt = Some((self.leaf, signed.into()));
            }
            Output::Beacon { epoch, sequence, fsynced_frames, state } => {
                let (Some(session), Some(recording)) = (&self.session, &self.recording) else { return };
                let beacon = Beacon {
                    meeting: recording.meeting_id.clone(),
                    firm: self.shared.config.firm.clone(),
                    recorder: self.shared.participant.clone(),
                    epoch,
                    sequence,
                    fsynced_frames,
                    state,
                };
                if self.admitted {
                    let beacon = session.sign_beacon(&beacon).into();
                    self.outbox.push_back(ToServer::Beacon { beacon });
                }
            }
            Output::Kept(said) => {
                if let Some(session) = &mut self.session {
                    session.tell_kept(said.into_iter().map(|hash| hash.0).collect());
                }
            }
            Output::Fetch(file) => {
                if let Some(session) = &mut self.session
                    && session.fetch(now().wall, file.0).is_err()
                {
                    // told before a restart, by a session that is gone: who told it says it again, or it stays missing
                    tracing::warn!(room = %self.room, "a file cannot be asked for");
                }
            }
            Output::Finished => {
                if let Some(recording) = self.recording.take() {
                    tokio::spawn(recording.conclude(self.shared.clone(), Closed::Ended));
                }
            }
            Output::Commit(_) | Output::Seal(_) => {}
        }
    }

    fn fetched(&mut self, file: &[u8]) {
        let Ok(file) = <[u8; 32]>::try_from(file) else { return };
        let sealed = self.session.as_mut().and_then(|session| session.take_file(&file));
        if let Some(mut sealed) = sealed {
            self.core(Input::File { file: Digest(file), sealed: std::mem::take(&mut *sealed) });
        }
    }

    fn file_lost(&mut self, file: &str, why: FileTrouble) {
        let Some(file) = B64::decode(file).and_then(|bytes| Digest::from_slice(&bytes)) else { return };
        match (why, &mut self.session) {
            (FileTrouble::Stalled, Some(session)) => {
                // asked for again as long as the meeting lasts
                let _ = session.fetch(now().wall, file.0);
            }
            (FileTrouble::Forged { .. }, _) => self.core(Input::FileLost { file, why: FileGap::Forged }),
            _ => self.core(Input::FileLost { file, why: FileGap::Gone }),
        }
    }

    pub(super) fn to_sfu(&self, message: ToSfuRecord) {
        if let Some(link) = &self.link {
            link.send(message);
        }
    }
}

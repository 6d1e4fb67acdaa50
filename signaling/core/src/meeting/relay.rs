//! What passes through: JSEP between page and SFU, sealed application messages, receipts and beacons once their
//! signature and firm are judged, record link tokens.

use super::{Meeting, SfuInfo};
use crate::delivery::{Offered, SfuLink};
use crate::limits::{MAX_CANDIDATE, MAX_SDP, MAX_TRACKS, RECORD_TOKEN_MS};
use crate::problem::{bad_message, of_firm, problem};
use domain::limits::{MAX_LAYERS, MAX_WISHES};
use domain::message::client::{Problem, ProblemCode, PublishedTrack, Source, ToClient, ToServer, Wish};
use domain::message::control::{FromSfu, ToSfu};
use domain::{B64, Epoch, ParticipantId, Slot, TransportKind, UnixMillis};
use evidence::acknowledgement;
use evidence::identity::Identity;
use evidence::order::Reason;
use evidence::receipt::{judge_beacon, judge_receipt};

impl Meeting {
    pub(super) fn dispatch(&mut self, now: UnixMillis, who: &ParticipantId, message: ToServer) {
        let done = match message {
            ToServer::Offer { sdp, tracks } => self.offer(who, sdp, tracks),
            ToServer::Answer { sdp, revision } => self.answer(who, sdp, revision),
            ToServer::Candidate { transport, candidate } => self.candidate(who, transport, candidate),
            ToServer::View { wishes } => self.view(who, wishes),
            ToServer::Layers { slot, heights } => self.layers(who, slot, heights),
            ToServer::Acknowledge { acknowledgement } => self.acknowledge(now, who, acknowledgement),
            ToServer::Receipt { receipt } => self.receipt(now, who, receipt),
            ToServer::Beacon { beacon } => self.beacon(now, who, beacon),
            ToServer::NeedRecordLink {} => self.record_link(now, who),
            ToServer::Remove { participant } => self.host_removes(now, who, &participant),
            ToServer::Host { act } => self.host_orders(now, who, act),
            ToServer::SetPasscode { passcode } => self.set_passcode(who, &passcode),
            of_group_or_roster => {
                self.take(now, who, of_group_or_roster);
                return;
            }
        };
        if let Err(problem) = done {
            self.tell(who, ToClient::Problem(problem));
        }
    }

    /// Messages whose answers are messages of their own.
    fn take(&mut self, now: UnixMillis, who: &ParticipantId, message: ToServer) {
        let delivery = &mut self.delivery;
        match message {
            ToServer::KeyPackage { key_package } => delivery.key_package(now, who, key_package),
            ToServer::Created { group_info } => delivery.created(now, who, group_info),
            ToServer::Commit { epoch, commit, welcome, group_info } => {
                delivery.commit(now, who, Offered { epoch, commit, welcome, group_info });
            }
            ToServer::Resync { epoch, commit, group_info } => {
                delivery.resync(now, who, Offered { epoch, commit, welcome: None, group_info });
            }
            ToServer::Applied { epoch } => delivery.applied(now, who, epoch),
            ToServer::Refused { epoch, .. } => {
                delivery.refused(now, who, epoch);
                // the reason is the member's own text: not for the log
                self.note(Some(&who.firm), format!("epoch {}: refused by a member", epoch.0));
            }
            ToServer::NeedResync {} => delivery.need_resync(now, who),
            ToServer::Application { message } => self.application(who, message),
            ToServer::FileBegin { blob, size } => self.file_begin(now, who, blob, size),
            ToServer::FilePart { blob, index, part } => self.file_part(now, who, blob, index, part),
            ToServer::FileWanted { blob, index } => self.file_wanted(who, blob, index),
            ToServer::FileDrop { blob } => self.file_drop(who, &blob),
            ToServer::Mute { slot, muted } => self.mute(who, slot, muted),
            ToServer::Leave {} => self.remove(now, who, Reason::Left),
            ToServer::Ping {} => self.tell(who, ToClient::Pong {}),
            // hello and prove are the handshake's; the others are dispatched above
            _ => self.drop_connection(now, who, Some(bad_message("already admitted"))),
        }
    }

    fn application(&mut self, who: &ParticipantId, message: B64) {
        if self.delivery.leaf_of(who).is_none() {
            return;
        }
        let members = self.delivery.members().filter(|member| *member != who);
        let to = members.filter_map(|member| self.people.get(member).and_then(|p| p.conn)).collect();
        self.send(to, ToClient::Application { message });
    }

    fn with_media(&self, who: &ParticipantId, sdp: &str) -> Result<(), Problem> {
        if self.people.get(who).is_none_or(|person| person.entrant.recorder) {
            return Err(bad_message("a recorder has a record link, no transports"));
        }
        if sdp.len() > MAX_SDP {
            return Err(bad_message("the SDP is too long"));
        }
        if self.sfu.is_none() {
            return Err(problem(ProblemCode::MediaUnavailable, "no media server is connected: try again"));
        }
        Ok(())
    }

    fn offer(&mut self, who: &ParticipantId, sdp: String, tracks: Vec<PublishedTrack>) -> Result<(), Problem> {
        self.with_media(who, &sdp)?;
        let distinct = |at: usize| tracks[..at].iter().all(|earlier| earlier.slot != tracks[at].slot);
        let fit = tracks.len() <= MAX_TRACKS
            && (0..tracks.len()).all(|at| tracks[at].slot.kind() == Some(tracks[at].codec.kind()) && distinct(at));
        if !fit {
            return Err(bad_message("a track's slot is unknown, used twice, or of another kind than its codec"));
        }
        let screen = |track: &PublishedTrack| matches!(track.slot, Slot(1) | Slot(16..));
        if tracks.iter().any(screen)
            && let Err(cause) = self.rules.resolved().share()
        {
            return Err(of_firm(ProblemCode::NoShare, "a statement allows no shared screens here", &cause.firm));
        }
        let said_yes = self.people.get(who).is_some_and(|person| person.acknowledgement.is_some());
        if self.rules.keeps_anything() && !said_yes {
            let first = "who keeps what in this meeting is to be acknowledged before anything is sent";
            return Err(problem(ProblemCode::NotAcknowledged, first));
        }
        if let Some(person) = self.people.get_mut(who) {
            let muted = |slot| person.sources.iter().any(|source| source.slot == slot && source.muted);
            person.sources = tracks.iter().map(|t| Source { slot: t.slot, muted: muted(t.slot) }).collect();
        }
        self.row_changed(who);
        let meeting = self.terms.meeting.clone();
        self.inform_sfu(ToSfu::PublishOffer { meeting, participant: who.clone(), sdp, tracks });
        self.say_silenced(who);
        Ok(())
    }

    fn answer(&mut self, who: &ParticipantId, sdp: String, revision: u32) -> Result<(), Problem> {
        self.with_media(who, &sdp)?;
        let meeting = self.terms.meeting.clone();
        self.inform_sfu(ToSfu::SubscribeAnswer { meeting, participant: who.clone(), revision, sdp });
        Ok(())
    }

    fn candidate(&mut self, who: &ParticipantId, transport: TransportKind, candidate: String) -> Result<(), Problem> {
        self.with_media(who, "")?;
        if candidate.len() > MAX_CANDIDATE {
            return Err(bad_message("the candidate is too long"));
        }
        let meeting = self.terms.meeting.clone();
        self.inform_sfu(ToSfu::Candidate { meeting, participant: who.clone(), transport, candidate });
        Ok(())
    }

    fn view(&mut self, who: &ParticipantId, wishes: Vec<Wish>) -> Result<(), Problem> {
        self.with_media(who, "")?;
        if wishes.len() > MAX_WISHES {
            return Err(bad_message("more wishes than a meeting has sources"));
        }
        let meeting = self.terms.meeting.clone();
        self.inform_sfu(ToSfu::View { meeting, participant: who.clone(), wishes });
        Ok(())
    }

    fn layers(&mut self, who: &ParticipantId, slot: Slot, heights: Vec<u16>) -> Result<(), Problem> {
        self.with_media(who, "")?;
        let known = self.people.get(who).is_some_and(|person| person.sources.iter().any(|s| s.slot == slot));
        if !known || heights.len() > usize::from(MAX_LAYERS) {
            return Err(bad_message("layers of a source that is not published, or too many"));
        }
        let meeting = self.terms.meeting.clone();
        self.inform_sfu(ToSfu::Layers { meeting, participant: who.clone(), slot, heights });
        Ok(())
    }

    fn mute(&mut self, who: &ParticipantId, slot: Slot, muted: bool) {
        let source = self.people.get_mut(who).and_then(|p| p.sources.iter_mut().find(|source| source.slot == slot));
        if let Some(source) = source {
            source.muted = muted;
            self.row_changed(who);
        }
        if !muted {
            self.speaks_again(who, slot);
        }
    }

    /// A receipt or beacon must be signed by the very certificate of the connection that brings it, about this meeting.
    fn is_own(&self, who: &ParticipantId, signer: &Identity, meeting: &domain::MeetingId) -> Result<(), Problem> {
        let person = self.people.get(who).filter(|person| person.entrant.recorder);
        let Some(person) = person else {
            return Err(problem(ProblemCode::NotRecorder, "only a recorder sends receipts and beacons"));
        };
        let same = signer.participant == *who && signer.certificate_hash == person.entrant.certificate_hash;
        if same && *meeting == self.terms.meeting {
            Ok(())
        } else {
            Err(problem(ProblemCode::BadSignature, "signed by another certificate, or about another meeting"))
        }
    }

    /// By the very certificate of the connection, of this meeting and the statements that bind it.
    fn acknowledge(&mut self, now: UnixMillis, who: &ParticipantId, signed: B64) -> Result<(), Problem> {
        let judged = acknowledgement::judge(&self.ports.trust, &signed, now.seconds());
        let (content, signer) = judged.map_err(|why| problem(ProblemCode::BadSignature, why.to_string()))?;
        let Some(person) = self.people.get_mut(who) else { return Ok(()) };
        let own = signer.participant == *who && signer.certificate_hash == person.entrant.certificate_hash;
        let this = content.meeting == self.terms.meeting && content.statements == self.rules.statements_hash();
        if !own || !this {
            let other = "the acknowledgement is of another certificate, meeting or set of statements";
            return Err(problem(ProblemCode::BadSignature, other));
        }
        person.acknowledgement = Some(signed.clone());
        self.tell_all(Some(who), ToClient::Acknowledged { acknowledgement: signed });
        Ok(())
    }

    fn receipt(&mut self, now: UnixMillis, who: &ParticipantId, receipt: B64) -> Result<(), Problem> {
        let judged = judge_receipt(&self.ports.trust, &receipt, now.seconds());
        let (content, signer) = judged.map_err(|why| problem(ProblemCode::BadSignature, why.to_string()))?;
        self.is_own(who, &signer, &content.meeting)?;
        self.receipts.insert(who.clone(), (content.epoch, receipt.clone()));
        self.tell_all(Some(who), ToClient::Receipt { receipt });
        self.delivery.receipted(now, who, content.epoch);
        Ok(())
    }

    fn beacon(&mut self, now: UnixMillis, who: &ParticipantId, beacon: B64) -> Result<(), Problem> {
        let judged = judge_beacon(&self.ports.trust, &beacon, now.seconds());
        let (content, signer) = judged.map_err(|why| problem(ProblemCode::BadSignature, why.to_string()))?;
        self.is_own(who, &signer, &content.meeting)?;
        self.tell_all(Some(who), ToClient::Beacon { beacon });
        Ok(())
    }

    fn record_link(&mut self, now: UnixMillis, who: &ParticipantId) -> Result<(), Problem> {
        let Some(person) = self.people.get_mut(who).filter(|person| person.entrant.recorder) else {
            return Err(problem(ProblemCode::NotRecorder, "only a recorder has a record link"));
        };
        let Some(SfuInfo { record_address, record_server_name, record_certificate, .. }) = self.sfu.clone() else {
            return Err(problem(ProblemCode::MediaUnavailable, "no media server is connected: ask again"));
        };
        if person.token_at.is_some_and(|at| now.since(at) < RECORD_TOKEN_MS) {
            return Err(problem(ProblemCode::RateLimited, "one record link token a second"));
        }
        person.token_at = Some(now);
        let certificate_hash = person.entrant.certificate_hash.into();
        let token = self.ports.random.bytes();
        let token_hash = evidence::sha256(&token).into();
        let meeting = self.terms.meeting.clone();
        self.inform_sfu(ToSfu::RecordToken { meeting, participant: who.clone(), token_hash, certificate_hash });
        let link = ToClient::RecordLink {
            address: record_address,
            server_name: record_server_name,
            certificate: record_certificate,
            token: token.into(),
        };
        self.tell(who, link);
        Ok(())
    }

    /// A message of the SFU about this meeting.
    pub fn hear_sfu(&mut self, now: UnixMillis, message: FromSfu) {
        match message {
            FromSfu::PublishAnswer { participant, sdp, .. } => {
                self.tell(&participant, ToClient::PublishAnswer { sdp });
            }
            FromSfu::SubscribeOffer { participant, revision, sdp, tracks, .. } => {
                self.tell(&participant, ToClient::SubscribeOffer { sdp, revision, tracks });
            }
            FromSfu::Failed { participant, detail, .. } => {
                let why = problem(ProblemCode::MediaUnavailable, detail);
                self.tell(&participant, ToClient::Problem(why));
            }
            FromSfu::LeavesTaken { epoch, .. } => self.leaves_taken(now, epoch),
            FromSfu::Connected { participant, transport, .. } => {
                if let Some(person) = self.people.get_mut(&participant)
                    && !person.media.contains(&transport)
                {
                    person.media.push(transport);
                }
            }
            FromSfu::Disconnected { participant, transport, .. } => {
                if let Some(person) = self.people.get_mut(&participant) {
                    person.media.retain(|kind| *kind != transport);
                    person.heard = person.heard.max(now);
                }
            }
            FromSfu::FirmSuspended { firm, suspended, .. } => {
                if suspended {
                    self.suspended.insert(firm.clone())
                } else {
                    self.suspended.remove(&firm)
                };
                self.note(Some(&firm), if suspended { "firm suspended" } else { "firm resumed" });
                self.tell_all(None, ToClient::FirmSuspended { firm, suspended });
            }
            FromSfu::RecordLink { participant, up, .. } => {
                self.note(Some(&participant.firm), if up { "record link up" } else { "record link down" });
            }
            FromSfu::Speaker { participant, .. } => {
                self.tell_all(None, ToClient::Speaker { participant });
            }
            FromSfu::LayersWanted { participant, slot, layers, rates, .. } => {
                self.tell(&participant, ToClient::LayersWanted { slot, layers, rates });
            }
            FromSfu::CodecRefused { participant, slot, .. } => self.tell(&participant, ToClient::CodecRefused { slot }),
            FromSfu::Feeds { participant, feeds, .. } => self.tell(&participant, ToClient::Feeds { feeds }),
            FromSfu::Lost { participant, .. } => self.say_again(now, participant),
            FromSfu::Overload { overloaded, .. } => self.overloaded = overloaded,
            FromSfu::Hello { .. } => {}
        }
        self.settle(now);
    }

    fn leaves_taken(&mut self, now: UnixMillis, epoch: Epoch) {
        self.delivery.leaves_taken(now, epoch);
    }

    /// The control link stands (again): the SFU learns all there is.
    pub fn sfu_up(&mut self, now: UnixMillis, info: SfuInfo) {
        self.sfu = Some(info);
        self.overloaded = false;
        self.say_again(now, None);
        self.settle(now);
    }

    /// Tells the SFU whom it is to carry: `only` one, or everything about the meeting.
    fn say_again(&mut self, now: UnixMillis, only: Option<ParticipantId>) {
        if only.is_none() {
            let opening = self.opening();
            self.inform_sfu(opening);
        }
        let meeting = &self.terms.meeting;
        let all: Vec<ToSfu> = self
            .people
            .iter()
            .filter(|(who, _)| only.as_ref().is_none_or(|only| only == *who))
            .map(|(who, person)| ToSfu::Participant {
                meeting: meeting.clone(),
                participant: who.clone(),
                recorder: person.entrant.recorder,
                may_publish: !person.entrant.recorder,
            })
            .collect();
        all.into_iter().for_each(|message| self.inform_sfu(message));
        let silenced: Vec<ParticipantId> = self.people.keys().cloned().collect();
        silenced.iter().for_each(|who| self.say_silenced(who));
        if only.is_none() {
            // the leaves of the running epoch with it
            self.delivery.sfu(now, SfuLink::Up);
        }
    }

    /// The control link is lost: media goes on, nobody new comes in.
    pub fn sfu_lost(&mut self, now: UnixMillis) {
        self.sfu = None;
        self.delivery.sfu(now, SfuLink::Down);
        self.settle(now);
    }
}

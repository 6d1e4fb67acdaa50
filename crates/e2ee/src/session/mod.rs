//! One participant in one meeting: the whole client side of the protocol, sans-IO, the same in browser, native
//! participant and recorder.
//!
//! Give it every message of signaling and the time; poll what to send and what happened; seal and open frames with it.
//! It never panics on what others say: what does not fit becomes an [`Event::Incident`] and, where the group is lost, a
//! resync. States: greeting -> (awaiting a Welcome | resyncing) -> member -> over.

mod application;
mod checkpoint;
mod commits;
mod entry;
mod epochs;
mod event;
mod files;
mod host;
mod notices;
mod orders;
mod recorders;
mod recording;
#[cfg(feature = "test-secrets")]
mod reveal;
mod said;
mod sender;
mod sending;
mod signs;

pub use event::{
    CopyState, Event, FileTrouble, IncidentKind, Member, Output, RecorderState, SayError, SealError, SendState,
    SessionError, Shown, StopReason, Waiting, Words,
};
#[cfg(feature = "test-secrets")]
pub use reveal::Revealed;

use crate::leaf::LeafKey;
use crate::mls::{self, Group, Resync};
pub use crate::sframe::{Authentic, OpenError, Opened};
use domain::message::client::{Entering, MeetingTerms, Passcode, Problem, ProblemCode, Resume, ToClient, ToServer};
use domain::message::custody::LeafRole;
use domain::{B64, Codec, Epoch, ParticipantId, RoomId, Slot, UnixMillis};
use epochs::Epochs;
use evidence::identity::{Identity, TrustMap};
use evidence::policy::MeetingRules;
use recorders::Recorders;
use sender::Sender;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Something to say at least so often, so that neither end takes the other for gone.
const PING_MS: u64 = 10_000;
/// Commits and messages that came before their epoch: a few epochs' worth.
const MAX_AHEAD: usize = 64;

/// What a session is made of.
pub struct SessionConfig {
    /// This device's key.
    pub key: LeafKey,
    /// Its leaf certificate, alone (roots are pinned), DER.
    pub chain: Vec<Vec<u8>>,
    /// Trust map from our own firm's front.
    pub trust: TrustMap,
    /// Which room.
    pub room: RoomId,
}

/// A meeting we are admitted to.
struct Meeting {
    terms: Box<MeetingTerms>,
    rules: Arc<MeetingRules>,
    mls: mls::Member,
}

/// Where we stand with the group.
enum Phase {
    /// Hello sent.
    Greeting,
    /// KeyPackage sent.
    AwaitingWelcome,
    /// In the group.
    Member,
    /// The group is lost; an external commit is wanted or on its way.
    Resyncing(Option<Box<Resync>>),
    /// Removed, refused or left.
    Over,
}

/// One participant in one meeting.
pub struct Session {
    key: LeafKey,
    certificate: Vec<u8>,
    trust: Arc<TrustMap>,
    trust_hash: [u8; 32],
    room: RoomId,
    own: Identity,
    phase: Phase,
    meeting: Option<Meeting>,
    /// Newest statement of each firm that was shown.
    serials: BTreeMap<domain::FirmId, u64>,
    group: Option<Group>,
    epochs: Epochs,
    sender: Sender,
    speech: said::Speech,
    hosting: host::Hosting,
    signs: signs::Signs,
    entering: Entering,
    files: files::Files,
    yes: Option<notices::Yes>,
    recorders: Recorders,
    orders: orders::Orders,
    ahead_commits: BTreeMap<Epoch, Vec<u8>>,
    ahead_messages: VecDeque<Vec<u8>>,
    /// Hashes of application messages read.
    seen_messages: VecDeque<[u8; 32]>,
    /// A commit we could not process, or one that is missing: resync then.
    stuck_until: Option<UnixMillis>,
    resync_at: Option<UnixMillis>,
    resync_asked: Option<UnixMillis>,
    group_lost_at: Option<UnixMillis>,
    ping_at: Option<UnixMillis>,
    told: Option<SendState>,
    /// Latest time told; timers are after it.
    clock: UnixMillis,
    out: VecDeque<Output>,
}

impl Session {
    /// A session for one room. Queues `Hello`. Member or recorder is read from the certificate.
    pub fn new(config: SessionConfig, now: UnixMillis) -> Result<Self, SessionError> {
        let mut session = Self::make(config, now)?;
        session.hello();
        Ok(session)
    }

    /// What the people there may ask for besides the certificate; goes with every `Hello`, the one that waits included.
    pub fn bring(&mut self, passcode: Option<Passcode>, invitation: Option<B64>) {
        self.entering.passcode = passcode;
        self.entering.invitation = invitation;
        for output in &mut self.out {
            if let Output::Send(ToServer::Hello { entering, .. }) = output {
                entering.clone_from(&self.entering);
            }
        }
    }

    fn make(config: SessionConfig, now: UnixMillis) -> Result<Self, SessionError> {
        let [certificate] = <[Vec<u8>; 1]>::try_from(config.chain).map_err(|_| SessionError::Chain)?;
        let own = evidence::identity::judge(&config.trust, &certificate, now.seconds())?;
        if own.public_key.to_sec1() != config.key.public_sec1() {
            return Err(SessionError::OtherKey);
        }
        if matches!(own.role, LeafRole::Compliance | LeafRole::Administrator) {
            return Err(SessionError::NotForMeetings);
        }
        Ok(Self {
            key: config.key,
            certificate,
            trust_hash: config.trust.hash(),
            trust: Arc::new(config.trust),
            room: config.room,
            phase: Phase::Greeting,
            meeting: None,
            serials: BTreeMap::new(),
            group: None,
            epochs: Epochs::new(own.role),
            own,
            sender: Sender::default(),
            speech: said::Speech::default(),
            hosting: host::Hosting::default(),
            signs: signs::Signs::default(),
            entering: Entering { client: domain::message::CLIENT, ..Entering::default() },
            files: files::Files::default(),
            yes: None,
            recorders: Recorders::default(),
            orders: orders::Orders::default(),
            ahead_commits: BTreeMap::new(),
            ahead_messages: VecDeque::new(),
            seen_messages: VecDeque::new(),
            stuck_until: None,
            resync_at: None,
            resync_asked: None,
            group_lost_at: None,
            ping_at: None,
            told: None,
            clock: now,
            out: VecDeque::new(),
        })
    }

    fn hello(&mut self) {
        let epoch = self.group.as_ref().map(Group::epoch);
        let resume = self
            .meeting
            .as_ref()
            .zip(epoch)
            .map(|(meeting, epoch)| Resume { meeting: meeting.terms.meeting.clone(), epoch });
        self.phase = Phase::Greeting;
        self.send(ToServer::Hello {
            version: domain::message::PROTOCOL,
            room: self.room.clone(),
            chain: vec![B64(self.certificate.clone())],
            trust: B64(self.trust_hash.to_vec()),
            resume,
            entering: self.entering.clone(),
        });
    }

    /// The connection is gone. Media goes on; no beacon can come, so the SFU alone enforces the recorder's grace until
    /// we are admitted again, for 15 minutes at most.
    pub fn disconnected(&mut self, now: UnixMillis) {
        self.recorders.disconnected(now);
        self.settle(now);
    }

    /// The connection is a new one: says `Hello` again, offering what is still held. Media goes on meanwhile.
    pub fn reconnect(&mut self, now: UnixMillis) {
        if matches!(self.phase, Phase::Over) {
            return;
        }
        self.out.retain(|output| matches!(output, Output::Event(_)));
        self.recorders.disconnected(now);
        self.stuck_until = None;
        self.resync_at = None;
        self.ping_at = None;
        self.hello();
        self.settle(now);
    }

    fn send(&mut self, message: ToServer) {
        self.out.push_back(Output::Send(message));
    }
    fn tell(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }
    fn incident(&mut self, kind: IncidentKind, participant: Option<ParticipantId>) {
        self.tell(Event::Incident { kind, participant });
    }

    /// Takes a message of signaling.
    pub fn handle(&mut self, now: UnixMillis, message: ToClient) {
        if matches!(self.phase, Phase::Over) {
            return;
        }
        match message {
            ToClient::Challenge { nonce } => self.on_challenge(&nonce),
            ToClient::Admitted { participant, terms, entry, roster, now: theirs } => {
                self.on_admitted(now, participant, terms, entry, roster, theirs);
            }
            // a service that was restarted has no media server or rooms for a moment: the meeting is not over for that
            ToClient::Refusal(problem)
                if matches!(problem.code, ProblemCode::MediaUnavailable | ProblemCode::RoomsUnavailable)
                    && self.meeting.is_some() =>
            {
                self.tell(Event::Passed(ToClient::Problem(problem)));
            }
            ToClient::Refusal(problem) => self.end(problem),
            ToClient::CommitAdds { joiners } => self.on_commit_adds(now, &joiners),
            ToClient::RemovalOrder { order } => self.on_order(now, &order),
            ToClient::CommitRemovals { leaves } => self.on_commit_removals(now, &leaves),
            ToClient::Commit { epoch, commit } => self.on_commit(now, epoch, commit.0),
            ToClient::CommitRefused { epoch, .. } => self.on_commit_refused(now, epoch),
            ToClient::Welcome { welcome, tree, epoch } => self.on_welcome(now, &welcome, &tree, epoch),
            ToClient::EpochReady { epoch } => self.epochs.ready(epoch),
            ToClient::GroupInfo { epoch, group_info } => self.on_group_info(now, epoch, &group_info),
            ToClient::Withdrawn { epoch } => self.on_withdrawn(now, epoch),
            ToClient::NeedKeyPackage {} => self.on_need_key_package(now),
            ToClient::Application { message } => self.on_application(now, message.0),
            ToClient::Acknowledged { acknowledgement } => self.on_acknowledged(now, acknowledgement),
            file @ (ToClient::FileRoom { .. } | ToClient::FilePart { .. } | ToClient::FileRefused { .. }) => {
                self.on_file(now, file);
            }
            ToClient::Receipt { receipt } => self.on_receipt(now, &receipt),
            ToClient::Beacon { beacon } => self.on_beacon(now, &beacon),
            ToClient::HostAct { act } => self.on_host_act(now, &act),
            ToClient::Waiting { waiting } => self.on_waiting(now, waiting),
            ToClient::Pong {} => {}
            ToClient::RosterChanged { entry } => {
                self.hosting.row(&entry);
                self.see_guest(now, &entry);
                self.tell(Event::Passed(ToClient::RosterChanged { entry }));
                self.tell_hosts();
            }
            passed @ (ToClient::RosterLeft { .. }
            | ToClient::PublishAnswer { .. }
            | ToClient::SubscribeOffer { .. }
            | ToClient::RecordLink { .. }
            | ToClient::FirmSuspended { .. }
            | ToClient::Relays { .. }
            | ToClient::Speaker { .. }
            | ToClient::LayersWanted { .. }
            | ToClient::CodecRefused { .. }
            | ToClient::Feeds { .. }
            | ToClient::Problem(_)) => self.tell(Event::Passed(passed)),
        }
        self.settle(now);
    }

    /// A message that did not read as JSON of the protocol.
    pub fn handle_unreadable(&mut self) {
        self.incident(IncidentKind::BadMessage, None);
    }

    /// Time has come.
    pub fn handle_timeout(&mut self, now: UnixMillis) {
        self.clock = now;
        if matches!(self.phase, Phase::Over) {
            self.epochs.expire(now);
            return;
        }
        self.resync_when_due(now);
        if self.ping_at.is_some_and(|at| at <= now) {
            self.ping_at = Some(now.plus(PING_MS));
            self.send(ToServer::Ping {});
        }
        self.settle(now);
    }

    /// When [`Session::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<UnixMillis> {
        if matches!(self.phase, Phase::Over) {
            return self.epochs.next_expiry();
        }
        let timers = [
            self.stuck_until,
            self.resync_at,
            self.ping_at,
            self.epochs.next_expiry(),
            self.sender.flush_at().filter(|_| self.group.is_some()),
            self.next_sending_change(),
            self.next_speech(),
            self.next_file(self.clock),
        ];
        timers.into_iter().flatten().min()
    }

    /// The next thing to send or to know.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// What follows from any input or from time: keys expire, senders switch, manifests go, changes are told.
    fn settle(&mut self, now: UnixMillis) {
        self.clock = now;
        self.epochs.expire(now);
        self.switch(now);
        self.sender.tick(now);
        self.send_manifests(now);
        self.speak(now);
        self.move_files(now);
        if matches!(self.phase, Phase::Over) {
            return;
        }
        let state = self.send_state(now);
        if self.told.as_ref() != Some(&state) {
            self.told = Some(state.clone());
            self.tell(Event::Sending(state));
        }
        if let Some(states) = self.recorders.report(now, self.epochs.latest()) {
            self.tell(Event::Recorders(states));
        }
    }

    /// The session is over: keys go, a recorder's stay for the frames still on the record link.
    fn end(&mut self, problem: Problem) {
        self.sender.clear();
        self.group = None;
        if self.own.role != LeafRole::Recorder {
            self.epochs = Epochs::new(self.own.role);
        }
        self.phase = Phase::Over;
        let stopped = SendState::Stopped { why: StopReason::Removed, firm: None };
        if self.told.as_ref() != Some(&stopped) {
            self.told = Some(stopped.clone());
            self.tell(Event::Sending(stopped));
        }
        self.tell(Event::Removed { problem });
    }

    /// Tells signaling that we go; the session is over once it answers or the connection closes.
    pub fn leave(&mut self) {
        if !matches!(self.phase, Phase::Over) {
            self.sender.leave_epoch();
            // the last frames are named before we go
            self.send_manifests(self.clock);
            self.send(ToServer::Leave {});
        }
    }
    /// Host: asks for a removal.
    pub fn remove(&mut self, participant: ParticipantId) {
        self.send(ToServer::Remove { participant });
    }

    /// I will seal on this slot. Ignored when the slot is not of the codec's kind.
    pub fn add_source(&mut self, slot: Slot, codec: Codec) {
        self.sender.add_source(slot, codec);
    }

    /// Opens a frame that came on a track of `from` whose source starts at `first_slot`.
    pub fn open(
        &mut self,
        now: UnixMillis,
        from: &ParticipantId,
        first_slot: Slot,
        codec: Codec,
        wire: &[u8],
    ) -> Result<Opened, OpenError> {
        self.epochs.opener(now, from, first_slot, codec, wire)?.open(codec, wire)
    }
    /// The same for who keeps frames as they are and shows none: the clear frame is overwritten where it was opened.
    pub fn check(
        &mut self,
        now: UnixMillis,
        from: &ParticipantId,
        first_slot: Slot,
        codec: Codec,
        wire: &[u8],
    ) -> Result<Authentic, OpenError> {
        self.epochs.opener(now, from, first_slot, codec, wire)?.check(codec, wire)
    }

    /// Who we are.
    pub fn own(&self) -> &Identity {
        &self.own
    }
    /// Epoch of the group, if we are in it.
    pub fn epoch(&self) -> Option<Epoch> {
        self.group.as_ref().map(Group::epoch)
    }
    /// Members of the newest epoch, by leaf.
    pub fn members(&self) -> Vec<Member> {
        self.epochs.latest().map(entry::members).unwrap_or_default()
    }
    /// The terms, once admitted.
    pub fn terms(&self) -> Option<&MeetingTerms> {
        self.meeting.as_ref().map(|meeting| &*meeting.terms)
    }
    /// The judged rules, once admitted.
    pub fn rules(&self) -> Option<&MeetingRules> {
        self.meeting.as_ref().map(|meeting| &*meeting.rules)
    }
    /// Epoch we seal in; `None` while nothing is sealed.
    pub fn sending_epoch(&self) -> Option<Epoch> {
        self.epochs.by_generation(self.sender.generation()?).map(|state| state.epoch)
    }
    /// Is it over?
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }
}

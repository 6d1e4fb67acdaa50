//! One room as it lives: connection to signaling, e2ee session, recording and record link, in one task.
//!
//! While signaling is away the record link and the recording go on with the keys the session holds.

use crate::archive::Folder;
use crate::clock::{self, now};
use crate::enrol::{self, Enrolment};
use crate::link::{FromLink, Link, Target};
use crate::net::Socket;
use crate::recording::{self, FromDisk, NoKeys, Recording};
use crate::room::Shared;
use crate::tls;
use domain::message::client::{Problem, ProblemCode, ToClient, ToServer};
use domain::message::record_link::ToSfuRecord;
use domain::policy::{Rule, Statement};
use domain::{Codec, Epoch, ParticipantId, RoomId, Slot, UnixMillis};
use e2ee::session::{Event, OpenError, Session, SessionConfig};
use evidence::archive::manifest::Closed;
use evidence::archive::{ArchiveEvent, Digest, EpochKey, event};
use evidence::receipt::{Beacon, Receipt};
use recorder_core::{Input, Opener, Output, Phase, Verdict};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// Between two attempts to reach signaling, ms: doubled up to the second.
const REDIAL_MS: (u64, u64) = (500, 15_000);
/// Signaling parks a recorder until a person enters. So long without an admission means: the meeting that this recorder
/// knew is over, ms. If it was not (a slow signaling), its archive is opened again at the admission.
const PARKED_MS: u64 = 3_000;
/// After the end of a meeting the SFU is listened to so long, or until it closes, ms.
const LINGER_MS: u64 = 1_000;
/// The record link is asked for again after, ms.
const LINK_RETRY_MS: u64 = 1_000;
/// Signaling answers pings: a connection silent for so long is dead, ms.
const SILENT_MS: u64 = 30_000;
/// A leaf with less life left is renewed at the next connection, s.
const RENEW_S: u64 = 3_600;
/// State of the clock is noted so often, ms.
const CLOCK_MS: u64 = 60_000;
/// The record link is read only while fewer bytes wait for the disk: a slow disk must not fill the memory.
const MAX_WAITING: usize = 64 << 20;

/// The session as the core's opener.
struct Keys<'a>(Option<&'a mut Session>);

impl Opener for Keys<'_> {
    fn open(&mut self, now: UnixMillis, from: &ParticipantId, first_slot: Slot, codec: Codec, wire: &[u8]) -> Verdict {
        let Some(session) = &mut self.0 else { return Verdict::NoKey };
        match session.open(now, from, first_slot, codec, wire) {
            Ok(opened) => {
                // the clear frame is wiped, not kept
                drop(Zeroizing::new(opened.frame));
                Verdict::Opened
            }
            Err(OpenError::NotYet) => Verdict::NotYet,
            Err(OpenError::Duplicate) => Verdict::Duplicate,
            Err(OpenError::UnknownEpoch) => Verdict::NoKey,
            Err(_) => Verdict::Rejected,
        }
    }
}

struct Dialed {
    socket: Socket,
    enrolment: Option<Enrolment>,
}

/// What a room's task waits for.
enum Woken {
    Text(Option<String>),
    Dialed(Result<Dialed, String>),
    Link(Option<FromLink>),
    Disk(FromDisk),
    Time,
}

/// One room.
pub struct Live {
    shared: Arc<Shared>,
    room: RoomId,
    unfinished: Vec<Folder>,
    session: Option<Session>,
    chain: Vec<Vec<u8>>,
    pkcs8: Zeroizing<Vec<u8>>,
    /// Counts the leaves enrolled here; a recording belongs to one.
    leaf: u64,
    recorded_leaf: u64,
    socket: Option<Socket>,
    heard_ms: u64,
    dialing: Option<JoinHandle<Result<Dialed, String>>>,
    dial_at_ms: u64,
    redial_ms: u64,
    said_hello_ms: Option<u64>,
    admitted: bool,
    outbox: VecDeque<ToServer>,
    /// Who is connected besides recorders.
    people: BTreeSet<ParticipantId>,
    recording: Option<Recording>,
    statement: Option<Statement>,
    link: Option<Link>,
    ask_link_ms: Option<u64>,
    clock_ms: u64,
}

impl Live {
    /// A room with the meetings that a stopped process left in it.
    pub fn new(shared: Arc<Shared>, room: RoomId, unfinished: Vec<Folder>) -> Self {
        Self {
            shared,
            room,
            unfinished,
            session: None,
            chain: Vec::new(),
            pkcs8: Zeroizing::default(),
            leaf: 0,
            recorded_leaf: 0,
            socket: None,
            heard_ms: 0,
            dialing: None,
            dial_at_ms: 0,
            redial_ms: REDIAL_MS.0,
            said_hello_ms: None,
            admitted: false,
            outbox: VecDeque::new(),
            people: BTreeSet::new(),
            recording: None,
            statement: None,
            link: None,
            ask_link_ms: None,
            clock_ms: 0,
        }
    }

    /// Runs until the process stops.
    pub async fn run(mut self) {
        loop {
            self.timers().await;
            self.pump().await;
            match self.wait().await {
                Woken::Text(Some(text)) => self.heard(&text),
                Woken::Text(None) => self.disconnected("signaling closed the connection"),
                Woken::Dialed(done) => self.dialed(done),
                Woken::Link(Some(FromLink::Message(message))) => self.core(Input::Link(message)),
                Woken::Link(Some(FromLink::Down(why))) => self.link_down(&why),
                Woken::Link(None) => self.link_down("it ended"),
                Woken::Disk(done) => self.disk(done),
                Woken::Time => {}
            }
        }
    }

    async fn wait(&mut self) -> Woken {
        let due = clock::instant(self.next_timer());
        let may_read = self.recording.as_ref().is_none_or(|recording| recording.core.waiting_bytes() < MAX_WAITING);
        tokio::select! {
            biased;
            done = async { match &mut self.recording { Some(one) => one.disk().await, None => std::future::pending().await } } => Woken::Disk(done),
            text = async { match &mut self.socket { Some(one) => one.next().await, None => std::future::pending().await } } => Woken::Text(text),
            done = async { match &mut self.dialing { Some(one) => one.await, None => std::future::pending().await } } => {
                self.dialing = None;
                Woken::Dialed(done.unwrap_or_else(|e| Err(e.to_string())))
            }
            () = tokio::time::sleep_until(due) => Woken::Time,
            message = async { match &mut self.link { Some(one) if may_read => one.incoming.recv().await, _ => std::future::pending().await } } => Woken::Link(message),
        }
    }

    fn next_timer(&self) -> u64 {
        let now = now();
        let session = self.session.as_ref().and_then(Session::poll_timeout).map(|at| clock::mono_of(at, now));
        let dial = (self.socket.is_none() && self.dialing.is_none()).then_some(self.dial_at_ms);
        let silent = self.socket.is_some().then_some(self.heard_ms + SILENT_MS);
        let parked = self.parked_at();
        let recording = self.recording.as_ref().and_then(Recording::poll_timeout);
        let clock = self.recording.is_some().then_some(self.clock_ms + CLOCK_MS);
        let timers = [session, dial, silent, parked, recording, clock, self.ask_link_ms];
        timers.into_iter().flatten().min().unwrap_or(now.mono_ms + SILENT_MS).max(now.mono_ms)
    }

    /// When it is clear that the meeting known here is over.
    fn parked_at(&self) -> Option<u64> {
        let knows = self.recording.is_some() || !self.unfinished.is_empty();
        self.said_hello_ms.filter(|_| knows && !self.admitted).map(|at| at + PARKED_MS)
    }

    async fn timers(&mut self) {
        let now = now();
        if self.socket.is_none() && self.dialing.is_none() && now.mono_ms >= self.dial_at_ms {
            self.dial(now.wall);
        }
        if self.socket.is_some() && now.mono_ms >= self.heard_ms + SILENT_MS {
            self.disconnected("signaling fell silent");
        }
        if self.parked_at().is_some_and(|at| now.mono_ms >= at) {
            if let Some(recording) = self.recording.take() {
                tokio::spawn(finish(recording, self.link.take(), None, self.shared.clone()));
            }
            self.close_unfinished(None);
        }
        if let Some(session) = &mut self.session
            && session.poll_timeout().is_some_and(|at| at <= now.wall)
        {
            session.handle_timeout(now.wall);
        }
        if let Some(recording) = &mut self.recording {
            recording.tick();
            if recording.core.poll_timeout().is_some_and(|at| at <= now.mono_ms) {
                recording.core.handle_timeout(now, &mut Keys(self.session.as_mut()));
            }
            if now.mono_ms >= self.clock_ms + CLOCK_MS {
                self.clock_ms = now.mono_ms;
                recording.core.clock(now, clock::state());
            }
        }
        if self.ask_link_ms.is_some_and(|at| now.mono_ms >= at) {
            self.ask_link_ms = None;
            if self.admitted && self.link.is_none() && self.wants_link() {
                self.outbox.push_back(ToServer::NeedRecordLink {});
                self.ask_link_ms = Some(now.mono_ms + 5 * LINK_RETRY_MS);
            }
        }
    }

    fn wants_link(&self) -> bool {
        let rule = self.statement.as_ref().map(|statement| statement.audio_video);
        let writable = self.recording.as_ref().is_some_and(|one| one.core.phase() != Phase::Failed);
        writable && matches!(rule, Some(Rule::Must | Rule::Should))
    }

    fn dial(&mut self, wall: UnixMillis) {
        let fresh = self.session.as_ref().is_some_and(|s| s.own().not_after_s > wall.seconds() + RENEW_S);
        let shared = self.shared.clone();
        self.dialing = Some(tokio::spawn(async move {
            let enrolment = if fresh { None } else { Some(enrol::enrol(&shared.config, &shared.custody).await?) };
            let socket = Socket::dial(&shared.config).await?;
            Ok(Dialed { socket, enrolment })
        }));
    }

    fn dialed(&mut self, done: Result<Dialed, String>) {
        let now = now();
        let Dialed { socket, enrolment } = match done {
            Ok(dialed) => dialed,
            Err(e) => {
                tracing::warn!(room = %self.room, "not connected: {e}");
                return self.redial(now.mono_ms);
            }
        };
        match enrolment {
            None => {
                if let Some(session) = &mut self.session {
                    session.reconnect(now.wall);
                }
            }
            Some(Enrolment { key, chain, pkcs8 }) => {
                let config =
                    SessionConfig { key, chain: chain.clone(), trust: self.shared.trust.clone(), room: self.room.clone() };
                match Session::new(config, now.wall) {
                    Ok(session) => self.session = Some(session),
                    Err(e) => {
                        tracing::error!(room = %self.room, "the certificate from our front is not usable: {e}");
                        return self.redial(now.mono_ms);
                    }
                }
                (self.chain, self.pkcs8) = (chain, pkcs8);
                self.leaf += 1;
            }
        }
        self.socket = Some(socket);
        self.heard_ms = now.mono_ms;
        self.said_hello_ms = Some(now.mono_ms);
        self.admitted = false;
        self.outbox.clear();
    }

    fn redial(&mut self, now_ms: u64) {
        self.dial_at_ms = now_ms + self.redial_ms;
        self.redial_ms = (self.redial_ms * 2).min(REDIAL_MS.1);
    }

    fn disconnected(&mut self, why: &str) {
        tracing::info!(room = %self.room, "{why}");
        self.socket = None;
        self.said_hello_ms = None;
        self.admitted = false;
        self.outbox.clear();
        self.redial(now().mono_ms);
    }

    fn heard(&mut self, text: &str) {
        let now = now();
        self.heard_ms = now.mono_ms;
        let Some(session) = &mut self.session else { return };
        match serde_json::from_str::<ToClient>(text) {
            Ok(message) => session.handle(now.wall, message),
            Err(_) => session.handle_unreadable(),
        }
    }

    /// Gives the core something.
    fn core(&mut self, input: Input) {
        if let Some(recording) = &mut self.recording {
            recording.core.handle(now(), input, &mut Keys(self.session.as_mut()));
        }
    }

    fn note(&mut self, event: ArchiveEvent) {
        self.core(Input::Event(event));
    }

    async fn pump(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.session.as_mut().and_then(Session::poll_output) {
                quiet = false;
                match output {
                    e2ee::session::Output::Send(message) => self.outbox.push_back(message),
                    e2ee::session::Output::Event(event) => self.session_event(event).await,
                }
            }
            for output in self.recording.as_mut().map(Recording::pump).unwrap_or_default() {
                quiet = false;
                self.core_output(output);
            }
            if quiet {
                break;
            }
        }
        while let Some(message) = self.outbox.pop_front() {
            let Some(socket) = &mut self.socket else { return self.outbox.clear() };
            let text = serde_json::to_string(&message).expect("messages are plain data");
            if let Err(e) = socket.send(text).await {
                return self.disconnected(&e);
            }
        }
    }

    async fn session_event(&mut self, event: Event) {
        match event {
            Event::Admitted { roster, .. } => {
                let people = roster.into_iter().filter(|entry| !entry.recorder);
                self.people = people.map(|entry| entry.participant).collect();
                self.on_admitted().await;
            }
            Event::Epoch { epoch, members, .. } => self.on_epoch(epoch, members),
            Event::Manifest { from, manifest } => self.core(Input::SenderManifest { from, signed: manifest }),
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

    async fn on_admitted(&mut self) {
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
        if self.recording.as_ref().is_some_and(|recording| recording.meeting_id != terms.meeting) {
            self.meeting_over();
        }
        let armed = match &mut self.recording {
            Some(_) if self.recorded_leaf == self.leaf => Ok(()),
            Some(recording) => recording.renew(&self.shared, &statement).await,
            None => match Recording::open(&self.shared, &terms, &statement).await {
                Ok(recording) => {
                    self.recording = Some(recording);
                    self.clock_ms = now().mono_ms;
                    Ok(())
                }
                Err(e) => Err(e),
            },
        };
        if let Err(e) = armed {
            tracing::error!(room = %self.room, "recording cannot start: {e}");
            return self.step_back();
        }
        self.recorded_leaf = self.leaf;
        self.statement = Some(statement);
        if self.link.is_none() {
            self.ask_link_ms = Some(now().mono_ms);
        }
    }

    /// Leaves a meeting that cannot or must not be recorded, and tries again later.
    fn step_back(&mut self) {
        self.session = None;
        self.redial_ms = REDIAL_MS.1;
        self.disconnected("leaving the room");
    }

    fn on_epoch(&mut self, epoch: Epoch, members: Vec<e2ee::session::Member>) {
        tracing::info!(room = %self.room, epoch = epoch.0, members = members.len(), "epoch");
        let Some(transcript) = self.session.as_ref().and_then(|session| session.transcript_hash(epoch)) else { return };
        let members = members
            .into_iter()
            .map(|one| event::Member { leaf: one.leaf, participant: one.participant, name: one.name, role: one.role })
            .collect();
        self.core(Input::Epoch { epoch, transcript_hash: Digest(transcript), members });
        self.seal_epoch(epoch);
    }

    fn seal_epoch(&mut self, epoch: Epoch) {
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
    }

    fn on_removed(&mut self, problem: &Problem) {
        // with people still there it was this recorder that was taken for gone: it comes back
        let over = problem.code == ProblemCode::Removed && self.people.is_empty();
        if over {
            self.meeting_over();
        }
        self.session = None;
        if problem.code != ProblemCode::Removed {
            tracing::error!(room = %self.room, code = ?problem.code, "signaling refuses this recorder: {}", problem.detail);
            self.redial_ms = self.redial_ms.max(REDIAL_MS.1 / 4);
        }
        self.disconnected(if over { "the meeting is over" } else { "refused" });
    }

    fn on_passed(&mut self, message: ToClient) {
        match message {
            ToClient::RecordLink { address, server_name, certificate, token } => {
                self.dial_link(address, server_name, &certificate, token);
            }
            ToClient::RosterChanged { entry } => {
                if !entry.recorder && self.people.insert(entry.participant.clone()) {
                    self.note(ArchiveEvent::Joined { participant: entry.participant });
                }
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

    fn dial_link(&mut self, address: String, server_name: String, certificate: &[u8], token: domain::B64) {
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

    fn link_down(&mut self, why: &str) {
        tracing::warn!(room = %self.room, "the record link is down: {why}");
        self.link = None;
        self.core(Input::LinkDown);
        self.ask_link_ms = Some(now().mono_ms + LINK_RETRY_MS);
    }

    fn disk(&mut self, done: FromDisk) {
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
                if recording.reopened(&self.shared, found, &event) {
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

    fn core_output(&mut self, output: Output) {
        match output {
            Output::Ack { seq } => self.to_sfu(ToSfuRecord::Ack { seq }),
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
                self.outbox.push_back(ToServer::Receipt { receipt: signed.into() });
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
            Output::Finished => {
                if let Some(recording) = self.recording.take() {
                    tokio::spawn(recording.conclude(self.shared.clone(), Closed::Ended));
                }
            }
            Output::Commit(_) | Output::Seal(_) => {}
        }
    }

    fn to_sfu(&self, message: ToSfuRecord) {
        if let Some(link) = &self.link {
            link.send(message);
        }
    }

    /// The meeting known here is over: what the SFU still has to say is taken, then everything is closed, in a task of its
    /// own so that the next meeting can begin.
    fn meeting_over(&mut self) {
        let Some(recording) = self.recording.take() else { return };
        self.ask_link_ms = None;
        self.statement = None;
        tokio::spawn(finish(recording, self.link.take(), self.session.take(), self.shared.clone()));
    }

    /// Closes meetings that a stopped process left, but for the one that goes on.
    fn close_unfinished(&mut self, going_on: Option<&domain::MeetingId>) {
        for folder in std::mem::take(&mut self.unfinished) {
            if Some(&folder.meeting) != going_on {
                tokio::spawn(recording::close_unfinished(self.shared.clone(), folder));
            }
        }
    }
}

async fn finish(mut recording: Recording, mut link: Option<Link>, mut session: Option<Session>, shared: Arc<Shared>) {
    let meeting = recording.meeting_id.clone();
    let linger = tokio::time::Instant::now() + Duration::from_millis(LINGER_MS);
    let mut told = false;
    loop {
        for output in recording.pump() {
            match output {
                Output::Finished => return recording.conclude(shared, Closed::Ended).await,
                Output::Ack { seq } => {
                    if let Some(link) = &link {
                        link.send(ToSfuRecord::Ack { seq });
                    }
                }
                _ => {}
            }
        }
        if link.is_none() && !told {
            told = true;
            recording.core.handle(now(), Input::Finish, &mut Keys(session.as_mut()));
            continue;
        }
        let due = clock::instant(recording.core.poll_timeout().unwrap_or(u64::MAX / 2).min(now().mono_ms + LINGER_MS));
        tokio::select! {
            done = recording.disk() => match done {
                FromDisk::Commit(ticket, Ok(())) => recording.core.handle(now(), Input::Committed { ticket }, &mut NoKeys),
                FromDisk::Commit(_, Err(e)) => {
                    return tracing::error!(%meeting, "the archive fails at its end ({e}); the next start closes the meeting");
                }
                FromDisk::Reopened(_) => {}
            },
            message = async { match &mut link { Some(one) => one.incoming.recv().await, None => std::future::pending().await } } => {
                match message {
                    Some(FromLink::Message(message)) => {
                        recording.core.handle(now(), Input::Link(message), &mut Keys(session.as_mut()));
                    }
                    Some(FromLink::Down(_)) | None => link = None,
                }
            }
            () = tokio::time::sleep_until(linger), if link.is_some() => link = None,
            () = tokio::time::sleep_until(due) => recording.core.handle_timeout(now(), &mut Keys(session.as_mut())),
        }
    }
}

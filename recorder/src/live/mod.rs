//! One room as it lives: connection to signaling, e2ee session, recording and record link, in one task.
//!
//! While signaling is away the record link and the recording go on with the keys the session holds.

mod connection;
mod ending;
mod meeting;

use crate::archive::Folder;
use crate::clock::{self, now};
use crate::enrol::Enrolment;
use crate::link::{FromLink, Link};
use crate::net::{Heard, Socket};
use crate::recording::{self, FromDisk, Recording};
use crate::room::Shared;
use domain::message::client::ToServer;
use domain::message::record_link::FromSfuRecord;
use domain::policy::{Rule, Statement};
use domain::{B64, Codec, ParticipantId, RoomId, Slot, UnixMillis};
use e2ee::leaf::LeafKey;
use e2ee::session::{OpenError, Session};
use evidence::archive::{ArchiveEvent, Digest};
use recorder_core::{Input, Opener, Phase, Verdict};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

/// Between two attempts to reach signaling, ms: doubled up to the second. People of a must firm wait for us.
const REDIAL_MS: (u64, u64) = (500, 2_000);
/// A room that cannot or must not be recorded is looked at again after, ms.
const STEP_BACK_MS: u64 = 15_000;
/// Signaling parks a recorder until a person enters. So long without an admission means: the meeting that this recorder
/// knew is over, ms. If it was not (a slow signaling), its archive is opened again at the admission.
const PARKED_MS: u64 = 3_000;
/// After the end of a meeting the SFU is listened to so long, or until it closes, ms.
const LINGER_MS: u64 = 1_000;
/// The record link is asked for again after, ms.
const LINK_RETRY_MS: u64 = 1_000;
/// Signaling pings every 10 s: a connection silent for so long is dead, ms.
const SILENT_MS: u64 = 30_000;
/// A leaf with less life left is renewed between meetings, s.
const RENEW_S: u64 = 3_600;
/// State of the clock is noted so often, ms.
const CLOCK_MS: u64 = 60_000;
/// Messages of the record link taken before anything else is looked at: 2 ms of work, 70 kB.
const MESSAGES_A_TURN: usize = 64;
/// The record link is read only while fewer bytes wait for the disk: a slow disk must not fill the memory.
const MAX_WAITING: usize = 64 << 20;

/// The session as the core's opener.
struct Keys<'a> {
    session: Option<&'a mut Session>,
    /// Of the frame opened last.
    sha256: Option<Digest>,
}

impl<'a> Keys<'a> {
    fn new(session: Option<&'a mut Session>) -> Self {
        Self { session, sha256: None }
    }
}

impl Opener for Keys<'_> {
    fn open(&mut self, now: UnixMillis, from: &ParticipantId, first_slot: Slot, codec: Codec, wire: &[u8]) -> Verdict {
        self.sha256 = None;
        let Some(session) = &mut self.session else { return Verdict::NoKey };
        match session.check(now, from, first_slot, codec, wire) {
            Ok(authentic) => {
                self.sha256 = Some(Digest(authentic.sha256));
                Verdict::Opened
            }
            Err(OpenError::NotYet) => Verdict::NotYet,
            Err(OpenError::Duplicate) => Verdict::Duplicate,
            Err(OpenError::UnknownEpoch) => Verdict::NoKey,
            Err(_) => Verdict::Rejected,
        }
    }
    fn sha256(&self) -> Option<Digest> {
        self.sha256
    }
}

struct Dialed {
    socket: Socket,
    enrolment: Option<Enrolment>,
}

/// What a room's task waits for.
enum Woken {
    Signaling(Option<Heard>),
    Dialed(Box<Result<Dialed, String>>),
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
    /// When the leaf is renewed, if no meeting runs, s since 1970.
    renew_at_s: u64,
    chain: Vec<Vec<u8>>,
    pkcs8: Zeroizing<Vec<u8>>,
    /// The leaf key again, for checkpoints.
    secret: Zeroizing<[u8; 32]>,
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
    /// The last receipt and the leaf that signed it.
    receipt: Option<(u64, B64)>,
    /// Who is connected besides recorders.
    people: BTreeSet<ParticipantId>,
    /// Acknowledgements and host acts that this recording has, by hash.
    noted: BTreeSet<[u8; 32]>,
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
            secret: Zeroizing::default(),
            leaf: 0,
            recorded_leaf: 0,
            renew_at_s: u64::MAX,
            socket: None,
            heard_ms: 0,
            dialing: None,
            dial_at_ms: 0,
            redial_ms: REDIAL_MS.0,
            said_hello_ms: None,
            admitted: false,
            outbox: VecDeque::new(),
            receipt: None,
            people: BTreeSet::new(),
            noted: BTreeSet::new(),
            recording: None,
            statement: None,
            link: None,
            ask_link_ms: None,
            clock_ms: 0,
        }
    }

    /// Runs until the process stops.
    pub async fn run(mut self) {
        self.restore().await;
        loop {
            self.timers().await;
            self.pump().await;
            match self.wait().await {
                Woken::Signaling(Some(Heard::Text(text))) => self.heard(&text),
                Woken::Signaling(Some(Heard::Life)) => self.heard_ms = now().mono_ms,
                Woken::Signaling(None) => self.disconnected("signaling closed the connection"),
                Woken::Dialed(done) => self.dialed(*done),
                Woken::Link(Some(FromLink::Message(message))) => self.link_messages(message),
                Woken::Link(Some(FromLink::Down(why))) => self.link_down(&why),
                Woken::Link(None) => self.link_down("it ended"),
                Woken::Disk(done) => self.disk(done),
                Woken::Time => {}
            }
        }
    }

    /// Goes on with the group state of a stopped process, where there is one.
    async fn restore(&mut self) {
        let Some(folder) = self.unfinished.last() else { return };
        let Some((session, enrolment)) = recording::restore(&self.shared, &self.room, folder).await else { return };
        tracing::info!(room = %self.room, meeting = %folder.meeting, "group state restored from its checkpoint");
        self.session = Some(session);
        self.take_leaf(enrolment);
    }

    fn take_leaf(&mut self, enrolment: Enrolment) -> LeafKey {
        self.secret = enrolment.key.to_secret();
        (self.chain, self.pkcs8) = (enrolment.chain, enrolment.pkcs8);
        self.leaf += 1;
        enrolment.key
    }

    async fn wait(&mut self) -> Woken {
        let due = clock::instant(self.next_timer());
        let may_read = self.recording.as_ref().is_none_or(|recording| recording.core.waiting_bytes() < MAX_WAITING);
        tokio::select! {
            biased;
            done = async { match &mut self.recording { Some(one) => one.disk().await, None => std::future::pending().await } } => Woken::Disk(done),
            heard = async { match &mut self.socket { Some(one) => one.next().await, None => std::future::pending().await } } => Woken::Signaling(heard),
            done = async { match &mut self.dialing { Some(one) => one.await, None => std::future::pending().await } } => {
                self.dialing = None;
                Woken::Dialed(Box::new(done.unwrap_or_else(|e| Err(e.to_string()))))
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
        if self.renews(now.wall) {
            self.disconnected("the certificate is renewed");
            self.dial_at_ms = now.mono_ms;
        }
        if self.parked_at().is_some_and(|at| now.mono_ms >= at) {
            if let Some(recording) = self.recording.take() {
                tokio::spawn(ending::finish(recording, self.link.take(), self.session.take(), self.shared.clone()));
            }
            self.close_unfinished(None);
            // the next meeting gets a session of its own
            self.session = None;
            self.disconnected("the meeting known here is over");
        }
        if let Some(session) = &mut self.session
            && session.poll_timeout().is_some_and(|at| at <= now.wall)
        {
            session.handle_timeout(now.wall);
        }
        if let Some(recording) = &mut self.recording {
            recording.tick();
            if recording.core.poll_timeout().is_some_and(|at| at <= now.mono_ms) {
                recording.core.handle_timeout(now, &mut Keys::new(self.session.as_mut()));
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

    /// Takes a message of the record link and what came with it: timers and outputs are looked at once for all of them.
    fn link_messages(&mut self, first: FromSfuRecord) {
        self.core(Input::Link(first));
        for _ in 1..MESSAGES_A_TURN {
            match self.link.as_mut().map(|link| link.incoming.try_recv()) {
                Some(Ok(FromLink::Message(message))) => self.core(Input::Link(message)),
                Some(Ok(FromLink::Down(why))) => return self.link_down(&why),
                Some(Err(_)) | None => return,
            }
        }
    }

    /// Gives the core something.
    fn core(&mut self, input: Input) {
        if let Some(recording) = &mut self.recording {
            recording.core.handle(now(), input, &mut Keys::new(self.session.as_mut()));
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
}

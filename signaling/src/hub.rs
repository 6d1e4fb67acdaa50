//! What all tasks share: connections, rooms, the one SFU. Rooms run as one actor each; a connection is a bounded queue.

use crate::actor::RoomActor;
use crate::clock::Clock;
use crate::loaded::Loaded;
use crate::relays::Relays;
use crate::revoked::Lists;
use crate::rooms;
use crate::statements::Statements;
use crate::truth::{self, Truth};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use domain::message::control::{FromSfu, ToSfu};
use domain::{FirmId, MeetingId, RoomId, UserId};
use evidence::identity::TrustMap;
use service::traces::Span;
use signaling_core::meeting::Held;
use signaling_core::{ConnId, Feed, Input, Ports, Randomness, View};
use signaling_store::{Notice, RoomDirectory};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, Semaphore, mpsc, watch};

/// Connections at once: 9 KiB of buffers each, some 40 MB.
pub const MAX_CONNECTIONS: usize = 4_096;
/// Messages waiting for one slow client: a burst of 250 roster rows and the commits of a minute.
pub const CONNECTION_QUEUE: usize = 1_024;
/// Inputs waiting for one room.
pub const ROOM_QUEUE: usize = 4_096;

/// To one connection's writer.
#[derive(Debug, Clone)]
pub enum Outbound {
    /// A message, serialised once for all its receivers.
    Text(axum::extract::ws::Utf8Bytes),
    /// Close after what was sent before.
    Close,
}

/// The SFU's control link as rooms see it.
#[derive(Debug, Clone)]
pub struct SfuHandle {
    /// Its first message.
    pub hello: FromSfu,
    /// To its writer.
    pub to: mpsc::Sender<ToSfu>,
}

/// A room whose meeting changed.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Which.
    pub room: RoomId,
    /// What was shown before.
    pub before: Option<Arc<View>>,
    /// What is shown now.
    pub now: Option<Arc<View>>,
}

/// Shared state.
pub struct Hub {
    /// Pinned firms.
    pub trust: Arc<TrustMap>,
    /// Time.
    pub clock: Clock,
    /// Origins of the fronts.
    pub origins: Vec<String>,
    /// Every connection's queue.
    pub connections: DashMap<ConnId, mpsc::Sender<Outbound>>,
    /// How long each join takes so far.
    pub joining: DashMap<ConnId, Span>,
    /// Room of each running meeting, for the SFU's messages.
    pub meetings: DashMap<MeetingId, mpsc::Sender<Input>>,
    /// The one SFU; `None` while none is connected.
    pub sfu: watch::Sender<Option<SfuHandle>>,
    /// Free connections.
    pub free: Arc<Semaphore>,
    /// TURN servers; `None` where the operator runs none.
    pub relays: Option<Arc<Relays>>,
    /// Rooms and their members.
    pub directory: Arc<dyn RoomDirectory>,
    /// Signed statements.
    pub statements: Statements,
    /// Who this process is in the database.
    pub truth: Arc<Truth>,
    /// Certificates that firms ended.
    pub revoked: Lists,
    /// What is to be seen of each running meeting.
    pub shown: DashMap<RoomId, Arc<View>>,
    /// Rooms of open incidents: of their members only these enter.
    pub narrowed: DashMap<RoomId, BTreeSet<(FirmId, UserId)>>,
    /// Told of meetings and people who come and go; full queues lose it.
    pub watcher: OnceLock<mpsc::Sender<Shown>>,
    rooms: DashMap<RoomId, mpsc::Sender<Input>>,
    /// Wakes a room to look at its members.
    looks: DashMap<RoomId, Arc<Notify>>,
    feed: Mutex<Feed>,
    notices: mpsc::Sender<(RoomId, Notice)>,
    notes: mpsc::Sender<truth::Note>,
    ports: Ports,
    next: AtomicU64,
}

/// Randomness of the operating system.
struct System;

impl Randomness for System {
    fn bytes(&self) -> [u8; 32] {
        rand::random()
    }
}

impl Hub {
    /// From what was loaded.
    pub fn new(loaded: &Loaded, revoked: Lists, truth: Truth) -> Arc<Self> {
        let ports = Ports {
            trust: loaded.trust.clone(),
            signer: loaded.orders.clone(),
            random: Arc::new(System),
            held: Held::default(),
        };
        let (notices, posted) = mpsc::channel(rooms::NOTICES);
        let (notes, written) = mpsc::channel(truth::NOTES);
        let truth = Arc::new(truth);
        let hub = Arc::new(Self {
            origins: loaded.config.origins.clone(),
            relays: loaded.relays.clone(),
            statements: Statements::new(loaded.config.statements.clone(), loaded.trust.clone(), truth.clone()),
            notices,
            notes,
            revoked,
            ..Self::with(ports, loaded.directory.clone(), truth)
        });
        let (keeper, clock) = (hub.truth.clone(), hub.clock);
        tokio::spawn(async move { keeper.keep(clock, written).await });
        tokio::spawn(rooms::post(hub.clone(), posted));
        tokio::spawn(rooms::follow(hub.clone()));
        hub
    }

    /// Without connections, origins, relays and statements.
    pub fn with(ports: Ports, directory: Arc<dyn RoomDirectory>, truth: Arc<Truth>) -> Self {
        let clock = Clock::start();
        let statements = Statements::new(PathBuf::new(), ports.trust.clone(), truth.clone());
        Self {
            trust: ports.trust.clone(),
            clock,
            origins: Vec::new(),
            connections: DashMap::new(),
            joining: DashMap::new(),
            meetings: DashMap::new(),
            sfu: watch::Sender::new(None),
            free: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            relays: None,
            revoked: Lists::none(),
            shown: DashMap::new(),
            narrowed: DashMap::new(),
            watcher: OnceLock::new(),
            directory,
            statements,
            truth,
            rooms: DashMap::new(),
            looks: DashMap::new(),
            feed: Mutex::new(Feed::new(clock.now())),
            notices: mpsc::channel(1).0,
            notes: mpsc::channel(1).0,
            ports,
            next: AtomicU64::new(1),
        }
    }

    /// A number for a new connection.
    pub fn number(&self) -> ConnId {
        ConnId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// 32 fresh random bytes.
    pub fn nonce(&self) -> [u8; 32] {
        rand::random()
    }

    /// The directory's stream as last heard of.
    pub fn feed(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What wakes this room to look at its members.
    pub fn looks_of(&self, room: &RoomId) -> Arc<Notify> {
        self.looks.entry(room.clone()).or_default().clone()
    }

    /// Members of this room may have changed.
    pub fn look_at(&self, room: &RoomId) {
        if let Some(looks) = self.looks.get(room) {
            looks.notify_one();
        }
    }

    /// Members of any room may have changed.
    pub fn look_everywhere(&self) {
        self.looks.iter().for_each(|looks| looks.notify_one());
    }

    /// Tells the people of a room, later and elsewhere. What finds no place is left out.
    pub fn tell_room(&self, room: &RoomId, notice: Notice) {
        let _ = self.notices.try_send((room.clone(), notice));
    }

    /// Writes something down, later and elsewhere: running meetings wait for no database.
    pub fn write_down(&self, note: truth::Note) {
        if let Err(TrySendError::Full(note)) = self.notes.try_send(note) {
            tracing::error!("too many notes wait for the database: one is lost: {note:?}");
        }
    }

    /// The room's actor; started at its first use. Rooms are as many as the directory has.
    pub fn room(self: &Arc<Self>, room: &RoomId) -> mpsc::Sender<Input> {
        match self.rooms.entry(room.clone()) {
            Entry::Occupied(there) => there.get().clone(),
            Entry::Vacant(free) => {
                let (sender, inputs) = mpsc::channel(ROOM_QUEUE);
                let actor = RoomActor::new(self.clone(), room.clone(), self.ports.clone(), sender.clone());
                // before its first join; the queue is empty
                let _ = sender.try_send(Input::Revoked(self.revoked.certificates()));
                let (hub, name, own) = (self.clone(), room.clone(), sender.clone());
                tokio::spawn(async move {
                    // its connections end with it: they wait on its queue
                    if tokio::spawn(actor.run(inputs)).await.is_err() {
                        service::security::report(service::security::Event::Panicked);
                        tracing::error!(
                            "a room failed (our bug): its meeting ends, its people come back into a new one"
                        );
                        hub.forget(&name, &own);
                    }
                });
                free.insert(sender.clone());
                sender
            }
        }
    }

    /// Every room hears which certificates count no more.
    pub async fn tell_revoked(&self) {
        let rooms: Vec<_> = self.rooms.iter().map(|room| room.value().clone()).collect();
        for room in rooms {
            // a room that is gone has nobody in it
            let _ = room.send(Input::Revoked(self.revoked.certificates())).await;
        }
    }

    /// A room's meeting is to be seen so from now on.
    pub fn show(&self, room: &RoomId, view: Option<View>) {
        let now = view.map(Arc::new);
        let before = match &now {
            Some(view) => self.shown.insert(room.clone(), view.clone()),
            None => self.shown.remove(room).map(|(_, view)| view),
        };
        if let Some(watcher) = self.watcher.get().filter(|_| before != now)
            && watcher.try_send(Shown { room: room.clone(), before, now }).is_err()
        {
            tracing::warn!("a change of a meeting was not noted: too many wait");
        }
    }

    /// A room's task is gone: the next who comes starts it anew, and the SFU forgets its meeting.
    fn forget(&self, room: &RoomId, gone: &mpsc::Sender<Input>) {
        self.rooms.remove_if(room, |_, sender| sender.same_channel(gone));
        self.show(room, None);
        let mut ended = Vec::new();
        self.meetings.retain(|meeting, sender| {
            let ours = sender.same_channel(gone);
            ended.extend(ours.then(|| meeting.clone()));
            !ours
        });
        let link = self.sfu.borrow().as_ref().map(|sfu| sfu.to.clone());
        for meeting in ended {
            if let Some(link) = &link {
                // a link whose queue is full is given up by the next room that writes to it
                let _ = link.try_send(ToSfu::MeetingEnded { meeting });
            }
        }
    }

    /// Hands a message of the SFU to the meeting it is about.
    pub async fn route(&self, message: FromSfu) {
        let room = meeting_of(&message).and_then(|meeting| self.meetings.get(meeting).map(|room| room.clone()));
        if let Some(room) = room {
            // a room that is gone has no use for it
            let _ = room.send(Input::Sfu(Box::new(message))).await;
        }
    }
}

fn meeting_of(message: &FromSfu) -> Option<&MeetingId> {
    match message {
        FromSfu::Hello { .. } => None,
        FromSfu::PublishAnswer { meeting, .. }
        | FromSfu::SubscribeOffer { meeting, .. }
        | FromSfu::Failed { meeting, .. }
        | FromSfu::LeavesTaken { meeting, .. }
        | FromSfu::Connected { meeting, .. }
        | FromSfu::Disconnected { meeting, .. }
        | FromSfu::FirmSuspended { meeting, .. }
        | FromSfu::RecordLink { meeting, .. }
        | FromSfu::Lost { meeting, .. }
        | FromSfu::Overload { meeting, .. }
        | FromSfu::Speaker { meeting, .. }
        | FromSfu::LayersWanted { meeting, .. }
        | FromSfu::CodecRefused { meeting, .. }
        | FromSfu::Feeds { meeting, .. } => Some(meeting),
    }
}

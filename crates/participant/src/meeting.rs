//! One meeting as a native participant lives it: the WebSocket, the e2ee session and the two connections, in one task.

use crate::login::{self, Enrolment};
use crate::peer::{Publisher, Received, Subscriber};
use crate::picture::Picture;
use crate::{ParticipantError, environment};
use domain::message::client::{SubscribedTrack, ToClient, ToServer};
use domain::message::custody::LeafRole;
use domain::{BlobId, Codec, DeviceId, Epoch, MediaKind, MeetingId, ParticipantId, RoomId, Slot, UnixMillis};
use e2ee::session::{Event, Output, SayError, SendState, Session, SessionConfig};
use e2ee::sframe::OpenError;
use evidence::host::Order;
use evidence::said::What;
use futures_util::{SinkExt, StreamExt};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;

type Dialing = tokio::task::JoinHandle<Result<Socket, ParticipantError>>;
type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Commands and happenings that wait; a test that reads nothing for a minute at 50 frames/s stays below.
const QUEUE: usize = 4_096;
/// Between two attempts to reach signaling again: a service that was restarted is back within some of them.
const REDIAL: Duration = Duration::from_millis(300);
/// Who leaves waits so long for the service to close the connection.
const FAREWELL: Duration = Duration::from_secs(2);
/// Wake-up when the session has no timer of its own.
const IDLE: Duration = Duration::from_millis(500);

/// Where and as whom to join.
#[derive(Clone)]
pub struct Join {
    /// `http://bank-a.localhost:8441`.
    pub front: String,
    /// Login name.
    pub user: String,
    /// Password at the development identity provider.
    pub password: String,
    /// Which room.
    pub room: RoomId,
    /// Device id: the same one again is the same participant.
    pub device: DeviceId,
    /// Sources to publish.
    pub sources: Vec<(Slot, Codec)>,
}

/// What a participant notices.
#[derive(Debug)]
#[non_exhaustive]
pub enum Happening {
    /// From the session (epochs, sending allowed or stopped, recorders, incidents, removal).
    Session(Event),
    /// A frame that verified.
    Frame {
        /// Whose.
        from: ParticipantId,
        /// First slot of its source.
        slot: Slot,
        /// The clear frame.
        data: Vec<u8>,
        /// Sender's monotonic clock, microseconds.
        capture_us: u64,
    },
    /// A frame that did not verify.
    Rejected {
        /// Whose section it came over.
        from: ParticipantId,
        /// Why.
        error: OpenError,
        /// The frame as it came.
        wire: Vec<u8>,
    },
    /// A picture cannot go on without a key frame: its sender is asked for one.
    KeyFrameAsked {
        /// Whose picture.
        from: ParticipantId,
        /// First slot of its source.
        slot: Slot,
    },
    /// A frame was not sealed: the session said no.
    NotSent {
        /// Slot.
        slot: Slot,
        /// Why.
        why: String,
    },
    /// The connection to signaling is gone; media goes on, and the participant dials again.
    Offline,
    /// Connected to signaling again; admission follows.
    Online,
    /// The meeting is over for this participant.
    Closed,
}

enum Command {
    Frame {
        slot: Slot,
        key_frame: bool,
        data: Vec<u8>,
        capture_us: u64,
    },
    Raw(Box<ToServer>),
    Wire {
        slot: Slot,
        wire: Vec<u8>,
        timestamp: u32,
    },
    Remove(ParticipantId),
    Say(String, oneshot::Sender<Result<u64, SayError>>),
    Share(String, String, Vec<u8>, oneshot::Sender<Result<BlobId, SayError>>),
    CancelShare(BlobId),
    Fetch([u8; 32], oneshot::Sender<Result<(), SayError>>),
    TakeFile([u8; 32], oneshot::Sender<Option<Vec<u8>>>),
    Declare(What, oneshot::Sender<Result<u64, SayError>>),
    Order(Order, oneshot::Sender<Result<(), SayError>>),
    #[cfg(feature = "test-secrets")]
    Reveal(oneshot::Sender<Vec<(String, Vec<u8>)>>),
    Leave(oneshot::Sender<()>),
}

/// A running participant.
pub struct Participant {
    /// Who it is.
    pub id: ParticipantId,
    commands: mpsc::Sender<Command>,
    happenings: mpsc::Receiver<Happening>,
}

/// Milliseconds since 1970.
pub fn now() -> UnixMillis {
    UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64))
}

impl Participant {
    /// Logs in, enrols and joins.
    pub async fn join(join: Join) -> Result<Self, ParticipantError> {
        let enrolment =
            login::enrol(&join.front, &join.user, &join.password, join.device.clone(), LeafRole::Member).await?;
        Self::enter(join, enrolment).await
    }

    /// Joins with an enrolment made before.
    pub async fn enter(join: Join, enrolment: Enrolment) -> Result<Self, ParticipantError> {
        let Enrolment { key, chain, trust, participant, signaling, .. } = enrolment;
        let socket = connect(&signaling).await?;
        let mut session = Session::new(SessionConfig { key, chain, trust, room: join.room.clone() }, now())
            .map_err(environment("begin a session"))?;
        for (slot, codec) in &join.sources {
            session.add_source(*slot, *codec);
        }
        let (commands, commands_rx) = mpsc::channel(QUEUE);
        let (happenings_tx, happenings) = mpsc::channel(QUEUE);
        let meeting = Meeting {
            session,
            signaling,
            socket: Some(socket),
            dialing: None,
            published_in: None,
            sources: join.sources,
            publisher: None,
            subscriber: None,
            frames: None,
            tracks: Vec::new(),
            held: VecDeque::new(),
            pictures: BTreeMap::new(),
            happenings: happenings_tx,
        };
        tokio::spawn(meeting.run(commands_rx));
        Ok(Self { id: participant, commands, happenings })
    }

    async fn command(&self, command: Command) -> Result<(), ParticipantError> {
        self.commands.send(command).await.map_err(|_| ParticipantError::Peer("the meeting is over".into()))
    }

    /// Seals and sends one frame.
    pub async fn send(
        &self,
        slot: Slot,
        key_frame: bool,
        data: Vec<u8>,
        capture_us: u64,
    ) -> Result<(), ParticipantError> {
        self.command(Command::Frame { slot, key_frame, data, capture_us }).await
    }

    /// Sends bytes as a frame without sealing them: what a liar would do.
    pub async fn send_wire(&self, slot: Slot, wire: Vec<u8>, timestamp: u32) -> Result<(), ParticipantError> {
        self.command(Command::Wire { slot, wire, timestamp }).await
    }

    /// Sends a signaling message past the session: what a liar would do.
    pub async fn send_raw(&self, message: ToServer) -> Result<(), ParticipantError> {
        self.command(Command::Raw(Box::new(message))).await
    }

    /// Says a chat line; its number.
    pub async fn say(&self, text: &str) -> Result<u64, ParticipantError> {
        let (answer, said) = oneshot::channel();
        self.command(Command::Say(text.to_owned(), answer)).await?;
        let said = said.await.map_err(|_| ParticipantError::Peer("the meeting is over".into()))?;
        said.map_err(environment("say something"))
    }

    /// Says something that is no chat line; its number.
    pub async fn declare(&self, what: What) -> Result<u64, ParticipantError> {
        let (answer, said) = oneshot::channel();
        self.command(Command::Declare(what, answer)).await?;
        let said = said.await.map_err(|_| ParticipantError::Peer("the meeting is over".into()))?;
        said.map_err(environment("say something"))
    }

    /// Host: orders something.
    pub async fn order(&self, order: Order) -> Result<(), ParticipantError> {
        let (answer, ordered) = oneshot::channel();
        self.command(Command::Order(order, answer)).await?;
        let ordered = ordered.await.map_err(|_| ParticipantError::Peer("the meeting is over".into()))?;
        ordered.map_err(environment("order something"))
    }

    /// Sends a file; its name at signaling.
    pub async fn share(&self, name: &str, media_type: &str, bytes: Vec<u8>) -> Result<BlobId, ParticipantError> {
        let (answer, shared) = oneshot::channel();
        self.command(Command::Share(name.to_owned(), media_type.to_owned(), bytes, answer)).await?;
        let shared = shared.await.map_err(|_| ParticipantError::Peer("the meeting is over".into()))?;
        shared.map_err(environment("send a file"))
    }

    /// Takes a file back that is still on its way.
    pub async fn cancel_share(&self, blob: BlobId) -> Result<(), ParticipantError> {
        self.command(Command::CancelShare(blob)).await
    }

    /// Asks for a file by the SHA-256 of what announced it; `Event::Fetched` or `Event::FileLost` follows.
    pub async fn fetch(&self, file: [u8; 32]) -> Result<(), ParticipantError> {
        let (answer, asked) = oneshot::channel();
        self.command(Command::Fetch(file, answer)).await?;
        let asked = asked.await.map_err(|_| ParticipantError::Peer("the meeting is over".into()))?;
        asked.map_err(environment("ask for a file"))
    }

    /// The bytes of a file that was fetched.
    pub async fn take_file(&self, file: [u8; 32]) -> Result<Option<Vec<u8>>, ParticipantError> {
        let (answer, bytes) = oneshot::channel();
        self.command(Command::TakeFile(file, answer)).await?;
        bytes.await.map_err(|_| ParticipantError::Peer("the meeting is over".into()))
    }

    /// As host: removes someone.
    pub async fn remove(&self, participant: ParticipantId) -> Result<(), ParticipantError> {
        self.command(Command::Remove(participant)).await
    }

    /// Every key this member holds, by name (tests only).
    #[cfg(feature = "test-secrets")]
    pub async fn reveal(&self) -> Result<Vec<(String, Vec<u8>)>, ParticipantError> {
        let (answer, keys) = oneshot::channel();
        self.command(Command::Reveal(answer)).await?;
        keys.await.map_err(|_| ParticipantError::Peer("the meeting is over".into()))
    }

    /// Next thing noticed; `None` when the meeting is over.
    pub async fn next(&mut self) -> Option<Happening> {
        self.happenings.recv().await
    }

    /// Leaves; returns when the connections are closed.
    pub async fn leave(self) {
        let (done, wait) = oneshot::channel();
        if self.commands.send(Command::Leave(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

/// Opens the WebSocket; `*.localhost` is this machine.
pub async fn connect(signaling: &str) -> Result<Socket, ParticipantError> {
    let url = reqwest::Url::parse(signaling).map_err(environment("read signaling's address"))?;
    let host = url.host_str().unwrap_or("localhost");
    let port = url.port_or_known_default().unwrap_or(443);
    let target = if host.ends_with("localhost") { "127.0.0.1" } else { host };
    let stream = tokio::net::TcpStream::connect((target, port)).await.map_err(environment("connect to signaling"))?;
    let (socket, _) = tokio_tungstenite::client_async_tls(signaling, stream)
        .await
        .map_err(environment("open signaling's WebSocket"))?;
    Ok(socket)
}

struct Meeting {
    session: Session,
    signaling: String,
    socket: Option<Socket>,
    dialing: Option<Dialing>,
    /// Meeting that the transports are of.
    published_in: Option<MeetingId>,
    sources: Vec<(Slot, Codec)>,
    publisher: Option<Publisher>,
    subscriber: Option<Subscriber>,
    frames: Option<mpsc::Receiver<Received>>,
    tracks: Vec<SubscribedTrack>,
    held: VecDeque<(UnixMillis, Received)>,
    /// Video sections by `a=mid`.
    pictures: BTreeMap<String, Picture>,
    happenings: mpsc::Sender<Happening>,
}

impl Meeting {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            if self.flush().await.is_err() {
                break;
            }
            let sleep = self.session.poll_timeout().map_or(IDLE, |at| Duration::from_millis(at.since(now()).min(500)));
            let frame = async {
                match &mut self.frames {
                    Some(frames) => frames.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = async {
                    match &mut self.socket {
                        Some(socket) => socket.next().await,
                        None => std::future::pending().await,
                    }
                } => match message {
                    Some(Ok(Message::Text(text))) => match serde_json::from_str::<ToClient>(&text) {
                        Ok(message) => self.session.handle(now(), message),
                        Err(error) => tracing::warn!(%error, "signaling sent something unknown"),
                    },
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None if self.session.is_over() => break,
                    Some(Err(_)) | None => self.disconnected(),
                },
                dialed = async {
                    match &mut self.dialing {
                        Some(dialing) => dialing.await,
                        None => std::future::pending().await,
                    }
                } => self.dialed(dialed.ok().and_then(Result::ok)),
                Some(received) = frame => {
                    // what came before it and still waits for its epoch goes first
                    if self.held.iter().any(|(_, held)| held.mid == received.mid) {
                        self.hold(now(), received);
                    } else {
                        self.open(received).await;
                    }
                }
                command = commands.recv() => match command {
                    Some(Command::Leave(done)) => {
                        self.close().await;
                        let _ = done.send(());
                        return;
                    }
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                () = tokio::time::sleep(sleep) => self.session.handle_timeout(now()),
            }
            self.retry_held().await;
        }
        let _ = self.happenings.try_send(Happening::Closed);
        self.close().await;
    }

    async fn close(&mut self) {
        self.session.leave();
        let _ = self.flush().await;
        self.drop_transports().await;
        if let Some(mut socket) = self.socket.take() {
            // the service closes once it has heard us; closing first, with something unread, resets the connection and
            // loses what we said last
            let heard = async { while let Some(Ok(_)) = socket.next().await {} };
            let _ = tokio::time::timeout(FAREWELL, heard).await;
            let _ = socket.close(None).await;
        }
        if let Some(dialing) = self.dialing.take() {
            dialing.abort();
        }
    }

    /// Signaling is gone: media goes on, and we dial until it is back.
    fn disconnected(&mut self) {
        if self.socket.take().is_some() {
            self.session.disconnected(now());
            let _ = self.happenings.try_send(Happening::Offline);
        }
        self.dial();
    }

    fn dial(&mut self) {
        let signaling = self.signaling.clone();
        self.dialing = Some(tokio::spawn(async move {
            tokio::time::sleep(REDIAL).await;
            connect(&signaling).await
        }));
    }

    fn dialed(&mut self, socket: Option<Socket>) {
        self.dialing = None;
        match socket {
            None => self.dial(),
            Some(socket) => {
                self.socket = Some(socket);
                self.session.reconnect(now());
                let _ = self.happenings.try_send(Happening::Online);
            }
        }
    }

    async fn send(&mut self, message: &ToServer) -> Result<(), ParticipantError> {
        let text = serde_json::to_string(message).map_err(environment("write a message"))?;
        let Some(socket) = &mut self.socket else { return Ok(()) };
        if socket.send(Message::text(text)).await.is_err() && !self.session.is_over() {
            self.disconnected();
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ParticipantError> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(message) => self.send(&message).await?,
                Output::Event(Event::Passed(message)) => self.passed(message).await?,
                Output::Event(event) => {
                    if matches!(event, Event::Admitted { .. }) {
                        // whoever runs a native participant has seen the statements
                        self.session.acknowledge(now(), "en");
                        if self.is_elsewhere() {
                            self.drop_transports().await;
                        }
                    }
                    let first = matches!(event, Event::Epoch { .. }) && self.publisher.is_none();
                    let _ = self.happenings.try_send(Happening::Session(event));
                    if first {
                        self.publish().await?;
                    }
                }
                // `Output` may grow; what we do not know does not concern a participant
                #[allow(unreachable_patterns)]
                _ => {}
            }
        }
        Ok(())
    }

    /// Are the transports of another meeting than the session? A signaling that was restarted knows none of before.
    fn is_elsewhere(&self) -> bool {
        self.published_in.as_ref() != self.session.terms().map(|terms| &terms.meeting)
    }

    async fn drop_transports(&mut self) {
        if let Some(old) = self.publisher.take() {
            old.peer.close().await;
        }
        if let Some(old) = self.subscriber.take() {
            old.peer.close().await;
        }
        (self.frames, self.tracks) = (None, Vec::new());
        self.held.clear();
        self.pictures.clear();
    }

    async fn publish(&mut self) -> Result<(), ParticipantError> {
        self.published_in = self.session.terms().map(|terms| terms.meeting.clone());
        let (publisher, sdp, tracks) = Publisher::offer(&self.sources).await?;
        self.publisher = Some(publisher);
        self.send(&ToServer::Offer { sdp, tracks }).await
    }

    async fn passed(&mut self, message: ToClient) -> Result<(), ParticipantError> {
        match message {
            ToClient::PublishAnswer { sdp } => match &mut self.publisher {
                Some(publisher) => publisher.answer(sdp).await,
                None => Ok(()),
            },
            ToClient::SubscribeOffer { sdp, revision, tracks } => {
                if self.subscriber.is_none() {
                    let (subscriber, frames) = Subscriber::open().await?;
                    self.subscriber = Some(subscriber);
                    self.frames = Some(frames);
                }
                self.tracks = tracks;
                let Some(subscriber) = &mut self.subscriber else { return Ok(()) };
                let sdp = subscriber.answer(sdp).await?;
                self.send(&ToServer::Answer { sdp, revision }).await
            }
            other => {
                let _ = self.happenings.try_send(Happening::Session(Event::Passed(other)));
                Ok(())
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Frame { slot, key_frame, data, capture_us } => {
                let mut wire = Vec::new();
                // what is sealed is counted: nothing is sealed for a transport that cannot carry it yet
                let allowed = self.session.send_state(now()) == SendState::Allowed;
                if allowed && !self.publisher.as_ref().is_some_and(|publisher| publisher.peer.is_connected()) {
                    let _ = self.happenings.try_send(Happening::NotSent { slot, why: "not connected".into() });
                    return;
                }
                match self.session.seal(now(), slot, key_frame, &data, capture_us, &mut wire) {
                    Ok(()) => self.transmit(slot, &wire, timestamp(slot, capture_us)).await,
                    Err(error) => {
                        let _ = self.happenings.try_send(Happening::NotSent { slot, why: error.to_string() });
                    }
                }
            }
            Command::Wire { slot, wire, timestamp } => self.transmit(slot, &wire, timestamp).await,
            Command::Raw(message) => {
                let _ = self.send(&message).await;
            }
            Command::Remove(participant) => self.session.remove(participant),
            Command::Declare(what, answer) => {
                let _ = answer.send(self.session.declare(now(), what));
            }
            Command::Share(name, media_type, bytes, answer) => {
                let _ = answer.send(self.session.share(now(), &name, &media_type, bytes));
            }
            Command::CancelShare(blob) => self.session.cancel_share(&blob),
            Command::Fetch(file, answer) => {
                let _ = answer.send(self.session.fetch(now(), file));
            }
            Command::TakeFile(file, answer) => {
                let bytes = self.session.take_file(&file).map(|mut bytes| std::mem::take(&mut *bytes));
                let _ = answer.send(bytes);
            }
            Command::Order(order, answer) => {
                let _ = answer.send(self.session.order(now(), order));
            }
            Command::Say(text, answer) => {
                let _ = answer.send(self.session.say(now(), &text));
            }
            #[cfg(feature = "test-secrets")]
            Command::Reveal(answer) => {
                let _ = answer.send(named(self.session.reveal()));
            }
            Command::Leave(_) => {}
        }
    }

    async fn transmit(&mut self, slot: Slot, wire: &[u8], timestamp: u32) {
        if let Some(publisher) = &mut self.publisher
            && let Err(error) = publisher.send(slot, wire, timestamp).await
        {
            tracing::debug!(%error, "a frame was not sent");
        }
    }

    async fn open(&mut self, received: Received) {
        let Some(track) = self.tracks.iter().find(|track| track.mid == received.mid).cloned() else { return };
        let opened = self.session.open(now(), &track.participant, track.slot, track.codec, &received.wire);
        let happening = match opened {
            Ok(opened) => {
                if track.codec.kind() == MediaKind::Video {
                    let picture = self.pictures.entry(received.mid.clone()).or_default();
                    if picture.take(now(), opened.kid, opened.ctr, opened.key_frame)
                        && let Some(subscriber) = &self.subscriber
                    {
                        subscriber.ask_key_frame(&received.mid).await;
                        let asked = Happening::KeyFrameAsked { from: track.participant.clone(), slot: track.slot };
                        let _ = self.happenings.try_send(asked);
                    }
                }
                Happening::Frame {
                    from: track.participant,
                    slot: track.slot,
                    data: opened.frame,
                    capture_us: opened.capture_us,
                }
            }
            Err(OpenError::NotYet) => return self.hold(now(), received),
            Err(OpenError::Duplicate) => return,
            Err(error) => Happening::Rejected { from: track.participant, error, wire: received.wire },
        };
        let _ = self.happenings.try_send(happening);
    }

    fn hold(&mut self, since: UnixMillis, received: Received) {
        self.held.push_back((since, received));
        while self.held.len() > domain::limits::HOLD_FRAMES * self.tracks.len().max(1) {
            self.held.pop_front();
        }
    }

    /// Frames of an epoch that was not there yet: again, until they are too old.
    async fn retry_held(&mut self) {
        let mut waiting: Vec<String> = Vec::new();
        for _ in 0..self.held.len() {
            let Some((since, received)) = self.held.pop_front() else { break };
            if now().since(since) > domain::limits::HOLD_MS {
                continue;
            }
            let mid = received.mid.clone();
            if waiting.contains(&mid) {
                self.hold(since, received);
                continue;
            }
            let before = self.held.len();
            self.open(received).await;
            if self.held.len() > before
                && let Some(last) = self.held.back_mut()
            {
                last.0 = since;
                waiting.push(mid);
            }
        }
    }
}

/// RTP time of a capture time.
fn timestamp(slot: Slot, capture_us: u64) -> u32 {
    let rate = slot.kind().unwrap_or(MediaKind::Video).clock_rate();
    (capture_us.wrapping_mul(u64::from(rate)) / 1_000_000) as u32
}

/// The epoch of an event, for tests that wait for one.
pub fn epoch_of(happening: &Happening) -> Option<Epoch> {
    match happening {
        Happening::Session(Event::Epoch { epoch, .. }) => Some(*epoch),
        _ => None,
    }
}

#[cfg(feature = "test-secrets")]
fn named(secrets: e2ee::session::Revealed) -> Vec<(String, Vec<u8>)> {
    let mut out = vec![
        ("epoch authenticator".to_owned(), secrets.epoch_authenticator),
        ("leaf key".to_owned(), secrets.leaf_key.to_vec()),
    ];
    out.extend(
        secrets.base_keys.into_iter().map(|(epoch, key)| (format!("base key of epoch {}", epoch.0), key.to_vec())),
    );
    out
}

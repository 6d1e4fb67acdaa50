//! `/v1/meet`: a participant's WebSocket. Handshake, then JSON in both directions through bounded queues.

use crate::hub::{CONNECTION_QUEUE, Hub, Outbound};
use crate::operations;
use crate::rooms::Found;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::limits::{MAX_CLIENT_MESSAGE, SILENT_MS};
use domain::message::client::{Problem, ProblemCode, ToClient, ToServer};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use service::traces::{self, Name, Span};
use signaling_core::admission::{Handshake, Proven, Step};
use signaling_core::limits::HELLO_TIMEOUT_MS;
use signaling_core::{ConnId, Input, problem};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{interval, timeout};

/// A ping so often: three fit into the silence that removes a participant.
const PING: Duration = Duration::from_secs(10);
/// Not even a pong for so long: the connection is dead, whatever the core thinks of its participant.
const DEAD: Duration = Duration::from_millis(SILENT_MS + 5_000);
/// One message to a client that reads at all.
const WRITE: Duration = Duration::from_secs(10);

type Sink = SplitSink<WebSocket, Message>;
type Stream = SplitStream<WebSocket>;

/// Upgrades; a page of an origin that is no front's is refused. Browsers always send an origin; who sends none is no
/// page, and proves itself by its certificate like everybody.
pub async fn upgrade(State(hub): State<Arc<Hub>>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    if let Some(origin) = headers.get(header::ORIGIN) {
        let known = origin.to_str().is_ok_and(|origin| hub.origins.iter().any(|known| known == origin));
        if !known {
            tracing::warn!("a page of an origin that is not in `origins` was refused");
            service::security::report(service::security::Event::OriginRefused);
            return (StatusCode::FORBIDDEN, "this origin is not one of the fronts in the configuration\n")
                .into_response();
        }
    }
    let Ok(permit) = hub.free.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many connections: try again\n").into_response();
    };
    upgrade
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(MAX_CLIENT_MESSAGE)
        .max_frame_size(MAX_CLIENT_MESSAGE)
        .on_upgrade(move |socket| async move {
            serve(hub, socket).await;
            drop(permit);
        })
}

async fn serve(hub: Arc<Hub>, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let span = traces::begin(Name::Join);
    let greeted = timeout(Duration::from_millis(HELLO_TIMEOUT_MS), greet(&hub, &mut sink, &mut stream)).await;
    let refused = match greeted {
        Ok(Ok(proven)) => {
            meet(hub, sink, stream, proven, span).await;
            return;
        }
        Ok(Err(refused)) => refused,
        Err(_) => Some(problem::bad_message("no hello and proof within 10 s")),
    };
    if let Some(problem) = refused {
        span.end(operations::refused(problem.code));
        let _ = write(&mut sink, &ToClient::Refusal(problem)).await;
    }
    let _ = timeout(WRITE, sink.close()).await;
}

/// The handshake. `Err(None)`: the connection went away by itself.
async fn greet(hub: &Hub, sink: &mut Sink, stream: &mut Stream) -> Result<Box<Proven>, Option<Problem>> {
    let mut handshake = Handshake::new(hub.trust.clone(), hub.nonce());
    loop {
        let text = match stream.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(_))) => return Err(Some(problem::bad_message("text frames only"))),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(None),
        };
        match handshake.handle(hub.clock.now(), parse(&text).map_err(Some)?) {
            Step::Send(message) => write(sink, &message).await.map_err(|()| None)?,
            Step::Proven(proven) => return Ok(proven),
            Step::Refuse(problem) => return Err(Some(problem)),
        }
    }
}

fn parse(text: &str) -> Result<ToServer, Problem> {
    // the parser's own words may repeat what was sent: they stay here
    serde_json::from_str(text).map_err(|_| problem::bad_message("not a message of this protocol"))
}

async fn write(sink: &mut Sink, message: &ToClient) -> Result<(), ()> {
    let text = serde_json::to_string(message).map_err(|_| ())?;
    timeout(WRITE, sink.send(Message::Text(text.into()))).await.map_err(|_| ())?.map_err(|_| ())
}

async fn meet(hub: Arc<Hub>, mut sink: Sink, stream: Stream, proven: Box<Proven>, span: Span) {
    let wanted = proven.room.clone();
    let found = hub.find(&wanted).await;
    if let Some(problem) = kept_out(&hub, &found, &proven).await {
        span.end(operations::refused(problem.code));
        let _ = write(&mut sink, &ToClient::Refusal(problem)).await;
        let _ = timeout(WRITE, sink.close()).await;
        return;
    }
    let conn = hub.number();
    let (queue, outbound) = mpsc::channel(CONNECTION_QUEUE);
    hub.connections.insert(conn, queue);
    hub.joining.insert(conn, span);
    let room = hub.room(&wanted);
    let writer = tokio::spawn(write_all(sink, outbound));
    let here = Here { hub: hub.clone(), conn, room: room.clone() };
    let joined = match found {
        Found::Room(record) => room.send(Input::Join { conn, proven, room: Arc::new(record) }).await,
        Found::Nothing | Found::Silence => room.send(Input::Return { conn, proven }).await,
    };
    if joined.is_ok() {
        tokio::select! {
            () = read_all(&hub, conn, stream, &room) => {}
            // the room failed: who was in it connects again, to a new one
            () = room.closed() => {}
        }
    }
    drop(here);
    let _ = writer.await;
}

/// Why somebody does not come to the room at all.
async fn kept_out(hub: &Hub, found: &Found, proven: &Proven) -> Option<Problem> {
    match found {
        Found::Nothing => {
            Some(problem::problem(ProblemCode::NotAMember, "no such room, or you are not a member of it"))
        }
        Found::Room(_) if proven.inviter.is_some() => {
            match hub.truth.is_turned_away(&proven.identity.participant).await {
                Ok(false) => None,
                Ok(true) => {
                    let ended = "a host turned you away: this invitation has ended, ask for another one";
                    Some(problem::problem(ProblemCode::Removed, ended))
                }
                Err(error) => {
                    tracing::error!("cannot read whom hosts turned away: {error}");
                    let why = "invitations cannot be read now: no guest comes in, try again in a moment";
                    Some(problem::problem(ProblemCode::RoomsUnavailable, why))
                }
            }
        }
        Found::Room(_) | Found::Silence => None,
    }
}

/// A connection that is in a room. Whatever ends its task, a panic included, takes it out.
struct Here {
    hub: Arc<Hub>,
    conn: ConnId,
    room: mpsc::Sender<Input>,
}

impl Drop for Here {
    fn drop(&mut self) {
        self.hub.connections.remove(&self.conn);
        self.hub.joining.remove(&self.conn);
        if let Err(TrySendError::Full(closed)) = self.room.try_send(Input::Closed { conn: self.conn }) {
            let room = self.room.clone();
            tokio::spawn(async move { room.send(closed).await });
        }
    }
}

/// Reads until the client is gone, silent, or its writer ended.
async fn read_all(hub: &Hub, conn: ConnId, mut stream: Stream, room: &mpsc::Sender<Input>) {
    loop {
        let next = timeout(DEAD, stream.next()).await;
        if !hub.connections.contains_key(&conn) {
            return;
        }
        let input = match next {
            Ok(Some(Ok(Message::Text(text)))) => match parse(&text) {
                Ok(message) => Input::Message { conn, message: Box::new(message) },
                Err(problem) => {
                    refuse(hub, conn, problem);
                    return;
                }
            },
            Ok(Some(Ok(Message::Pong(_) | Message::Ping(_)))) => Input::Alive { conn },
            Ok(Some(Ok(Message::Binary(_)))) => {
                refuse(hub, conn, problem::bad_message("text frames only"));
                return;
            }
            // a browser says so for a tab that is closed, also where the page's own goodbye was lost with its worker; who
            // merely lost the connection, or makes a new one, does not
            Ok(Some(Ok(Message::Close(Some(frame))))) if frame.code == close_code::AWAY => {
                let _ = room.send(Input::Message { conn, message: Box::new(ToServer::Leave {}) }).await;
                return;
            }
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) | Err(_) => return,
        };
        if room.send(input).await.is_err() {
            return;
        }
    }
}

fn refuse(hub: &Hub, conn: ConnId, problem: Problem) {
    let Some((_, queue)) = hub.connections.remove(&conn) else { return };
    if let Ok(text) = serde_json::to_string(&ToClient::Refusal(problem)) {
        let _ = queue.try_send(Outbound::Text(text.into()));
    }
    let _ = queue.try_send(Outbound::Close);
}

/// Writes until told to close, or until the queue is dropped.
async fn write_all(mut sink: Sink, mut outbound: mpsc::Receiver<Outbound>) {
    let mut pings = interval(PING);
    pings.tick().await;
    loop {
        let message = tokio::select! {
            biased;
            next = outbound.recv() => match next {
                Some(Outbound::Text(text)) => Message::Text(text),
                Some(Outbound::Close) | None => break,
            },
            _ = pings.tick() => Message::Ping(axum::body::Bytes::new()),
        };
        if !matches!(timeout(WRITE, sink.send(message)).await, Ok(Ok(()))) {
            break;
        }
    }
    let _ = timeout(WRITE, sink.close()).await;
}

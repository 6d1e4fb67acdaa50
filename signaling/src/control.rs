//! `/v1/sfu`: the SFU's control link. TLS has already verified its certificate under the operator's CA. One SFU today: a
//! new one takes the place of the old.

use crate::hub::{Hub, SfuHandle};
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use domain::limits::MAX_CONTROL_MESSAGE;
use domain::message::control::{FromSfu, ToSfu};
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use service::security::{self, Event};
use signaling_core::limits::HELLO_TIMEOUT_MS;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, timeout, timeout_at};

/// Messages waiting for the SFU: the whole state of some large meetings.
const QUEUE: usize = 8_192;
/// A ping so often.
const PING: Duration = Duration::from_secs(5);
/// Nothing for so long: the link is dead.
const DEAD: Duration = Duration::from_secs(15);
/// One message to an SFU that reads at all.
const WRITE: Duration = Duration::from_secs(5);

/// Upgrades a connection that showed a good client certificate.
pub async fn upgrade(State(hub): State<Arc<Hub>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .read_buffer_size(4096)
        .write_buffer_size(0)
        .max_message_size(MAX_CONTROL_MESSAGE)
        .max_frame_size(MAX_CONTROL_MESSAGE)
        .on_upgrade(move |socket| serve(hub, socket))
}

async fn serve(hub: Arc<Hub>, socket: WebSocket) {
    let (mut sink, mut stream) = socket.split();
    let hello = timeout(Duration::from_millis(HELLO_TIMEOUT_MS), next(&mut stream)).await;
    let Ok(Heard::Message(hello @ FromSfu::Hello { .. })) = hello else {
        tracing::warn!("a control link did not begin with hello");
        security::report(Event::ControlLinkRefused);
        return;
    };
    let FromSfu::Hello { node, .. } = &hello else { return };
    let node = node.clone();
    tracing::info!(node, "SFU connected");
    let (queue, mut outbound) = mpsc::channel::<ToSfu>(QUEUE);
    // a queue that is new has room
    let _ = queue.try_send(ToSfu::Fence { fence: hub.truth.fence() });
    let own = queue.clone();
    hub.sfu.send_replace(Some(SfuHandle { hello, to: queue.clone() }));
    drop(queue);
    let weak = own.downgrade();
    drop(own);
    let mut pings = interval(PING);
    let mut dead = Instant::now() + DEAD;
    loop {
        tokio::select! {
            heard = timeout_at(dead, next(&mut stream)) => {
                dead = Instant::now() + DEAD;
                match heard {
                    // what an SFU says whose place another took is about meetings that it has no more
                    Ok(Heard::Message(_)) if !is_current(&hub, &weak) => break,
                    Ok(Heard::Message(message)) => hub.route(message).await,
                    Ok(Heard::Life) => {}
                    Ok(Heard::End) | Err(_) => break,
                }
            }
            message = outbound.recv() => {
                // no sender left: another SFU took this one's place, or its queue was full
                let Some(message) = message else { break };
                let Ok(text) = serde_json::to_string(&message) else { break };
                if !matches!(timeout(WRITE, sink.send(Message::Text(text.into()))).await, Ok(Ok(()))) {
                    break;
                }
            },
            _ = pings.tick() => {
                let ping = Message::Ping(axum::body::Bytes::new());
                if !matches!(timeout(WRITE, sink.send(ping)).await, Ok(Ok(()))) {
                    break;
                }
            },
        }
    }
    tracing::warn!(node, "SFU lost");
    security::report(Event::SfuLost);
    hub.sfu.send_if_modified(|current| {
        let own = weak.upgrade();
        let mine = current.as_ref().is_some_and(|handle| own.is_some_and(|own| own.same_channel(&handle.to)));
        if mine {
            *current = None;
        }
        mine
    });
    let _ = timeout(WRITE, sink.close()).await;
}

/// Is this link the one that meetings are placed on?
fn is_current(hub: &Hub, link: &mpsc::WeakSender<ToSfu>) -> bool {
    let own = link.upgrade();
    hub.sfu.borrow().as_ref().is_some_and(|handle| own.is_some_and(|own| own.same_channel(&handle.to)))
}

/// What came over the link.
enum Heard {
    Message(FromSfu),
    /// A ping or pong.
    Life,
    /// The link ended, or broke its protocol.
    End,
}

async fn next(stream: &mut SplitStream<WebSocket>) -> Heard {
    match stream.next().await {
        Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
            Ok(message) => Heard::Message(message),
            Err(error) => {
                tracing::error!("the SFU sent what is no message of the control link: {error}");
                Heard::End
            }
        },
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Heard::Life,
        Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => Heard::End,
    }
}

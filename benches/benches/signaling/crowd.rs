//! The people: real sessions, each on its own TLS connection, and connections that only said hello.

use crate::process::{Socket, dial, tls};
use crate::site::{ORIGIN, Site};
use anyhow::Context;
use domain::message::client::{ToClient, ToServer};
use domain::{ParticipantId, RoomId, UnixMillis};
use e2ee::session::{Event, Output, Session};
use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

/// A join takes at most so long, or the run is void.
const PATIENCE: Duration = Duration::from_secs(60);

/// How people come to a meeting.
#[derive(Debug, Clone, Copy)]
pub enum Arrival {
    /// All at once: one or two commits add them.
    Together,
    /// Each when the one before is in the group: a commit each, the dearest way.
    InTurn,
    /// One after so long.
    Every(Duration),
}

impl Arrival {
    /// For the table.
    pub fn name(self) -> String {
        match self {
            Self::Together => "together".to_owned(),
            Self::InTurn => "in turn".to_owned(),
            Self::Every(gap) => format!("every {} ms", gap.as_millis()),
        }
    }
}

/// Everybody who is connected. Ends with it.
pub struct Crowd {
    site: Arc<Site>,
    port: u16,
    tls: Arc<ClientConfig>,
    living: JoinSet<anyhow::Result<()>>,
    waiting: Vec<Socket>,
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(since.as_millis() as u64)
}

impl Crowd {
    /// Nobody yet.
    pub fn new(site: Arc<Site>, port: u16) -> anyhow::Result<Self> {
        let tls = tls(&site, None)?;
        Ok(Self { site, port, tls, living: JoinSet::new(), waiting: Vec::new() })
    }

    /// So many connections that said hello, were asked for their proof, and stay so.
    pub async fn bare(&mut self, connections: usize) -> anyhow::Result<()> {
        let (room, people) = self.site.rooms.first().context("a room")?.clone();
        for _ in 0..connections {
            let mut socket = dial(&self.tls, self.port, "/v1/meet", Some(ORIGIN)).await?;
            let mut session = Session::new(self.site.session(&people[0], &room)?, now())?;
            while let Some(output) = session.poll_output() {
                if let Output::Send(message) = output {
                    socket.send(Message::text(serde_json::to_string(&message)?)).await?;
                }
            }
            let challenge = timeout(PATIENCE, socket.next()).await?.context("a challenge")??;
            let challenge: ToClient = serde_json::from_str(challenge.to_text()?)?;
            anyhow::ensure!(matches!(challenge, ToClient::Challenge { .. }), "{challenge:?}");
            self.waiting.push(socket);
        }
        Ok(())
    }

    /// Fills every room; done when everybody is in its group.
    pub async fn meet(&mut self, arrival: &Arrival, at_once: usize) -> anyhow::Result<()> {
        let places = Arc::new(Semaphore::new(at_once));
        let mut filling = JoinSet::new();
        for (room, people) in self.site.rooms.clone() {
            let (places, arrival) = (places.clone(), *arrival);
            let mut people =
                people.into_iter().map(|who| self.person(who, &room)).collect::<anyhow::Result<Vec<_>>>()?;
            filling.spawn(async move {
                let _place = places.acquire_owned().await?;
                let mut begun = Vec::new();
                for person in people.drain(..) {
                    begun.push(person.begin.send(()).map(|()| person.inside).map_err(|()| anyhow::anyhow!("gone"))?);
                    match arrival {
                        Arrival::Together => {}
                        Arrival::Every(gap) => sleep(gap).await,
                        Arrival::InTurn => {
                            let inside = begun.pop().context("just begun")?;
                            timeout(PATIENCE, inside).await.context("a join takes too long")??;
                        }
                    }
                }
                for inside in begun {
                    timeout(PATIENCE, inside).await.context("a join takes too long")??;
                }
                anyhow::Ok(())
            });
        }
        loop {
            tokio::select! {
                filled = filling.join_next() => match filled {
                    Some(filled) => filled??,
                    None => return Ok(()),
                },
                // nobody leaves
                Some(ended) = self.living.join_next() => ended??,
            }
        }
    }

    fn person(&mut self, who: ParticipantId, room: &RoomId) -> anyhow::Result<Person> {
        let config = self.site.session(&who, room)?;
        let (begin, begun) = oneshot::channel();
        let (told, inside) = oneshot::channel();
        let (tls, port) = (self.tls.clone(), self.port);
        self.living.spawn(async move {
            if begun.await.is_err() {
                return Ok(());
            }
            let socket = dial(&tls, port, "/v1/meet", Some(ORIGIN)).await?;
            live(Session::new(config, now())?, socket, told).await
        });
        Ok(Person { begin, inside })
    }
}

/// One who has not come yet.
struct Person {
    begin: oneshot::Sender<()>,
    inside: oneshot::Receiver<()>,
}

async fn live(mut session: Session, mut socket: Socket, told: oneshot::Sender<()>) -> anyhow::Result<()> {
    let mut told = Some(told);
    loop {
        while let Some(output) = session.poll_output() {
            match output {
                Output::Send(message) => send(&mut socket, &message).await?,
                Output::Event(Event::Epoch { .. }) => {
                    if let Some(told) = told.take() {
                        let _ = told.send(());
                    }
                }
                Output::Event(Event::Removed { problem }) => anyhow::bail!("removed: {problem:?}"),
                Output::Event(_) => {}
            }
        }
        let due = session.poll_timeout().map(|at| Duration::from_millis(at.since(now())));
        tokio::select! {
            heard = socket.next() => match heard.context("the connection ended")?? {
                Message::Text(text) => session.handle(now(), serde_json::from_str(&text)?),
                Message::Close(frame) => anyhow::bail!("closed: {frame:?}"),
                _ => {}
            },
            () = sleep(due.unwrap_or(PATIENCE)) => session.handle_timeout(now()),
        }
    }
}

async fn send(socket: &mut Socket, message: &ToServer) -> anyhow::Result<()> {
    Ok(socket.send(Message::text(serde_json::to_string(message)?)).await?)
}

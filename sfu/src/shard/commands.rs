//! What a shard is told: signaling's messages, record links, shutdown; and the SDP work that follows from them.

use super::{EdgeStats, Flow, Shard};
use crate::tcp::Arrival;
use crate::transport::{Factory, IceParameters};
use domain::message::client::{PublishedTrack, SubscribedTrack};
use domain::message::control::{FromSfu, ToSfu};
use domain::message::record_link::ToSfuRecord;
use domain::{MeetingId, ParticipantId, TransportKind};
use sfu_core::engine::Input;
use sfu_core::recording::LinkRefused;
use sfu_core::sdp::offer::OfferSection;
use sfu_core::sdp::{self, LocalTransport, SdpError};
use sfu_core::{LinkId, PeerKey, Record};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// Commands that wait for a shard: a reconnecting signaling replays a few thousand messages.
const COMMANDS: usize = 8192;

/// A message to a shard.
pub enum Command {
    /// From signaling.
    Control(ToSfu),
    /// A recorder opened its link and proved itself.
    RecordUp {
        /// Which meeting.
        meeting: MeetingId,
        /// Which recorder.
        participant: ParticipantId,
        /// What it has already.
        durable: u64,
        /// Where its messages go; dropping it closes the link.
        messages: mpsc::Sender<(u64, Record)>,
        /// The link's handle.
        reply: oneshot::Sender<Result<LinkId, LinkRefused>>,
    },
    /// A message on a record link.
    Record(LinkId, ToSfuRecord),
    /// A record link ended.
    RecordDown(LinkId),
    /// A TCP connection that names this shard.
    Arrival(Box<Arrival>),
    /// Counters, please.
    Stats(oneshot::Sender<(EdgeStats, sfu_core::Stats)>),
    /// Close every transport and end.
    Stop,
}

/// The sending end of a shard's commands.
#[derive(Clone)]
pub struct Commands {
    queue: SyncSender<Command>,
    wake: Arc<OwnedFd>,
}

/// The shard does not take commands: it is overloaded, or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shard does not take commands")]
pub struct ShardBusy;

impl Commands {
    /// A queue with its receiving end and the descriptor that wakes the shard.
    pub fn channel() -> std::io::Result<(Self, std::sync::mpsc::Receiver<Command>, Arc<OwnedFd>)> {
        let flags = rustix::event::EventfdFlags::NONBLOCK | rustix::event::EventfdFlags::CLOEXEC;
        let wake = Arc::new(rustix::event::eventfd(0, flags)?);
        let (queue, receiver) = sync_channel(COMMANDS);
        Ok((Self { queue, wake: wake.clone() }, receiver, wake))
    }

    /// Queues a command.
    pub fn send(&self, command: Command) -> Result<(), ShardBusy> {
        let queued = match self.queue.try_send(command) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(ShardBusy),
        };
        // the shard may sleep; a full counter wakes it as well
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        queued
    }
}

/// The record links that are up.
#[derive(Default)]
pub struct Links {
    open: HashMap<LinkId, mpsc::Sender<(u64, Record)>>,
}

impl Links {
    /// Closes a link by dropping its sender.
    pub fn close(&mut self, link: LinkId) {
        self.open.remove(&link);
    }
}

impl<F: Factory> Shard<F> {
    pub(super) fn command(&mut self, now: Instant, command: Command) {
        let micros = self.clock.micros(now);
        match command {
            Command::Control(message) => self.control(now, message),
            Command::RecordUp { meeting, participant, durable, messages, reply } => {
                let link = self.engine.record_up(micros, &meeting, &participant, durable);
                if let Ok(link) = link {
                    self.links.open.insert(link, messages);
                }
                // a link task that is gone already is seen when its queue is closed
                let _ = reply.send(link);
            }
            Command::Record(link, message) => self.engine.handle(micros, Input::Record { link, message }),
            Command::RecordDown(link) => {
                self.links.close(link);
                self.engine.handle(micros, Input::RecordDown { link });
            }
            Command::Arrival(arrival) => self.arrival(now, *arrival),
            Command::Stats(reply) => {
                let _ = reply.send(self.stats());
            }
            Command::Stop => self.flow = Flow::Stop,
        }
    }

    /// Hands recorders what their queues have room for.
    pub(super) fn feed_links(&mut self, now: Instant) {
        // allocates for a link that was closed, nothing else
        let mut closed = Vec::new();
        for (link, messages) in &self.links.open {
            loop {
                match messages.try_reserve() {
                    Ok(permit) => match self.engine.poll_record(*link) {
                        Some(message) => permit.send(message),
                        None => break,
                    },
                    Err(mpsc::error::TrySendError::Full(())) => break,
                    Err(mpsc::error::TrySendError::Closed(())) => {
                        closed.push(*link);
                        break;
                    }
                }
            }
        }
        for link in closed {
            self.links.close(link);
            self.engine.handle(self.clock.micros(now), Input::RecordDown { link });
        }
    }

    fn control(&mut self, now: Instant, message: ToSfu) {
        match message {
            ToSfu::PublishOffer { meeting, participant, sdp, tracks } => {
                let answered = self.publish_offer(now, &meeting, &participant, &sdp, &tracks);
                self.tell(match answered {
                    Ok(sdp) => FromSfu::PublishAnswer { meeting, participant, sdp },
                    Err(why) => failed(meeting, participant, TransportKind::Publish, &why),
                });
            }
            ToSfu::SubscribeAnswer { meeting, participant, revision, sdp } => {
                if let Err(why) = self.subscribe_answer(now, &meeting, &participant, revision, &sdp) {
                    self.tell(failed(meeting, participant, TransportKind::Subscribe, &why));
                }
            }
            ToSfu::Meeting { ref meeting, .. } => {
                let meeting = meeting.clone();
                self.engine.handle(self.clock.micros(now), Input::Control(message));
                if self.engine.shedding().refuses_joins() {
                    self.tell(FromSfu::Overload { meeting, overloaded: true });
                }
            }
            // an ICE-lite end learns the page's addresses from its checks
            ToSfu::Candidate { .. } => {}
            // the record listener's and the control link's own
            ToSfu::RecordToken { .. } | ToSfu::Fence { .. } => {}
            other => self.engine.handle(self.clock.micros(now), Input::Control(other)),
        }
    }

    fn publish_offer(
        &mut self,
        now: Instant,
        meeting: &MeetingId,
        participant: &ParticipantId,
        sdp: &str,
        tracks: &[PublishedTrack],
    ) -> Result<String, Refused> {
        let peer = self.engine.peer(meeting, participant).ok_or(Refused::NotAdmitted)?;
        self.blamed = Some(peer);
        if self.engine.shedding().refuses_joins() && self.endpoints.of(peer, TransportKind::Publish).is_none() {
            return Err(Refused::Overloaded);
        }
        let offer = sdp::read::read(sdp)?;
        let sections = sdp::answer::negotiate(&offer, tracks)?;
        let place = self.publish_endpoint(now, peer, &offer);
        let local = self.local(place)?;
        let answer = sdp::answer::write(&local, &offer, &sections);
        self.engine.handle(self.clock.micros(now), Input::Published { peer, sections });
        Ok(answer)
    }

    /// The endpoint for a publish offer: the same one if the page goes on, with new ICE parameters if it restarts ICE, a
    /// new one if the page began anew.
    fn publish_endpoint(&mut self, now: Instant, peer: PeerKey, offer: &sdp::read::Description) -> usize {
        let parameters = || IceParameters { ufrag: offer.ufrag.clone(), password: offer.password.clone() };
        let known = self.endpoints.of(peer, TransportKind::Publish);
        if let Some(place) = known
            && let Some(endpoint) = self.endpoints.get(place)
            && let Some((ufrag, fingerprint)) = endpoint.remote.clone()
            && fingerprint == offer.fingerprint
        {
            if ufrag != offer.ufrag {
                endpoint.transport.restart(now);
                endpoint.transport.set_remote(parameters(), &offer.fingerprint);
                endpoint.remote = Some((offer.ufrag.clone(), fingerprint));
                self.endpoints.renamed(place);
                self.restart_subscribe(now, peer);
            }
            return place;
        }
        if let Some(place) = known {
            self.drop_endpoint(now, place);
            // another certificate: the page was loaded again, and its subscribe side with it
            self.engine.handle(self.clock.micros(now), Input::Renewed { peer });
        }
        let place = self.endpoints.add(now, peer, TransportKind::Publish, self.factory.create(now));
        if let Some(endpoint) = self.endpoints.get(place) {
            endpoint.transport.set_remote(parameters(), &offer.fingerprint);
            endpoint.remote = Some((offer.ufrag.clone(), offer.fingerprint.clone()));
        }
        place
    }

    /// A page that restarts ICE has another network: its subscribe transport, which the SFU offers, needs new checks too.
    fn restart_subscribe(&mut self, now: Instant, peer: PeerKey) {
        if let Some(place) = self.endpoints.of(peer, TransportKind::Subscribe)
            && let Some(endpoint) = self.endpoints.get(place)
        {
            endpoint.transport.restart(now);
            self.endpoints.renamed(place);
            self.engine.handle(self.clock.micros(now), Input::Reoffer { peer });
        }
    }

    fn local(&mut self, place: usize) -> Result<LocalTransport, Refused> {
        let endpoint = self.endpoints.get(place).ok_or(Refused::NoTransport)?;
        let IceParameters { ufrag, password } = endpoint.transport.parameters();
        let association = endpoint.association();
        let (fingerprint, tcp) = (self.factory.fingerprint(), self.factory.tcp().to_vec());
        Ok(LocalTransport { ufrag, password, association, fingerprint, candidates: self.locals.clone(), tcp })
    }

    fn subscribe_answer(
        &mut self,
        now: Instant,
        meeting: &MeetingId,
        participant: &ParticipantId,
        revision: u32,
        sdp: &str,
    ) -> Result<(), Refused> {
        let peer = self.engine.peer(meeting, participant).ok_or(Refused::NotAdmitted)?;
        self.blamed = Some(peer);
        let answer = sdp::read::read(sdp)?;
        let mut accepted = sdp::offer::accepted(&answer)?;
        accepted
            .retain(|mid| self.engine.codec_of(peer, mid).is_some_and(|codec| sdp::offer::takes(&answer, mid, codec)));
        let place = self.endpoints.of(peer, TransportKind::Subscribe).ok_or(Refused::NoTransport)?;
        let endpoint = self.endpoints.get(place).ok_or(Refused::NoTransport)?;
        let described = Some((answer.ufrag.clone(), answer.fingerprint.clone()));
        if endpoint.remote != described {
            if endpoint.remote.as_ref().is_some_and(|(_, known)| *known != answer.fingerprint) {
                return Err(Refused::AnotherCertificate);
            }
            let parameters = IceParameters { ufrag: answer.ufrag, password: answer.password };
            endpoint.transport.set_remote(parameters, &answer.fingerprint);
            endpoint.remote = described;
        }
        // keys may have waited for the fingerprint
        self.transport_events(now, place);
        self.engine.handle(self.clock.micros(now), Input::Answered { peer, revision, accepted });
        Ok(())
    }

    pub(super) fn offer(
        &mut self,
        now: Instant,
        to: PeerKey,
        revision: u32,
        sections: &[OfferSection],
        tracks: Vec<SubscribedTrack>,
    ) {
        self.blamed = Some(to);
        let place = match self.endpoints.of(to, TransportKind::Subscribe) {
            Some(place) => place,
            None => self.endpoints.add(now, to, TransportKind::Subscribe, self.factory.create(now)),
        };
        let Some((meeting, participant)) = self.engine.name(to).map(|(m, p)| (m.clone(), p.clone())) else { return };
        match self.local(place) {
            Ok(local) => {
                let sdp = sdp::offer::write(&local, revision, sections);
                self.tell(FromSfu::SubscribeOffer { meeting, participant, revision, sdp, tracks });
            }
            Err(why) => self.tell(failed(meeting, participant, TransportKind::Subscribe, &why)),
        }
    }
}

/// Why an offer or answer was not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum Refused {
    #[error("the participant is not admitted here")]
    NotAdmitted,
    #[error("the media server is full: try again in a minute")]
    Overloaded,
    #[error(transparent)]
    Sdp(#[from] SdpError),
    #[error("no offer was made for this transport, or it is gone")]
    NoTransport,
    #[error("the answer names another certificate than the one before")]
    AnotherCertificate,
}

fn failed(meeting: MeetingId, participant: ParticipantId, transport: TransportKind, why: &Refused) -> FromSfu {
    tracing::info!(?transport, firm = %participant.firm, %why, "description refused");
    FromSfu::Failed { meeting, participant, transport, detail: why.to_string() }
}

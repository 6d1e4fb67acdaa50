//! One task per room: feeds the core with inputs, time and the SFU's presence, and carries out what it wants.

use crate::hub::{Hub, Outbound, SfuHandle};
use crate::operations;
use crate::relays;
use crate::rooms::{Begun, notices_of};
use crate::truth::Note;
use domain::message::client::{ProblemCode, ToClient, ToServer};
use domain::message::control::{FromSfu, ToSfu};
use domain::{FirmId, RoomId, UserId};
use service::metrics::names::signaling as names;
use service::security::Code;
use service::traces::{self, Name, Span};
use signaling_core::problem::problem;
use signaling_core::{ConnId, Input, Member, Output, Ports, Room};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

#[cfg(test)]
mod tests;

/// Credentials for relays are renewed when half of their life is left: one lost renewal leaves time for the next.
const RENEW: Duration = Duration::from_secs(relays::LIFE_S / 2);

/// Members of a room, as the directory has them.
type Members = BTreeMap<(FirmId, UserId), Member>;

/// The task of one room.
pub struct RoomActor {
    hub: Arc<Hub>,
    room: Room,
    name: RoomId,
    members: Members,
    /// The directory tells of changes by this.
    looks: Arc<Notify>,
    /// Members that are being read: never more than one read, and never waited for here.
    look: Option<JoinHandle<Vec<Member>>>,
    own: mpsc::Sender<Input>,
    sfu: watch::Receiver<Option<SfuHandle>>,
    link: Option<mpsc::Sender<ToSfu>>,
    /// A commit that is on its way to everybody.
    commit: Option<Span>,
    /// Name of the SFU, of the last one while there is none.
    node: String,
    /// Connections that hold credentials for relays.
    relayed: BTreeSet<ConnId>,
    /// Somebody came, went, or has media now: what is shown of the room is out of date.
    changed: bool,
}

impl RoomActor {
    /// An empty room.
    pub fn new(hub: Arc<Hub>, name: RoomId, ports: Ports, own: mpsc::Sender<Input>) -> Self {
        let mut sfu = hub.sfu.subscribe();
        sfu.mark_changed();
        Self {
            looks: hub.looks_of(&name),
            look: None,
            hub,
            room: Room::new(ports),
            name,
            members: Members::new(),
            own,
            sfu,
            link: None,
            commit: None,
            node: String::new(),
            relayed: BTreeSet::new(),
            changed: false,
        }
    }

    /// Runs for as long as the process.
    pub async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        let mut renewals = interval(RENEW);
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.room.poll_timeout().map(|at| Instant::from_std(self.hub.clock.instant(at)));
            tokio::select! {
                biased;
                changed = self.sfu.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.meet_sfu();
                }
                input = inputs.recv() => {
                    let Some(input) = input else { return };
                    if let Input::Join { room, .. } = &input {
                        // what this reading shows counts at once; what changed between it and now was told to a room that
                        // did not have it yet
                        self.read(&room.members);
                        self.looks.notify_one();
                    }
                    self.changed |= matches!(&input, Input::Sfu(said) if is_media(said));
                    self.take(input);
                }
                _ = renewals.tick(), if !self.relayed.is_empty() => self.renew_relays(),
                () = self.looks.notified(), if self.look.is_none() && self.room.meeting().is_some() => self.look(),
                seen = ended(&mut self.look) => self.saw(seen),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.room.timeout(self.hub.clock.now());
                }
            }
            self.act();
            if std::mem::take(&mut self.changed) {
                self.hub.show(&self.name, self.room.view());
            }
        }
    }

    /// One panic ends one participant: what a connection said that the core cannot bear costs that connection. Where
    /// nobody is to blame the panic goes on and ends this room, never the process.
    fn take(&mut self, input: Input) {
        if matches!(&input, Input::Message { message, .. } if matches!(**message, ToServer::Commit { .. })) {
            self.commit = Some(traces::begin(Name::Commit));
        }
        let now = self.hub.clock.now();
        let Some(conn) = sayer(&input) else { return self.room.handle(now, input) };
        if caught(|| self.room.handle(now, input)).is_ok() {
            return;
        }
        tracing::error!("a message made the room's core fail (our bug): its connection is closed");
        service::security::report(service::security::Event::Panicked);
        let refusal = ToClient::Refusal(problem(ProblemCode::Internal, "your message made this service fail"));
        if let Ok(text) = serde_json::to_string(&refusal) {
            self.send(conn, Outbound::Text(text.into()));
        }
        self.send(conn, Outbound::Close);
        self.room.handle(now, Input::Closed { conn });
    }

    /// Members are read beside everything else: a directory that does not answer holds no meeting up.
    fn look(&mut self) {
        let (hub, name) = (self.hub.clone(), self.name.clone());
        self.look = Some(tokio::spawn(async move { hub.members_at_last(&name).await }));
    }

    fn saw(&mut self, seen: Option<Vec<Member>>) {
        self.look = None;
        if let Some(seen) = seen {
            self.read(&seen);
        }
    }

    /// Who is no longer a member, or another one than before, is told to the core.
    fn read(&mut self, seen: &[Member]) {
        let of = |member: &Member| ((member.firm.clone(), member.user.clone()), member.clone());
        let before = std::mem::replace(&mut self.members, seen.iter().map(of).collect());
        let now = self.hub.clock.now();
        for (who, known) in before {
            match self.members.get(&who) {
                Some(member) if *member == known => {}
                Some(member) => self.room.handle(now, Input::MemberChanged(member.clone())),
                None => {
                    service::security::report(service::security::Event::MemberRemoved);
                    let (firm, user) = who;
                    self.room.handle(now, Input::MembershipEnded { firm, user });
                }
            }
        }
    }

    fn meet_sfu(&mut self) {
        let handle = self.sfu.borrow_and_update().clone();
        let now = self.hub.clock.now();
        match handle {
            Some(handle) => {
                self.link = Some(handle.to);
                if let FromSfu::Hello { node, .. } = &handle.hello {
                    self.node.clone_from(node);
                }
                self.room.handle(now, Input::Sfu(Box::new(handle.hello)));
            }
            None => {
                self.link = None;
                self.room.handle(now, Input::SfuLost);
            }
        }
    }

    fn act(&mut self) {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Send { to, message } => {
                    match &*message {
                        ToClient::RosterLeft { .. } => self.changed = true,
                        ToClient::Admitted { .. } => {
                            self.changed = true;
                            names::JOINS.count();
                            self.joined(&to, Code::NONE);
                            to.iter().for_each(|conn| self.grant_relays(*conn));
                        }
                        ToClient::Refusal(problem) => {
                            let code = operations::refused(problem.code);
                            self.joined(&to, code);
                        }
                        ToClient::Commit { .. } => self.commit.take().into_iter().for_each(|span| span.end(Code::NONE)),
                        _ => {}
                    }
                    self.send_to(to, &message);
                }
                Output::Close { conn } => self.send(conn, Outbound::Close),
                Output::Sfu(message) => self.tell_sfu(*message),
                Output::TurnedAway(guest) => self.hub.write_down(Note::TurnedAway(guest)),
                Output::Note { meeting, firm: Some(firm), fact } => tracing::info!(%meeting, %firm, "{fact}"),
                Output::Note { meeting, firm: None, fact } => tracing::info!(%meeting, "{fact}"),
            }
        }
    }

    /// The ends of their joins, if they have not ended before.
    fn joined(&self, who: &[ConnId], code: Code) {
        let spans = who.iter().filter_map(|conn| self.hub.joining.remove(conn));
        spans.for_each(|(_, span)| span.end(code));
    }

    fn send_to(&self, to: Vec<ConnId>, message: &ToClient) {
        match serde_json::to_string(message) {
            Ok(text) => {
                let text = Outbound::Text(text.into());
                to.into_iter().for_each(|conn| self.send(conn, text.clone()));
            }
            Err(error) => tracing::error!("a message cannot be written as JSON: {error}"),
        }
    }

    /// Who is admitted may use the operator's relays, each connection by a credential of its own.
    fn grant_relays(&mut self, conn: ConnId) {
        let Some(relays) = &self.hub.relays else { return };
        self.send_to(vec![conn], &relays.grant(self.hub.clock.now(), rand::random()));
        self.relayed.insert(conn);
    }

    fn renew_relays(&mut self) {
        let connections = &self.hub.connections;
        self.relayed.retain(|conn| connections.contains_key(conn));
        self.relayed.clone().into_iter().for_each(|conn| self.grant_relays(conn));
    }

    /// A client that does not read is closed: its queue ends, and with it its writer.
    fn send(&self, conn: ConnId, message: Outbound) {
        let full = self.hub.connections.get(&conn).is_some_and(|queue| queue.try_send(message).is_err());
        if full {
            self.hub.connections.remove(&conn);
        }
    }

    fn tell_sfu(&mut self, message: ToSfu) {
        let mut begun = Begun::Before;
        self.changed |= matches!(message, ToSfu::Meeting { .. } | ToSfu::MeetingEnded { .. });
        match &message {
            ToSfu::Meeting { meeting, .. } => {
                let before = self.hub.meetings.insert(meeting.clone(), self.own.clone());
                begun = before.map_or(Begun::Now, |_| Begun::Before);
                let (room, node) = (self.name.clone(), self.node.clone());
                self.hub.write_down(Note::Placed { meeting: meeting.clone(), room, node });
            }
            ToSfu::MeetingEnded { meeting } => {
                self.hub.meetings.remove(meeting);
                self.hub.write_down(Note::Lifted(meeting.clone()));
            }
            _ => {}
        }
        notices_of(&message, begun).into_iter().for_each(|notice| self.hub.tell_room(&self.name, notice));
        let stuck = self.link.as_ref().is_some_and(|link| link.try_send(message).is_err());
        if stuck {
            // the link's queue is full or gone: its writer ends when the last sender does, then the SFU dials again
            self.link = None;
            self.hub.sfu.send_if_modified(|sfu| sfu.take().is_some());
        }
    }
}

/// A participant's media came up or went down.
fn is_media(said: &FromSfu) -> bool {
    matches!(said, FromSfu::Connected { .. } | FromSfu::Disconnected { .. })
}

/// The connection that an input came from.
fn sayer(input: &Input) -> Option<ConnId> {
    match input {
        Input::Join { conn, .. } | Input::Return { conn, .. } | Input::Message { conn, .. } | Input::Alive { conn } => {
            Some(*conn)
        }
        _ => None,
    }
}

/// Runs what may panic. Its state may be half changed after a panic; the core holds no lock and no invariant that memory
/// safety hangs on, and what it does next is judged by every member.
fn caught(run: impl FnOnce()) -> std::thread::Result<()> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
}

/// What a reading found; `None` where it failed by our own bug. Pending while none runs.
async fn ended(look: &mut Option<JoinHandle<Vec<Member>>>) -> Option<Vec<Member>> {
    match look {
        Some(look) => look.await.ok(),
        None => std::future::pending().await,
    }
}

//! Connections between nodes and the service: each is a stream (ordered, lost only with its end), each message has its
//! delay. Bent weather repeats and reorders what the service says to members, as a faulty bus behind it could.

use domain::UnixMillis;
use domain::message::client::{ToClient, ToServer};
use domain::{Epoch, ParticipantId};
use signaling_core::ConnId;
use std::collections::BTreeMap;
use strongroom_tests::dice::Dice;

/// What comes to pass at a time.
pub enum Event {
    /// Said to the service.
    Up(ConnId, Box<ToServer>),
    /// Said by the service.
    Down(ConnId, Box<ToClient>),
    /// The service notices that a connection is gone.
    ServiceMisses(ConnId),
    /// The node notices that its connection is gone.
    NodeMisses(ConnId),
    /// The node begins anew: a fresh key, nothing kept.
    Start(ParticipantId),
    /// The SFU has taken the leaves of an epoch.
    LeavesTaken(domain::MeetingId, Epoch),
    /// Everybody who may speak says a frame.
    Speak,
    /// Recorders give beacons.
    Beacons,
    /// A frame arrives.
    Frame(usize, ParticipantId, u32),
    /// The script goes on.
    Script,
}

/// Range of delays, ms, and what else goes wrong.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    pub delay: (u64, u64),
    /// Of a hundred group messages of the service, so many come twice and as many come late.
    pub bent: u64,
    /// Of a hundred frames, so many are lost.
    pub loss: u64,
}

pub const CALM: Weather = Weather { delay: (5, 40), bent: 0, loss: 0 };

#[derive(Default)]
struct Link {
    up_until: UnixMillis,
    down_until: UnixMillis,
    broken: bool,
}

/// Everything that is on its way.
pub struct Network {
    pub weather: Weather,
    queue: BTreeMap<(UnixMillis, u64), Event>,
    links: BTreeMap<ConnId, Link>,
    sequence: u64,
}

fn may_be_bent(message: &ToClient) -> bool {
    matches!(
        message,
        ToClient::Commit { .. }
            | ToClient::EpochReady { .. }
            | ToClient::Application { .. }
            | ToClient::Receipt { .. }
            | ToClient::Beacon { .. }
            | ToClient::RemovalOrder { .. }
    )
}

impl Network {
    pub fn new() -> Self {
        Self { weather: CALM, queue: BTreeMap::new(), links: BTreeMap::new(), sequence: 0 }
    }

    pub fn at(&mut self, at: UnixMillis, event: Event) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), event);
    }

    pub fn next(&self) -> Option<UnixMillis> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn pop(&mut self, now: UnixMillis) -> Option<Event> {
        let entry = self.queue.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }

    fn delay(&self, dice: &mut Dice) -> u64 {
        dice.within(self.weather.delay.0, self.weather.delay.1)
    }

    pub fn open(&mut self, conn: ConnId, now: UnixMillis) {
        self.links.insert(conn, Link { up_until: now, down_until: now, broken: false });
    }

    pub fn up(&mut self, dice: &mut Dice, now: UnixMillis, conn: ConnId, message: ToServer) {
        let delay = self.delay(dice);
        let Some(link) = self.links.get_mut(&conn).filter(|link| !link.broken) else { return };
        link.up_until = link.up_until.max(now.plus(delay));
        let at = link.up_until;
        self.at(at, Event::Up(conn, Box::new(message)));
    }

    pub fn down(&mut self, dice: &mut Dice, now: UnixMillis, conn: ConnId, message: ToClient) {
        let delay = self.delay(dice);
        let bent = may_be_bent(&message);
        let (twice, late) = (bent && dice.chance(self.weather.bent), bent && dice.chance(self.weather.bent));
        let Some(link) = self.links.get_mut(&conn).filter(|link| !link.broken) else { return };
        let at = link.down_until.max(now.plus(delay));
        if late {
            let at = at.plus(dice.within(1, 200));
            return self.at(at, Event::Down(conn, Box::new(message)));
        }
        link.down_until = at;
        if twice {
            self.at(at.plus(dice.within(0, 200)), Event::Down(conn, Box::new(message.clone())));
        }
        self.at(at, Event::Down(conn, Box::new(message)));
    }

    /// The service closes: the node notices after what was said before.
    pub fn close(&mut self, conn: ConnId, now: UnixMillis) {
        if let Some(link) = self.links.get(&conn).filter(|link| !link.broken) {
            let at = link.down_until.max(now);
            self.at(at, Event::NodeMisses(conn));
        }
    }

    /// What is on its way is lost; each end notices in its own time.
    pub fn sever(&mut self, dice: &mut Dice, now: UnixMillis, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn).filter(|link| !link.broken) else { return };
        link.broken = true;
        let of = |event: &Event| matches!(event, Event::Up(c, _) | Event::Down(c, _) if *c == conn);
        self.queue.retain(|_, event| !of(event));
        self.at(now.plus(dice.within(0, 800)), Event::NodeMisses(conn));
        self.at(now.plus(dice.within(0, 1_500)), Event::ServiceMisses(conn));
    }

    /// Nothing passes on this connection for so long; nothing is lost.
    pub fn stall(&mut self, now: UnixMillis, conn: ConnId, ms: u64) {
        if let Some(link) = self.links.get_mut(&conn) {
            let until = now.plus(ms);
            link.up_until = link.up_until.max(until);
            link.down_until = link.down_until.max(until);
            let keys: Vec<_> = self.queue.keys().copied().filter(|(at, _)| *at < until).collect();
            for key in keys {
                let of = |event: &Event| matches!(event, Event::Up(c, _) | Event::Down(c, _) if *c == conn);
                if self.queue.get(&key).is_some_and(of)
                    && let Some(event) = self.queue.remove(&key)
                {
                    self.queue.insert((until, key.1), event);
                }
            }
        }
    }
}

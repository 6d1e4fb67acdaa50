//! The table they meet at: one room of signaling's core, sessions of ours and one stranger, messages in order and without
//! delay. The clock starts at the machine's, for the stranger's implementation looks at that one; from there on it is virtual.

use super::foreigner::{Foreigner, Stack, Stranger};
use domain::message::client::{ToClient, ToServer};
use domain::message::control::{FromSfu, ToSfu};
use domain::message::custody::LeafRole;
use domain::policy::Rule;
use domain::{Codec, LeafIndex, ParticipantId, Slot, UnixMillis};
use e2ee::leaf::LeafKey;
use e2ee::session::{Event, Output as Says, Session};
use signaling_core::{
    ConnId, Handshake, Input, Member, OrderSigner, Output, Ports, Randomness, Room, RoomRecord, Step,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use strongroom_tests::firms::{Firms, id, room};

/// Who brings another implementation.
pub const STRANGER: &str = "bank-b/stranger/1";
/// Everything that follows from a join or from leaving is done after so long: Adds are gathered for 200 ms, epochs are
/// 250 ms apart, and a committer is passed over after 2 s.
const SETTLED_MS: u64 = 1_500;
/// Rounds of messages that one step may take: no step needs ten.
const MAX_ROUNDS: usize = 1_000;

struct Counting(AtomicU64);
impl Randomness for Counting {
    fn bytes(&self) -> [u8; 32] {
        evidence::sha256(&self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes())
    }
}
struct OrderKey(LeafKey);
impl OrderSigner for OrderKey {
    fn sign(&self, hash: &[u8; 32]) -> [u8; 64] {
        self.0.sign_prehash(hash)
    }
}

struct Seat {
    session: Session,
    events: Vec<Event>,
}

pub struct Table {
    pub now: UnixMillis,
    pub stranger: Option<Stranger>,
    firms: Firms,
    record: Arc<RoomRecord>,
    room: Room,
    seats: BTreeMap<ParticipantId, Seat>,
    handshakes: BTreeMap<ConnId, Handshake>,
    owners: BTreeMap<ConnId, ParticipantId>,
    mail: VecDeque<(ConnId, ToServer)>,
    conns: u64,
}

impl Table {
    pub fn open() -> Self {
        let firms = Firms::new(Rule::Off, Rule::Off, 2_000);
        let people = ["bank-a/anna/1", "bank-a/carla/1", "bank-b/ben/1", STRANGER].map(id);
        let member = |(n, who): (usize, &ParticipantId)| Member {
            firm: who.firm.clone(),
            user: who.user.clone(),
            host: n == 0,
            groups: BTreeSet::new(),
        };
        let statements = [&firms.a, &firms.b].into_iter().zip(&firms.statements);
        let record = RoomRecord {
            room: room(),
            title: "Project Alder".to_owned(),
            members: people.iter().enumerate().map(member).collect(),
            statements: statements.map(|(firm, signed)| (firm.id.clone(), signed.clone())).collect(),
        };
        let ports = Ports {
            trust: Arc::new(firms.trust.clone()),
            signer: Arc::new(OrderKey(LeafKey::from_secret(&firms.order.to_secret()[..]).expect("a key"))),
            random: Arc::new(Counting(AtomicU64::new(1))),
            held: Default::default(),
        };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let mut table = Self {
            now: UnixMillis(since.as_millis() as u64),
            stranger: None,
            firms,
            record: Arc::new(record),
            room: Room::new(ports),
            seats: BTreeMap::new(),
            handshakes: BTreeMap::new(),
            owners: BTreeMap::new(),
            mail: VecDeque::new(),
            conns: 0,
        };
        let hello = FromSfu::Hello {
            node: "sfu-1".to_owned(),
            record_address: "127.0.0.1:8444".to_owned(),
            record_server_name: "localhost".to_owned(),
            record_certificate: vec![7; 32].into(),
            region: None,
        };
        table.room.handle(table.now, Input::Sfu(Box::new(hello)));
        table
    }

    fn dial(&mut self, who: &ParticipantId) -> ConnId {
        self.conns += 1;
        let conn = ConnId(self.conns);
        self.owners.insert(conn, who.clone());
        let nonce = evidence::sha256(&self.conns.to_be_bytes());
        self.handshakes.insert(conn, Handshake::new(Arc::new(self.firms.trust.clone()), nonce));
        conn
    }

    fn conn_of(&self, who: &ParticipantId) -> Option<ConnId> {
        self.owners.iter().find(|(_, owner)| *owner == who).map(|(conn, _)| *conn)
    }

    /// One of ours comes, and everything that follows happens.
    pub fn join(&mut self, name: &str) -> anyhow::Result<()> {
        let who = id(name);
        let config = self.firms.config_at(&who, self.now);
        let mut session = Session::new(config, self.now)?;
        session.add_source(Slot::MICROPHONE, Codec::Opus);
        self.dial(&who);
        self.seats.insert(who.clone(), Seat { session, events: Vec::new() });
        self.run(SETTLED_MS)?;
        let epoch = self.session(name).epoch();
        anyhow::ensure!(epoch.is_some(), "{name} is not in the group: {:?}", self.events(name));
        Ok(())
    }

    /// The stranger comes.
    pub fn seat(&mut self, stack: impl FnOnce(&Foreigner) -> anyhow::Result<Box<dyn Stack>>) -> anyhow::Result<()> {
        let who = id(STRANGER);
        let key = LeafKey::generate();
        let certificate = self.firms.b.issue_at(&key, &who, LeafRole::Member, self.now);
        let person = Foreigner { key, certificate };
        let stack = stack(&person)?;
        let stranger = Stranger::new(who.clone(), person, stack);
        let conn = self.dial(&who);
        self.mail.push_back((conn, stranger.hello(&self.firms)));
        self.stranger = Some(stranger);
        self.run(SETTLED_MS)?;
        let seated = self.stranger.as_ref().is_some_and(|stranger| stranger.epoch.is_some());
        anyhow::ensure!(seated, "the stranger is not in the group");
        Ok(())
    }

    /// One of ours leaves.
    pub fn leave(&mut self, name: &str) -> anyhow::Result<()> {
        self.session(name).leave();
        self.run(SETTLED_MS)?;
        self.seats.remove(&id(name));
        Ok(())
    }

    pub fn session(&mut self, name: &str) -> &mut Session {
        &mut self.seats.get_mut(&id(name)).expect("at the table").session
    }

    pub fn events(&self, name: &str) -> &[Event] {
        &self.seats[&id(name)].events
    }

    pub fn leaf_of_stranger(&mut self, seen_by: &str) -> LeafIndex {
        let members = self.session(seen_by).members();
        members.iter().find(|member| member.participant == id(STRANGER)).expect("a member").leaf
    }

    /// The stranger sends something of its own accord.
    pub fn say_as_stranger(&mut self, message: ToServer) -> anyhow::Result<()> {
        let conn = self.conn_of(&id(STRANGER)).expect("seated");
        self.mail.push_back((conn, message));
        self.run(100)
    }

    /// Lets time pass.
    pub fn run(&mut self, ms: u64) -> anyhow::Result<()> {
        let end = self.now.plus(ms);
        loop {
            self.pump()?;
            let timers = self.seats.values().filter_map(|seat| seat.session.poll_timeout());
            let next = timers.chain(self.room.poll_timeout()).filter(|at| *at <= end).min();
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            self.room.timeout(self.now);
            for seat in self.seats.values_mut() {
                if seat.session.poll_timeout().is_some_and(|at| at <= self.now) {
                    seat.session.handle_timeout(self.now);
                }
            }
        }
        self.now = end;
        Ok(())
    }

    fn pump(&mut self) -> anyhow::Result<()> {
        for _ in 0..MAX_ROUNDS {
            let mut quiet = true;
            for (who, seat) in &mut self.seats {
                while let Some(says) = seat.session.poll_output() {
                    quiet = false;
                    let conn = self.owners.iter().find(|(_, owner)| *owner == who).map(|(conn, _)| *conn);
                    match (says, conn) {
                        (Says::Send(message), Some(conn)) => self.mail.push_back((conn, message)),
                        (Says::Send(_), None) => {}
                        (Says::Event(event), _) => seat.events.push(event),
                    }
                }
            }
            while let Some((conn, message)) = self.mail.pop_front() {
                quiet = false;
                self.up(conn, message)?;
            }
            while let Some(output) = self.room.poll_output() {
                quiet = false;
                self.service(output)?;
            }
            if quiet {
                return Ok(());
            }
        }
        anyhow::bail!("the table never comes to rest")
    }

    fn up(&mut self, conn: ConnId, message: ToServer) -> anyhow::Result<()> {
        let Some(handshake) = self.handshakes.get_mut(&conn) else {
            self.room.handle(self.now, Input::Message { conn, message: Box::new(message) });
            return Ok(());
        };
        match handshake.handle(self.now, message) {
            Step::Send(message) => self.down(conn, message)?,
            Step::Proven(proven) => {
                self.handshakes.remove(&conn);
                let room = self.record.clone();
                self.room.handle(self.now, Input::Join { conn, proven, room });
            }
            Step::Refuse(problem) => anyhow::bail!("refused at the door: {problem:?}"),
        }
        Ok(())
    }

    fn service(&mut self, output: Output) -> anyhow::Result<()> {
        match output {
            Output::Send { to, message } => to.into_iter().try_for_each(|conn| self.down(conn, (*message).clone()))?,
            Output::Close { conn } => {
                self.owners.remove(&conn);
                self.room.handle(self.now, Input::Closed { conn });
            }
            Output::Sfu(message) => {
                if let ToSfu::Leaves { meeting, epoch, .. } = *message {
                    let taken = FromSfu::LeavesTaken { meeting, epoch };
                    self.room.handle(self.now, Input::Sfu(Box::new(taken)));
                }
            }
            // what a service would write down
            Output::Note { .. } | Output::TurnedAway(_) => {}
        }
        Ok(())
    }

    fn down(&mut self, conn: ConnId, message: ToClient) -> anyhow::Result<()> {
        let Some(who) = self.owners.get(&conn) else { return Ok(()) };
        if let Some(seat) = self.seats.get_mut(who) {
            seat.session.handle(self.now, message);
        } else if let Some(stranger) = self.stranger.as_mut().filter(|stranger| stranger.who == *who)
            && let Some(answer) = stranger.handle(message)?
        {
            self.mail.push_back((conn, answer));
        }
        Ok(())
    }
}

//! The world: one room of signaling's core, its nodes, the network between them, and the clock that everything is told.

use crate::laws::Views;
use crate::media::{Frame, SPEAK_MS};
use crate::network::{Event, Network};
use crate::node::{Habit, Node};
use domain::message::client::{ToClient, ToServer};
use domain::message::control::{FromSfu, ToSfu};
use domain::message::custody::LeafRole;
use domain::policy::Rule;
use domain::{Codec, ParticipantId, Slot, UnixMillis};
use e2ee::leaf::LeafKey;
use e2ee::session::{Event as Told, Output as Says, Session};
use signaling_core::{
    ConnId, Handshake, Input, Member, OrderSigner, Output, Ports, Randomness, Room, RoomRecord, Step,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use strongroom_tests::dice::Dice;
use strongroom_tests::firms::{Firms, T0, id, role_of, room};

/// Grace of both firms' statements, ms.
pub const GRACE_MS: u64 = 2_000;
/// A recorder's beacon every, ms.
const BEACON_MS: u64 = 500;
/// Facts kept to tell how a law came to be broken.
const HISTORY: usize = 120;

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

/// A script: what is done next, and when to be asked again (`None`: never).
pub type Script = Box<dyn FnMut(&mut World) -> Option<u64>>;

pub struct World {
    pub now: UnixMillis,
    pub dice: Dice,
    pub firms: Firms,
    pub people: Vec<ParticipantId>,
    pub nodes: BTreeMap<ParticipantId, Node>,
    pub network: Network,
    pub frames: Vec<Frame>,
    pub expelled: BTreeSet<ParticipantId>,
    pub views: Views,
    pub script: Option<Script>,
    pub steps_at_now: u32,
    rules: (Rule, Rule),
    record: Arc<RoomRecord>,
    room: Room,
    handshakes: BTreeMap<ConnId, Handshake>,
    owners: BTreeMap<ConnId, ParticipantId>,
    next_conn: u64,
    history: VecDeque<String>,
}

impl World {
    /// An empty room; `people` are its members, the first one is host.
    pub fn new(seed: u64, rules: (Rule, Rule), people: &[&str]) -> Self {
        let firms = Firms::new(rules.0, rules.1, GRACE_MS);
        let people: Vec<ParticipantId> = people.iter().map(|text| id(text)).collect();
        let member = |(n, who): (usize, &ParticipantId)| Member {
            firm: who.firm.clone(),
            user: who.user.clone(),
            host: n == 0,
            groups: BTreeSet::new(),
        };
        let record = RoomRecord {
            room: room(),
            title: "Project Alder".to_owned(),
            members: people.iter().enumerate().map(member).collect(),
            statements: vec![
                (firms.a.id.clone(), firms.statements[0].clone()),
                (firms.b.id.clone(), firms.statements[1].clone()),
            ],
        };
        let order = LeafKey::from_secret(&firms.order.to_secret()[..]).expect("a key");
        let ports = Ports {
            trust: Arc::new(firms.trust.clone()),
            signer: Arc::new(OrderKey(order)),
            random: Arc::new(Counting(AtomicU64::new(seed))),
            held: Default::default(),
        };
        let mut world = Self {
            now: T0,
            dice: Dice::new(seed),
            firms,
            people,
            nodes: BTreeMap::new(),
            network: Network::new(),
            frames: Vec::new(),
            expelled: BTreeSet::new(),
            views: Views::default(),
            script: None,
            steps_at_now: 0,
            rules,
            record: Arc::new(record),
            room: Room::new(ports),
            handshakes: BTreeMap::new(),
            owners: BTreeMap::new(),
            next_conn: 0,
            history: VecDeque::new(),
        };
        let hello = FromSfu::Hello {
            node: "sfu-1".to_owned(),
            record_address: "127.0.0.1:8444".to_owned(),
            record_server_name: "localhost".to_owned(),
            record_certificate: vec![7; 32].into(),
            region: None,
        };
        world.room.handle(T0, Input::Sfu(Box::new(hello)));
        world.network.at(T0.plus(SPEAK_MS), Event::Speak);
        world.network.at(T0.plus(BEACON_MS), Event::Beacons);
        world
    }

    pub fn rule(&self, who: &ParticipantId) -> Rule {
        if who.firm == self.firms.b.id { self.rules.1 } else { self.rules.0 }
    }

    /// Nodes that are in the meeting and mean well.
    pub fn present(&self) -> impl Iterator<Item = (&ParticipantId, &Node)> {
        self.nodes.iter().filter(|(_, node)| node.ghost_since.is_none() && node.habit == Habit::Honest)
    }

    pub fn is_present(&self, who: &ParticipantId) -> bool {
        self.nodes.get(who).is_some_and(|node| node.ghost_since.is_none())
    }

    pub fn log(&mut self, fact: String) {
        if self.history.len() >= HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(format!("{:>6} {fact}", self.now.since(T0)));
    }

    pub fn history(&self) -> String {
        self.history.iter().map(|line| format!("{line}\n")).collect()
    }

    /// A fresh session of this participant comes.
    pub fn start(&mut self, who: &ParticipantId, habit: Habit) {
        if self.expelled.contains(who) {
            return;
        }
        self.log(format!("{who} starts"));
        let session = Session::new(self.firms.config(who), self.now).expect("a good certificate");
        if let Some(conn) = self.nodes.remove(who).and_then(|old| old.conn) {
            self.network.sever(&mut self.dice, self.now, conn);
        }
        let mut node = Node::new(session, habit);
        node.session.add_source(Slot::MICROPHONE, Codec::Opus);
        self.nodes.insert(who.clone(), node);
        self.dial(who);
    }

    fn dial(&mut self, who: &ParticipantId) {
        self.next_conn += 1;
        let conn = ConnId(self.next_conn);
        self.owners.insert(conn, who.clone());
        let nonce = evidence::sha256(&self.next_conn.to_be_bytes());
        self.handshakes.insert(conn, Handshake::new(Arc::new(self.firms.trust.clone()), nonce));
        self.network.open(conn, self.now);
        if let Some(node) = self.nodes.get_mut(who) {
            (node.conn, node.admitted) = (Some(conn), false);
        }
    }

    /// The participant's connection breaks; it dials again when it notices.
    pub fn sever(&mut self, who: &ParticipantId) {
        if let Some(conn) = self.nodes.get(who).and_then(|node| node.conn) {
            self.log(format!("{who} is cut off"));
            self.network.sever(&mut self.dice, self.now, conn);
        }
    }

    pub fn stall(&mut self, who: &ParticipantId, ms: u64) {
        if let Some(conn) = self.nodes.get(who).and_then(|node| node.conn) {
            self.log(format!("{who} stalls for {ms} ms"));
            self.network.stall(self.now, conn, ms);
        }
    }

    /// It is gone without a word.
    pub fn kill(&mut self, who: &ParticipantId) {
        if let Some(conn) = self.nodes.remove(who).and_then(|node| node.conn) {
            self.log(format!("{who} is killed"));
            self.network.sever(&mut self.dice, self.now, conn);
        }
    }

    pub fn leave(&mut self, who: &ParticipantId) {
        if let Some(node) = self.nodes.get_mut(who) {
            node.session.leave();
            self.log(format!("{who} leaves"));
            self.pump();
            self.nodes.remove(who);
        }
    }

    /// The host removes a person.
    pub fn expel(&mut self, target: &ParticipantId) {
        let host = self.people[0].clone();
        if let Some(node) = self.nodes.get_mut(&host) {
            node.session.remove(target.clone());
            self.log(format!("the host removes {target}"));
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.now.plus(ms);
        self.pump();
        loop {
            let timers = self.nodes.values().filter(|n| n.ghost_since.is_none());
            let timers = timers.filter_map(|node| node.session.poll_timeout());
            let next = timers.chain(self.room.poll_timeout()).chain(self.network.next()).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            if next > self.now {
                self.now = next;
                self.steps_at_now = 0;
            }
            self.steps_at_now += 1;
            self.step();
            self.pump();
            self.invariants();
        }
        self.now = end;
        self.steps_at_now = 0;
    }

    fn step(&mut self) {
        let now = self.now;
        if self.room.poll_timeout().is_some_and(|at| at <= now) {
            self.room.timeout(now);
        }
        for node in self.nodes.values_mut().filter(|node| node.ghost_since.is_none()) {
            if node.session.poll_timeout().is_some_and(|at| at <= now) {
                node.session.handle_timeout(now);
            }
        }
        if let Some(event) = self.network.pop(now) {
            self.take(event);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Up(conn, message) => self.up(conn, *message),
            Event::Down(conn, message) => self.down(conn, *message),
            Event::ServiceMisses(conn) => {
                self.handshakes.remove(&conn);
                self.room.handle(self.now, Input::Closed { conn });
            }
            Event::NodeMisses(conn) => self.node_misses(conn),
            Event::Start(who) => {
                let gone = self.nodes.get(&who).is_some_and(|node| node.session.is_over());
                if gone {
                    let habit = self.nodes.get(&who).map_or(Habit::Honest, |node| node.habit);
                    self.start(&who, habit);
                }
            }
            Event::LeavesTaken(meeting, epoch) => {
                let taken = FromSfu::LeavesTaken { meeting, epoch };
                self.room.handle(self.now, Input::Sfu(Box::new(taken)));
            }
            Event::Speak => self.speak(),
            Event::Beacons => self.beacons(),
            Event::Frame(frame, to, tries) => self.arrive(frame, &to, tries),
            Event::Script => self.play(),
        }
    }

    fn play(&mut self) {
        let Some(mut script) = self.script.take() else { return };
        if let Some(again) = script(self) {
            self.network.at(self.now.plus(again), Event::Script);
            self.script = Some(script);
        }
    }

    /// Begins to follow a script.
    pub fn follow(&mut self, script: Script) {
        self.script = Some(script);
        self.network.at(self.now, Event::Script);
    }

    fn beacons(&mut self) {
        self.network.at(self.now.plus(BEACON_MS), Event::Beacons);
        let recorders: Vec<_> = self.present().filter(|(_, n)| n.is_recorder()).map(|(id, _)| id.clone()).collect();
        for who in recorders {
            let said =
                self.nodes.get_mut(&who).and_then(|node| Some((node.conn.filter(|_| node.admitted)?, node.beacon()?)));
            if let Some((conn, beacon)) = said {
                self.network.up(&mut self.dice, self.now, conn, ToServer::Beacon { beacon: beacon.into() });
            }
        }
    }

    fn up(&mut self, conn: ConnId, message: ToServer) {
        let Some(handshake) = self.handshakes.get_mut(&conn) else {
            return self.room.handle(self.now, Input::Message { conn, message: Box::new(message) });
        };
        match handshake.handle(self.now, message) {
            Step::Send(message) => self.network.down(&mut self.dice, self.now, conn, message),
            Step::Proven(proven) => {
                self.handshakes.remove(&conn);
                let room = self.record.clone();
                self.room.handle(self.now, Input::Join { conn, proven, room });
            }
            Step::Refuse(problem) => {
                self.log(format!("handshake refused: {problem:?}"));
                self.network.down(&mut self.dice, self.now, conn, ToClient::Refusal(problem));
                self.network.close(conn, self.now);
            }
        }
    }

    fn down(&mut self, conn: ConnId, message: ToClient) {
        let Some(who) = self.owners.get(&conn).cloned() else { return };
        let trust = &self.firms.trust;
        let Some(node) = self.nodes.get_mut(&who).filter(|n| n.conn == Some(conn) && n.ghost_since.is_none()) else {
            return;
        };
        node.note(trust, self.now, &message);
        node.session.handle(self.now, message);
    }

    fn node_misses(&mut self, conn: ConnId) {
        let Some(who) = self.owners.remove(&conn) else { return };
        let now = self.now;
        let Some(node) = self.nodes.get_mut(&who).filter(|n| n.conn == Some(conn) && n.ghost_since.is_none()) else {
            return;
        };
        node.conn = None;
        if node.session.is_over() {
            return;
        }
        node.told.away.get_or_insert(now);
        node.session.reconnect(now);
        self.log(format!("{who} dials again"));
        self.dial(&who);
    }

    /// Carries out what everybody wants until nobody wants anything more.
    pub fn pump(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(output) = self.room.poll_output() {
                quiet = false;
                self.service(output);
            }
            for who in self.nodes.keys().cloned().collect::<Vec<_>>() {
                while let Some(says) = self.nodes.get_mut(&who).and_then(|node| node.session.poll_output()) {
                    quiet = false;
                    match says {
                        Says::Send(message) => self.says(&who, message),
                        Says::Event(event) => self.heard(&who, event),
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    fn service(&mut self, output: Output) {
        match output {
            Output::Send { to, message } => {
                if let ToClient::Withdrawn { epoch } = &*message
                    && let Some(meeting) = self.room.meeting().cloned()
                {
                    self.log(format!("epoch {} is withdrawn", epoch.0));
                    self.views.withdrawn(meeting, *epoch);
                }
                for conn in to {
                    self.network.down(&mut self.dice, self.now, conn, (*message).clone());
                }
            }
            Output::Close { conn } => self.network.close(conn, self.now),
            Output::Sfu(message) => match *message {
                ToSfu::Leaves { meeting, epoch, .. } => {
                    let at = self.now.plus(self.dice.within(1, 20));
                    self.network.at(at, Event::LeavesTaken(meeting, epoch));
                }
                ToSfu::Cut { participant, .. } if self.expelled.contains(&participant) => {
                    if let Some(node) = self.nodes.get_mut(&participant) {
                        node.ghost_since.get_or_insert(self.now);
                    }
                }
                _ => {}
            },
            Output::TurnedAway(_) => {}
            Output::Note { fact, .. } => self.log(format!("service: {fact}")),
        }
    }

    fn says(&mut self, who: &ParticipantId, message: ToServer) {
        let Some(node) = self.nodes.get(who) else { return };
        let (Some(conn), habit) = (node.conn, node.habit) else { return };
        if let ToServer::Remove { participant } = &message {
            self.expelled.insert(participant.clone());
        }
        if matches!(message, ToServer::Refused { .. } | ToServer::NeedResync {} | ToServer::Resync { .. }) {
            self.log(format!("{who} says {}", format!("{message:?}").chars().take(60).collect::<String>()));
        }
        for message in crate::hostile::bend(&mut self.dice, habit, message) {
            self.network.up(&mut self.dice, self.now, conn, message);
        }
    }

    fn heard(&mut self, who: &ParticipantId, event: Told) {
        let now = self.now;
        let Some(node) = self.nodes.get_mut(who) else { return };
        match event {
            Told::Epoch { epoch, members, code, .. } => {
                let Some(meeting) = node.session.terms().map(|terms| terms.meeting.clone()) else { return };
                node.told.entered.insert((meeting.clone(), epoch), now);
                node.view = Some((meeting.clone(), epoch, code.clone()));
                if node.habit == Habit::Honest {
                    self.views.invariant_one_view_per_epoch(&meeting, epoch, &code, &members);
                }
                self.log(format!("{who} enters epoch {} of {} with {}", epoch.0, meeting, members.len()));
                self.give_receipt(who);
            }
            Told::Admitted { .. } => {
                node.admitted = true;
                self.give_receipt(who);
            }
            Told::Removed { problem } => {
                self.log(format!("{who} is out: {problem:?}"));
                if !self.expelled.contains(who) {
                    let at = now.plus(self.dice.within(100, 400));
                    self.network.at(at, Event::Start(who.clone()));
                }
            }
            Told::Incident { kind, participant } => self.log(format!("{who}: {kind:?} by {participant:?}")),
            _ => {}
        }
    }

    /// A recorder's own work; said again when its connection is a new one.
    fn give_receipt(&mut self, who: &ParticipantId) {
        let recorder = role_of(who) == LeafRole::Recorder;
        let Some(node) = self.nodes.get(who).filter(|node| recorder && node.admitted) else { return };
        if let (Some(conn), Some(receipt)) = (node.conn, node.receipt()) {
            self.network.up(&mut self.dice, self.now, conn, ToServer::Receipt { receipt: receipt.into() });
        }
    }
}

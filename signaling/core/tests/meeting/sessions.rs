//! The real sessions of browsers and recorders against the real room, over a network with delays: whatever happens, all
//! who are connected end in one group with one code.

use crate::firms::{Firm, ROOM, START, key, sign, trust};
use domain::message::client::{ToClient, ToServer};
use domain::message::control::{FromSfu, ToSfu};
use domain::policy::Rule;
use domain::{B64, ParticipantId, UnixMillis};
use e2ee::leaf::LeafKey;
use e2ee::session::{Event, Output as FromSession, Session, SessionConfig};
use evidence::identity::TrustMap;
use evidence::receipt::Receipt;
use signaling_core::admission::{Handshake, Step};
use signaling_core::{
    ConnId, Input, Member as DirectoryMember, OrderSigner, Output, Ports, Randomness, Room, RoomRecord,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting(AtomicU64);
impl Randomness for Counting {
    fn bytes(&self) -> [u8; 32] {
        evidence::sha256(&self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes())
    }
}
struct OrderKey;
impl OrderSigner for OrderKey {
    fn sign(&self, hash: &[u8; 32]) -> [u8; 64] {
        sign(&key(9), hash)
    }
}

enum Mail {
    ToRoom(ConnId, Box<ToServer>),
    ToPeer(ConnId, Box<ToClient>),
    /// The page is gone.
    Closed(ConnId),
    /// Signaling closed.
    HangUp(ConnId),
    Sfu(Box<FromSfu>),
}

struct Peer {
    session: Session,
    conn: Option<ConnId>,
    recorder: bool,
    code: String,
    incidents: Vec<String>,
}

struct Net {
    now: UnixMillis,
    firms: Vec<Firm>,
    trust: TrustMap,
    record: Arc<RoomRecord>,
    room: Room,
    peers: BTreeMap<String, Peer>,
    mail: BTreeMap<(UnixMillis, u64), Mail>,
    last: BTreeMap<(ConnId, bool), UnixMillis>,
    handshakes: BTreeMap<ConnId, Handshake>,
    dead: BTreeSet<ConnId>,
    counter: u64,
    random: u64,
}

/// `ann`, `amy`... are of bank-a, others of bank-b; `rec-a`, `rec-b` recorders.
fn id(name: &str) -> ParticipantId {
    let text = match name {
        "rec-a" => "bank-a/recorder-1/r1".to_owned(),
        "rec-b" => "bank-b/recorder-1/r1".to_owned(),
        _ if name.starts_with('a') => format!("bank-a/{name}/d1"),
        _ => format!("bank-b/{name}/d1"),
    };
    text.parse().unwrap()
}

const PEOPLE: [&str; 6] = ["ann", "amy", "abe", "ben", "bob", "bea"];

impl Net {
    fn new(seed: u64, rule: Rule) -> Self {
        let firms = vec![Firm::new("bank-a"), Firm::new("bank-b")];
        let trust = trust(&firms, &key(9));
        let member = |name: &&str| DirectoryMember {
            firm: id(name).firm,
            user: id(name).user,
            host: *name == "ann",
            groups: [].into(),
        };
        let statements = firms.iter().map(|firm| (firm.id.clone(), firm.statement(ROOM, rule))).collect();
        let members = PEOPLE.iter().map(member).collect();
        let record = Arc::new(RoomRecord { room: ROOM.parse().unwrap(), title: "Alder".into(), members, statements });
        let ports = Ports {
            trust: Arc::new(trust.clone()),
            signer: Arc::new(OrderKey),
            random: Arc::new(Counting(AtomicU64::new(seed << 32))),
            held: Default::default(),
        };
        let mut net = Self {
            now: START,
            firms,
            trust,
            record,
            room: Room::new(ports),
            peers: BTreeMap::new(),
            mail: BTreeMap::new(),
            last: BTreeMap::new(),
            handshakes: BTreeMap::new(),
            dead: BTreeSet::new(),
            counter: 0,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        };
        let hello = FromSfu::Hello {
            node: "sfu-1".into(),
            record_address: "127.0.0.1:1".into(),
            record_server_name: "localhost".into(),
            record_certificate: B64(vec![0; 32]),
            region: None,
        };
        net.room.handle(START, Input::Sfu(Box::new(hello)));
        net
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn session(&self, name: &str) -> Session {
        let key = LeafKey::generate();
        let id = id(name);
        let firm = self.firms.iter().find(|firm| firm.id == id.firm).unwrap();
        let certificate = firm.certify_key(&key.public_sec1(), &id, name.starts_with("rec-"), self.now);
        let config =
            SessionConfig { key, chain: vec![certificate], trust: self.trust.clone(), room: ROOM.parse().unwrap() };
        Session::new(config, self.now).unwrap()
    }

    /// A new page or process connects.
    fn join(&mut self, name: &str) {
        self.hang_up(name);
        let session = self.session(name);
        let recorder = name.starts_with("rec-");
        let conn = self.dial();
        let peer = Peer { session, conn: Some(conn), recorder, code: String::new(), incidents: Vec::new() };
        self.peers.insert(name.to_owned(), peer);
        self.flush(name);
    }

    /// The same page gets a new connection.
    fn reconnect(&mut self, name: &str) {
        self.hang_up(name);
        let conn = self.dial();
        let now = self.now;
        let peer = self.peers.get_mut(name).unwrap();
        peer.conn = Some(conn);
        peer.session.reconnect(now);
        self.flush(name);
    }

    fn dial(&mut self) -> ConnId {
        self.counter += 1;
        let conn = ConnId(self.counter);
        let nonce = evidence::sha256(&self.counter.to_be_bytes());
        self.handshakes.insert(conn, Handshake::new(Arc::new(self.trust.clone()), nonce));
        conn
    }

    fn hang_up(&mut self, name: &str) {
        let conn = self.peers.get_mut(name).and_then(|peer| peer.conn.take());
        if let Some(conn) = conn {
            self.dead.insert(conn);
            self.post(conn, true, Mail::Closed(conn));
        }
    }

    /// In order per connection and direction, 5 to 60 ms away.
    fn post(&mut self, conn: ConnId, up: bool, mail: Mail) {
        let delay = 5 + self.random(56);
        let last = self.last.get(&(conn, up)).copied().unwrap_or_default();
        let at = self.now.plus(delay).max(last);
        self.last.insert((conn, up), at);
        self.counter += 1;
        self.mail.insert((at, self.counter), mail);
    }

    fn flush(&mut self, name: &str) {
        let mut ups = Vec::new();
        let Some(peer) = self.peers.get_mut(name) else { return };
        while let Some(output) = peer.session.poll_output() {
            match output {
                FromSession::Send(message) => ups.push(message),
                FromSession::Event(Event::Epoch { epoch, code, .. }) => {
                    peer.code = code;
                    if peer.recorder {
                        let receipt = Receipt {
                            meeting: peer.session.terms().unwrap().meeting.clone(),
                            firm: id(name).firm,
                            recorder: id(name),
                            incarnation: 1,
                            epoch,
                            transcript_hash: peer.session.transcript_hash(epoch).unwrap(),
                            sealed_hash: [0; 32],
                            commitment: peer.session.epoch_commitment(epoch).unwrap(),
                        };
                        ups.push(ToServer::Receipt { receipt: B64(peer.session.sign_receipt(&receipt)) });
                    }
                }
                FromSession::Event(Event::Incident { kind, .. }) => peer.incidents.push(format!("{kind:?}")),
                FromSession::Event(_) => {}
            }
        }
        if let Some(conn) = peer.conn {
            if self.handshakes.contains_key(&conn) {
                ups.retain(|message| matches!(message, ToServer::Hello { .. } | ToServer::Prove { .. }));
            }
            ups.into_iter().for_each(|message| self.post(conn, true, Mail::ToRoom(conn, Box::new(message))));
        }
    }

    fn pump(&mut self) {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Send { to, message } => {
                    to.into_iter().for_each(|conn| self.post(conn, false, Mail::ToPeer(conn, message.clone())));
                }
                Output::Close { conn } => self.post(conn, false, Mail::HangUp(conn)),
                Output::Sfu(message) => {
                    if let ToSfu::Leaves { meeting, epoch, .. } = *message {
                        let taken = Mail::Sfu(Box::new(FromSfu::LeavesTaken { meeting, epoch }));
                        self.post(ConnId(0), true, taken);
                    }
                }
                Output::TurnedAway(_) | Output::Note { .. } => {}
            }
        }
    }

    fn deliver(&mut self, mail: Mail) {
        match mail {
            Mail::ToRoom(conn, message) => match self.handshakes.get_mut(&conn) {
                Some(handshake) => match handshake.handle(self.now, *message) {
                    Step::Send(message) => self.post(conn, false, Mail::ToPeer(conn, Box::new(message))),
                    Step::Proven(proven) => {
                        self.handshakes.remove(&conn);
                        let room = self.record.clone();
                        self.room.handle(self.now, Input::Join { conn, proven, room });
                    }
                    Step::Refuse(problem) => panic!("{problem:?}"),
                },
                None => self.room.handle(self.now, Input::Message { conn, message }),
            },
            Mail::Closed(conn) => {
                self.handshakes.remove(&conn);
                self.room.handle(self.now, Input::Closed { conn });
            }
            Mail::HangUp(conn) => {
                let owner = self.peers.iter().find(|(_, peer)| peer.conn == Some(conn)).map(|(name, _)| name.clone());
                if let Some(owner) = owner {
                    self.hang_up(&owner);
                }
            }
            Mail::Sfu(message) => self.room.handle(self.now, Input::Sfu(message)),
            Mail::ToPeer(conn, message) => {
                let owner = self.peers.iter().find(|(_, peer)| peer.conn == Some(conn)).map(|(name, _)| name.clone());
                if let Some(name) = owner.filter(|_| !self.dead.contains(&conn)) {
                    let now = self.now;
                    self.peers.get_mut(&name).unwrap().session.handle(now, *message);
                    self.flush(&name);
                }
            }
        }
        self.pump();
    }

    fn advance(&mut self, millis: u64) {
        let end = self.now.plus(millis);
        for _ in 0..200_000 {
            let post = self.mail.keys().next().map(|(at, _)| *at);
            let room = self.room.poll_timeout();
            let connected = self.peers.iter().filter(|(_, peer)| peer.conn.is_some());
            let session = connected.filter_map(|(name, p)| p.session.poll_timeout().map(|at| (at, name.clone()))).min();
            let next = [post, room, session.as_ref().map(|(at, _)| *at)].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            if post == Some(next) {
                let (_, mail) = self.mail.pop_first().unwrap();
                self.deliver(mail);
            } else if room == Some(next) {
                self.room.timeout(self.now);
                self.pump();
            } else if let Some((_, name)) = session {
                let now = self.now;
                self.peers.get_mut(&name).unwrap().session.handle_timeout(now);
                self.flush(&name);
            }
        }
        panic!("the network never comes to rest");
    }

    fn connected(&self) -> Vec<&String> {
        let there = self.peers.iter().filter(|(_, peer)| peer.conn.is_some() && !peer.session.is_over());
        there.map(|(name, _)| name).collect()
    }

    fn agree(&self) -> bool {
        let connected = self.connected();
        let state = |name: &&String| {
            let peer = &self.peers[*name];
            (peer.session.epoch(), peer.code.clone(), peer.session.members().len())
        };
        let mut states = connected.iter().map(state);
        let Some(first) = states.next() else { return true };
        first.0.is_some() && first.2 >= connected.len() && states.all(|other| other == first)
    }

    fn invariant_one_code(&self, what: &str) {
        let say = |name: &String| {
            let peer = &self.peers[name];
            format!(
                "{name}: {:?} {} {:?} {:?}",
                peer.session.epoch(),
                peer.code,
                peer.session.members().len(),
                peer.incidents
            )
        };
        let all: Vec<String> = self.connected().into_iter().map(say).collect();
        assert!(self.agree(), "{what}\n{}", all.join("\n"));
    }

    /// How long until all agree.
    fn settle(&mut self, what: &str, within: u64) -> u64 {
        let start = self.now;
        while self.now.since(start) < within {
            self.advance(10);
            if self.agree() {
                return self.now.since(start);
            }
        }
        self.invariant_one_code(what);
        within
    }
}

#[test]
fn people_and_recorders_come_into_one_group_whatever_the_order() {
    for seed in 0..5 {
        let mut net = Net::new(seed, Rule::Must);
        net.join("rec-a");
        for name in ["ann", "ben", "rec-b", "amy"] {
            net.join(name);
        }
        net.advance(3_000);
        net.invariant_one_code(&format!("seed {seed}"));
        assert_eq!(net.peers["ann"].session.members().len(), 5, "seed {seed}");
        let quiet = |peer: &Peer| peer.incidents.is_empty();
        assert!(net.peers.values().all(quiet), "seed {seed}");
    }
}

#[test]
fn a_reloaded_page_is_back_within_3_s() {
    for seed in 0..10 {
        let mut net = Net::new(seed, Rule::Off);
        for name in ["ann", "ben", "amy"] {
            net.join(name);
        }
        net.advance(4_000);
        net.join("ben");
        let took = net.settle(&format!("seed {seed}"), 3_000);
        println!("seed {seed}: back after {took} ms");
        assert_eq!(net.peers["ann"].session.members().len(), 3);
    }
}

#[test]
fn a_lost_connection_continues_where_it_was() {
    for seed in 0..5 {
        let mut net = Net::new(seed, Rule::Must);
        for name in ["ann", "ben", "rec-a"] {
            net.join(name);
        }
        net.advance(4_000);
        net.hang_up("ben");
        net.join("amy");
        net.advance(1_000);
        net.reconnect("ben");
        net.settle(&format!("seed {seed}"), 1_000);
        assert!(net.peers["ben"].incidents.is_empty());
    }
}

#[test]
fn who_leaves_or_is_removed_is_out_of_the_group_within_1_s() {
    for seed in 0..10 {
        let mut net = Net::new(seed, Rule::Must);
        for name in ["ann", "ben", "amy", "rec-a"] {
            net.join(name);
        }
        net.advance(4_000);
        net.peers.get_mut("ben").unwrap().session.leave();
        net.flush("ben");
        net.advance(1_000);
        net.invariant_one_code(&format!("seed {seed}"));
        assert_eq!(net.peers["ann"].session.members().len(), 3);
        net.peers.get_mut("ann").unwrap().session.remove(id("amy"));
        net.flush("ann");
        net.advance(1_000);
        assert_eq!(net.peers["ann"].session.members().len(), 2);
        assert!(net.peers["amy"].session.is_over());
    }
}

#[test]
fn when_the_creator_crashes_first_the_others_meet_all_the_same() {
    for seed in 0..10 {
        let mut net = Net::new(seed, Rule::Off);
        net.join("ann");
        net.advance(seed * 25);
        net.join("ben");
        net.join("amy");
        net.advance(30);
        net.hang_up("ann");
        net.peers.remove("ann");
        net.settle(&format!("seed {seed}"), 4_000);
        assert_eq!(net.connected().len(), 2);
        assert!(net.peers["ben"].session.members().len() >= 2);
    }
}

/// One random event.
fn stir(net: &mut Net) {
    let names = ["ann", "amy", "abe", "ben", "bob", "bea", "rec-a", "rec-b"];
    let name = names[net.random(names.len() as u64) as usize];
    let there = net.peers.get(name).is_some_and(|peer| peer.conn.is_some() && !peer.session.is_over());
    let over = net.peers.get(name).is_none_or(|peer| peer.session.is_over());
    match net.random(6) {
        _ if !there && over => net.join(name),
        _ if !there => net.reconnect(name),
        0 => net.join(name),
        1 => net.reconnect(name),
        2 => net.hang_up(name),
        3 if !name.starts_with("rec-") => {
            net.peers.get_mut(name).unwrap().session.leave();
            net.flush(name);
        }
        _ => {}
    }
}

#[test]
fn after_any_disorder_all_who_are_connected_end_in_one_group() {
    for seed in 0..6 {
        let mut net = Net::new(seed, Rule::Must);
        net.join("ann");
        for _ in 0..60 {
            stir(&mut net);
            let pause = net.random(700);
            net.advance(pause);
        }
        // everybody left is there; nothing more happens
        net.advance(12_000);
        let started = net.connected().iter().any(|name| !name.starts_with("rec-"));
        if started {
            net.invariant_one_code(&format!("seed {seed}"));
        }
    }
}

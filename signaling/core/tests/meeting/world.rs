//! A room, its members, an SFU and a clock that only tests move.

use crate::firms::{Firm, Leaf, ROOM, START, Use, key, sign, trust};
use crate::member::Member;
use domain::message::PROTOCOL;
use domain::message::client::{Entering, Problem, ProblemCode, Resume, ToClient, ToServer, challenge_bytes};
use domain::message::control::{FromSfu, ToSfu};
use domain::policy::{Rule, Statement};
use domain::{B64, Epoch, FirmId, LeafIndex, ParticipantId, RoomId, UnixMillis};
use evidence::identity::TrustMap;
use p256::ecdsa::signature::Signer;
use signaling_core::admission::{Handshake, Proven, Step};
use signaling_core::meeting::Held;
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

/// How the SFU answers `Leaves`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sfu {
    Prompt,
    Mute,
}

pub struct World {
    pub now: UnixMillis,
    pub firms: Vec<Firm>,
    pub trust: Arc<TrustMap>,
    pub record: RoomRecord,
    pub room: Room,
    pub members: BTreeMap<String, Member>,
    pub conns: BTreeMap<String, ConnId>,
    /// Everything a member received, with the time.
    pub inbox: BTreeMap<String, Vec<(UnixMillis, ToClient)>>,
    pub closed: BTreeSet<ConnId>,
    pub sfu: Sfu,
    /// What newcomers bring.
    pub entering: Entering,
    pub to_sfu: Vec<(UnixMillis, ToSfu)>,
    /// Guests whose invitations are over.
    pub turned_away: Vec<ParticipantId>,
    /// Files that all meetings hold.
    pub held: Held,
    owners: BTreeMap<ConnId, String>,
    next: u64,
}

impl World {
    /// Two firms under these rules; people anna (host), amy, abe and ben, bob are in the room.
    pub fn with_rules(a: Rule, b: Rule) -> Self {
        let firms = vec![Firm::new("bank-a"), Firm::new("bank-b"), Firm::new("bank-x")];
        let trust = Arc::new(trust(&firms, &key(9)));
        let member = |firm: &str, user: &str| DirectoryMember {
            firm: firm.parse().unwrap(),
            user: user.parse().unwrap(),
            host: user == "anna",
            groups: BTreeSet::new(),
        };
        let people = [("bank-a", "anna"), ("bank-a", "amy"), ("bank-a", "abe"), ("bank-b", "ben"), ("bank-b", "bob")];
        let record = RoomRecord {
            room: ROOM.parse().unwrap(),
            title: "Project Alder".into(),
            members: people.iter().map(|(firm, user)| member(firm, user)).collect(),
            statements: vec![
                (firms[0].id.clone(), firms[0].statement(ROOM, a)),
                (firms[1].id.clone(), firms[1].statement(ROOM, b)),
            ],
        };
        let held = Held::default();
        let ports = Ports {
            trust: trust.clone(),
            signer: Arc::new(OrderKey),
            random: Arc::new(Counting(AtomicU64::new(1))),
            held: held.clone(),
        };
        let mut world = Self {
            now: START,
            firms,
            trust,
            record,
            room: Room::new(ports),
            members: BTreeMap::new(),
            conns: BTreeMap::new(),
            inbox: BTreeMap::new(),
            closed: BTreeSet::new(),
            sfu: Sfu::Prompt,
            entering: Entering { client: domain::message::CLIENT, passcode: None, invitation: None },
            to_sfu: Vec::new(),
            turned_away: Vec::new(),
            held,
            owners: BTreeMap::new(),
            next: 0,
        };
        world.sfu_hello();
        world
    }

    pub fn new() -> Self {
        Self::with_rules(Rule::Off, Rule::Off)
    }

    /// Nobody keeps sound and picture; files as said.
    pub fn with_files(a: Rule, b: Rule) -> Self {
        let mut world = Self::new();
        for (at, files) in [a, b].into_iter().enumerate() {
            let firm = &world.firms[at];
            let stated = Statement { files, ..firm.stated(ROOM, Rule::Off) };
            world.record.statements[at].1 = firm.sign_statement(&stated);
        }
        world
    }

    pub fn must() -> Self {
        Self::with_rules(Rule::Must, Rule::Must)
    }

    pub fn sfu_hello(&mut self) {
        let hello = FromSfu::Hello {
            node: "sfu-1".into(),
            record_address: "127.0.0.1:8444".into(),
            record_server_name: "localhost".into(),
            record_certificate: vec![7; 32].into(),
            region: None,
        };
        self.input(Input::Sfu(Box::new(hello)));
    }

    pub fn firm(&self, id: &FirmId) -> &Firm {
        self.firms.iter().find(|firm| firm.id == *id).unwrap()
    }

    /// The text form of a participant: `anna` is bank-a's, `ben` bank-b's, `rec-a` a recorder.
    pub fn id(name: &str) -> String {
        match name {
            "rec-a" => "bank-a/recorder-1/r1".into(),
            "rec-b" => "bank-b/recorder-1/r1".into(),
            _ if name.starts_with('a') => format!("bank-a/{name}/d1"),
            _ => format!("bank-b/{name}/d1"),
        }
    }

    pub fn participant(name: &str) -> ParticipantId {
        Self::id(name).parse().unwrap()
    }

    pub fn make(&mut self, name: &str) {
        let id = Self::id(name);
        let who: ParticipantId = id.parse().unwrap();
        let recorder = name.starts_with("rec-");
        let used = if recorder { Use::Recorder } else { Use::Member };
        let leaf = self.firm(&who.firm).certify(&id, used);
        self.members.insert(name.to_owned(), Member::new(&self.trust, &id, leaf, recorder));
    }

    /// Makes a member and connects it.
    pub fn join(&mut self, name: &str) {
        if !self.members.contains_key(name) {
            self.make(name);
        }
        self.connect(name, None);
    }

    /// Connects, by a real handshake.
    pub fn connect(&mut self, name: &str, resume: Option<Resume>) {
        let (conn, proven) = self.proven(name, resume);
        let room = Arc::new(self.record.clone());
        self.input(Input::Join { conn, proven, room });
    }

    /// Connects while the directory does not answer.
    pub fn come_back(&mut self, name: &str) {
        if !self.members.contains_key(name) {
            self.make(name);
        }
        let (conn, proven) = self.proven(name, None);
        self.input(Input::Return { conn, proven });
    }

    fn proven(&mut self, name: &str, resume: Option<Resume>) -> (ConnId, Box<Proven>) {
        let proven = self.handshake(name, resume).unwrap();
        (self.own(name), proven)
    }

    /// A new connection of this one.
    pub fn own(&mut self, name: &str) -> ConnId {
        self.next += 1;
        let conn = ConnId(self.next);
        self.owners.insert(conn, name.to_owned());
        self.conns.insert(name.to_owned(), conn);
        conn
    }

    pub fn handshake(&self, name: &str, resume: Option<Resume>) -> Result<Box<Proven>, Problem> {
        greet_with(&self.trust, self.now, &self.members[name].leaf, ROOM, resume, self.entering.clone())
    }

    pub fn resume(&self, name: &str) -> Resume {
        let member = &self.members[name];
        Resume { meeting: member.terms.as_ref().unwrap().meeting.clone(), epoch: member.epoch().unwrap() }
    }

    pub fn say(&mut self, name: &str, message: ToServer) {
        let conn = self.conns[name];
        self.input(Input::Message { conn, message: Box::new(message) });
    }

    pub fn close(&mut self, name: &str) {
        let conn = self.conns.remove(name).unwrap();
        self.owners.remove(&conn);
        self.input(Input::Closed { conn });
    }

    pub fn sfu_says(&mut self, message: FromSfu) {
        self.input(Input::Sfu(Box::new(message)));
    }

    pub fn input(&mut self, input: Input) {
        self.room.handle(self.now, input);
        self.pump();
    }

    /// Carries out outputs until nothing moves.
    pub fn pump(&mut self) {
        for _ in 0..100_000 {
            let Some(output) = self.room.poll_output() else { return };
            match output {
                Output::Send { to, message } => to.into_iter().for_each(|conn| self.deliver(conn, &message)),
                Output::Close { conn } => {
                    self.closed.insert(conn);
                }
                Output::Sfu(message) => {
                    self.to_sfu.push((self.now, (*message).clone()));
                    if let ToSfu::Leaves { meeting, epoch, .. } = *message
                        && self.sfu == Sfu::Prompt
                    {
                        let taken = FromSfu::LeavesTaken { meeting, epoch };
                        self.room.handle(self.now, Input::Sfu(Box::new(taken)));
                    }
                }
                Output::TurnedAway(guest) => self.turned_away.push(guest),
                Output::Note { .. } => {}
            }
        }
        panic!("the room never comes to rest");
    }

    fn deliver(&mut self, conn: ConnId, message: &ToClient) {
        // every message must survive its wire
        let text = serde_json::to_string(message).unwrap();
        let message: ToClient = serde_json::from_str(&text).unwrap();
        let Some(name) = self.owners.get(&conn).cloned() else { return };
        let current = self.conns.get(&name) == Some(&conn);
        self.inbox.entry(name.clone()).or_default().push((self.now, message.clone()));
        if !current || self.closed.contains(&conn) {
            return;
        }
        let answers = self.members.get_mut(&name).unwrap().react(&self.trust, self.now, &message);
        for answer in answers {
            self.room.handle(self.now, Input::Message { conn, message: Box::new(answer) });
        }
    }

    /// Lets virtual time pass, stopping at every deadline.
    pub fn advance(&mut self, millis: u64) {
        let end = self.now.plus(millis);
        for _ in 0..10_000 {
            match self.room.poll_timeout() {
                Some(due) if due <= end => {
                    self.now = self.now.max(due);
                    self.room.timeout(self.now);
                    self.pump();
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("a deadline that never passes");
    }

    /// Keeps everybody from being silent while much time passes.
    pub fn advance_alive(&mut self, millis: u64) {
        let end = self.now.plus(millis);
        while self.now < end {
            self.advance(end.since(self.now).min(10_000));
            let conns: Vec<ConnId> = self.conns.values().copied().collect();
            conns.into_iter().for_each(|conn| self.input(Input::Alive { conn }));
        }
    }

    /// These people are in one group, quietly.
    pub fn gather(&mut self, names: &[&str]) {
        for name in names {
            self.join(name);
        }
        self.advance(2_000);
        self.invariant_one_group(names);
        self.inbox.clear();
        self.to_sfu.clear();
    }

    /// All of these hold the same epoch of the same group.
    pub fn invariant_one_group(&self, names: &[&str]) {
        let first = self.members[names[0]].authenticator();
        for name in names {
            assert_eq!(self.members[*name].epoch(), self.members[names[0]].epoch(), "{name}");
            assert_eq!(self.members[*name].authenticator(), first, "{name}");
        }
    }

    pub fn epoch(&self, name: &str) -> Epoch {
        self.members[name].epoch().unwrap()
    }

    pub fn leaf(&self, name: &str) -> LeafIndex {
        LeafIndex(self.members[name].group.as_ref().unwrap().current_member_index())
    }

    /// Messages a member got, by a picker.
    pub fn got<T>(&self, name: &str, pick: impl Fn(&ToClient) -> Option<T>) -> Vec<(UnixMillis, T)> {
        let all = self.inbox.get(name).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter_map(|(at, message)| pick(message).map(|found| (*at, found))).collect()
    }

    pub fn refusals(&self, name: &str) -> Vec<ProblemCode> {
        let pick = |m: &ToClient| if let ToClient::Refusal(p) = m { Some(p.code) } else { None };
        self.got(name, pick).into_iter().map(|(_, code)| code).collect()
    }

    pub fn problems(&self, name: &str) -> Vec<ProblemCode> {
        let pick = |m: &ToClient| if let ToClient::Problem(p) = m { Some(p.code) } else { None };
        self.got(name, pick).into_iter().map(|(_, code)| code).collect()
    }

    pub fn commit_refusals(&self, name: &str) -> Vec<ProblemCode> {
        let pick =
            |m: &ToClient| if let ToClient::CommitRefused { problem, .. } = m { Some(problem.code) } else { None };
        self.got(name, pick).into_iter().map(|(_, code)| code).collect()
    }

    pub fn commits(&self, name: &str) -> Vec<(UnixMillis, Epoch)> {
        self.got(name, |m| if let ToClient::Commit { epoch, .. } = m { Some(*epoch) } else { None })
    }

    pub fn ready(&self, name: &str) -> Vec<(UnixMillis, Epoch)> {
        self.got(name, |m| if let ToClient::EpochReady { epoch } = m { Some(*epoch) } else { None })
    }

    pub fn asked_to_add(&self, name: &str) -> Vec<(UnixMillis, usize)> {
        self.got(name, |m| if let ToClient::CommitAdds { joiners } = m { Some(joiners.len()) } else { None })
    }

    pub fn asked_to_remove(&self, name: &str) -> Vec<(UnixMillis, Vec<LeafIndex>)> {
        self.got(name, |m| if let ToClient::CommitRemovals { leaves } = m { Some(leaves.clone()) } else { None })
    }

    pub fn is_closed(&self, name: &str) -> bool {
        self.closed.contains(&self.conns[name])
    }
}

/// The handshake of one connection with this certificate.
pub fn greet(
    trust: &Arc<TrustMap>,
    now: UnixMillis,
    leaf: &Leaf,
    room: &str,
    resume: Option<Resume>,
) -> Result<Box<Proven>, Problem> {
    greet_with(trust, now, leaf, room, resume, Entering::default())
}

/// The same with what a newcomer brings besides.
pub fn greet_with(
    trust: &Arc<TrustMap>,
    now: UnixMillis,
    leaf: &Leaf,
    room: &str,
    resume: Option<Resume>,
    entering: Entering,
) -> Result<Box<Proven>, Problem> {
    let mut handshake = Handshake::new(trust.clone(), [5; 32]);
    let room: RoomId = room.parse().unwrap();
    let chain = vec![B64(leaf.certificate.clone())];
    let hello =
        ToServer::Hello { version: PROTOCOL, room: room.clone(), chain, trust: trust.hash().into(), resume, entering };
    let nonce = match handshake.handle(now, hello) {
        Step::Send(ToClient::Challenge { nonce }) => nonce,
        Step::Refuse(problem) => return Err(problem),
        other => panic!("{other:?}"),
    };
    let signature: p256::ecdsa::Signature = leaf.key.sign(&challenge_bytes(&nonce, &room, &leaf.certificate));
    match handshake.handle(now, ToServer::Prove { signature: signature.to_bytes().to_vec().into() }) {
        Step::Proven(proven) => Ok(proven),
        Step::Refuse(problem) => Err(problem),
        other => panic!("{other:?}"),
    }
}

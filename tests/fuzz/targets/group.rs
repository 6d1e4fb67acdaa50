//! Group messages into a session and into signaling's room: a real meeting of two, then anything in place of a message.
//! The first byte says which field of which message carries the rest.

use super::evidence::firms;
use domain::message::client::{Joiner, MeetingTerms, ToClient, ToServer};
use domain::{B64, Epoch, ParticipantId, Slot, UnixMillis};
use e2ee::leaf::LeafKey;
use e2ee::session::{Output as Says, Session};
use signaling_core::{
    ConnId, Handshake, Input, Member, OrderSigner, Output, Ports, Randomness, Room, RoomRecord, Step,
};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use strongroom_tests::firms::{T0, id, room};

/// A meeting is used for so many inputs.
const USES: u32 = 400;
/// Nothing asks for more than this many messages in answer to one.
const MOST_ANSWERS: usize = 64;

struct Fixed;
impl Randomness for Fixed {
    fn bytes(&self) -> [u8; 32] {
        [7; 32]
    }
}
struct OrderKey(LeafKey);
impl OrderSigner for OrderKey {
    fn sign(&self, hash: &[u8; 32]) -> [u8; 64] {
        self.0.sign_prehash(hash)
    }
}

struct Node {
    conn: ConnId,
    handshake: Option<Handshake>,
    session: Session,
}

/// Two members and a recorder in one room, without a network between them.
pub struct Trio {
    room: Room,
    record: Arc<RoomRecord>,
    nodes: Vec<Node>,
    now: UnixMillis,
    /// What the service said so far.
    pub to_clients: Vec<ToClient>,
    /// What was said to it.
    pub to_servers: Vec<ToServer>,
    uses: u32,
}

impl Trio {
    /// A meeting that stands.
    pub fn new() -> Self {
        let firms = firms();
        let member = |firm: &str, user: &str| Member {
            firm: firm.parse().expect("an id"),
            user: user.parse().expect("an id"),
            host: user == "anna",
            groups: Default::default(),
        };
        let record = RoomRecord {
            room: room(),
            title: "Project Alder".to_owned(),
            members: vec![member("bank-a", "anna"), member("bank-b", "ben"), member("bank-b", "bob")],
            statements: vec![
                (firms.a.id.clone(), firms.statements[0].clone()),
                (firms.b.id.clone(), firms.statements[1].clone()),
            ],
        };
        let signer = OrderKey(LeafKey::from_secret(&firms.order.to_secret()[..]).expect("a key"));
        let ports = Ports {
            trust: Arc::new(firms.trust.clone()),
            signer: Arc::new(signer),
            random: Arc::new(Fixed),
            held: Default::default(),
        };
        let mut trio = Self {
            room: Room::new(ports),
            record: Arc::new(record),
            nodes: Vec::new(),
            now: T0,
            to_clients: Vec::new(),
            to_servers: Vec::new(),
            uses: 0,
        };
        let hello = domain::message::control::FromSfu::Hello {
            node: "sfu-1".to_owned(),
            record_address: "127.0.0.1:8444".to_owned(),
            record_server_name: "localhost".to_owned(),
            record_certificate: vec![7; 32].into(),
            region: None,
        };
        trio.room.handle(T0, Input::Sfu(Box::new(hello)));
        for who in ["bank-a/anna/1", "bank-b/ben/1", "bank-a/recorder-1/1"] {
            trio.join(&id(who));
            trio.advance(1_000);
        }
        assert!(trio.nodes.iter().all(|node| node.session.epoch() == Some(Epoch(2))), "three in a group");
        trio
    }

    fn join(&mut self, who: &ParticipantId) {
        let session = Session::new(firms().config(who), self.now).expect("a good certificate");
        let conn = ConnId(self.nodes.len() as u64 + 1);
        let handshake = Handshake::new(Arc::new(firms().trust.clone()), [5; 32]);
        self.nodes.push(Node { conn, handshake: Some(handshake), session });
        self.pump();
    }

    /// Lets time pass.
    pub fn advance(&mut self, ms: u64) {
        let end = self.now.plus(ms);
        for _ in 0..1_000 {
            let sessions = self.nodes.iter().filter_map(|node| node.session.poll_timeout());
            let next = sessions.chain(self.room.poll_timeout()).chain([end]).min().unwrap_or(end);
            self.now = self.now.max(next.min(end));
            self.room.timeout(self.now);
            for node in &mut self.nodes {
                if node.session.poll_timeout().is_some_and(|at| at <= self.now) {
                    node.session.handle_timeout(self.now);
                }
            }
            self.pump();
            if next >= end {
                return;
            }
        }
        panic!("a timer that never comes to rest");
    }

    /// Carries messages until nobody has more to say; tells how many there were.
    pub fn pump(&mut self) -> usize {
        let mut said = 0;
        let mut down: VecDeque<(ConnId, ToClient)> = VecDeque::new();
        loop {
            let before = said;
            while let Some(output) = self.room.poll_output() {
                match output {
                    Output::Send { to, message } => {
                        self.to_clients.push((*message).clone());
                        down.extend(to.into_iter().map(|conn| (conn, (*message).clone())));
                    }
                    Output::Sfu(message) => {
                        if let domain::message::control::ToSfu::Leaves { meeting, epoch, .. } = *message {
                            let taken = domain::message::control::FromSfu::LeavesTaken { meeting, epoch };
                            self.room.handle(self.now, Input::Sfu(Box::new(taken)));
                        }
                    }
                    Output::Close { .. } | Output::TurnedAway(_) | Output::Note { .. } => {}
                }
            }
            while let Some((conn, message)) = down.pop_front() {
                said += 1;
                if let Some(node) = self.nodes.iter_mut().find(|node| node.conn == conn) {
                    node.session.handle(self.now, message);
                }
            }
            for at in 0..self.nodes.len() {
                while let Some(says) = self.nodes[at].session.poll_output() {
                    if let Says::Send(message) = says {
                        said += 1;
                        self.to_servers.push(message.clone());
                        down.extend(self.up(at, message));
                    }
                }
            }
            if said == before && down.is_empty() {
                return said;
            }
            assert!(said < 10_000, "an endless conversation");
        }
    }

    fn up(&mut self, at: usize, message: ToServer) -> Option<(ConnId, ToClient)> {
        let node = &mut self.nodes[at];
        let conn = node.conn;
        let Some(handshake) = &mut node.handshake else {
            self.room.handle(self.now, Input::Message { conn, message: Box::new(message) });
            return None;
        };
        match handshake.handle(self.now, message) {
            Step::Send(message) => Some((conn, message)),
            Step::Proven(proven) => {
                node.handshake = None;
                self.room.handle(self.now, Input::Join { conn, proven, room: self.record.clone() });
                None
            }
            Step::Refuse(problem) => panic!("a good participant is refused: {problem:?}"),
        }
    }

    fn terms(&self) -> MeetingTerms {
        self.nodes[0].session.terms().expect("admitted").clone()
    }
}

thread_local! {
    static TRIO: RefCell<Option<Trio>> = const { RefCell::new(None) };
}

/// The meeting of this thread, made anew when it is used up or was left in a panic.
fn with_trio(act: impl FnOnce(&mut Trio)) {
    let mut trio = TRIO.take().filter(|trio| trio.uses < USES).unwrap_or_else(Trio::new);
    trio.uses += 1;
    act(&mut trio);
    trio.to_clients.clear();
    trio.to_servers.clear();
    TRIO.set(Some(trio));
}

/// Kinds of messages that [`to_client`] makes.
pub const TO_CLIENT: u8 = 14;

fn to_client(kind: u8, bytes: &[u8], trio: &Trio) -> ToClient {
    let blob = B64(bytes.to_vec());
    let epoch = trio.nodes[0].session.epoch().unwrap_or(Epoch(0));
    let next = Epoch(epoch.0 + 1);
    match kind % TO_CLIENT {
        0 => ToClient::Commit { epoch: next, commit: blob },
        1 => ToClient::Welcome { welcome: blob, tree: B64(vec![]), epoch },
        2 => ToClient::Welcome { welcome: B64(vec![]), tree: blob, epoch },
        3 => ToClient::GroupInfo { epoch: next, group_info: blob },
        4 => ToClient::Application { message: blob },
        5 => ToClient::Receipt { receipt: blob },
        6 => ToClient::Beacon { beacon: blob },
        7 => ToClient::RemovalOrder { order: blob },
        8 => ToClient::CommitAdds { joiners: vec![Joiner { participant: id("bank-b/bob/1"), key_package: blob }] },
        9 => ToClient::Challenge { nonce: blob },
        10 => {
            let at = bytes.first().map_or(0, |n| u32::from(*n));
            ToClient::CommitRemovals { leaves: vec![domain::LeafIndex(at), domain::LeafIndex(u32::MAX)] }
        }
        11 => ToClient::Withdrawn { epoch: Epoch(bytes.first().map_or(0, |n| u64::from(*n))) },
        12 => ToClient::EpochReady { epoch: Epoch(u64::MAX) },
        _ => {
            let mut terms = trio.terms();
            terms.statements = vec![blob.clone(), blob];
            ToClient::Admitted {
                participant: id("bank-b/ben/1"),
                terms: Box::new(terms),
                entry: domain::message::client::Entry::AwaitWelcome {},
                roster: vec![],
                now: trio.now,
            }
        }
    }
}

/// Anything in place of what a session is told.
pub fn session(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    with_trio(|trio| {
        let message = to_client(*kind, bytes, trio);
        let now = trio.now;
        let ben = &mut trio.nodes[1].session;
        ben.handle(now, message);
        let mut wire = Vec::new();
        let _ = ben.seal(now, Slot::MICROPHONE, false, b"sound", 1, &mut wire);
        assert!(ben.members().len() <= 3, "nobody comes in by garbage");
        if ben.is_over() {
            trio.uses = USES;
            return;
        }
        assert!(trio.pump() < MOST_ANSWERS, "one message asks for more than {MOST_ANSWERS}");
        trio.advance(u64::from(*kind));
    });
}

/// Kinds of messages that [`to_server`] makes.
pub const TO_SERVER: u8 = 12;

fn to_server(kind: u8, bytes: &[u8], trio: &Trio) -> ToServer {
    let blob = B64(bytes.to_vec());
    let epoch = trio.nodes[0].session.epoch().unwrap_or(Epoch(0));
    let text = || String::from_utf8_lossy(bytes).into_owned();
    match kind % TO_SERVER {
        0 => ToServer::Commit { epoch, commit: blob.clone(), welcome: None, group_info: blob },
        1 => ToServer::Commit { epoch, commit: blob.clone(), welcome: Some(blob.clone()), group_info: blob },
        2 => ToServer::Resync { epoch, commit: blob.clone(), group_info: blob },
        3 => ToServer::KeyPackage { key_package: blob },
        4 => ToServer::Created { group_info: blob },
        5 => ToServer::Application { message: blob },
        6 => ToServer::Receipt { receipt: blob },
        7 => ToServer::Beacon { beacon: blob },
        8 => ToServer::Offer { sdp: text(), tracks: vec![] },
        9 => ToServer::Candidate { transport: domain::TransportKind::Publish, candidate: text() },
        10 => ToServer::Applied { epoch: Epoch(bytes.first().map_or(u64::MAX, |n| u64::from(*n))) },
        _ => ToServer::Refused { epoch: Epoch(bytes.first().map_or(u64::MAX, |n| u64::from(*n))), reason: text() },
    }
}

/// Anything in place of what a member tells signaling.
pub fn signaling(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    with_trio(|trio| {
        let message = to_server(*kind, bytes, trio);
        let conn = trio.nodes[1].conn;
        trio.room.handle(trio.now, Input::Message { conn, message: Box::new(message) });
        assert!(trio.pump() < MOST_ANSWERS, "one message asks for more than {MOST_ANSWERS}");
        // the rate limit is another's test
        trio.advance(20);
        if trio.nodes.iter().any(|node| node.session.is_over()) {
            trio.uses = USES;
        }
    });
}

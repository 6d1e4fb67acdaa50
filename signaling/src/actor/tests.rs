//! A core that fails: one message costs its sender, a failure of nobody's costs one room, nothing costs the process.

use super::*;
use crate::rooms::Found;
use crate::truth::Truth;
use async_trait::async_trait;
use domain::message::client::Entering;
use domain::message::custody::LeafRole;
use domain::policy::{Rule, Statement, Tier};
use domain::{B64, MeetingId, UnixMillis};
use evidence::identity::{FirmTrust, Identity, TrustMap};
use evidence::key::PublicKey;
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use signaling_core::admission::Proven;
use signaling_core::limits::FEED_LOST_MS;
use signaling_core::{Feed, Member, OrderSigner, Randomness, RoomRecord};
use signaling_store::records::Term;
use signaling_store::{Batch, Cursor, DirectoryError, Notice, Records, RoomDirectory};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

const ROOM: &str = "deal-room";
const FIRM: &str = "bank-a";

/// Fails once when told to.
#[derive(Default)]
struct Fragile(AtomicBool);

impl Fragile {
    fn touch(&self) {
        assert!(!self.0.swap(false, Ordering::SeqCst), "a planted failure");
    }
}

impl Randomness for Fragile {
    fn bytes(&self) -> [u8; 32] {
        self.touch();
        rand::random()
    }
}

impl OrderSigner for Fragile {
    fn sign(&self, _: &[u8; 32]) -> [u8; 64] {
        self.touch();
        [7; 64]
    }
}

/// Knows no room: whoever is in one is a member no more at the next look.
struct Empty;

#[async_trait]
impl RoomDirectory for Empty {
    async fn room(&self, _: &RoomId) -> Result<Option<signaling_store::Room>, DirectoryError> {
        Ok(None)
    }
    async fn changes(&self, _: Option<&Cursor>) -> Result<Batch, DirectoryError> {
        std::future::pending().await
    }
    async fn post(&self, _: &RoomId, _: &Notice) -> Result<(), DirectoryError> {
        Ok(())
    }
}

struct Site {
    hub: Arc<Hub>,
    random: Arc<Fragile>,
    signer: Arc<Fragile>,
    key: SigningKey,
    to_sfu: mpsc::Receiver<ToSfu>,
}

fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_sec1(key.verifying_key().to_encoded_point(false).as_bytes()).expect("a point")
}

impl Site {
    fn new() -> Self {
        Self::with(|hub| hub)
    }

    fn with(change: impl FnOnce(Hub) -> Hub) -> Self {
        let key = SigningKey::from_slice(&[3; 32]).expect("a scalar");
        let spki = B64(public(&key).to_spki());
        let firm = FirmTrust {
            firm: FIRM.parse().expect("an id"),
            name: FIRM.to_owned(),
            roots: Vec::new(),
            policy_key: spki.clone(),
            recorder_identity: spki.clone(),
            record_key: spki.clone(),
            ledger_key: spki.clone(),
            archive_keys: Vec::new(),
            stamp_roots: Vec::new(),
        };
        let trust = Arc::new(TrustMap { version: 1, firms: vec![firm], order_key: spki });
        let (random, signer) = (Arc::new(Fragile::default()), Arc::new(Fragile::default()));
        let ports = Ports { trust, signer: signer.clone(), random: random.clone(), held: Default::default() };
        let records = Records::sqlite(std::path::Path::new(":memory:")).expect("in memory");
        let truth = Truth::of(records, Term(1));
        let hub = Arc::new(change(Hub::with(ports, Arc::new(Empty), Arc::new(truth))));
        let (to, to_sfu) = mpsc::channel(64);
        let hello = FromSfu::Hello {
            node: "sfu-1".into(),
            record_address: "127.0.0.1:1".into(),
            record_server_name: "localhost".into(),
            record_certificate: vec![7; 32].into(),
            region: None,
        };
        hub.sfu.send_replace(Some(SfuHandle { hello, to }));
        Self { hub, random, signer, key, to_sfu }
    }

    fn record(&self) -> RoomRecord {
        let firm: FirmId = FIRM.parse().expect("an id");
        let statement = Statement {
            version: 1,
            serial: 1,
            firm: firm.clone(),
            room: ROOM.parse().expect("an id"),
            audio_video: Rule::Off,
            chat: Rule::Off,
            files: Rule::Off,
            tier: Tier::Full,
            retention_years: 5,
            pause: None,
            copies: domain::policy::Copies::None,
            archive: domain::policy::Archive::Worm,
            recorder_grace_ms: 2_000,
            archive_key_ids: Vec::new(),
            issued_at: UnixMillis(0),
            conditions: Box::default(),
        };
        let payload = evidence::statement::encode(&statement);
        let sign = |hash: &[u8; 32]| -> Result<[u8; 64], Infallible> {
            let signature: p256::ecdsa::Signature = self.key.sign_prehash(hash).expect("a SHA-256 hash");
            Ok(signature.to_bytes().into())
        };
        let Ok(signed) = evidence::cose::sign(evidence::statement::LABEL, &payload, None, sign);
        RoomRecord {
            room: ROOM.parse().expect("an id"),
            title: "Project Alder".into(),
            members: vec![Member {
                firm: firm.clone(),
                user: "anna".parse().expect("an id"),
                host: true,
                groups: Default::default(),
            }],
            statements: vec![(firm, signed.into())],
        }
    }

    /// Anna joins on a device; returns what is written to her.
    async fn join(&self, device: &str) -> mpsc::Receiver<Outbound> {
        let conn = self.hub.number();
        let (queue, outbound) = mpsc::channel(64);
        self.hub.connections.insert(conn, queue);
        let identity = Identity {
            participant: format!("{FIRM}/anna/{device}").parse().expect("an id"),
            role: LeafRole::Member,
            name: "Anna".into(),
            public_key: public(&self.key),
            not_before_s: 0,
            not_after_s: u64::MAX / 10_000,
            certificate_hash: [1; 32],
        };
        let room: RoomId = ROOM.parse().expect("an id");
        let proven = Box::new(Proven {
            identity,
            room: room.clone(),
            resume: None,
            entering: Entering::default(),
            inviter: None,
            certificate: B64(Vec::new()),
        });
        let sent = self.hub.room(&room).send(Input::Join { conn, proven, room: Arc::new(self.record()) }).await;
        assert!(sent.is_ok(), "the room takes inputs");
        outbound
    }
}

async fn first(outbound: &mut mpsc::Receiver<Outbound>) -> ToClient {
    match outbound.recv().await {
        Some(Outbound::Text(text)) => serde_json::from_str(text.as_str()).expect("a message"),
        other => panic!("{other:?}"),
    }
}

async fn admitted(outbound: &mut mpsc::Receiver<Outbound>) -> MeetingId {
    match first(outbound).await {
        ToClient::Admitted { terms, .. } => terms.meeting,
        other => panic!("not admitted: {other:?}"),
    }
}

#[tokio::test]
async fn one_panic_ends_one_connection_and_its_room_goes_on() {
    let site = Site::new();
    site.random.0.store(true, Ordering::SeqCst);
    let room = site.hub.room(&ROOM.parse().expect("an id"));
    let mut unlucky = site.join("a1").await;
    assert!(matches!(first(&mut unlucky).await, ToClient::Refusal(why) if why.code == ProblemCode::Internal));
    assert!(matches!(unlucky.recv().await, Some(Outbound::Close)));
    let mut next = site.join("a2").await;
    admitted(&mut next).await;
    assert!(!room.is_closed(), "the same task serves the room");
}

#[tokio::test]
async fn a_panic_of_nobodys_ends_one_room_which_begins_anew() {
    let mut site = Site::new();
    let name: RoomId = ROOM.parse().expect("an id");
    let room = site.hub.room(&name);
    // the first look at the directory removes her, and the order's signature fails
    site.signer.0.store(true, Ordering::SeqCst);
    let mut anna = site.join("a1").await;
    let before = admitted(&mut anna).await;
    room.closed().await;
    let ended = async {
        while let Some(message) = site.to_sfu.recv().await {
            if let ToSfu::MeetingEnded { meeting } = message {
                return meeting;
            }
        }
        panic!("the SFU's link is gone");
    };
    assert_eq!(ended.await, before, "the SFU is not left with a meeting that nobody owns");
    let mut again = site.join("a1").await;
    assert_ne!(admitted(&mut again).await, before);
}

#[tokio::test]
async fn a_directory_that_is_not_heard_of_lets_nobody_in_although_it_answers() {
    let site = Site::new();
    let room: RoomId = ROOM.parse().expect("an id");
    assert!(matches!(site.hub.find(&room).await, Found::Nothing));
    let now = site.hub.clock.now();
    *site.hub.feed() = Feed::new(UnixMillis(now.0 - FEED_LOST_MS - 1));
    assert!(matches!(site.hub.find(&room).await, Found::Silence));
    assert!(!site.hub.readable().await.0, "and it is not ready");
}

const RELAY: &str = "turn:127.0.0.1:3478?transport=udp";

fn with_relays(mut hub: Hub) -> Hub {
    let relays = relays::Relays::new(vec![RELAY.into()], b"0123456789abcdef").expect("an address and a secret");
    hub.relays = Some(Arc::new(relays));
    hub
}

fn username(message: ToClient) -> String {
    match message {
        ToClient::Relays { relays } => relays[0].username.clone(),
        other => panic!("no relays: {other:?}"),
    }
}

#[tokio::test]
async fn relays_come_before_the_admission_and_each_connection_has_its_own_credential() {
    let site = Site::with(with_relays);
    let (mut one, mut other) = (site.join("a1").await, site.join("a2").await);
    let names = [username(first(&mut one).await), username(first(&mut other).await)];
    assert_ne!(names[0], names[1]);
    admitted(&mut one).await;
}

#[tokio::test]
async fn credentials_are_renewed_for_who_is_still_there() {
    let site = Site::with(with_relays);
    let (own, _inputs) = mpsc::channel(1);
    let ports = Ports {
        trust: site.hub.trust.clone(),
        signer: site.signer.clone(),
        random: site.random.clone(),
        held: Default::default(),
    };
    let mut actor = RoomActor::new(site.hub.clone(), ROOM.parse().expect("an id"), ports, own);
    let (here, gone) = (site.hub.number(), site.hub.number());
    let (queue, mut outbound) = mpsc::channel(4);
    site.hub.connections.insert(here, queue);
    actor.relayed.extend([here, gone]);
    actor.renew_relays();
    username(first(&mut outbound).await);
    assert_eq!(actor.relayed, BTreeSet::from([here]));
}

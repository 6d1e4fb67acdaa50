//! A firm in software: certificates, custody sockets, an archived meeting of two people, a front that listens.

use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Loaded};
use crate::http::{listen, router};
use crate::idp;
use custody::frame;
use domain::message::custody::{Answer, Ask, CustodyProblem, IncarnationKey, LeafRole, LedgerEvent};
use domain::{B64, Codec, Epoch, FirmId, Kid, LeafIndex, MediaKind, MeetingId, ParticipantId, Slot, UnixMillis};
use e2ee::escrow::{MeetingKey, Place, SealedBaseKey};
use e2ee::sframe::{BaseKey, SealKey};
use evidence::archive::manifest::Closed;
use evidence::archive::record::{DISCONTINUITY, KEY_FRAME, OPENED};
use evidence::archive::{
    ArchiveEvent, Attendance, ClockState, CopyWanted, Digest, EpochEntry, EpochKey, FileEntry, Gap, MEETING_LABEL,
    Media, MeetingManifest, Record, SealedKeys, SegmentEntry, SegmentHeader, SegmentWriter, TrackEntry, TrackInfo,
    names, sha256,
};
use evidence::grant::{APPROVAL_LABEL, Approval, REQUEST_LABEL, Request};
use evidence::identity::{FirmTrust, TrustMap, role_oid};
use evidence::key::PublicKey;
use evidence::ledger::Head;
use evidence::{cbor, cose};
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Name, X509NameBuilder};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::pkcs8::EncodePrivateKey;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use tempfile::TempDir;
use tokio::net::UnixListener;

/// The present of these tests.
pub const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
/// Host of the front under test; the port it listens on is another, so the header is set by hand.
pub const HOST: &str = "bank-a.localhost:8441";
pub const ORIGIN: &str = "http://bank-a.localhost:8441";
pub const MEETING: &str = "00112233445566778899aabbccddeeff";
/// The meeting began so long ago and took so long.
pub const BEGAN: UnixMillis = UnixMillis(NOW.0 - 3_600_000);
pub const DURATION_MS: u64 = 6_000;
/// What anna writes in it, and when.
pub const CHAT: &str = "this is a GUARANTEED profit, délit d'initié";
pub const CHAT_MS: u64 = 2_500;

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).expect("a scalar")
}

fn openssl_key(key: &SigningKey) -> PKey<Private> {
    let der = key.to_pkcs8_der().expect("encodes");
    PKey::private_key_from_pkcs8(der.as_bytes()).expect("read")
}

fn spki(key: &SigningKey) -> B64 {
    let point = key.verifying_key().to_encoded_point(false);
    B64(PublicKey::from_sec1(point.as_bytes()).expect("a point").to_spki())
}

fn name(common: &str) -> X509Name {
    let mut builder = X509NameBuilder::new().expect("memory");
    builder.append_entry_by_text("CN", common).expect("a name");
    builder.build()
}

/// A certificate of the firm's CA (key 1): the root itself, or a leaf valid for an hour from `from`.
fn certificate(
    subject: &str,
    public: &PKey<openssl::pkey::Public>,
    leaf: Option<(&ParticipantId, LeafRole, UnixMillis)>,
) -> Vec<u8> {
    let mut builder = X509::builder().expect("memory");
    builder.set_version(2).expect("v3");
    builder
        .set_serial_number(&Asn1Integer::from_bn(&BigNum::from_u32(7).expect("small")).expect("small"))
        .expect("set");
    builder.set_subject_name(&name(subject)).expect("set");
    builder.set_issuer_name(&name("Bank A root")).expect("set");
    builder.set_pubkey(public).expect("set");
    let (from, life) = leaf.map_or((NOW.seconds() - 86_400, 10 * 365 * 86_400), |(_, _, from)| (from.seconds(), 3600));
    let time = |s: u64| Asn1Time::from_unix(i64::try_from(s).expect("small")).expect("a time");
    builder.set_not_before(&time(from)).expect("set");
    builder.set_not_after(&time(from + life)).expect("set");
    match leaf {
        None => {
            builder.append_extension(BasicConstraints::new().critical().ca().build().expect("built")).expect("added");
            builder
                .append_extension(KeyUsage::new().critical().key_cert_sign().build().expect("built"))
                .expect("added");
        }
        Some((participant, role, _)) => {
            builder
                .append_extension(KeyUsage::new().critical().digital_signature().build().expect("built"))
                .expect("added");
            let usage = ExtendedKeyUsage::new().other(&role_oid(role).to_string()).build().expect("built");
            builder.append_extension(usage).expect("added");
            let context = builder.x509v3_context(None, None);
            let alternative = SubjectAlternativeName::new().uri(&participant.uri()).build(&context).expect("built");
            builder.append_extension(alternative).expect("added");
        }
    }
    builder.sign(&openssl_key(&key(1)), MessageDigest::sha256()).expect("signed");
    builder.build().to_der().expect("encodes")
}

fn public_of(key: &SigningKey) -> PKey<openssl::pkey::Public> {
    PKey::public_key_from_der(&spki(key)).expect("a key")
}

fn trust() -> TrustMap {
    let ca = key(1);
    let own = FirmTrust {
        firm: firm(),
        name: "Bank A".to_owned(),
        roots: vec![certificate("Bank A root", &public_of(&ca), None).into()],
        policy_key: spki(&key(4)),
        recorder_identity: spki(&key(5)),
        record_key: spki(&key(2)),
        ledger_key: spki(&key(3)),
        archive_keys: Vec::new(),
        stamp_roots: Vec::new(),
    };
    TrustMap { version: 1, firms: vec![own], order_key: spki(&key(6)) }
}

pub fn firm() -> FirmId {
    "bank-a".parse().expect("an id")
}

pub fn person(user: &str) -> ParticipantId {
    format!("bank-a/{user}/d1").parse().expect("an id")
}

/// Signs with a software key.
pub fn signed(key: &SigningKey, label: &str, payload: &[u8], certificate: Option<&[u8]>) -> Vec<u8> {
    cose::sign::<()>(label, payload, certificate, |hash| {
        let signature: p256::ecdsa::Signature = key.sign_prehash(hash).map_err(|_| ())?;
        Ok(signature.to_bytes().into())
    })
    .expect("software keys sign")
}

/// Somebody of the firm with a key and a certificate.
pub struct Person {
    key: SigningKey,
    pub leaf: Vec<u8>,
    role: LeafRole,
}

impl Person {
    pub fn new(user: &'static str, role: LeafRole) -> Self {
        Self::of("bank-a", user, role)
    }

    /// Of any firm, certified by ours.
    pub fn of(firm: &str, user: &'static str, role: LeafRole) -> Self {
        let seed = 100 + user.bytes().fold(0u8, |sum, byte| sum.wrapping_add(byte)) % 100;
        let (key, who) = (key(seed), format!("{firm}/{user}/d1").parse().expect("an id"));
        let leaf = certificate(user, &public_of(&key), Some((&who, role, UnixMillis(NOW.0 - 60_000))));
        Self { key, leaf, role }
    }

    pub fn request(&self, manifest_hash: [u8; 32]) -> Vec<u8> {
        self.request_of(manifest_hash, 0, DURATION_MS)
    }

    /// For an interval of it.
    pub fn request_of(&self, manifest_hash: [u8; 32], from_ms: u64, to_ms: u64) -> Vec<u8> {
        self.request_with(manifest_hash, (from_ms, to_ms), None)
    }

    /// ... with what may be handed out.
    pub fn request_with(
        &self,
        manifest_hash: [u8; 32],
        (from_ms, to_ms): (u64, u64),
        handed: Option<evidence::grant::Handed>,
    ) -> Vec<u8> {
        let request = Request {
            firm: firm(),
            meeting: MEETING.parse().expect("an id"),
            manifest_hash: manifest_hash.into(),
            case: "42".to_owned(),
            reason: "complaint".to_owned(),
            from_ms,
            to_ms,
            issued_at: NOW,
            handed,
            paired: None,
        };
        signed(&self.key, REQUEST_LABEL, &cbor::encode(&request), Some(&self.leaf))
    }

    /// An invitation of a guest.
    pub fn invites(&self, invitation: &evidence::invitation::Invitation) -> Vec<u8> {
        let payload = evidence::invitation::encode(invitation);
        signed(&self.key, evidence::invitation::LABEL, &payload, Some(&self.leaf))
    }

    /// For all of both copies.
    pub fn request_both(&self, manifest_hash: [u8; 32], paired: [u8; 32]) -> Vec<u8> {
        let signed_one = cose::payload_unverified(&self.request(manifest_hash)).expect("just signed");
        let request: Request = cbor::decode(&signed_one).expect("just encoded");
        let request = Request { paired: Some(paired.into()), handed: Some(evidence::grant::Handed::Keys), ..request };
        signed(&self.key, REQUEST_LABEL, &cbor::encode(&request), Some(&self.leaf))
    }

    /// A supervising act.
    pub fn act(&self, what: evidence::supervision::What) -> Vec<u8> {
        let act = evidence::supervision::Act { firm: firm(), issued_at: NOW, what };
        signed(&self.key, evidence::supervision::LABEL, &cbor::encode(&act), Some(&self.leaf))
    }

    /// An administrator's signature under a statement.
    pub fn consent(&self, statement: &domain::policy::Statement) -> Vec<u8> {
        let payload = evidence::statement::encode(statement);
        signed(&self.key, evidence::grant::STATEMENT_CONSENT_LABEL, &payload, Some(&self.leaf))
    }

    /// An act of retention about the kit's meeting.
    pub fn retains(&self, manifest_hash: [u8; 32], what: evidence::retention::What, case: &str) -> Vec<u8> {
        self.retains_of(&firm(), manifest_hash, what, case)
    }

    /// ... of any firm's archive.
    pub fn retains_of(
        &self,
        firm: &FirmId,
        manifest_hash: [u8; 32],
        what: evidence::retention::What,
        case: &str,
    ) -> Vec<u8> {
        let act = evidence::retention::Act {
            firm: firm.clone(),
            meeting: MEETING.parse().expect("an id"),
            manifest_hash: manifest_hash.into(),
            what,
            case: case.to_owned(),
            reason: "as the court asks".to_owned(),
            issued_at: NOW,
        };
        signed(&self.key, evidence::retention::ACT_LABEL, &cbor::encode(&act), Some(&self.leaf))
    }

    /// Consents to it.
    pub fn consents(&self, act: &[u8]) -> Vec<u8> {
        let consent = evidence::retention::Consent { act_hash: evidence::sha256(act).into(), issued_at: NOW };
        signed(&self.key, evidence::retention::CONSENT_LABEL, &cbor::encode(&consent), Some(&self.leaf))
    }

    /// A chat line in the kit's meeting.
    fn says(&self, meeting: &MeetingId, words: &str) -> Vec<u8> {
        let who = person("anna");
        let place = e2ee::said::Place { meeting, participant: &who, epoch: Epoch(1), sequence: 1 };
        let sealed = e2ee::said::SaidKey::of(&base()).seal(&place, words.as_bytes());
        let what = evidence::said::What::Text { sealed };
        let said = evidence::said::Said { meeting: meeting.clone(), epoch: Epoch(1), sequence: 1, at: BEGAN, what };
        signed(&self.key, evidence::said::LABEL, &cbor::encode(&said), Some(&self.leaf))
    }

    pub fn approval(&self, request: &[u8], until: UnixMillis) -> Vec<u8> {
        let approval = Approval { request_hash: evidence::sha256(request).into(), until, issued_at: NOW };
        signed(&self.key, APPROVAL_LABEL, &cbor::encode(&approval), Some(&self.leaf))
    }
}

/// What custody was asked, and how it behaves.
#[derive(Default)]
pub struct CustodyLog {
    pub entries: Mutex<Vec<Vec<u8>>>,
    pub events: Mutex<Vec<LedgerEvent>>,
    /// The ledger refuses.
    pub dead: AtomicBool,
    pub opened: AtomicU64,
    /// Statements signed, each by how many administrators.
    pub consents: Mutex<Vec<usize>>,
    /// Another manifest has other keys.
    pub paired: Mutex<Option<([u8; 32], Vec<IncarnationKey>)>>,
}

impl CustodyLog {
    pub fn actions(&self) -> Vec<String> {
        self.events.lock().expect("held briefly").iter().map(|event| event.action.clone()).collect()
    }

    /// Appends what custody or the front would.
    pub fn tell(&self, user: &str, action: &str, note: &str) {
        let (actor, meeting) = (person(user).uri(), MEETING.parse().expect("an id"));
        let entry = LedgerEvent { at: NOW, actor, action: action.to_owned(), meeting, note: note.to_owned() };
        self.answer(Ask::Append { entry }, &[]);
    }

    /// Appends as if somebody had done `count` things before.
    pub fn fill(&self, count: u64) {
        self.fill_at(NOW, count);
    }

    /// ... at that time.
    pub fn fill_at(&self, at: UnixMillis, count: u64) {
        for _ in 0..count {
            let (actor, action, note) = (person("carol").uri(), "play".to_owned(), String::new());
            let entry = LedgerEvent { at, actor, action, meeting: MEETING.parse().expect("an id"), note };
            self.answer(Ask::Append { entry }, &[]);
        }
    }

    fn answer(&self, ask: Ask, keys: &[IncarnationKey]) -> Answer {
        match ask {
            Ask::Append { .. } | Ask::OpenMeetingKey { .. } if self.dead.load(Ordering::Relaxed) => {
                Answer::Refused(CustodyProblem { code: "unavailable".to_owned(), detail: "token gone".to_owned() })
            }
            Ask::Append { entry } => {
                let mut entries = self.entries.lock().expect("held briefly");
                let last = entries.last().map(|signed| evidence::sha256(signed));
                let head = Head { next: entries.len() as u64, hash: last.unwrap_or(Head::EMPTY.hash) };
                entries.push(signed(
                    &key(3),
                    evidence::ledger::LABEL,
                    &cbor::encode(&head.entry(&firm(), entry.clone())),
                    None,
                ));
                self.events.lock().expect("held briefly").push(entry);
                Answer::Appended { index: head.next }
            }
            Ask::Ledger { from } => {
                let entries = self.entries.lock().expect("held briefly");
                Answer::Entries {
                    entries: entries.iter().skip(from as usize).take(1000).map(|e| e.clone().into()).collect(),
                }
            }
            Ask::OpenMeetingKey { manifest, .. } => {
                self.opened.fetch_add(1, Ordering::Relaxed);
                let paired = self.paired.lock().expect("held briefly").clone();
                let of_pair = paired.filter(|(hash, _)| *hash == evidence::sha256(&manifest));
                Answer::MeetingKeys { keys: of_pair.map_or_else(|| keys.to_vec(), |(_, keys)| keys) }
            }
            // the firm's policy key; whose consents count is custody's to judge, and tested there
            Ask::SignStatement { statement, administrators } => {
                self.consents.lock().expect("held briefly").push(administrators.len());
                let payload = evidence::statement::encode(&statement);
                Answer::Signed { signed: signed(&key(4), evidence::statement::LABEL, &payload, None).into() }
            }
            Ask::CertifyMember { csr, id_token, role, .. } => certify(&csr, &id_token, role),
            Ask::CertifyGuest { csr, invitation, code } => certify_guest(&csr, &invitation, &code),
            _ => Answer::Refused(CustodyProblem { code: "bad-request".to_owned(), detail: "not here".to_owned() }),
        }
    }
}

/// Certifies as custody would, but believes the token unseen.
fn certify(csr: &[u8], id_token: &str, role: LeafRole) -> Answer {
    let claims = id_token.split('.').nth(1).and_then(B64::decode).expect("a compact JWT");
    let claims: serde_json::Value = serde_json::from_slice(&claims.0).expect("JSON");
    let role_name = serde_json::to_value(role).expect("a word");
    if !claims["roles"].as_array().is_some_and(|roles| roles.contains(&role_name)) {
        return Answer::Refused(CustodyProblem {
            code: "role".to_owned(),
            detail: "the token does not have this role".to_owned(),
        });
    }
    let request = openssl::x509::X509Req::from_der(csr).expect("a CSR");
    let public = request.public_key().expect("a key");
    let who = person(claims["sub"].as_str().expect("a subject"));
    let from = UnixMillis(NOW.0 - 60_000);
    Answer::Certificate { certificate: certificate("x", &public, Some((&who, role, from))).into() }
}

/// Certifies the guest of an invitation if the code is the one in it; each CSR is another device.
fn certify_guest(csr: &[u8], signed: &[u8], code: &str) -> Answer {
    let invited = evidence::invitation::judge(&trust(), signed, NOW).expect("the front judged it before");
    let guest = invited.invitation.guest;
    if evidence::invitation::code_hash(&guest, code) != invited.invitation.code_hash {
        let problem = CustodyProblem { code: "bad-code".to_owned(), detail: "not the code".to_owned() };
        return Answer::Refused(problem);
    }
    let public = openssl::x509::X509Req::from_der(csr).expect("a CSR").public_key().expect("a key");
    let device: String = evidence::sha256(csr)[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let who = format!("bank-a/{guest}/d{device}").parse().expect("an id");
    let leaf = (&who, LeafRole::Guest, UnixMillis(NOW.0 - 60_000));
    Answer::Certificate { certificate: certificate("x", &public, Some(leaf)).into() }
}

fn listen_as_custody(socket: &Path, log: Arc<CustodyLog>, keys: Vec<IncarnationKey>) {
    let listener = UnixListener::bind(socket).expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (log, keys) = (log.clone(), keys.clone());
            tokio::spawn(async move {
                while let Ok(Some(body)) = frame::read(&mut stream).await {
                    let ask: Ask = frame::decode(&body).expect("an ask");
                    if frame::write(&mut stream, &log.answer(ask, &keys)).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
}

/// Certificate and key of a server, PEM.
pub fn server_certificate() -> (Vec<u8>, Vec<u8>) {
    let key = openssl_key(&key(50));
    let mut builder = X509::builder().expect("memory");
    builder.set_version(2).expect("v3");
    builder.set_subject_name(&name("bank-a.localhost")).expect("set");
    builder.set_issuer_name(&name("bank-a.localhost")).expect("set");
    builder.set_pubkey(&key).expect("set");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("a time")).expect("set");
    builder.set_not_after(&Asn1Time::days_from_now(1).expect("a time")).expect("set");
    let context = builder.x509v3_context(None, None);
    let alternative = SubjectAlternativeName::new().ip("127.0.0.1").build(&context).expect("built");
    builder.append_extension(alternative).expect("added");
    builder.sign(&key, MessageDigest::sha256()).expect("signed");
    (builder.build().to_pem().expect("encodes"), key.private_key_to_pem_pkcs8().expect("encodes"))
}

/// A running front with everything around it.
pub struct Town {
    pub app: Arc<App>,
    pub log: Arc<CustodyLog>,
    pub manifest_hash: [u8; 32],
    pub folder: TempDir,
    pub meeting: PathBuf,
    clock: Arc<AtomicU64>,
    address: String,
    client: reqwest::Client,
}

impl Town {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::over(change, archive).await
    }

    /// Over another archive than the short one: `write` makes it.
    pub async fn over(
        change: impl FnOnce(&mut Config),
        write: impl FnOnce(&Path) -> (PathBuf, [u8; 32], Vec<IncarnationKey>),
    ) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("pages")).expect("made");
        std::fs::write(at("pages/index.html"), "<!doctype html>").expect("written");
        let users = br#"[{"user":"anna","name":"Anna Berg","roles":["member"],"password":"anna-demo"},
            {"user":"carol","name":"Carol Diaz","roles":["compliance"],"password":"carol-demo"}]"#;
        std::fs::write(at("users.json"), idp::hash_users(users, 5).expect("hashed")).expect("written");
        std::fs::write(at("idp.pem"), idp::new_key().0).expect("written");
        let rooms = r#"[{"room":"deal-room","title":"Project Alder","members":[{"firm":"bank-a","user":"anna","host":true},{"firm":"bank-b","user":"ben"}]}]"#;
        std::fs::write(at("rooms.json"), rooms).expect("written");
        let (meeting, manifest_hash, keys) = write(&at("archive"));
        let log = Arc::new(CustodyLog::default());
        listen_as_custody(&at("people.sock"), log.clone(), Vec::new());
        listen_as_custody(&at("archive.sock"), log.clone(), keys);
        let text = format!(
            "firm='bank-a'\nname='Bank A'\nlisten='127.0.0.1:0'\norigin='{ORIGIN}'\nsignaling='ws://signaling.localhost:8440/v1/meet'\n\
             trust='trust.json'\narchive='archive'\npages='pages'\nrooms='rooms.json'\n[custody]\npeople='people.sock'\narchive='archive.sock'\n\
             [development_idp]\nusers='users.json'\nkey='idp.pem'\n"
        );
        std::fs::write(at("front.toml"), text).expect("written");
        std::fs::write(at("trust.json"), serde_json::to_vec(&trust()).expect("JSON")).expect("written");
        let file = at("front.toml");
        let mut loaded: Loaded = crate::config::load(&file, std::iter::empty()).expect("a good configuration");
        change(&mut loaded.config);
        let tls = listen::tls(&file, &loaded.config).expect("a good certificate, if any");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let clock = Arc::new(AtomicU64::new(NOW.0));
        let app = Arc::new(App::new(&file, loaded, Clock::Set(clock.clone())).expect("assembled"));
        // the certificate of the test over TLS is its own root; what is judged there is the front's side
        let client = reqwest::Client::builder().danger_accept_invalid_certs(true).build().expect("built");
        let listener = service::listen::bind(app.config.listen, "listen").await.expect("bound");
        let address = format!("{scheme}://{}", listener.local_addr().expect("bound"));
        tokio::spawn(service::listen::serve(listener, tls, router::router(app.clone()), std::future::pending()));
        Self { app, log, manifest_hash, folder, meeting, clock, address, client }
    }

    pub fn advance(&self, millis: u64) {
        self.clock.fetch_add(millis, Ordering::Relaxed);
    }

    pub fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.get_from(HOST, path)
    }

    pub fn get_from(&self, host: &str, path: &str) -> reqwest::RequestBuilder {
        self.client.get(format!("{}{path}", self.address)).header("Host", host)
    }

    pub fn post(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(format!("{}{path}", self.address)).header("Host", HOST)
    }

    pub fn delete(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.delete(format!("{}{path}", self.address)).header("Host", HOST)
    }

    /// A front session as enrolment gives it.
    pub fn session(&self, who: &Person) -> String {
        let identity =
            evidence::identity::judge(&self.app.trust, &who.leaf, self.app.clock.now().seconds()).expect("a good leaf");
        assert_eq!(identity.role, who.role);
        self.app.sessions.begin(&identity, self.app.clock.now())
    }

    /// Carol asks, Chris approves; answers carol's session and the request's id.
    pub async fn approved(&self) -> (String, String) {
        let (carol, chris) = (Person::new("carol", LeafRole::Compliance), Person::new("chris", LeafRole::Compliance));
        let (asks, approves) = (self.session(&carol), self.session(&chris));
        let request = carol.request(self.manifest_hash);
        let row: serde_json::Value = self
            .post("/api/requests")
            .bearer_auth(&asks)
            .json(&serde_json::json!({"request": B64(request.clone())}))
            .send()
            .await
            .expect("sent")
            .json()
            .await
            .expect("JSON");
        let id = row["id"].as_str().unwrap_or_else(|| panic!("refused: {row}")).to_owned();
        let approval = chris.approval(&request, NOW.plus(600_000));
        let sent = self
            .post(&format!("/api/requests/{id}/approval"))
            .bearer_auth(&approves)
            .json(&serde_json::json!({"approval": B64(approval)}))
            .send()
            .await
            .expect("sent");
        assert!(sent.status().is_success(), "{}", sent.text().await.expect("text"));
        (asks, id)
    }

    /// Opens; answers the `Opened` document and the cookie.
    pub async fn open(&self, session: &str, id: &str) -> (serde_json::Value, String) {
        let sent = self.post(&format!("/api/requests/{id}/open")).bearer_auth(session).send().await.expect("sent");
        let cookie = sent
            .headers()
            .get("set-cookie")
            .map(|c| c.to_str().expect("text").split(';').next().expect("a pair").to_owned());
        let status = sent.status();
        let body: serde_json::Value = sent.json().await.expect("JSON");
        assert!(status.is_success(), "{body}");
        (body, cookie.expect("a cookie"))
    }
}

/// The kit's meeting, opened as far as its plan.
pub fn reel() -> Arc<crate::replay::reel::Reel> {
    use crate::replay::{keys::MeetingKeys, memory::Memory, opening::Interval, plan::Plan, reel::Means, reel::Reel};
    let folder = tempfile::tempdir().expect("folder");
    let (_, _, keys) = archive(folder.path());
    let record_key = PublicKey::from_spki(&spki(&key(2))).expect("a key");
    let meetings = crate::review::meetings::Meetings::new(folder.path(), firm(), record_key);
    let meeting = meetings.find(&MEETING.parse().expect("an id")).expect("verified");
    let plan = Plan::new(meeting, Interval { from_ms: 0, to_ms: DURATION_MS }).expect("a whole archive");
    let means = Means { memory: Memory::new(64), openings: Arc::new(tokio::sync::Semaphore::new(1)) };
    Arc::new(Reel::new(plan, vec![MeetingKeys::take(keys)], means).expect("its own keys"))
}

/// What one recorder kept of the kit's meeting.
pub struct Kept<'a> {
    /// Its meeting key.
    pub key: [u8; 32],
    /// Which frames, by sender, kind and arrival (microseconds from the begin).
    pub frames: &'a dyn Fn(&ParticipantId, MediaKind, u64) -> bool,
    /// What it declares of the others.
    pub gaps: Vec<Gap>,
    /// What was said, and files.
    pub told: (Vec<ArchiveEvent>, Vec<FileEntry>),
}

/// Writes a meeting of anna (from its begin) and ben (from 2 s): each 3 s of the fixture's picture and tone.
pub fn archive(root: &Path) -> (PathBuf, [u8; 32], Vec<IncarnationKey>) {
    let told = super::files::sent(&MEETING.parse().expect("an id"));
    archive_of(root, Kept { key: [9; 32], frames: &|_, _, _| true, gaps: Vec::new(), told })
}

/// ... as a recorder has it that kept this of it.
pub fn archive_of(root: &Path, kept: Kept<'_>) -> (PathBuf, [u8; 32], Vec<IncarnationKey>) {
    let meeting: MeetingId = MEETING.parse().expect("an id");
    let folder = root.join("bank-a/2027/01").join(MEETING);
    std::fs::create_dir_all(folder.join("keys")).expect("made");
    let (epoch_key, sealed) = epoch_under(&folder, &meeting, &kept.key);
    let (told, files) = kept.told;
    let (mut segments, mut tracks) = (vec![events_of(&folder, &meeting, told)], Vec::new());
    let ben: ParticipantId = "bank-b/ben/d9".parse().expect("an id");
    for (leaf, (who, late_us)) in [(person("anna"), 0u64), (ben.clone(), 2_000_000)].into_iter().enumerate() {
        for (kind, slot, codec) in
            [(MediaKind::Audio, Slot::MICROPHONE, Codec::Opus), (MediaKind::Video, Slot::CAMERA, Codec::Vp8)]
        {
            let track = tracks.len() as u32 + 1;
            let info = TrackInfo { track, participant: who.clone(), slot, codec };
            let key = SealKey::new(&base(), Kid::new(slot, LeafIndex(leaf as u32), Epoch(1)), codec);
            let keeps = |at_us| (kept.frames)(&who, kind, at_us);
            let (entry, tracked) = media(&folder, &meeting, info, key, late_us, &keeps);
            segments.push(entry);
            tracks.push(tracked);
        }
    }
    let roster =
        vec![present(person("anna"), "Anna Berg", LeafRole::Member), present(ben, "Ben Cole", LeafRole::Member)];
    let contents = Contents {
        meeting,
        roster,
        epoch_key,
        sealed,
        tracks,
        segments,
        files,
        gaps: kept.gaps,
        length_ms: DURATION_MS,
    };
    let hash = close(&folder, contents);
    (folder, hash, vec![IncarnationKey { incarnation: 1, key: kept.key.to_vec().into() }])
}

/// What custody opens of the kit's meetings.
pub fn keys() -> Vec<IncarnationKey> {
    vec![IncarnationKey { incarnation: 1, key: vec![9; 32].into() }]
}

/// What a manifest of the kit tells.
pub struct Contents {
    pub meeting: MeetingId,
    pub roster: Vec<Attendance>,
    pub epoch_key: EpochKey,
    pub sealed: SealedBaseKey,
    pub tracks: Vec<TrackEntry>,
    pub segments: Vec<SegmentEntry>,
    pub files: Vec<FileEntry>,
    pub gaps: Vec<Gap>,
    pub length_ms: u64,
}

/// Signs and writes the manifest; answers its hash.
pub fn close(folder: &Path, contents: Contents) -> [u8; 32] {
    let Contents { meeting, roster, epoch_key, sealed, tracks, segments, files, gaps, length_ms } = contents;
    let manifest = MeetingManifest {
        record: "meeting".to_owned(),
        version: 1,
        firm: firm(),
        meeting,
        room: "deal-room".parse().expect("an id"),
        title: "Project Alder".to_owned(),
        started_at: BEGAN,
        ended_at: BEGAN.plus(length_ms),
        closed: Closed::Ended,
        software: "test".to_owned(),
        roster,
        statements: Vec::new(),
        trust: Digest([0; 32]),
        retention_years: 7,
        retain_until: NOW,
        sealed_keys: vec![SealedKeys { incarnation: 1, recorder: person("recorder-1"), keys: Vec::new() }],
        sealed_keys_hash: Digest([0; 32]),
        epochs: vec![EpochEntry {
            incarnation: 1,
            epoch: Epoch(1),
            sealed_hash: sha256(&sealed.bytes),
            transcript_hash: Digest([0; 32]),
            at: BEGAN,
        }],
        epochs_hash: sha256(&epoch_key.to_cbor()),
        frames: tracks.iter().map(|track| track.frames).sum(),
        tracks,
        segments,
        rejected: 0,
        gaps,
        clock: ClockState { synchronised: true, estimated_error_us: 0, against_sfu_ms: 0 },
        tags: Default::default(),
        copies_wanted: vec![CopyWanted { participant: person("anna"), language: "de".to_owned(), at: BEGAN }],
        files,
    };
    let signed = signed(&key(2), MEETING_LABEL, &manifest.to_cbor(), None);
    std::fs::write(folder.join(names::MEETING), &signed).expect("written");
    evidence::sha256(&signed)
}

/// The key of the kit's one epoch, sealed and written.
pub fn epoch(folder: &Path, meeting: &MeetingId) -> (EpochKey, SealedBaseKey) {
    epoch_under(folder, meeting, &[9; 32])
}

fn epoch_under(folder: &Path, meeting: &MeetingId, key: &[u8; 32]) -> (EpochKey, SealedBaseKey) {
    let meeting_key = MeetingKey::from_bytes(key).expect("32 bytes");
    let place = Place { firm: firm(), meeting: meeting.clone(), incarnation: 1, epoch: Epoch(1) };
    let sealed = SealedBaseKey::seal(&meeting_key, &place, &base());
    let epoch_key = EpochKey {
        incarnation: 1,
        epoch: Epoch(1),
        sealed: sealed.bytes.clone().into(),
        transcript_hash: Digest([0; 32]),
    };
    std::fs::write(folder.join(names::EPOCH_KEYS), epoch_key.to_cbor()).expect("written");
    (epoch_key, sealed)
}

/// The base key of that epoch.
pub fn base() -> BaseKey {
    BaseKey::from_bytes(&[8; 32]).expect("32 bytes")
}

/// Somebody who was there from begin to end.
pub fn present(participant: ParticipantId, name: &str, role: LeafRole) -> Attendance {
    Attendance {
        participant,
        name: name.to_owned(),
        role,
        joined_epoch: Epoch(1),
        joined_at: BEGAN,
        left_epoch: None,
        left_at: BEGAN.plus(DURATION_MS),
    }
}

pub fn header(meeting: &MeetingId, track: Option<TrackInfo>) -> SegmentHeader {
    SegmentHeader {
        version: 1,
        firm: firm(),
        meeting: meeting.clone(),
        clock_rate: track.as_ref().map_or(0, |track| track.codec.kind().clock_rate()),
        track,
        index: 1,
        first_seq: 0,
        suite: 5,
        started_at: BEGAN,
        monotonic_ms: 0,
    }
}

pub fn entry(folder: &Path, path: &str, track: u32, writer: SegmentWriter, mut bytes: Vec<u8>) -> SegmentEntry {
    let manifest = writer.close(path.to_owned(), BEGAN.plus(DURATION_MS), &mut bytes);
    std::fs::create_dir_all(folder.join(path).parent().expect("a folder")).expect("made");
    std::fs::write(folder.join(path), &bytes).expect("written");
    SegmentEntry {
        path: path.to_owned(),
        manifest: String::new(),
        manifest_hash: Digest([0; 32]),
        track,
        index: 1,
        root: manifest.root,
        size: manifest.size,
        records: manifest.records,
        frames: manifest.frames,
    }
}

pub fn events_of(folder: &Path, meeting: &MeetingId, more: Vec<ArchiveEvent>) -> SegmentEntry {
    let mut bytes = Vec::new();
    let mut writer = SegmentWriter::new(header(meeting, None), &mut bytes);
    let joined = ArchiveEvent::Joined { participant: person("anna") };
    for event in std::iter::once(joined).chain(more) {
        writer.push(BEGAN.0 * 1000, &Record::Event(Box::new(event)), &mut bytes);
    }
    // each sealing is another: two recorders keep the same one
    static SAID: OnceLock<Vec<u8>> = OnceLock::new();
    let said = SAID.get_or_init(|| Person::new("anna", LeafRole::Member).says(meeting, CHAT)).clone().into();
    let said = ArchiveEvent::Said { participant: person("anna"), said };
    writer.push(BEGAN.0 * 1000 + CHAT_MS * 1000, &Record::Event(Box::new(said)), &mut bytes);
    entry(folder, names::EVENTS, 0, writer, bytes)
}

fn media(
    folder: &Path,
    meeting: &MeetingId,
    info: TrackInfo,
    mut key: SealKey,
    late_us: u64,
    keeps: &dyn Fn(u64) -> bool,
) -> (SegmentEntry, TrackEntry) {
    let (mut bytes, mut wire, mut frames) = (Vec::new(), Vec::new(), 0);
    let mut lost = false;
    let mut writer = SegmentWriter::new(header(meeting, Some(info.clone())), &mut bytes);
    // each sender's clock starts somewhere else
    let clock = 55_000_000 + late_us * 3;
    let (mut first_us, mut last_us) = (0, 0);
    for (of, input) in crate::webm::tests::fixture() {
        if of != info.codec.kind() {
            continue;
        }
        let sealed = key.seal(input.key_frame, &input.data, clock + input.pts_us, &mut wire).expect("sealed");
        let (shim, sframe) = wire.split_at(sealed.shim);
        if !keeps(late_us + input.pts_us) {
            lost = true;
            continue;
        }
        last_us = BEGAN.0 * 1000 + late_us + input.pts_us;
        first_us = if frames == 0 { last_us } else { first_us };
        let flags = OPENED | if input.key_frame { KEY_FRAME } else { 0 };
        let flags = flags | if std::mem::take(&mut lost) { DISCONTINUITY } else { 0 };
        let record =
            Record::Media(Media { sfu_us: last_us, rtp_timestamp: 0, ssrc: 1, epoch: Epoch(1), flags, shim, sframe });
        writer.push(last_us, &record, &mut bytes);
        frames += 1;
    }
    let path = format!("tracks/{}/1.seg", info.track);
    let tracked = TrackEntry {
        track: info.track,
        participant: info.participant,
        slot: info.slot,
        codec: info.codec,
        frames,
        first_us,
        last_us,
    };
    (entry(folder, &path, info.track, writer, bytes), tracked)
}

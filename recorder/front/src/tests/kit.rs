//! A firm in software: certificates, custody sockets, a front that listens. The meeting in its archive is of `written`.

use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Loaded};
use crate::http::{listen, router};
use crate::idp;
use custody::frame;
use domain::message::custody::{Answer, Ask, CustodyProblem, IncarnationKey, LeafRole, LedgerEvent};
use domain::{B64, Epoch, FirmId, MeetingId, ParticipantId, UnixMillis};
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
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::UnixListener;

pub use super::written::*;

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
    pub fn says(&self, meeting: &MeetingId, words: &str) -> Vec<u8> {
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

//! A firm in memory: officers with certificates, a closed meeting on disk, a log that signs, stores in directories.

use async_trait::async_trait;
use bytes::Bytes;
use domain::message::custody::LeafRole;
use domain::{Epoch, FirmId, MeetingId, ParticipantId, UnixMillis};
use evidence::archive::log::Log as Tree;
use evidence::archive::manifest::{Closed, write_sealed_keys};
use evidence::archive::{
    Attendance, CHECKPOINT_LABEL, ClockState, Digest, LogProof, MEETING_LABEL, MeetingManifest, SealedKey, SealedKeys,
    sha256,
};
use evidence::cbor;
use evidence::identity::{FirmTrust, TrustMap};
use evidence::key::PublicKey;
use evidence::retention::{ACT_LABEL, Act, CONSENT_LABEL, Consent, What};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SubjectPublicKeyInfo,
};
use recorder_store::directory::Directory;
use recorder_store::retention::{Log, Office};
use recorder_store::store::{Placing, StoreError};
use recorder_store::{ArchiveStore, Attack, Hold, Lock, Version, layout};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const MEETING: &str = "00112233445566778899aabbccddeeff";
pub const ENDED: UnixMillis = UnixMillis(1_795_305_600_000);
const RECORD: u8 = 7;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(ENDED.0) };
}

/// The time of this test's thread.
pub fn now() -> UnixMillis {
    UnixMillis(NOW.get())
}
/// Sets it.
pub fn at(time: UnixMillis) {
    NOW.set(time.0);
}

pub fn meeting() -> MeetingId {
    MEETING.parse().expect("an id")
}
pub fn firm() -> FirmId {
    "bank-a".parse().expect("an id")
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).expect("a key")
}
fn spki(seed: u8) -> Vec<u8> {
    let point = key(seed).verifying_key().to_encoded_point(false);
    PublicKey::from_sec1(point.as_bytes()).expect("a point").to_spki()
}
fn sign(seed: u8, label: &str, payload: &[u8], certificate: Option<&[u8]>) -> Vec<u8> {
    let signer = |hash: &[u8; 32]| {
        let signature: Signature = key(seed).sign_prehash(hash).expect("32 bytes");
        Ok::<[u8; 64], std::convert::Infallible>(signature.to_bytes().into())
    };
    evidence::cose::sign(label, payload, certificate, signer).expect("cannot fail")
}

/// The firm's log in memory; it can be away.
#[derive(Default)]
pub struct SoftLog {
    tree: Mutex<Tree>,
    pub away: AtomicBool,
}

impl SoftLog {
    pub fn add(&self, bytes: &[u8]) -> LogProof {
        let mut tree = self.tree.lock().expect("no holder panics");
        let index = tree.append(&sha256(bytes));
        let head = tree.checkpoint(&firm());
        let checkpoint = head.note(&sign(RECORD, CHECKPOINT_LABEL, head.text().as_bytes(), None), &spki(RECORD));
        LogProof { index, path: tree.inclusion(index).expect("there"), checkpoint }
    }
    pub fn size(&self) -> u64 {
        self.tree.lock().expect("no holder panics").size()
    }
}

#[async_trait]
impl Log for SoftLog {
    async fn append(&self, bytes: &[u8]) -> Result<LogProof, String> {
        if self.away.load(Ordering::Relaxed) { Err("the token is away".to_owned()) } else { Ok(self.add(bytes)) }
    }
}

/// A store that can be away after some deletions, and that can be one that refuses nothing.
pub struct Odd {
    pub inner: Directory,
    pub deletions: AtomicUsize,
}

#[async_trait]
impl ArchiveStore for Odd {
    fn name(&self) -> &str {
        self.inner.name()
    }
    async fn put(&self, key: &str, bytes: Bytes, until: UnixMillis, placing: Placing) -> Result<String, StoreError> {
        self.inner.put(key, bytes, until, placing).await
    }
    async fn get(&self, key: &str, version: Option<&str>) -> Result<(Bytes, String), StoreError> {
        self.inner.get(key, version).await
    }
    async fn lock(&self, key: &str, version: &str) -> Result<Lock, StoreError> {
        self.inner.lock(key, version).await
    }
    async fn extend(&self, key: &str, version: &str, until: UnixMillis) -> Result<(), StoreError> {
        self.inner.extend(key, version, until).await
    }
    async fn hold(&self, key: &str, version: &str, hold: Hold) -> Result<(), StoreError> {
        self.inner.hold(key, version, hold).await
    }
    async fn delete(&self, key: &str, version: &str) -> Result<(), StoreError> {
        let more = |left: usize| left.checked_sub(1);
        if self.deletions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Err(StoreError::Unavailable("the line is cut".to_owned()));
        }
        // others get their turn between two pieces
        tokio::task::yield_now().await;
        self.inner.delete(key, version).await
    }
    async fn versions(&self, prefix: &str) -> Result<Vec<Version>, StoreError> {
        self.inner.versions(prefix).await
    }
    async fn attack(&self, attack: Attack, key: &str, version: &str, until: UnixMillis) -> Result<(), StoreError> {
        self.inner.attack(attack, key, version, until).await
    }
}

/// Everything.
pub struct Bank {
    pub office: Office,
    pub log: Arc<SoftLog>,
    pub store: Arc<Odd>,
    _root: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    manifest_hash: Digest,
}

impl Bank {
    /// With a closed meeting that is kept for a year, whole in one store.
    pub async fn new() -> Self {
        at(ENDED.plus(60_000));
        let root = tempfile::tempdir().expect("a folder");
        let (issuer, der) = authority();
        let trust = TrustMap { version: 1, firms: vec![trusted(der)], order_key: spki(RECORD).into() };
        let log = Arc::new(SoftLog::default());
        let archive = root.path().join("archive");
        let folder = archive.join("bank-a/2026/11").join(MEETING);
        let signed = closed(&folder, &trust);
        put(&folder.join("proof.cbor"), &log.add(&signed).to_cbor());
        let inner = Directory::new("vault-a".to_owned(), root.path().join("vault-a"), now);
        let store = Arc::new(Odd { inner, deletions: AtomicUsize::new(usize::MAX) });
        for path in layout::files(&folder).expect("listed") {
            let bytes = std::fs::read(folder.join(&path)).expect("read");
            let key = format!("bank-a/2026/11/{MEETING}/{path}");
            store.put(&key, bytes.into(), ENDED.plus_years(1), Placing::First).await.expect("put");
        }
        let office = Office {
            archive,
            firm: firm(),
            trust: Arc::new(trust),
            stores: vec![store.clone()],
            log: log.clone(),
            clock: now,
        };
        Self { office, log, store, _root: root, issuer, manifest_hash: sha256(&signed) }
    }

    pub fn folder(&self) -> PathBuf {
        self.office.archive.join("bank-a/2026/11").join(MEETING)
    }

    /// A leaf that is valid around now.
    fn leaf(&self, who: &str, seed: u8, role: LeafRole) -> Vec<u8> {
        let usage = if role == LeafRole::Compliance { 4 } else { 1 };
        let participant: ParticipantId = format!("bank-a/{who}/d1").parse().expect("an id");
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, who);
        params.subject_alt_names = vec![SanType::URI(participant.uri().try_into().expect("ASCII"))];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 32473, 7, usage])];
        valid(&mut params, UnixMillis(now().0 - 60_000), 4 * 3600);
        let public = SubjectPublicKeyInfo::from_der(&spki(seed)).expect("a key");
        params.signed_by(&public, &self.issuer).expect("signed").der().to_vec()
    }

    /// An act signed by `first`, consented to by `second`, now.
    pub fn signed_by(
        &self,
        what: What,
        case: &str,
        first: (&str, u8, LeafRole),
        second: (&str, u8, LeafRole),
    ) -> [Vec<u8>; 2] {
        let act = Act {
            firm: firm(),
            meeting: meeting(),
            manifest_hash: self.manifest_hash.0.into(),
            what,
            case: case.to_owned(),
            reason: "as the court asks".to_owned(),
            issued_at: now(),
        };
        let leaf = |(who, seed, role): (&str, u8, LeafRole)| self.leaf(who, seed, role);
        let act = sign(first.1, ACT_LABEL, &cbor::encode(&act), Some(&leaf(first)));
        let consent = Consent { act_hash: evidence::sha256(&act).into(), issued_at: now() };
        let consent = sign(second.1, CONSENT_LABEL, &cbor::encode(&consent), Some(&leaf(second)));
        [act, consent]
    }

    pub fn signed(&self, what: What, case: &str) -> [Vec<u8>; 2] {
        self.signed_by(what, case, ("carol", 20, LeafRole::Compliance), ("chris", 21, LeafRole::Compliance))
    }

    /// Signs and takes an act, and puts it on the store's objects.
    pub async fn act(&self, what: What, case: &str) -> Result<(), recorder_store::retention::OfficeError> {
        let name = what.name();
        let [act, consent] = self.signed(what, case);
        let book = self.office.take(&meeting(), name, &act, &consent).await?;
        if name != "dispose" {
            self.office.apply(&book).await?;
        }
        Ok(())
    }

    pub async fn in_store(&self) -> Vec<Version> {
        self.store.versions(&format!("bank-a/2026/11/{MEETING}/")).await.expect("listed")
    }
}

fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, bytes).expect("written");
}

fn valid(params: &mut CertificateParams, from: UnixMillis, life_s: u64) {
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(from.seconds());
    params.not_after = params.not_before + Duration::from_secs(life_s);
}

fn authority() -> (Issuer<'static, KeyPair>, Vec<u8>) {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key pair");
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "bank-a people CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    valid(&mut params, UnixMillis(ENDED.0 - 86_400_000), 30 * 366 * 86_400);
    let root = params.self_signed(&key).expect("self signed").der().to_vec();
    (Issuer::new(params, key), root)
}

fn trusted(root: Vec<u8>) -> FirmTrust {
    FirmTrust {
        firm: firm(),
        name: "Bank A".to_owned(),
        roots: vec![root.into()],
        policy_key: spki(4).into(),
        recorder_identity: spki(5).into(),
        record_key: spki(RECORD).into(),
        ledger_key: spki(3).into(),
        archive_keys: Vec::new(),
        stamp_roots: Vec::new(),
    }
}

/// A closed meeting of anna; returns its signed manifest.
fn closed(folder: &Path, trust: &TrustMap) -> Vec<u8> {
    let sealed = vec![SealedKeys {
        incarnation: 1,
        recorder: "bank-a/recorder-1/r".parse().expect("an id"),
        keys: vec![SealedKey { key_id: "00".to_owned(), sealed: vec![1; 400].into() }],
    }];
    put(&folder.join("keys/sealed.cbor"), &write_sealed_keys(&sealed));
    put(&folder.join("keys/epochs.cbor"), b"sealed base keys");
    put(&folder.join("events.seg"), b"events");
    put(&folder.join("tracks/0001/00001.seg"), b"sound");
    let anna = Attendance {
        participant: "bank-a/anna/d1".parse().expect("an id"),
        name: "Anna".to_owned(),
        role: LeafRole::Member,
        joined_epoch: Epoch(0),
        joined_at: UnixMillis(ENDED.0 - 60_000),
        left_epoch: None,
        left_at: ENDED,
    };
    let manifest = MeetingManifest {
        record: "meeting".to_owned(),
        version: 1,
        firm: firm(),
        meeting: meeting(),
        room: "deal-room".parse().expect("an id"),
        title: "Project".to_owned(),
        started_at: UnixMillis(ENDED.0 - 60_000),
        ended_at: ENDED,
        closed: Closed::Ended,
        software: "test".to_owned(),
        roster: vec![anna],
        statements: Vec::new(),
        trust: Digest(trust.hash()),
        retention_years: 1,
        retain_until: ENDED.plus_years(1),
        sealed_keys_hash: sha256(&write_sealed_keys(&sealed)),
        sealed_keys: sealed,
        epochs: Vec::new(),
        epochs_hash: sha256(b"sealed base keys"),
        tracks: Vec::new(),
        frames: 0,
        segments: Vec::new(),
        rejected: 0,
        gaps: Vec::new(),
        clock: ClockState { synchronised: true, estimated_error_us: 0, against_sfu_ms: 0 },
        tags: Default::default(),
        copies_wanted: Vec::new(),
        files: Vec::new(),
    };
    let signed = sign(RECORD, MEETING_LABEL, &manifest.to_cbor(), None);
    put(&folder.join("meeting.cose"), &signed);
    signed
}

//! A firm in software with officers who sign: for tests of what becomes of closed meetings. Nothing here protects anything.

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
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

/// The meeting.
pub const MEETING: &str = "00112233445566778899aabbccddeeff";
/// Seed of the record key.
pub const RECORD: u8 = 7;
/// An officer: user id, seed of the key, role.
pub type Signer = (&'static str, u8, LeafRole);
/// Two officers who were not in the meeting.
pub const OFFICERS: [Signer; 2] = [("carol", 20, LeafRole::Compliance), ("chris", 21, LeafRole::Compliance)];

/// The meeting's id.
pub fn meeting() -> MeetingId {
    MEETING.parse().expect("an id")
}

/// The firm's.
pub fn firm() -> FirmId {
    "bank-a".parse().expect("an id")
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).expect("a key")
}

/// Public half of a key, SPKI.
pub fn spki(seed: u8) -> Vec<u8> {
    let point = key(seed).verifying_key().to_encoded_point(false);
    PublicKey::from_sec1(point.as_bytes()).expect("a point").to_spki()
}

/// COSE_Sign1 by the key of a seed.
pub fn sign(seed: u8, label: &str, payload: &[u8], certificate: Option<&[u8]>) -> Vec<u8> {
    let signer = |hash: &[u8; 32]| {
        let signature: Signature = key(seed).sign_prehash(hash).expect("32 bytes");
        Ok::<[u8; 64], std::convert::Infallible>(signature.to_bytes().into())
    };
    evidence::cose::sign(label, payload, certificate, signer).expect("cannot fail")
}

/// The firm's log in memory.
#[derive(Default)]
pub struct SoftLog(Mutex<Tree>);

impl SoftLog {
    /// Adds a leaf, and signs the head.
    pub fn add(&self, bytes: &[u8]) -> LogProof {
        let mut tree = self.0.lock().expect("no holder panics");
        let index = tree.append(&sha256(bytes));
        let head = tree.checkpoint(&firm());
        let checkpoint = head.note(&sign(RECORD, CHECKPOINT_LABEL, head.text().as_bytes(), None), &spki(RECORD));
        LogProof { index, path: tree.inclusion(index).expect("there"), checkpoint }
    }

    /// Leaves.
    pub fn size(&self) -> u64 {
        self.0.lock().expect("no holder panics").size()
    }
}

/// A firm with a certificate authority.
pub struct Bank {
    /// What everybody pins.
    pub trust: TrustMap,
    issuer: Issuer<'static, KeyPair>,
}

impl Bank {
    /// Its authority is valid for thirty years from the day before.
    pub fn new(now: UnixMillis) -> Self {
        let (issuer, root) = authority(UnixMillis(now.0 - 86_400_000));
        let own = FirmTrust {
            firm: firm(),
            name: "Bank A".to_owned(),
            roots: vec![root.into()],
            policy_key: spki(4).into(),
            recorder_identity: spki(5).into(),
            record_key: spki(RECORD).into(),
            ledger_key: spki(3).into(),
            archive_keys: Vec::new(),
            stamp_roots: Vec::new(),
        };
        let trust = TrustMap { version: 1, firms: vec![own], order_key: spki(RECORD).into() };
        Self { trust, issuer }
    }

    /// A leaf that is valid around `now`.
    fn leaf(&self, now: UnixMillis, (who, seed, role): Signer) -> Vec<u8> {
        let usage = if role == LeafRole::Compliance { 4 } else { 1 };
        let participant: ParticipantId = format!("bank-a/{who}/d1").parse().expect("an id");
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, who);
        params.subject_alt_names = vec![SanType::URI(participant.uri().try_into().expect("ASCII"))];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 32473, 7, usage])];
        valid(&mut params, UnixMillis(now.0 - 60_000), 4 * 3600);
        let public = SubjectPublicKeyInfo::from_der(&spki(seed)).expect("a key");
        params.signed_by(&public, &self.issuer).expect("signed").der().to_vec()
    }

    /// An act about the meeting, and its consent, signed at `now`.
    pub fn signed_by(
        &self,
        now: UnixMillis,
        manifest_hash: Digest,
        (what, case): (What, &str),
        [first, second]: [Signer; 2],
    ) -> [Vec<u8>; 2] {
        let act = Act {
            firm: firm(),
            meeting: meeting(),
            manifest_hash: manifest_hash.0.into(),
            what,
            case: case.to_owned(),
            reason: "as the court asks".to_owned(),
            issued_at: now,
        };
        let act = sign(first.1, ACT_LABEL, &cbor::encode(&act), Some(&self.leaf(now, first)));
        let consent = Consent { act_hash: evidence::sha256(&act).into(), issued_at: now };
        let consent = sign(second.1, CONSENT_LABEL, &cbor::encode(&consent), Some(&self.leaf(now, second)));
        [act, consent]
    }
}

fn valid(params: &mut CertificateParams, from: UnixMillis, life_s: u64) {
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(from.seconds());
    params.not_after = params.not_before + Duration::from_secs(life_s);
}

fn authority(from: UnixMillis) -> (Issuer<'static, KeyPair>, Vec<u8>) {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key pair");
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "bank-a people CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    valid(&mut params, from, 30 * 366 * 86_400);
    let root = params.self_signed(&key).expect("self signed").der().to_vec();
    (Issuer::new(params, key), root)
}

/// The manifest of a meeting that nobody was in and that holds nothing.
pub fn manifest(ended_at: UnixMillis, retain_until: UnixMillis) -> MeetingManifest {
    MeetingManifest {
        record: "meeting".to_owned(),
        version: 1,
        firm: firm(),
        meeting: meeting(),
        room: "deal-room".parse().expect("an id"),
        title: "Project".to_owned(),
        started_at: UnixMillis(ended_at.0 - 60_000),
        ended_at,
        closed: Closed::Ended,
        software: "test".to_owned(),
        roster: Vec::new(),
        statements: Vec::new(),
        trust: Digest([0; 32]),
        retention_years: 1,
        retain_until,
        sealed_keys: Vec::new(),
        sealed_keys_hash: Digest([0; 32]),
        epochs: Vec::new(),
        epochs_hash: Digest([0; 32]),
        tracks: Vec::new(),
        frames: 0,
        segments: Vec::new(),
        rejected: 0,
        gaps: Vec::new(),
        clock: ClockState { synchronised: true, estimated_error_us: 0, against_sfu_ms: 0 },
        tags: Default::default(),
        copies_wanted: Vec::new(),
        files: Vec::new(),
    }
}

fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, bytes).expect("written");
}

/// Writes a closed meeting of anna, with its proof; returns the hash of its signed manifest.
pub fn close(folder: &Path, trust: &TrustMap, log: &SoftLog, ended_at: UnixMillis, retain_until: UnixMillis) -> Digest {
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
        joined_at: UnixMillis(ended_at.0 - 60_000),
        left_epoch: None,
        left_at: ended_at,
    };
    let manifest = MeetingManifest {
        roster: vec![anna],
        trust: Digest(trust.hash()),
        sealed_keys_hash: sha256(&write_sealed_keys(&sealed)),
        sealed_keys: sealed,
        epochs_hash: sha256(b"sealed base keys"),
        ..manifest(ended_at, retain_until)
    };
    let signed = sign(RECORD, MEETING_LABEL, &manifest.to_cbor(), None);
    put(&folder.join("meeting.cose"), &signed);
    put(&folder.join("proof.cbor"), &log.add(&signed).to_cbor());
    sha256(&signed)
}

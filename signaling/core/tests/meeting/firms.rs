//! Firms with a CA, a policy key and statements; people and recorders with certificates of them.

use domain::policy::{Rule, Statement, Tier};
use domain::{B64, FirmId, ParticipantId, UnixMillis};
use evidence::identity::{FirmTrust, TrustMap};
use p256::ecdsa::SigningKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::pkcs8::{DecodePrivateKey, EncodePublicKey};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, date_time_ymd,
};
use std::time::Duration;

/// 2030-01-01, when every test begins.
pub const START: UnixMillis = UnixMillis(1_893_456_000_000);
pub const ROOM: &str = "deal-room";

/// What a certificate is for, by its extended key usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Member = 1,
    Recorder = 2,
    Guest = 3,
    Compliance = 4,
}

pub struct Firm {
    pub id: FirmId,
    issuer: Issuer<'static, KeyPair>,
    root: Vec<u8>,
    policy: SigningKey,
}

pub struct Leaf {
    pub key: SigningKey,
    pub certificate: Vec<u8>,
}

pub fn sign(key: &SigningKey, hash: &[u8; 32]) -> [u8; 64] {
    let signature: p256::ecdsa::Signature = key.sign_prehash(hash).unwrap();
    signature.to_bytes().into()
}

pub fn spki(key: &SigningKey) -> B64 {
    key.verifying_key().to_public_key_der().unwrap().as_bytes().to_vec().into()
}

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

impl Firm {
    pub fn new(id: &str) -> Self {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("{id} root"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&pair).unwrap().der().to_vec();
        let policy = key(id.len() as u8 + id.as_bytes()[id.len() - 1]);
        Self { id: id.parse().unwrap(), issuer: Issuer::new(params, pair), root, policy }
    }

    pub fn trust(&self) -> FirmTrust {
        let none = || B64(Vec::new());
        FirmTrust {
            firm: self.id.clone(),
            name: self.id.to_string(),
            roots: vec![self.root.clone().into()],
            policy_key: spki(&self.policy),
            recorder_identity: none(),
            record_key: none(),
            ledger_key: none(),
            archive_keys: Vec::new(),
            stamp_roots: Vec::new(),
        }
    }

    /// A certificate valid from an hour before the start to `hours` after it.
    pub fn certify_for(&self, who: &str, used: Use, from_h: i64, to_h: i64) -> Leaf {
        let pair = KeyPair::generate().unwrap();
        let who: ParticipantId = who.parse().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, who.user.to_string());
        params.subject_alt_names = vec![SanType::URI(who.uri().try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 32473, 7, used as u64])];
        let start = date_time_ymd(2030, 1, 1);
        let at = |hours: i64| {
            let away = Duration::from_secs(hours.unsigned_abs() * 3600);
            if hours < 0 { start - away } else { start + away }
        };
        params.not_before = at(from_h);
        params.not_after = at(to_h);
        let certificate = params.signed_by(&pair, &self.issuer).unwrap().der().to_vec();
        Leaf { key: SigningKey::from_pkcs8_der(&pair.serialize_der()).unwrap(), certificate }
    }

    pub fn certify(&self, who: &str, used: Use) -> Leaf {
        self.certify_for(who, used, -1, if used == Use::Guest { 2 } else { 8 })
    }

    /// A certificate for a key made elsewhere, valid for four hours.
    pub fn certify_key(&self, public: &[u8], who: &ParticipantId, recorder: bool, now: UnixMillis) -> Vec<u8> {
        let spki = evidence::key::PublicKey::from_sec1(public).unwrap().to_spki();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, who.user.to_string());
        params.subject_alt_names = vec![SanType::URI(who.uri().try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let used = if recorder { Use::Recorder } else { Use::Member };
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 32473, 7, used as u64])];
        let since = Duration::from_secs(now.since(START) / 1_000);
        params.not_before = date_time_ymd(2030, 1, 1) + since - Duration::from_secs(60);
        params.not_after = params.not_before + Duration::from_secs(4 * 3600);
        let public = rcgen::SubjectPublicKeyInfo::from_der(&spki).unwrap();
        params.signed_by(&public, &self.issuer).unwrap().der().to_vec()
    }

    pub fn statement(&self, room: &str, rule: Rule) -> B64 {
        self.sign_statement(&self.stated(room, rule))
    }

    /// What [`Firm::statement`] signs.
    pub fn stated(&self, room: &str, rule: Rule) -> Statement {
        Statement {
            version: 1,
            serial: 1,
            firm: self.id.clone(),
            room: room.parse().unwrap(),
            audio_video: rule,
            chat: Rule::Off,
            files: Rule::Off,
            tier: Tier::Full,
            retention_years: 7,
            pause: None,
            copies: domain::policy::Copies::None,
            archive: domain::policy::Archive::Worm,
            recorder_grace_ms: 2_000,
            archive_key_ids: Vec::new(),
            issued_at: START,
            conditions: Box::default(),
        }
    }

    pub fn sign_statement(&self, statement: &Statement) -> B64 {
        let payload = evidence::statement::encode(statement);
        let signed =
            evidence::cose::sign::<()>(evidence::statement::LABEL, &payload, None, |hash| Ok(sign(&self.policy, hash)));
        signed.unwrap().into()
    }
}

pub fn trust(firms: &[Firm], order_key: &SigningKey) -> TrustMap {
    let mut firms: Vec<FirmTrust> = firms.iter().map(Firm::trust).collect();
    firms.sort_by(|a, b| a.firm.cmp(&b.firm));
    TrustMap { version: 1, firms, order_key: spki(order_key) }
}

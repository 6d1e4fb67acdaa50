//! Two firms without tokens: certificate authorities, policy keys and statements in memory, for tests of cores. The only
//! fake here is where the keys lie.

use domain::message::client::MeetingTerms;
use domain::message::custody::LeafRole;
use domain::policy::{Rule, Statement, Tier};
use domain::{B64, FirmId, ParticipantId, RoomId, UnixMillis};
use e2ee::leaf::LeafKey;
use e2ee::session::SessionConfig;
use evidence::identity::{FirmTrust, TrustMap};
use evidence::key::PublicKey;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SubjectPublicKeyInfo,
};
use std::time::Duration;

/// When every test of cores begins.
pub const T0: UnixMillis = UnixMillis(1_800_000_000_000);
/// The room.
pub const ROOM: &str = "deal-room";
/// The meeting, where no signaling names it.
pub const MEETING: &str = "00112233445566778899aabbccddeeff";

/// One firm.
pub struct Firm {
    /// Its id.
    pub id: FirmId,
    issuer: Issuer<'static, KeyPair>,
    root: Vec<u8>,
    policy: LeafKey,
}

fn spki(key: &LeafKey) -> Vec<u8> {
    PublicKey::from_sec1(&key.public_sec1()).expect("a key of ours").to_spki()
}

fn valid(params: &mut CertificateParams, from_s: u64, life_s: u64) {
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(from_s);
    params.not_after = params.not_before + Duration::from_secs(life_s);
}

impl Firm {
    /// A firm with fresh keys.
    pub fn new(id: &str) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key pair");
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("{id} people CA"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // some tests are told the machine's time
        valid(&mut params, 0, 4 * T0.seconds());
        let root = params.self_signed(&key).expect("self signed").der().to_vec();
        Self { id: id.parse().expect("an id"), issuer: Issuer::new(params, key), root, policy: LeafKey::generate() }
    }

    /// A leaf certificate, good from a minute before `now` on.
    pub fn issue_at(&self, key: &LeafKey, participant: &ParticipantId, role: LeafRole, now: UnixMillis) -> Vec<u8> {
        let usage = match role {
            LeafRole::Member => 1,
            LeafRole::Recorder => 2,
            LeafRole::Guest => 3,
            LeafRole::Compliance => 4,
            LeafRole::Administrator => 5,
        };
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("{} of {}", participant.user, participant.firm));
        params.subject_alt_names = vec![SanType::URI(participant.uri().try_into().expect("ASCII"))];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 32473, 7, usage])];
        valid(&mut params, now.seconds() - 60, 4 * 3600);
        let public = SubjectPublicKeyInfo::from_der(&spki(key)).expect("a P-256 key");
        params.signed_by(&public, &self.issuer).expect("signed").der().to_vec()
    }

    fn trust(&self) -> FirmTrust {
        let other = B64(spki(&self.policy));
        FirmTrust {
            firm: self.id.clone(),
            name: self.id.to_string(),
            roots: vec![B64(self.root.clone())],
            policy_key: other.clone(),
            recorder_identity: other.clone(),
            record_key: other.clone(),
            ledger_key: other,
            archive_keys: vec![],
            stamp_roots: Vec::new(),
        }
    }

    /// Signs with the firm's policy key, which is also its record and ledger key here.
    pub fn sign(&self, label: &str, payload: &[u8]) -> B64 {
        B64(self.policy.sign_cose(label, payload, None))
    }

    /// Its statement about the room.
    pub fn statement(&self, rule: Rule, grace_ms: u64) -> B64 {
        let statement = Statement {
            version: 1,
            serial: 1,
            firm: self.id.clone(),
            room: room(),
            audio_video: rule,
            chat: Rule::Off,
            files: Rule::Off,
            tier: Tier::Full,
            retention_years: 5,
            pause: None,
            copies: domain::policy::Copies::None,
            archive: domain::policy::Archive::Worm,
            recorder_grace_ms: grace_ms,
            archive_key_ids: vec![],
            issued_at: T0,
            conditions: Box::default(),
        };
        self.sign(evidence::statement::LABEL, &evidence::statement::encode(&statement))
    }
}

/// The room's id.
pub fn room() -> RoomId {
    ROOM.parse().expect("an id")
}

/// A participant's id.
pub fn id(text: &str) -> ParticipantId {
    text.parse().expect("an id")
}

/// Recorders are named so.
pub fn role_of(who: &ParticipantId) -> LeafRole {
    if who.user.as_str().starts_with("recorder") { LeafRole::Recorder } else { LeafRole::Member }
}

/// Two firms and the delivery service's order key.
pub struct Firms {
    /// bank-a.
    pub a: Firm,
    /// bank-b.
    pub b: Firm,
    /// What everybody pins.
    pub trust: TrustMap,
    /// Signs removal orders.
    pub order: LeafKey,
    /// Signed statements, bank-a's first.
    pub statements: [B64; 2],
}

impl Firms {
    /// Firms with these rules about sound and picture.
    pub fn new(a: Rule, b: Rule, grace_ms: u64) -> Self {
        let rules = (a, b);
        let (a, b, order) = (Firm::new("bank-a"), Firm::new("bank-b"), LeafKey::generate());
        let trust = TrustMap { version: 1, firms: vec![a.trust(), b.trust()], order_key: B64(spki(&order)) };
        let statements = [a.statement(rules.0, grace_ms), b.statement(rules.1, grace_ms)];
        Self { a, b, trust, order, statements }
    }

    /// A firm by its id; bank-a when it is another's.
    pub fn firm(&self, id: &FirmId) -> &Firm {
        if *id == self.b.id { &self.b } else { &self.a }
    }

    /// What a session of this participant is made of: a fresh key and its certificate.
    pub fn config(&self, who: &ParticipantId) -> SessionConfig {
        self.config_at(who, T0)
    }

    /// ... where the clock shows something else.
    pub fn config_at(&self, who: &ParticipantId, now: UnixMillis) -> SessionConfig {
        let key = LeafKey::generate();
        let leaf = self.firm(&who.firm).issue_at(&key, who, role_of(who), now);
        SessionConfig { key, chain: vec![leaf], trust: self.trust.clone(), room: room() }
    }

    /// Terms of [`MEETING`].
    pub fn terms(&self) -> MeetingTerms {
        MeetingTerms {
            meeting: MEETING.parse().expect("an id"),
            room: room(),
            title: "Project Alder".to_owned(),
            statements: self.statements.to_vec(),
            trust: B64(self.trust.hash().to_vec()),
            started_at: T0,
        }
    }
}

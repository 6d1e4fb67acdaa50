//! Two firms with their certificate authorities, policy keys and statements.

use domain::message::client::MeetingTerms;
use domain::message::custody::LeafRole;
use domain::policy::{Rule, Statement, Tier};
use domain::{B64, FirmId, ParticipantId, UnixMillis};
use e2ee::leaf::LeafKey;
use evidence::identity::{FirmTrust, TrustMap};
use evidence::key::PublicKey;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, SubjectPublicKeyInfo,
};
use std::time::Duration;

/// When every test begins.
pub const T0: UnixMillis = UnixMillis(1_800_000_000_000);
pub const MEETING: &str = "00112233445566778899aabbccddeeff";
pub const ROOM: &str = "deal-room";

pub struct Firm {
    pub id: FirmId,
    pub issuer: Issuer<'static, KeyPair>,
    pub root: Vec<u8>,
    policy: LeafKey,
}

/// How a certificate departs from a good one.
#[derive(Clone)]
pub struct Leaf {
    pub eku: Vec<u64>,
    pub from_s: i64,
    pub life_s: u64,
    pub critical_unknown: bool,
    /// A second alternative name, in an extension of its own.
    pub second_name: bool,
    pub usage: KeyUsagePurpose,
    pub uri: Option<String>,
    pub is_ca: IsCa,
}

impl Leaf {
    pub fn of(role: LeafRole) -> Self {
        let last = match role {
            LeafRole::Member => 1,
            LeafRole::Recorder => 2,
            LeafRole::Guest => 3,
            LeafRole::Compliance => 4,
            LeafRole::Administrator => 5,
        };
        Self {
            eku: vec![1, 3, 6, 1, 4, 1, 32473, 7, last],
            from_s: -60,
            life_s: 4 * 3600,
            critical_unknown: false,
            second_name: false,
            usage: KeyUsagePurpose::DigitalSignature,
            uri: None,
            is_ca: IsCa::ExplicitNoCa,
        }
    }
}

fn at(offset_s: i64) -> impl Fn(&mut CertificateParams, u64) {
    move |params, life_s| {
        let from = T0.seconds().checked_add_signed(offset_s).unwrap();
        params.not_before = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(from);
        params.not_after = params.not_before + Duration::from_secs(life_s);
    }
}

fn spki(key: &LeafKey) -> Vec<u8> {
    PublicKey::from_sec1(&key.public_sec1()).unwrap().to_spki()
}

impl Firm {
    pub fn new(id: &str) -> Self {
        Self::named(id, id)
    }
    /// `subject` apart from the id: another authority with the same name.
    pub fn named(id: &str, subject: &str) -> Self {
        let ca = IsCa::Ca(BasicConstraints::Constrained(0));
        Self::with_root(id, subject, ca, vec![KeyUsagePurpose::KeyCertSign])
    }
    /// With any root.
    pub fn with_root(id: &str, subject: &str, is_ca: IsCa, usages: Vec<KeyUsagePurpose>) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("{subject} people CA"));
        params.is_ca = is_ca;
        params.key_usages = usages;
        at(-86_400)(&mut params, 10 * 365 * 86_400);
        let root = params.self_signed(&key).unwrap().der().to_vec();
        Self { id: id.parse().unwrap(), issuer: Issuer::new(params, key), root, policy: LeafKey::generate() }
    }
    pub fn issue(&self, key: &LeafKey, participant: &ParticipantId, leaf: &Leaf) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("{} of {}", participant.user, participant.firm));
        let uri = leaf.uri.clone().unwrap_or_else(|| participant.uri());
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.is_ca = leaf.is_ca;
        params.key_usages = vec![leaf.usage];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(leaf.eku.clone())];
        if leaf.critical_unknown {
            let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions = vec![extension];
        }
        if leaf.second_name {
            let uri = b"sr://bank-b/mallory/1";
            let names = [&[0x30, uri.len() as u8 + 2, 0x86, uri.len() as u8], &uri[..]].concat();
            params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 17], names));
        }
        at(leaf.from_s)(&mut params, leaf.life_s);
        let public = SubjectPublicKeyInfo::from_der(&spki(key)).unwrap();
        params.signed_by(&public, &self.issuer).unwrap().der().to_vec()
    }
    fn trust(&self) -> FirmTrust {
        let other = B64(spki(&self.policy));
        FirmTrust {
            firm: self.id.clone(),
            name: self.id.to_string(),
            roots: vec![B64(self.root.clone())],
            policy_key: B64(spki(&self.policy)),
            recorder_identity: other.clone(),
            record_key: other.clone(),
            ledger_key: other,
            archive_keys: vec![],
            stamp_roots: Vec::new(),
        }
    }
    pub fn statement(&self, rule: Rule, grace_ms: u64) -> B64 {
        self.statement_with_chat(rule, Rule::Off, grace_ms)
    }
    /// A signed statement once more, changed.
    pub fn restate(&self, signed: &B64, change: impl FnOnce(&mut Statement)) -> B64 {
        let payload = evidence::cose::payload_unverified(signed).unwrap();
        let mut statement: Statement = evidence::cbor::decode(&payload).unwrap();
        change(&mut statement);
        B64(self.policy.sign_cose(evidence::statement::LABEL, &evidence::statement::encode(&statement), None))
    }
    pub fn statement_with_chat(&self, rule: Rule, chat: Rule, grace_ms: u64) -> B64 {
        let statement = Statement {
            version: 1,
            serial: 1,
            firm: self.id.clone(),
            room: ROOM.parse().unwrap(),
            audio_video: rule,
            chat,
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
        B64(self.policy.sign_cose(evidence::statement::LABEL, &evidence::statement::encode(&statement), None))
    }
}

/// Two firms, their trust map and the terms of one meeting.
pub struct World {
    pub a: Firm,
    pub b: Firm,
    pub trust: TrustMap,
    pub order: LeafKey,
    pub terms: MeetingTerms,
}

impl World {
    pub fn new(rule_a: Rule, rule_b: Rule, grace_ms: u64) -> Self {
        let (a, b, order) = (Firm::new("bank-a"), Firm::new("bank-b"), LeafKey::generate());
        let trust = TrustMap { version: 1, firms: vec![a.trust(), b.trust()], order_key: B64(spki(&order)) };
        let terms = MeetingTerms {
            meeting: MEETING.parse().unwrap(),
            room: ROOM.parse().unwrap(),
            title: "Project Alder".to_owned(),
            statements: vec![a.statement(rule_a, grace_ms), b.statement(rule_b, grace_ms)],
            trust: B64(trust.hash().to_vec()),
            started_at: T0,
        };
        Self { a, b, trust, order, terms }
    }
    /// Sound and picture are nobody's; chat as said.
    pub fn of_chat(chat_a: Rule, chat_b: Rule, grace_ms: u64) -> Self {
        let mut world = Self::new(Rule::Off, Rule::Off, grace_ms);
        let (a, b) = (&world.a, &world.b);
        let statements = [(a, chat_a), (b, chat_b)];
        world.terms.statements =
            statements.map(|(firm, chat)| firm.statement_with_chat(Rule::Off, chat, grace_ms)).to_vec();
        world
    }
    /// Bank A keeps files as said and nothing else.
    pub fn of_files(files_a: Rule, files_b: Rule, grace_ms: u64) -> Self {
        let mut world = Self::new(Rule::Off, Rule::Off, grace_ms);
        let changed = [(&world.a, files_a), (&world.b, files_b)].into_iter().zip(&world.terms.statements);
        let statements =
            changed.map(|((firm, files), signed)| firm.restate(signed, |statement| statement.files = files));
        world.terms.statements = statements.collect();
        world
    }
    pub fn firm(&self, id: &FirmId) -> &Firm {
        if *id == self.b.id { &self.b } else { &self.a }
    }
}

//! A temporary operator and one firm: authorities, trust map, rooms with their members and statements, configuration.

use domain::policy::{Archive, Copies, Rule, Statement, Tier};
use domain::{B64, ParticipantId, RoomId, UnixMillis};
use e2ee::leaf::LeafKey;
use e2ee::session::SessionConfig;
use evidence::identity::{FirmTrust, TrustMap};
use evidence::key::PublicKey;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType, SubjectPublicKeyInfo,
};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Where the page would come from.
pub const ORIGIN: &str = "http://bank-a.localhost:8441";
/// Leaf certificates are good for so long around now.
const LIFE: Duration = Duration::from_secs(3600);

/// A certificate authority.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
    pem: String,
}

impl Ca {
    fn new(name: &str) -> anyhow::Result<Self> {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&pair)?;
        Ok(Self { der: root.der().to_vec(), pem: root.pem(), issuer: Issuer::new(params, pair) })
    }
}

fn spki(key: &LeafKey) -> B64 {
    B64(PublicKey::from_sec1(&key.public_sec1()).expect("a key of ours").to_spki())
}

/// Certificate and key of a service, PEM.
pub struct Service {
    /// Certificate.
    pub certificate: String,
    /// Key.
    pub key: String,
}

/// A folder with everything a run needs.
pub struct Site {
    folder: TempDir,
    operator: Ca,
    firm: Ca,
    trust: TrustMap,
    /// Rooms, each with its people.
    pub rooms: Vec<(RoomId, Vec<ParticipantId>)>,
    /// The media server's certificate for the control link.
    pub sfu: Service,
}

impl Site {
    /// `meetings` rooms with `people` members each.
    pub fn new(meetings: usize, people: usize) -> anyhow::Result<Self> {
        let (operator, firm) = (Ca::new("operator")?, Ca::new("bank-a people")?);
        let (order, policy) = (KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?, LeafKey::generate());
        let none = || B64(Vec::new());
        let own = FirmTrust {
            firm: "bank-a".parse()?,
            name: "Bank A".to_owned(),
            roots: vec![B64(firm.der.clone())],
            policy_key: spki(&policy),
            recorder_identity: none(),
            record_key: none(),
            ledger_key: none(),
            archive_keys: Vec::new(),
            stamp_roots: Vec::new(),
        };
        let order_key = B64(rcgen::PublicKeyData::subject_public_key_info(&order));
        let trust = TrustMap { version: 1, firms: vec![own], order_key };
        let rooms = (0..meetings).map(|room| room_of(room, people)).collect::<anyhow::Result<Vec<_>>>()?;
        let sfu = service(&operator)?;
        let site = Self { folder: tempfile::tempdir()?, operator, firm, trust, rooms, sfu };
        site.lay(&order, &policy)?;
        Ok(site)
    }

    fn lay(&self, order: &KeyPair, policy: &LeafKey) -> anyhow::Result<()> {
        let own = service(&self.operator)?;
        self.write("trust.json", serde_json::to_string(&self.trust)?)?;
        self.write("order.pem", order.serialize_pem())?;
        self.write("ca.pem", &self.operator.pem)?;
        self.write("signaling.pem", own.certificate)?;
        self.write("signaling.key", own.key)?;
        std::fs::create_dir(self.folder.path().join("statements"))?;
        let mut rooms = Vec::new();
        for (room, people) in &self.rooms {
            let member = |who: &ParticipantId| serde_json::json!({"firm": who.firm, "user": who.user, "host": false});
            let members: Vec<_> = people.iter().map(member).collect();
            rooms.push(serde_json::json!({"room": room, "title": "Alder", "members": members}));
            self.write(&format!("statements/bank-a.{room}.cose"), statement(policy, room)?)?;
        }
        self.write("rooms.json", serde_json::to_string(&rooms)?)?;
        self.write("signaling.toml", CONFIGURATION.replace("ORIGIN", ORIGIN))
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> anyhow::Result<()> {
        Ok(std::fs::write(self.folder.path().join(name), text)?)
    }

    /// The configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("signaling.toml")
    }

    /// The operator's authority, DER.
    pub fn operator(&self) -> &[u8] {
        &self.operator.der
    }

    /// What a session of this person is made of.
    pub fn session(&self, who: &ParticipantId, room: &RoomId) -> anyhow::Result<SessionConfig> {
        let key = LeafKey::generate();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(who.uri().try_into()?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 32473, 7, 1])];
        let now = SystemTime::now();
        (params.not_before, params.not_after) = ((now - LIFE).into(), (now + LIFE).into());
        let public = SubjectPublicKeyInfo::from_der(&spki(&key))?;
        let leaf = params.signed_by(&public, &self.firm.issuer)?.der().to_vec();
        Ok(SessionConfig { key, chain: vec![leaf], trust: self.trust.clone(), room: room.clone() })
    }
}

/// Listens where the system finds place; the line `ready` says where.
const CONFIGURATION: &str = r#"listen = "127.0.0.1:0"
origins = ["ORIGIN"]
trust = "trust.json"
order_key = "order.pem"
statements = "statements"
[tls]
certificate = "signaling.pem"
key = "signaling.key"
[control]
listen = "127.0.0.1:0"
certificate = "signaling.pem"
key = "signaling.key"
client_ca = "ca.pem"
[directory]
path = "rooms.db"
seed = "rooms.json"
"#;

fn room_of(room: usize, people: usize) -> anyhow::Result<(RoomId, Vec<ParticipantId>)> {
    let people = (0..people).map(|n| format!("bank-a/person-{n}/1").parse().map_err(anyhow::Error::msg));
    let people = people.collect::<anyhow::Result<Vec<ParticipantId>>>()?;
    Ok((format!("room-{room}").parse().map_err(anyhow::Error::msg)?, people))
}

fn service(operator: &Ca) -> anyhow::Result<Service> {
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let params = CertificateParams::new(vec!["localhost".to_owned()])?;
    let certificate = params.signed_by(&pair, &operator.issuer)?.pem();
    Ok(Service { certificate, key: pair.serialize_pem() })
}

fn statement(policy: &LeafKey, room: &RoomId) -> anyhow::Result<Vec<u8>> {
    let statement = Statement {
        version: 1,
        serial: 1,
        firm: "bank-a".parse()?,
        room: room.clone(),
        audio_video: Rule::Off,
        chat: Rule::Off,
        files: Rule::Off,
        tier: Tier::Full,
        retention_years: 7,
        pause: None,
        copies: Copies::None,
        archive: Archive::Worm,
        recorder_grace_ms: 2_000,
        archive_key_ids: Vec::new(),
        issued_at: UnixMillis(1),
        conditions: Box::default(),
    };
    Ok(policy.sign_cose(evidence::statement::LABEL, &evidence::statement::encode(&statement), None))
}

//! A temporary operator: CA, order key, trust map, rooms, configuration; and the process that runs on it.

use evidence::identity::{FirmTrust, TrustMap};
use p256::ecdsa::SigningKey;
use p256::pkcs8::{DecodePrivateKey, EncodePublicKey};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_strongroom-signaling");
pub const ORIGIN: &str = "http://bank-a.localhost:8441";

pub struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
    pub der: Vec<u8>,
}

impl Ca {
    pub fn new(name: &str) -> Self {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&pair).unwrap();
        Self { pem: root.pem(), der: root.der().to_vec(), issuer: Issuer::new(params, pair) }
    }

    /// Certificate and key of a service, PEM and DER.
    pub fn service(&self) -> (String, String, Vec<u8>) {
        let pair = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&pair, &self.issuer).unwrap();
        (certificate.pem(), pair.serialize_pem(), certificate.der().to_vec())
    }

    /// A member's leaf of this firm's CA, valid now.
    pub fn member(&self, who: &str) -> (SigningKey, Vec<u8>) {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(format!("sr://{who}").try_into().unwrap())];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 32473, 7, 1])];
        let now = SystemTime::now();
        params.not_before = (now - Duration::from_secs(600)).into();
        params.not_after = (now + Duration::from_secs(3600)).into();
        let der = params.signed_by(&pair, &self.issuer).unwrap().der().to_vec();
        (SigningKey::from_pkcs8_der(&pair.serialize_der()).unwrap(), der)
    }
}

/// A folder with everything a run needs.
pub struct Site {
    pub folder: TempDir,
    pub operator: Ca,
    pub firm: Ca,
    pub trust: TrustMap,
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Site {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (operator, firm) = (Ca::new("operator"), Ca::new("bank-a root"));
        let order = KeyPair::generate().unwrap();
        let spki = |der: &[u8]| {
            let key = SigningKey::from_pkcs8_der(der).unwrap();
            domain::B64(key.verifying_key().to_public_key_der().unwrap().as_bytes().to_vec())
        };
        let policy = SigningKey::from_slice(&[3; 32]).unwrap();
        let policy_key = domain::B64(policy.verifying_key().to_public_key_der().unwrap().as_bytes().to_vec());
        let none = || domain::B64(Vec::new());
        let trust = TrustMap {
            version: 1,
            firms: vec![FirmTrust {
                firm: "bank-a".parse().unwrap(),
                name: "Bank A".into(),
                roots: vec![firm.der.clone().into()],
                policy_key,
                recorder_identity: none(),
                record_key: none(),
                ledger_key: none(),
                archive_keys: Vec::new(),
                stamp_roots: Vec::new(),
            }],
            order_key: spki(&order.serialize_der()),
        };
        let site = Self { folder, operator, firm, trust };
        site.write("trust.json", serde_json::to_string(&site.trust).unwrap());
        site.write("order.pem", order.serialize_pem());
        site.write("ca.pem", &site.operator.pem);
        let (certificate, key, _) = site.operator.service();
        site.write("signaling.pem", certificate);
        site.write("signaling.key", key);
        let member = r#"{"firm":"bank-a","user":"anna","host":true}"#;
        site.write("rooms.json", format!(r#"[{{"room":"deal-room","title":"Alder","members":[{member}]}}]"#));
        std::fs::create_dir(site.path("statements")).unwrap();
        std::fs::write(site.path("statements/bank-a.deal-room.cose"), statement(&policy, "deal-room", 1)).unwrap();
        site.configure(free_port(), free_port(), "");
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn configure(&self, port: u16, control: u16, more: &str) {
        self.configure_rooms(port, control, more, "path = \"rooms.db\"\nseed = \"rooms.json\"");
    }

    /// With rooms elsewhere: the lines of `[directory]`.
    pub fn configure_rooms(&self, port: u16, control: u16, more: &str, directory: &str) {
        let text = format!(
            r#"listen = "127.0.0.1:{port}"
origins = ["{ORIGIN}"]
trust = "trust.json"
order_key = "order.pem"
statements = "statements"
{more}
[control]
listen = "127.0.0.1:{control}"
certificate = "signaling.pem"
key = "signaling.key"
client_ca = "ca.pem"
[directory]
{directory}
"#
        );
        self.write("signaling.toml", text);
    }

    /// The firm's word on another room too.
    pub fn state(&self, room: &str) {
        let policy = SigningKey::from_slice(&[3; 32]).unwrap();
        std::fs::write(self.path(&format!("statements/bank-a.{room}.cose")), statement(&policy, room, 1)).unwrap();
    }

    pub fn command(&self, command: &str) -> Command {
        let mut process = Command::new(BINARY);
        process.arg(command).arg("--config").arg(self.path("signaling.toml")).env_remove("RUST_LOG");
        process
    }

    /// Exit code and what it said, of a run that must end by itself.
    pub fn fails(&self, command: &str) -> (i32, String) {
        ended(&mut self.command(command))
    }

    pub fn start(&self) -> Running {
        Running::start(self.command("run"))
    }
}

/// Bank A's statement about the room, with another serial.
pub fn signed(serial: u64) -> Vec<u8> {
    statement(&SigningKey::from_slice(&[3; 32]).unwrap(), "deal-room", serial)
}

fn statement(policy: &SigningKey, room: &str, serial: u64) -> Vec<u8> {
    use domain::policy::{Rule, Statement, Tier};
    use p256::ecdsa::signature::hazmat::PrehashSigner;
    let statement = Statement {
        version: 1,
        serial,
        firm: "bank-a".parse().unwrap(),
        room: room.parse().unwrap(),
        audio_video: Rule::Off,
        chat: Rule::Off,
        files: Rule::Off,
        tier: Tier::Full,
        retention_years: 7,
        pause: None,
        copies: domain::policy::Copies::None,
        archive: domain::policy::Archive::Worm,
        recorder_grace_ms: 2_000,
        archive_key_ids: Vec::new(),
        issued_at: domain::UnixMillis(1),
        conditions: Box::default(),
    };
    let payload = evidence::statement::encode(&statement);
    let signed = evidence::cose::sign::<()>(evidence::statement::LABEL, &payload, None, |hash| {
        let signature: p256::ecdsa::Signature = policy.sign_prehash(hash).map_err(|_| ())?;
        Ok(signature.to_bytes().into())
    });
    signed.unwrap()
}

pub fn ended(command: &mut Command) -> (i32, String) {
    let done = command.output().unwrap();
    (done.status.code().unwrap(), String::from_utf8_lossy(&done.stderr).into_owned())
}

/// A process that serves; killed when dropped.
pub struct Running {
    child: Child,
    pub port: u16,
    pub control: u16,
}

fn address(line: &str, key: &str) -> u16 {
    let rest = &line[line.find(key).unwrap() + key.len()..];
    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).unwrap_or(rest.len());
    rest[..end].rsplit(':').next().unwrap().parse().unwrap()
}

impl Running {
    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn start(mut command: Command) -> Self {
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut running = Self { child, port: 0, control: 0 };
        let mut lines = BufReader::new(running.child.stderr.take().unwrap());
        let mut said = String::new();
        while running.port == 0 {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "it ended: {said}");
            said.push_str(&line);
            if line.contains("ready") {
                let line = line.replace('"', "");
                (running.port, running.control) = (address(&line, "listen="), address(&line, "control="));
            }
        }
        // the log must go on being read, or the process would block
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

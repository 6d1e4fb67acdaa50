//! A firm's three tokens in a folder of their own, and custody processes over them. The ceremony is held once for all tests
//! (making RSA keys is slow); each test works on a copy.

use custody::Client;
use domain::message::custody::{Answer, Ask, CustodyProblem, Info};
use evidence::identity::{FirmTrust, TrustMap};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

pub const ISSUER: &str = "https://idp.bank-a.test";
pub const AUDIENCE: &str = "strongroom-bank-a";
pub const HTU: &str = "http://bank-a.localhost:8441/enrol";
const ROLES: [&str; 3] = ["people", "record", "archive"];

/// A program call that is not `run`.
pub fn call(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_strongroom-custody")).args(arguments).output().unwrap()
}

fn write_configs(folder: &Path, people: &str) {
    for role in ROLES {
        let section = match role {
            "people" => people,
            "record" => "",
            _ => "[archive]\ntrust = \"trust.json\"\nledger = \"ledger.bin\"\n",
        };
        let text = format!(
            "firm = \"bank-a\"\nrole = \"{role}\"\nmodule = \"/usr/lib/softhsm/libsofthsm2.so\"\n\
             token_label = \"bank-a-{role}\"\npin_file = \"pin-{role}\"\nsocket = \"run/{role}.sock\"\n\
             [softhsm]\nconfig = \"softhsm2.conf\"\n{section}"
        );
        std::fs::write(folder.join(format!("{role}.toml")), text).unwrap();
    }
}

/// Files of the firm after its ceremony, by path in the folder; made once, kept in memory so that no folder is left behind.
struct Template {
    files: Vec<(PathBuf, Vec<u8>)>,
    infos: Vec<Info>,
}

fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        write_configs(folder.path(), "[people]\n");
        let infos = ROLES.map(|role| ceremony(folder.path(), role)).to_vec();
        let mut files = Vec::new();
        gather(folder.path(), Path::new(""), &mut files);
        Template { files, infos }
    })
}

fn gather(root: &Path, at: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(root.join(at)).unwrap() {
        let entry = entry.unwrap();
        let path = at.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            gather(root, &path, files);
        } else {
            files.push((path, std::fs::read(entry.path()).unwrap()));
        }
    }
}

fn restore(root: &Path, files: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Holds the ceremony of one role.
pub fn ceremony(folder: &Path, role: &str) -> Info {
    let config = folder.join(format!("{role}.toml"));
    let output = call(&["ceremony", "--config", config.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// One firm of one test.
pub struct House {
    folder: TempDir,
    pub people: Info,
    pub record: Info,
    pub archive: Info,
    pub trust: TrustMap,
}

impl House {
    /// A copy of the firm after its ceremony, with an identity provider, a recorder identity and a trust map.
    pub fn new() -> Self {
        Self::with(1)
    }

    /// With so many administrators for a statement.
    pub fn with(administrators: usize) -> Self {
        let Template { files, infos } = template();
        let folder = tempfile::tempdir().unwrap();
        restore(folder.path(), files);
        let softhsm = format!("directories.tokendir = {}\nlog.level = ERROR\n", folder.path().join("tokens").display());
        std::fs::write(folder.path().join("softhsm2.conf"), softhsm).unwrap();
        let [people, record, archive] = [&infos[0], &infos[1], &infos[2]].map(Clone::clone);
        let key = |info: &Info, name: &str| info.keys.iter().find(|(known, _)| known == name).unwrap().1.clone();
        let own = FirmTrust {
            firm: "bank-a".parse().unwrap(),
            name: "Bank A".into(),
            roots: vec![people.root.clone().unwrap()],
            policy_key: key(&people, "policy"),
            recorder_identity: key(&record, "recorder-identity"),
            record_key: key(&record, "record"),
            ledger_key: key(&archive, "ledger"),
            archive_keys: vec![key(&archive, "archive-1"), key(&archive, "archive-2")],
        };
        let identity = own.recorder_identity.encode();
        let trust = TrustMap { version: 1, firms: vec![own], order_key: key(&people, "policy") };
        std::fs::write(folder.path().join("trust.json"), serde_json::to_vec(&trust).unwrap()).unwrap();
        let section = format!(
            "[people]\nleaf_life_s = 3600\nrecorder_identity = \"{identity}\"\nadministrators = {administrators}\n\
             [people.oidc]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\njwks_file = \"jwks.json\"\ndpop_htu = \"{HTU}\"\n"
        );
        write_configs(folder.path(), &section);
        Self { folder, people, record, archive, trust }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn config(&self, role: &str) -> String {
        self.path(&format!("{role}.toml")).to_str().unwrap().to_owned()
    }

    /// Starts the process of a role and waits until it serves.
    pub fn start(&self, role: &str) -> Custody {
        match self.try_start(role) {
            Ok(custody) => custody,
            Err((code, log)) => panic!("{role} ended with {code:?}: {log}"),
        }
    }

    /// Starts the process of a role; its exit code and log if it does not come to serve.
    pub fn try_start(&self, role: &str) -> Result<Custody, (Option<i32>, String)> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom-custody"))
            .args(["run", "--config", &self.config(role)])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        while let Some(Ok(line)) = lines.next() {
            log.push_str(&line);
            log.push('\n');
            if line.contains(" ready ") {
                // keeps the pipe empty, so that the process never waits for us
                std::thread::spawn(move || lines.for_each(drop));
                let socket = self.path(&format!("run/{role}.sock"));
                return Ok(Custody { child, client: Client::new(&socket), socket });
            }
        }
        Err((child.wait().unwrap().code(), log))
    }
}

/// A running process.
pub struct Custody {
    pub child: Child,
    pub client: Client,
    pub socket: PathBuf,
}

impl Custody {
    /// Asks; a refusal is the error.
    pub async fn ask(&self, ask: Ask) -> Result<Answer, CustodyProblem> {
        match self.client.ask(ask).await {
            Ok(answer) => Ok(answer),
            Err(custody::CustodyError::Refused(problem)) => Err(problem),
            Err(other) => panic!("{other}"),
        }
    }
}

impl Drop for Custody {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

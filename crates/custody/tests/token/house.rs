//! A firm's three tokens in a folder of their own, and custody processes over them. The ceremony is held once for all tests
//! (making RSA keys is slow); each test works on a copy.

use custody::Client;
use domain::message::custody::{Answer, Ask, CustodyProblem, Info};
use evidence::identity::{FirmTrust, TrustMap};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;
use test_tokens::Kind;
use test_tokens::faulty::Faulty;

pub const ISSUER: &str = "https://idp.bank-a.test";
pub const AUDIENCE: &str = "strongroom-bank-a";
pub const HTU: &str = "http://bank-a.localhost:8441/enrol";
const ROLES: [&str; 3] = ["people", "record", "archive"];

/// A program call that is not `run`.
pub fn call(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_strongroom-custody")).args(arguments).output().unwrap()
}

/// Makes each function, which takes the kind of token, a test on every kind.
macro_rules! on_each_token {
    ($($name:ident),* ; async $($later:ident),*) => {
        mod softhsm2 {
            $(#[test] fn $name() { super::$name(test_tokens::Kind::SoftHsm2); })*
            $(#[tokio::test] async fn $later() { super::$later(test_tokens::Kind::SoftHsm2).await; })*
        }
        mod kryoptic {
            $(#[test] fn $name() { super::$name(test_tokens::Kind::Kryoptic); })*
            $(#[tokio::test] async fn $later() { super::$later(test_tokens::Kind::Kryoptic).await; })*
        }
    };
}
pub(crate) use on_each_token;

fn write_configs(folder: &Path, kind: Kind, module: &Path, people: &str) {
    for role in ROLES {
        let section = match role {
            "people" => people,
            "record" => "",
            _ => "[archive]\ntrust = \"trust.json\"\nledger = \"ledger.bin\"\n",
        };
        let text = format!(
            "firm = \"bank-a\"\nrole = \"{role}\"\nmodule = \"{module}\"\n\
             token_label = \"bank-a-{role}\"\npin_file = \"pin-{role}\"\nsocket = \"run/{role}.sock\"\n{file}{section}",
            module = module.display(),
            file = kind.section(&format!("{role}.conf")),
        );
        std::fs::write(folder.join(format!("{role}.toml")), text).unwrap();
    }
}

/// Files of the firm after its ceremony, by path in the folder.
// not a wire type: a test reads what a test wrote
#[derive(serde::Serialize, serde::Deserialize)]
struct Template {
    files: Vec<(PathBuf, serde_bytes::ByteBuf)>,
    infos: Vec<Info>,
}

/// Made once for each built program and kept below cargo's target folder: a runner that gives each test a process of its own
/// would hold a ceremony in each.
fn template(kind: Kind) -> Template {
    let program = std::fs::metadata(env!("CARGO_BIN_EXE_strongroom-custody")).unwrap();
    let built = program.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let only_one = std::fs::File::create(folder.join(format!("custody-{}.lock", kind.name()))).unwrap();
    only_one.lock().unwrap();
    let kept = folder.join(format!("custody-{}.cbor", kind.name()));
    let read =
        std::fs::read(&kept).ok().and_then(|bytes| ciborium::from_reader::<(u128, Template), _>(&bytes[..]).ok());
    if let Some((of, template)) = read
        && of == built
    {
        return template;
    }
    let template = hold_ceremonies(kind);
    let mut bytes = Vec::new();
    ciborium::into_writer(&(built, &template), &mut bytes).unwrap();
    std::fs::write(&kept, bytes).unwrap();
    template
}

fn hold_ceremonies(kind: Kind) -> Template {
    let folder = tempfile::tempdir().unwrap();
    write_configs(folder.path(), kind, &kind.module(), "[people]\n");
    let infos = ROLES.map(|role| ceremony(folder.path(), role)).to_vec();
    let mut files = Vec::new();
    gather(folder.path(), Path::new(""), &mut files);
    Template { files, infos }
}

fn gather(root: &Path, at: &Path, files: &mut Vec<(PathBuf, serde_bytes::ByteBuf)>) {
    for entry in std::fs::read_dir(root.join(at)).unwrap() {
        let entry = entry.unwrap();
        let path = at.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            gather(root, &path, files);
        } else {
            files.push((path, std::fs::read(entry.path()).unwrap().into()));
        }
    }
}

/// Puts the files there; the modules' own ones name their folder.
fn restore(root: &Path, files: Vec<(PathBuf, serde_bytes::ByteBuf)>) {
    for (path, bytes) in files {
        let mut bytes = bytes.into_vec();
        if path.extension().is_some_and(|end| end == "conf") {
            let text = String::from_utf8(bytes).unwrap();
            let folder = text
                .split(['"', ' ', '\n'])
                .find_map(|word| word.strip_suffix("/tokens").or_else(|| Some(word.split_once("/tokens/")?.0)));
            let folder = folder.unwrap().to_owned();
            bytes = text.replace(&folder, root.to_str().unwrap()).into_bytes();
        }
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
    kind: Kind,
    pub people: Info,
    pub record: Info,
    pub archive: Info,
    pub trust: TrustMap,
}

impl House {
    /// A copy of the firm after its ceremony, with an identity provider, a recorder identity and a trust map.
    pub fn new(kind: Kind) -> Self {
        Self::with(kind, 1)
    }

    /// With so many administrators for a statement.
    pub fn with(kind: Kind, administrators: usize) -> Self {
        let Template { files, infos } = template(kind);
        let folder = tempfile::tempdir().unwrap();
        restore(folder.path(), files);
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
            stamp_roots: Vec::new(),
        };
        let identity = own.recorder_identity.encode();
        let trust = TrustMap { version: 1, firms: vec![own], order_key: key(&people, "policy") };
        std::fs::write(folder.path().join("trust.json"), serde_json::to_vec(&trust).unwrap()).unwrap();
        let section = format!(
            "[people]\nleaf_life_s = 3600\nrecorder_identity = \"{identity}\"\nadministrators = {administrators}\n\
             [people.oidc]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\njwks_file = \"jwks.json\"\ndpop_htu = \"{HTU}\"\n"
        );
        write_configs(folder.path(), kind, &kind.module(), &section);
        Self { folder, kind, people, record, archive, trust }
    }

    /// Puts a module that fails on demand between the process of a role and its token; for processes started from now on.
    pub fn spoil(&self, role: &str) -> Faulty {
        let folder = self.path(&format!("faulty-{role}"));
        std::fs::create_dir_all(&folder).unwrap();
        let faulty = Faulty::around(&self.kind.module(), &folder);
        let config = self.config(role);
        let text = std::fs::read_to_string(&config).unwrap();
        let of = |module: &Path| format!("module = \"{}\"", module.display());
        std::fs::write(&config, text.replace(&of(&self.kind.module()), &of(faulty.module()))).unwrap();
        faulty
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

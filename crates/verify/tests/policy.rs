//! `strongroom-policy` as it is run: what it says and how it ends.
#![allow(clippy::unwrap_used)]

use domain::policy::{Archive, Conditions, Copies, Rule, Statement, Tier};
use domain::{B64, UnixMillis};
use evidence::identity::{FirmTrust, TrustMap};
use evidence::key::PublicKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Command;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

fn firm(id: &str, seed: u8) -> FirmTrust {
    let point = key(seed).verifying_key().to_encoded_point(false);
    let spki: B64 = PublicKey::from_sec1(point.as_bytes()).unwrap().to_spki().into();
    FirmTrust {
        firm: id.parse().unwrap(),
        name: id.to_owned(),
        roots: Vec::new(),
        policy_key: spki.clone(),
        recorder_identity: spki.clone(),
        record_key: spki.clone(),
        ledger_key: spki,
        archive_keys: Vec::new(),
        stamp_roots: Vec::new(),
    }
}

fn statement(id: &str, serial: u64, rule: Rule) -> Statement {
    let conditions = Conditions { contact: format!("desk of {id}"), ..Conditions::default() };
    Statement {
        version: 2,
        serial,
        firm: id.parse().unwrap(),
        room: "deal-room".parse().unwrap(),
        audio_video: rule,
        chat: Rule::Off,
        files: Rule::Off,
        tier: Tier::Full,
        retention_years: 7,
        archive: Archive::Worm,
        pause: None,
        copies: Copies::None,
        recorder_grace_ms: 2_000,
        archive_key_ids: Vec::new(),
        issued_at: UnixMillis(1),
        conditions: Box::new(conditions),
    }
}

struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let trust = TrustMap { version: 1, firms: vec![firm("bank-a", 1), firm("bank-b", 2)], order_key: B64(vec![]) };
        std::fs::write(desk.at("trust.json"), serde_json::to_vec(&trust).unwrap()).unwrap();
        desk
    }
    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn sign(&self, name: &str, seed: u8, statement: &Statement) -> PathBuf {
        let signer = |hash: &[u8; 32]| {
            let signature: Signature = key(seed).sign_prehash(hash).unwrap();
            Ok::<[u8; 64], Infallible>(signature.to_bytes().into())
        };
        let payload = evidence::statement::encode(statement);
        let signed = evidence::cose::sign(evidence::statement::LABEL, &payload, None, signer).unwrap();
        std::fs::write(self.at(name), signed).unwrap();
        self.at(name)
    }
    /// Exit code, and what was said on both channels.
    fn run(&self, what: &[&str], files: &[&Path]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom-policy"));
        command.arg(what[0]).arg("--trust").arg(self.at("trust.json")).args(&what[1..]).args(files);
        let out = command.output().unwrap();
        let said = [out.stdout, out.stderr].concat();
        (out.status.code().unwrap(), String::from_utf8(said).unwrap())
    }
}

#[test]
fn a_statement_under_another_firms_key_ends_with_3_and_an_unreadable_file_with_2() {
    let desk = Desk::new();
    let good = desk.sign("a.cose", 1, &statement("bank-a", 4, Rule::Must));
    assert_eq!(desk.run(&["check"], &[&good]).0, 0);
    let forged = desk.sign("b.cose", 1, &statement("bank-b", 1, Rule::Off));
    let (code, said) = desk.run(&["check"], &[desk.0.path()]);
    assert_eq!(code, 3);
    assert!(said.contains("serial 4") && said.contains("WRONG") && said.contains("bank-b"), "{said}");
    assert_eq!(desk.run(&["resolve", "--room", "deal-room"], &[&good, &forged]).0, 3);
    assert_eq!(desk.run(&["check"], &[&desk.at("nowhere.cose")]).0, 2);
    assert_eq!(desk.run(&["diff"], &[&good]).0, 2, "one version is nothing to compare");
}

#[test]
fn a_clash_ends_with_1_and_is_explained_in_the_language_asked_for() {
    let desk = Desk::new();
    let must = desk.sign("a.cose", 1, &statement("bank-a", 4, Rule::Must));
    let veto = desk.sign("b.cose", 2, &statement("bank-b", 2, Rule::Forbidden));
    let (code, said) = desk.run(&["resolve", "--room", "deal-room", "--language", "de"], &[&must, &veto]);
    assert_eq!(code, 1);
    assert!(said.contains("bank-a muss Ton und Bild aufbewahren (Erklärung 4)"), "{said}");
    assert!(said.contains("desk of bank-b"), "{said}");
    let off = desk.sign("b.cose", 2, &statement("bank-b", 3, Rule::Off));
    let (code, said) = desk.run(&["resolve", "--room", "deal-room"], &[&must, &off]);
    assert_eq!((code, said.trim()), (0, "bank-a keeps audio and video for 7 years."));
}

#[test]
fn a_draft_is_compared_and_simulated_before_anybody_signs_it() {
    let desk = Desk::new();
    let old = desk.sign("a.cose", 1, &statement("bank-a", 4, Rule::Off));
    let other = desk.sign("b.cose", 2, &statement("bank-b", 2, Rule::Forbidden));
    let draft = desk.at("draft.json");
    std::fs::write(&draft, serde_json::to_vec(&statement("bank-a", 5, Rule::Must)).unwrap()).unwrap();
    let (code, said) = desk.run(&["diff"], &[&old, &draft]);
    assert_eq!((code, said.trim()), (0, "audio and video: not kept → must be kept (stricter for the others)"));
    let roster = desk.at("roster.json");
    std::fs::write(&roster, r#"[{"firm":"bank-a","user":"anna"},{"firm":"bank-b","user":"ben"}]"#).unwrap();
    let shown = roster.display().to_string();
    let simulate = ["simulate", "--room", "deal-room", "--roster", &shown];
    assert_eq!(desk.run(&simulate, &[&old, &other]).0, 0);
    let (code, said) = desk.run(&simulate, &[&draft, &other]);
    assert_eq!(code, 1);
    assert!(said.contains("bank-b forbids it (statement 2)") && said.contains("desk of bank-b"), "{said}");
    let (code, said) = desk.run(&["cost", "--hours", "100", "--price", "200", "--json"], &[&draft]);
    assert_eq!(code, 0);
    assert!(said.contains("\"bytes_a_month\":396000000000"), "{said}");
    let (_, said) = desk.run(&["cost", "--hours", "100", "--price", "200", "--language", "de"], &[&draft]);
    assert!(
        said.contains("396 GB im Monat: 7.92 im Monat nach dem ersten Monat, 665.28 im Monat nach 7 Jahren"),
        "{said}"
    );
}

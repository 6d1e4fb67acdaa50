//! The commands on a recorder's own archive, with a custody that signs in software, a store in a directory, and two officers
//! with keys and certificates in files.

use crate::Failure;
use crate::clock;
use crate::copies::{self, Wanted};
use crate::retention::{self, Command};
use clap::Parser;
use crash::firm;
use crash::recording::{Manner, Recording};
use custody::frame;
use domain::message::custody::{Answer, Ask};
use evidence::archive::log::Log;
use evidence::archive::{CHECKPOINT_LABEL, LogProof, names, sha256};
use p256::SecretKey;
use p256::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SubjectPublicKeyInfo,
};
use recorder_store::ArchiveStore;
use recorder_store::directory::Directory;
use recorder_store::upload::{AsSigned, Uploader};
use std::path::Path;
use std::sync::Arc;
use tokio::net::UnixListener;

#[derive(Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// Signs checkpoints as the record token does.
fn custody(socket: &Path) {
    let listener = UnixListener::bind(socket).expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Ok(Some(body)) = frame::read(&mut stream).await {
                let Ok(Ask::SignRecord { payload, .. }) = frame::decode(&body) else { return };
                let signed = firm::sign(CHECKPOINT_LABEL, &payload).into();
                if frame::write(&mut stream, &Answer::Signed { signed }).await.is_err() {
                    break;
                }
            }
        }
    });
}

fn common(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A firm's root, and officers' keys and certificates as files.
fn people(root: &Path) -> Vec<u8> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key pair");
    let mut params = common("bank-a people CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let der = params.self_signed(&key).expect("self signed").der().to_vec();
    let issuer = Issuer::new(params, key);
    for (seed, who) in [(20, "carol"), (21, "chris")] {
        let mut params = common(who);
        params.subject_alt_names = vec![SanType::URI(
            format!("bank-a/{who}/d1")
                .parse::<domain::ParticipantId>()
                .expect("an id")
                .uri()
                .try_into()
                .expect("ASCII"),
        )];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 32473, 7, 4])];
        let now = rcgen::date_time_ymd(1970, 1, 1) + std::time::Duration::from_secs(clock::wall().seconds());
        (params.not_before, params.not_after) =
            (now - std::time::Duration::from_secs(60), now + std::time::Duration::from_secs(3600));
        let secret = SecretKey::from_slice(&[seed; 32]).expect("a key");
        let public = secret.public_key().to_public_key_der().expect("encodes");
        let public = SubjectPublicKeyInfo::from_der(public.as_bytes()).expect("a key");
        let leaf = params.signed_by(&public, &issuer).expect("signed");
        std::fs::write(root.join(format!("{who}.der")), leaf.der()).expect("written");
        let pem = secret.to_pkcs8_pem(LineEnding::LF).expect("encodes");
        std::fs::write(root.join(format!("{who}.pem")), pem.as_bytes()).expect("written");
    }
    der
}

/// Everything that a configuration names, with one closed meeting, uploaded.
async fn archive(root: &Path) {
    let folder = root.join("archive/bank-a/2026/11").join(firm::meeting().as_str());
    std::fs::create_dir_all(&folder).expect("made");
    // the recording waits for its disk thread, which a thread of the runtime may not
    let one = folder.clone();
    let made = move || Recording::open(&one, 0, Manner::Honest, Vec::new()).and_then(|one| one.run(21, 0, 300));
    std::thread::spawn(made).join().expect("no panic").expect("a good disk");
    let mut log = Log::default();
    log.append(&sha256(b"a meeting before it"));
    let index = log.append(&sha256(&std::fs::read(folder.join(names::MEETING)).expect("closed")));
    let head = log.checkpoint(&firm::id());
    let checkpoint = head.note(&firm::sign(CHECKPOINT_LABEL, head.text().as_bytes()), &firm::spki());
    let proof = LogProof { index, path: log.inclusion(index).expect("there"), checkpoint: checkpoint.clone() };
    std::fs::write(folder.join(names::PROOF), proof.to_cbor()).expect("written");
    let at = root.join("archive/bank-a/log");
    for (path, bytes) in log.tiles_since(0) {
        std::fs::create_dir_all(at.join(&path).parent().expect("a folder")).expect("made");
        std::fs::write(at.join(path), bytes).expect("written");
    }
    std::fs::write(at.join("checkpoint"), checkpoint).expect("written");
    let mut trust = firm::trust();
    trust.firms[0].roots = vec![people(root).into()];
    std::fs::write(root.join("trust.json"), serde_json::to_vec(&trust).expect("plain data")).expect("written");
    let config = "firm = \"bank-a\"\nname = \"recorder-1\"\nsignaling = \"ws://localhost:1\"\nfront = \"http://localhost:1\"\n\
                  trust = \"trust.json\"\narchive = \"archive\"\nrooms = [\"deal-room\"]\n[custody]\nrecord = \"c.sock\"\n\
                  [[stores]]\nname = \"vault-a\"\nclass = \"test\"\ndirectory = \"vault-a\"\n";
    std::fs::write(root.join("recorder.toml"), config).expect("written");
    custody(&root.join("c.sock"));
    upload(root).await;
}

fn vault(root: &Path) -> Arc<dyn ArchiveStore> {
    Arc::new(Directory::new("vault-a".to_owned(), root.join("vault-a"), clock::wall))
}

async fn upload(root: &Path) {
    let mut uploader = Uploader::new(vault(root), root.join("archive"), firm::id(), Arc::new(AsSigned));
    let pass = uploader.pass(clock::wall()).await;
    assert!(pass.trouble.is_none() && pass.damaged.is_empty(), "{pass:?}");
}

/// Runs `retention` with words in which `@` stands for the folder.
async fn say(root: &Path, words: &str) -> (Vec<String>, Result<(), Failure>) {
    let folder = root.display().to_string();
    let words = std::iter::once("retention".to_owned()).chain(words.split(' ').map(|word| word.replace('@', &folder)));
    retention::run(Line::try_parse_from(words).expect("a good command").command, true).await
}

async fn signed(root: &Path, what: &str, case: &str) -> String {
    let meeting = firm::meeting();
    let sign = format!(
        "sign --config @/recorder.toml --meeting {meeting} --what {what} --case {case} --reason court --key @/carol.pem \
         --certificate @/carol.der --out @/{case}.act"
    );
    say(root, &sign).await.1.expect("signed");
    let consent =
        format!("consent --act @/{case}.act --key @/chris.pem --certificate @/chris.der --out @/{case}.consent");
    say(root, &consent).await.1.expect("consented");
    format!("--config @/recorder.toml --meeting {meeting} --act @/{case}.act --consent @/{case}.consent")
}

#[tokio::test]
async fn two_officers_raise_hold_and_release_by_command_and_an_early_disposal_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    archive(root).await;
    let raise = signed(root, "raise --years 10", "C-1").await;
    let (lines, ended) = say(root, &format!("raise {raise}")).await;
    assert!(ended.is_ok() && lines[0].contains("\"class_years\":10"), "{lines:?} {ended:?}");
    let hold = signed(root, "hold", "C-2").await;
    say(root, &format!("hold {hold}")).await.1.expect("held");
    let (lines, ended) = say(root, "list --config @/recorder.toml").await;
    assert!(ended.is_ok() && lines.len() == 1 && lines[0].contains("\"case\":\"C-2\""), "{lines:?}");
    let dispose = signed(root, "dispose", "C-3").await;
    let (lines, ended) = say(root, &format!("dispose --dry-run {dispose}")).await;
    let why = ended.expect_err("held");
    assert!(why.exit_code() == 1 && why.to_string().contains("held for C-2") && lines[0].contains("vault-a"), "{why}");
    let wrong = say(root, &format!("release {dispose}")).await.1.expect_err("another act");
    assert_eq!(wrong.exit_code(), 2, "{wrong}");
    let release = signed(root, "release", "C-2x").await;
    assert_eq!(say(root, &format!("release {release}")).await.1.expect_err("no such hold").exit_code(), 1);
    std::fs::remove_file(root.join("c.sock")).expect("there");
    let book = root.join("archive/bank-a/retention").join(firm::meeting().as_str());
    let trust = serde_json::from_slice(&std::fs::read(root.join("trust.json")).expect("there")).expect("ours");
    let life = verify::verify_retention(&book, &trust).expect("a book");
    assert!(life.is_good() && life.holds == ["C-2"] && life.entries.len() == 3, "{life:?}");
}

#[tokio::test]
async fn a_drill_a_lost_meetings_restore_and_a_look_at_everything_by_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    archive(root).await;
    let config = root.join("recorder.toml");
    let drill = || Wanted::Drill { store: None, sample: Some(5), to: None };
    let (lines, ended) = copies::run(&config, drill(), false).await;
    assert!(ended.is_ok() && lines[0].contains("1 of 1 meetings restored") && lines[0].contains("1 good"), "{lines:?}");
    let here = root.join("archive/bank-a/2026/11").join(firm::meeting().as_str());
    std::fs::remove_dir_all(&here).expect("lost");
    let restore = Wanted::Restore { meeting: firm::meeting(), store: None };
    let (lines, ended) = copies::run(&config, restore, false).await;
    assert!(ended.is_ok() && lines[0].contains("everything holds"), "{lines:?} {ended:?}");
    let (lines, ended) = copies::run(&config, Wanted::Scrub, true).await;
    assert!(ended.is_ok() && lines[0].contains("\"findings\":[]"), "{lines:?} {ended:?}");
    // a directory's own file, changed by whoever may write it
    let file = root.join("vault-a/bank-a/2026/11").join(firm::meeting().as_str()).join("events.seg@1");
    let mut bytes = std::fs::read(&file).expect("there");
    bytes[100] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    let (lines, ended) = copies::run(&config, drill(), false).await;
    assert_eq!(ended.expect_err("changed").exit_code(), 3);
    assert!(lines.iter().any(|line| line.contains("WRONG") && line.contains("events.seg")), "{lines:?}");
    let to = Wanted::Drill { store: None, sample: None, to: Some(root.to_owned()) };
    std::fs::create_dir_all(root.join("vault-a")).expect("there");
    assert_eq!(copies::run(&config, to, false).await.1.expect_err("not empty").exit_code(), 2);
    std::fs::remove_dir_all(root.join("vault-a")).expect("there");
}

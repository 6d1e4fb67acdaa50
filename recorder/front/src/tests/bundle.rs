//! Evidence bundles, opened and checked by tools that are not ours: tar, sha256sum, openssl.

use super::kit::{DURATION_MS, NOW, Person, Town};
use ciborium::Value as Cbor;
use domain::B64;
use domain::message::custody::LeafRole;
use evidence::archive::{MEETING_LABEL, MeetingManifest};
use evidence::grant::Handed;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use tempfile::TempDir;

/// Carol asks as `handed` says, Chris approves, Carol opens.
async fn opened(town: &Town, handed: Option<Handed>) -> (String, String) {
    let (carol, chris) = (Person::new("carol", LeafRole::Compliance), Person::new("chris", LeafRole::Compliance));
    let (asks, approves) = (town.session(&carol), town.session(&chris));
    let request = carol.request_with(town.manifest_hash, (0, DURATION_MS), handed);
    let body = json!({"request": B64(request.clone())});
    let sent = town.post("/api/requests").bearer_auth(&asks).json(&body).send().await.expect("sent");
    let row: Value = sent.json().await.expect("JSON");
    let id = row["id"].as_str().unwrap_or_else(|| panic!("{row}")).to_owned();
    let body = json!({"approval": B64(chris.approval(&request, NOW.plus(600_000)))});
    town.post(&format!("/api/requests/{id}/approval")).bearer_auth(&approves).json(&body).send().await.expect("sent");
    town.open(&asks, &id).await;
    (asks, id)
}

/// Fetches a bundle and has `tar` unpack it; answers the bag.
pub(super) async fn fetched(town: &Town, session: &str, id: &str) -> (TempDir, PathBuf) {
    let sent = town.post(&format!("/api/requests/{id}/bundle")).bearer_auth(session).send().await.expect("sent");
    assert_eq!(sent.status(), 200);
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("bundle.tar");
    std::fs::write(&file, sent.bytes().await.expect("bytes")).expect("written");
    run(Command::new("tar").arg("-xf").arg(&file).arg("-C").arg(folder.path()));
    let inside = std::fs::read_dir(folder.path()).expect("read").filter_map(Result::ok).map(|entry| entry.path());
    let bag = inside.into_iter().find(|path| path.is_dir()).expect("one folder");
    (folder, bag)
}

pub(super) fn run(command: &mut Command) -> String {
    let output = command.output().expect("started");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// Writes the Sig_structure and the DER signature of a COSE_Sign1 (RFC 9052 section 4.4), for OpenSSL to verify.
fn taken_apart(signed: &Path, label: &str, into: &Path) {
    let bytes = std::fs::read(signed).expect("read");
    let Cbor::Tag(18, inner) = ciborium::from_reader(bytes.as_slice()).expect("CBOR") else { panic!("no COSE_Sign1") };
    let parts = inner.into_array().expect("four parts");
    let body = Cbor::Array(vec![
        Cbor::Text("Signature1".to_owned()),
        parts[0].clone(),
        Cbor::Bytes(label.as_bytes().to_vec()),
        parts[2].clone(),
    ]);
    let mut structure = Vec::new();
    ciborium::into_writer(&body, &mut structure).expect("encodes");
    let raw = parts[3].as_bytes().expect("a signature").clone();
    let signature = p256::ecdsa::Signature::from_slice(&raw).expect("r and s");
    std::fs::write(into.join("structure"), structure).expect("written");
    std::fs::write(into.join("signature"), signature.to_der().as_bytes()).expect("written");
}

#[tokio::test]
async fn an_evidence_bundle_is_whole_for_tar_sha256sum_and_openssl() {
    let town = Town::new().await;
    let (session, id) = opened(&town, None).await;
    let (folder, bag) = fetched(&town, &session, &id).await;
    for list in ["manifest-sha256.txt", "tagmanifest-sha256.txt"] {
        run(Command::new("sha256sum").args(["--strict", "--quiet", "-c", list]).current_dir(&bag));
    }
    let read = |path: &str| std::fs::read_to_string(bag.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    assert_eq!(read("bagit.txt"), "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n");
    for file in ["meeting.cose", "events.seg", "tracks/1/1.seg", "keys/epochs.cbor"] {
        let (ours, theirs) =
            (std::fs::read(town.meeting.join(file)), std::fs::read(bag.join("data/meeting").join(file)));
        assert_eq!(ours.expect("read"), theirs.expect("read"), "{file} byte for byte");
    }
    let trust: Value = serde_json::from_str(&read("data/trust.json")).expect("JSON");
    let key = B64::decode(trust["firms"][0]["record_key"].as_str().expect("text")).expect("base64url").0;
    std::fs::write(folder.path().join("key.der"), key).expect("written");
    taken_apart(&bag.join("data/meeting/meeting.cose"), MEETING_LABEL, folder.path());
    let verify = ["dgst", "-sha256", "-keyform", "DER", "-verify", "key.der", "-signature", "signature", "structure"];
    assert!(run(Command::new("openssl").args(verify).current_dir(folder.path())).contains("Verified OK"));
    let files = read("data/load/files.csv");
    assert!(files.starts_with("path,sha256,bytes,holds,track,participant,codec,segment,records,frames\r\n"));
    assert!(
        files.contains("data/meeting/tracks/2/1.seg,") && files.contains(",media,2,bank-a/anna/d1,VP8,1,"),
        "{files}"
    );
    assert!(read("data/load/events.csv").contains(",join,Anna Berg"));
    let ledger = read("data/load/ledger.csv");
    assert!(ledger.contains(",export,case 42; evidence bundle without keys,verified,"), "it tells of itself: {ledger}");
    let load: Value = serde_json::from_str(&read("data/load/meeting.json")).expect("JSON");
    assert_eq!((&load["grant"]["requester"], &load["grant"]["keys"]), (&json!("bank-a/carol/d1"), &json!(false)));
    for (language, word) in
        [("en", "Evidence of a meeting"), ("fr", "Preuves d'une réunion"), ("de", "Beweise zu einer Sitzung")]
    {
        let html = read(&format!("data/report/report.{language}.html"));
        assert!(html.contains(word) && html.contains("Anna Berg") && !html.contains("<script"), "{language}");
    }
    assert!(!bag.join("data/keys").exists(), "nobody signed for keys");
}

#[tokio::test]
async fn keys_are_in_a_bundle_only_if_both_officers_signed_for_them_and_openssl_opens_with_them() {
    let town = Town::new().await;
    let (session, id) = opened(&town, Some(Handed::Keys)).await;
    let (_folder, bag) = fetched(&town, &session, &id).await;
    let keys: Value =
        serde_json::from_slice(&std::fs::read(bag.join("data/keys/meeting-keys.json")).expect("read")).expect("JSON");
    let key = hex::decode(keys[0]["key"].as_str().expect("text")).expect("hexadecimal");
    // docs/protocol.md, "Keys, from the outside in", step 2, by another library
    let epochs = std::fs::read(bag.join("data/meeting/keys/epochs.cbor")).expect("read");
    let item = &evidence::archive::EpochKey::read_all(&epochs).0[0];
    let mut aad = Vec::new();
    for part in ["strongroom base key v1", "bank-a", super::kit::MEETING] {
        aad.extend((part.len() as u32).to_be_bytes());
        aad.extend(part.as_bytes());
    }
    aad.extend(1u64.to_be_bytes());
    aad.extend(1u64.to_be_bytes());
    let (nonce, rest) = item.sealed.split_at(12);
    let (sealed, tag) = rest.split_at(32);
    let cipher = openssl::symm::Cipher::aes_256_gcm();
    let base = openssl::symm::decrypt_aead(cipher, &key, Some(nonce), &aad, sealed, tag).expect("opens");
    assert_eq!(base, [8; 32]);
    let noted =
        town.log.events.lock().expect("held briefly").iter().any(|event| event.note.contains("bundle with keys"));
    assert!(noted && town.log.actions()[0] == "request");
}

#[tokio::test]
async fn keys_are_not_asked_for_a_part_of_a_meeting() {
    let town = Town::new().await;
    let carol = Person::new("carol", LeafRole::Compliance);
    let session = town.session(&carol);
    let request = carol.request_with(town.manifest_hash, (1_000, DURATION_MS), Some(Handed::Keys));
    let body = json!({"request": B64(request)});
    let sent = town.post("/api/requests").bearer_auth(&session).json(&body).send().await.expect("sent");
    assert_eq!(sent.status(), 409);
    assert!(town.log.actions().is_empty());
}

#[tokio::test]
async fn no_bundle_leaves_without_an_open_grant_of_ones_own_and_the_ledger() {
    let town = Town::new().await;
    let (session, id) = town.approved().await;
    let path = format!("/api/requests/{id}/bundle");
    let fetch = async |session: &str| town.post(&path).bearer_auth(session).send().await.expect("sent").status();
    assert_eq!(fetch(&session).await, 409, "approved and not opened");
    town.open(&session, &id).await;
    assert_eq!(fetch(&town.session(&Person::new("chris", LeafRole::Compliance))).await, 409, "another officer's");
    town.log.dead.store(true, Ordering::Relaxed);
    assert_eq!(fetch(&session).await, 503);
    town.log.dead.store(false, Ordering::Relaxed);
    assert_eq!(fetch(&session).await, 200);
}

#[tokio::test]
async fn c5_neither_a_signed_path_nor_a_link_leads_a_bundle_out_of_the_meetings_folder() {
    const SECRET: &str = "the front's own key";
    let lead_out = |root: &Path| {
        let (folder, _, keys) = super::kit::archive(root);
        std::fs::write(root.join("secret.pem"), SECRET).expect("written");
        // somebody owns the recorder: its manifests are signed
        let signed = std::fs::read(folder.join("meeting.cose")).expect("read");
        let payload = evidence::cose::payload_unverified(&signed).expect("a COSE_Sign1");
        let mut manifest = MeetingManifest::from_cbor(&payload).expect("a manifest");
        for segment in manifest.segments.iter_mut().skip(1) {
            segment.manifest = "../../../../secret.pem".to_owned();
        }
        std::os::unix::fs::symlink(root, folder.join("segments")).expect("linked");
        manifest.segments[1].manifest = "segments/secret.pem".to_owned();
        let signed = super::kit::signed(&super::kit::key(2), MEETING_LABEL, &manifest.to_cbor(), None);
        std::fs::write(folder.join("meeting.cose"), &signed).expect("written");
        (folder, evidence::sha256(&signed), keys)
    };
    let town = Town::over(|_| {}, lead_out).await;
    std::os::unix::fs::symlink(town.folder.path().join("archive/secret.pem"), town.meeting.join("stamp.tsr"))
        .expect("linked");
    let (session, id) = opened(&town, None).await;
    let sent = town.post(&format!("/api/requests/{id}/bundle")).bearer_auth(&session).send().await.expect("sent");
    let tar = sent.bytes().await.expect("bytes");
    assert!(tar.len() > 10_000 && !tar.windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes()));
    let file = town.folder.path().join("bundle.tar");
    std::fs::write(&file, tar).expect("written");
    assert!(!run(Command::new("tar").arg("-tf").arg(&file)).contains(".."), "no name climbs");
}

//! Files of a replayed meeting: a download after its ledger entry, whole or not at all, an attachment whatever it claims to be.

use super::kit::{Town, base, key, person, signed};
use domain::limits::FILE_CHUNK;
use domain::{BlobId, Epoch, MeetingId, UnixMillis};
use e2ee::file::{Card, FileKey, Place};
use e2ee::said::{self, SaidKey};
use evidence::archive::{ArchiveEvent, FileEntry, FileGap, sha256};
use evidence::said::{LABEL, Said, What};
use serde_json::Value;
use std::sync::atomic::Ordering;

/// Two chunks of a page that would run a script if anybody drew it.
fn page() -> Vec<u8> {
    b"<script>alert(1)</script>".iter().copied().cycle().take(FILE_CHUNK + 33).collect()
}

fn told(meeting: &MeetingId, sequence: u64, name: &str) -> (ArchiveEvent, Vec<ArchiveEvent>, FileEntry) {
    let (from, file_key, clear) = (person("anna"), FileKey::generate(), page());
    let blob: BlobId = format!("{sequence:032x}").parse().expect("an id");
    let place = Place { meeting, participant: &from, blob: &blob, size: clear.len() as u64 };
    let chunks = (0..).zip(clear.chunks(FILE_CHUNK));
    let parts: Vec<Vec<u8>> =
        chunks.map(|(index, chunk)| file_key.seal(&place, index, chunk).expect("a chunk")).collect();
    let (epoch, size, ciphertext) = (Epoch(1), clear.len() as u64, sha256(&parts.concat()));
    let card = Card::new(name, "text/html", &file_key, evidence::sha256(&clear)).encode();
    let at = said::Place { meeting, participant: &from, epoch, sequence };
    let sealed = SaidKey::of(&base()).seal(&at, &card);
    let what = What::File { blob, size, ciphertext, sealed };
    let said = Said { meeting: meeting.clone(), epoch, sequence, at: UnixMillis(1), what };
    let said = signed(&key(2), LABEL, &evidence::said::encode(&said), None);
    let file = sha256(&said);
    let part = |(index, part)| ArchiveEvent::FilePart { file, index, part };
    let parts = (0..).zip(parts).map(part).collect();
    let entry = FileEntry { participant: from.clone(), file, size, ciphertext, missing: None };
    (ArchiveEvent::Said { participant: from, said: said.into() }, parts, entry)
}

/// What the kit's meeting has: a file that is kept, and one that is not.
pub(super) fn sent(meeting: &MeetingId) -> (Vec<ArchiveEvent>, Vec<FileEntry>) {
    let (said, parts, kept) = told(meeting, 1, "Überblick \u{202e}.html");
    let (other, _, gone) = told(meeting, 2, "gone.pdf");
    let missing = ArchiveEvent::FileMissing { participant: person("anna"), file: gone.file, why: FileGap::Gone };
    let events = std::iter::once(said).chain(parts).chain([other, missing]).collect();
    (events, vec![kept, FileEntry { missing: Some(FileGap::Gone), ..gone }])
}

#[tokio::test]
async fn a_file_is_given_as_an_attachment_after_its_ledger_entry_and_never_drawn() {
    let town = Town::new().await;
    let (session, id) = town.approved().await;
    let (opened, cookie) = town.open(&session, &id).await;
    let files = opened["files"].as_array().expect("files");
    assert_eq!((files[0]["name"].as_str(), files[0]["from"].as_str()), (Some("Überblick .html"), Some("Anna Berg")));
    assert_eq!(
        (&files[1]["src"], files[1]["missing"].as_str()),
        (&Value::Null, Some("gone")),
        "named, with its reason"
    );
    let src = files[0]["src"].as_str().expect("an address").to_owned();
    let get = |cookie: &str| town.get(&src).header("Cookie", cookie.to_owned()).send();
    assert_eq!(get("sr_replay_x=y").await.expect("sent").status(), 404, "another's cookie");
    let before = town.log.actions().len();
    town.log.dead.store(true, Ordering::Relaxed);
    assert_eq!(get(&cookie).await.expect("sent").status(), 503, "what the ledger did not take is not given");
    town.log.dead.store(false, Ordering::Relaxed);
    let given = get(&cookie).await.expect("sent");
    assert_eq!(given.status(), 200);
    let header = |name: &str| given.headers()[name].to_str().expect("ASCII").to_owned();
    assert_eq!(header("content-type"), "application/octet-stream");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("cache-control"), "no-store");
    let disposition = header("content-disposition");
    assert!(disposition.starts_with("attachment; ") && disposition.contains("%C3%9Cberblick%20.html"), "{disposition}");
    assert!(given.bytes().await.expect("bytes") == page());
    assert_eq!(town.log.actions()[before..], ["export"]);
    let noted = town.log.events.lock().expect("held briefly").last().cloned().expect("an entry").note;
    assert!(noted.contains("case 42; file ") && !noted.contains("berblick"), "which one, and no name: {noted}");
}

#[tokio::test]
async fn a_file_whose_bytes_were_changed_after_it_was_opened_is_not_given() {
    let town = Town::new().await;
    let (session, id) = town.approved().await;
    let (opened, cookie) = town.open(&session, &id).await;
    let path = town.meeting.join("events.seg");
    let mut bytes = std::fs::read(&path).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let before = town.log.actions().len();
    let src = opened["files"][0]["src"].as_str().expect("an address");
    let given = town.get(src).header("Cookie", &cookie).send().await.expect("sent");
    assert_eq!(given.status(), 409);
    assert_eq!(town.log.actions().len(), before);
}

//! A meeting that two recorders of the firm kept: listed once, opened as one, handed out as both copies.

use super::kit::{CHAT, DURATION_MS, Kept, MEETING, NOW, Person, Town, archive_of, person};
use crate::config::Config;
use crate::webm::{SILENCE, tests::fixture};
use domain::message::custody::LeafRole;
use domain::{B64, Epoch, MediaKind, ParticipantId, Slot, UnixMillis};
use evidence::archive::{ArchiveEvent, FileGap, Gap, GapCause};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// The first recorder was away from 1.5 to 3.5 s.
const AWAY: (u64, u64) = (1_500, 3_500);
/// The second died at 4.5 s; between 1.7 and 1.9 s it lost what anna sent.
const DIED: u64 = 4_500;
const LOST: (u64, u64) = (1_700, 1_900);

fn at(ms: u64) -> UnixMillis {
    super::kit::BEGAN.plus(ms)
}

fn absent((from, to): (u64, u64)) -> Gap {
    Gap {
        participant: None,
        slot: None,
        epoch: Epoch(0),
        first_ctr: 0,
        count: 0,
        cause: GapCause::RecorderAbsent,
        from: at(from),
        to: at(to),
    }
}

fn lost(slot: Slot) -> Gap {
    let (participant, slot, epoch, cause) = (Some(person("anna")), Some(slot), Epoch(1), GapCause::LostAfterSfu);
    Gap { participant, slot, epoch, count: 5, cause, ..absent(LOST) }
}

fn ms(at_us: u64) -> u64 {
    at_us / 1000
}

/// A front over both copies; answers the second's folder and hash.
async fn town_of_two() -> (Town, PathBuf, [u8; 32]) {
    let mut second = None;
    let write = |root: &Path| {
        let (events, files) = super::files::sent(&MEETING.parse().expect("an id"));
        // the first recorder was gone before the file was there
        let (mut cut, mut unfinished) = (events.clone(), files.clone());
        cut.retain(|event| !matches!(event, ArchiveEvent::FilePart { .. }));
        unfinished[0].missing = Some(FileGap::Unfinished);
        let there = |_: &ParticipantId, _: MediaKind, at_us: u64| !(AWAY.0..AWAY.1).contains(&ms(at_us));
        let first = Kept { key: [9; 32], frames: &there, gaps: vec![absent(AWAY)], told: (cut, unfinished) };
        let had = |who: &ParticipantId, _: MediaKind, at_us: u64| {
            ms(at_us) < DIED && (*who != person("anna") || !(LOST.0..LOST.1).contains(&ms(at_us)))
        };
        let gaps = vec![lost(Slot::MICROPHONE), lost(Slot::CAMERA), absent((DIED, DURATION_MS))];
        let other = Kept { key: [7; 32], frames: &had, gaps, told: (events, files) };
        second = Some(archive_of(&root.with_file_name("archive-2"), other));
        archive_of(root, first)
    };
    let pair = |config: &mut Config| config.paired_archive = Some(config.archive.with_file_name("archive-2"));
    let town = Town::over(pair, write).await;
    let (folder, hash, keys) = second.expect("written");
    *town.log.paired.lock().expect("held briefly") = Some((hash, keys));
    (town, folder, hash)
}

/// Carol asks for both copies, Chris approves; answers carol's session and the request's id.
async fn approved(town: &Town, paired: [u8; 32]) -> (String, String) {
    let (carol, chris) = (Person::new("carol", LeafRole::Compliance), Person::new("chris", LeafRole::Compliance));
    let (asks, approves) = (town.session(&carol), town.session(&chris));
    let request = carol.request_both(town.manifest_hash, paired);
    let body = json!({"request": B64(request.clone())});
    let row: Value = town
        .post("/api/requests")
        .bearer_auth(&asks)
        .json(&body)
        .send()
        .await
        .expect("sent")
        .json()
        .await
        .expect("JSON");
    let id = row["id"].as_str().unwrap_or_else(|| panic!("refused: {row}")).to_owned();
    let body = json!({"approval": B64(chris.approval(&request, NOW.plus(600_000)))});
    let sent = town.post(&format!("/api/requests/{id}/approval")).bearer_auth(&approves).json(&body).send().await;
    assert!(sent.expect("sent").status().is_success());
    (asks, id)
}

async fn meetings(town: &Town) -> Value {
    let session = town.session(&Person::new("carol", LeafRole::Compliance));
    town.get("/api/meetings").bearer_auth(&session).send().await.expect("sent").json().await.expect("JSON")
}

/// What of a kind the fixture has, less what arrived (ms from the sender's begin) in an interval.
fn sent_but(kind: MediaKind, (from, to): (u64, u64)) -> Vec<Vec<u8>> {
    let of_kind = fixture().into_iter().filter(|(of, _)| *of == kind);
    let kept = of_kind.filter(|(_, input)| !(from..to).contains(&ms(input.pts_us)));
    kept.map(|(_, input)| input.data.to_vec()).collect()
}

#[tokio::test]
async fn what_either_recorder_kept_is_shown_once_and_only_what_both_lack_is_missing() {
    let (town, _, paired) = town_of_two().await;
    let (session, id) = approved(&town, paired).await;
    let (opened, _) = town.open(&session, &id).await;
    assert_eq!(town.log.opened.load(Ordering::Relaxed), 2, "custody opened each copy's own keys");
    let grant = town.app.grants.by_request(&id, NOW).expect("open");
    let part = grant.reel.part(0).await.expect("opened");
    let shown = |lane: usize, kind: MediaKind| -> Vec<Vec<u8>> {
        let lane = &part.lanes[lane];
        let of_kind = lane.frames.iter().filter(|frame| frame.kind == kind);
        of_kind
            .map(|frame| lane.bytes[frame.at..frame.at + frame.len].to_vec())
            .filter(|data| *data != SILENCE)
            .collect()
    };
    let everything = (0, 0);
    assert!(shown(0, MediaKind::Audio) == sent_but(MediaKind::Audio, LOST), "anna's sound");
    // after a loss nothing is shown until the next key frame, a second later
    let seen = sent_but(MediaKind::Video, (LOST.0, 2_000));
    let frames: Vec<_> = shown(0, MediaKind::Video).into_iter().filter(|data| seen.contains(data)).collect();
    assert!(frames == seen && shown(0, MediaKind::Video).len() < seen.len() + 4, "anna's picture, and black behind it");
    assert!(shown(1, MediaKind::Audio) == sent_but(MediaKind::Audio, everything), "ben's sound, of both copies");
    let lanes = opened["lanes"].as_array().expect("lanes");
    assert_eq!(lanes[0]["gaps"], json!([[1_700, 1_900], [1_700, 1_900]]));
    assert_eq!(lanes[1]["gaps"], json!([]), "ben is whole");
    let of_kind = |kind: &str| -> Vec<String> {
        let events = opened["events"].as_array().expect("events").iter().filter(|event| event["kind"] == kind);
        events.map(|event| event["text"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(of_kind("chat"), [format!("Anna Berg: {CHAT}")]);
    assert_eq!((of_kind("join").len(), of_kind("gap").len()), (1, 2));
    let files = opened["files"].as_array().expect("files");
    assert_eq!((files.len(), files[0]["src"].is_string(), files[1]["missing"].as_str()), (2, true, Some("gone")));
    let noted = town.log.events.lock().expect("held briefly")[0].note.clone();
    assert_eq!(noted, "case 42; with keys; of both copies");
}

#[tokio::test]
async fn a_meeting_of_two_copies_is_one_row_and_its_bundle_holds_both() {
    let (town, folder, paired) = town_of_two().await;
    let rows = meetings(&town).await;
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
    let row = &rows[0];
    assert_eq!((row["integrity"].as_str(), row["gaps"].as_u64()), (Some("verified"), Some(2)));
    assert_eq!(row["paired"], json!({"manifest_hash": B64(paired.to_vec()), "integrity": "verified"}));
    let (session, id) = approved(&town, paired).await;
    town.open(&session, &id).await;
    let (_unpacked, bag) = super::bundle::fetched(&town, &session, &id).await;
    for list in ["manifest-sha256.txt", "tagmanifest-sha256.txt"] {
        super::bundle::run(std::process::Command::new("sha256sum").args(["--quiet", "-c", list]).current_dir(&bag));
    }
    let same = |ours: &Path, theirs: &str| {
        assert!(std::fs::read(ours).expect("read") == std::fs::read(bag.join(theirs)).expect("read"), "{theirs}");
    };
    for file in ["meeting.cose", "events.seg", "tracks/2/1.seg", "keys/epochs.cbor"] {
        same(&town.meeting.join(file), &format!("data/meeting/{file}"));
        same(&folder.join(file), &format!("data/paired/{file}"));
    }
    let key = |file: &str| -> Value {
        serde_json::from_slice(&std::fs::read(bag.join("data/keys").join(file)).expect("read")).expect("JSON")
    };
    assert_eq!(key("meeting-keys.json")[0]["key"], hex::encode([9; 32]));
    assert_eq!(key("paired-meeting-keys.json")[0]["key"], hex::encode([7; 32]));
    let files = std::fs::read_to_string(bag.join("data/load/files.csv")).expect("read");
    assert!(files.lines().any(|line| line.starts_with("data/paired/tracks/2/1.seg,") && line.contains(",media,2,")));
}

#[tokio::test]
async fn a_copy_that_does_not_verify_is_named_and_the_other_one_is_replayed_alone() {
    let (town, folder, paired) = town_of_two().await;
    let (session, id) = approved(&town, paired).await;
    let path = folder.join("meeting.cose");
    let mut signed = std::fs::read(&path).expect("read");
    let middle = signed.len() / 2;
    signed[middle] ^= 1;
    std::fs::write(&path, signed).expect("written");
    let row = &meetings(&town).await[0];
    assert_eq!((row["integrity"].as_str(), row["gaps"].as_u64()), (Some("verified"), Some(1)));
    assert!(row["paired"]["integrity"].as_str().expect("text").contains("not signed"), "{row}");
    // what was approved for both opens nothing now: the officers did not see that one would be missing
    let sent = town.post(&format!("/api/requests/{id}/open")).bearer_auth(&session).send().await.expect("sent");
    assert!(!sent.status().is_success());
    assert_eq!(town.log.opened.load(Ordering::Relaxed), 0);
    let (session, id) = town.approved().await;
    let (opened, _) = town.open(&session, &id).await;
    assert_eq!(opened["lanes"][0]["gaps"], json!([[AWAY.0, AWAY.1]]));
}

#[tokio::test]
async fn where_the_own_copy_has_lost_a_segment_the_whole_one_is_shown() {
    let (town, _, paired) = town_of_two().await;
    assert_eq!(meetings(&town).await[0]["manifest_hash"], B64(town.manifest_hash.to_vec()).encode());
    std::fs::remove_file(town.meeting.join("tracks/2/1.seg")).expect("removed");
    let row = &meetings(&town).await[0];
    assert_eq!(row["integrity"], "verified");
    assert_eq!(row["manifest_hash"], B64(paired.to_vec()).encode(), "the whole copy is the first now");
    assert!(row["paired"]["integrity"].as_str().expect("text").contains("tracks/2/1.seg"), "{row}");
}

//! Measurements that need a long archive: written here, replayed and exported through the front as officers do.

use super::kit::{
    BEGAN, Contents, MEETING, NOW, Person, Town, base, close, entry, epoch, events_of, header, keys, present,
};
use crate::webm::tests::fixture;
use domain::limits::FILE_CHUNK;
use domain::message::custody::{IncarnationKey, LeafRole};
use domain::{B64, Codec, Epoch, Kid, LeafIndex, MediaKind, MeetingId, ParticipantId, Slot};
use e2ee::sframe::SealKey;
use evidence::archive::record::{KEY_FRAME, OPENED};
use evidence::archive::{
    ArchiveEvent, Digest, Media, Record, SegmentEntry, SegmentHeader, SegmentWriter, TrackEntry, TrackInfo,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// People of the measured meeting.
const PEOPLE: u32 = 9;
/// The recorder begins a new segment so often.
const SEGMENT_MS: u64 = 300_000;
/// Pictures a second.
const RATE: u64 = 30;
/// First bytes of a lane that a player asks for.
const FIRST: &str = "bytes=0-65535";

/// Ten seconds of a picture with 360 lines at half a megabit a second, and of a tone.
struct Sample {
    picture: Vec<(bool, Vec<u8>)>,
    sound: Vec<Vec<u8>>,
}

fn sample() -> Sample {
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-t", "10", "-c:v", "libvpx"])
        .args(["-b:v", "500k", "-g", "300", "-deadline", "realtime", "-f", "ivf", "-"])
        .output()
        .expect("ffmpeg is needed by this measurement (apt-get install ffmpeg)");
    let (mut picture, mut rest) = (Vec::new(), made.stdout.get(32..).expect("an IVF file"));
    while let Some((head, tail)) = rest.split_at_checked(12) {
        let size = u32::from_le_bytes(head[..4].try_into().expect("four bytes")) as usize;
        picture.push((tail[0] & 1 == 0, tail[..size].to_vec()));
        rest = &tail[size..];
    }
    let heard = fixture().into_iter().filter(|(kind, _)| *kind == MediaKind::Audio);
    Sample { picture, sound: heard.map(|(_, input)| input.data.to_vec()).collect() }
}

/// A track of `minutes`, in segments as the recorder makes them.
fn track(
    folder: &Path,
    meeting: &MeetingId,
    info: &TrackInfo,
    minutes: u64,
    frame: impl Fn(u64) -> (bool, &'static [u8]),
) -> (Vec<SegmentEntry>, TrackEntry) {
    let leaf = LeafIndex((info.track - 1) / 2);
    let mut key = SealKey::new(&base(), Kid::new(info.slot, leaf, Epoch(1)), info.codec);
    let every_us = if info.codec == Codec::Opus { 20_000 } else { 1_000_000 / RATE };
    let (mut segments, mut wire, mut number, mut last_us) = (Vec::new(), Vec::new(), 0, 0);
    for index in 1..=(minutes * 60_000).div_ceil(SEGMENT_MS) {
        let started_at = BEGAN.plus((index - 1) * SEGMENT_MS);
        let mut bytes = Vec::new();
        let head =
            SegmentHeader { index: index as u32, first_seq: number, started_at, ..header(meeting, Some(info.clone())) };
        let mut writer = SegmentWriter::new(head, &mut bytes);
        while number * every_us < (index * SEGMENT_MS).min(minutes * 60_000) * 1000 {
            let (is_key, data) = frame(number);
            let sealed = key.seal(is_key, data, 1_000_000 + number * every_us, &mut wire).expect("sealed");
            let (shim, sframe) = wire.split_at(sealed.shim);
            last_us = BEGAN.0 * 1000 + number * every_us;
            let flags = OPENED | if is_key { KEY_FRAME } else { 0 };
            let media = Media { sfu_us: last_us, rtp_timestamp: 0, ssrc: 1, epoch: Epoch(1), flags, shim, sframe };
            writer.push(last_us, &Record::Media(media), &mut bytes);
            number += 1;
        }
        let path = format!("tracks/{}/{index}.seg", info.track);
        segments.push(SegmentEntry { index: index as u32, ..entry(folder, &path, info.track, writer, bytes) });
    }
    let (participant, first_us) = (info.participant.clone(), BEGAN.0 * 1000);
    let (track, slot, codec) = (info.track, info.slot, info.codec);
    (segments, TrackEntry { track, participant, slot, codec, frames: number, first_us, last_us })
}

/// Writes the meeting.
fn long(root: &Path, minutes: u64, files_mib: u64) -> (PathBuf, [u8; 32], Vec<IncarnationKey>) {
    let meeting: MeetingId = MEETING.parse().expect("an id");
    let folder = root.join("bank-a/2027/01").join(MEETING);
    std::fs::create_dir_all(folder.join("keys")).expect("made");
    let sample: &'static Sample = Box::leak(Box::new(sample()));
    let (epoch_key, sealed) = epoch(&folder, &meeting);
    let (mut segments, mut tracks, mut roster) =
        (vec![events_of(&folder, &meeting, chunks(files_mib))], Vec::new(), Vec::new());
    for n in 0..PEOPLE {
        let participant: ParticipantId = format!("bank-b/p{n}/d").parse().expect("an id");
        roster.push(present(participant.clone(), &format!("Person {n}"), LeafRole::Member));
        for (slot, codec) in [(Slot::MICROPHONE, Codec::Opus), (Slot::CAMERA, Codec::Vp8)] {
            let info = TrackInfo { track: tracks.len() as u32 + 1, participant: participant.clone(), slot, codec };
            let frame = move |number: u64| -> (bool, &'static [u8]) {
                if codec == Codec::Opus {
                    return (true, &sample.sound[number as usize % sample.sound.len()]);
                }
                let (is_key, data) = &sample.picture[number as usize % sample.picture.len()];
                (*is_key, data)
            };
            let (parts, tracked) = track(&folder, &meeting, &info, minutes, frame);
            segments.extend(parts);
            tracks.push(tracked);
        }
    }
    let length_ms = minutes * 60_000;
    let hash = close(
        &folder,
        Contents {
            meeting,
            roster,
            epoch_key,
            sealed,
            tracks,
            segments,
            files: Vec::new(),
            gaps: Vec::new(),
            length_ms,
        },
    );
    (folder, hash, keys())
}

/// Chunks of files that were sent, so many MiB of them, among the events.
fn chunks(mib: u64) -> Vec<ArchiveEvent> {
    let one = |index| ArchiveEvent::FilePart { file: Digest([1; 32]), index, part: vec![0x5a; FILE_CHUNK] };
    (0..(mib << 20) as u32 / FILE_CHUNK as u32).map(one).collect()
}

/// Carol's approved request for all of it.
async fn approved(town: &Town, to_ms: u64) -> (String, String) {
    let (carol, chris) = (Person::new("carol", LeafRole::Compliance), Person::new("chris", LeafRole::Compliance));
    let (asks, approves) = (town.session(&carol), town.session(&chris));
    let request = carol.request_of(town.manifest_hash, 0, to_ms);
    let body = json!({"request": B64(request.clone())});
    let sent = town.post("/api/requests").bearer_auth(&asks).json(&body).send().await.expect("sent");
    let row: Value = sent.json().await.expect("JSON");
    let id = row["id"].as_str().unwrap_or_else(|| panic!("refused: {row}")).to_owned();
    let body = json!({"approval": B64(chris.approval(&request, NOW.plus(3_000_000)))});
    let sent = town.post(&format!("/api/requests/{id}/approval")).bearer_auth(&approves).json(&body).send().await;
    assert!(sent.expect("sent").status().is_success());
    (asks, id)
}

/// Until the first bytes of every lane of a part are there, ms.
async fn first_bytes(town: &Town, opened: &Value, cookie: &str, part: usize) -> u128 {
    let begun = Instant::now();
    let lanes = opened["lanes"].as_array().expect("lanes");
    assert_eq!(lanes.len(), PEOPLE as usize);
    let ask = |lane: &Value| {
        let src = lane["parts"][part]["src"].as_str().expect("text").to_owned();
        async move {
            let sent = town.get(&src).header("Cookie", cookie).header("Range", FIRST).send().await.expect("sent");
            assert_eq!(sent.status(), 206, "{src}");
            assert_eq!(sent.bytes().await.expect("bytes").len(), 65_536);
        }
    };
    futures_util::future::join_all(lanes.iter().map(ask)).await;
    begun.elapsed().as_millis()
}

/// The number that the environment gives, or another.
fn given(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: writes 2.5 GB and composes nine lanes; `cargo xtask check record --long` runs it"]
async fn a_long_meeting_of_nine_measured() {
    let minutes = given("STRONGROOM_MINUTES", 60);
    let export_s = given("STRONGROOM_EXPORT_SECONDS", 30);
    let files_mib = given("STRONGROOM_FILES_MIB", 0);
    let exporter = std::env::var_os("STRONGROOM_EXPORTER").map(PathBuf::from);
    let town = Town::over(|config| config.export = exporter.clone(), |root| long(root, minutes, files_mib)).await;
    let (session, id) = approved(&town, minutes * 60_000).await;
    let begun = Instant::now();
    let (opened, cookie) = town.open(&session, &id).await;
    let opened_ms = begun.elapsed().as_millis();
    let start_ms = opened_ms + first_bytes(&town, &opened, &cookie, 0).await;
    let parts = opened["lanes"][0]["parts"].as_array().expect("parts").len();
    let jump_ms = first_bytes(&town, &opened, &cookie, parts / 2).await;
    let mut line = json!({"minutes": minutes, "people": PEOPLE, "parts": parts, "replay_start_ms": start_ms as u64,
        "replay_jump_ms": jump_ms as u64, "export_x_realtime": null});
    if exporter.is_some() {
        let body = json!({"request": id, "from_ms": 0, "to_ms": export_s * 1000});
        let begun = Instant::now();
        let sent = town.post("/api/exports").bearer_auth(&session).json(&body).send().await.expect("sent");
        let job: Value = sent.json().await.expect("JSON");
        let done = super::replay::settled(&town, &session, job["id"].as_str().expect("an id")).await;
        assert_eq!(done["state"], "done", "{done}");
        let speed = export_s as f64 / begun.elapsed().as_secs_f64();
        line["export_x_realtime"] = json!((speed * 100.0).round() / 100.0);
    }
    // the one line that the caller reads
    std::io::Write::write_all(&mut std::io::stdout(), format!("\n{line}\n").as_bytes()).expect("standard output");
}

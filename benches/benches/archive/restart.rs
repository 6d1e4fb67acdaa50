//! Reopening: a long meeting is written as fast as the disk takes it, left open, and opened again as after a crash.

use crate::capture::{EPOCH, FPS, PAYLOAD, rtp};
use crate::reading;
use anyhow::Context;
use benches::machine;
use crash::{firm, recording};
use domain::message::record_link::FromSfuRecord;
use domain::{Codec, Kid, LeafIndex, ParticipantId, Slot, UnixMillis};
use e2ee::sframe::{BaseKey, SealKey};
use recorder_core::{Config, FileId, FileRule, Input, Meeting, Now, Output, Wants};
use recorder_journal::journal::Journal;
use recorder_journal::store::Disk;
use std::path::Path;

/// Cameras.
const STREAMS: u32 = 25;
/// Bytes of a picture: 2.5 Mbit/s.
const FRAME: usize = 10_400;

fn pump(core: &mut Meeting, now: Now, files: &mut Journal) -> anyhow::Result<()> {
    while let Some(output) = core.poll_output() {
        match output {
            Output::Commit(batch) => {
                files.commit(&batch)?;
                core.handle(now, Input::Committed { ticket: batch.ticket }, &mut recording::AllKeys);
            }
            Output::Seal(manifest) => {
                let file = FileId::Track { track: manifest.track, index: manifest.index };
                let signed = firm::sign(evidence::archive::SEGMENT_LABEL, &manifest.to_cbor());
                files.store().put(&file.manifest_path(), &signed)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Cameras of 2.5 Mbit/s until there are so many MB; time is the pictures'.
fn write(folder: &Path, mb: u64) -> anyhow::Result<()> {
    let mut files = Journal::new(Box::new(Disk::new(folder.to_owned())));
    let at = |ms: u64| Now { wall: UnixMillis(1_795_305_600_000 + ms), mono_ms: ms };
    let config = Config {
        firm: firm::id(),
        meeting: firm::meeting(),
        recorder: firm::recorder(),
        incarnation: 1,
        software: "bench".to_owned(),
        wants: Wants::Media,
        files: FileRule::Kept,
    };
    let mut core = Meeting::new(config, at(0));
    core.handle(at(0), Input::Terms(Box::new(recording::terms())), &mut recording::AllKeys);
    let mut give = |ms: u64, message: FromSfuRecord| {
        core.handle(at(ms), Input::Link(message), &mut recording::AllKeys);
        core.handle_timeout(at(ms), &mut recording::AllKeys);
        pump(&mut core, at(ms), &mut files)
    };
    give(0, FromSfuRecord::Welcome { oldest: 1 })?;
    let mut seq = 0;
    for track in 1..=STREAMS {
        seq += 1;
        let participant: ParticipantId = format!("bank-a/person-{track}/d1").parse()?;
        give(0, FromSfuRecord::Track { seq, track, participant, slot: Slot::CAMERA, codec: Codec::Vp8 })?;
    }
    let base = BaseKey::from_bytes(&[9; 32]).context("a key")?;
    let mut seal = SealKey::new(&base, Kid::new(Slot::CAMERA, LeafIndex(1), EPOCH), Codec::Vp8);
    let mut wire = Vec::new();
    for frame in 0..mb * 1_000_000 / (FRAME as u64 * u64::from(STREAMS)) {
        let ms = frame * 1_000 / FPS;
        let key = frame.is_multiple_of(10 * FPS);
        seal.seal(key, &vec![u8::from(!key); FRAME], ms * 1_000, &mut wire)?;
        let packets = wire.len().div_ceil(PAYLOAD);
        for stream in 0..STREAMS {
            for (part, payload) in wire.chunks(PAYLOAD).enumerate() {
                seq += 1;
                let rtp = rtp(stream, frame * packets as u64 + part as u64, frame, part, packets, payload);
                give(ms, FromSfuRecord::Packet { seq, track: stream + 1, arrival_us: at(ms).wall.0 * 1_000, rtp })?;
            }
        }
    }
    Ok(())
}

/// How long a restart takes inside a meeting of `gb`.
pub fn measure(folder: &Path, gb: f64) -> anyhow::Result<serde_json::Value> {
    let meeting = folder.join("long");
    write(&meeting, (gb * 1_000.0) as u64)?;
    let by_index = reading::reopened(&meeting)?;
    std::fs::remove_dir_all(meeting.join("index"))?;
    let reading_all = reading::reopened(&meeting)?;
    std::fs::remove_dir_all(&meeting)?;
    Ok(serde_json::json!({ "who": "strongroom", "bench": "archive-reopen", "mb": by_index.mb, "streams": STREAMS,
        "s_per_10_gb": by_index.wall_s, "cpu_s_per_10_gb": by_index.cpu_s,
        "without_index_s_per_10_gb": reading_all.wall_s, "without_index_cpu_s_per_10_gb": reading_all.cpu_s,
        "machine_load": machine::load() }))
}

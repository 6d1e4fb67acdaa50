//! Reading: how soon a stopped recorder goes on, how fast the verifier reads, how fast a replay verifies and opens.

use anyhow::Context;
use benches::machine::{self, Meter};
use domain::Codec;
use e2ee::sframe::{BaseKey, Opener};
use evidence::archive::merkle::{Frontier, leaf_hash};
use evidence::archive::{Digest, SegmentReader};
use recorder_journal::journal::Journal;
use recorder_journal::store::Disk;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Bytes of the tracks' segments, their files.
fn segments(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for track in std::fs::read_dir(folder.join("tracks"))? {
        for file in std::fs::read_dir(track?.path())? {
            all.push(file?.path());
        }
    }
    all.sort();
    Ok(all)
}

/// What a restart took.
pub struct Reopened {
    /// By the clock on the wall, seconds for 10 GB at this rate.
    pub wall_s: f64,
    /// Of processors, the same.
    pub cpu_s: f64,
    /// MB that were there.
    pub mb: u64,
}

/// A meeting that its process left is opened.
pub fn reopened(meeting: &Path) -> anyhow::Result<Reopened> {
    Command::new("sync").arg("-f").arg(meeting).status().context("sync")?;
    let mut bytes = 0;
    for path in segments(meeting)? {
        bytes += std::fs::metadata(path)?.len();
    }
    let meter = Meter::Process(std::process::id());
    let (began, before) = (Instant::now(), meter.cpu_ns()?);
    let found = Journal::new(Box::new(Disk::new(meeting.to_owned()))).recover()?;
    let (took, cpu) = (began.elapsed().as_secs_f64(), (meter.cpu_ns()? - before) as f64 / 1e9);
    found.context("an open meeting")?;
    let for_10_gb = 10e9 / bytes.max(1) as f64;
    Ok(Reopened { wall_s: took * for_10_gb, cpu_s: cpu * for_10_gb, mb: bytes / 1_000_000 })
}

/// Rates of this thread, GB/s a core, over the first meeting.
pub fn read(folder: &Path, base: &[u8; 32], streams: u32) -> anyhow::Result<serde_json::Value> {
    let meeting = folder.join("meeting-0");
    let meter = Meter::Process(std::process::id());
    let files = segments(&meeting)?;
    let mut bytes = 0;
    // into memory of the system first: this is about processors
    for path in &files {
        bytes += std::fs::read(path)?.len() as u64;
    }
    let rate = |work: &mut dyn FnMut() -> anyhow::Result<()>| -> anyhow::Result<f64> {
        let before = meter.cpu_ns()?;
        work()?;
        Ok(bytes as f64 / (meter.cpu_ns()? - before).max(1) as f64)
    };
    let mut good = false;
    let verify = rate(&mut || {
        let report = verify::verify(&meeting, &crash::firm::trust())?;
        good = report.is_good() && report.gaps == 0;
        Ok(())
    })?;
    let mut opened = 0u64;
    let open = rate(&mut || {
        let mut keys = Opener::from_base_key(BaseKey::from_bytes(base).context("a key")?, domain::Epoch(1));
        let mut bytes = Vec::new();
        for path in &files {
            bytes.clear();
            File::open(path)?.read_to_end(&mut bytes)?;
            let (_, mut reader) = SegmentReader::new(&bytes)?;
            let mut tree = Frontier::default();
            tree.push(leaf_hash(&bytes[..reader.good() as usize]));
            while let Some(placed) = reader.next_record()? {
                let Some(wire) = placed.wire() else {
                    tree.push(placed.leaf());
                    continue;
                };
                // one hash is the sender's name of the frame and the tree's
                let frame = keys.open(Codec::Vp8, wire)?;
                opened += 1;
                tree.push(placed.leaf_with(&Digest(frame.sha256)));
            }
            std::hint::black_box(tree.root());
        }
        Ok(())
    })?;
    let floor = rate(&mut || {
        for path in &files {
            std::hint::black_box(Sha256::digest(std::fs::read(path)?));
        }
        Ok(())
    })?;
    Ok(serde_json::json!({ "who": "strongroom", "bench": "archive-read", "streams": streams, "mb": bytes / 1_000_000,
        "verify_gb_per_core_second": verify, "verify_and_open_gb_per_core_second": open, "frames_opened": opened,
        "everything_holds": good, "read_and_sha256_gb_per_core_second": floor, "machine_load": machine::load() }))
}

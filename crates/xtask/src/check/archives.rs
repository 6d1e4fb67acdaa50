//! What the firms' archives prove, by `strongroom-verify`, and whether a secret is where none may be.

use crate::demo::plan::{FIRMS, Plan};
use crate::run;
use anyhow::Context;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A recorder seals its archive when the last person left: at once, or 30 s after a connection was lost.
const SEALED_WITHIN: Duration = Duration::from_secs(45);

/// Sum over the firms.
#[derive(Default)]
pub struct Proven {
    /// Firms whose recorder wrote an archive.
    pub recorders: usize,
    /// Frames in all copies.
    pub frames: u64,
    /// Gaps in all copies: frames that somebody could have received and the copy has not.
    pub gaps: u64,
    /// Gaps of frames that never left their sender's browser, whose pacer throws away what it still holds of a stream when a
    /// key frame follows.
    pub unsent: u64,
    /// Firms whose copy holds what was written in the chat.
    pub said: usize,
    /// Archives that verified.
    pub verified: usize,
}

/// Waits for the sealed meetings and has each verified.
pub fn judge(plan: &Plan) -> anyhow::Result<Proven> {
    let mut proven = Proven::default();
    for firm in &FIRMS {
        let archive = plan.firm(firm, "archive");
        let until = Instant::now() + SEALED_WITHIN;
        let meeting = loop {
            match sealed(&archive) {
                Some(meeting) => break Some(meeting),
                None if Instant::now() > until => break None,
                None => std::thread::sleep(Duration::from_millis(100)),
            }
        };
        let Some(meeting) = meeting else { continue };
        proven.recorders += 1;
        let out = Command::new(plan.binaries.join("strongroom-verify"))
            .args(["--json", "--trust"])
            .arg(plan.at("trust.json"))
            .arg(&meeting)
            .output()
            .context("start strongroom-verify")?;
        let report: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
        proven.frames += report["frames"].as_u64().unwrap_or(0);
        let unsent = report["gaps_unsent"].as_u64().unwrap_or(0);
        proven.gaps += report["gaps"].as_u64().unwrap_or(0).saturating_sub(unsent);
        proven.unsent += unsent;
        proven.said += usize::from(report["said"].as_u64() > Some(0));
        proven.verified += usize::from(out.status.success());
    }
    Ok(proven)
}

/// The folder of a meeting whose manifest is written: `<archive>/<firm>/<yyyy>/<mm>/<meeting>`.
pub fn sealed(archive: &Path) -> Option<PathBuf> {
    let mut level = vec![archive.to_owned()];
    for _ in ["firm", "year", "month", "meeting"] {
        level = level.iter().flat_map(fs::read_dir).flatten().flatten().map(|entry| entry.path()).collect();
    }
    level.into_iter().find(|folder| folder.join("meeting.cose").is_file())
}

/// Words of this run's people and pictures, searched for in what the operator's processes logged and stored.
pub fn canary(plan: &Plan, seen: &Value) -> anyhow::Result<usize> {
    let words: Vec<&str> = seen["canaries"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut hits = 0;
    for word in words {
        let found = Command::new("grep").args(["-rlF", "--", word]).arg(plan.at("operator")).output()?;
        hits += String::from_utf8_lossy(&found.stdout).lines().count();
        for log in ["signaling.log", "sfu.log"] {
            let found = run::capture(Command::new("grep").args(["-cF", "--", word]).arg(plan.at("logs").join(log)));
            hits += found.ok().and_then(|count| count.trim().parse().ok()).unwrap_or(0);
        }
    }
    Ok(hits)
}

//! `kill -9` of a recording process at random moments: while it writes, syncs, reads its files again, or closes them.

use crate::firm;
use crate::judge::{Judgement, judge};
use crate::promise::Promises;
use crate::recording::Manner;
use anyhow::{Context, ensure};
use emulator::dice::Dice;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Lives of one recording before it is closed: its archive stays small enough to be read after each.
const LIVES: u64 = 12;
/// A life ends within this time, from its start on, microseconds: most of it is spent writing, the first part reading.
const LONGEST_US: u64 = 160_000;
/// The last life records so many messages, then closes the meeting.
const LAST: u64 = 400;
/// Without an end: it is killed.
pub const ENDLESS: u64 = u64::MAX;

/// What a campaign did and found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// Processes killed (or cuts of power).
    pub ended: u64,
    /// Frames acknowledged when that happened, summed over the recordings.
    pub acknowledged: u64,
    /// Of them not there afterwards, at any look.
    pub lost: u64,
    /// Receipts and signed segments that were promised and not there.
    pub broken: u64,
    /// Meetings closed at the end that the verifier found whole.
    pub verified: u64,
    /// Meetings closed at the end.
    pub closed: u64,
    /// Longest reopening, ms.
    pub reopened_ms: u64,
}

impl Score {
    /// Is everything as promised?
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.broken == 0 && self.verified == self.closed && self.acknowledged > 0
    }
    /// As a line of JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "ended": self.ended, "frames_acknowledged": self.acknowledged,
            "acknowledged_lost": self.lost, "promises_broken": self.broken, "closed": self.closed,
            "bundles_verified": self.verified, "reopened_ms": self.reopened_ms })
    }
    /// Adds a look at the files after a death.
    pub fn saw(&mut self, found: Judgement) {
        self.lost += found.lost;
        self.broken += found.broken;
    }
    /// Sum.
    pub fn plus(self, other: Self) -> Self {
        Self {
            ended: self.ended + other.ended,
            acknowledged: self.acknowledged + other.acknowledged,
            lost: self.lost + other.lost,
            broken: self.broken + other.broken,
            verified: self.verified + other.verified,
            closed: self.closed + other.closed,
            reopened_ms: self.reopened_ms.max(other.reopened_ms),
        }
    }
}

/// How processes are started.
#[derive(Debug, Clone)]
pub struct Program {
    /// `crash-campaign`.
    pub path: PathBuf,
    /// What the recorder does wrong, if anything.
    pub manner: Manner,
}

/// Starts a recording process on `folder`; its promises come over the pipe.
///
/// # Errors
/// It cannot be started.
pub fn start(program: &Program, folder: &Path, seed: u64, after: u64, messages: u64) -> anyhow::Result<Child> {
    let manner = match program.manner {
        Manner::Honest => "honest",
        Manner::Early => "early",
        Manner::Unsynced => "unsynced",
    };
    let mut command = Command::new(&program.path);
    command.args(["record", "--folder"]).arg(folder).args(["--seed", &seed.to_string(), "--after", &after.to_string()]);
    command.args(["--messages", &messages.to_string(), "--manner", manner]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().with_context(|| program.path.display().to_string())
}

/// What it said until it was gone.
///
/// # Errors
/// The pipe's.
pub fn last_words(child: &mut Child) -> anyhow::Result<String> {
    let mut said = Vec::new();
    child.stdout.take().context("a pipe")?.read_to_end(&mut said)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// One recording: killed `lives` times, then closed and verified.
fn recording(program: &Program, seed: u64, lives: u64) -> anyhow::Result<Score> {
    let folder = tempfile::tempdir()?;
    let mut dice = Dice::new(seed ^ 0xdead);
    let (mut promises, mut score) = (Promises::default(), Score::default());
    for _ in 0..lives {
        let mut child = start(program, folder.path(), seed, promises.acknowledged, ENDLESS)?;
        // no wait for anything: the moment of the kill is what the dice choose
        std::thread::sleep(Duration::from_micros(dice.below(LONGEST_US)));
        child.kill()?;
        let said = last_words(&mut child)?;
        let status = child.wait()?;
        ensure!(status.code().is_none(), "the recording ended by itself ({status}), seed {seed}");
        promises.take(&said);
        score.ended += 1;
        score.saw(judge(folder.path(), seed, &promises)?);
    }
    let mut child = start(program, folder.path(), seed, promises.acknowledged, LAST)?;
    promises.take(&last_words(&mut child)?);
    let status = child.wait()?;
    ensure!(status.success() && promises.done, "the recording could not be closed ({status}), seed {seed}");
    close(folder.path(), seed, &promises, &mut score)?;
    Ok(score)
}

/// Judges a closed meeting, by promises and by the verifier.
///
/// # Errors
/// The disk's.
pub fn close(folder: &Path, seed: u64, promises: &Promises, score: &mut Score) -> anyhow::Result<()> {
    let found = judge(folder, seed, promises)?;
    score.acknowledged += found.acknowledged;
    score.saw(found);
    score.closed += 1;
    score.reopened_ms = score.reopened_ms.max(promises.reopened_ms);
    let report = verify::verify(folder, &firm::trust())?;
    score.verified += u64::from(report.is_good() && report.gaps == 0 && report.frames >= found.acknowledged);
    if !report.is_good() || report.gaps > 0 {
        eprintln_once(seed, &report);
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "a campaign's program says which seed to play again")]
fn eprintln_once(seed: u64, report: &verify::Report) {
    eprintln!("seed {seed}: {:?} gaps {:?}", report.findings.first(), report.gap_list.first());
}

/// Kills `kills` processes, over as many recordings as that takes. The same seed kills at the same moments, as far as a
/// machine repeats itself.
///
/// # Errors
/// A process that does not start or ends by itself; the disk's.
pub fn campaign(program: &Program, seed: u64, kills: u64, each: impl FnMut(u64, &Score)) -> anyhow::Result<Score> {
    over(seed, kills, each, |seed, left| recording(program, seed, LIVES.min(left)))
}

/// One recording after another, each with the next seed and told how many ends are still wanted.
pub(crate) fn over(
    seed: u64,
    wanted: u64,
    mut each: impl FnMut(u64, &Score),
    recording: impl Fn(u64, u64) -> anyhow::Result<Score>,
) -> anyhow::Result<Score> {
    let mut total = Score::default();
    for seed in (0..).map(|of| seed.wrapping_add(of)) {
        if total.ended >= wanted {
            break;
        }
        let one = recording(seed, wanted - total.ended)?;
        each(seed, &one);
        total = total.plus(one);
    }
    Ok(total)
}

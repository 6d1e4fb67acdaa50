//! Cuts of power: a recording on a file system in an image; at random moments the image as it is in that instant is copied,
//! the copy is mounted as after a crash, and everything acknowledged before that instant must be in it.
//!
//! The image lies on a file system of its own, which is frozen while it is copied: so the copy has every write that had
//! reached the device and no later one, as if power had gone there and then. What a drive's own volatile cache may lose
//! or reorder is not in the model: image files have none.

use crate::judge::judge;
use crate::kills::{self, ENDLESS, Program, Score};
use crate::promise::Promises;
use anyhow::{Context, ensure};
use emulator::dice::Dice;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Size of the image: what a recording writes in its life, and more than ext4's smallest journal.
const IMAGE: &str = "64M";
/// The file system below it.
const BELOW: &str = "192M";
/// Cuts of one recording before a new one begins on a new image.
const CUTS: u64 = 10;
/// Between two cuts at most, microseconds.
const LONGEST_US: u64 = 120_000;
/// A first acknowledgement comes within this time on any machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a program of the system.
fn system(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let path = std::env::var("PATH").unwrap_or_default();
    let out = Command::new(program)
        .args(arguments)
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .stdin(Stdio::null())
        .output()
        .with_context(|| program.to_owned())?;
    ensure!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr).trim());
    Ok(())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

/// A mounted image; unmounted when dropped.
struct Mounted {
    at: PathBuf,
}

impl Mounted {
    fn new(image: &Path, at: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&at)?;
        system("mount", &["-o", "loop", text(image), text(&at)])?;
        Ok(Self { at })
    }
    fn fresh(image: &Path, size: &str, at: PathBuf) -> anyhow::Result<Self> {
        system("truncate", &["-s", size, text(image)])?;
        system("mkfs.ext4", &["-q", "-F", text(image)])?;
        Self::new(image, at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // lazily: a process that is just dying may hold it a moment longer
        let _ = system("umount", &["-l", text(&self.at)]);
    }
}

/// Why no power can be cut here; `None`: it can.
pub fn missing() -> Option<String> {
    let folder = tempfile::tempdir().ok()?;
    let tried = Mounted::fresh(&folder.path().join("probe.img"), "8M", folder.path().join("probe"))
        .and_then(|mounted| system("fsfreeze", &["-f", text(&mounted.at)]).map(|()| mounted))
        .and_then(|mounted| system("fsfreeze", &["-u", text(&mounted.at)]));
    tried.err().map(|why| format!("loop devices with ext4 and fsfreeze are needed, as root: {why:#}"))
}

/// A recording whose promises are heard while it runs.
struct Heard {
    child: Child,
    /// What it said so far; the other half tells of each line.
    said: Arc<(Mutex<String>, Condvar)>,
}

impl Heard {
    fn start(program: &Program, folder: &Path, seed: u64) -> anyhow::Result<Self> {
        let mut child = kills::start(program, folder, seed, 0, ENDLESS)?;
        let said = Arc::<(Mutex<String>, Condvar)>::default();
        let (pipe, into) = (child.stdout.take().context("a pipe")?, said.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                let mut said = into.0.lock().expect("no holder panics");
                said.push_str(&line);
                said.push('\n');
                into.1.notify_all();
            }
        });
        Ok(Self { child, said })
    }
    fn promises(&self) -> Promises {
        promised(&self.said.0.lock().expect("no holder panics"))
    }
    /// Waits until it has acknowledged something; `false`: it did not in time.
    fn acknowledges(&self) -> bool {
        let said = self.said.0.lock().expect("no holder panics");
        let nothing = |said: &mut String| promised(said).acknowledged == 0;
        let waited = self.said.1.wait_timeout_while(said, PATIENCE, nothing);
        !waited.expect("no holder panics").1.timed_out()
    }
}

fn promised(said: &str) -> Promises {
    let mut promises = Promises::default();
    promises.take(said);
    promises
}

impl Drop for Heard {
    fn drop(&mut self) {
        // it may have died of a full image already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The image as it is in this instant.
fn cut(below: &Path, image: &Path, copy: &Path) -> anyhow::Result<()> {
    system("fsfreeze", &["-f", text(below)])?;
    let copied = system("cp", &["--sparse=always", text(image), text(copy)]);
    system("fsfreeze", &["-u", text(below)])?;
    copied
}

fn recording(program: &Program, seed: u64, cuts: u64) -> anyhow::Result<Score> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    let below = Mounted::fresh(&at("below.img"), BELOW, at("below"))?;
    let image = below.at.join("disk.img");
    let disk = Mounted::fresh(&image, IMAGE, at("disk"))?;
    let archive = disk.at.join("meeting");
    let mut dice = Dice::new(seed ^ 0xbeef);
    let mut score = Score::default();
    let heard = Heard::start(program, &archive, seed)?;
    ensure!(heard.acknowledges(), "nothing was acknowledged within {PATIENCE:?}, seed {seed}");
    for n in 0..cuts {
        // no wait for anything: the moment of the cut is what the dice choose
        std::thread::sleep(Duration::from_micros(dice.below(LONGEST_US)));
        // what was heard before the cut must be in the copy
        let promises = heard.promises();
        cut(&below.at, &image, &at("copy.img"))?;
        let copy = Mounted::new(&at("copy.img"), at("copy"))?;
        let after = copy.at.join("meeting");
        let found = judge(&after, seed, &promises)?;
        score.ended += 1;
        score.saw(found);
        if n + 1 == cuts {
            reopened(program, &after, seed, promises, &mut score)?;
        }
    }
    Ok(score)
}

/// A recorder opens what the last cut left and closes the meeting.
fn reopened(
    program: &Program,
    after: &Path,
    seed: u64,
    mut promises: Promises,
    score: &mut Score,
) -> anyhow::Result<()> {
    let mut child = kills::start(program, after, seed, promises.acknowledged, 200)?;
    promises.take(&kills::last_words(&mut child)?);
    let status = child.wait()?;
    ensure!(status.success() && promises.done, "the recording could not be closed ({status}), seed {seed}");
    kills::close(after, seed, &promises, score)
}

/// Cuts power `cuts` times.
///
/// # Errors
/// As [`kills::campaign`], and the system's where images cannot be mounted.
pub fn campaign(program: &Program, seed: u64, cuts: u64, each: impl FnMut(u64, &Score)) -> anyhow::Result<Score> {
    kills::over(seed, cuts, each, |seed, left| recording(program, seed, CUTS.min(left)))
}

//! Real archives of a meeting that was just held, changed byte by byte and file by file: the verifier, offline, must say
//! which file is wrong, and for segments which byte.

use crate::demo::plan::{FIRMS, Plan};
use crate::{check::archives, run};
use anyhow::Context;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Segments, and segment manifests, of each archive that are changed: all are of one kind.
const OF_A_KIND: usize = 3;

/// What was tried.
#[derive(Default)]
pub struct Tampers {
    /// Changes.
    pub made: u64,
    /// Changes of which the verifier named the file (and where it is a segment, the place).
    pub named: u64,
    /// The others.
    pub missed: Vec<String>,
}

/// What is done to one file.
#[derive(Debug, Clone, Copy)]
enum Change {
    Flip(usize),
    Cut(usize),
    Add,
    Drop,
}

/// Changes copies of every firm's newest archive.
pub fn archives(plan: &Plan) -> anyhow::Result<Tampers> {
    let mut all = Tampers::default();
    for firm in &FIRMS {
        let meeting = archives::sealed(&plan.firm(firm, "archive")).context("an archive to change")?;
        let copy = plan.at(&format!("tampered-{}", firm.id));
        run::capture(Command::new("cp").arg("-r").arg(&meeting).arg(&copy))?;
        let bench = Bench { plan, copy };
        bench.each_file(&mut all)?;
        bench.swaps(&mut all)?;
        let untouched = bench.asked()?;
        anyhow::ensure!(untouched.code == 0, "the copy is not as it was: {}", untouched.text);
    }
    Ok(all)
}

struct Answer {
    code: i32,
    text: String,
    first: Value,
}

struct Bench<'a> {
    plan: &'a Plan,
    copy: PathBuf,
}

impl Bench<'_> {
    fn asked(&self) -> anyhow::Result<Answer> {
        let out = Command::new(self.plan.binaries.join("strongroom-verify"))
            .args(["--json", "--trust"])
            .arg(self.plan.at("trust.json"))
            .arg(&self.copy)
            .output()
            .context("start strongroom-verify")?;
        let report: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
        let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        Ok(Answer { code: out.status.code().unwrap_or(-1), text, first: report["findings"][0].clone() })
    }

    /// The files of each kind.
    fn files(&self) -> Vec<String> {
        let mut files: Vec<String> =
            ["meeting.cose", "proof.cbor", "keys/sealed.cbor", "keys/epochs.cbor", "events.seg"]
                .map(str::to_owned)
                .into();
        for top in ["tracks", "segments"] {
            let mut found = Vec::new();
            below(&self.copy.join(top), top, &mut found);
            found.sort();
            files.extend(found.into_iter().take(OF_A_KIND));
        }
        files
    }

    fn each_file(&self, all: &mut Tampers) -> anyhow::Result<()> {
        for file in self.files() {
            let path = self.copy.join(&file);
            let good = fs::read(&path).with_context(|| file.clone())?;
            let len = good.len();
            let changes = [
                Change::Flip(0),
                Change::Flip(len / 2),
                Change::Flip(len - 1),
                Change::Cut(len / 2),
                Change::Cut(len - 1),
                Change::Add,
                Change::Drop,
            ];
            for change in changes {
                apply(&path, &good, change)?;
                let answer = self.asked()?;
                all.made += 1;
                if is_named(&answer, &file, change) {
                    all.named += 1;
                } else {
                    all.missed.push(format!("{change:?} of {file} ({len} bytes): {} {}", answer.code, answer.first));
                }
                fs::write(&path, &good)?;
            }
        }
        Ok(())
    }

    /// Two files of a kind change places; then the proof and the manifest of the other firm stand here.
    fn swaps(&self, all: &mut Tampers) -> anyhow::Result<()> {
        let files = self.files();
        for top in ["tracks/", "segments/"] {
            let of: Vec<&String> = files.iter().filter(|file| file.starts_with(top)).collect();
            let [a, b, ..] = of[..] else { continue };
            let (path_a, path_b) = (self.copy.join(a), self.copy.join(b));
            let (bytes_a, bytes_b) = (fs::read(&path_a)?, fs::read(&path_b)?);
            fs::write(&path_a, &bytes_b)?;
            fs::write(&path_b, &bytes_a)?;
            let answer = self.asked()?;
            all.made += 1;
            let file = answer.first["file"].as_str().unwrap_or_default();
            if answer.code == 3 && (file == a || file == b) {
                all.named += 1;
            } else {
                all.missed.push(format!("{a} and {b} swapped: {} {}", answer.code, answer.first));
            }
            fs::write(&path_a, &bytes_a)?;
            fs::write(&path_b, &bytes_b)?;
        }
        Ok(())
    }
}

fn apply(path: &Path, good: &[u8], change: Change) -> anyhow::Result<()> {
    let mut bytes = good.to_vec();
    match change {
        Change::Flip(at) => bytes[at] ^= 0x10,
        Change::Cut(at) => bytes.truncate(at),
        Change::Add => bytes.push(0),
        Change::Drop => return Ok(fs::remove_file(path)?),
    }
    Ok(fs::write(path, bytes)?)
}

/// The verifier's first finding is about this file, and where it can be, about this byte.
fn is_named(answer: &Answer, file: &str, change: Change) -> bool {
    // what cannot be read at all is said in words
    let named = match answer.first["file"].as_str() {
        Some(found) => found == file && answer.code == 3,
        None => answer.code != 0 && answer.text.contains(file),
    };
    let segment = file.ends_with(".seg");
    let offset = answer.first["offset"].as_u64();
    let placed = match change {
        // a byte of the head is named with the head it is in
        Change::Flip(at) if segment => offset.is_some_and(|found| found == at as u64 || (at == 0 && found <= 16)),
        Change::Cut(at) if segment => offset.is_some_and(|found| found <= at as u64),
        _ => true,
    };
    named && placed
}

fn below(folder: &Path, name: &str, out: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            below(&entry.path(), &path, out);
        } else {
            out.push(path);
        }
    }
}

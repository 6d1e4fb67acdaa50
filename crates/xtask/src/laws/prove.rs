//! Each law shown to fire: a violation is planted and the rule must find it. Text rules get a planted file; what cargo
//! and clippy enforce is planted in a copy of the repository.

use super::source::{self, Source};
use super::{links, text};
use crate::ended::failed;
use crate::place::Place;
use crate::{run, say};
use anyhow::Context;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Plants and judges; answers how many fired.
pub fn prove(place: &Place, depth: Depth) -> anyhow::Result<usize> {
    let copy = Copy::make(place)?;
    let mut fired = 0;
    if depth != Depth::OnlyClippy {
        fired += planted_texts()? + planted_links(&copy)?;
    }
    if depth != Depth::Quick {
        fired += planted_calls(place, &copy)?;
    }
    Ok(fired)
}

/// How much is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What takes seconds.
    Quick,
    /// Clippy's part alone.
    OnlyClippy,
    /// Everything.
    All,
}

fn fires(law: &str, fired: bool) -> anyhow::Result<usize> {
    if fired { Ok(1) } else { Err(failed(format!("{law}: a planted violation was not found"))) }
}

fn planted(path: &str, text: &str) -> Vec<Source> {
    vec![Source { path: path.into(), text: text.into() }]
}

fn planted_texts() -> anyhow::Result<usize> {
    let step = say::step("laws: planted texts");
    let good = "//! Owns it.\n";
    let mut fired = 0;
    let long = format!("{good}{}", "// line\n".repeat(text::MOST_LINES));
    for (rule, path, content) in [
        ("file length", "sfu/src/long.rs", long.as_str()),
        ("module docs", "sfu/src/bare.rs", "fn main() {}\n"),
        ("vague name", "sfu/src/utils.rs", good),
        ("leftover", "sfu/src/x.rs", concat!("//! X.\n// TO", "DO: later\n")),
        ("machine path", "README.md", concat!("see /wo", "rk/here\n")),
        ("registry host", "web-demo/package-lock.json", "      \"resolved\": \"https://registry.example/x.tgz\",\n"),
        ("ignored test", "tests/src/x.rs", "//! X.\n#[ignore]\n"),
    ] {
        fired += fires(rule, text::tidy(&planted(path, content)).len() == 1)?;
    }
    for (rule, content) in [
        ("law 3, tag", "//! X.\n#[serde(tag = \"type\")]\nenum Message {}\n"),
        ("law 3, derive", "//! X.\n#[derive(Serialize, Deserialize)]\nstruct Message {}\n"),
    ] {
        fired += fires(rule, text::wire_types(&planted("sfu/src/x.rs", content)).len() == 1)?;
    }
    for (rule, content) in [
        ("law 4, queue", "//! X.\nfn f() { let (a, b) = tokio::sync::mpsc::unbounded_channel::<u8>(); }\n"),
        ("law 4, reason", "//! X.\n\nconst MAX_THINGS: usize = 7;\n"),
    ] {
        fired += fires(rule, text::limits(&planted("sfu/src/x.rs", content)).len() == 1)?;
    }
    let clean = planted("sfu/src/x.rs", "//! X.\n/// Two are enough.\nconst MAX_THINGS: usize = 2;\n");
    if !(text::tidy(&clean).is_empty() && text::wire_types(&clean).is_empty() && text::limits(&clean).is_empty()) {
        return Err(failed("a clean file was found fault with"));
    }
    step.done_with(&format!("{fired} fired"));
    Ok(fired)
}

/// A copy of the repository's files, removed when dropped.
struct Copy(PathBuf);

impl Copy {
    fn make(place: &Place) -> anyhow::Result<Self> {
        let folder = place.own("laws-copy");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        let copy = Self(folder);
        for name in source::names(&place.root)? {
            let (from, to) = (place.at(&name), copy.0.join(&name));
            if !from.is_file() {
                continue;
            }
            fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
            fs::copy(&from, &to).with_context(|| format!("copy {name}"))?;
        }
        Ok(copy)
    }
    fn plant(&self, file: &str, plant: impl Fn(&str) -> String) -> anyhow::Result<()> {
        let path = self.0.join(file);
        let before = fs::read_to_string(&path).with_context(|| format!("read {file}"))?;
        fs::write(&path, plant(&before)).with_context(|| format!("write {file}"))
    }
    /// Changes a file for as long as `while_planted` runs.
    fn planted<T>(
        &self,
        file: &str,
        plant: impl Fn(&str) -> String,
        while_planted: impl FnOnce(&Path) -> T,
    ) -> anyhow::Result<T> {
        let path = self.0.join(file);
        let before = fs::read_to_string(&path).with_context(|| format!("read {file}"))?;
        self.plant(file, plant)?;
        let out = while_planted(&self.0);
        fs::write(&path, before)?;
        Ok(out)
    }
}
impl Drop for Copy {
    fn drop(&mut self) {
        // A leftover is removed by the next run.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn planted_links(copy: &Copy) -> anyhow::Result<usize> {
    let step = say::step("laws: planted dependencies");
    let mut fired = 0;
    for (package, manifest, dependency) in [
        ("sfu", "sfu/Cargo.toml", "e2ee.workspace = true"),
        ("sfu", "sfu/Cargo.toml", "custody.workspace = true"),
        ("signaling", "signaling/Cargo.toml", "e2ee.workspace = true"),
        ("signaling", "signaling/core/Cargo.toml", "e2ee.workspace = true"),
        ("recorder", "recorder/Cargo.toml", "gstreamer.workspace = true"),
        ("front", "recorder/front/Cargo.toml", "gstreamer-app.workspace = true"),
        ("recorder", "recorder/Cargo.toml", "e2ee = { workspace = true, features = [\"test-secrets\"] }"),
    ] {
        let name = dependency.split(['.', ' ']).next().unwrap_or_default();
        let plant = |text: &str| {
            let kept: Vec<&str> = text.lines().filter(|line| line.split(['.', ' ']).next() != Some(name)).collect();
            kept.join("\n").replacen("[dependencies]", &format!("[dependencies]\n{dependency}"), 1)
        };
        let tree = copy.planted(manifest, plant, |root| links::tree(root, package))?;
        let tree = tree.with_context(|| format!("plant `{dependency}` in {manifest}"))?;
        fired += fires(&format!("law 1, {package} with {dependency}"), !links::judge(package, &tree).is_empty())?;
    }
    step.done_with(&format!("{fired} fired"));
    Ok(fired)
}

/// All of them at once: each run of clippy for other packages reads what we depend on with other features again.
fn planted_calls(place: &Place, copy: &Copy) -> anyhow::Result<usize> {
    let step = say::step("laws: planted calls, found by clippy");
    let now = "pub fn planted() -> std::time::Instant {\n    std::time::Instant::now()\n}\n";
    let joins = "pub fn joins(_: Option<mls_rs::MlsMessage>) -> usize {\n    type Joins = mls_rs::client_builder::ClientBuilder<mls_rs::client_builder::BaseConfig>;\n    size_of::<Joins>()\n}\n";
    let plants = [
        ("sfu-core", "sfu/core/src/lib.rs", now, "disallowed method"),
        ("recorder-core", "recorder/core/src/lib.rs", now, "disallowed method"),
        ("signaling-core", "signaling/core/src/lib.rs", now, "disallowed method"),
        ("signaling-core", "signaling/core/src/lib.rs", joins, "disallowed type"),
        ("e2ee", "crates/e2ee/src/lib.rs", now, "disallowed method"),
    ];
    for (_, file, code, _) in plants {
        copy.plant(file, |text| format!("{text}\n/// Planted.\n{code}"))?;
    }
    let said = clippy(place, &copy.0, plants.map(|(package, ..)| package))?;
    let mut fired = 0;
    for (package, file, _, expected) in plants {
        let found = said.lines().any(|line| line.contains(file) && line.contains(&format!("use of a {expected}")));
        fired += fires(&format!("{expected} in {package}"), found).with_context(|| format!("clippy said:\n{said}"))?;
    }
    step.done_with(&format!("{fired} fired"));
    Ok(fired)
}

/// What clippy says about packages of the copy, a line each; as warnings, for one package's must not hide another's.
fn clippy<const N: usize>(place: &Place, root: &Path, packages: [&str; N]) -> anyhow::Result<String> {
    let mut command = Command::new("cargo");
    command.current_dir(root).env("CARGO_TARGET_DIR", place.target()).args(["clippy", "--quiet", "--no-deps"]);
    for package in packages {
        command.args(["--package", package]);
    }
    command.args(["--message-format", "short", "--", "--cap-lints", "warn"]);
    let out = command.output().with_context(|| format!("start `{}`", run::text(&command)))?;
    Ok(String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
}

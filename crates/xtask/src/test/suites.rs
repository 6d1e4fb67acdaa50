//! The suites: Rust's tests, the page's, and the browsers'.

use super::Wanted;
use super::outcome::{Counts, Passed, Tally};
use crate::compiler::Compiler;
use crate::ended::failed;
use crate::place::Place;
use crate::setup::node::Node;
use crate::{check, run, say};
use anyhow::Context;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Runs a test runner, shows what it says and reads its counts.
fn runner(command: &mut Command) -> anyhow::Result<Counts> {
    let text = run::text(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start `{text}`"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let errors = std::thread::spawn(move || err.map(read).unwrap_or_default());
    let mut counts = out.map(read).unwrap_or_default();
    counts = counts.plus(errors.join().unwrap_or_default());
    let status = child.wait()?;
    if !status.success() && counts.failed == 0 {
        // It did not even get to its tests.
        return Err(failed(format!("`{text}` failed ({status})")));
    }
    Ok(counts)
}

fn read(stream: impl std::io::Read) -> Counts {
    let mut counts = Counts::default();
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        counts = counts.plus(Counts::read(&line));
        say::line(format!("   | {line}"));
    }
    counts
}

fn suite(name: &str, tally: &mut Tally, command: &mut Command) {
    say::line(format!("   {name}: {}", run::text(command)));
    match runner(command) {
        Ok(counts) => tally.add(name, counts),
        Err(error) => {
            tally.check(name, || Err(error));
        }
    }
}

/// Each fuzz target for ten seconds, always from one seed: what a run finds, the next one finds too. A full run drives them
/// longer, from seeds of its own.
pub fn fuzz(place: &Place, wanted: &Wanted, compiler: Compiler, tally: &mut Tally) {
    if wanted.full || wanted.filter.is_some() {
        return;
    }
    let mut command = Command::new("cargo");
    command.current_dir(&place.root).env("CARGO_TERM_COLOR", "never");
    compiler.of(&mut command);
    command.env("STRONGROOM_FUZZ_SECONDS", "10").env("STRONGROOM_FUZZ_SEED", "20260101");
    // as the suite before was built: not one crate is compiled again
    command.args(["test", "--quiet", "--locked", "--workspace", "--test", "fuzz"]);
    suite("fuzz targets, 10 s each", tally, &mut command);
}

/// All tests of the workspace, fuzz smoke included.
pub fn rust(place: &Place, wanted: &Wanted, compiler: Compiler, tally: &mut Tally) {
    let nextest = run::capture(Command::new("cargo").args(["nextest", "--version"])).is_ok();
    let mut command = Command::new("cargo");
    command.current_dir(&place.root).env("STRONGROOM_BIN", place.binaries()).env("CARGO_TERM_COLOR", "never");
    compiler.of(&mut command);
    if wanted.full {
        command.env("STRONGROOM_FULL", "1");
    }
    if nextest {
        command.args(["nextest", "run", "--locked", "--workspace", "--no-fail-fast", "--no-tests", "pass"]);
        if wanted.full {
            command.args(["--profile", "full"]);
        }
        command.args(["--status-level", "fail", "--final-status-level", "slow", "--show-progress", "none"]);
    } else {
        // Installing nextest takes minutes of compilation on a new machine, more than it saves there.
        say::line("   cargo-nextest is not installed: plain `cargo test` is used");
        command.args(["test", "--quiet", "--locked", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]);
    }
    command.args(&wanted.filter);
    suite("unit, simulation, conformance, end to end, fuzz smoke", tally, &mut command);
}

/// Types and unit tests of the page.
pub fn page(place: &Place, node: &Node, wanted: &Wanted, tally: &mut Tally) {
    if wanted.filter.is_some() {
        tally.skip("page", "a filter was given");
        return;
    }
    tally.check("page: types and rules", || {
        run::logged(node.npm(place).args(["run", "check"]), &place.own("logs/page-check.log"))
    });
    suite("page: unit tests", tally, node.npm(place).args(["test"]));
}

/// The demo, held and watched by real browsers.
pub fn browsers(place: &Place, node: &Node, wanted: &Wanted, built: (Passed, Compiler), tally: &mut Tally) {
    const NAME: &str = "browsers: meeting, replay, export, Firefox, T10, leaving, layers, tcp";
    if wanted.filter.is_some() {
        tally.skip(NAME, "a filter was given");
    } else if built.0 == Passed::No {
        tally.skip(NAME, "the build failed");
    } else if let Some(missing) = ["chromium", "firefox-esr"].into_iter().find(|one| !run::is_there(one)) {
        // a skipped browser test is a failure
        tally.check(NAME, || Err(crate::ended::unavailable(format!("{missing} is not there"))));
    } else {
        tally.check(NAME, || check::probe::build(place, built.1).and_then(|()| check::browsers(place, node, &[])));
        if wanted.full {
            tally.check("browsers: codecs", || check::browsers(place, node, &[check::CODECS.to_owned()]));
            tally.check("browsers: relay", || check::browsers(place, node, &[check::RELAY.to_owned()]));
            tally.check("browsers: network", || check::browsers(place, node, &[check::NETWORK.to_owned()]));
        }
    }
}

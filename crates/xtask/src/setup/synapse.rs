//! The Matrix homeserver of the tests, Synapse from PyPI, in a virtual environment of our own. The demo does not need it.

use crate::place::Place;
use crate::stamp::{Stamp, hash};
use crate::{run, say};
use anyhow::Context;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Exact versions with hashes.
const REQUIREMENTS: &str = "tests/kit/rooms/requirements.txt";

/// Installs it if it is not there; tests in other processes wait meanwhile. Returns the Python that has it.
pub fn provide(place: &Place) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(place.own(""))?;
    let alone = fs::File::create(place.own("synapse.lock")).context("write .strongroom/synapse.lock")?;
    alone.lock().context("wait for the other set-up")?;
    let home = place.own("synapse");
    let python = home.join("bin/python");
    let stamp = Stamp::new(place, "synapse", hash(&place.root, &[REQUIREMENTS]));
    if stamp.holds() && python.is_file() {
        return Ok(python);
    }
    let step = say::step("install the Matrix homeserver of the tests from PyPI");
    let log = place.own("logs/synapse.log");
    run::logged(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home), &log)?;
    let mut pip = Command::new(home.join("bin/pip"));
    // wheels only: nothing here may need a compiler
    pip.args(["install", "--quiet", "--require-hashes", "--no-deps", "--only-binary=:all:", "-r"]);
    run::logged(pip.arg(place.at(REQUIREMENTS)), &log)?;
    stamp.keep()?;
    step.done();
    Ok(python)
}

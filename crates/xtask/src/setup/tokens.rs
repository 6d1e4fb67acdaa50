//! kryoptic, the second test token, as a PKCS#11 module: a package of its own outside the workspace, so that no check of the
//! workspace compiles it.

use crate::place::Place;
use crate::stamp::{Stamp, hash};
use crate::{run, say};
use anyhow::Context;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The package, and all that it is made of.
const PACKAGE: &str = "crates/custody/kryoptic";

/// The built module.
pub fn module(place: &Place) -> PathBuf {
    place.own("lib/libkryoptic_token.so")
}

/// Builds the module if its package changed.
pub fn kryoptic(place: &Place) -> anyhow::Result<()> {
    let stamp = Stamp::new(place, "kryoptic", hash(&place.root, &[PACKAGE]));
    let module = module(place);
    if stamp.holds() && module.is_file() {
        return Ok(());
    }
    let step = say::step("kryoptic, the second test token (half a minute the first time)");
    let target = place.own("kryoptic");
    let mut command = Command::new("cargo");
    command
        .current_dir(place.at(PACKAGE))
        // another workspace: what is told to this one is not for it
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION")
        .env_remove("CARGO_TARGET_DIR")
        .args(["build", "--locked", "--target-dir"])
        .arg(&target);
    run::logged(&mut command, &place.own("logs/kryoptic.log"))?;
    let built = target.join("debug/libkryoptic_token.so");
    if let Some(folder) = module.parent() {
        fs::create_dir_all(folder)?;
    }
    // a process that has the old one open keeps it
    let fresh = module.with_extension("new");
    fs::copy(&built, &fresh).with_context(|| format!("copy {}", built.display()))?;
    fs::rename(&fresh, &module)?;
    stamp.keep()?;
    step.done();
    Ok(())
}

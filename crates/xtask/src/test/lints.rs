//! Clippy as the compiler of what is tested: the crates of the workspace are compiled once, linted, and then run. A
//! `cargo clippy` beside it would read every crate we depend on a second time (7 of 45 minutes on two new cores).

use crate::place::Place;
use crate::{run, say};
use std::process::Command;

/// What the tests are compiled by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Compiler {
    /// The one that refuses what clippy finds.
    Clippy,
    /// The plain one: there are findings, and the tests are to run all the same.
    Plain,
}

impl Compiler {
    /// Makes a `cargo` command use it for the crates of the workspace. The names are those `cargo clippy` itself uses.
    pub fn of(self, command: &mut Command) {
        if self == Self::Clippy {
            command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver");
            command.env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
        }
    }
}

/// Compiles everything and says what clippy finds.
///
/// # Errors
/// When it finds something; all of it stands in the log.
pub fn all(place: &Place) -> anyhow::Result<()> {
    let step = say::step("clippy, and the tests compiled");
    let mut command = Command::new("cargo");
    command.current_dir(&place.root).args(["build", "--locked", "--workspace", "--all-targets", "--keep-going"]);
    Compiler::Clippy.of(&mut command);
    run::logged(&mut command, &place.own("logs/clippy.log"))?;
    step.done();
    Ok(())
}

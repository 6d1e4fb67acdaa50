//! What clippy finds, by compiling everything that is tested.

use crate::compiler::Compiler;
use crate::place::Place;
use crate::{run, say};
use std::process::Command;

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

//! What the crates of the workspace are compiled by. In a test run clippy is: they are compiled once, linted, and then run. A
//! `cargo clippy` beside it would read every crate we depend on a second time (7 of 45 minutes on two new cores), and programs
//! compiled by the plain one beside linted tests would compile the workspace a second time.

use std::process::Command;

/// One of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compiler {
    /// The one that refuses what clippy finds.
    Clippy,
    /// The plain one: nobody asked, or there are findings and the tests are to run all the same.
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

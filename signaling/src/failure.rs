//! Why the service does not start or stops: one line that says what to do, and an exit code.

use std::fmt;

/// A failure of the process.
#[derive(Debug)]
pub enum Failure {
    /// The configuration, or a file it names: the administrator's to mend.
    Config(String),
    /// The machine: a port is taken, a socket cannot be opened.
    Unavailable(String),
}

impl Failure {
    /// 2 usage or configuration, 4 unavailable.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => 2,
            Self::Unavailable(_) => 4,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(text) | Self::Unavailable(text) => f.write_str(text),
        }
    }
}

/// A configuration failure.
pub fn config(text: impl Into<String>) -> Failure {
    Failure::Config(text.into())
}

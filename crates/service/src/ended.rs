//! How a service ends when it does not do what it was asked: one line that says what to do, and an exit code that a
//! supervisor understands.

use crate::config::ConfigError;
use crate::security;
use std::process::ExitCode;

/// Why a process ends, by blame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The configuration, or what it names: starting again changes nothing.
    #[error("{0}")]
    Config(String),
    /// Stored evidence does not hold.
    #[error("{0}")]
    Verification(String),
    /// Something outside is not there now: an address, a token.
    #[error("{0}")]
    Unavailable(String),
    /// Everything else.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// 1 failed, 2 usage or configuration, 3 verification, 4 unavailable.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Other(_) => 1,
            Self::Config(_) => 2,
            Self::Verification(_) => 3,
            Self::Unavailable(_) => 4,
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.to_string())
    }
}

/// The last word of `main`: a failure is in the log, its code is the process's.
pub fn end(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => {
            security::ended(security::Event::Stopped);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            tracing::error!("{failure}");
            security::ended(security::Event::Failed);
            ExitCode::from(failure.exit_code())
        }
    }
}

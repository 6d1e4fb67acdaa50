//! How this program ends when it cannot go on: by blame, each with its exit code.

use crate::token::TokenError;

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The operator must change something in the configuration or the set-up.
    #[error("{0}")]
    Config(String),
    /// Stored evidence does not hold.
    #[error("{0}")]
    Verification(String),
    /// The token, or something else outside, is not there now.
    #[error("{0}")]
    Unavailable(String),
    /// Everything else.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// 1 failed, 2 configuration (a wrong PIN too: a supervisor must not start again), 3 verification, 4 unavailable.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Other(_) => 1,
            Self::Config(_) => 2,
            Self::Verification(_) => 3,
            Self::Unavailable(_) => 4,
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Pin(_) | TokenError::Module { .. } | TokenError::NoKey { .. } => {
                Self::Config(error.to_string())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

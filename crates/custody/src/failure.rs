//! How this program ends when it cannot go on: a wrong PIN is the configuration's, so that a supervisor does not try again
//! and lock the token; a token that is gone may come back.

use crate::token::TokenError;

pub use service::ended::Failure;

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Pin(_) | TokenError::Module { .. } | TokenError::NoKey { .. } | TokenError::OtherKey { .. } => {
                Self::Config(error.to_string())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

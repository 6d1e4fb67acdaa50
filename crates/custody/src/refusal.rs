//! How a request that is not carried out is answered: a stable code, and a text that says what to do.

use crate::token::TokenError;
use domain::message::custody::CustodyProblem;

/// A request that is not carried out.
#[derive(Debug)]
pub struct Refusal(pub CustodyProblem);

/// Refuses with a stable code and a text that says what to do.
pub fn refuse<T>(code: &str, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(CustodyProblem { code: code.to_owned(), detail: detail.into() }))
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Pin(_) => "pin-incorrect",
            TokenError::Missing { .. } => "token-missing",
            TokenError::Sealed => "bad-request",
            _ => "unavailable",
        };
        tracing::warn!("{error}");
        Self(CustodyProblem { code: code.to_owned(), detail: error.to_string() })
    }
}

impl From<custody::id_token::Refused> for Refusal {
    fn from(refused: custody::id_token::Refused) -> Self {
        Self(CustodyProblem { code: "bad-token".to_owned(), detail: refused.to_string() })
    }
}

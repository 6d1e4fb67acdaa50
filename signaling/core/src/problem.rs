//! Problems in the words of the wire: one constructor per blame, so that details never carry personal data.

use domain::FirmId;
use domain::message::client::{Problem, ProblemCode};

/// A problem of nobody's firm in particular.
pub fn problem(code: ProblemCode, detail: impl Into<String>) -> Problem {
    Problem { code, detail: detail.into(), firm: None }
}

/// A problem made by one firm's rule.
pub fn of_firm(code: ProblemCode, detail: impl Into<String>, firm: &FirmId) -> Problem {
    Problem { code, detail: detail.into(), firm: Some(firm.clone()) }
}

/// Not a message we know, too long, or out of order.
pub fn bad_message(detail: impl Into<String>) -> Problem {
    problem(ProblemCode::BadMessage, detail)
}

/// Its firm ended this certificate before its time.
pub fn revoked() -> Problem {
    problem(ProblemCode::Removed, "your firm ended your sign-in: sign in again, or ask your firm")
}

//! How the program ends: a text for the person and an exit code (0 ok, 1 failed, 2 usage, 3 verification failed,
//! 4 something it needs is not there).

use std::fmt;

/// The program ends with this code; the text says what to do.
#[derive(Debug)]
pub struct Ended {
    /// Exit code.
    pub code: u8,
    /// What happened and what to do.
    pub text: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
impl std::error::Error for Ended {}

/// A check did not hold, or a step failed in a way already explained.
pub fn failed(text: impl Into<String>) -> anyhow::Error {
    Ended { code: 1, text: text.into() }.into()
}
/// Called the wrong way.
pub fn usage(text: impl Into<String>) -> anyhow::Error {
    Ended { code: 2, text: text.into() }.into()
}
/// The system lacks something that this program may not or cannot put there.
pub fn unavailable(text: impl Into<String>) -> anyhow::Error {
    Ended { code: 4, text: text.into() }.into()
}

//! Why the service does not start or stops: one line that says what to do, and an exit code.

pub use service::ended::Failure;

/// A configuration failure.
pub fn config(text: impl Into<String>) -> Failure {
    Failure::Config(text.into())
}

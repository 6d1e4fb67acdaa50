//! The log: standard error, `info` unless `RUST_LOG` says else, for people or as JSON lines. Neither names nor keys are
//! written at `info`.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A person.
    Text,
    /// A machine: one JSON object a line.
    Json,
}

impl Form {
    /// As the flag `--json` says.
    pub fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

/// Starts the process's log; once, before anything else.
pub fn start(form: Form) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let stderr = std::io::stderr;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    let log = log.with_ansi(stderr().is_terminal());
    match form {
        Form::Json => log.json().init(),
        Form::Text => log.init(),
    }
}

//! What the edge of every service does the same way: read its configuration, write its log, listen, say how it is
//! (`/livez`, `/readyz`, `/metrics`), report what concerns security, say how long its work took, end with an exit code.
//!
//! Knows nothing of meetings, keys or messages, so that the operator's binaries may link it as well as a firm's.

pub mod config;
pub mod ended;
#[cfg(feature = "http")]
pub mod listen;
pub mod log;
pub mod metrics;
mod nearest;
pub mod operations;
pub mod security;
pub mod stop;
pub mod traces;

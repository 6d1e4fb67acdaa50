//! The recorder's stores against real S3 servers.

mod drill;
mod probe;
mod retention;
mod upload;

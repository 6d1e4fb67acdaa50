//! The recorder's stores against real S3 servers.

mod probe;
mod upload;

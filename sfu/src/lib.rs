//! The SFU's edge: UDP shards, transports, control link, record link and metrics. What is forwarded to whom is decided in
//! [`sfu_core`]; no key above SRTP ever comes here.

pub mod admin;
pub mod config;
pub mod control;
pub mod fence;
pub mod node;
mod placement;
pub mod record;
pub mod shard;
pub mod shards;
pub mod tcp;
pub mod tls;
pub mod transport;

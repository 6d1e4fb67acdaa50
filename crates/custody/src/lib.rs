//! Custody as its users see it: the client of a custody socket and the sealing of meeting keys to archive public keys.
//!
//! Owns the framing of the socket, the sealed form of a meeting key and the probes of archive keys. Holds no token and no private key: those live in
//! the binary `strongroom-custody`, one process per token, and nowhere else.

pub mod client;
pub mod frame;
pub mod probe;
pub mod sealing;

pub use client::{Client, CustodyError};

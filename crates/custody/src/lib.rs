//! Custody as its users see it: the client of a custody socket and the sealing of meeting keys to archive public keys.
//!
//! Owns the framing of the socket, the sealed form of a meeting key, the probes of archive keys, and how ID tokens are judged.
//! Holds no token and no private key: those live in the binary `strongroom-custody`, one process per token, and nowhere else.

pub mod client;
pub mod frame;
pub mod id_token;
pub mod probe;
pub mod sealing;

pub use client::{Client, CustodyError};

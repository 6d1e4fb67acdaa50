//! The test kit: a whole running system of real binaries and real tokens, native participants, and eyes on memory, disk
//! and wire. Linked by tests alone; the only place where a fake may live, and it says so.

pub mod dice;
pub mod firms;
pub mod memory;
pub mod oidc;
pub mod people;
pub mod slapd;
pub mod system;
pub mod wire;

pub use store_servers as stores;

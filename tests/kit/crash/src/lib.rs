//! Crash campaigns at the recorder's own core and journal: a process of its own records a seeded meeting and says over a
//! pipe what it acknowledges, after fsync; it is killed, or the power of its disk is cut, at a random moment; then its files
//! are read and everything acknowledged must be there, byte for byte.
//!
//! It owns no format: what is on disk is judged by `evidence`'s reader and, once a meeting is closed, by `verify`.

pub mod firm;
pub mod judge;
pub mod kills;
pub mod power;
pub mod promise;
pub mod recording;
pub mod stream;

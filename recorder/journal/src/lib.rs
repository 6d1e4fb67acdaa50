//! The files of an archive while it grows: a folder behind a trait, group commits on it, and what may be believed after
//! one failed. A library of its own, so that crash campaigns and benches drive exactly what the recorder runs.
//!
//! It owns no socket and no key; what is written and when is `recorder_core`'s to say.

pub mod journal;
pub mod store;

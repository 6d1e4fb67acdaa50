//! Replay: from the archive's ciphertext to one gapless WebM per person, in memory, for the time of a grant.

pub mod grants;
pub mod keys;
pub mod lanes;
pub mod marks;
pub mod memory;
pub mod opening;
pub mod timeline;

//! Replay: from the archive's ciphertext to gapless WebM per person and part, in memory, for the time of a grant.

pub mod files;
pub mod grants;
pub mod keys;
pub mod lanes;
pub mod marks;
pub mod memory;
pub mod opening;
pub mod plan;
pub mod reel;
mod stitch;
pub mod timeline;

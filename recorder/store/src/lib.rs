//! Where sealed archives go beside the recorder's own disk: an S3 bucket with Object Lock, or a directory.
//!
//! Owns the boundary [`ArchiveStore`], the probe that proves what a store keeps, the class that follows from it, the
//! upload with its verified read-back, the way back, and the life of a meeting after it was closed. It holds no key: what
//! it carries is ciphertext and signed records.

pub mod away;
pub mod class;
pub mod config;
pub mod directory;
pub mod drill;
pub mod layout;
pub mod log;
pub mod probe;
pub mod restore;
pub mod retention;
pub mod s3;
pub mod scrub;
pub mod state;
pub mod store;
pub mod trim;
pub mod upload;

pub use class::{Class, Demand, NotPermitted, permits};
pub use config::StoreConfig;
pub use probe::{Probe, probe};
pub use store::{ArchiveStore, Attack, Hold, Lock, StoreError, Version};

//! What needs a secret: leaf keys, SFrame, sealing of base keys for the archive, the human code; and with the feature
//! `mls` (on by default) the MLS group and the whole client side of a meeting.
//!
//! Native participants, recorder and browser run this same code, so a check cannot exist on one side only. Sans-IO: no
//! socket, no clock. What can be judged without a secret is in `evidence`.
//!
//! - [`session`]: one participant in one meeting; the only thing most callers need.
//! - [`sframe`]: frames sealed and opened; [`sframe::Opener`] alone is enough for a replay.
//! - [`escrow`]: base keys sealed under a meeting key.
//! - [`file`]: files sealed in chunks.
//! - [`said`]: written words sealed under a key of their epoch.

pub mod code;
pub mod escrow;
pub mod file;
pub mod leaf;
#[cfg(feature = "mls")]
mod mls;
pub mod said;
#[cfg(feature = "mls")]
pub mod session;
pub mod sframe;

#[cfg(feature = "mls")]
pub use session::{Event, Output, Session, SessionConfig};

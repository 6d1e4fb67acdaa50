//! The vocabulary of Strongroom: typed ids, units, media kinds, policy and every message on every wire.
//!
//! No I/O, no clock, no randomness, no cryptography. The operator's services and the browser share this crate, so
//! whatever stands here is public knowledge. Wire types live in [`message`] and nowhere else (law 3).

pub mod bytes64;
pub mod calendar;
pub mod files;
pub mod ids;
pub mod limits;
pub mod media;
pub mod message;
pub mod policy;
pub mod sframe;
pub mod units;

pub use bytes64::B64;
pub use ids::{BlobId, DeviceId, FirmId, MeetingId, ParticipantId, RoomId, UserId};
pub use media::{Codec, MediaKind, TransportKind};
pub use units::{Ctr, Epoch, Kid, LeafIndex, Slot, UnixMillis};

//! Signaling without I/O: who is in a meeting, and in which order its group changes.
//!
//! [`admission`] proves a connection's certificate, [`room`] starts and ends meetings and parks recorders until a person
//! comes, [`meeting`] keeps roster, silence, removals and relays, [`delivery`] is the MLS delivery service (RFC 9750): it
//! observes the group, orders commits, asks committers and settles refusals, [`feed`] says whether the directory is heard.
//!
//! Told time, randomness and signatures ([`ports`]); holds no media key, no group secret, no socket. It never joins a
//! group: law 1.

pub mod admission;
pub mod bucket;
pub mod delivery;
pub mod feed;
pub mod limits;
mod lobby;
pub mod meeting;
pub mod ports;
pub mod problem;
pub mod room;

pub use admission::{Handshake, Proven, Step};
pub use feed::{Feed, Turn};
pub use meeting::{Seen, View};
pub use ports::{ConnId, Input, OrderSigner, Output, Ports, Randomness, Revoked};
pub use room::{Member, Room, RoomRecord};

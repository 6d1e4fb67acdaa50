//! What signaling reads and keeps outside itself: rooms, through [`RoomDirectory`], and its durable truth, in [`Records`].
//! Owns no meeting and judges nobody: signaling does, from what is read here.

pub mod database;
pub mod directory;
pub mod embedded;
pub mod matrix;
pub mod outside;
pub mod records;
pub mod symphony;

pub use directory::{Batch, Change, Cursor, DirectoryError, Member, Notice, Role, Room, RoomDirectory, State};
pub use embedded::Embedded;
pub use records::Records;

//! Rooms, meetings and the delivery service with real MLS members, in virtual time: every rule is a test.
//!
//! `firms` makes certificates and statements, `member` is a client that does what it is asked (or not), `world` runs a
//! room, its members and an SFU.
// members must join groups here; the shipped crate must not
#![allow(clippy::disallowed_types, clippy::unwrap_used, missing_docs)]

mod adds;
mod admission;
mod commits;
mod doors;
mod files;
mod firms;
mod guests;
mod hosts;
mod media;
mod member;
mod recorders;
mod refusals;
mod removals;
mod resyncs;
mod sessions;
mod terms;
mod world;

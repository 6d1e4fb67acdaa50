//! The session against a delivery service in memory and a virtual clock: joins, epochs, removals, resyncs, poor orders
//! of messages, the must-record rule, and the attacks that need a group.
#![expect(clippy::unwrap_used, reason = "tests")]

mod attacks;
mod away;
mod chat;
mod deal;
mod files;
mod firm;
mod flow;
mod hosts;
mod must;
mod net;
mod paired;
mod rogue;
mod unruly;

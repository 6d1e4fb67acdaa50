//! Servers of existing rooms for tests, real ones on loopback wherever there is one: PostgreSQL and
//! Synapse. Symphony has none, so it is a fake. Each ends with its value.

pub mod postgres;
mod process;
pub mod symphony;
pub mod synapse;

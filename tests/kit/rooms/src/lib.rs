//! Servers that signaling talks to, for tests: real ones on loopback wherever there is one, PostgreSQL and Synapse. Symphony
//! has none, so it is a fake; so is the collector of traces. Each ends with its value.

pub mod collector;
pub mod postgres;
mod process;
pub mod symphony;
pub mod synapse;

//! Servers of existing rooms for tests, real ones on loopback wherever there is one: PostgreSQL. Each ends with its value.

pub mod postgres;
mod process;

//! End to end: real binaries, real tokens, native participants in the same group as any browser. One system per test,
//! on free ports, ended by the test.
// what was measured is printed: `cargo xtask check rooms` reads it
#![allow(clippy::print_stdout)]

mod away;
mod canary;
mod chat;
mod custody;
mod files;
mod hostile;
mod identity;
mod incident;
mod meeting;
mod paired;
mod record;
mod refusals;

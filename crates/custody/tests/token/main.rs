//! The real binary on both test tokens, each test on each: ceremony, certificates and their refusals, statements, openings, and what happens
//! when PIN, token or ledger are not as they should be.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "what was measured is printed")]

mod ceremony;
mod certify;
mod ended;
mod faults;
mod house;
mod idp;
mod keys;
mod opening;
mod recorder_host;
mod spoiled;

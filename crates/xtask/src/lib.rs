//! Set-up, demo, checks and tests of a checkout: the library of `cargo xtask`, and of the test kit that starts the same
//! system. Linked by no product binary.

pub mod args;
pub mod binaries;
pub mod check;
pub mod compiler;
pub mod demo;
pub mod ended;
pub mod laws;
pub mod page_hash;
pub mod place;
pub mod run;
pub mod say;
pub mod sbom;
pub mod setup;
pub mod stamp;
pub mod test;

//! One suite over all room directories, each at its real server where there is one.
#![allow(clippy::unwrap_used, missing_docs)]

mod embedded;
mod suite;

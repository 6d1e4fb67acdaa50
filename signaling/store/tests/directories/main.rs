//! One suite over all room directories, each at its real server where there is one.
#![allow(clippy::unwrap_used, missing_docs, clippy::print_stdout)]

mod embedded;
mod matrix;
mod records;
mod suite;
mod symphony;

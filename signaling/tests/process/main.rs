//! The real binary on free ports: bad input gets a clear answer and harms nobody, mistakes in the configuration are one
//! line that says what to do, and a person and an SFU find each other.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod cost;
mod document;
mod edge;
mod incidents;
mod mistakes;
mod rest;
mod rooms;
mod site;
mod traces;

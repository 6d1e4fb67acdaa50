//! The front as its users meet it: over HTTP, with a custody in software behind real sockets and a real archive.

mod access;
mod admin;
mod away;
mod bundle;
mod files;
mod guests;
pub(crate) mod kit;
mod paired;
mod replay;
mod retention;
mod review;
mod scale;
mod supervision;
mod written;

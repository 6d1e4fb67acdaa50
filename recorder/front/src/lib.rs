//! `strongroom-front`, one per firm on its own host name: pages, login, enrolment, review and replay.
//!
//! Serves its own firm's people and nobody else. It holds no private key: certificates come from custody *people*, a
//! meeting key comes from custody *archive* against two officers' signatures, for the time of a grant, in memory. It
//! never links GStreamer; composed exports are made by `strongroom-export` in a sandbox.

pub mod admin;
pub mod api;
pub mod app;
pub mod clock;
pub mod config;
pub mod directory;
pub mod export;
pub mod http;
pub mod ics;
pub mod idp;
pub mod leavers;
pub mod oidc;
pub mod operations;
pub mod problem;
pub mod replay;
pub mod review;
pub mod rooms;
pub mod session;
pub mod webm;

#[cfg(test)]
mod tests;

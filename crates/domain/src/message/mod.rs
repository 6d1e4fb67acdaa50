//! Every message on every wire, versioned. Edges convert; nothing else defines a wire type (law 3).
//!
//! | wire | module | carrier |
//! |---|---|---|
//! | participant or recorder <-> signaling | [`client`] | WebSocket, JSON text |
//! | SFU <-> signaling | [`control`] | WebSocket over mutual TLS, JSON text |
//! | recorder <-> SFU | [`record_link`] | mutual TLS, length-framed CBOR |
//! | front, recorder <-> custody | [`custody`] | Unix socket, length-framed CBOR |
//! | page <-> its firm's front | [`front`], [`review`], [`retention`], [`admin`] | HTTP, JSON |
//! | member <-> member | [`member`] | MLS application message, CBOR |
//! | programs <-> signaling | [`rest`], [`incident`] | HTTP, JSON; `docs/api/openapi.json` |
//! | front -> export | [`export`] | pipe, length-framed CBOR |

pub mod admin;
pub mod client;
pub mod control;
pub mod custody;
pub mod export;
pub mod front;
pub mod incident;
pub mod member;
pub mod record_link;
pub mod rest;
pub mod retention;
pub mod review;

/// Version of the participant's protocol; signaling refuses another with `upgrade`.
pub const PROTOCOL: u16 = 1;

/// Number of this client, raised with each release; statements may ask for a newer one (`oldest_client`).
pub const CLIENT: u32 = 1;

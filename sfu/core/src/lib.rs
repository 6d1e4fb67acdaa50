//! The forwarding engine of the SFU: meetings, participants, tracks, subscriptions, and everything that is decided about
//! a packet once its hop encryption is off.
//!
//! Sans-IO and deterministic: it is told the time ([`Micros`]), random numbers (a seed) and bytes, and it is asked for
//! what to send. No socket, no clock, no key; it never sees more of a frame than its RTP headers, the VP8 payload
//! descriptor, the shim byte and the SFrame header.
//!
//! The edge drives it so: [`Engine::handle`] for events, [`Engine::handle_rtp`] and [`Engine::handle_rtcp`] for opened
//! packets, [`Engine::poll_forward`] until it has nothing, [`Engine::poll_output`] until `None`, then sleep until
//! [`Engine::poll_timeout`] and call [`Engine::handle_timeout`].

pub mod allowance;
pub mod congestion;
pub mod contain;
pub mod engine;
pub mod feedback;
pub mod forward;
pub mod gaps;
pub mod grace;
pub mod history;
pub mod keyframe;
pub mod layers;
pub mod leaves;
pub mod load;
pub mod media;
pub mod meeting;
pub mod participant;
pub mod reception;
pub mod record;
pub mod recording;
pub mod rewrite;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod speaker;
pub mod stats;
pub mod subscription;
pub mod time;
pub mod track;
pub mod tripwire;

#[cfg(test)]
mod tests;

pub use congestion::BitRate;
pub use engine::{Engine, Input, Output};
pub use forward::{Cut, TAG};
pub use load::Shed;
pub use participant::PeerKey;
pub use record::{LinkId, Record};
pub use stats::Stats;
pub use time::Micros;

//! The native participant: joins a meeting as a browser does, with the same `e2ee` core, on the crate `webrtc`.
//!
//! Stands under tests, load generator and firm-owned edges (bots, captions, dial-in). It logs in at its firm's front,
//! makes its leaf key, proves it to signaling and then publishes and opens frames. It is a member like any other: it
//! must not see what a browser would not.

pub mod login;
pub mod meeting;
pub mod packets;
pub mod peer;
pub mod picture;

/// Why a participant could not do something, by blame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParticipantError {
    /// The machine, the network or a library.
    #[error("could not {doing}: {what}")]
    Environment {
        /// What we were doing.
        doing: &'static str,
        /// What came back.
        what: String,
    },
    /// A server said no.
    #[error("refused while we tried to {doing}: {what}")]
    Refused {
        /// What we were doing.
        doing: &'static str,
        /// Its reason.
        what: String,
    },
    /// The other side broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Peer(String),
}

/// Turns a library's error into ours.
pub(crate) fn environment<E: std::fmt::Display>(doing: &'static str) -> impl Fn(E) -> ParticipantError {
    move |error| ParticipantError::Environment { doing, what: error.to_string() }
}

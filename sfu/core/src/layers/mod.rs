//! Layers of published sources: which one each subscriber and each recorder is sent, and which ones nobody needs.
//!
//! A source with several encodings (simulcast) is several [`crate::track::Track`]s, one a layer, that share a first one,
//! the *lead*; a source whose encodings are nested in one stream (SVC, temporal layers) is one track whose packets are
//! left out. Both are rungs of one [`ladder::Ladder`]. Here is decided, [`crate::forward`] carries it out.

pub mod allocate;
pub mod choice;
pub mod feeds;
pub mod follow;
pub mod ladder;
pub mod needs;
pub mod raise;
pub mod rate;
pub mod record;
pub mod retry;
pub mod wishes;

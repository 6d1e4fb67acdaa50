//! The recorder without its sockets and files: record-link messages in, group commits, acknowledgements, receipts and
//! beacons out. It is told the time and the bytes; keys stay behind the [`Opener`].
//!
//! The rule everything here serves: nothing is acknowledged before it is durable.

pub mod account;
pub mod depacketize;
pub mod files;
pub mod index;
pub mod meeting;
pub mod ranges;
pub mod reassembly;
pub mod rtp;
pub mod speech;
pub mod store;
pub mod summary;

pub use index::{FrameRuns, Index};
pub use meeting::{
    Config, FileRule, Found, Input, Meeting, Now, Opener, Output, Part, Phase, Recovered, Verdict, Wants,
};
pub use store::{Batch, FileId};
pub use summary::{Parts, Summary};

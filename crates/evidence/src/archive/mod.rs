//! The archive's formats and proofs: records, segments, manifests, Merkle trees and the firm's log.
//!
//! Pure functions over bytes: no file, no clock, no secret. The recorder writes with these, custody and front read the
//! meeting manifest, and the offline verifier checks all of it. What a frame says is not known here: records hold
//! SFrame ciphertext as the sender made it.
//!
//! ```text
//! archive/<firm>/<yyyy>/<mm>/<meeting>/meeting.cose        MeetingManifest, COSE_Sign1 by the record key; written last
//!                                     /proof.cbor          LogProof of the SHA-256 of meeting.cose
//!                                     /stamp.tsr           RFC 3161 TimeStampResp over meeting.cose
//!                                     /events.seg          joins, leaves, epochs, sender manifests, receipts, gaps
//!                                     /tracks/<t>/<n>.seg  one source of one participant: SFrame ciphertext
//!                                     /segments/*.cose     SegmentManifest, COSE_Sign1 by the record key
//!                                     /keys/sealed.cbor    Vec<SealedKeys>: meeting keys for the archive tokens
//!                                     /keys/epochs.cbor    CBOR sequence of EpochKey: base keys under a meeting key
//! archive/<firm>/log/                                      checkpoint and hash tiles (C2SP tlog-tiles)
//! ```

mod crc;
pub mod digest;
pub mod event;
pub mod log;
pub mod manifest;
pub mod merkle;
pub mod record;
pub mod segment;

pub use digest::{Digest, sha256};
pub use event::{ArchiveEvent, FileGap, Gap, GapCause};
pub use log::{Checkpoint, LogProof};
pub use manifest::{
    Attendance, ClockState, CopyWanted, EpochEntry, EpochKey, FileEntry, MeetingManifest, SealedKey, SealedKeys,
    SegmentEntry, Tags, TrackEntry,
};
pub use record::{Media, Placed, Record, RecordError, SegmentHeader, SegmentReader, TrackInfo};
pub use segment::{SegmentManifest, SegmentMark, SegmentWriter};

/// Label of a signed [`SegmentManifest`].
pub const SEGMENT_LABEL: &str = "strongroom segment v1";
/// Label of a signed [`MeetingManifest`].
pub const MEETING_LABEL: &str = "strongroom meeting v1";
/// Label of a signed log checkpoint; its payload is the note's text.
pub const CHECKPOINT_LABEL: &str = "strongroom checkpoint v1";

/// Names of files inside a meeting's folder.
pub mod names {
    /// [`super::MeetingManifest`], signed.
    pub const MEETING: &str = "meeting.cose";
    /// [`super::LogProof`].
    pub const PROOF: &str = "proof.cbor";
    /// RFC 3161 time stamp of [`MEETING`], as the authority answered; comes when it answers.
    pub const STAMP: &str = "stamp.tsr";
    /// The event segment.
    pub const EVENTS: &str = "events.seg";
    /// [`super::SealedKeys`] of every incarnation.
    pub const SEALED_KEYS: &str = "keys/sealed.cbor";
    /// [`super::EpochKey`]s, one after the other.
    pub const EPOCH_KEYS: &str = "keys/epochs.cbor";
    /// Folder of the books of retention, below the firm's.
    pub const BOOKS: &str = "retention";
    /// Folder of acts of retention that officers signed on the front's pages, below the archive's: `<id>` and [`ACT`], and
    /// beside it `<id>` and [`CONSENT`]. Below the firm's: what the recorder says of each, `<id>.json`.
    pub const ACTS: &str = "acts";
    /// `evidence::retention::Act`, signed.
    pub const ACT: &str = ".act.cose";
    /// `evidence::retention::Consent`, signed.
    pub const CONSENT: &str = ".consent.cose";
}

/// The label that custody puts on what the record key signs.
pub fn label(kind: domain::message::custody::RecordKind) -> &'static str {
    use domain::message::custody::RecordKind;
    match kind {
        RecordKind::Segment => SEGMENT_LABEL,
        RecordKind::Meeting => MEETING_LABEL,
        RecordKind::Checkpoint => CHECKPOINT_LABEL,
    }
}

pub(crate) use crate::cbor::encode as to_cbor;

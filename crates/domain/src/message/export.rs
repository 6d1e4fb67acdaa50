//! Front to `strongroom-export` by its standard input: u32 big-endian length, then CBOR of [`ToExport`]. The composed
//! WebM goes to the path given on the command line, progress to standard output as JSON lines [`Progress`].

use crate::MediaKind;
use serde::{Deserialize, Serialize};

/// Lanes of one composed picture: tiles that still show a face at 1280 x 720.
pub const MAX_LANES: usize = 25;

/// To the sandboxed exporter.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToExport {
    /// First message.
    Begin {
        /// Length of the whole, ms.
        duration_ms: u64,
        /// Burned into the picture.
        watermark: String,
        /// Names for the tiles, one per lane.
        lanes: Vec<String>,
    },
    /// One clear frame, in order of time over all lanes.
    Frame {
        /// Lane.
        lane: u32,
        /// Sound (Opus) or picture (VP8).
        kind: MediaKind,
        /// From the begin, microseconds.
        pts_us: u64,
        /// Key frame?
        key_frame: bool,
        /// The frame.
        #[serde(with = "super::record_link::bytes_field")]
        data: Vec<u8>,
    },
    /// No more.
    End,
}

/// A line on standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Progress {
    /// Going on.
    Running {
        /// 0 to 99.
        percent: u8,
    },
    /// Written.
    Done {
        /// Bytes.
        bytes: u64,
    },
    /// Not written.
    Failed {
        /// What happened.
        detail: String,
    },
}

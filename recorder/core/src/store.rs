//! Names of the files of an archive, and the unit in which they are made durable.

/// A file of a meeting's folder that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileId {
    /// A segment of a track.
    Track {
        /// Track, from 1.
        track: u32,
        /// Segment of it, from 1.
        index: u32,
    },
    /// Sealed base keys.
    EpochKeys,
    /// The events.
    Events,
}

impl FileId {
    /// Path in the meeting's folder. No name of a person is in it.
    pub fn path(self) -> String {
        match self {
            Self::Track { track, index } => format!("tracks/{track:04}/{index:05}.seg"),
            Self::EpochKeys => evidence::archive::names::EPOCH_KEYS.to_owned(),
            Self::Events => evidence::archive::names::EVENTS.to_owned(),
        }
    }
    /// Path of the index of a track's segment; `None` of what has none.
    pub fn index_path(self) -> Option<String> {
        match self {
            Self::Track { track, index } => Some(format!("index/{track:04}/{index:05}.idx")),
            Self::EpochKeys | Self::Events => None,
        }
    }
    /// Path of the signed manifest of a segment.
    pub fn manifest_path(self) -> String {
        match self {
            Self::Track { track, index } => format!("segments/{track:04}-{index:05}.cose"),
            Self::EpochKeys | Self::Events => "segments/events.cose".to_owned(),
        }
    }
}

/// One group commit. The edge appends `writes`, makes these files durable, then appends `events` and makes that durable
/// (so that what the events claim is true whatever a power loss keeps), then reports the ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Counts up.
    pub ticket: u64,
    /// Bytes for the ends of files, each file once; a file that is not there is made.
    pub writes: Vec<(FileId, Vec<u8>)>,
    /// Bytes for the end of the event segment.
    pub events: Vec<u8>,
    /// Bytes for the ends of the indexes of these segments, once all else is durable; nobody waits for them.
    pub indexes: Vec<(FileId, Vec<u8>)>,
}

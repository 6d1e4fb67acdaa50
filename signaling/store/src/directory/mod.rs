//! [`RoomDirectory`]: existing secure rooms as signaling sees them. An adapter for each place where rooms live; all pass one
//! suite (`tests/directories`). A directory is asked, never trusted with a key.

use async_trait::async_trait;
use domain::{FirmId, MeetingId, RoomId, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Longest time [`RoomDirectory::changes`] waits where nothing changes: signaling must hear of a living feed six times in
/// the 30 s after which it counts as lost.
pub const FEED_WAIT: Duration = Duration::from_secs(5);
/// Most members of one room that are read: ten times the largest meeting.
pub const MAX_MEMBERS: usize = 10_000;

/// A room as its directory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Title, for people.
    pub title: String,
    /// May meetings run in it?
    pub state: State,
    /// Members, ordered by firm and user.
    pub members: Vec<Member>,
    /// What else the directory says of it, in its own words: shown, never enforced.
    pub attributes: BTreeMap<String, String>,
}

/// Is a room in use?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is.
    Open,
    /// Deactivated or archived: whoever is in a meeting of it leaves.
    Closed,
}

/// A member of a room.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Whose person.
    pub firm: FirmId,
    /// Who.
    pub user: UserId,
    /// What it may do.
    pub role: Role,
    /// Groups of its firm it is in; information barriers name them.
    pub groups: BTreeSet<String>,
}

/// What a member may do in meetings of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Takes part.
    Participant,
    /// May remove others too.
    Host,
}

/// A place in the stream of changes; only the directory that made it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

/// What happened since a cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Where to go on.
    pub cursor: Cursor,
    /// In order; empty where nothing happened within [`FEED_WAIT`].
    pub changes: Vec<Change>,
}

/// One change. It says where to look, not what is there: whoever reads the room afterwards cannot be misled by a change
/// that came twice, late or in another order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Members, roles, title or state of this room may differ from before.
    Room(RoomId),
    /// The stream has a hole: every room may differ from before.
    Reset,
}

/// Told to the people of a room, in the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A meeting began.
    Started {
        /// Which.
        meeting: MeetingId,
    },
    /// These firms keep a copy of it.
    Recorded {
        /// Which.
        meeting: MeetingId,
        /// Their firms, ordered.
        firms: Vec<FirmId>,
    },
    /// It is over.
    Ended {
        /// Which.
        meeting: MeetingId,
    },
}

impl Notice {
    /// Stable word for its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Started { .. } => "meeting-started",
            Self::Recorded { .. } => "meeting-recorded",
            Self::Ended { .. } => "meeting-ended",
        }
    }

    /// Of which meeting it tells.
    pub fn meeting(&self) -> &MeetingId {
        match self {
            Self::Started { meeting } | Self::Recorded { meeting, .. } | Self::Ended { meeting } => meeting,
        }
    }

    /// One line for people; rooms of other systems have one language only, so this is English.
    pub fn text(&self) -> String {
        match self {
            Self::Started { .. } => "A Strongroom meeting of this room has begun.".to_owned(),
            Self::Recorded { firms, .. } => {
                let firms: Vec<&str> = firms.iter().map(FirmId::as_str).collect();
                format!("This meeting is recorded by {}.", firms.join(", "))
            }
            Self::Ended { .. } => "The Strongroom meeting of this room is over.".to_owned(),
        }
    }
}

/// Why a directory does not answer. No text here holds a name of a person.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// Nobody answers, or not in time.
    #[error("the room directory is not reached: {0}")]
    Unreachable(String),
    /// It does not want us: credentials, or rights.
    #[error("the room directory refuses us: {0}")]
    Refused(String),
    /// It answers what makes no sense.
    #[error("the room directory's answer cannot be used: {0}")]
    Unusable(String),
}

/// Where rooms live.
#[async_trait]
pub trait RoomDirectory: Send + Sync {
    /// A room with its members, as it is now; `None` when there is none of this id.
    async fn room(&self, room: &RoomId) -> Result<Option<Room>, DirectoryError>;

    /// What happened since `since`; waits up to [`FEED_WAIT`] for something to happen. Without a cursor, or where it is too
    /// old or not known: [`Change::Reset`] and the present place. An answer says that the feed lives.
    async fn changes(&self, since: Option<&Cursor>) -> Result<Batch, DirectoryError>;

    /// Tells the people of the room. What cannot be told is an error, and harms no meeting.
    async fn post(&self, room: &RoomId, notice: &Notice) -> Result<(), DirectoryError>;
}

//! What the core is told and what it asks for: connections by number, time with every call, randomness and the order
//! key's signature through two small traits.

use crate::admission::Proven;
use crate::meeting::Held;
use crate::room::{Member, RoomRecord};
use domain::message::client::{ToClient, ToServer};
use domain::message::control::{FromSfu, ToSfu};
use domain::{FirmId, MeetingId, ParticipantId, UserId};
use evidence::identity::TrustMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One WebSocket of a participant; never reused while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// Random bytes from outside.
pub trait Randomness: Send + Sync {
    /// 32 fresh bytes.
    fn bytes(&self) -> [u8; 32];
}

/// The delivery service's order key.
pub trait OrderSigner: Send + Sync {
    /// Signs a SHA-256 hash: r||s.
    fn sign(&self, hash: &[u8; 32]) -> [u8; 64];
}

/// Everything a room needs from outside besides its inputs.
#[derive(Clone)]
pub struct Ports {
    /// Pinned firms.
    pub trust: Arc<TrustMap>,
    /// Order key.
    pub signer: Arc<dyn OrderSigner>,
    /// Randomness.
    pub random: Arc<dyn Randomness>,
    /// What all meetings together hold of files.
    pub held: Held,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports(…)")
    }
}

/// What happens to a room.
#[derive(Debug, Clone)]
pub enum Input {
    /// A connection proved who it is; the directory's view of the room comes with it.
    Join {
        /// Which connection.
        conn: ConnId,
        /// Who.
        proven: Box<Proven>,
        /// The room as the directory has it now.
        room: Arc<RoomRecord>,
    },
    /// A connection proved who it is while the directory does not answer: who is in the running meeting comes back into it,
    /// nobody else comes in.
    Return {
        /// Which connection.
        conn: ConnId,
        /// Who.
        proven: Box<Proven>,
    },
    /// A message of a connection that joined.
    Message {
        /// Which connection.
        conn: ConnId,
        /// What.
        message: Box<ToServer>,
    },
    /// The connection answered a WebSocket ping.
    Alive {
        /// Which connection.
        conn: ConnId,
    },
    /// The connection is gone.
    Closed {
        /// Which connection.
        conn: ConnId,
    },
    /// From the SFU, about this room's meeting; its `Hello` says that the link stands.
    Sfu(Box<FromSfu>),
    /// The control link is lost.
    SfuLost,
    /// Certificates that their firms ended: all of them, each time.
    Revoked(Revoked),
    /// The directory took someone out of the room.
    MembershipEnded {
        /// Firm.
        firm: FirmId,
        /// Who.
        user: UserId,
    },
    /// The directory says something else of a member than before.
    MemberChanged(Member),
    /// Somebody with the right to it takes a person out of the running meeting, on all devices; it stays out of it.
    Expelled {
        /// Firm.
        firm: FirmId,
        /// Who.
        user: UserId,
    },
    /// The next meeting of this room has this id; `None`: one of its own making.
    Announced(Option<MeetingId>),
    /// Somebody with the right to it ends the running meeting for all.
    Ended,
}

/// SHA-256 of certificates that count no more.
pub type Revoked = Arc<BTreeSet<[u8; 32]>>;

/// What a room wants done.
#[derive(Debug, Clone)]
pub enum Output {
    /// Send to each of these connections.
    Send {
        /// Whom.
        to: Vec<ConnId>,
        /// What.
        message: Box<ToClient>,
    },
    /// Close after what was sent before.
    Close {
        /// Which.
        conn: ConnId,
    },
    /// To the SFU of the meeting.
    Sfu(Box<ToSfu>),
    /// A host turned a guest away: its invitation opens no door any more, in no later meeting either.
    TurnedAway(ParticipantId),
    /// For the log: a firm, the meeting and a fact; never a name.
    Note {
        /// In which meeting.
        meeting: MeetingId,
        /// Whose, when a firm's.
        firm: Option<FirmId>,
        /// What.
        fact: String,
    },
}

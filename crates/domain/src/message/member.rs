//! Member to member, inside an MLS application message (signed and encrypted by the group), CBOR. Signaling carries it
//! without seeing it.

use crate::{B64, Ctr, Epoch, ParticipantId, Slot, UnixMillis};
use serde::{Deserialize, Serialize};

/// What travels inside.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MemberMessage {
    /// Which frames its sender has sealed.
    Manifest {
        /// `evidence::sender_manifest`, COSE_Sign1 by the sender's leaf key.
        signed: B64,
    },
    /// A recorder holds frames that no manifest it has names: their sender says those manifests again.
    ManifestsWanted {
        /// Whose frames.
        of: ParticipantId,
        /// Sealed in which epoch.
        epoch: Epoch,
        /// On which slot.
        slot: Slot,
        /// First frame that is not named.
        first_ctr: Ctr,
        /// How many from there on.
        count: u64,
    },
    /// Its sender says something to the meeting.
    Said {
        /// `evidence::said`, COSE_Sign1 by the sender's leaf key.
        signed: B64,
    },
    /// A recorder has these on disk, durably.
    Kept {
        /// SHA-256 of each signed object.
        said: Vec<B64>,
    },
    /// The sender was away: who said something a moment ago says it again.
    SaidWanted {},
    /// The sender shows something; nobody keeps it.
    Sign {
        /// What.
        sign: Sign,
    },
}

/// What a member shows for a moment: a closed list, so that it stays small and nothing can be written by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Sign {
    /// Wants to speak.
    HandUp {
        /// Since when, by the sender's clock: hands are taken in this order.
        since: UnixMillis,
    },
    /// Does not any more.
    HandDown {},
    /// Thumb up.
    Yes {},
    /// Thumb down.
    No {},
    /// Applause.
    Applause {},
    /// Laughs.
    Laugh {},
    /// Is surprised.
    Surprise {},
    /// Heart.
    Heart {},
}

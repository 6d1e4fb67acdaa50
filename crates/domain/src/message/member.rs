//! Member to member, inside an MLS application message (signed and encrypted by the group), CBOR. Signaling carries it
//! without seeing it.

use crate::B64;
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
}

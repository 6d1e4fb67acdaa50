//! A person's yes to the notices: who keeps what of this meeting, before anything of theirs is sent. Signed by the leaf key
//! with the certificate beside it; signaling judges it before it takes a publish offer, every recorder keeps it.

use crate::cose::{self, CoseError};
use crate::identity::{Identity, TrustMap};
use domain::message::custody::LeafRole;
use domain::{MeetingId, UnixMillis};
use serde::{Deserialize, Serialize};

/// COSE label.
pub const LABEL: &str = "strongroom acknowledgement v1";
/// Largest signed one: certificate, signature and some hundred bytes.
pub const MAX: usize = 12 * 1024;
/// Longest language tag taken (BCP 47: language, script, region).
const MAX_LANGUAGE: usize = 16;

/// What is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// Of which meeting.
    pub meeting: MeetingId,
    /// SHA-256 of the signed statements that the notices were made of (`evidence::policy::statements_hash`).
    #[serde(with = "serde_bytes")]
    pub statements: [u8; 32],
    /// Language in which they were shown.
    pub language: String,
    /// The person's clock.
    pub at: UnixMillis,
}

/// Why one is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AcknowledgementError {
    /// Signature or certificate.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// Signed, but something else.
    #[error("the signed bytes are no acknowledgement")]
    Malformed,
    /// Signed by somebody who sends nothing.
    #[error("only people acknowledge notices")]
    NotAPerson,
}

/// The payload to sign.
pub fn encode(acknowledgement: &Acknowledgement) -> Vec<u8> {
    crate::cbor::encode(acknowledgement)
}

/// Judges one at `at_s` (seconds since 1970).
pub fn judge(trust: &TrustMap, signed: &[u8], at_s: u64) -> Result<(Acknowledgement, Identity), AcknowledgementError> {
    if signed.len() > MAX {
        return Err(AcknowledgementError::Malformed);
    }
    let (payload, identity) = cose::verify_by_leaf(LABEL, signed, trust, at_s)?;
    let read: Acknowledgement = crate::cbor::decode(&payload).map_err(|_| AcknowledgementError::Malformed)?;
    if read.language.is_empty() || read.language.len() > MAX_LANGUAGE {
        return Err(AcknowledgementError::Malformed);
    }
    match identity.role {
        LeafRole::Member | LeafRole::Guest => Ok((read, identity)),
        _ => Err(AcknowledgementError::NotAPerson),
    }
}

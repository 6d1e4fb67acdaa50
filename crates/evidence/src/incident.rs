//! What a crisis leaves behind: decisions, each signed by a person's leaf key and naming the one before; and the hand-out
//! for all parties, signed by the delivery service's order key over the decisions as they were signed.

use crate::cose::{self, CoseError};
use crate::identity::{Identity, TrustMap};
use crate::key::PublicKey;
use domain::UnixMillis;
use domain::message::custody::LeafRole;
use domain::message::incident::IncidentInfo;
use serde::{Deserialize, Serialize};

/// COSE label of a decision.
pub const DECISION: &str = "strongroom decision v1";
/// COSE label of a hand-out.
pub const HAND_OUT: &str = "strongroom hand-out v1";
/// Longest decision, characters: some paragraphs.
pub const MAX_TEXT: usize = 2_000;

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Of which incident.
    pub incident: String,
    /// From 1; each the next.
    pub number: u32,
    /// SHA-256 of the signed decision before it; zeros before the first.
    #[serde(with = "serde_bytes")]
    pub previous: [u8; 32],
    /// What was decided.
    pub text: String,
    /// The person's clock.
    pub at: UnixMillis,
}

/// Why one is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IncidentError {
    /// Signature or certificate.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// Signed, but something else.
    #[error("the signed bytes are not what they should be")]
    Malformed,
    /// Signed by a service.
    #[error("only people decide")]
    NotAPerson,
    /// A hand-out whose decisions are not a chain of its own.
    #[error("decision {0} does not follow the one before")]
    Chain(u32),
}

/// The payload to sign.
pub fn encode(decision: &Decision) -> Vec<u8> {
    crate::cbor::encode(decision)
}

/// Judges a decision at `at_s` (seconds since 1970).
///
/// # Errors
/// [`IncidentError`].
pub fn judge(trust: &TrustMap, signed: &[u8], at_s: u64) -> Result<(Decision, Identity), IncidentError> {
    let (payload, identity) = cose::verify_by_leaf(DECISION, signed, trust, at_s)?;
    let read: Decision = crate::cbor::decode(&payload).map_err(|_| IncidentError::Malformed)?;
    let fits = (1..=MAX_TEXT).contains(&read.text.chars().count()) && read.incident.len() <= 64;
    if !fits {
        return Err(IncidentError::Malformed);
    }
    match identity.role {
        LeafRole::Member | LeafRole::Guest => Ok((read, identity)),
        _ => Err(IncidentError::NotAPerson),
    }
}

/// Judges a hand-out: the order key's, and every decision in it its signer's, in an unbroken chain.
///
/// # Errors
/// [`IncidentError`].
pub fn judge_hand_out(trust: &TrustMap, signed: &[u8]) -> Result<IncidentInfo, IncidentError> {
    let key = PublicKey::from_spki(&trust.order_key).map_err(|_| IncidentError::Malformed)?;
    let payload = cose::verify(HAND_OUT, signed, &key)?;
    let read: IncidentInfo = serde_json::from_slice(&payload).map_err(|_| IncidentError::Malformed)?;
    let mut previous = [0; 32];
    for (number, entry) in (1u32..).zip(&read.log) {
        let (decision, identity) = judge(trust, &entry.signed, entry.at.seconds())?;
        let follows = decision.incident == read.incident
            && (decision.number, decision.previous) == (number, previous)
            && (&decision.text, &identity.participant) == (&entry.text, &entry.by);
        if !follows {
            return Err(IncidentError::Chain(number));
        }
        previous = crate::sha256(&entry.signed);
    }
    Ok(read)
}

//! Removal orders of the delivery service: signed by the order key of the trust map, obeyed by members, never against a
//! recorder (the members check that; an order cannot hide who records).

use crate::cose::{self, CoseError};
use crate::identity::TrustMap;
use crate::key::PublicKey;
use domain::{Epoch, LeafIndex, MeetingId, ParticipantId, UnixMillis};
use serde::{Deserialize, Serialize};

/// COSE label.
pub const LABEL: &str = "strongroom removal order v1";

/// An order to remove a participant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovalOrder {
    /// In which meeting.
    pub meeting: MeetingId,
    /// Whom.
    pub participant: ParticipantId,
    /// Its leaf, if it has one yet.
    pub leaf: Option<LeafIndex>,
    /// Epoch at which the order was given.
    pub epoch: Epoch,
    /// Why.
    pub reason: Reason,
    /// When.
    pub issued_at: UnixMillis,
}

/// Why a participant is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The host removed it.
    Host,
    /// It left.
    Left,
    /// It was silent too long.
    Silent,
    /// Its membership of the room ended.
    Membership,
    /// Another connection took its place.
    Replaced,
    /// Its certificate ended an hour ago and was not renewed.
    Expired,
    /// Its firm ended its certificate.
    Revoked,
    /// It committed what the majority cannot process.
    BadCommit,
}

/// Why an order is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// Not signed by the delivery service.
    #[error("the removal order is not the delivery service's: {0}")]
    Signature(#[from] CoseError),
    /// Signed, but no order.
    #[error("the signed bytes are no removal order")]
    Malformed,
}

/// The payload to sign.
pub fn encode(order: &RemovalOrder) -> Vec<u8> {
    crate::cbor::encode(order)
}

/// Verifies an order. Meeting and target are the caller's to compare.
pub fn judge(trust: &TrustMap, signed: &[u8]) -> Result<RemovalOrder, OrderError> {
    let key = PublicKey::from_spki(&trust.order_key).map_err(|_| OrderError::Malformed)?;
    let payload = cose::verify(LABEL, signed, &key)?;
    crate::cbor::decode(&payload).map_err(|_| OrderError::Malformed)
}

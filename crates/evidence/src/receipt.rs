//! What a recorder says outside the group's encryption: a receipt per epoch (its base key is sealed and durable) and
//! beacons (it is alive and this much is durable). Hashes and counters only; COSE_Sign1 by the recorder's leaf key.

use crate::cose::{self, CoseError};
use crate::identity::{Identity, TrustMap};
use domain::message::custody::LeafRole;
use domain::{Epoch, FirmId, MeetingId, ParticipantId};
use serde::{Deserialize, Serialize};

/// COSE label of receipts.
pub const RECEIPT_LABEL: &str = "strongroom receipt v1";
/// COSE label of beacons.
pub const BEACON_LABEL: &str = "strongroom beacon v1";

/// The base key of one epoch is sealed and durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Which meeting.
    pub meeting: MeetingId,
    /// Whose copy.
    pub firm: FirmId,
    /// Which recorder.
    pub recorder: ParticipantId,
    /// Counts the recorder's starts in this meeting.
    pub incarnation: u64,
    /// Which epoch.
    pub epoch: Epoch,
    /// Confirmed transcript hash of the epoch (RFC 9420 section 8.2): shows a fork.
    #[serde(with = "serde_bytes")]
    pub transcript_hash: [u8; 32],
    /// SHA-256 of the sealed base key.
    #[serde(with = "serde_bytes")]
    pub sealed_hash: [u8; 32],
    /// Commitment to the base key, exported from the epoch: members compare it with their own.
    #[serde(with = "serde_bytes")]
    pub commitment: [u8; 32],
}

/// State of a firm's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BeaconState {
    /// All is kept.
    Recording,
    /// In the group, the record link or the archive is not there yet.
    Waiting,
    /// The archive cannot be written.
    Failed,
}

/// A recorder's sign of life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beacon {
    /// Which meeting.
    pub meeting: MeetingId,
    /// Whose copy.
    pub firm: FirmId,
    /// Which recorder.
    pub recorder: ParticipantId,
    /// Its epoch.
    pub epoch: Epoch,
    /// Counts up with each beacon of this key.
    pub sequence: u64,
    /// Frames durable so far.
    pub fsynced_frames: u64,
    /// State of the copy.
    pub state: BeaconState,
}

/// Why a receipt or beacon is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Signature or certificate.
    #[error(transparent)]
    Cose(#[from] CoseError),
    /// Signed, but something else.
    #[error("the signed bytes are no receipt or beacon")]
    Malformed,
    /// Signed by a certificate that is no recorder's.
    #[error("the signer is no recorder")]
    NotRecorder,
    /// It names another recorder or firm than its certificate.
    #[error("the receipt names another recorder than its certificate")]
    OtherSigner,
}

fn is_signer(identity: &Identity, firm: &FirmId, recorder: &ParticipantId) -> Result<(), ReceiptError> {
    if identity.role != LeafRole::Recorder {
        return Err(ReceiptError::NotRecorder);
    }
    let same = identity.participant == *recorder && identity.participant.firm == *firm;
    if same { Ok(()) } else { Err(ReceiptError::OtherSigner) }
}

/// Judges a receipt at `at_s` (seconds since 1970).
pub fn judge_receipt(trust: &TrustMap, signed: &[u8], at_s: u64) -> Result<(Receipt, Identity), ReceiptError> {
    let (payload, identity) = cose::verify_by_leaf(RECEIPT_LABEL, signed, trust, at_s)?;
    let receipt: Receipt = crate::cbor::decode(&payload).map_err(|_| ReceiptError::Malformed)?;
    is_signer(&identity, &receipt.firm, &receipt.recorder)?;
    Ok((receipt, identity))
}

/// Judges a beacon at `at_s` (seconds since 1970).
pub fn judge_beacon(trust: &TrustMap, signed: &[u8], at_s: u64) -> Result<(Beacon, Identity), ReceiptError> {
    let (payload, identity) = cose::verify_by_leaf(BEACON_LABEL, signed, trust, at_s)?;
    let beacon: Beacon = crate::cbor::decode(&payload).map_err(|_| ReceiptError::Malformed)?;
    is_signer(&identity, &beacon.firm, &beacon.recorder)?;
    Ok((beacon, identity))
}

//! Signed statements of firms about recording. A statement is believed only under its own firm's policy key.

use crate::cose::{self, CoseError};
use crate::identity::TrustMap;
use crate::key::PublicKey;
use domain::FirmId;
use domain::limits::{GRACE_MAX_MS, GRACE_MIN_MS, MAX_PAUSERS, PAUSE_MAX_MS, PAUSE_MIN_MS};
use domain::policy::Statement;

/// COSE label.
pub const LABEL: &str = "strongroom statement v1";
/// Version of the payload.
pub const VERSION: u16 = 1;
/// Archive keys a meeting key is sealed to: two today, room for a rotation and a third partition.
pub const MAX_ARCHIVE_KEYS: usize = 8;

/// Why a statement is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// Not a statement at all.
    #[error("not a statement")]
    Malformed,
    /// Of a firm that the trust map does not know.
    #[error("firm {0} is not in the trust map")]
    UnknownFirm(FirmId),
    /// Not signed by that firm's policy key.
    #[error("the statement of {firm} is not signed by its policy key: {why}")]
    Signature {
        /// Whose.
        firm: FirmId,
        /// What failed.
        why: CoseError,
    },
    /// A value out of its range.
    #[error("the statement of {firm} is out of range: {what}")]
    OutOfRange {
        /// Whose.
        firm: FirmId,
        /// Which value.
        what: &'static str,
    },
}

/// The payload to sign.
pub fn encode(statement: &Statement) -> Vec<u8> {
    crate::cbor::encode(statement)
}

/// Verifies a signed statement with the policy key of the firm it names and checks its ranges.
pub fn judge_statement(trust: &TrustMap, signed: &[u8]) -> Result<Statement, StatementError> {
    let claimed = cose::payload_unverified(signed).ok_or(StatementError::Malformed)?;
    let claimed: Statement = crate::cbor::decode(&claimed).map_err(|_| StatementError::Malformed)?;
    let firm = trust.firm(&claimed.firm).ok_or_else(|| StatementError::UnknownFirm(claimed.firm.clone()))?;
    let key = PublicKey::from_spki(&firm.policy_key).map_err(|_| StatementError::Malformed)?;
    // the payload is not detached, so the verified bytes are the ones decoded above
    cose::verify(LABEL, signed, &key).map_err(|why| StatementError::Signature { firm: claimed.firm.clone(), why })?;
    check_ranges(&claimed)?;
    Ok(claimed)
}

/// Checks the ranges a statement must keep; whoever signs one checks before.
pub fn check_ranges(statement: &Statement) -> Result<(), StatementError> {
    let refuse = |what| Err(StatementError::OutOfRange { firm: statement.firm.clone(), what });
    if statement.version != VERSION {
        return refuse("version");
    }
    if !(GRACE_MIN_MS..=GRACE_MAX_MS).contains(&statement.recorder_grace_ms) {
        return refuse("recorder_grace_ms");
    }
    if let Some(pause) = &statement.pause {
        if !(PAUSE_MIN_MS..=PAUSE_MAX_MS).contains(&pause.at_most_ms) {
            return refuse("pause.at_most_ms");
        }
        if pause.by.is_empty() || pause.by.len() > MAX_PAUSERS {
            return refuse("pause.by");
        }
    }
    if statement.archive_key_ids.len() > MAX_ARCHIVE_KEYS {
        return refuse("archive_key_ids");
    }
    Ok(())
}

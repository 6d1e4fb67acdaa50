//! Signed statements of firms about recording. A statement is believed only under its own firm's policy key.

use crate::cose::{self, CoseError};
use crate::identity::TrustMap;
use crate::key::PublicKey;
use domain::FirmId;
use domain::limits::{GRACE_MAX_MS, GRACE_MIN_MS, MAX_PAUSERS, PAUSE_MAX_MS, PAUSE_MIN_MS};
use domain::policy::{Barrier, Conditions, Side, Statement};

/// COSE label.
pub const LABEL: &str = "strongroom statement v1";
/// Newest version of the payload. Version 1 has no conditions; it is still read.
pub const VERSION: u16 = 2;
/// Archive keys a meeting key is sealed to: two today, room for a rotation and a third partition.
pub const MAX_ARCHIVE_KEYS: usize = 8;

/// Longest contact, characters: an office, a number, an address.
pub const MAX_CONTACT: usize = 200;
/// Longest text that a firm adds to the notice, characters in one language: it is read before speaking.
pub const MAX_NOTICE: usize = 600;
/// Regions, barriers and firms of a veto: each is compared with everybody who enters.
pub const MAX_NAMED: usize = 64;
/// Longest name of a region or group.
pub const MAX_NAME: usize = 64;

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
    if !(1..=VERSION).contains(&statement.version) {
        return refuse("version");
    }
    if statement.version == 1 && !statement.conditions.is_none() {
        return refuse("conditions of a version 1");
    }
    conditions_in_range(&statement.conditions).or_else(refuse)?;
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

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "._- ".contains(c))
}

/// Short, in one line, without control characters: it is shown to people of other firms.
fn is_line(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.chars().any(char::is_control)
}

fn conditions_in_range(conditions: &Conditions) -> Result<(), &'static str> {
    if !is_line(&conditions.contact, MAX_CONTACT) {
        return Err("contact");
    }
    if !conditions.notice.values().all(|text| is_line(text, MAX_NOTICE)) {
        return Err("notice");
    }
    let regions = conditions.regions.as_ref();
    if regions.is_some_and(|named| named.len() > MAX_NAMED || !named.iter().all(|name| is_name(name))) {
        return Err("regions");
    }
    let side = |side: &Side| !matches!(side, Side::Group(group) if !is_name(group));
    let barrier = |barrier: &Barrier| side(&barrier.from) && barrier.ours.as_deref().is_none_or(is_name);
    if conditions.barriers.len() > MAX_NAMED || !conditions.barriers.iter().all(barrier) {
        return Err("barriers");
    }
    if conditions.hosts.len() > MAX_NAMED {
        return Err("hosts");
    }
    if conditions.veto.len() > MAX_NAMED {
        return Err("veto");
    }
    let digest = |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !conditions.previous.as_ref().is_none_or(digest) {
        return Err("previous");
    }
    Ok(())
}

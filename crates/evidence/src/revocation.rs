//! A firm's list of certificates that it ended before their time: signed by its policy key, short, because no certificate lives
//! longer than half a day. Whoever judges a leaf of the firm refuses those on its newest list.

use crate::cose::{self, CoseError};
use crate::identity::TrustMap;
use crate::key::PublicKey;
use domain::{B64, FirmId, UnixMillis};
use serde::{Deserialize, Serialize};

/// COSE label.
pub const LABEL: &str = "strongroom revocations v1";
/// Certificates on one list: every person of a large firm that ends its day at once.
pub const MAX_REVOKED: usize = 4_096;

/// The list. A newer one (by `serial`) replaces the one before whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocations {
    /// Always 1.
    pub version: u16,
    /// Whose certificates.
    pub firm: FirmId,
    /// Counts the firm's lists.
    pub serial: u64,
    /// When it was made.
    pub issued_at: UnixMillis,
    /// Ended certificates whose own end has not come yet.
    pub revoked: Vec<Revoked>,
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// SHA-256 of its DER.
    pub certificate: B64,
    /// Its own end, seconds since 1970: after it the row is left out.
    pub until_s: u64,
}

impl Revocations {
    /// Hashes of the certificates.
    pub fn certificates(&self) -> impl Iterator<Item = [u8; 32]> + '_ {
        self.revoked.iter().filter_map(|one| one.certificate.as_slice().try_into().ok())
    }
}

/// Why a list is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// Not signed by the firm it is about.
    #[error("the list of revoked certificates is not its firm's: {0}")]
    Signature(#[from] CoseError),
    /// Signed, but no list, or of a firm that is not in the trust map.
    #[error("the signed bytes are no list of revoked certificates of a known firm")]
    Malformed,
}

/// The payload to sign.
pub fn encode(list: &Revocations) -> Vec<u8> {
    crate::cbor::encode(list)
}

/// Verifies a list by the policy key of the firm that it names.
///
/// # Errors
/// [`RevocationError`].
pub fn judge(trust: &TrustMap, signed: &[u8]) -> Result<Revocations, RevocationError> {
    let claimed: Revocations = cose::payload_unverified(signed)
        .and_then(|payload| crate::cbor::decode(&payload).ok())
        .ok_or(RevocationError::Malformed)?;
    let firm = trust.firm(&claimed.firm).ok_or(RevocationError::Malformed)?;
    let key = PublicKey::from_spki(&firm.policy_key).map_err(|_| RevocationError::Malformed)?;
    cose::verify(LABEL, signed, &key)?;
    let fits = claimed.version == 1
        && claimed.revoked.len() <= MAX_REVOKED
        && claimed.revoked.iter().all(|one| one.certificate.len() == 32);
    if fits { Ok(claimed) } else { Err(RevocationError::Malformed) }
}

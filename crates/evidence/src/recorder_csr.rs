//! The countersignature of a recorder's CSR: what the record token signs and the people token wants to see.

use domain::{B64, UnixMillis};
use serde::{Deserialize, Serialize};

/// COSE label.
pub const LABEL: &str = "strongroom recorder csr v1";
/// A countersignature is used at once; older ones are refused (clocks of two hosts may differ by a minute or two).
pub const MAX_AGE_MS: u64 = 5 * 60_000;

/// Payload of the COSE_Sign1 by the recorder identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecorderCsr {
    /// SHA-256 of the CSR.
    pub csr_hash: B64,
    /// When it was signed.
    pub issued_at: UnixMillis,
}

impl RecorderCsr {
    /// The payload for a CSR.
    pub fn of(csr: &[u8], issued_at: UnixMillis) -> Self {
        Self { csr_hash: crate::sha256(csr).into(), issued_at }
    }
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        crate::cbor::encode(self)
    }
    /// Reads verified bytes and says whether they are about this CSR and fresh.
    pub fn covers(payload: &[u8], csr: &[u8], now: UnixMillis) -> bool {
        crate::cbor::decode::<Self>(payload).is_ok_and(|signed| {
            signed.csr_hash.as_slice() == crate::sha256(csr)
                && now.since(signed.issued_at) <= MAX_AGE_MS
                && signed.issued_at.since(now) <= MAX_AGE_MS
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_countersignature_covers_its_own_request_for_five_minutes() {
        let at = UnixMillis(1_000_000_000);
        let payload = RecorderCsr::of(b"csr", at).encode();
        assert!(RecorderCsr::covers(&payload, b"csr", at.plus(MAX_AGE_MS)));
        assert!(!RecorderCsr::covers(&payload, b"another", at));
        assert!(!RecorderCsr::covers(&payload, b"csr", at.plus(MAX_AGE_MS + 1)));
        assert!(!RecorderCsr::covers(&payload, b"csr", UnixMillis(at.0 - MAX_AGE_MS - 1)));
    }
}

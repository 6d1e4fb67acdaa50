//! The protocol of a key ceremony: what was made and destroyed on a token, signed by a key of that same token, so that an
//! examiner can lay the ceremonies of a firm's tokens beside the keys that its archives name.

use crate::cose::{self, CoseError};
use crate::identity::TrustMap;
use crate::key::PublicKey;
use domain::message::custody::TokenRole;
use domain::{B64, FirmId, UnixMillis};
use serde::{Deserialize, Serialize};

/// COSE label.
pub const LABEL: &str = "strongroom custody protocol v1";

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A test token was initialised.
    MakeToken,
    /// A key pair was made on the token.
    MakeKey,
    /// A root certificate was signed and stored.
    MakeCertificate,
    /// A key pair was destroyed, the private half with it.
    DestroyKey,
}

/// One change of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What.
    pub action: Action,
    /// CKA_ID of the object, or the token's label.
    pub object: String,
    /// SHA-256 of the public key (SPKI DER) or certificate (DER); none for a token, and before it was made.
    pub fingerprint: Option<B64>,
}

/// Payload of the COSE_Sign1: by the policy key (people), record key (record) or ledger key (archive) as it was before the
/// ceremony, or, in the first one, as it was made there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// Whose token.
    pub firm: FirmId,
    /// Which token.
    pub role: TokenRole,
    /// `vendor model serial`, as the token says.
    pub token: String,
    /// Account of the operating system that held the ceremony.
    pub account: String,
    /// When it ended, by the clock of its host.
    pub ended_at: UnixMillis,
    /// What was done, in order.
    pub steps: Vec<Step>,
}

/// Why a protocol is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// No protocol at all.
    #[error("the file is no protocol of a key ceremony")]
    Malformed,
    /// The trust map does not know the firm.
    #[error("the trust map does not name {0}")]
    Firm(FirmId),
    /// Signature or label.
    #[error("{0}; a rotated key is found in the trust map of the ceremony's time")]
    Signature(#[from] CoseError),
    /// The trust map's key is none.
    #[error("the trust map's key of {0} is no P-256 key")]
    Key(FirmId),
}

impl Protocol {
    /// Its bytes, to be signed.
    pub fn encode(&self) -> Vec<u8> {
        crate::cbor::encode(self)
    }

    /// Verifies a signed protocol by the firm's own key in a trust map.
    pub fn verify(signed: &[u8], trust: &TrustMap) -> Result<Self, ProtocolError> {
        let claimed = cose::payload_unverified(signed).ok_or(ProtocolError::Malformed)?;
        let claimed: Self = crate::cbor::decode(&claimed).map_err(|_| ProtocolError::Malformed)?;
        let firm = trust.firm(&claimed.firm).ok_or_else(|| ProtocolError::Firm(claimed.firm.clone()))?;
        let spki = match claimed.role {
            TokenRole::People => &firm.policy_key,
            TokenRole::Record => &firm.record_key,
            TokenRole::Archive => &firm.ledger_key,
        };
        let key = PublicKey::from_spki(spki).map_err(|_| ProtocolError::Key(claimed.firm.clone()))?;
        cose::verify(LABEL, signed, &key)?;
        Ok(claimed)
    }
}

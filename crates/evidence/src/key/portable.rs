//! ECDSA in Rust: what browsers run, and what the other one is compared with.

use super::KeyError;
use p256::ecdsa::signature::Verifier;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};

/// r||s over a SHA-256 hash.
pub(super) fn verify_prehash(key: &VerifyingKey, hash: &[u8; 32], signature: &[u8; 64]) -> Result<(), KeyError> {
    let signature = Signature::from_slice(signature).map_err(|_| KeyError::BadSignature)?;
    key.verify_prehash(hash, &signature).map_err(|_| KeyError::BadSignature)
}

/// r||s over a message.
pub(super) fn verify(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
    let signature = Signature::from_slice(signature).map_err(|_| KeyError::BadSignature)?;
    key.verify(message, &signature).map_err(|_| KeyError::BadSignature)
}

/// `Ecdsa-Sig-Value` over a message.
pub(super) fn verify_der(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
    let signature = Signature::from_der(signature).map_err(|_| KeyError::BadSignature)?;
    key.verify(message, &signature).map_err(|_| KeyError::BadSignature)
}

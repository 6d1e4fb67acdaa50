//! ECDSA of AWS-LC where there is one: a third of what portable Rust takes, and a join costs half a dozen of them.

use super::KeyError;
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, EcdsaVerificationAlgorithm, UnparsedPublicKey,
};
use p256::ecdsa::VerifyingKey;

fn by(
    algorithm: &'static EcdsaVerificationAlgorithm,
    key: &VerifyingKey,
    judge: impl FnOnce(&UnparsedPublicKey<&[u8]>) -> Result<(), aws_lc_rs::error::Unspecified>,
) -> Result<(), KeyError> {
    let point = key.to_encoded_point(false);
    judge(&UnparsedPublicKey::new(algorithm, point.as_bytes())).map_err(|_| KeyError::BadSignature)
}

/// r||s over a SHA-256 hash.
pub(super) fn verify_prehash(key: &VerifyingKey, hash: &[u8; 32], signature: &[u8; 64]) -> Result<(), KeyError> {
    let hash = Digest::import_less_safe(hash, &SHA256).map_err(|_| KeyError::BadSignature)?;
    by(&ECDSA_P256_SHA256_FIXED, key, |key| key.verify_digest(&hash, signature))
}

/// r||s over a message.
pub(super) fn verify(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
    by(&ECDSA_P256_SHA256_FIXED, key, |key| key.verify(message, signature))
}

/// `Ecdsa-Sig-Value` over a message.
pub(super) fn verify_der(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
    by(&ECDSA_P256_SHA256_ASN1, key, |key| key.verify(message, signature))
}

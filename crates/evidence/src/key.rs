//! P-256 public keys (FIPS 186-5): what every certificate, statement and receipt is verified with.

use p256::ecdsa::signature::Verifier;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};
use p256::pkcs8::{DecodePublicKey, EncodePublicKey};

/// A P-256 public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Why a key or signature is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not a P-256 point in the expected form.
    #[error("not a P-256 public key")]
    NotP256,
    /// Not this key's signature over these bytes.
    #[error("the signature does not verify")]
    BadSignature,
}

impl PublicKey {
    /// From SubjectPublicKeyInfo DER (RFC 5480).
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        VerifyingKey::from_public_key_der(der).map(Self).map_err(|_| KeyError::NotP256)
    }
    /// From a SEC1 point (65 bytes uncompressed or 33 compressed).
    pub fn from_sec1(point: &[u8]) -> Result<Self, KeyError> {
        VerifyingKey::from_sec1_bytes(point).map(Self).map_err(|_| KeyError::NotP256)
    }
    /// Verifies r||s over a SHA-256 hash.
    pub fn verify_prehash(&self, hash: &[u8; 32], signature: &[u8; 64]) -> Result<(), KeyError> {
        let signature = Signature::from_slice(signature).map_err(|_| KeyError::BadSignature)?;
        self.0.verify_prehash(hash, &signature).map_err(|_| KeyError::BadSignature)
    }
    /// Verifies r||s (64 bytes) over a message, hashed with SHA-256.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let signature = Signature::from_slice(signature).map_err(|_| KeyError::BadSignature)?;
        self.0.verify(message, &signature).map_err(|_| KeyError::BadSignature)
    }
    /// Verifies an ASN.1 `Ecdsa-Sig-Value`, as certificates carry it.
    pub fn verify_der(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let signature = Signature::from_der(signature).map_err(|_| KeyError::BadSignature)?;
        self.0.verify(message, &signature).map_err(|_| KeyError::BadSignature)
    }
    /// SubjectPublicKeyInfo DER.
    pub fn to_spki(&self) -> Vec<u8> {
        self.0.to_public_key_der().expect("a valid point encodes").into_vec()
    }
    /// The uncompressed SEC1 point, 65 bytes.
    pub fn to_sec1(&self) -> Vec<u8> {
        self.0.to_encoded_point(false).as_bytes().to_vec()
    }
    /// SHA-256 of the SPKI in hexadecimal.
    pub fn id(&self) -> String {
        key_id(&self.to_spki())
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({})", &self.id()[..16])
    }
}

/// Id of any public key: SHA-256 of its SPKI DER in hexadecimal (64 digits).
pub fn key_id(spki: &[u8]) -> String {
    crate::sha256(spki).iter().map(|byte| format!("{byte:02x}")).collect()
}

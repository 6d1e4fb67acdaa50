//! P-256 public keys (FIPS 186-5): what every certificate, statement and receipt is verified with.

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(any(test, target_family = "wasm"))]
mod portable;

#[cfg(not(target_family = "wasm"))]
use native as backend;
#[cfg(target_family = "wasm")]
use portable as backend;

use p256::ecdsa::VerifyingKey;
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
        backend::verify_prehash(&self.0, hash, signature)
    }
    /// Verifies r||s (64 bytes) over a message, hashed with SHA-256.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        backend::verify(&self.0, message, signature)
    }
    /// Verifies an ASN.1 `Ecdsa-Sig-Value`, as certificates carry it.
    pub fn verify_der(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        backend::verify_der(&self.0, message, signature)
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

#[cfg(test)]
mod tests {
    use super::*;
    use p256::ecdsa::signature::Signer;
    use p256::ecdsa::{Signature, SigningKey};

    /// Every way of one byte being another, and lengths that are none.
    fn damaged(good: &[u8]) -> Vec<Vec<u8>> {
        let flip = |at: usize| good.iter().enumerate().map(|(n, byte)| byte ^ u8::from(n == at) << (at % 8)).collect();
        let mut all: Vec<Vec<u8>> = (0..good.len()).map(flip).collect();
        all.extend([
            good[1..].to_vec(),
            [good, &[0]].concat(),
            vec![0; good.len()],
            vec![0xff; good.len()],
            Vec::new(),
        ]);
        all
    }

    #[test]
    fn both_backends_take_the_same_signatures() {
        let key = SigningKey::from_slice(&[7; 32]).expect("a key");
        let public = key.verifying_key();
        let message = b"what was said";
        let signature: Signature = key.sign(message);
        // the twin with n - s is as good (no low-s rule, FIPS 186-5)
        let twin = Signature::from_scalars(signature.r(), -*signature.s()).expect("in range");
        for good in [signature, twin] {
            let (fixed, der) = (good.to_bytes(), good.to_der());
            let hash = crate::sha256(message);
            assert_eq!(native::verify(public, message, &fixed), Ok(()));
            assert_eq!(native::verify_der(public, message, der.as_bytes()), Ok(()));
            assert_eq!(native::verify_prehash(public, &hash, &fixed.into()), Ok(()));
            for wrong in damaged(&fixed) {
                assert_eq!(native::verify(public, message, &wrong), portable::verify(public, message, &wrong));
                if let Ok(wrong) = <[u8; 64]>::try_from(wrong) {
                    let theirs = portable::verify_prehash(public, &hash, &wrong);
                    assert_eq!(
                        (native::verify_prehash(public, &hash, &wrong), theirs),
                        (theirs, Err(KeyError::BadSignature))
                    );
                }
            }
            for wrong in damaged(der.as_bytes()) {
                let theirs = portable::verify_der(public, message, &wrong);
                assert_eq!(native::verify_der(public, message, &wrong), theirs, "{}", hex::encode(&wrong));
            }
        }
    }
}

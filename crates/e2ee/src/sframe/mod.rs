//! SFrame (RFC 9605), suite 5 (AES_256_GCM_SHA512_128), with our metadata and plaintext layout.
//!
//! On the wire: `shim || header || ciphertext || tag`. Metadata (authenticated) is `shim || codec id`; the plaintext is
//! `frame || capture time` (8 bytes big-endian, microseconds of the sender's monotonic clock). One counter per KID,
//! made with the key and gone with it; one key is tried per frame; a replay window moves only after the tag was right.

#[cfg(not(target_family = "wasm"))]
mod native;
mod open;
mod replay;
mod seal;
#[cfg(test)]
mod tests;

#[cfg(feature = "mls")]
pub(crate) use open::Frame;
pub use open::{Authentic, OpenError, OpenKey, Opened, Opener};
pub use seal::{SealKey, SealKeyError};

use domain::{Codec, Ctr, Kid};
use zeroize::Zeroizing;

/// Bytes of the capture time at the end of the plaintext.
pub const CAPTURE: usize = 8;
#[cfg(not(target_family = "wasm"))]
type DecryptingKey = ::sframe::key::GenericDecryptionKey<native::Aead, native::Kdf>;
#[cfg(not(target_family = "wasm"))]
type EncryptingKey = ::sframe::key::GenericEncryptionKey<native::Aead, native::Kdf>;
#[cfg(target_family = "wasm")]
type DecryptingKey = ::sframe::key::DecryptionKey;
#[cfg(target_family = "wasm")]
type EncryptingKey = ::sframe::key::EncryptionKey;
const SUITE: ::sframe::CipherSuite = ::sframe::CipherSuite::AesGcm256Sha512;

/// SFrame base key of one epoch: `MLS-Exporter("SFrame 1.0 Base Key", "", 32)` (RFC 9605 section 5.2). Wiped when
/// dropped.
pub struct BaseKey(Zeroizing<[u8; 32]>);

impl BaseKey {
    /// From exactly 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; 32]>::try_from(bytes).ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
    /// Commits to the key without telling it: members compare it with the recorder's receipt, a replay with the
    /// archive.
    pub fn commitment(&self) -> [u8; 32] {
        let mut bytes = Zeroizing::new(b"strongroom base key commitment v1".to_vec());
        bytes.extend_from_slice(self.expose());
        evidence::sha256(&bytes)
    }
    /// A second handle on the same key, for the holder of an epoch.
    #[cfg(feature = "mls")]
    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Shim and codec id: what is authenticated beside the header.
fn metadata(shim: &[u8], codec: Codec) -> Vec<u8> {
    let mut out = Vec::with_capacity(shim.len() + 1);
    out.extend_from_slice(shim);
    out.push(codec.id());
    out
}

/// Bytes of the header (RFC 9605 section 4.3): a number of 8 or more stands outside the config byte.
fn header_len(kid: Kid, ctr: Ctr) -> usize {
    let outside = |number: u64| if number < 8 { 0 } else { (64 - number.leading_zeros() as usize).div_ceil(8) };
    1 + outside(kid.0) + outside(ctr.0)
}

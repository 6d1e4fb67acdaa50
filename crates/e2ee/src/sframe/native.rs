//! AES-GCM of AWS-LC where there is one: about three times as fast as portable Rust, and with the key scheduled once, not
//! for each frame. In browsers, and to compare with in tests, stands the backend of the crate `sframe`.

use ::sframe::CipherSuite;
use ::sframe::crypto::{
    AeadDecrypt, AeadEncrypt, DecryptionBufferView, EncryptionBufferView, KeyDerivation, get_hkdf_key_expand_label,
    get_hkdf_salt_expand_label,
};
use ::sframe::error::{Result, SframeError};
use ::sframe::header::{Counter, KeyId};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use zeroize::Zeroizing;

/// Bytes of an AES-256 key.
const KEY: usize = 32;

/// Key and salt of one KID (RFC 9605 section 4.4.2). AWS-LC wipes its key schedule when it is dropped.
pub struct Secret {
    key: LessSafeKey,
    salt: Zeroizing<[u8; NONCE_LEN]>,
}

impl Secret {
    /// Salt XOR counter (RFC 9605 section 4.4.3).
    fn nonce(&self, counter: Counter) -> Nonce {
        let mut nonce = *self.salt;
        for (byte, of_counter) in nonce[NONCE_LEN - 8..].iter_mut().zip(counter.to_be_bytes()) {
            *byte ^= of_counter;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Sealing and opening under a [`Secret`].
pub struct Aead;

impl TryFrom<CipherSuite> for Aead {
    type Error = SframeError;
    fn try_from(suite: CipherSuite) -> Result<Self> {
        (suite == CipherSuite::AesGcm256Sha512).then_some(Self).ok_or(SframeError::KeyDerivationFailure)
    }
}

impl AeadEncrypt for Aead {
    type Secret = Secret;
    fn encrypt<'a, B: Into<EncryptionBufferView<'a>>>(
        &self,
        secret: &Secret,
        buffer: B,
        counter: Counter,
    ) -> Result<()> {
        let buffer = buffer.into();
        let sealed = secret.key.seal_in_place_separate_tag(secret.nonce(counter), Aad::from(&*buffer.aad), buffer.data);
        buffer.tag.copy_from_slice(sealed.map_err(|_| SframeError::EncryptionFailure)?.as_ref());
        Ok(())
    }
}

impl AeadDecrypt for Aead {
    type Secret = Secret;
    fn decrypt<'a, B: Into<DecryptionBufferView<'a>>>(
        &self,
        secret: &Secret,
        buffer: B,
        counter: Counter,
    ) -> Result<()> {
        let buffer = buffer.into();
        let opened = secret.key.open_in_place(secret.nonce(counter), Aad::from(&*buffer.aad), buffer.data);
        opened.map(drop).map_err(|_| SframeError::DecryptionFailure)
    }
}

/// HKDF-SHA-512.
pub struct Kdf;

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(from: &hkdf::Prk, label: &[u8], out: &mut [u8]) -> Result<()> {
    let done = from.expand(&[label], Length(out.len())).and_then(|okm| okm.fill(out));
    done.map_err(|_| SframeError::KeyDerivationFailure)
}

impl KeyDerivation for Kdf {
    type Secret = Secret;
    fn expand_from<M: AsRef<[u8]>, K: Into<KeyId>>(suite: CipherSuite, material: M, id: K) -> Result<Secret> {
        let id = id.into();
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA512, &[]).extract(material.as_ref());
        let (mut key, mut salt) = (Zeroizing::new([0; KEY]), Zeroizing::new([0; NONCE_LEN]));
        expand(&extracted, &get_hkdf_key_expand_label(id, suite), &mut *key)?;
        expand(&extracted, &get_hkdf_salt_expand_label(id, suite), &mut *salt)?;
        let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| SframeError::KeyDerivationFailure)?;
        Ok(Secret { key: LessSafeKey::new(key), salt })
    }
}

#[cfg(test)]
mod tests {
    use super::super::SUITE;
    use ::sframe::frame::{EncryptedFrameView, MediaFrameView, MonotonicCounter};
    use ::sframe::key::{DecryptionKey, EncryptionKey};

    #[test]
    fn what_one_backend_seals_the_other_opens() {
        let base = [7u8; 32];
        for kid in [0u64, 9, 0x0102_0304_0506_0708] {
            let ours = super::super::EncryptingKey::derive_from(SUITE, kid, base).expect("derived");
            let theirs = EncryptionKey::derive_from(SUITE, kid, base).expect("derived");
            let open_ours = super::super::DecryptingKey::derive_from(SUITE, kid, base).expect("derived");
            let open_theirs = DecryptionKey::derive_from(SUITE, kid, base).expect("derived");
            let (mut one, mut two) = (Vec::new(), Vec::new());
            let (mut a, mut b) = (MonotonicCounter::default(), MonotonicCounter::default());
            for len in [1usize, 15, 16, 4_000] {
                let clear = vec![len as u8; len];
                one.clear();
                two.clear();
                MediaFrameView::try_with_meta_data(&mut a, &clear, b"meta")
                    .expect("a frame")
                    .encrypt_into(&ours, &mut one)
                    .expect("sealed");
                MediaFrameView::try_with_meta_data(&mut b, &clear, b"meta")
                    .expect("a frame")
                    .encrypt_into(&theirs, &mut two)
                    .expect("sealed");
                assert_eq!(one, two, "{len} bytes under {kid}");
                let sealed = &one[4..];
                let mut out = Vec::new();
                let view = EncryptedFrameView::try_with_meta_data(sealed, b"meta").expect("a frame");
                assert_eq!(view.decrypt_into(&open_ours, &mut out).expect("opened").payload(), clear);
                out.clear();
                assert_eq!(view.decrypt_into(&open_theirs, &mut out).expect("opened").payload(), clear);
            }
        }
    }
}

//! Base keys sealed under a meeting key (AES-256-GCM): how a firm's archive keeps what opens its copy.
//!
//! The meeting key itself is sealed to the firm's archive keys on its token; that is the recorder's work, not this
//! module's.

use crate::sframe::BaseKey;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use domain::{Epoch, FirmId, MeetingId};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// First part of the associated data.
const LABEL: &[u8] = b"strongroom base key v1";
/// Nonce bytes in front of the ciphertext.
const NONCE: usize = 12;
/// Bytes of a sealed base key: nonce, key, tag.
pub const SEALED: usize = NONCE + 32 + 16;

/// Key of one recorder incarnation in one meeting. Wiped when dropped.
pub struct MeetingKey(Zeroizing<[u8; 32]>);

impl MeetingKey {
    /// A new random key.
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0u8; 32]);
        getrandom::fill(bytes.as_mut()).expect("the system has a random source");
        Self(bytes)
    }
    /// From the bytes that custody opened.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; 32]>::try_from(bytes).ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }
    /// The bytes, for sealing to the archive keys and nothing else.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Which base key it is: all of it is authenticated, so a box cannot be moved to another place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose copy.
    pub firm: FirmId,
    /// Which meeting.
    pub meeting: MeetingId,
    /// Which start of the recorder.
    pub incarnation: u64,
    /// Which epoch.
    pub epoch: Epoch,
}

impl Place {
    fn associated_data(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for part in [LABEL, self.firm.as_str().as_bytes(), self.meeting.as_str().as_bytes()] {
            out.extend((part.len() as u32).to_be_bytes());
            out.extend_from_slice(part);
        }
        out.extend(self.incarnation.to_be_bytes());
        out.extend(self.epoch.0.to_be_bytes());
        out
    }
}

/// A sealed base key: nonce (12) || ciphertext (32) || tag (16).
// not a wire type: a field of the archive's format
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedBaseKey {
    /// [`SEALED`] bytes.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// Why a sealed base key does not open: the wrong key, the wrong place, or changed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed base key does not open with this meeting key at this place")]
pub struct EscrowError;

impl SealedBaseKey {
    /// Seals a base key.
    pub fn seal(meeting_key: &MeetingKey, place: &Place, base_key: &BaseKey) -> Self {
        let mut nonce = [0u8; NONCE];
        getrandom::fill(&mut nonce).expect("the system has a random source");
        let cipher = Aes256Gcm::new(meeting_key.expose().into());
        let payload = Payload { msg: base_key.expose(), aad: &place.associated_data() };
        let sealed = cipher.encrypt(Nonce::from_slice(&nonce), payload).expect("32 bytes are below every limit of GCM");
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed);
        Self { bytes }
    }
    /// Opens it.
    pub fn open(&self, meeting_key: &MeetingKey, place: &Place) -> Result<BaseKey, EscrowError> {
        if self.bytes.len() != SEALED {
            return Err(EscrowError);
        }
        let (nonce, sealed) = self.bytes.split_at(NONCE);
        let cipher = Aes256Gcm::new(meeting_key.expose().into());
        let payload = Payload { msg: sealed, aad: &place.associated_data() };
        let opened = cipher.decrypt(Nonce::from_slice(nonce), payload).map_err(|_| EscrowError)?;
        BaseKey::from_bytes(&Zeroizing::new(opened)).ok_or(EscrowError)
    }
    /// SHA-256 of the bytes, as receipts name it.
    pub fn hash(&self) -> [u8; 32] {
        evidence::sha256(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(epoch: u64, meeting: &str) -> Place {
        Place {
            firm: "bank-a".parse().expect("an id"),
            meeting: meeting.parse().expect("an id"),
            incarnation: 1,
            epoch: Epoch(epoch),
        }
    }

    #[test]
    fn a_sealed_base_key_opens_only_in_its_place_and_under_its_key() {
        let key = MeetingKey::generate();
        let base = BaseKey::from_bytes(&[7; 32]).expect("32 bytes");
        let sealed = SealedBaseKey::seal(&key, &place(3, "m1"), &base);
        assert_eq!(sealed.open(&key, &place(3, "m1")).expect("its place").expose(), base.expose());
        assert!(sealed.open(&key, &place(4, "m1")).is_err(), "another epoch");
        assert!(sealed.open(&key, &place(3, "m2")).is_err(), "another meeting");
        let firm = Place { firm: "bank-b".parse().expect("an id"), ..place(3, "m1") };
        assert!(sealed.open(&key, &firm).is_err(), "another firm");
        assert!(sealed.open(&key, &Place { incarnation: 2, ..place(3, "m1") }).is_err(), "another incarnation");
        assert!(sealed.open(&MeetingKey::generate(), &place(3, "m1")).is_err(), "another key");
        for at in 0..sealed.bytes.len() {
            let mut broken = sealed.clone();
            broken.bytes[at] ^= 0x40;
            assert!(broken.open(&key, &place(3, "m1")).is_err(), "byte {at}");
        }
    }
}

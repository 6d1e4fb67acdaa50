//! Words sealed under a key of their epoch (AES-256-GCM): whoever can open the epoch's frames can read them, in the meeting
//! and, by the epoch's base key, in a firm's archive. Who said them is proven by the signature around, not here.

use crate::sframe::BaseKey;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use domain::{Epoch, MeetingId, ParticipantId};
use evidence::said::SEAL;
use zeroize::Zeroizing;

/// What makes the key of an epoch's base key.
const KEY_LABEL: &[u8] = b"strongroom said key v1";
/// First part of the associated data.
const LABEL: &[u8] = b"strongroom said v1";
/// Nonce bytes in front of the ciphertext: random, far below 2^32 words an epoch.
const NONCE: usize = 12;

/// Key of what is said in one epoch. Wiped when dropped.
pub struct SaidKey(Zeroizing<[u8; 32]>);

/// Whose word, where: all of it is authenticated.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Which meeting.
    pub meeting: &'a MeetingId,
    /// Who says it.
    pub participant: &'a ParticipantId,
    /// In which epoch.
    pub epoch: Epoch,
    /// Its number.
    pub sequence: u64,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let participant = self.participant.to_string();
        let mut out = Vec::new();
        for part in [LABEL, self.meeting.as_str().as_bytes(), participant.as_bytes()] {
            out.extend((part.len() as u32).to_be_bytes());
            out.extend_from_slice(part);
        }
        out.extend(self.epoch.0.to_be_bytes());
        out.extend(self.sequence.to_be_bytes());
        out
    }
}

impl SaidKey {
    /// SHA-256(label ‖ base key): the base key is uniform, and no other use of it begins with this label.
    pub fn of(base: &BaseKey) -> Self {
        let mut bytes = Zeroizing::new(KEY_LABEL.to_vec());
        bytes.extend_from_slice(base.expose());
        Self(Zeroizing::new(evidence::sha256(&bytes)))
    }
    /// nonce (12) ‖ ciphertext ‖ tag (16).
    pub fn seal(&self, place: &Place<'_>, words: &[u8]) -> Vec<u8> {
        let mut out = vec![0u8; NONCE];
        getrandom::fill(&mut out).expect("the system has a random source");
        let payload = Payload { msg: words, aad: &place.associated_data() };
        let cipher = Aes256Gcm::new((&*self.0).into());
        let sealed = cipher.encrypt(Nonce::from_slice(&out), payload).expect("words are below every limit of GCM");
        out.extend(sealed);
        out
    }
    /// The words; `None` under another key, at another place, or changed.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if sealed.len() < SEAL {
            return None;
        }
        let (nonce, sealed) = sealed.split_at(NONCE);
        let payload = Payload { msg: sealed, aad: &place.associated_data() };
        let cipher = Aes256Gcm::new((&*self.0).into());
        cipher.decrypt(Nonce::from_slice(nonce), payload).ok().map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_open_only_in_their_place_and_under_their_key() {
        let key = SaidKey::of(&BaseKey::from_bytes(&[7; 32]).expect("32 bytes"));
        let other = SaidKey::of(&BaseKey::from_bytes(&[8; 32]).expect("32 bytes"));
        let (meeting, elsewhere) = ("m1".parse().expect("an id"), "m2".parse().expect("an id"));
        let (anna, ben) = ("a/anna/1".parse().expect("an id"), "b/ben/1".parse().expect("an id"));
        let place = Place { meeting: &meeting, participant: &anna, epoch: Epoch(3), sequence: 5 };
        let sealed = key.seal(&place, b"hello");
        assert_eq!(key.open(&place, &sealed).expect("its place").as_slice(), b"hello");
        assert!(other.open(&place, &sealed).is_none(), "another epoch's key");
        assert!(key.open(&Place { meeting: &elsewhere, ..place }, &sealed).is_none(), "another meeting");
        assert!(key.open(&Place { participant: &ben, ..place }, &sealed).is_none(), "another sender");
        assert!(key.open(&Place { epoch: Epoch(4), ..place }, &sealed).is_none(), "another epoch");
        assert!(key.open(&Place { sequence: 6, ..place }, &sealed).is_none(), "another number");
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(key.open(&place, &bent).is_none(), "byte {at}");
        }
        assert!(key.open(&place, &sealed[..SEAL - 1]).is_none(), "cut");
    }
}

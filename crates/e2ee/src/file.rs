//! Files sealed in chunks under a key of their own (AES-256-GCM, as the STREAM construction counts: Hoang, Reyhanitabar,
//! Rogaway, Vizár 2015). A chunk opens only at its index of its file, and the last one only as the last: none can be
//! changed, moved, left out or put behind. The key travels in a [`Card`], sealed as written words are.
//!
//! Chunk by chunk, so that neither a page's worker nor a recorder is held up by a large file. Sealing the same chunk again
//! gives the same bytes: what a lost connection swallowed is sent anew.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use domain::files::{chunks, plain_name, plain_type, sealed_len};
use domain::{BlobId, MeetingId, ParticipantId};
use evidence::said::MAX_CARD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// First part of the associated data.
const LABEL: &[u8] = b"strongroom file v1";

/// Which file, whose: all of it is authenticated in each chunk.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Which meeting.
    pub meeting: &'a MeetingId,
    /// Who sends it.
    pub participant: &'a ParticipantId,
    /// Its name at signaling.
    pub blob: &'a BlobId,
    /// Bytes of the whole file.
    pub size: u64,
}

impl Place<'_> {
    fn associated_data(&self) -> Vec<u8> {
        let participant = self.participant.to_string();
        let mut out = Vec::new();
        for part in [LABEL, self.meeting.as_str().as_bytes(), participant.as_bytes(), self.blob.as_str().as_bytes()] {
            out.extend((part.len() as u32).to_be_bytes());
            out.extend_from_slice(part);
        }
        out.extend(self.size.to_be_bytes());
        out
    }
    /// 7 zero bytes (the key seals one file), u32 index, 1 for the last chunk and 0 before it.
    fn nonce(&self, index: u32) -> Option<[u8; 12]> {
        let last = chunks(self.size)?.checked_sub(1)?;
        let mut nonce = [0; 12];
        nonce[7..11].copy_from_slice(&index.to_be_bytes());
        nonce[11] = u8::from(index == last);
        (index <= last).then_some(nonce)
    }
}

/// Key of one file. Wiped when dropped.
pub struct FileKey(Zeroizing<[u8; 32]>);

impl FileKey {
    /// A fresh one: it seals one file and nothing else.
    pub fn generate() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).expect("the system has a random source");
        Self(key)
    }
    /// Chunk `index`: ciphertext and tag; `None` if the file has no such chunk, or one of another length.
    pub fn seal(&self, place: &Place<'_>, index: u32, chunk: &[u8]) -> Option<Vec<u8>> {
        if sealed_len(place.size, index)? != chunk.len() + domain::limits::FILE_TAG {
            return None;
        }
        let payload = Payload { msg: chunk, aad: &place.associated_data() };
        Aes256Gcm::new((&*self.0).into()).encrypt(Nonce::from_slice(&place.nonce(index)?), payload).ok()
    }
    /// The chunk in clear; `None` under another key, at another place or index, or changed.
    pub fn open(&self, place: &Place<'_>, index: u32, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if sealed_len(place.size, index)? != sealed.len() {
            return None;
        }
        let payload = Payload { msg: sealed, aad: &place.associated_data() };
        let opened = Aes256Gcm::new((&*self.0).into()).decrypt(Nonce::from_slice(&place.nonce(index)?), payload);
        opened.ok().map(Zeroizing::new)
    }
}

// not a wire type: sealed inside a signed `said`, written and read by this file alone
/// What the group alone reads of a file. Not shown in logs.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
pub struct Card {
    name: String,
    media_type: String,
    #[serde(with = "serde_bytes")]
    key: [u8; 32],
    #[serde(with = "serde_bytes")]
    sha256: [u8; 32],
}

impl Card {
    /// Of a file by this key whose clear bytes have this SHA-256.
    pub fn new(name: &str, media_type: &str, key: &FileKey, sha256: [u8; 32]) -> Self {
        Self { name: plain_name(name), media_type: plain_type(media_type), key: *key.0, sha256 }
    }
    /// CBOR: to be sealed.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(evidence::cbor::encode(self))
    }
    /// Reads what was opened; whatever its sender wrote, name and type are plain afterwards.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut card: Self = evidence::cbor::decode(bytes).ok().filter(|_| bytes.len() <= MAX_CARD)?;
        (card.name, card.media_type) = (plain_name(&card.name), plain_type(&card.media_type));
        Some(card)
    }
    /// Name to show and to save by.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Media type, to show.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }
    /// Opens its chunks.
    pub fn key(&self) -> FileKey {
        FileKey(Zeroizing::new(self.key))
    }
    /// SHA-256 of the file.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::limits::FILE_CHUNK;

    #[test]
    fn f1_a_chunk_opens_only_at_its_index_of_its_file_and_the_last_only_as_the_last() {
        let (key, other) = (FileKey::generate(), FileKey::generate());
        let (meeting, elsewhere) = ("m1".parse().expect("an id"), "m2".parse().expect("an id"));
        let (anna, ben) = ("a/anna/1".parse().expect("an id"), "b/ben/1".parse().expect("an id"));
        let (blob, another) = ("b1".parse().expect("an id"), "b2".parse().expect("an id"));
        let file: Vec<u8> = (0..2 * FILE_CHUNK + 100).map(|n| (n / 7) as u8).collect();
        let place = Place { meeting: &meeting, participant: &anna, blob: &blob, size: file.len() as u64 };
        let sealed: Vec<Vec<u8>> = file
            .chunks(FILE_CHUNK)
            .enumerate()
            .map(|(n, chunk)| key.seal(&place, n as u32, chunk).expect("a chunk of it"))
            .collect();
        let opened: Vec<u8> = sealed
            .iter()
            .enumerate()
            .flat_map(|(n, part)| key.open(&place, n as u32, part).expect("in its place").to_vec())
            .collect();
        assert!(opened == file);
        assert!(key.open(&place, 1, &sealed[0]).is_none() && key.open(&place, 0, &sealed[1]).is_none(), "swapped");
        assert!(key.open(&place, 3, &sealed[2]).is_none(), "behind the end");
        for wrong in [
            Place { meeting: &elsewhere, ..place },
            Place { participant: &ben, ..place },
            Place { blob: &another, ..place },
            Place { size: place.size + 1, ..place },
        ] {
            assert!(key.open(&wrong, 0, &sealed[0]).is_none(), "{wrong:?}");
        }
        assert!(other.open(&place, 0, &sealed[0]).is_none(), "another key");
        // cut at a chunk's end and called whole: the last chunk is not the last
        let cut = Place { size: 2 * FILE_CHUNK as u64, ..place };
        assert!(key.open(&cut, 1, &sealed[1]).is_none());
        let mut bent = sealed[1].clone();
        bent[5] ^= 1;
        assert!(key.open(&place, 1, &bent).is_none());
        assert_eq!(key.seal(&place, 1, &file[FILE_CHUNK..2 * FILE_CHUNK]).as_ref(), Some(&sealed[1]), "the same again");
    }

    #[test]
    fn a_card_at_its_longest_fits_and_is_plain_whatever_was_written_in_it() {
        let key = FileKey::generate();
        let (name, kind) = ("n".repeat(900), format!("application/{}", "x".repeat(80)));
        let card = Card::new(&name, &kind, &key, [7; 32]).encode();
        assert!(card.len() <= MAX_CARD, "{}", card.len());
        assert!(Card::decode(&card).is_some());
        let rogue = Card {
            name: "..\\\u{202e}fdp.exe".to_owned(),
            media_type: "text/html; x".to_owned(),
            key: [1; 32],
            sha256: [2; 32],
        };
        let read = Card::decode(&evidence::cbor::encode(&rogue)).expect("a card");
        assert_eq!((read.name(), read.media_type()), ("fdp.exe", "application/octet-stream"));
    }
}

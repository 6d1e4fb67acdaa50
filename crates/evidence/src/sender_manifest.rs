//! Sender manifests: every two seconds and at the end of an epoch a sender names each frame it sealed, signed by its
//! leaf key. They prove who sent what and make every missing frame a named one.

use crate::cose::{self, CoseError};
use crate::key::PublicKey;
use domain::{Ctr, Epoch, MeetingId, Slot};
use serde::{Deserialize, Serialize};

/// COSE label.
pub const LABEL: &str = "strongroom sender manifest v1";
/// Bytes kept of each frame's SHA-256: second preimages stay at 128 bits.
pub const HASH: usize = 16;
/// Frames one manifest may name: two seconds at 240 frames a second, twice over.
pub const MAX_FRAMES: usize = 1_024;

/// The frames of one slot in one epoch, from one counter on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SenderManifest {
    /// Which meeting.
    pub meeting: MeetingId,
    /// In which epoch they were sealed.
    pub epoch: Epoch,
    /// On which slot.
    pub slot: Slot,
    /// Counter of the first frame.
    pub first_ctr: Ctr,
    /// [`HASH`] bytes for each frame in order, concatenated (see [`frame_hash`]).
    #[serde(with = "serde_bytes")]
    pub hashes: Vec<u8>,
}

impl SenderManifest {
    /// Number of frames it names.
    pub fn frames(&self) -> usize {
        self.hashes.len() / HASH
    }
    /// Each counter with its hash.
    pub fn iter(&self) -> impl Iterator<Item = (Ctr, [u8; HASH])> + '_ {
        self.hashes
            .chunks_exact(HASH)
            .zip(self.first_ctr.0..)
            .map(|(hash, ctr)| (Ctr(ctr), hash.try_into().expect("chunks_exact gives HASH bytes")))
    }
}

/// First [`HASH`] bytes of SHA-256 of a sealed frame: SFrame header, ciphertext and tag, without the codec shim.
pub fn frame_hash(sealed: &[u8]) -> [u8; HASH] {
    crate::sha256(sealed)[..HASH].try_into().expect("SHA-256 is longer than HASH")
}

/// Why a manifest is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not by this sender.
    #[error("the sender manifest is not signed by its sender: {0}")]
    Signature(#[from] CoseError),
    /// Signed, but no manifest, or out of range.
    #[error("the signed bytes are no sender manifest")]
    Malformed,
}

/// The payload to sign.
pub fn encode(manifest: &SenderManifest) -> Vec<u8> {
    crate::cbor::encode(manifest)
}

/// Verifies a manifest with the sender's leaf key.
pub fn judge(public_key: &PublicKey, signed: &[u8]) -> Result<SenderManifest, ManifestError> {
    let payload = cose::verify(LABEL, signed, public_key)?;
    let manifest: SenderManifest = crate::cbor::decode(&payload).map_err(|_| ManifestError::Malformed)?;
    let fits = manifest.hashes.len().is_multiple_of(HASH)
        && (1..=MAX_FRAMES).contains(&manifest.frames())
        && manifest.slot.kind().is_some()
        && manifest.first_ctr.0.checked_add(MAX_FRAMES as u64).is_some();
    if fits { Ok(manifest) } else { Err(ManifestError::Malformed) }
}

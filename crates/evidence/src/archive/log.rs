//! The firm's log of closed archives: a Merkle tree in the layout of C2SP tlog-tiles (hash tiles of height 8), its head
//! a signed note. A leaf's data is the SHA-256 of a signed meeting manifest, or of an entry of a book of retention.
//!
//! The note's text is `<firm>/archive\n<size>\n<base64 root>\n`. C2SP has no P-256 signature type, so the signature line
//! uses the unassigned type 0xff: base64(4-byte key hash || COSE_Sign1 over the text under `strongroom checkpoint v1`).

use super::digest::{Digest, sha256};
use super::merkle;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::FirmId;
use serde::{Deserialize, Serialize};

/// Hashes of a full tile.
pub const TILE: u64 = 256;

/// Head of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// Root.
    pub root: Digest,
}

/// Name of a firm's log.
pub fn origin(firm: &FirmId) -> String {
    format!("{firm}/archive")
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }
    /// Reads a text.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let size: u64 = size.parse().ok()?;
        let root = Digest::from_slice(&STANDARD.decode(root).ok()?)?;
        let read = Self { origin: origin.to_owned(), size, root };
        (read.text() == text).then_some(read)
    }
    /// The whole note with its signature line. `key_spki` names the record key.
    pub fn note(&self, signed: &[u8], key_spki: &[u8]) -> String {
        let mut hashed = format!("{}\n", self.origin).into_bytes();
        hashed.push(0xff);
        hashed.extend(key_spki);
        let mut line = sha256(&hashed).0[..4].to_vec();
        line.extend(signed);
        format!("{}\n\u{2014} {} {}\n", self.text(), self.origin, STANDARD.encode(line))
    }
    /// Splits a note into its head and the COSE_Sign1 over it; judging that is the caller's.
    pub fn from_note(note: &str) -> Option<(Self, Vec<u8>)> {
        let (text, signatures) = note.split_once("\n\n")?;
        let read = Self::from_text(&format!("{text}\n"))?;
        let line = signatures.lines().find_map(|line| line.strip_prefix(&format!("\u{2014} {} ", read.origin)))?;
        let bytes = STANDARD.decode(line).ok()?;
        Some((read, bytes.get(4..)?.to_vec()))
    }
}

/// Proof, kept beside a meeting, that its manifest is in the firm's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogProof {
    /// Which leaf.
    pub index: u64,
    /// Audit path.
    pub path: Vec<Digest>,
    /// The note (signed checkpoint) it leads to.
    pub checkpoint: String,
}

impl LogProof {
    /// Bytes of `proof.cbor`.
    pub fn to_cbor(&self) -> Vec<u8> {
        super::to_cbor(self)
    }
    /// Reads `proof.cbor`.
    pub fn from_cbor(bytes: &[u8]) -> Option<Self> {
        crate::cbor::decode(bytes).ok()
    }
    /// Does it lead from the hash of `signed_manifest` to `head`?
    pub fn leads(&self, signed_manifest: &[u8], head: &Checkpoint) -> bool {
        self.leads_hash(&sha256(signed_manifest), head)
    }
    /// The same from the leaf's data, a SHA-256.
    pub fn leads_hash(&self, hash: &Digest, head: &Checkpoint) -> bool {
        let leaf = merkle::leaf_hash(&hash.0);
        merkle::verify_inclusion(&leaf, self.index, head.size, &self.path, &head.root)
    }
}

/// A log in memory: leaf hashes; a firm closes some thousand meetings a year, 32 bytes each.
#[derive(Debug, Clone, Default)]
pub struct Log {
    leaves: Vec<Digest>,
}

impl Log {
    /// From the level-0 tiles, in order (the last may be partial); `None` if one has a broken size.
    pub fn from_tiles<'a>(tiles: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut leaves = Vec::new();
        for tile in tiles {
            let follows_whole_tiles = (leaves.len() as u64).is_multiple_of(TILE);
            if !tile.len().is_multiple_of(32) || tile.len() as u64 > TILE * 32 || !follows_whole_tiles {
                return None;
            }
            leaves.extend(tile.chunks_exact(32).filter_map(Digest::from_slice));
        }
        Some(Self { leaves })
    }
    /// Adds the hash of a signed manifest; returns its index.
    pub fn append(&mut self, manifest_hash: &Digest) -> u64 {
        self.leaves.push(merkle::leaf_hash(&manifest_hash.0));
        self.leaves.len() as u64 - 1
    }
    /// Leaves.
    pub fn size(&self) -> u64 {
        self.leaves.len() as u64
    }
    /// Cuts leaves that no signed checkpoint covers (a crash between tile and checkpoint).
    pub fn truncate(&mut self, size: u64) {
        self.leaves.truncate(size as usize);
    }
    /// Head.
    pub fn checkpoint(&self, firm: &FirmId) -> Checkpoint {
        Checkpoint { origin: origin(firm), size: self.size(), root: merkle::root(&self.leaves) }
    }
    /// Audit path of a leaf.
    pub fn inclusion(&self, index: u64) -> Option<Vec<Digest>> {
        merkle::inclusion(&self.leaves, usize::try_from(index).ok()?)
    }
    /// Tiles that are new or have grown since the log had `old` leaves, as (path below `log/`, bytes).
    pub fn tiles_since(&self, old: u64) -> Vec<(String, Vec<u8>)> {
        let mut out = Vec::new();
        let mut level = 0u32;
        let mut hashes = self.leaves.clone();
        let mut before = old;
        while !hashes.is_empty() {
            let first = before / TILE;
            for n in first..(hashes.len() as u64).div_ceil(TILE) {
                let part = &hashes[(n * TILE) as usize..hashes.len().min(((n + 1) * TILE) as usize)];
                out.push((tile_path(level, n, part.len() as u64), part.iter().flat_map(|hash| hash.0).collect()));
            }
            hashes = hashes.chunks_exact(TILE as usize).map(merkle::root).collect();
            before /= TILE;
            level += 1;
        }
        out
    }
}

/// Path of a tile of `width` hashes: `tile/<level>/<index>[.p/<width>]` with the index in groups of three digits.
pub fn tile_path(level: u32, index: u64, width: u64) -> String {
    let mut parts = vec![format!("{:03}", index % 1000)];
    let mut rest = index / 1000;
    while rest > 0 {
        parts.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    parts.reverse();
    let partial = if width < TILE { format!(".p/{width}") } else { String::new() };
    format!("tile/{level}/{}{partial}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_named_as_c2sp_names_them() {
        assert_eq!(tile_path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(tile_path(1, 0, 5), "tile/1/000.p/5");
    }

    #[test]
    fn a_log_reads_back_from_its_tiles_and_proves_every_leaf_under_its_note() {
        let firm: FirmId = "bank-a".parse().expect("an id");
        let mut log = Log::default();
        let hashes: Vec<Digest> = (0..600u32).map(|n| sha256(&n.to_be_bytes())).collect();
        for hash in &hashes {
            log.append(hash);
        }
        let tiles = log.tiles_since(0);
        assert!(tiles.iter().any(|(path, _)| path == "tile/1/000.p/2"));
        let level_0 = tiles.iter().filter(|(path, _)| path.starts_with("tile/0/")).map(|(_, bytes)| &bytes[..]);
        let again = Log::from_tiles(level_0).expect("whole");
        let head = again.checkpoint(&firm);
        assert_eq!(head, log.checkpoint(&firm));
        let note = head.note(b"signed", b"spki");
        assert_eq!(Checkpoint::from_note(&note), Some((head.clone(), b"signed".to_vec())));
        for index in [0, 255, 256, 599] {
            let path = log.inclusion(index).expect("in range");
            let leaf = merkle::leaf_hash(&hashes[index as usize].0);
            assert!(merkle::verify_inclusion(&leaf, index, 600, &path, &head.root));
        }
    }
}

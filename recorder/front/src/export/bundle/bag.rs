//! A BagIt bag (RFC 8493) as a tar (POSIX ustar), written as a stream: payload first, then the manifests that name it.

use super::Piece;
use axum::body::Bytes;
use domain::{FirmId, UnixMillis};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;
use tokio::sync::mpsc;

/// Bytes handed on at once.
const PIECE: usize = 256 * 1024;
/// Tar counts in blocks of so many bytes.
const BLOCK: usize = 512;
/// Longest name in a ustar head; ours are shorter by far.
const MAX_NAME: usize = 100;

/// Why there is no more of it.
#[derive(Debug)]
pub struct Stopped(pub String);

/// One file of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// From the bag's root.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

/// A bag being written.
pub struct Bag {
    root: String,
    at: UnixMillis,
    out: mpsc::Sender<Piece>,
    items: Vec<Item>,
    tags: Vec<Item>,
}

impl Bag {
    /// An empty one.
    pub fn new(root: String, at: UnixMillis, out: mpsc::Sender<Piece>) -> Self {
        Self { root, at, out, items: Vec::new(), tags: Vec::new() }
    }

    /// Payload so far.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// A payload file from disk, under `path`.
    pub fn file(&mut self, path: &str, from: &Path) -> Result<(), Stopped> {
        let failed = |e: std::io::Error| Stopped(format!("{path}: {e}"));
        let mut file = std::fs::File::open(from).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        self.send(self.head(path, size)?)?;
        let (mut hash, mut left) = (Sha256::new(), size);
        while left > 0 {
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            // a file that became shorter meanwhile is no evidence
            file.read_exact(&mut piece).map_err(failed)?;
            hash.update(&piece);
            left -= piece.len() as u64;
            self.send(piece)?;
        }
        self.send(padding(size))?;
        self.items.push(Item { path: path.to_owned(), size, sha256: hex::encode(hash.finalize()) });
        Ok(())
    }

    /// A payload file from memory.
    pub fn bytes(&mut self, path: &str, bytes: &[u8]) -> Result<(), Stopped> {
        let item = self.put(path, bytes)?;
        self.items.push(item);
        Ok(())
    }

    /// The tag files and the end.
    pub fn finish(mut self, firm: &FirmId, title: &str) -> Result<(), Stopped> {
        let total: u64 = self.items.iter().map(|item| item.size).sum();
        // a title is one line of the firm's own
        let title: String = title.chars().filter(|c| !c.is_control()).collect();
        let info = format!(
            "Source-Organization: {firm}\nExternal-Identifier: {}\nExternal-Description: {title}\nBagging-Date: {}\n\
             Payload-Oxum: {total}.{}\nBag-Software-Agent: strongroom-front {}\n",
            self.root,
            &super::load::time(self.at)[..10],
            self.items.len(),
            env!("CARGO_PKG_VERSION"),
        );
        self.tag("bagit.txt", "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n".to_owned())?;
        self.tag("bag-info.txt", info)?;
        self.tag("manifest-sha256.txt", list(&self.items))?;
        let tags = list(&self.tags);
        self.put("tagmanifest-sha256.txt", tags.as_bytes())?;
        self.send(vec![0; 2 * BLOCK])
    }

    fn tag(&mut self, path: &str, text: String) -> Result<(), Stopped> {
        let item = self.put(path, text.as_bytes())?;
        self.tags.push(item);
        Ok(())
    }

    fn put(&self, path: &str, bytes: &[u8]) -> Result<Item, Stopped> {
        let size = bytes.len() as u64;
        let mut whole = self.head(path, size)?;
        whole.extend_from_slice(bytes);
        whole.extend(padding(size));
        self.send(whole)?;
        Ok(Item { path: path.to_owned(), size, sha256: hex::encode(Sha256::digest(bytes)) })
    }

    fn send(&self, piece: Vec<u8>) -> Result<(), Stopped> {
        self.out.blocking_send(Ok(Bytes::from(piece))).map_err(|_| Stopped("nobody takes it any more".to_owned()))
    }

    /// A ustar head (POSIX.1-1988): name, mode, owner, size, time, checksum.
    fn head(&self, path: &str, size: u64) -> Result<Vec<u8>, Stopped> {
        let name = format!("{}/{path}", self.root);
        if name.len() >= MAX_NAME {
            return Err(Stopped(format!("{path} is too long a name for a tar")));
        }
        let mut head = vec![0; BLOCK];
        let mut put = |at: usize, text: &str| head[at..at + text.len()].copy_from_slice(text.as_bytes());
        put(0, &name);
        put(100, "0000644");
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{size:011o}"));
        put(136, &format!("{:011o}", self.at.seconds()));
        // the checksum counts its own field as spaces
        put(148, "        ");
        put(156, "0");
        put(257, "ustar\u{0}00");
        let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
        head[148..156].copy_from_slice(format!("{sum:06o}\u{0} ").as_bytes());
        Ok(head)
    }
}

/// Lines as `sha256sum -c` reads them.
fn list(items: &[Item]) -> String {
    items.iter().map(|item| format!("{}  {}\n", item.sha256, item.path)).collect()
}

fn padding(size: u64) -> Vec<u8> {
    let over = (size % BLOCK as u64) as usize;
    vec![0; (BLOCK - over) % BLOCK]
}

//! The ledger on disk: signed entries one after the other, each behind its length (u32, big-endian). Append is: sign, write,
//! fsync; only then is it answered. A cut last entry was never answered and is dropped; anything else wrong stops the start.

use crate::failure::Failure;
use crate::refusal::{Refusal, refuse};
use crate::token::TokenError;
use domain::FirmId;
use domain::message::custody::LedgerEvent;
use evidence::key::PublicKey;
use evidence::ledger::{self, Head, LABEL};
use evidence::{cbor, cose};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Largest signed entry: its texts are bounded.
const MAX_ENTRY: usize = 4096;

/// The open ledger.
pub struct LedgerFile {
    path: PathBuf,
    file: File,
    // one writer per ledger; given back when this is dropped
    _lock: Flock<File>,
    firm: FirmId,
    head: Head,
    /// Where each entry's length begins, and the end.
    offsets: Vec<u64>,
    /// A write failed half-way: the end of the file is not known to be clean.
    damaged: bool,
}

impl LedgerFile {
    /// Opens or makes the file and judges the whole chain.
    ///
    /// # Errors
    /// [`Failure::Verification`] naming the first entry that does not hold; [`Failure::Unavailable`] if another process has
    /// it; [`Failure::Other`] for I/O.
    pub fn open(path: &Path, firm: FirmId, key: &PublicKey) -> Result<Self, Failure> {
        let io = |e: std::io::Error| Failure::Other(format!("ledger {}: {e}", path.display()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path).map_err(io)?;
        let lock = Flock::lock(file.try_clone().map_err(io)?, FlockArg::LockExclusiveNonblock)
            .map_err(|_| Failure::Unavailable(format!("ledger {} is in use by another process", path.display())))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let (mut head, mut offsets, mut at) = (Head::EMPTY, vec![0], 0);
        while let Some((signed, next)) = take(&bytes, at) {
            let judged = ledger::judge(key, &firm, &head, signed);
            head = judged.map_err(|e| Failure::Verification(format!("ledger {}: {e}", path.display())))?.1;
            at = next;
            offsets.push(at as u64);
        }
        if at < bytes.len() {
            set_aside(path, &bytes[at..], head.next)?;
            file.set_len(at as u64).map_err(io)?;
            file.sync_all().map_err(io)?;
        }
        sync_folder(path).map_err(io)?;
        Ok(Self { path: path.to_owned(), file, _lock: lock, firm, head, offsets, damaged: false })
    }

    /// Where the chain stands.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Appends one event; it is on disk and signed when this returns its index.
    ///
    /// # Errors
    /// The signer's, or `unavailable` if the disk fails.
    pub fn append(
        &mut self,
        event: LedgerEvent,
        signer: impl FnOnce(&[u8; 32]) -> Result<[u8; 64], TokenError>,
    ) -> Result<u64, Refusal> {
        let entry = self.head.entry(&self.firm, event);
        let signed = cose::sign(LABEL, &cbor::encode(&entry), None, signer)?;
        let length = u32::try_from(signed.len()).expect("bounded by its texts");
        let mut frame = length.to_be_bytes().to_vec();
        frame.extend_from_slice(&signed);
        if let Err(error) = self.write(&frame) {
            self.damaged = true;
            tracing::error!(path = %self.path.display(), "the ledger cannot be written: {error}");
            return refuse("unavailable", "the ledger cannot be written; nothing is opened without it");
        }
        self.offsets.push(self.end() + frame.len() as u64);
        self.head = self.head.after(&signed);
        Ok(entry.index)
    }

    /// From now on every write fails.
    #[cfg(test)]
    pub fn break_disk(&mut self) {
        self.file = File::open(&self.path).unwrap();
    }

    fn end(&self) -> u64 {
        *self.offsets.last().expect("begins with one")
    }

    fn write(&mut self, frame: &[u8]) -> std::io::Result<()> {
        let end = self.end();
        if self.damaged {
            self.file.set_len(end)?;
            self.damaged = false;
        }
        self.file.seek(SeekFrom::Start(end))?;
        self.file.write_all(frame)?;
        self.file.sync_data()
    }

    /// Signed entries from an index on.
    ///
    /// # Errors
    /// `unavailable` if the disk fails.
    pub fn read(&self, from: u64, most: usize) -> Result<Vec<Vec<u8>>, Refusal> {
        let first = usize::try_from(from).unwrap_or(usize::MAX).min(self.offsets.len() - 1);
        let spans = self.offsets[first..].windows(2).take(most);
        let entry = |span: &[u64]| {
            let mut bytes = vec![0; usize::try_from(span[1] - span[0] - 4).expect("bounded")];
            self.file.read_exact_at(&mut bytes, span[0] + 4).map(|()| bytes)
        };
        spans.map(entry).collect::<Result<_, _>>().or_else(|_| refuse("unavailable", "the ledger cannot be read"))
    }
}

/// A cut last entry is kept beside the ledger, for whoever wonders. What is too long to be one is no cut entry.
fn set_aside(path: &Path, rest: &[u8], entry: u64) -> Result<(), Failure> {
    if rest.len() > MAX_ENTRY + 4 {
        let text = format!("ledger {}: ledger entry {entry}: its length was changed", path.display());
        return Err(Failure::Verification(text));
    }
    let aside = path.with_extension(format!("cut-{entry}"));
    tracing::warn!(entry, kept = %aside.display(), "the last entry was cut while being written and was never answered");
    std::fs::write(&aside, rest).map_err(|e| Failure::Other(format!("{}: {e}", aside.display())))
}

fn length(head: &[u8]) -> Option<usize> {
    Some(u32::from_be_bytes(head.try_into().ok()?) as usize)
}

/// The entry at an offset and where the next begins; `None` at the end or where one is cut.
fn take(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let begin = at + 4;
    // a file system may have made the file longer and left zeros when the power went
    let end = begin + length(bytes.get(at..begin)?).filter(|length| *length > 0)?;
    Some((bytes.get(begin..end)?, end))
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::UnixMillis;
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::hazmat::PrehashSigner;

    fn key() -> (SigningKey, PublicKey) {
        let key = SigningKey::from_slice(&[5; 32]).unwrap();
        let public = PublicKey::from_sec1(key.verifying_key().to_encoded_point(false).as_bytes()).unwrap();
        (key, public)
    }
    fn event(note: &str) -> LedgerEvent {
        LedgerEvent {
            at: UnixMillis(1),
            actor: "sr://bank-a/carol/d".into(),
            action: "play".into(),
            meeting: "m1".parse().unwrap(),
            note: note.into(),
        }
    }
    fn filled(path: &Path, entries: u64) {
        let (private, public) = key();
        let mut ledger = LedgerFile::open(path, "bank-a".parse().unwrap(), &public).unwrap();
        for at in 0..entries {
            let sign = |hash: &[u8; 32]| {
                let signature: p256::ecdsa::Signature = private.sign_prehash(hash).unwrap();
                Ok(signature.to_bytes().into())
            };
            assert_eq!(ledger.append(event(&at.to_string()), sign).unwrap(), at);
        }
    }
    fn reopen(path: &Path) -> Result<LedgerFile, Failure> {
        LedgerFile::open(path, "bank-a".parse().unwrap(), &key().1)
    }

    #[test]
    fn entries_read_back_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.bin");
        filled(&path, 3);
        let ledger = reopen(&path).unwrap();
        assert_eq!(ledger.head().next, 3);
        assert_eq!(ledger.read(1, 10).unwrap().len(), 2);
        assert_eq!(ledger.read(9, 10).unwrap().len(), 0);
    }

    #[test]
    fn a_ledger_has_one_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.bin");
        let first = reopen(&path).unwrap();
        assert_eq!(reopen(&path).err().unwrap().exit_code(), 4);
        drop(first);
        assert!(reopen(&path).is_ok());
    }

    #[test]
    fn a_cut_tail_is_dropped_and_whole_entries_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.bin");
        filled(&path, 3);
        let whole = std::fs::read(&path).unwrap();
        let ends = reopen(&path).unwrap().offsets;
        for cut in [1, 3, 4, 50] {
            std::fs::write(&path, &whole[..usize::try_from(ends[2]).unwrap() + cut]).unwrap();
            assert_eq!(reopen(&path).unwrap().head().next, 2);
            assert_eq!(std::fs::metadata(&path).unwrap().len(), ends[2]);
        }
    }

    #[test]
    fn each_changed_byte_of_an_entry_is_noticed_and_the_entry_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.bin");
        filled(&path, 2);
        let whole = std::fs::read(&path).unwrap();
        let second = usize::try_from(reopen(&path).unwrap().offsets[1]).unwrap();
        for at in (4..second).chain(second + 4..whole.len()).step_by(5) {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            let failure = reopen(&path).err().unwrap();
            assert_eq!(failure.exit_code(), 3);
            let entry = if at < second { "entry 0" } else { "entry 1" };
            assert!(failure.to_string().contains(entry), "byte {at}: {failure}");
        }
    }

    #[test]
    fn a_changed_length_never_drops_more_than_the_last_entry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.bin");
        filled(&path, 20);
        let mut changed = std::fs::read(&path).unwrap();
        changed[1] ^= 0x40;
        std::fs::write(&path, &changed).unwrap();
        assert_eq!(reopen(&path).err().unwrap().exit_code(), 3);
        assert_eq!(std::fs::read(&path).unwrap(), changed, "nothing is cut off");
    }

    #[test]
    fn a_failed_write_is_refused_and_repaired_by_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.bin");
        filled(&path, 1);
        let mut ledger = reopen(&path).unwrap();
        let writable = std::mem::replace(&mut ledger.file, File::open(&path).unwrap());
        let (private, _) = key();
        let sign = |hash: &[u8; 32]| {
            let signature: p256::ecdsa::Signature = private.sign_prehash(hash).unwrap();
            Ok(signature.to_bytes().into())
        };
        assert_eq!(ledger.append(event("lost"), sign).unwrap_err().0.code, "unavailable");
        ledger.file = writable;
        assert_eq!(ledger.append(event("kept"), sign).unwrap(), 1);
        drop(ledger);
        assert_eq!(reopen(&path).unwrap().head().next, 2);
    }
}

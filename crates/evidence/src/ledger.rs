//! The ledger of an archive: who asked, approved, opened, played, exported. A hash chain of entries, each signed by the
//! firm's ledger key, kept by custody *archive* alone.
//!
//! This module builds and judges entries; it writes nothing. A chain proves order and wholeness up to its last entry;
//! that nothing was cut from its end is proven by whoever kept a later [`Head`].

use crate::cose;
use crate::key::PublicKey;
use crate::{cbor, sha256};
use domain::message::custody::LedgerEvent;
use domain::{B64, FirmId};
use serde::{Deserialize, Serialize};

/// COSE label.
pub const LABEL: &str = "strongroom ledger v1";
/// Longest `actor`: a participant's URI is at most 199 characters.
pub const MAX_ACTOR: usize = 200;
/// Longest `action`: one word.
pub const MAX_ACTION: usize = 32;
/// Longest `note`: a case number, a grant, a range; not a place for content.
pub const MAX_NOTE: usize = 1024;

/// One entry, the payload of a COSE_Sign1 by the ledger key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Position, from 0.
    pub index: u64,
    /// SHA-256 of the signed entry before; 32 zero bytes in the first.
    pub previous: B64,
    /// Whose ledger.
    pub firm: FirmId,
    /// What happened.
    pub event: LedgerEvent,
}

/// Where a chain stands: what the next entry must continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Index of the next entry.
    pub next: u64,
    /// SHA-256 of the last signed entry.
    pub hash: [u8; 32],
}

impl Head {
    /// Of an empty ledger.
    pub const EMPTY: Self = Self { next: 0, hash: [0; 32] };

    /// The entry that follows, to be signed under [`LABEL`].
    pub fn entry(&self, firm: &FirmId, event: LedgerEvent) -> Entry {
        Entry { index: self.next, previous: self.hash.into(), firm: firm.clone(), event }
    }

    /// The head after a signed entry.
    pub fn after(&self, signed: &[u8]) -> Self {
        Self { next: self.next + 1, hash: sha256(signed) }
    }
}

/// What is wrong with a ledger, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ledger entry {index}: {fault}")]
pub struct LedgerError {
    /// First entry that does not hold.
    pub index: u64,
    /// Why.
    pub fault: LedgerFault,
}

/// Why an entry does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerFault {
    /// Not signed by the ledger key under our label.
    #[error("{0}")]
    Signature(#[from] cose::CoseError),
    /// Not an entry.
    #[error("not a ledger entry")]
    Malformed,
    /// Of another firm.
    #[error("of another firm")]
    Firm,
    /// Its index does not follow: an entry was taken out, put in or moved.
    #[error("its index does not follow")]
    Index,
    /// It does not continue the entry before: that one was changed or replaced.
    #[error("it does not continue the entry before")]
    Chain,
}

/// Judges one signed entry as the continuation of `head`.
///
/// # Errors
/// [`LedgerError`] naming the entry.
pub fn judge(key: &PublicKey, firm: &FirmId, head: &Head, signed: &[u8]) -> Result<(Entry, Head), LedgerError> {
    let at = |fault| LedgerError { index: head.next, fault };
    let payload = cose::verify(LABEL, signed, key).map_err(|e| at(e.into()))?;
    let entry: Entry = cbor::decode(&payload).map_err(|_| at(LedgerFault::Malformed))?;
    if entry.firm != *firm {
        return Err(at(LedgerFault::Firm));
    }
    if entry.index != head.next {
        return Err(at(LedgerFault::Index));
    }
    if entry.previous.as_slice() != head.hash {
        return Err(at(LedgerFault::Chain));
    }
    Ok((entry, head.after(signed)))
}

/// Judges a run of signed entries from `head` on (an empty ledger's head for a whole one).
///
/// # Errors
/// [`LedgerError`] naming the first entry that does not hold.
pub fn verify<'a>(
    key: &PublicKey,
    firm: &FirmId,
    mut head: Head,
    entries: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<Entry>, Head), LedgerError> {
    let mut read = Vec::new();
    for signed in entries {
        let (entry, next) = judge(key, firm, &head, signed)?;
        read.push(entry);
        head = next;
    }
    Ok((read, head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::UnixMillis;
    use p256::ecdsa::SigningKey;
    use p256::ecdsa::signature::hazmat::PrehashSigner;

    fn ledger(length: u64) -> (PublicKey, FirmId, Vec<Vec<u8>>) {
        let key = SigningKey::from_slice(&[3; 32]).expect("a scalar");
        let public = PublicKey::from_sec1(key.verifying_key().to_encoded_point(false).as_bytes()).expect("a point");
        let firm: FirmId = "bank-a".parse().expect("an id");
        let mut head = Head::EMPTY;
        let mut entries = Vec::new();
        for at in 0..length {
            let event = LedgerEvent {
                at: UnixMillis(at),
                actor: "sr://bank-a/carol/d1".into(),
                action: "play".into(),
                meeting: "m1".parse().expect("an id"),
                note: String::new(),
            };
            let signed = cose::sign::<()>(LABEL, &cbor::encode(&head.entry(&firm, event)), None, |hash| {
                let signature: p256::ecdsa::Signature = key.sign_prehash(hash).map_err(|_| ())?;
                Ok(signature.to_bytes().into())
            })
            .expect("software keys sign");
            head = head.after(&signed);
            entries.push(signed);
        }
        (public, firm, entries)
    }
    fn run(key: &PublicKey, firm: &FirmId, entries: &[Vec<u8>]) -> Result<u64, (u64, bool)> {
        verify(key, firm, Head::EMPTY, entries.iter().map(Vec::as_slice))
            .map(|(_, head)| head.next)
            .map_err(|e| (e.index, matches!(e.fault, LedgerFault::Signature(_))))
    }

    #[test]
    fn a_whole_ledger_holds_and_each_change_is_named_by_its_first_entry() {
        let (key, firm, entries) = ledger(5);
        assert_eq!(run(&key, &firm, &entries), Ok(5));
        let mut changed = entries.clone();
        let middle = changed[2].len() / 2;
        changed[2][middle] ^= 1;
        assert_eq!(run(&key, &firm, &changed).map_err(|(index, _)| index), Err(2));
        let mut missing = entries.clone();
        missing.remove(1);
        assert_eq!(run(&key, &firm, &missing), Err((1, false)));
        let mut swapped = entries.clone();
        swapped.swap(3, 4);
        assert_eq!(run(&key, &firm, &swapped), Err((3, false)));
        assert_eq!(run(&key, &"bank-b".parse().expect("an id"), &entries), Err((0, false)));
    }

    #[test]
    fn an_entry_does_not_continue_a_changed_one() {
        let (key, firm, entries) = ledger(3);
        let head = Head { next: 1, hash: [7; 32] };
        assert_eq!(judge(&key, &firm, &head, &entries[1]).map_err(|e| e.fault).err(), Some(LedgerFault::Chain));
    }
}

//! The ledger's chain as this front read it: verified from the first entry on, and remembered in steps, so that the newest
//! entries are shown without reading ten years again. What was verified once must be the same when it is read again.

use domain::FirmId;
use domain::message::front::LedgerRow;
use evidence::key::PublicKey;
use evidence::ledger::{Entry, Head, judge};
use std::sync::Mutex;

/// Entries of one page, and between two remembered heads (custody answers as many at once).
pub const PAGE: u64 = 1000;
/// What stands behind a rewritten entry says so.
const REWRITTEN: &str = "the ledger before this entry is not the one that was read earlier";

/// How far the chain was verified.
pub struct Chain {
    firm: FirmId,
    key: PublicKey,
    /// Before entry 0, [`PAGE`], twice [`PAGE`] ...
    heads: Mutex<Vec<Head>>,
}

/// A walk over entries in order.
pub struct Walk<'a> {
    chain: &'a Chain,
    head: Head,
    broken: Option<String>,
}

impl Chain {
    /// Nothing verified yet.
    pub fn new(firm: FirmId, key: PublicKey) -> Self {
        Self { firm, key, heads: Mutex::new(vec![Head::EMPTY]) }
    }

    /// A walk that begins at the last verified head from which entry `from` is reached; without one, from which the last
    /// page is.
    pub fn walk(&self, from: Option<u64>) -> Walk<'_> {
        let heads = self.heads.lock().expect("nothing panics while it is held");
        let last = heads.len() - 1;
        let at = from.map_or(last.saturating_sub(1), |from| usize::try_from(from / PAGE).unwrap_or(last).min(last));
        Walk { chain: self, head: heads[at].clone(), broken: None }
    }
}

impl Walk<'_> {
    /// Index of the entry that is expected next.
    pub fn next(&self) -> u64 {
        self.head.next
    }

    /// Judges the next entry; what cannot even be read has no row.
    pub fn judge(&mut self, signed: &[u8]) -> Option<LedgerRow> {
        self.step();
        let index = self.head.next;
        let event = match judge(&self.chain.key, &self.chain.firm, &self.head, signed) {
            Ok((entry, _)) => Some(entry.event),
            Err(e) => {
                // everything behind a break is unproven, and said to be
                self.broken.get_or_insert_with(|| e.to_string());
                let payload = evidence::cose::payload_unverified(signed);
                payload.and_then(|payload| evidence::cbor::decode::<Entry>(&payload).ok()).map(|entry| entry.event)
            }
        };
        self.head = self.head.after(signed);
        let integrity = self.broken.clone().unwrap_or_else(|| "verified".to_owned());
        event.map(|event| LedgerRow { index, event, integrity })
    }

    /// Remembers a head of a whole chain, or compares it with the one remembered.
    fn step(&mut self) {
        if self.broken.is_some() || !self.head.next.is_multiple_of(PAGE) {
            return;
        }
        let mut heads = self.chain.heads.lock().expect("nothing panics while it is held");
        let at = usize::try_from(self.head.next / PAGE).unwrap_or(usize::MAX);
        match heads.get(at) {
            Some(known) if *known != self.head => self.broken = Some(REWRITTEN.to_owned()),
            None if at == heads.len() => heads.push(self.head.clone()),
            _ => {}
        }
    }
}

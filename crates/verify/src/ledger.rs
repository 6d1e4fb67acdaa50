//! The firm's ledger of plays and exports: u32 big-endian length, then COSE_Sign1, entry after entry.

use crate::Report;
use domain::FirmId;
use evidence::identity::TrustMap;
use evidence::key::PublicKey;
use evidence::ledger::{Head, judge};

/// Checks a ledger file; returns how many entries hold.
pub fn verify_ledger(file: &str, bytes: &[u8], firm: &FirmId, trust: &TrustMap, report: &mut Report) -> u64 {
    let Some(key) = trust.firm(firm).and_then(|one| PublicKey::from_spki(&one.ledger_key).ok()) else {
        report.finding(file, None, format!("the trust map does not know the ledger key of {firm}"));
        return 0;
    };
    let (mut at, mut head) = (0usize, Head::EMPTY);
    while at < bytes.len() {
        let length =
            bytes.get(at..at + 4).map(|part| u32::from_be_bytes(part.try_into().expect("four bytes")) as usize);
        let entry = length.and_then(|length| bytes.get(at + 4..at + 4 + length));
        let Some(entry) = entry else {
            report.finding(file, Some(at as u64), "the ledger ends inside an entry");
            break;
        };
        match judge(&key, firm, &head, entry) {
            Ok((_, after)) => head = after,
            Err(e) => {
                report.finding(file, Some(at as u64), e.to_string());
                break;
            }
        }
        at += 4 + entry.len();
    }
    head.next
}

//! Account of what was said in writing: by whose certificate, which numbers, and which are missing.

use domain::{FirmId, ParticipantId};
use evidence::archive::{ArchiveEvent, CopyWanted, Digest, Tags, sha256};
use evidence::said::{Said, What};
use evidence::{cose, said};
use std::collections::{BTreeMap, BTreeSet};

/// Tags, and wishes for copies, that a manifest names: its events have them all.
const MAX_TAGS: usize = 1_000;

/// Everything kept of it.
#[derive(Debug, Default)]
pub struct Speech {
    objects: BTreeSet<Digest>,
    numbers: BTreeMap<Digest, (ParticipantId, BTreeSet<u64>)>,
    declared: Vec<ArchiveEvent>,
    trades: BTreeSet<String>,
    counterparties: BTreeSet<String>,
    copies: Vec<CopyWanted>,
}

impl Speech {
    /// What the meeting is about.
    pub(crate) fn tags(&self) -> Tags {
        Tags {
            trades: self.trades.iter().cloned().collect(),
            counterparties: self.counterparties.iter().cloned().collect(),
        }
    }
    /// Who of the firm asked for a copy.
    pub(crate) fn copies_wanted(&self, firm: &FirmId) -> Vec<CopyWanted> {
        self.copies.iter().filter(|one| one.participant.firm == *firm).cloned().collect()
    }

    /// Is this object kept?
    pub fn has(&self, hash: &Digest) -> bool {
        self.objects.contains(hash)
    }

    /// Takes what was said; returns it where it is the first time.
    pub(crate) fn said(&mut self, participant: &ParticipantId, signed: &[u8]) -> Option<Said> {
        let is_new = self.objects.insert(sha256(signed));
        // the session judged it before it was written here
        let (certificate, said) = (cose::certificate(signed)?, said::read_unverified(signed)?);
        let numbers =
            self.numbers.entry(sha256(&certificate)).or_insert_with(|| (participant.clone(), BTreeSet::new()));
        numbers.1.insert(said.sequence);
        match &said.what {
            What::Tags { trades, counterparties } if self.trades.len() + self.counterparties.len() < MAX_TAGS => {
                self.trades.extend(trades.iter().cloned());
                self.counterparties.extend(counterparties.iter().cloned());
            }
            What::CopyWanted { language }
                if self.copies.len() < MAX_TAGS && self.copies.iter().all(|one| one.participant != *participant) =>
            {
                self.copies.push(CopyWanted {
                    participant: participant.clone(),
                    language: language.clone(),
                    at: said.at,
                });
            }
            _ => {}
        }
        is_new.then_some(said)
    }

    pub(crate) fn declared(&mut self, missing: &ArchiveEvent) {
        self.declared.push(missing.clone());
    }

    /// Runs of numbers between two kept ones that are not here, and not declared yet.
    pub(crate) fn missing(&self) -> Vec<ArchiveEvent> {
        let mut missing = Vec::new();
        for (certificate, (participant, numbers)) in &self.numbers {
            for (one, next) in numbers.iter().zip(numbers.iter().skip(1)).filter(|(one, next)| **next > **one + 1) {
                let (participant, certificate) = (participant.clone(), *certificate);
                missing.push(ArchiveEvent::Unsaid { participant, certificate, first: one + 1, count: next - one - 1 });
            }
        }
        missing.retain(|one| !self.declared.contains(one));
        missing
    }
}

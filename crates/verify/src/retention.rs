//! The book of retention of one meeting: both officers' signatures of each act, the rules, and each entry's place in the
//! firm's log. It needs nothing of the meeting itself, so that a disposal can be shown years after it.

use crate::{Finding, VerifyError, bundle};
use evidence::archive::{Digest, LogProof, sha256};
use evidence::identity::TrustMap;
use evidence::key::PublicKey;
use evidence::retention::{Book, Entry, Event, Judged, Phase};
use serde::Serialize;
use std::path::Path;

/// What a book says and what is wrong with it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Life {
    /// Whose.
    pub firm: String,
    /// Which meeting.
    pub meeting: String,
    /// Each entry in words.
    pub entries: Vec<String>,
    /// Cases that hold it.
    pub holds: Vec<String>,
    /// Kept until, ms since 1970.
    pub until: u64,
    /// When it was lawfully disposed of, ms since 1970.
    pub disposed_at: Option<u64>,
    /// Everything that does not hold.
    pub findings: Vec<Finding>,
}

impl Life {
    /// Does everything hold?
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }
    fn finding(&mut self, index: u64, problem: impl Into<String>) {
        self.findings.push(Finding { file: name(index), offset: None, problem: problem.into() });
    }
}

fn name(index: u64) -> String {
    format!("{index:05}.cbor")
}

/// Checks the book in `folder` (`<archive>/<firm>/retention/<meeting>`).
///
/// # Errors
/// [`VerifyError`] when there is no book to check.
pub fn verify_retention(folder: &Path, trust: &TrustMap) -> Result<Life, VerifyError> {
    let mut life = Life::default();
    let mut entries = Vec::new();
    while let Ok(bytes) = std::fs::read(folder.join(name(entries.len() as u64))) {
        entries.push(bytes);
    }
    let unreadable = |why: &str| VerifyError::Unreadable { file: name(0), why: why.to_owned() };
    let first = entries.first().ok_or_else(|| unreadable("no book of retention here"))?;
    let first = Entry::from_cbor(first).ok_or_else(|| unreadable("not an entry of a book"))?;
    let key = trust.firm(&first.firm).and_then(|own| PublicKey::from_spki(&own.record_key).ok());
    let key = key.ok_or_else(|| VerifyError::UnknownFirm(first.firm.to_string()))?;
    (life.firm, life.meeting) = (first.firm.to_string(), first.meeting.to_string());
    let files = std::fs::read_dir(folder).map(|all| all.filter_map(Result::ok).count()).unwrap_or_default();
    if files > entries.len() * 2 {
        life.finding(entries.len() as u64, "an entry is missing here: later ones stand in the folder");
    }
    judge_entries(&mut life, trust, &first, &entries);
    judge_proofs(&mut life, folder, &first, &key, &entries);
    Ok(life)
}

/// Signatures, chain and rules.
fn judge_entries(life: &mut Life, trust: &TrustMap, first: &Entry, entries: &[Vec<u8>]) {
    let mut good = entries.len();
    let book = loop {
        match Book::read(trust, &first.firm, entries[..good].iter().map(Vec::as_slice)) {
            Ok(book) => break book,
            Err(e) if e.index == 0 => return life.finding(0, e.fault.to_string()),
            Err(e) => {
                life.finding(e.index, e.fault.to_string());
                good = usize::try_from(e.index).unwrap_or_default();
            }
        }
    };
    life.entries = book.entries.iter().map(|(entry, judged)| words(entry, judged.as_ref())).collect();
    life.until = book.standing.until().0;
    life.holds = book.standing.holds().keys().cloned().collect();
    if let Phase::Disposed { at } = book.standing.phase() {
        life.disposed_at = Some(at.0);
    }
}

/// Each entry's place in the firm's log, and the manifest's own.
fn judge_proofs(life: &mut Life, folder: &Path, first: &Entry, key: &PublicKey, entries: &[Vec<u8>]) {
    let mut before = None;
    if let Event::Kept { proof, .. } = &first.event {
        match proven(proof, first, key, &first.manifest_hash) {
            Ok(index) => before = Some(index),
            Err(why) => life.finding(0, format!("the manifest's place in the firm's log: {why}")),
        }
    }
    for (n, bytes) in (0u64..).zip(entries) {
        let proof = std::fs::read(folder.join(format!("{n:05}.proof"))).unwrap_or_default();
        match proven(&proof, first, key, &sha256(bytes)) {
            Ok(index) if before.is_some_and(|before| before >= index) => {
                life.finding(n, "it stands in the firm's log before what it follows");
            }
            Ok(index) => before = Some(index),
            Err(why) => life.finding(n, format!("its place in the firm's log: {why}")),
        }
    }
}

fn proven(proof: &[u8], first: &Entry, key: &PublicKey, hash: &Digest) -> Result<u64, &'static str> {
    let proof = LogProof::from_cbor(proof).ok_or("there is no log proof")?;
    bundle::proven(&proof, &first.firm, key, hash).map(|()| proof.index)
}

fn words(entry: &Entry, judged: Option<&Judged>) -> String {
    let what = match (&entry.event, judged) {
        (Event::Kept { retain_until, .. }, _) => format!("kept until {} by its manifest", retain_until.rfc3339()),
        (Event::Disposed { keys, objects, places }, _) => {
            format!("disposed of in {}: {objects} objects, {keys} with sealed keys first", places.join(", "))
        }
        (_, Some(one)) => {
            let act = &one.act;
            format!("{} for {} ({}) by {} and {}", act.what.name(), act.case, act.reason, one.first, one.second)
        }
        _ => "something that this verifier does not know".to_owned(),
    };
    format!("{}: {what}", entry.at.rfc3339())
}

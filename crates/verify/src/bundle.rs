//! The parts of a bundle besides segments: signed manifest, keys, statements, log proof, files that do not belong.

use crate::{Report, VerifyError};
use domain::FirmId;
use evidence::archive::manifest::Closed;
use evidence::archive::{
    CHECKPOINT_LABEL, Checkpoint, Digest, EpochKey, LogProof, MEETING_LABEL, MeetingManifest, log, names, sha256,
};
use evidence::cose;
use evidence::identity::TrustMap;
use evidence::key::PublicKey;
use std::collections::BTreeSet;
use std::path::Path;

/// Clocks of an authority and a recorder may differ so much, ms.
const MAX_SKEW_MS: u64 = 60_000;
/// A stamp comes within a minute of a meeting's end while recorder and authority are up; an outage of a week is long. What was
/// stamped later than that may have been made later too.
const LATE_MS: u64 = 7 * DAY_MS;
const DAY_MS: u64 = 24 * 3600 * 1000;

/// The record key of the firm.
pub(crate) fn record_key(trust: &TrustMap, manifest: &MeetingManifest) -> Option<PublicKey> {
    PublicKey::from_spki(&trust.firm(&manifest.firm)?.record_key).ok()
}

/// Reads and verifies `meeting.cose`; `None` after a finding that ends the check.
pub(crate) fn manifest(
    folder: &Path,
    trust: &TrustMap,
    report: &mut Report,
) -> Result<Option<(MeetingManifest, Vec<u8>)>, VerifyError> {
    let unreadable = |why: String| VerifyError::Unreadable { file: names::MEETING.to_owned(), why };
    let signed = std::fs::read(folder.join(names::MEETING)).map_err(|e| {
        unreadable(format!(
            "{e}; a bundle is the folder of one meeting, and a meeting that still runs has no manifest yet"
        ))
    })?;
    let claimed = cose::payload_unverified(&signed).and_then(|payload| MeetingManifest::from_cbor(&payload));
    let Some(claimed) = claimed else {
        report.finding(names::MEETING, Some(0), "not a signed meeting manifest");
        return Ok(None);
    };
    let Some(key) = record_key(trust, &claimed) else {
        return Err(VerifyError::UnknownFirm(claimed.firm.to_string()));
    };
    if let Err(e) = cose::verify(MEETING_LABEL, &signed, &key) {
        report.finding(names::MEETING, Some(0), format!("not signed by the record key of {}: {e}", claimed.firm));
        return Ok(None);
    }
    if claimed.trust.0 != trust.hash() {
        report.notes.push("the meeting was held under another trust map than the one given".to_owned());
    }
    Ok(Some((claimed, signed)))
}

/// Sealed meeting keys and base keys.
pub(crate) fn keys(folder: &Path, manifest: &MeetingManifest, report: &mut Report) {
    match std::fs::read(folder.join(names::SEALED_KEYS)) {
        Err(e) => report.finding(names::SEALED_KEYS, None, e.to_string()),
        Ok(bytes) if sha256(&bytes) != manifest.sealed_keys_hash => {
            let signed = evidence::archive::manifest::write_sealed_keys(&manifest.sealed_keys);
            let at = first_difference(&bytes, &signed);
            report.finding(names::SEALED_KEYS, Some(at), "the sealed meeting keys are not those that were signed");
        }
        Ok(_) => {}
    }
    let bytes = match std::fs::read(folder.join(names::EPOCH_KEYS)) {
        Ok(bytes) => bytes,
        Err(e) => return report.finding(names::EPOCH_KEYS, None, e.to_string()),
    };
    if sha256(&bytes) == manifest.epochs_hash {
        return;
    }
    // the manifest holds a hash of each entry: the first that differs is named
    let (entries, good) = EpochKey::read_all(&bytes);
    let mut at = 0;
    for (entry, signed) in entries.iter().zip(&manifest.epochs) {
        let same = entry.epoch == signed.epoch
            && entry.incarnation == signed.incarnation
            && sha256(&entry.sealed) == signed.sealed_hash
            && entry.transcript_hash == signed.transcript_hash;
        if !same {
            let problem = format!("the sealed key of epoch {} is not the one that was signed", signed.epoch.0);
            return report.finding(names::EPOCH_KEYS, Some(at), problem);
        }
        at += entry.to_cbor().len() as u64;
    }
    report.finding(names::EPOCH_KEYS, Some(at.min(good as u64)), "the sealed base keys are not those that were signed");
}

/// First place in which two byte strings differ.
pub(crate) fn first_difference(a: &[u8], b: &[u8]) -> u64 {
    a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len())) as u64
}

/// The signed statements that bound the meeting.
pub(crate) fn statements(manifest: &MeetingManifest, trust: &TrustMap, report: &mut Report) {
    for (n, signed) in manifest.statements.iter().enumerate() {
        if let Err(e) = evidence::statement::judge_statement(trust, signed) {
            report.finding(names::MEETING, None, format!("statement {} in the manifest does not hold: {e}", n + 1));
        }
    }
}

/// The meeting's place in the firm's log.
pub(crate) fn log(folder: &Path, manifest: &MeetingManifest, signed: &[u8], trust: &TrustMap, report: &mut Report) {
    let bytes = match std::fs::read(folder.join(names::PROOF)) {
        Ok(bytes) => bytes,
        Err(e) => {
            return report.finding(names::PROOF, None, format!("no proof that the firm's log has this meeting ({e})"));
        }
    };
    let Some(proof) = LogProof::from_cbor(&bytes) else {
        return report.finding(names::PROOF, Some(0), "not a log proof");
    };
    let Some(key) = record_key(trust, manifest) else { return };
    match proven(&proof, &manifest.firm, &key, &sha256(signed)) {
        Ok(()) => report.log_index = Some(proof.index),
        Err(why) => report.finding(names::PROOF, Some(0), why),
    }
}

/// Does a proof lead from a leaf's data to a head that the record key signed?
pub(crate) fn proven(proof: &LogProof, firm: &FirmId, key: &PublicKey, hash: &Digest) -> Result<(), &'static str> {
    let (head, signature) = Checkpoint::from_note(&proof.checkpoint).ok_or("the log's checkpoint in it is no note")?;
    let holds = cose::verify(CHECKPOINT_LABEL, &signature, key).is_ok_and(|text| text == head.text().as_bytes());
    // one note has one form: name and key hash of the signature line too
    let is_exact = head.note(&signature, &key.to_spki()) == proof.checkpoint;
    if !holds || !is_exact || head.origin != log::origin(firm) {
        return Err("the log's checkpoint in it is not signed by the firm's record key");
    }
    let leads = proof.leads_hash(hash, &head);
    leads.then_some(()).ok_or("the proof does not lead from this meeting's manifest to the signed log")
}

/// The authority's stamp of the signed manifest, where there is one.
pub(crate) fn stamp(folder: &Path, manifest: &MeetingManifest, signed: &[u8], trust: &TrustMap, report: &mut Report) {
    let roots = trust.firm(&manifest.firm).map(|firm| firm.stamp_roots.as_slice()).unwrap_or_default();
    let bytes = match std::fs::read(folder.join(names::STAMP)) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return report.finding(names::STAMP, None, e.to_string());
        }
        Err(_) if roots.is_empty() => return,
        Err(_) => return report.notes.push("no time stamp (yet): the firm has an authority".to_owned()),
    };
    if roots.is_empty() {
        return report.notes.push("there is a time stamp, but the trust map names no authority to judge it".to_owned());
    }
    let roots: Vec<&[u8]> = roots.iter().map(|root| root.as_slice()).collect();
    match evidence::stamp::judge(&bytes, signed, None, &roots) {
        Err(e) => report.finding(names::STAMP, Some(0), e.to_string()),
        Ok(stamp) => {
            report.stamped_at = Some(stamp.at.0);
            let late = stamp.at.since(manifest.ended_at);
            if late > LATE_MS {
                let days = late / DAY_MS;
                let why = format!(
                    "stamped {days} days after the meeting's end that is stated: nothing but the record key dates it back"
                );
                // a recorder that was away for long closes its meeting when it is back, and says so
                match manifest.closed {
                    Closed::Recovered => report.notes.push(why),
                    Closed::Ended => report.finding(names::STAMP, Some(0), why),
                }
            }
            if manifest.ended_at.since(stamp.at) > MAX_SKEW_MS {
                report.finding(names::STAMP, Some(0), "the manifest was stamped before the meeting it describes ended");
            }
            report.notes.push(format!("stamped at {} ms since 1970 by {}", stamp.at.0, stamp.authority));
        }
    }
}

/// Files that the manifest does not name: a segment put in, or one that the manifest should have named.
pub(crate) fn strangers(folder: &Path, manifest: &MeetingManifest, report: &mut Report) {
    let named: BTreeSet<&str> =
        manifest.segments.iter().flat_map(|segment| [segment.path.as_str(), segment.manifest.as_str()]).collect();
    let mut there = Vec::new();
    for top in ["tracks", "segments"] {
        walk(&folder.join(top), top, &mut there);
    }
    there.sort();
    for path in there.into_iter().filter(|path| !named.contains(path.as_str())) {
        report.finding(&path, Some(0), "the signed manifest does not name this file");
    }
}

/// Paths of all files below a folder, each beginning with `name`.
pub(crate) fn walk(folder: &Path, name: &str, out: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let path = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&entry.path(), &path, out);
        } else {
            out.push(path);
        }
    }
}

//! The restore drill: meetings come back from a store into an empty folder, and each is judged there as an examiner would:
//! every digest against what was uploaded, every signature, hash and gap by the verifier, its place in the store's own copy
//! of the firm's log.

use crate::log::SignedLog;
use crate::restore::{RestoreError, Restored, restore};
use crate::state::State;
use crate::store::{ArchiveStore, Latest};
use crate::upload::state_file;
use domain::{FirmId, MeetingId};
use evidence::archive::{LogProof, names};
use evidence::identity::TrustMap;
use evidence::key::PublicKey;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Which meetings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All.
    All,
    /// So many, the oldest always among them.
    Sample(usize),
}

/// What a drill found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// From which store.
    pub store: String,
    /// Closed meetings that it has.
    pub meetings: u64,
    /// Meetings without a manifest there: they run, or wait for their upload.
    pub open: u64,
    /// Meetings that came back and were judged.
    pub restored: u64,
    /// Of them those in which everything holds.
    pub good: u64,
    /// Files that came back.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files whose digest was compared with that of their upload.
    pub digests: u64,
    /// Entries of the store's copy of the firm's log.
    pub log_entries: u64,
    /// Restored meetings found in it.
    pub in_log: u64,
    /// Everything that does not hold.
    pub findings: Vec<String>,
}

/// Where a drill takes its measure from.
pub struct Measure<'a> {
    /// The recorder's archive folder: journals of what was uploaded. Without journals digests are only checked by manifests.
    pub archive: &'a Path,
    /// Whose.
    pub firm: &'a FirmId,
    /// By which signatures are judged.
    pub trust: &'a TrustMap,
}

/// Prefixes of the meetings in a store, and whether their manifest is there.
async fn meetings(store: &dyn ArchiveStore, firm: &FirmId) -> Result<BTreeMap<String, bool>, RestoreError> {
    let all = format!("{firm}/");
    let versions = store.versions(&all).await.map_err(|e| RestoreError::Store(all, e))?;
    let mut found = BTreeMap::new();
    for one in versions.iter().filter(|one| one.latest == Latest::Yes) {
        let parts: Vec<&str> = one.key.splitn(5, '/').collect();
        let [_, year, month, meeting, rest] = parts[..] else { continue };
        if meeting.parse::<MeetingId>().is_ok() {
            *found.entry(format!("{firm}/{year}/{month}/{meeting}/")).or_default() |= rest == names::MEETING;
        }
    }
    Ok(found)
}

/// `which` of `count`, spread evenly; `pick` moves all but the first.
fn chosen(count: usize, which: Which, pick: u64) -> BTreeSet<usize> {
    match which {
        Which::Sample(most) if most < count => {
            let step = |n: usize| (n * count / most + pick as usize % count.div_ceil(most)).min(count - 1);
            (0..most).map(|n| if n == 0 { 0 } else { step(n) }).collect()
        }
        _ => (0..count).collect(),
    }
}

/// Restores and judges. `target` must be empty.
///
/// # Errors
/// [`RestoreError`] if the store or the disk gives up; what is wrong with what came back is in the report.
pub async fn drill(
    store: &dyn ArchiveStore,
    measure: &Measure<'_>,
    which: Which,
    pick: u64,
    target: &Path,
) -> Result<Report, RestoreError> {
    let mut report = Report { store: store.name().to_owned(), ..Report::default() };
    let all = meetings(store, measure.firm).await?;
    let closed: Vec<String> = all.iter().filter(|(_, closed)| **closed).map(|(prefix, _)| prefix.clone()).collect();
    (report.meetings, report.open) = (closed.len() as u64, (all.len() - closed.len()) as u64);
    let log = log(store, measure, target, &mut report).await?;
    for n in chosen(closed.len(), which, pick) {
        let prefix = &closed[n];
        let before = report.findings.len();
        let files = restore(store, prefix, target).await?;
        report.restored += 1;
        report.files += files.len() as u64;
        report.bytes += files.iter().map(|one| one.size).sum::<u64>();
        digests(store.name(), measure, prefix, &files, &mut report);
        judge(measure, prefix, target, &mut report).await;
        in_log(log.as_ref(), prefix, target, &mut report);
        report.good += u64::from(report.findings.len() == before);
    }
    Ok(report)
}

async fn log(
    store: &dyn ArchiveStore,
    measure: &Measure<'_>,
    target: &Path,
    report: &mut Report,
) -> Result<Option<SignedLog>, RestoreError> {
    let prefix = format!("{}/log/", measure.firm);
    restore(store, &prefix, target).await?;
    let key = measure.trust.firm(measure.firm).and_then(|own| PublicKey::from_spki(&own.record_key).ok());
    let read = key.ok_or_else(|| "the trust map does not know the firm".to_owned());
    match read.and_then(|key| SignedLog::read(&target.join(&prefix), measure.firm, &key)) {
        Ok(log) => {
            report.log_entries = log.size();
            Ok(Some(log))
        }
        Err(why) => {
            report.findings.push(format!("{prefix}: {why}"));
            Ok(None)
        }
    }
}

/// Against the journal of the uploads.
fn digests(store: &str, measure: &Measure<'_>, prefix: &str, files: &[Restored], report: &mut Report) {
    let name = prefix.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let Ok(state) = State::read(&state_file(measure.archive, measure.firm, store, name)) else { return };
    let back: BTreeMap<&str, &Restored> =
        files.iter().filter_map(|one| Some((one.path.strip_prefix(prefix)?, one))).collect();
    for row in state.newest_all() {
        report.digests += 1;
        match back.get(row.path.as_str()) {
            None => report.findings.push(format!("{prefix}{}: it was uploaded and did not come back", row.path)),
            Some(one) if one.sha256 != row.sha256 => {
                report.findings.push(format!("{prefix}{}: other bytes came back than were uploaded", row.path));
            }
            Some(_) => {}
        }
    }
}

/// As an examiner would.
async fn judge(measure: &Measure<'_>, prefix: &str, target: &Path, report: &mut Report) {
    let (folder, trust) = (target.join(prefix), measure.trust.clone());
    let found = match tokio::task::spawn_blocking(move || verify::verify(&folder, &trust)).await {
        Ok(Ok(found)) => {
            found.findings.into_iter().map(|one| format!("{prefix}{}: {}", one.file, one.problem)).collect()
        }
        Ok(Err(e)) => vec![format!("{prefix}: {e}")],
        Err(e) => vec![format!("{prefix}: the check stopped: {e}")],
    };
    report.findings.extend(found);
}

fn in_log(log: Option<&SignedLog>, prefix: &str, target: &Path, report: &mut Report) {
    let Some(log) = log else { return };
    let read = |name: &str| std::fs::read(target.join(prefix).join(name)).unwrap_or_default();
    let (signed, proof) = (read(names::MEETING), LogProof::from_cbor(&read(names::PROOF)));
    match proof {
        Some(proof) if log.has(proof.index, &signed) => report.in_log += 1,
        _ => report.findings.push(format!("{prefix}{}: the store's copy of the log does not have it", names::PROOF)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_the_oldest_and_is_spread_over_the_rest() {
        for (count, most) in [(1, 1), (3, 5), (10, 3), (1_000, 7), (0, 4)] {
            for pick in 0..20 {
                let all = chosen(count, Which::Sample(most), pick);
                assert_eq!(all.len(), most.min(count), "{count} {most} {pick}");
                assert!(all.iter().all(|n| *n < count) && (count == 0 || all.contains(&0)));
            }
        }
        assert_ne!(chosen(1_000, Which::Sample(7), 1), chosen(1_000, Which::Sample(7), 2));
    }
}

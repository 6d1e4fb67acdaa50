//! Checks a meeting's archive offline, without any key that opens it: signatures, record chains, Merkle roots, counters,
//! gaps, the firm's log and, if given, the ledger. Names the first byte that is wrong.
//!
//! It links neither MLS nor any decryption: an examiner can read it in an afternoon.

mod bag;
mod bundle;
mod damage;
mod files;
mod frames;
mod ledger;
mod retention;
mod said;
mod segment;

use evidence::archive::{GapCause, MeetingManifest};
use evidence::identity::TrustMap;
use serde::Serialize;
use std::path::Path;

pub use bag::Bag;
pub use ledger::verify_ledger;
pub use retention::{Life, verify_retention};

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// File, relative to the bundle.
    pub file: String,
    /// First byte that is wrong, where one can be named.
    pub offset: Option<u64>,
    /// What is wrong, in plain words.
    pub problem: String,
}

/// What was checked and what was found.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Firm whose archive it is.
    pub firm: String,
    /// Meeting.
    pub meeting: String,
    /// Segments whose bytes, chain and root were checked.
    pub segments: u64,
    /// Frames read.
    pub frames: u64,
    /// Frames that a sender's own manifest names with this hash.
    pub frames_named: u64,
    /// Words that members wrote and signed.
    pub said: u64,
    /// Files that members sent and that are here whole.
    pub files: u64,
    /// Acknowledgements of the notices.
    pub acknowledged: u64,
    /// What hosts ordered (lock, admit, mute, remove, hand over, end), each once.
    pub host_acts: u64,
    /// Epochs with a sealed key.
    pub epochs: u64,
    /// Gaps that the archive itself declares.
    pub gaps: u64,
    /// Those of frames that never left their sender: nobody received what is missing there.
    pub gaps_unsent: u64,
    /// Frames missing in them.
    pub missing_frames: u64,
    /// Each gap in words: whose frames, which, why.
    pub gap_list: Vec<String>,
    /// Position in the firm's log.
    pub log_index: Option<u64>,
    /// When an authority stamped the manifest, ms since 1970; its stamp held.
    pub stamped_at: Option<u64>,
    /// Everything that does not hold; empty: the archive is as it was signed.
    pub findings: Vec<Finding>,
    /// What an examiner should know and that is no fault.
    pub notes: Vec<String>,
}

impl Report {
    /// Does everything hold?
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }
    pub(crate) fn finding(&mut self, file: &str, offset: Option<u64>, problem: impl Into<String>) {
        self.findings.push(Finding { file: file.to_owned(), offset, problem: problem.into() });
    }
}

/// Why a check could not be made at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A file that must be there cannot be read.
    #[error("{file}: {why}")]
    Unreadable {
        /// Which.
        file: String,
        /// Why.
        why: String,
    },
    /// The trust map does not know the firm.
    #[error("the trust map does not know the firm {0}: give the one of that time with --trust")]
    UnknownFirm(String),
}

/// Checks the meeting in `folder` under `trust`.
///
/// # Errors
/// [`VerifyError`] when there is no meeting to check.
pub fn verify(folder: &Path, trust: &TrustMap) -> Result<Report, VerifyError> {
    let mut report = Report::default();
    let Some((manifest, signed)) = bundle::manifest(folder, trust, &mut report)? else { return Ok(report) };
    describe(&manifest, &mut report);
    if folder.join("superseded").is_dir() {
        report.notes.push("an earlier manifest was superseded: the meeting went on after it was closed".to_owned());
    }
    bundle::keys(folder, &manifest, &mut report);
    bundle::statements(&manifest, trust, &mut report);
    bundle::log(folder, &manifest, &signed, trust, &mut report);
    bundle::stamp(folder, &manifest, &signed, trust, &mut report);
    bundle::strangers(folder, &manifest, &mut report);
    let mut account = frames::Account::default();
    // one buffer for all: memory that the system hands out anew for each costs as much as reading
    let mut bytes = Vec::new();
    for entry in &manifest.segments {
        segment::check(folder, &manifest, entry, trust, &mut bytes, &mut account, &mut report);
    }
    account.speech.judge(&mut report);
    std::mem::take(&mut account.speech.files).judge(&manifest, &mut report);
    account.speech.judge_notices(&manifest, &mut report);
    account.judge(&manifest, &mut report);
    Ok(report)
}

fn describe(manifest: &MeetingManifest, report: &mut Report) {
    report.firm = manifest.firm.to_string();
    report.meeting = manifest.meeting.to_string();
    report.epochs = manifest.epochs.len() as u64;
    report.gaps = manifest.gaps.len() as u64;
    report.gaps_unsent = manifest.gaps.iter().filter(|gap| gap.cause == GapCause::NeverSent).count() as u64;
    report.missing_frames = manifest.gaps.iter().map(|gap| gap.count).sum();
    report.gap_list = manifest.gaps.iter().map(words).collect();
    if manifest.closed == evidence::archive::manifest::Closed::Recovered {
        report.notes.push("the recorder was stopped in this meeting; a later start closed it".to_owned());
    }
}

/// A gap as an examiner reads it.
fn words(gap: &evidence::archive::Gap) -> String {
    let whose = gap.participant.as_ref().map_or_else(|| "everybody".to_owned(), ToString::to_string);
    let slot = gap.slot.map_or_else(String::new, |slot| format!(" slot {}", slot.0));
    let last = (gap.first_ctr + gap.count).saturating_sub(1);
    let cause =
        serde_json::to_value(gap.cause).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
    format!(
        "{whose}{slot} epoch {}: frames {}..{last} missing ({cause}), between {} and {} ms since 1970",
        gap.epoch.0, gap.first_ctr, gap.from.0, gap.to.0
    )
}

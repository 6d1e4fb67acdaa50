//! Files of an opened meeting: listed with it, each opened in memory when it is asked for, never drawn. Blocking where it
//! reads; judges digests before a byte is given.

use crate::replay::keys::{ArchiveKeys, MeetingKeys};
use crate::replay::opening::{self, Kept, OpeningError};
use crate::review::copies::Copies;
use domain::ParticipantId;
use domain::files::{chunks, sealed_len};
use e2ee::file::{Card, Place};
use evidence::archive::{Digest, FileGap, MeetingManifest, names};
use evidence::said::{Said, What};
use zeroize::Zeroizing;

/// Files listed of one meeting: what signaling carries in a long one.
pub const MAX_FILES: usize = 1_000;

/// A file that was sent in the interval.
pub struct Sent {
    /// ms from the begin.
    pub at_ms: u64,
    /// Who sent it.
    pub from: ParticipantId,
    /// SHA-256 of what announced it.
    pub file: Digest,
    /// Bytes.
    pub size: u64,
    /// Name and media type, plain; `None`: no key of this archive opens them.
    pub shown: Option<(String, String)>,
    /// Why it is not here.
    pub missing: Option<FileGap>,
    said: Said,
    /// Which copy has it whole.
    copy: usize,
}

impl Sent {
    /// Of something that was said; `None`: it is no file.
    pub fn new(copies: &Copies, kept: &Kept, at_ms: u64, card: Option<&Card>) -> Option<Self> {
        let What::File { size, .. } = &kept.said.what else { return None };
        let entry = copies.manifest.files.iter().find(|entry| entry.file == kept.file);
        let has_it = |manifest: &MeetingManifest| {
            manifest.files.iter().any(|entry| entry.file == kept.file && entry.missing.is_none())
        };
        Some(Self {
            at_ms,
            from: kept.from.clone(),
            file: kept.file,
            size: *size,
            shown: card.map(|card| (card.name().to_owned(), card.media_type().to_owned())),
            missing: entry.map_or(Some(FileGap::Unfinished), |entry| entry.missing),
            said: kept.said.clone(),
            copy: copies.all().iter().position(|copy| has_it(&copy.manifest)).unwrap_or(0),
        })
    }
    /// Can it be had?
    pub fn is_here(&self) -> bool {
        self.missing.is_none() && self.shown.is_some()
    }
    /// Memory that opening it takes: the events it lies in, its chunks, and it in clear.
    pub fn needs(&self, copies: &Copies) -> u64 {
        let Some(meeting) = copies.all().get(self.copy) else { return 0 };
        let events = meeting.manifest.segments.iter().filter(|segment| segment.track == 0);
        events.map(|segment| segment.size).sum::<u64>() + 2 * self.size
    }
}

/// Opens a file. Blocking.
///
/// # Errors
/// What lies here is not what its sender signed for, or no key opens it.
pub fn open(copies: &Copies, keys: &[MeetingKeys], sent: &Sent) -> Result<Zeroizing<Vec<u8>>, OpeningError> {
    let meeting = copies.all().get(sent.copy).ok_or(OpeningError::Keys)?;
    let damaged = |problem: String| OpeningError::Damaged { path: meeting.called(names::EVENTS), problem };
    let What::File { blob, size, ciphertext, .. } = &sent.said.what else { return Err(OpeningError::Keys) };
    let parts = opening::file(meeting, &sent.file)?;
    let fits = |(index, part): (u32, &Vec<u8>)| sealed_len(*size, index) == Some(part.len());
    if chunks(*size) != Some(parts.len() as u32) || !(0..).zip(&parts).all(fits) {
        return Err(damaged("chunks of this file are missing".to_owned()));
    }
    if evidence::archive::sha256(&parts.concat()) != *ciphertext {
        return Err(damaged("this file is not the one its sender signed for".to_owned()));
    }
    let card = ArchiveKeys::open(copies, keys)?.card(&sent.from, &sent.said).ok_or(OpeningError::Keys)?;
    let place = Place { meeting: &sent.said.meeting, participant: &sent.from, blob, size: *size };
    let (key, mut clear) = (card.key(), Zeroizing::new(Vec::with_capacity(*size as usize)));
    for (index, part) in (0..).zip(&parts) {
        let chunk = key.open(&place, index, part);
        let chunk = chunk.ok_or_else(|| damaged(format!("chunk {index} of this file does not open")))?;
        clear.extend_from_slice(&chunk);
    }
    if evidence::sha256(&clear) != *card.sha256() {
        return Err(damaged("this file is not the one its sender signed for".to_owned()));
    }
    Ok(clear)
}

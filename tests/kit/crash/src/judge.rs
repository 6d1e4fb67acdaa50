//! What a dead recorder left, read as it lies there, against what it promised.

use crate::promise::Promises;
use crate::stream::{Name, Stream};
use anyhow::Context;
use domain::sframe;
use evidence::archive::{Digest, EpochKey, Record, SegmentReader, names, sha256};
use recorder_core::FileId;
use std::collections::BTreeMap;
use std::path::Path;

/// What was found of what was promised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Frames whose last message was acknowledged.
    pub acknowledged: u64,
    /// Of them not there, or not as they came.
    pub lost: u64,
    /// Receipts and signed segments that were promised and are not there.
    pub broken: u64,
}

/// Every frame in the archive by its name, with the hash of its SFrame bytes. Torn ends are left out, as a reader does.
fn kept(folder: &Path) -> anyhow::Result<BTreeMap<Name, Digest>> {
    let mut all = BTreeMap::new();
    let Ok(tracks) = std::fs::read_dir(folder.join("tracks")) else { return Ok(all) };
    for track in tracks {
        for file in std::fs::read_dir(track?.path())? {
            let bytes = std::fs::read(file?.path())?;
            let Ok((header, mut reader)) = SegmentReader::new(&bytes) else { continue };
            let info = header.track.context("a segment of a track names it")?;
            while let Ok(Some(placed)) = reader.next_record() {
                let Record::Media(media) = placed.record else { continue };
                let Ok(head) = sframe::header(media.sframe) else { continue };
                let name = Name {
                    participant: info.participant.to_string(),
                    slot: head.kid.slot().0,
                    epoch: media.epoch.0,
                    ctr: head.ctr.0,
                };
                all.insert(name, sha256(media.sframe));
            }
        }
    }
    Ok(all)
}

/// Reads the archive in `folder` against the promises of its recorder.
///
/// # Errors
/// The disk's.
pub fn judge(folder: &Path, seed: u64, promises: &Promises) -> anyhow::Result<Judgement> {
    let kept = kept(folder)?;
    let mut found = Judgement::default();
    for told in Stream::new(seed).take_while(|told| told.seq <= promises.acknowledged) {
        let Some(frame) = told.frame else { continue };
        found.acknowledged += 1;
        found.lost += u64::from(kept.get(&frame.name) != Some(&frame.hash));
    }
    let (keys, _) = EpochKey::read_all(&std::fs::read(folder.join(names::EPOCH_KEYS)).unwrap_or_default());
    let there = |(incarnation, epoch, hash): &&(u64, u64, String)| {
        keys.iter()
            .any(|key| (key.incarnation, key.epoch.0) == (*incarnation, *epoch) && sha256(&key.sealed).hex() == *hash)
    };
    found.broken += promises.keys.iter().filter(|key| !there(key)).count() as u64;
    // the events grow on after a restart and are signed again
    let sealed = |(path, hash): &&(String, String)| {
        *path == FileId::Events.manifest_path()
            || std::fs::read(folder.join(path)).is_ok_and(|bytes| sha256(&bytes).hex() == *hash)
    };
    found.broken += promises.sealed.iter().filter(|one| !sealed(one)).count() as u64;
    Ok(found)
}

//! Frames against what their senders and the archive itself say: hashes in sender manifests, counters, declared gaps.

use crate::Report;
use domain::{Epoch, MediaKind, ParticipantId, Slot, sframe};
use evidence::archive::{ArchiveEvent, Digest, Gap, Media, MeetingManifest, TrackInfo, names};
use evidence::sender_manifest::{HASH, SenderManifest};
use std::collections::{BTreeMap, BTreeSet};

type Stream = (ParticipantId, Slot, Epoch);

/// Everything seen of frames. The event segment comes first, so manifests are known before frames.
#[derive(Default)]
pub(crate) struct Account {
    named: BTreeMap<Stream, BTreeMap<u64, [u8; HASH]>>,
    kept: BTreeMap<Stream, BTreeSet<u64>>,
    /// Runs of counters between two neighbours in one file: they must be there or be a declared gap.
    between: Vec<(Stream, u64, u64, String, u64)>,
    before: BTreeMap<(String, Slot), (Epoch, u64)>,
    last_slot: BTreeMap<String, Slot>,
    /// What members wrote.
    pub(crate) speech: crate::said::Speech,
    /// Gap records of the event segment.
    pub(crate) declared: Vec<Gap>,
}

impl Account {
    /// Takes an event.
    pub(crate) fn event(&mut self, event: &ArchiveEvent) {
        let ArchiveEvent::SenderManifest { participant, manifest } = event else { return };
        let read = evidence::cose::payload_unverified(manifest)
            .and_then(|payload| evidence::cbor::decode::<SenderManifest>(&payload).ok());
        if let Some(read) = read {
            let stream = self.named.entry((participant.clone(), read.slot, read.epoch)).or_default();
            stream.extend(read.iter().map(|(ctr, hash)| (ctr.0, hash)));
        }
    }

    /// Takes a frame, with the SHA-256 of its SFrame bytes.
    pub(crate) fn frame(
        &mut self,
        (path, offset): (&str, u64),
        info: &TrackInfo,
        (media, sha256): (&Media<'_>, &Digest),
        report: &mut Report,
    ) {
        let Ok(header) = sframe::header(media.sframe) else {
            return report.finding(path, Some(offset), "a frame without an SFrame header");
        };
        let (slot, ctr) = (header.kid.slot(), header.ctr.0);
        if header.kid.epoch_low() != (media.epoch.0 & 0xffff) as u16 {
            return report.finding(path, Some(offset), "the frame's key id names another epoch than its record");
        }
        let stream = (info.participant.clone(), slot, media.epoch);
        if let Some(named) = self.named.get(&stream).and_then(|stream| stream.get(&ctr)) {
            if named[..] == sha256.0[..HASH] {
                report.frames_named += 1;
            } else {
                let problem = format!("frame {ctr} of this source is not the one its sender signed for");
                report.finding(path, Some(offset), problem);
            }
        }
        let file = path.rsplit_once('/').map_or(path, |(folder, _)| folder).to_owned();
        let went_on = self.last_slot.insert(file.clone(), slot) == Some(slot);
        let before = self.before.insert((file, slot), (media.epoch, ctr));
        if let Some((epoch, last)) = before
            && went_on
            && epoch == media.epoch
            && ctr > last + 1
        {
            self.between.push((stream.clone(), last + 1, ctr, path.to_owned(), offset));
        }
        if !self.kept.entry(stream).or_default().insert(ctr) {
            report.finding(path, Some(offset), format!("frame {ctr} of this source is there twice"));
        }
    }

    fn is_declared(gaps: &[Gap], stream: &Stream, ctr: u64) -> bool {
        gaps.iter().any(|gap| {
            gap.participant.as_ref().is_none_or(|one| *one == stream.0)
                && gap.slot.is_none_or(|slot| slot == stream.1)
                && (gap.slot.is_none() || gap.epoch == stream.2)
                && (gap.count == 0 || (gap.first_ctr..gap.first_ctr + gap.count).contains(&ctr))
        })
    }

    /// Is every hole declared, and every declared gap a hole?
    pub(crate) fn judge(self, manifest: &MeetingManifest, report: &mut Report) {
        if self.declared != manifest.gaps {
            report.finding(names::EVENTS, None, "the gaps in the event segment are not those of the signed manifest");
        }
        let empty = BTreeSet::new();
        for (stream, from, to, path, offset) in &self.between {
            let kept = self.kept.get(stream).unwrap_or(&empty);
            let hole = (*from..*to).find(|ctr| !kept.contains(ctr) && !Self::is_declared(&manifest.gaps, stream, *ctr));
            if let Some(ctr) = hole {
                let problem = format!("frame {ctr} before this one is missing and no gap says so");
                report.finding(path, Some(*offset), problem);
            }
        }
        for (stream, named) in self.named.iter().filter(|(stream, _)| stream.1.kind() == Some(MediaKind::Audio)) {
            let kept = self.kept.get(stream).unwrap_or(&empty);
            let missing =
                named.keys().find(|ctr| !kept.contains(ctr) && !Self::is_declared(&manifest.gaps, stream, **ctr));
            // before the recorder's first epoch there is nothing it could have kept
            let held = manifest.epochs.iter().any(|entry| entry.epoch == stream.2);
            if let Some(ctr) = missing.filter(|_| held) {
                let problem = format!(
                    "its sender signed for sound frame {ctr} of epoch {}; it is missing and no gap says so",
                    stream.2.0
                );
                report.finding(names::EVENTS, None, problem);
            }
        }
    }
}

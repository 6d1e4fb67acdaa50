//! One segment: its signed manifest, its bytes, its records.

use crate::frames::Account;
use crate::{Report, bundle, damage, said};
use evidence::archive::{
    Digest, MeetingManifest, Record, SEGMENT_LABEL, SegmentEntry, SegmentManifest, SegmentReader, merkle, sha256,
};
use evidence::cose;
use evidence::identity::TrustMap;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

/// Checks a segment that the meeting manifest names; `bytes` is a buffer that may be used again.
pub(crate) fn check(
    folder: &Path,
    meeting: &MeetingManifest,
    entry: &SegmentEntry,
    trust: &TrustMap,
    bytes: &mut Vec<u8>,
    account: &mut Account,
    report: &mut Report,
) {
    for path in [&entry.path, &entry.manifest] {
        if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
            return report.finding(path, None, "the manifest names a path outside of the bundle");
        }
    }
    let Some(signed) = signed_manifest(folder, meeting, entry, trust, report) else { return };
    bytes.clear();
    if let Err(e) = File::open(folder.join(&entry.path)).and_then(|mut file| file.read_to_end(bytes)) {
        return report.finding(&entry.path, Some(0), format!("the segment is missing ({e})"));
    }
    let bytes = &bytes[..];
    if let Some((offset, problem)) = other_segment(bytes, &signed) {
        return report.finding(&entry.path, Some(offset), problem);
    }
    let frames = whole(bytes, &signed);
    // what gives the signed root is right to the last byte; where it does not, the chunks say which bytes are wrong
    if frames.is_none()
        && let Some(damage) = damage::find(bytes, &signed)
    {
        return report.finding(&entry.path, Some(damage.offset), damage.problem);
    }
    records(bytes, (meeting, entry, &signed), frames.as_deref(), trust, account, report);
}

/// SHA-256 of the SFrame bytes of each frame, if these bytes are what was signed: chain, size and Merkle root. Every byte is
/// hashed once, in a leaf; the chain's own bytes follow from the others.
fn whole(bytes: &[u8], signed: &SegmentManifest) -> Option<Vec<Digest>> {
    let (_, mut reader) = SegmentReader::new(bytes).ok()?;
    let mut tree = merkle::Frontier::default();
    tree.push(merkle::leaf_hash(&bytes[..reader.good() as usize]));
    let mut frames = Vec::new();
    while let Some(placed) = reader.next_record().ok()? {
        let Record::Media(media) = &placed.record else {
            tree.push(placed.leaf());
            continue;
        };
        let sframe = sha256(media.sframe);
        tree.push(placed.leaf_with(&sframe));
        frames.push(sframe);
    }
    (bytes.len() as u64 == signed.size && tree.root() == signed.root).then_some(frames)
}

fn signed_manifest(
    folder: &Path,
    meeting: &MeetingManifest,
    entry: &SegmentEntry,
    trust: &TrustMap,
    report: &mut Report,
) -> Option<SegmentManifest> {
    let bytes = match std::fs::read(folder.join(&entry.manifest)) {
        Ok(bytes) => bytes,
        Err(e) => {
            report.finding(&entry.manifest, Some(0), format!("the segment's signed manifest is missing ({e})"));
            return None;
        }
    };
    if sha256(&bytes) != entry.manifest_hash {
        report.finding(&entry.manifest, Some(0), "not the signed manifest that the meeting manifest names");
        return None;
    }
    let key = bundle::record_key(trust, meeting)?;
    let manifest = match cose::verify(SEGMENT_LABEL, &bytes, &key) {
        Ok(payload) => SegmentManifest::from_cbor(&payload),
        Err(e) => {
            report.finding(&entry.manifest, Some(0), format!("not signed by the record key: {e}"));
            return None;
        }
    };
    let fits = manifest.filter(|one| {
        one.firm == meeting.firm
            && one.meeting == meeting.meeting
            && (one.path.as_str(), one.track, one.index) == (entry.path.as_str(), entry.track, entry.index)
            && (one.root, one.size, one.records, one.frames) == (entry.root, entry.size, entry.records, entry.frames)
    });
    if fits.is_none() {
        report.finding(&entry.manifest, None, "segment manifest and meeting manifest do not say the same");
    }
    fits
}

/// Is this file another segment than the one that belongs here?
fn other_segment(bytes: &[u8], signed: &SegmentManifest) -> Option<(u64, String)> {
    let (header, reader) = SegmentReader::new(bytes).ok()?;
    let track = header.track.as_ref().map_or(0, |info| info.track);
    let same = header.firm == signed.firm
        && header.meeting == signed.meeting
        && (track, header.index, header.first_seq) == (signed.track, signed.index, signed.first_seq);
    if same {
        return None;
    }
    let whose = if header.meeting == signed.meeting { "this meeting" } else { "another meeting" };
    let at = 8.min(reader.good());
    Some((
        at,
        format!(
            "here stands segment {} of track {track} of {whose}; segment {} of track {} belongs here",
            header.index, signed.index, signed.track
        ),
    ))
}

/// Reads every record, recomputes the root where it is not known to be right, hands frames and events to the account.
fn records(
    bytes: &[u8],
    (meeting, entry, signed): (&MeetingManifest, &SegmentEntry, &SegmentManifest),
    known: Option<&[Digest]>,
    trust: &TrustMap,
    account: &mut Account,
    report: &mut Report,
) {
    let (header, mut reader) = match SegmentReader::new(bytes) {
        Ok(read) => read,
        Err(e) => return report.finding(&entry.path, Some(e.offset), e.problem.to_string()),
    };
    let mut tree = merkle::Frontier::default();
    tree.push(merkle::leaf_hash(&bytes[..reader.good() as usize]));
    let (mut records, mut frames) = (0, 0);
    loop {
        match reader.next_record() {
            Ok(None) => break,
            Err(e) => return report.finding(&entry.path, Some(e.offset), e.problem.to_string()),
            Ok(Some(placed)) => {
                // each byte of a frame once: its sender's name for it is the beginning of the hash in its leaf
                let sframe = match (&placed.record, known) {
                    (Record::Media(media), None) => Some(sha256(media.sframe)),
                    (Record::Media(_), Some(known)) => known.get(frames as usize).copied(),
                    _ => None,
                };
                if known.is_none() {
                    tree.push(sframe.as_ref().map_or_else(|| placed.leaf(), |known| placed.leaf_with(known)));
                }
                records += 1;
                match (&placed.record, &header.track) {
                    (Record::Media(media), Some(info)) => {
                        frames += 1;
                        let sframe = sframe.expect("made above");
                        account.frame((&entry.path, placed.offset), info, (media, &sframe), report);
                    }
                    (Record::Event(event), _) => {
                        account.event(event);
                        let place = said::Place { path: &entry.path, offset: placed.offset, at_us: placed.at_us };
                        account.speech.event(&place, event, &meeting.meeting, trust, report);
                    }
                    (Record::Gap(gap), _) => account.declared.push(gap.clone()),
                    (Record::Media(_), None) => {
                        report.finding(&entry.path, Some(placed.offset), "a frame among the events");
                    }
                    _ => {}
                }
            }
        }
    }
    report.segments += 1;
    report.frames += frames;
    if known.is_none() && tree.root() != signed.root {
        report.finding(&entry.path, Some(0), "the records do not give the Merkle root that was signed");
    } else if (records, frames) != (signed.records, signed.frames) {
        report.finding(&entry.path, None, "the numbers of records and frames are not those that were signed");
    }
}

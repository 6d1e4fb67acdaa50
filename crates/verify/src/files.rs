//! Files that were sent in the meeting: every chunk in its place, all of a file as its sender signed for it, and each that
//! is not here named with its reason. Without a key: what a file says stays sealed.

use crate::Report;
use crate::said::Place;
use domain::ParticipantId;
use domain::files::{chunks, sealed_len};
use evidence::archive::{ArchiveEvent, Digest, FileEntry, FileGap, MeetingManifest, names};
use evidence::said::{Said, What};
use sha2::Digest as _;

struct Told {
    entry: FileEntry,
    offset: u64,
    hash: sha2::Sha256,
    next: u32,
}

impl Told {
    fn is_whole(&self) -> bool {
        chunks(self.entry.size) == Some(self.next)
    }
}

/// All of them, in the order in which they were told.
#[derive(Default)]
pub(crate) struct Files(Vec<Told>);

impl Files {
    /// Takes what was said and judged.
    pub(crate) fn told(&mut self, place: &Place<'_>, participant: &ParticipantId, signed: &[u8], said: &Said) {
        if let What::File { size, ciphertext, .. } = &said.what {
            let entry = FileEntry {
                participant: participant.clone(),
                file: evidence::archive::sha256(signed),
                size: *size,
                ciphertext: *ciphertext,
                missing: None,
            };
            self.0.push(Told { entry, offset: place.offset, hash: sha2::Sha256::new(), next: 0 });
        }
    }

    fn of(&mut self, file: &Digest) -> Option<&mut Told> {
        self.0.iter_mut().find(|told| told.entry.file == *file)
    }

    /// Takes an event.
    pub(crate) fn event(&mut self, place: &Place<'_>, event: &ArchiveEvent, report: &mut Report) {
        let mut wrong = |problem: String| report.finding(place.path, Some(place.offset), problem);
        match event {
            ArchiveEvent::FilePart { file, index, part } => {
                let Some(told) = self.of(file) else {
                    return wrong(format!("chunk {index} of a file that nobody sent here"));
                };
                let whose = &told.entry.participant;
                if *index != told.next {
                    return wrong(format!(
                        "chunk {index} of a file of {whose} stands where chunk {} belongs",
                        told.next
                    ));
                }
                if sealed_len(told.entry.size, *index) != Some(part.len()) {
                    return wrong(format!(
                        "chunk {index} of a file of {whose} has another length than it was signed with"
                    ));
                }
                told.hash.update(part);
                told.next += 1;
                let (whole, good) = (told.is_whole(), told.hash.clone().finalize()[..] == told.entry.ciphertext.0);
                if whole && !good {
                    wrong(format!(
                        "this is the last chunk of a file of {whose} that is not the one its sender signed for"
                    ));
                }
            }
            ArchiveEvent::FileMissing { participant, file, why } => match self.of(file) {
                Some(told) if told.entry.participant == *participant => told.entry.missing = Some(*why),
                _ => wrong(format!("a file is called missing that {participant} did not send here")),
            },
            _ => {}
        }
    }

    /// Is every file here or named, and does the manifest say the same?
    pub(crate) fn judge(mut self, manifest: &MeetingManifest, report: &mut Report) {
        self.judge_whole(report);
        let entries: Vec<FileEntry> = self.0.into_iter().map(|told| told.entry).collect();
        if entries != manifest.files {
            report.finding(names::EVENTS, None, "the files in the event segment are not those of the signed manifest");
        }
    }

    fn judge_whole(&mut self, report: &mut Report) {
        for told in &mut self.0 {
            let whose = &told.entry.participant;
            if told.is_whole() {
                told.entry.missing = None;
                report.files += 1;
            } else if let Some(why) = told.entry.missing {
                report.notes.push(format!("a file of {whose} is not here: {}", words(why)));
            } else {
                let problem = format!("{} chunks of this file of {whose} are here and nothing says why", told.next);
                report.finding(names::EVENTS, Some(told.offset), problem);
            }
        }
    }
}

fn words(why: FileGap) -> &'static str {
    match why {
        FileGap::Gone => "the meeting's service had it no more when the recorder asked",
        FileGap::Forged => "what the meeting's service gave was not what its sender signed for",
        FileGap::Unfinished => "the meeting ended before the recorder had all of it",
        FileGap::NotKept => "the firm keeps no files in this room",
        _ => "for a reason that this program does not know",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::limits::FILE_CHUNK;
    use domain::{Epoch, UnixMillis};

    const SIZE: u64 = 2 * FILE_CHUNK as u64 + 3;

    fn parts() -> Vec<Vec<u8>> {
        (0..3).map(|index| vec![index as u8 + 7; sealed_len(SIZE, index).expect("a chunk")]).collect()
    }

    fn anna() -> ParticipantId {
        "bank-a/anna/1".parse().expect("an id")
    }

    fn said(parts: &[Vec<u8>]) -> Said {
        let what = What::File {
            blob: "b1".parse().expect("an id"),
            size: SIZE,
            ciphertext: evidence::archive::sha256(&parts.concat()),
            sealed: vec![1; 100],
        };
        Said { meeting: "m1".parse().expect("an id"), epoch: Epoch(1), sequence: 1, at: UnixMillis(1), what }
    }

    fn file() -> Digest {
        evidence::archive::sha256(b"signed")
    }

    fn part(index: u32, part: Vec<u8>) -> ArchiveEvent {
        ArchiveEvent::FilePart { file: file(), index, part }
    }

    fn judged(events: &[ArchiveEvent]) -> Report {
        let (mut files, mut report) = (Files::default(), Report::default());
        let place = |offset| Place { path: "events.seg", offset, at_us: 1 };
        files.told(&place(0), &anna(), b"signed", &said(&parts()));
        for (n, event) in events.iter().enumerate() {
            files.event(&place(n as u64 + 1), event, &mut report);
        }
        files.judge_whole(&mut report);
        report
    }

    #[test]
    fn f9_a_bent_moved_doubled_or_dropped_chunk_of_a_kept_file_is_named_where_it_stands() {
        let whole: Vec<ArchiveEvent> = (0..).zip(parts()).map(|(index, bytes)| part(index, bytes)).collect();
        let good = judged(&whole);
        assert_eq!((good.files, good.findings.len()), (1, 0), "{:?}", good.findings);
        let named = |events: Vec<ArchiveEvent>, offset: u64, words: &str| {
            let report = judged(&events);
            let found = report.findings.iter().any(|one| one.offset == Some(offset) && one.problem.contains(words));
            assert!(found, "{words}: {:?}", report.findings);
        };
        let mut bent = parts();
        bent[1][9] ^= 1;
        named((0..).zip(bent).map(|(n, bytes)| part(n, bytes)).collect(), 3, "not the one its sender signed for");
        let mut swapped = whole.clone();
        swapped.swap(0, 1);
        named(swapped, 1, "chunk 1 of a file of bank-a/anna/1 stands where chunk 0 belongs");
        named([&whole[..1], &whole[..]].concat(), 2, "stands where chunk 1 belongs");
        named(whole[..2].to_vec(), 0, "nothing says why");
        named(vec![part(0, vec![7; 5])], 1, "another length");
        named([&whole[..], &[part(3, vec![7; 16])]].concat(), 4, "another length");
        let strange = ArchiveEvent::FilePart { file: Digest([0; 32]), index: 0, part: vec![1] };
        named(vec![strange], 1, "nobody sent");
        let missing = ArchiveEvent::FileMissing { participant: anna(), file: file(), why: FileGap::Gone };
        assert!(judged(&[missing]).findings.is_empty(), "what is not here is said to be");
    }
}

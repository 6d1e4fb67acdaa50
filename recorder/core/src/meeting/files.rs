//! Files: asked for when they are told of, written a little at a time beside everything else, told as kept once all of one
//! is durable.

use super::{FileRule, Meeting, Now, Output};
use domain::files::sealed_len;
use domain::limits::{FILE_CHUNK, FILE_TAG};
use evidence::archive::{ArchiveEvent, Digest, FileGap};
use std::collections::VecDeque;

/// Chunks of a file in one group commit: 1 MiB, which holds up the frames beside it for some milliseconds.
pub(super) const PARTS_A_COMMIT: usize = 16;

/// A file that came and is not written yet.
pub(super) struct Writing {
    file: Digest,
    sealed: Vec<u8>,
    /// Written up to here.
    at: usize,
}

pub(super) type Waiting = VecDeque<Writing>;

impl Meeting {
    /// A file was told of just now, or again: it is asked for, if it is kept here and not all of it is.
    pub(super) fn file_told(&mut self, now: Now, file: Digest) {
        if self.summary.files.wanted(&file).is_none() || self.files.iter().any(|one| one.file == file) {
            return;
        }
        if self.config.files == FileRule::Named {
            return self.file_lost(now, file, FileGap::NotKept);
        }
        self.out.push_back(Output::Fetch(file));
    }

    /// All of a file is here, and it is what its sender signed for. After a restart some of it may be kept already.
    pub(super) fn file_came(&mut self, now: Now, file: Digest, sealed: Vec<u8>) {
        let Some(wanted) = self.summary.files.wanted(&file) else { return };
        if self.files.iter().all(|one| one.file != file) {
            let at = wanted.next as usize * (FILE_CHUNK + FILE_TAG);
            self.files.push_back(Writing { file, sealed, at });
            self.write_file(now, PARTS_A_COMMIT);
        }
    }

    /// It does not come.
    pub(super) fn file_lost(&mut self, now: Now, file: Digest, why: FileGap) {
        if let Some(wanted) = self.summary.files.wanted(&file) {
            let participant = wanted.participant.clone();
            self.record_event(now, ArchiveEvent::FileMissing { participant, file, why });
        }
    }

    /// Writes the next chunks of the file whose turn it is.
    pub(super) fn write_file(&mut self, now: Now, most: usize) {
        let Some(mut writing) = self.files.pop_front() else { return };
        for _ in 0..most {
            let Some(wanted) = self.summary.files.wanted(&writing.file) else { break };
            let (index, len) = (wanted.next, sealed_len(wanted.size, wanted.next).unwrap_or(0));
            let Some(part) = writing.sealed.get(writing.at..writing.at + len).filter(|part| !part.is_empty()) else {
                // not as long as was signed for: judged before it came here
                return self.file_lost(now, writing.file, FileGap::Forged);
            };
            let part = part.to_vec();
            writing.at += len;
            self.record_event(now, ArchiveEvent::FilePart { file: writing.file, index, part });
        }
        if self.summary.files.is_kept(&writing.file) {
            self.said.push_back((self.writer.next_ticket(), writing.file));
        } else {
            self.files.push_front(writing);
        }
    }

    /// The meeting ends: what is here is written, what is not is named.
    pub(super) fn close_files(&mut self, now: Now) {
        while !self.files.is_empty() {
            self.write_file(now, usize::MAX);
        }
        for file in self.summary.files.unfinished() {
            self.file_lost(now, file, FileGap::Unfinished);
        }
    }
}

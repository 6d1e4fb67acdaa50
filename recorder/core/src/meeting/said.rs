//! What members say in writing: one event each, told to the group once it is durable.

use super::{Meeting, Now, Output};
use domain::{B64, ParticipantId};
use evidence::archive::{ArchiveEvent, Digest, sha256};
use std::collections::VecDeque;

/// Objects on their way to the disk, with the group commit that holds them.
pub(super) type Waiting = VecDeque<(u64, Digest)>;

impl Meeting {
    pub(super) fn said(&mut self, now: Now, participant: ParticipantId, signed: B64) {
        let hash = sha256(&signed);
        let is_new = !self.summary.speech.has(&hash);
        if is_new {
            self.record_event(now, ArchiveEvent::Said { participant, said: signed });
        }
        if self.summary.files.is_told(&hash) && !self.summary.files.is_kept(&hash) {
            return self.file_told(now, hash);
        }
        if is_new {
            self.said.push_back((self.writer.next_ticket(), hash));
        } else if self.said.iter().all(|(_, waiting)| *waiting != hash) {
            // said again because nobody answered: what is durable is told again
            self.out.push_back(Output::Kept(vec![hash]));
        }
    }

    pub(super) fn said_is_durable(&mut self, ticket: u64) {
        let mut kept = Vec::new();
        while let Some((_, hash)) = self.said.pop_front_if(|(held_by, _)| *held_by <= ticket) {
            kept.push(hash);
        }
        if !kept.is_empty() {
            self.out.push_back(Output::Kept(kept));
        }
    }
}

//! The copy stands still for a while: frames come and are not kept, everything else goes on. It ends by itself.

use super::{Meeting, Now};
use domain::ParticipantId;
use domain::limits::PAUSE_MAX_MS;
use evidence::archive::ArchiveEvent;

impl Meeting {
    pub(super) fn pause(&mut self, now: Now, by: ParticipantId, at_most_ms: u64) {
        // one that runs is not made longer: each begins with its own announcement
        if self.summary.paused_until.is_some() {
            return;
        }
        let length = at_most_ms.min(PAUSE_MAX_MS);
        self.pause_ends_ms = Some(now.mono_ms + length);
        self.record_event(now, ArchiveEvent::Paused { by, until: now.wall.plus(length) });
    }

    pub(super) fn resume(&mut self, now: Now, by: Option<ParticipantId>) {
        if self.summary.paused_until.is_none() {
            return;
        }
        self.pause_ends_ms = None;
        self.record_event(now, ArchiveEvent::Resumed { by });
        self.link_resumed();
    }
}

//! Which layer recorders are sent: the highest that flows, changed at key frames only. A layer that is not chosen is no
//! gap in the record: the recorder's account goes by slots.

use crate::Micros;
use crate::forward::Shared;
use crate::layers::ladder::alive;
use crate::meeting::Meeting;

/// A layer that has just begun may stop again: the record goes up to it only after so long.
const STEADY_US: u64 = 2_000_000;

/// The recorded layer of one source.
#[derive(Debug, Default)]
pub struct Recorded {
    /// Place of the layer that is written down.
    pub feed: Option<usize>,
    /// Place of the layer to go over to at its next key frame.
    pub target: Option<usize>,
    /// Since when a higher layer than the recorded one flows.
    better: Option<(usize, Micros)>,
}

impl Meeting {
    /// Is a packet of the track at `place` to be written down? A key frame may make it so.
    pub(crate) fn written(&mut self, place: usize, begins_key: bool) -> bool {
        let Some(lead) = self.tracks[place].as_ref().map(|track| track.lead) else { return false };
        let Some(lead) = self.tracks[lead].as_mut() else { return false };
        let recorded = &mut lead.recorded;
        if recorded.feed == Some(place) {
            return true;
        }
        let taken = begins_key && (recorded.target == Some(place) || recorded.feed.is_none());
        if taken {
            (recorded.feed, recorded.target, recorded.better) = (Some(place), None, None);
        }
        taken
    }

    /// Chooses anew what is recorded of each source.
    pub(crate) fn choose_recorded(&mut self, shared: &mut Shared, now: Micros) {
        for place in 0..self.tracks.len() {
            let Some(lead) = self.tracks[place].as_ref() else { continue };
            if lead.lead != place || !lead.is_layer() || lead.recorders.is_empty() {
                continue;
            }
            let alive = alive(lead.section.slot);
            let flows = |at: &usize| self.tracks[*at].as_ref().is_some_and(|track| track.rate.flows(now, alive));
            let Some(best) = lead.layers.iter().rev().copied().find(flows) else { continue };
            let stopped = lead.recorded.feed.is_none_or(|feed| !flows(&feed));
            let Some(lead) = self.tracks[place].as_mut() else { continue };
            let recorded = &mut lead.recorded;
            if recorded.feed == Some(best) {
                (recorded.target, recorded.better) = (None, None);
                continue;
            }
            let (_, since) = *recorded.better.get_or_insert((best, now));
            if stopped || now.since(since) >= STEADY_US {
                recorded.target = Some(best);
                self.want_key(shared, now, best);
            }
        }
    }
}

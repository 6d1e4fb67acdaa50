//! Which layers of a source anybody needs: the publisher is told not to encode the others.

use crate::Micros;
use crate::forward::Shared;
use crate::layers::ladder::height;
use crate::layers::wishes::{View, Wanted};
use crate::meeting::Meeting;
use domain::MediaKind;
use domain::message::client::FeedLimit;
use domain::message::control::FromSfu;

/// A layer that nobody needs is stopped only after so long: a person who scrolls or switches views wants it back.
pub const LINGER_US: u64 = 5_000_000;

/// The layers of one source that are needed.
#[derive(Debug, Default)]
pub struct Needs {
    /// What the publisher was told last; `None`: nothing yet, it sends all.
    told: Option<Vec<u8>>,
    /// Since when fewer are needed.
    fewer: Option<Micros>,
}

impl Needs {
    /// The layers to tell the publisher of now, if it is to be told. More layers are told at once, fewer after a while.
    pub fn tell(&mut self, now: Micros, needed: &[u8], count: u8) -> Option<Vec<u8>> {
        let all: Vec<u8> = (0..count).collect();
        let told = self.told.as_ref().unwrap_or(&all);
        let more = needed.iter().any(|layer| !told.contains(layer));
        if !more && told.iter().all(|layer| needed.contains(layer)) {
            self.fewer = None;
            return None;
        }
        let since = *self.fewer.get_or_insert(now);
        if !more && now.since(since) < LINGER_US {
            return None;
        }
        self.fewer = None;
        // what is no longer needed lingers beside what is new
        let mut next: Vec<u8> = needed.to_vec();
        if more {
            next.extend(told.iter().filter(|layer| !needed.contains(layer)));
            next.sort_unstable();
        }
        self.told = Some(next.clone());
        Some(next)
    }

    /// The publisher began anew: it sends all.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Meeting {
    /// Tells publishers which layers are needed, where that changed.
    pub(crate) fn tell_needs(&mut self, shared: &mut Shared, now: Micros) {
        for place in 0..self.tracks.len() {
            let Some(lead) = self.tracks[place].as_ref() else { continue };
            if lead.lead != place || lead.kind() == MediaKind::Audio {
                continue;
            }
            let count = lead.layers.len();
            let needed = self.needed(place);
            let Some(lead) = self.tracks[place].as_mut() else { continue };
            let Some(layers) = lead.needs.tell(now, &needed, count as u8) else { continue };
            let slot = lead.section.slot;
            if let Some(owner) = &self.participants[lead.owner] {
                let (meeting, participant) = (self.id.clone(), owner.id.clone());
                shared.tell(FromSfu::LayersWanted { meeting, participant, slot, layers });
            }
        }
    }

    /// Layers that some subscriber or recorder has a use for. The lowest is kept while anybody looks: it is what a
    /// newcomer, or one whose link fails, is sent first.
    fn needed(&self, lead: usize) -> Vec<u8> {
        let Some(track) = self.tracks[lead].as_ref() else { return Vec::new() };
        // a page may use fewer layers than it negotiated: a small camera is not sent in three sizes
        let count =
            if track.heights.is_empty() { track.layers.len() } else { track.heights.len().min(track.layers.len()) };
        let mut needed = vec![false; count];
        let sections = self.participants.iter().flatten().filter(|p| p.is_member()).flat_map(|p| {
            let mine = p.subscribing.sections.iter().filter(|section| section.track == Some(lead));
            mine.map(move |section| (p.subscribing.view.as_ref(), section))
        });
        for (view, section) in sections {
            let wanted = view.map_or(Wanted::ALL, |view: &View| view.of(&section.participant, section.slot));
            if wanted.height == 0 {
                continue;
            }
            let enough =
                |layer: &usize| u32::from(height(&track.heights, *layer, count)) * 4 >= u32::from(wanted.height) * 3;
            let top = (0..count).find(enough).unwrap_or(count - 1);
            needed[0] = true;
            needed[top] = true;
            if section.told.as_ref().is_some_and(|told| told.limit == FeedLimit::Link) {
                needed[..=top].fill(true);
            }
        }
        if !track.recorders.is_empty() {
            needed[count - 1] = true;
        }
        (0..count).filter(|layer| needed[*layer]).map(|layer| layer as u8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_told_at_once_and_less_after_a_while() {
        let mut needs = Needs::default();
        assert_eq!(needs.tell(Micros(0), &[0, 1, 2], 3), None, "it sends all by itself");
        assert_eq!(needs.tell(Micros(1), &[0], 3), None);
        assert_eq!(needs.tell(Micros(LINGER_US), &[0], 3), None);
        assert_eq!(needs.tell(Micros(LINGER_US + 1), &[0], 3), Some(vec![0]));
        assert_eq!(needs.tell(Micros(LINGER_US + 2), &[0, 2], 3), Some(vec![0, 2]));
        assert_eq!(needs.tell(Micros(LINGER_US + 3), &[0, 1], 3), Some(vec![0, 1, 2]), "what was needed lingers");
        assert_eq!(needs.tell(Micros(LINGER_US + 4), &[], 3), None);
        assert_eq!(needs.tell(Micros(LINGER_US + 5), &[0, 1, 2], 3), None, "needed again in time");
        assert_eq!(needs.tell(Micros(2 * LINGER_US + 4), &[], 3), None, "the while begins anew");
    }
}

//! Which layers of a source anybody needs, and at what rate: the publisher is told not to encode the others, and these no
//! better than the best placed viewer can take them.

use crate::Micros;
use crate::forward::Shared;
use crate::layers::follow::{Asked, Bound, Room, Target};
use crate::layers::ladder::height;
use crate::layers::raise::Raise;
use crate::layers::rate::{SPATIAL, TEMPORAL};
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
    /// At what rate the layers are to be encoded at most.
    bounds: Vec<Bound>,
    /// May the layer below a recorded one take more than usual?
    raise: Raise,
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

    /// Goes towards these rates of the layers. Is the publisher to be told?
    pub fn follow(&mut self, now: Micros, targets: &[Target]) -> bool {
        self.bounds.resize(targets.len(), Bound::default());
        let each = self.bounds.iter_mut().zip(targets);
        each.filter_map(|(bound, target)| bound.follow(now, *target).then_some(())).count() > 0
    }

    /// The bound of a layer.
    pub fn bound(&self, layer: u8) -> Bound {
        self.bounds.get(usize::from(layer)).copied().unwrap_or_default()
    }

    /// The layers that the publisher was told of last, of `count`, and their bounds; none is named where there is none.
    fn said(&self, count: u8) -> (Vec<u8>, Vec<Option<u64>>) {
        let layers = self.told.clone().unwrap_or_else(|| (0..count).collect());
        let mut rates: Vec<Option<u64>> = layers.iter().map(|layer| self.bound(*layer).told()).collect();
        if rates.iter().all(Option::is_none) {
            rates.clear();
        }
        (layers, rates)
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
            self.judge_raise(now, place);
            let (needed, targets) = self.needed(place);
            let Some(lead) = self.tracks[place].as_mut() else { continue };
            let others = lead.needs.tell(now, &needed, count as u8).is_some();
            if !lead.needs.follow(now, &targets) && !others {
                continue;
            }
            let (slot, (layers, rates)) = (lead.section.slot, lead.needs.said(count as u8));
            if let Some(owner) = &self.participants[lead.owner] {
                let (meeting, participant) = (self.id.clone(), owner.id.clone());
                shared.tell(FromSfu::LayersWanted { meeting, participant, slot, layers, rates });
            }
        }
    }

    /// Looks whether the layer that recorders are sent flows whole.
    fn judge_raise(&mut self, now: Micros, lead: usize) {
        let Some(track) = self.tracks[lead].as_ref().filter(|track| !track.recorders.is_empty()) else { return };
        let count = track.used_layers();
        let lines = height(&track.heights, count - 1, count);
        let top = track.layers.get(count - 1).and_then(|place| self.tracks[*place].as_ref());
        let rate = top.map_or(0, |top| top.rate.up_to(SPATIAL as u8, TEMPORAL as u8));
        if let Some(track) = self.tracks[lead].as_mut() {
            track.needs.raise.judge(now, rate, lines);
        }
    }

    /// Layers that some subscriber or recorder has a use for. The lowest is kept while anybody looks: it is what a
    /// newcomer, or one whose link fails, is sent first. With it the rate that each layer is to have.
    fn needed(&self, lead: usize) -> (Vec<u8>, Vec<Target>) {
        let Some(track) = self.tracks[lead].as_ref() else { return (Vec::new(), Vec::new()) };
        let count = track.used_layers();
        let tallest = track.heights.last().copied();
        let lines = |layer: usize| match tallest {
            Some(tallest) if count == 1 => tallest,
            _ => height(&track.heights, layer, count),
        };
        let mut asked = Asked::new((0..count).map(lines).collect(), (!track.recorders.is_empty()).then(|| count - 1));
        if track.needs.raise.is_allowed() {
            asked.raise_below();
        }
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
            let enough = |layer: &usize| u32::from(lines(*layer)) * 4 >= u32::from(wanted.height) * 3;
            let top = (0..count).find(enough).unwrap_or(count - 1);
            asked.by(section.room, top);
            needed[0] = true;
            needed[top] = true;
            // a link that bounds the best layer may soon need a lower one
            let is_tight = matches!(section.room, Room::Of { .. });
            if is_tight || section.told.as_ref().is_some_and(|told| told.limit == FeedLimit::Link) {
                needed[..=top].fill(true);
            }
        }
        if !track.recorders.is_empty() {
            needed[count - 1] = true;
            // ready for who comes: the first picture need not wait until a layer begins
            needed[0] = true;
        }
        ((0..count).filter(|layer| needed[*layer]).map(|layer| layer as u8).collect(), asked.targets())
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

//! The rungs of a source: what can be sent of it, lowest first, and what each takes.

use crate::Micros;
use crate::layers::rate::{ALIVE_SCREEN_US, ALIVE_US};
use crate::track::Track;
use domain::Slot;

/// Temporal layers of a low layer are left alone: a small picture of few bits that stutters saves nothing.
const THIN_ABOVE: u64 = 300_000;
/// A thinned layer is a step up from the next lower one where it takes so much more, in parts of that one: a quarter. Less
/// is not worth a key frame.
const CLEARLY: u64 = 4;
/// Height that is assumed for the highest layer of a source whose page has not said it.
const NOMINAL_HEIGHT: u16 = 720;

/// One way to send a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rung {
    /// Place of the layer's track.
    pub track: usize,
    /// Layer as people count it, lowest 0: simulcast layer or spatial layer.
    pub layer: u8,
    /// Highest spatial layer inside the stream.
    pub spatial: u8,
    /// Highest temporal layer.
    pub temporal: u8,
    /// Height in pixels.
    pub height: u16,
    /// bit/s.
    pub rate: u64,
    /// bit/s to look for: more than `rate` where its publisher was asked to send less than it has.
    pub ahead: u64,
    /// Its publisher encodes it at what fits.
    pub follows: bool,
    /// It is written down: its rate follows nobody, and is known.
    pub kept: bool,
    /// Nothing inside the stream is left out.
    pub whole: bool,
}

/// All rungs that flow now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ladder(pub Vec<Rung>);

/// Silence after which a layer of the source at `slot` counts as stopped.
pub fn alive(slot: Slot) -> u64 {
    if slot >= Slot::SCREEN { ALIVE_SCREEN_US } else { ALIVE_US }
}

/// Heights of `count` layers: as the page said, or halved from a usual one.
pub fn height(said: &[u16], layer: usize, count: usize) -> u16 {
    said.get(layer).copied().unwrap_or_else(|| NOMINAL_HEIGHT >> count.saturating_sub(layer + 1).min(4))
}

impl Ladder {
    /// The rungs of the source that `lead` leads.
    pub fn of(now: Micros, tracks: &[Option<Track>], lead: usize) -> Self {
        let mut rungs = Vec::new();
        let Some(first) = tracks.get(lead).and_then(Option::as_ref) else { return Self(rungs) };
        let nested = first.layers.len() == 1;
        for place in &first.layers {
            let Some(track) = tracks[*place].as_ref() else { continue };
            if !track.rate.flows(now, alive(track.section.slot)) {
                continue;
            }
            let kept = !first.recorders.is_empty() && Some(place) == first.layers.last();
            let (spatial, temporal) = track.rate.extent();
            let bound = first.needs.bound(track.layer);
            let all = track.rate.up_to(spatial, temporal).max(1);
            let expected = bound.expected(now, all);
            for s in 0..=spatial {
                let most = track.rate.up_to(s, temporal) * expected / all;
                let layer = if nested { s } else { track.layer };
                let count = if nested { usize::from(spatial) + 1 } else { first.layers.len() };
                let height = height(&first.heights, usize::from(layer), count);
                let lowest = if most > THIN_ABOVE { 0 } else { temporal };
                for t in lowest..=temporal {
                    let rate = track.rate.up_to(s, t) * expected / all;
                    let (ahead, follows) = (bound.ahead(rate), bound.told().is_some());
                    let whole = t == temporal && s == spatial;
                    rungs.push(Rung {
                        track: *place,
                        layer,
                        spatial: s,
                        temporal: t,
                        height,
                        rate,
                        ahead,
                        follows,
                        kept,
                        whole,
                    });
                }
            }
        }
        Self(rungs).rising()
    }

    /// Leaves out what is no step up: a higher layer that takes no more than a lower one, or is thinned and takes hardly more.
    fn rising(self) -> Self {
        let mut rising: Vec<Rung> = Vec::new();
        for rung in self.0 {
            let clearly = |than: &Rung| if rung.whole || than.track == rung.track { 0 } else { than.rate / CLEARLY };
            match rising.last_mut().filter(|than| rung.rate <= than.rate + clearly(than)) {
                Some(than) => than.ahead = than.ahead.max(rung.ahead),
                None => rising.push(rung),
            }
        }
        Self(rising)
    }

    /// Rungs that a tile of `wanted` pixels has a use for: up to the first that is three quarters of its height.
    pub fn within(&self, wanted: u16) -> &[Rung] {
        let enough = |rung: &&Rung| u32::from(rung.height) * 4 >= u32::from(wanted) * 3;
        let Some(first) = self.0.iter().find(enough) else { return &self.0 };
        let end = self.0.iter().rposition(|rung| rung.layer == first.layer).map_or(0, |at| at + 1);
        &self.0[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rung(layer: u8, height: u16, rate: u64) -> Rung {
        Rung {
            track: usize::from(layer),
            layer,
            spatial: 0,
            temporal: 0,
            height,
            rate,
            ahead: rate,
            follows: false,
            kept: false,
            whole: true,
        }
    }

    #[test]
    fn a_tile_takes_the_smallest_layer_that_fills_it() {
        let ladder = Ladder(vec![rung(0, 180, 100), rung(1, 360, 200), rung(1, 360, 400), rung(2, 720, 900)]);
        for (wanted, rungs) in [(90, 1), (180, 1), (240, 1), (241, 3), (480, 3), (481, 4), (2_000, 4)] {
            assert_eq!(ladder.within(wanted).len(), rungs, "{wanted}");
        }
        assert!(Ladder::default().within(100).is_empty());
    }

    #[test]
    fn a_thinned_layer_counts_only_where_it_is_clearly_more_and_what_is_left_out_is_still_looked_for() {
        let thin = Rung { whole: false, ..rung(1, 360, 480) };
        let ladder = |thinned: u64| Ladder(vec![rung(0, 180, 400), Rung { rate: thinned, ..thin }, rung(1, 360, 900)]);
        assert_eq!(ladder(480).rising().0.iter().map(|r| r.rate).collect::<Vec<_>>(), [400, 900]);
        assert_eq!(ladder(510).rising().0.len(), 3);
        let less = Ladder(vec![rung(0, 180, 400), Rung { ahead: 700, ..rung(1, 360, 390) }]).rising();
        assert_eq!(less.0.iter().map(|r| (r.layer, r.ahead)).collect::<Vec<_>>(), [(0, 700)]);
    }

    #[test]
    fn heights_that_nobody_said_are_halved_from_the_highest() {
        assert_eq!([0, 1, 2].map(|layer| height(&[], layer, 3)), [180, 360, 720]);
        assert_eq!([0, 1].map(|layer| height(&[270, 1080], layer, 2)), [270, 1080]);
    }
}

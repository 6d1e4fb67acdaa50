//! The rungs of a source: what can be sent of it, lowest first, and what each takes.

use crate::Micros;
use crate::layers::rate::{ALIVE_SCREEN_US, ALIVE_US};
use crate::track::Track;
use domain::Slot;

/// Temporal layers of a low layer are left alone: a small picture of few bits that stutters saves nothing.
const THIN_ABOVE: u64 = 300_000;
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
            let (spatial, temporal) = track.rate.extent();
            for s in 0..=spatial {
                let whole = track.rate.up_to(s, temporal);
                let layer = if nested { s } else { track.layer };
                let count = if nested { usize::from(spatial) + 1 } else { first.layers.len() };
                let height = height(&first.heights, usize::from(layer), count);
                let lowest = if whole > THIN_ABOVE { 0 } else { temporal };
                for t in lowest..=temporal {
                    let rate = track.rate.up_to(s, t);
                    rungs.push(Rung { track: *place, layer, spatial: s, temporal: t, height, rate });
                }
            }
        }
        // a thinned higher layer may take less than a whole lower one: only what costs more is higher
        let mut highest = None;
        rungs.retain(|rung| {
            let higher = highest.is_none_or(|highest| rung.rate > highest);
            highest = highest.max(Some(rung.rate));
            higher
        });
        Self(rungs)
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
        Rung { track: usize::from(layer), layer, spatial: 0, temporal: 0, height, rate }
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
    fn heights_that_nobody_said_are_halved_from_the_highest() {
        assert_eq!([0, 1, 2].map(|layer| height(&[], layer, 3)), [180, 360, 720]);
        assert_eq!([0, 1].map(|layer| height(&[270, 1080], layer, 2)), [270, 1080]);
    }
}

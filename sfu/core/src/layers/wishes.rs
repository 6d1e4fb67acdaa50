//! What a page shows, as it said it, and what counts where it said nothing.

use domain::limits::MAX_WISHES;
use domain::message::client::{Weight, Wish};
use domain::{ParticipantId, Slot};
use std::collections::HashMap;

/// What is wished of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Height of the tile in pixels; 0: hidden.
    pub height: u16,
    /// Its rank.
    pub weight: Weight,
}

impl Wanted {
    /// Everything: the page has not said what it shows.
    pub const ALL: Self = Self { height: u16::MAX, weight: Weight::Normal };
    /// Nothing: the page does not show it.
    pub const HIDDEN: Self = Self { height: 0, weight: Weight::Normal };
}

/// Everything one page shows.
#[derive(Debug, Default)]
pub struct View {
    wishes: HashMap<(ParticipantId, Slot), Wanted>,
}

impl View {
    /// Takes a page's wishes; those beyond the limit are not kept.
    pub fn new(wishes: Vec<Wish>) -> Self {
        let each = wishes.into_iter().take(MAX_WISHES);
        let keyed = each.map(|w| ((w.participant, w.slot), Wanted { height: w.max_height, weight: w.weight }));
        Self { wishes: keyed.collect() }
    }

    /// What is wished of a source.
    pub fn of(&self, participant: &ParticipantId, slot: Slot) -> Wanted {
        self.wishes.get(&(participant.clone(), slot)).copied().unwrap_or(Wanted::HIDDEN)
    }
}

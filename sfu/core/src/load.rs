//! What a shard that cannot keep up leaves out, in order: upper layers, then pictures, a quarter of the subscriptions at a
//! time, then new joins. Sound and the record are never left out. The edge measures and says [`Shed`]; nothing here looks
//! at a clock.

use crate::Micros;
use crate::engine::Engine;
use domain::MediaKind;
use domain::message::control::FromSfu;

/// How much is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Shed(u8);

impl Shed {
    /// Nothing is left out.
    pub const NONE: Self = Self(0);
    /// Pictures are left out to all, and nobody new is taken.
    pub const ALL: Self = Self(6);
    /// Quarters of the subscriptions that lose their pictures one after another.
    const PARTS: u8 = 4;

    /// One step more.
    pub fn more(self) -> Self {
        Self(self.0 + 1).min(Self::ALL)
    }

    /// One step less.
    pub fn less(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The step, 0 to 6, for the counters.
    pub fn step(self) -> u8 {
        self.0
    }

    /// Only the lowest layer of every picture is sent.
    pub fn lowest_layers(self) -> bool {
        self.0 >= 1
    }

    /// Is this subscriber left without pictures now?
    pub fn leaves_out(self, kind: MediaKind, place: usize) -> bool {
        kind == MediaKind::Video && (place % usize::from(Self::PARTS)) < usize::from(self.0.saturating_sub(1))
    }

    /// Nobody new is taken.
    pub fn refuses_joins(self) -> bool {
        self == Self::ALL
    }
}

impl Engine {
    /// The edge measured its load. Who gets pictures again waits for a key frame, which is asked for.
    pub fn shed(&mut self, now: Micros, shed: Shed) {
        let before = std::mem::replace(&mut self.shared.shed, shed);
        let told = (before.refuses_joins() != shed.refuses_joins()).then_some(shed.refuses_joins());
        for meeting in self.meetings.iter_mut().flatten() {
            if let Some(overloaded) = told {
                self.shared.tell(FromSfu::Overload { meeting: meeting.id.clone(), overloaded });
            }
            if shed < before {
                for track in 0..meeting.tracks.len() {
                    meeting.want_key(&mut self.shared, now, track);
                }
            }
        }
    }

    /// What is left out now.
    pub fn shedding(&self) -> Shed {
        self.shared.shed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_go_first_then_pictures_by_quarters_then_joins_and_never_sound() {
        let mut shed = Shed::NONE;
        let mut seen = Vec::new();
        loop {
            let without = (0..100).filter(|place| shed.leaves_out(MediaKind::Video, *place)).count();
            assert!((0..100).all(|place| !shed.leaves_out(MediaKind::Audio, place)));
            seen.push((shed.lowest_layers(), without, shed.refuses_joins()));
            if shed == Shed::ALL {
                break;
            }
            shed = shed.more();
        }
        let expected = [
            (false, 0, false),
            (true, 0, false),
            (true, 25, false),
            (true, 50, false),
            (true, 75, false),
            (true, 100, false),
            (true, 100, true),
        ];
        assert_eq!(seen, expected);
        assert_eq!(shed.more(), shed);
        assert_eq!(Shed::NONE.less(), Shed::NONE);
    }
}

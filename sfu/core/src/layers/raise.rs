//! May the layer below a recorded one take more than usual? A recorded layer follows nobody, so the one below it is the
//! viewers' own: up to a bound it takes the place of what lies between the two. But not at the record's expense: a sender
//! whose uplink does not carry both gives the lower layer its share first.

use crate::Micros;
use crate::layers::follow::{floor, full};

/// Height at which a recorded layer has all it needs; larger ones are sent at the same rate.
const ENOUGH_HEIGHT: u16 = 720;
/// The recorded layer flows whole from this share of its full rate on, in tenths: pages send nine.
const WHOLE: u64 = 8;
/// ... and no longer below this.
const NOT_WHOLE: u64 = 7;
/// Below it for so long, it is not a dip between two scenes.
const LASTS_US: u64 = 1_000_000;
/// After the record's layer became poorer nothing is raised for so long.
const AFTER_US: u64 = 60_000_000;
/// A raised layer takes at most so many twelfths of its least rate: 900 kbit/s at 360 lines. Of 700 to 1,400 kbit/s this is
/// about where the emulator had the fewest freezes: below it a link of 1 Mbit/s tries the higher layer, above it one of 2 Mbit/s
/// stays on the lower one.
const TWELFTHS: u64 = 47;

/// The most that a raised layer of this height takes, bit/s.
pub fn raised(height: u16) -> u64 {
    (floor(1, height) * TWELFTHS / 12).max(full(height))
}

/// What the layer below a recorded one may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Raise {
    allowed: bool,
    low: Option<Micros>,
    not_before: Option<Micros>,
}

impl Raise {
    /// May it take more than usual?
    pub fn is_allowed(&self) -> bool {
        self.allowed
    }

    /// The recorded layer, of this height, flows at `rate` bit/s.
    pub fn judge(&mut self, now: Micros, rate: u64, height: u16) {
        let tenths = rate * 10 / full(height.min(ENOUGH_HEIGHT));
        if !self.allowed {
            self.allowed = tenths >= WHOLE && self.not_before.is_none_or(|at| now >= at);
        } else if tenths >= NOT_WHOLE {
            self.low = None;
        } else if now.since(*self.low.get_or_insert(now)) >= LASTS_US {
            *self = Self { allowed: false, low: None, not_before: Some(now.plus(AFTER_US)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_beside_a_whole_recorded_layer_is_the_one_below_it_raised_and_not_again_at_its_expense() {
        let (mut raise, whole, poor) = (Raise::default(), 1_700_000, 1_200_000);
        let allows = |raise: &mut Raise, now, rate| {
            raise.judge(now, rate, 720);
            raise.is_allowed()
        };
        let at = |ms: u64| Micros(ms * 1_000);
        assert!(!allows(&mut raise, at(0), 1_400_000), "it has no rate to give away");
        assert!(allows(&mut raise, at(200), whole));
        assert!(allows(&mut raise, at(400), 1_400_000), "a scene with less in it");
        assert!(allows(&mut raise, at(600), poor) && allows(&mut raise, at(1_500), poor));
        assert!(!allows(&mut raise, at(1_600), poor), "the uplink does not carry both");
        assert!(!allows(&mut raise, at(61_500), whole));
        assert!(allows(&mut raise, at(61_600), whole));
        let mut other = Raise::default();
        other.judge(at(0), whole, 1_080);
        assert!(other.is_allowed(), "cameras of more lines are sent at the same rate");
    }

    #[test]
    fn a_raised_layer_takes_more_than_usual_and_less_than_the_next() {
        assert_eq!((full(360), raised(360), floor(2, 720)), (689_427, 900_085, 650_000));
        assert!(raised(360) * 2 < full(720));
    }
}

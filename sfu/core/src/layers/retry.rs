//! When a layer that did not last may be tried again: each try costs a key frame there and one back, so what fails again and
//! again is tried ever more seldom.

use crate::Micros;

/// A layer that is left within so long of going over to it did not last.
const LASTED_US: u64 = 15_000_000;
/// The wait after a first failure: a little more than any layer waits after it gave way.
const FIRST_US: u64 = 5_000_000;
/// It doubles with each further failure, up to this: a link may have become better unnoticed.
const MOST_US: u64 = 80_000_000;
/// What takes more than all but one part in so many of a rate is as much.
const AS_MUCH: u64 = 8;
/// An estimate of so many halves of what failed is another link's.
const OTHER_LINK: u64 = 3;

/// What did not last of one section's layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retry {
    rose: Option<Micros>,
    failed: Option<Failed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failed {
    /// bit/s of what did not last.
    rate: u64,
    wait: u64,
    until: Micros,
}

impl Retry {
    /// It goes over to a higher layer.
    pub fn rose(&mut self, now: Micros) {
        self.rose = Some(now);
    }

    /// It leaves a layer that took `rate` bit/s for a lower one.
    pub fn fell(&mut self, now: Micros, rate: u64) {
        let Some(rose) = self.rose.take() else { return };
        self.failed = (now.since(rose) < LASTED_US).then(|| {
            let wait = self.failed.map_or(FIRST_US, |before| (before.wait * 2).min(MOST_US));
            Failed { rate, wait, until: now.plus(wait) }
        });
    }

    /// Is it too early for what takes `rate` bit/s, at this estimate?
    pub fn bars(&self, now: Micros, rate: u64, estimate: u64) -> bool {
        self.failed.is_some_and(|failed| {
            let as_much = rate > failed.rate - failed.rate / AS_MUCH;
            now < failed.until && as_much && estimate * 2 < failed.rate * OTHER_LINK
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_last_is_tried_ever_more_seldom_and_what_lasted_begins_anew() {
        let (mut retry, mut now, mut waits) = (Retry::default(), Micros(0), Vec::new());
        for _ in 0..7 {
            retry.rose(now);
            now = now.plus(400_000);
            retry.fell(now, 240_000);
            let fell = now;
            while retry.bars(now, 240_000, 300_000) {
                now = now.plus(100_000);
            }
            waits.push(now.since(fell) / 1_000_000);
        }
        assert_eq!(waits, [5, 10, 20, 40, 80, 80, 80]);
        retry.rose(now);
        now = now.plus(LASTED_US);
        retry.fell(now, 240_000);
        assert!(!retry.bars(now, 240_000, 300_000), "the usual wait is enough");
        retry.rose(now);
        retry.fell(now.plus(1), 240_000);
        assert!(!retry.bars(now.plus(1 + FIRST_US), 240_000, 300_000));
    }

    #[test]
    fn only_what_takes_as_much_is_barred_and_only_on_the_same_link() {
        let mut retry = Retry::default();
        retry.fell(Micros(0), 600_000);
        assert_eq!(retry, Retry::default(), "it had not risen");
        retry.rose(Micros(0));
        retry.fell(Micros(1), 600_000);
        assert!(retry.bars(Micros(2), 600_000, 610_000) && retry.bars(Micros(2), 1_700_000, 610_000));
        assert!(!retry.bars(Micros(2), 300_000, 610_000), "a thinner one may pass");
        assert!(!retry.bars(Micros(2), 600_000, 900_000), "the link became another");
    }
}

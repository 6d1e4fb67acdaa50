//! Replay window of one KID: which counters were seen. It moves only when a frame was authentic, so a forged counter
//! cannot close it.

/// Counters the window looks back: four seconds of video at 240 frames a second with retransmissions.
pub const WINDOW: u64 = 1_024;
const WORDS: usize = (WINDOW / 64) as usize;

/// Bitmap of the last [`WINDOW`] counters.
pub struct ReplayWindow {
    seen: [u64; WORDS],
    /// One above the highest counter seen; 0 when nothing was.
    next: u64,
}

impl ReplayWindow {
    /// Nothing seen.
    pub fn new() -> Self {
        Self { seen: [0; WORDS], next: 0 }
    }
    fn bit(ctr: u64) -> (usize, u64) {
        ((ctr % WINDOW / 64) as usize, 1 << (ctr % 64))
    }
    /// Not seen and not too old?
    pub fn is_fresh(&self, ctr: u64) -> bool {
        if ctr >= self.next {
            return true;
        }
        let (word, bit) = Self::bit(ctr);
        self.next - ctr <= WINDOW && self.seen[word] & bit == 0
    }
    /// Marks an authentic frame's counter, which is below `u64::MAX`.
    pub fn mark(&mut self, ctr: u64) {
        if ctr >= self.next {
            let fresh = ctr - self.next + 1;
            if fresh >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for passed in self.next..=ctr {
                    let (word, bit) = Self::bit(passed);
                    self.seen[word] &= !bit;
                }
            }
            self.next = ctr + 1;
        }
        let (word, bit) = Self::bit(ctr);
        self.seen[word] |= bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_is_fresh_once_inside_the_window_and_never_below_it() {
        let mut window = ReplayWindow::new();
        for ctr in [0, 5, 3, 4, 2_000, 1_999, 1_000] {
            assert!(window.is_fresh(ctr), "{ctr}");
            window.mark(ctr);
            assert!(!window.is_fresh(ctr), "{ctr}");
        }
        assert!(!window.is_fresh(2_000 - WINDOW), "below the window");
        assert!(window.is_fresh(2_001 - WINDOW), "its lower edge, never seen");
        assert!(window.is_fresh(u64::MAX - 1));
    }
}

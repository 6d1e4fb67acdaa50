//! One picture out of two copies' frames: a recorder's gap is filled by the other's, which may have had another layer of the
//! source at that time. Pure.

use crate::replay::opening::Raw;
use domain::{Epoch, Kid};
use std::collections::HashMap;

/// Puts the frames of one source in order of arrival and leaves out what cannot be decoded where they are: another layer
/// begins with a key frame. A frame that follows the one before it by its counter has lost nothing, whatever its own copy
/// says; one that a copy's end or begin parted from it has.
pub(super) fn stitch(frames: &mut Vec<Raw>) {
    frames.sort_by_key(|frame| (frame.times.sfu_us, frame.name.2));
    let mut last: HashMap<(Epoch, Kid), u64> = HashMap::new();
    let mut before: Option<(domain::Slot, usize)> = None;
    frames.retain_mut(|frame| {
        let (epoch, kid, ctr) = frame.name;
        let known = last.insert((epoch, kid), ctr);
        let follows = ctr == 0 || known.is_some_and(|known| known + 1 == ctr);
        let (layer, copy) = before.unwrap_or((kid.slot(), frame.copy));
        if layer != kid.slot() && !frame.key_frame {
            return false;
        }
        frame.lost_before = !follows && (frame.lost_before || copy != frame.copy);
        before = Some((kid.slot(), frame.copy));
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::timeline::Times;
    use domain::{LeafIndex, Slot};
    use zeroize::Zeroizing;

    /// A frame of layer `slot` with this counter, 40 ms after the one before it.
    fn frame(copy: usize, slot: u8, ctr: u64, key_frame: bool, lost_before: bool) -> Raw {
        Raw {
            times: Times { capture_us: ctr * 40_000, sfu_us: ctr * 40_000 },
            key_frame,
            lost_before,
            data: Zeroizing::new(Vec::new()),
            copy,
            name: (Epoch(1), Kid::new(Slot(slot), LeafIndex(0), Epoch(1)), ctr),
        }
    }
    fn stitched(mut frames: Vec<Raw>) -> Vec<(usize, u64, bool)> {
        stitch(&mut frames);
        frames.iter().map(|frame| (frame.copy, frame.name.2, frame.lost_before)).collect()
    }

    #[test]
    fn a_gap_that_the_other_copy_fills_is_no_loss() {
        let first = [frame(0, 2, 5, true, false), frame(0, 2, 6, false, false), frame(0, 2, 9, false, true)];
        let second = [frame(1, 2, 7, false, false), frame(1, 2, 8, false, false)];
        let all = stitched(first.into_iter().chain(second).collect());
        assert_eq!(all, [(0, 5, false), (0, 6, false), (1, 7, false), (1, 8, false), (0, 9, false)]);
    }

    #[test]
    fn what_both_lack_stays_a_loss_also_where_the_other_copy_noticed_nothing() {
        // the second recorder came later: its own first frame has nothing missing before it
        let all =
            stitched(vec![frame(0, 2, 5, true, false), frame(1, 2, 8, false, false), frame(0, 2, 9, false, true)]);
        assert_eq!(all, [(0, 5, false), (1, 8, true), (0, 9, false)]);
    }

    #[test]
    fn another_layer_is_taken_at_its_key_frame_and_left_at_a_key_frame() {
        let first = [frame(0, 2, 5, true, false), frame(0, 2, 9, false, true), frame(0, 2, 10, true, false)];
        let second = [frame(1, 3, 6, false, false), frame(1, 3, 7, true, false), frame(1, 3, 8, false, false)];
        let all = stitched(first.into_iter().chain(second).collect());
        assert_eq!(all.iter().map(|one| one.1).collect::<Vec<_>>(), [5, 7, 8, 10]);
    }
}

//! Whether a decoder could go on with the frames that came: a picture needs every frame since its last key frame. Says when
//! a key frame is to be asked for, as a browser would; knows nothing of pixels.

use domain::{Ctr, Kid, UnixMillis};

/// A key frame is asked for again after, ms: the SFU passes on one request a second.
const AGAIN_MS: u64 = 1_000;

/// One source of pictures.
#[derive(Debug, Default)]
pub struct Picture {
    last: Option<(Kid, Ctr)>,
    whole: bool,
    asked: Option<UnixMillis>,
}

impl Picture {
    /// Takes a frame that opened. True if a key frame is to be asked for now.
    pub fn take(&mut self, now: UnixMillis, kid: Kid, ctr: Ctr, key_frame: Option<bool>) -> bool {
        let follows = self.last.is_some_and(|(before, last)| {
            let next_epoch = before.slot() == kid.slot() && before.leaf() == kid.leaf() && ctr.0 == 0;
            if before == kid { ctr.0 == last.0 + 1 } else { next_epoch }
        });
        self.last = Some((kid, ctr));
        self.whole = key_frame == Some(true) || (self.whole && follows);
        if self.whole {
            self.asked = None;
            return false;
        }
        let due = self.asked.is_none_or(|at| now.since(at) >= AGAIN_MS);
        if due {
            self.asked = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Epoch, LeafIndex, Slot};

    #[test]
    fn a_change_of_epoch_breaks_no_picture_and_a_missing_frame_does() {
        let kid = |epoch| Kid::new(Slot::CAMERA, LeafIndex(1), Epoch(epoch));
        let at = |ms: u64| UnixMillis(1_000_000 + ms);
        let mut picture = Picture::default();
        assert!(picture.take(at(0), kid(1), Ctr(7), Some(false)), "nothing to begin with");
        assert!(!picture.take(at(40), kid(1), Ctr(8), Some(false)), "asked a moment ago");
        assert!(!picture.take(at(80), kid(1), Ctr(9), Some(true)));
        assert!(!picture.take(at(120), kid(1), Ctr(10), Some(false)));
        assert!(!picture.take(at(160), kid(2), Ctr(0), Some(false)), "counters begin anew in each epoch");
        assert!(!picture.take(at(200), kid(2), Ctr(1), Some(false)));
        assert!(picture.take(at(240), kid(2), Ctr(3), Some(false)), "frame 2 is missing");
        assert!(!picture.take(at(280), kid(2), Ctr(4), Some(false)));
        assert!(picture.take(at(1_240), kid(2), Ctr(30), Some(false)), "asked again after a second");
        assert!(!picture.take(at(1_280), kid(2), Ctr(31), Some(true)));
        assert!(picture.take(at(1_320), kid(3), Ctr(2), Some(false)), "the epoch's first frames are missing");
    }
}

//! When to ask a publisher for a key frame: at once if it was not asked within the last second and made none of itself a
//! moment ago, else when that is over.

use crate::Micros;

/// Least time between two requests to one layer: an encoder that makes key frames faster floods everybody.
pub const SPACING_US: u64 = 1_000_000;

/// ... and after one that came: encoders make one in all layers where one of them was asked. Chromium's pacer throws away
/// what it still holds of a stream when a key frame follows, so that two in a row cost a frame that was sealed and counted
/// (seen 90 and 434 ms after one another).
pub const FRESH_US: u64 = 500_000;

/// Key-frame requests towards one published layer.
#[derive(Debug, Default)]
pub struct KeyRequests {
    wanted: bool,
    sent: Option<Micros>,
    came: Option<Micros>,
}

impl KeyRequests {
    /// Somebody needs a key frame.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// A request sent now would break the spacing: a recent key frame serves better.
    pub fn throttled(&self, now: Micros) -> bool {
        let within = |at: Option<Micros>, spacing| at.is_some_and(|at| now.since(at) < spacing);
        within(self.sent, SPACING_US) || within(self.came, FRESH_US)
    }

    /// A key frame arrived: whoever waited has it.
    pub fn satisfied(&mut self, now: Micros) {
        (self.wanted, self.came) = (false, Some(now));
    }

    /// True if a request is to be sent now; the caller sends it. It stays wanted until a key frame comes.
    pub fn due(&mut self, now: Micros) -> bool {
        if !self.wanted || self.throttled(now) {
            return false;
        }
        self.sent = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_one_a_second_and_repeated_until_a_key_frame_comes() {
        let mut requests = KeyRequests::default();
        assert!(!requests.due(Micros(0)));
        requests.want();
        assert!(requests.due(Micros(5)));
        requests.want();
        assert!(!requests.due(Micros(5 + SPACING_US - 1)));
        assert!(requests.due(Micros(5 + SPACING_US)));
        requests.satisfied(Micros(6 + SPACING_US));
        assert!(!requests.due(Micros(10 * SPACING_US)));
    }

    #[test]
    fn a_key_frame_that_nobody_asked_for_serves_for_a_moment() {
        let mut requests = KeyRequests::default();
        requests.satisfied(Micros(7));
        requests.want();
        assert!(!requests.due(Micros(7 + FRESH_US - 1)));
        assert!(requests.due(Micros(7 + FRESH_US)), "who still wants one gets it");
    }
}

//! When to ask a publisher for a key frame: at once if it was not asked within the last second, else a second after.

use crate::Micros;

/// Least time between two requests to one layer: an encoder that makes key frames faster floods everybody.
pub const SPACING_US: u64 = 1_000_000;

/// Key-frame requests towards one published layer.
#[derive(Debug, Default)]
pub struct KeyRequests {
    wanted: bool,
    sent: Option<Micros>,
}

impl KeyRequests {
    /// Somebody needs a key frame.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// A request sent now would break the spacing: a recent key frame serves better.
    pub fn throttled(&self, now: Micros) -> bool {
        self.sent.is_some_and(|sent| now.since(sent) < SPACING_US)
    }

    /// A key frame arrived: whoever waited has it.
    pub fn satisfied(&mut self) {
        self.wanted = false;
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
        requests.satisfied();
        assert!(!requests.due(Micros(10 * SPACING_US)));
    }
}

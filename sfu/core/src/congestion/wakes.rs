//! When subscribers whose packets wait, or who are probed, are to be served next.

use super::Downlink;
use crate::Micros;
use crate::participant::PeerKey;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Times of all subscribers of a shard; each stands here once at most, but for times that were moved forward.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    heap: BinaryHeap<Reverse<(Micros, PeerKey)>>,
}

impl Wakes {
    /// Notes when the downlink wants to be served next.
    pub(crate) fn arm(&mut self, now: Micros, peer: PeerKey, downlink: &mut Downlink) {
        let Some(at) = downlink.next(now) else { return };
        if downlink.wake.is_none_or(|known| at < known) {
            downlink.wake = Some(at);
            self.heap.push(Reverse((at, peer)));
        }
    }

    /// The next subscriber whose time has come; its downlink forgets the time if it is the one that was noted last.
    pub(crate) fn due(&mut self, now: Micros) -> Option<(Micros, PeerKey)> {
        self.heap.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.heap.pop().map(|Reverse(due)| due)
    }

    /// The earliest time.
    pub(crate) fn next(&self) -> Option<Micros> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }
}

//! Probes: short bursts at a chosen rate whose arrival shows what the network carries, so that a subscriber need not
//! climb 8 % a second. What to send in them (packets again, over the repair stream) is the engine's to find.

use super::BitRate;
use crate::Micros;
use std::collections::VecDeque;

/// A probe lasts so long ...
const LENGTH_US: u64 = 15_000;
/// ... and has so many packets at least.
const LEAST_PACKETS: u32 = 5;
/// What is not sent by then is given up.
const GIVE_UP_US: u64 = 300_000;
/// Feedback for a probe is waited for so long.
const ANSWER_US: u64 = 1_500_000;
/// First probe, times the start rate. A faster one at once would be 180 ms of queue on a link of 1 Mbit/s.
const FIRST: f64 = 3.0;
/// A probe that found this share of its rate is followed by a faster one.
const FOLLOW: f64 = 0.7;
/// ... of this factor.
const FASTER: f64 = 2.0;
/// Arrival below this share of the sending rate has found the limit ...
const AT_LIMIT: f64 = 0.9;
/// ... and this much of it is used.
const BELOW_LIMIT: f64 = 0.95;
/// Least and most time between probes while less flows than is wanted: at once after a success, rarer when nothing
/// is found, as each probe costs a little queue.
const WAIT_US: (u64, u64) = (1_500_000, 6_000_000);
/// A probe's packets are on their way, and their feedback back, for so long at most where there is no other queue.
const AFTER_US: u64 = 300_000;
/// Clusters whose feedback is awaited.
const MAX_AWAITED: usize = 4;

#[derive(Debug, Clone, Copy)]
struct Cluster {
    id: u8,
    rate: BitRate,
    began: Micros,
    sent_packets: u32,
    sent_bytes: u64,
    arrived: u32,
    arrived_bytes: u64,
    sent: Span,
    received: Span,
}

/// First and last time with their sizes.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    first: Option<(u64, u64)>,
    last: Option<(u64, u64)>,
}

impl Span {
    fn note(&mut self, at: u64, size: u64) {
        if self.first.is_none_or(|(first, _)| at < first) {
            self.first = Some((at, size));
        }
        if self.last.is_none_or(|(last, _)| at >= last) {
            self.last = Some((at, size));
        }
    }
}

impl Cluster {
    fn wants(&self) -> bool {
        self.sent_packets < LEAST_PACKETS || self.sent_bytes < self.rate.bytes_in(LENGTH_US)
    }

    /// The rate found, if enough arrived.
    fn result(&self) -> Option<BitRate> {
        if self.arrived < 2 || self.arrived * 5 < self.sent_packets * 4 {
            return None;
        }
        let ((sent_first, _), (sent_last, last_size)) = (self.sent.first?, self.sent.last?);
        let ((first, first_size), (last, _)) = (self.received.first?, self.received.last?);
        let (sending, receiving) = (sent_last.saturating_sub(sent_first), last.saturating_sub(first));
        if sending == 0 || receiving == 0 || receiving > 1_000_000 {
            return None;
        }
        let sent = BitRate::of(self.arrived_bytes.saturating_sub(last_size), sending);
        let received = BitRate::of(self.arrived_bytes.saturating_sub(first_size), receiving);
        if received > sent.scale(2.0) {
            return None; // gathered on its way: says nothing
        }
        let found = sent.min(received);
        Some(if received < sent.scale(AT_LIMIT) { found.scale(BELOW_LIMIT) } else { found })
    }
}

/// Probes of one transport.
#[derive(Debug, Default)]
pub struct Prober {
    planned: VecDeque<BitRate>,
    active: Option<Cluster>,
    awaited: VecDeque<Cluster>,
    last_id: u8,
    wait: u64,
    next: Option<Micros>,
}

impl Prober {
    /// Feedback flows: look for the network's rate at once.
    pub fn begin(&mut self, start: BitRate, most: BitRate) {
        self.planned.push_back(start.scale(FIRST).min(most));
        self.wait = WAIT_US.0;
    }

    /// More is wanted than flows: probes when the wait is over.
    pub fn seek(&mut self, now: Micros, rate: BitRate, most: BitRate) {
        // where nothing leaves, nobody else gives up what is not answered
        self.awaited.retain(|cluster| now.since(cluster.began) < ANSWER_US);
        if self.busy() || self.next.is_some_and(|next| now < next) {
            return;
        }
        self.planned.push_back(rate.scale(FASTER).min(most));
        self.next = Some(now.plus(self.wait.max(WAIT_US.0)));
    }

    /// Is a probe planned, under way or unanswered?
    fn busy(&self) -> bool {
        self.active.is_some() || !self.planned.is_empty() || !self.awaited.is_empty()
    }

    /// Did a probe leave so lately that its packets are what waits?
    pub fn lately(&self, now: Micros) -> bool {
        self.awaited.iter().chain(&self.active).any(|cluster| now.since(cluster.began) < AFTER_US)
    }

    /// Nothing is probed for a while: a queue has just built up.
    pub fn pause(&mut self, now: Micros) {
        self.planned.clear();
        self.finish();
        self.wait = WAIT_US.0;
        self.next = Some(now.plus(WAIT_US.0));
    }

    /// Number of the probe that a packet leaving now belongs to, 0 for none; counts it.
    pub fn tag(&mut self, size: u64) -> u8 {
        let Some(cluster) = &mut self.active else { return 0 };
        cluster.sent_packets += 1;
        cluster.sent_bytes += size;
        let id = cluster.id;
        if !cluster.wants() {
            self.finish();
        }
        id
    }

    fn finish(&mut self) {
        if let Some(done) = self.active.take().filter(|cluster| cluster.sent_packets > 0) {
            self.awaited.push_back(done);
            if self.awaited.len() > MAX_AWAITED {
                self.awaited.pop_front();
            }
        }
    }

    /// Bytes that the probe is behind now; begins a planned one if none is under way.
    pub fn due(&mut self, now: Micros) -> u64 {
        self.awaited.retain(|cluster| now.since(cluster.began) < ANSWER_US);
        if self.active.is_some_and(|cluster| now.since(cluster.began) > GIVE_UP_US) {
            self.active = None;
        }
        if self.active.is_none()
            && let Some(rate) = self.planned.pop_front()
        {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            self.active = Some(Cluster {
                id: self.last_id,
                rate,
                began: now,
                sent_packets: 0,
                sent_bytes: 0,
                arrived: 0,
                arrived_bytes: 0,
                sent: Span::default(),
                received: Span::default(),
            });
        }
        let Some(cluster) = &self.active else { return 0 };
        // the first packet goes at once
        (cluster.rate.bytes_in(now.since(cluster.began)) + 1).saturating_sub(cluster.sent_bytes)
    }

    /// When [`Self::due`] has something; `packet` is the size of what will be sent.
    pub fn next_due(&self, now: Micros, packet: u64) -> Option<Micros> {
        match &self.active {
            Some(cluster) => Some(cluster.began.plus(cluster.rate.time_of(cluster.sent_bytes.max(packet)))),
            None => (!self.planned.is_empty()).then_some(now),
        }
    }

    /// A packet of a probe arrived.
    pub fn arrived(&mut self, id: u8, sent: Micros, arrival: u64, size: u64) {
        let of = self.awaited.iter_mut().chain(&mut self.active).find(|cluster| cluster.id == id);
        if let Some(cluster) = of {
            cluster.arrived += 1;
            cluster.arrived_bytes += size;
            cluster.sent.note(sent.0, size);
            cluster.received.note(arrival, size);
        }
    }

    /// A feedback was read whole: the rate that a probe found. `before` is the rate in use.
    pub fn result(&mut self, now: Micros, before: BitRate, most: BitRate) -> Option<BitRate> {
        let at = self.awaited.iter().position(|cluster| cluster.result().is_some())?;
        let cluster = self.awaited.remove(at)?;
        let found = cluster.result()?;
        if found > before.scale(1.05) {
            self.wait = WAIT_US.0;
        } else {
            self.wait = (self.wait * 2).clamp(WAIT_US.0, WAIT_US.1);
            self.next = Some(now.plus(self.wait));
        }
        if found >= cluster.rate.scale(FOLLOW) && found < most && !self.busy() {
            self.planned.push_back(found.scale(FASTER).min(most));
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: BitRate = BitRate::kbps(20_000);

    /// Sends what the probe wants in 1,000 B packets over a link of `link`; the rate found.
    fn probe(prober: &mut Prober, start: u64, link: BitRate) -> Option<BitRate> {
        let (mut now, mut free) = (Micros(start), 0u64);
        for _ in 0..2_000 {
            while prober.due(now) > 0 {
                let id = prober.tag(1000);
                free = free.max(now.0) + link.time_of(1000);
                prober.arrived(id, now, free + 20_000, 1000);
            }
            if prober.active.is_none() {
                break;
            }
            now = now.plus(500);
        }
        prober.result(now, BitRate::kbps(300), MOST)
    }

    #[test]
    fn a_probe_finds_the_rate_of_the_link_and_a_faster_one_follows_while_there_is_more() {
        let mut prober = Prober::default();
        prober.begin(BitRate::kbps(1000), MOST);
        let found = probe(&mut prober, 0, BitRate::kbps(50_000)).expect("all arrived");
        assert!((2700..=3300).contains(&(found.0 / 1000)), "{found}");
        assert_eq!(prober.planned.len(), 1, "a faster one follows");
        let found = probe(&mut prober, 1_000_000, BitRate::kbps(4000)).expect("all arrived");
        assert!((3300..=4000).contains(&(found.0 / 1000)), "{found}");
        assert!(!prober.busy(), "the limit was found");
    }

    #[test]
    fn probes_that_find_nothing_become_rarer() {
        let mut prober = Prober::default();
        let mut times = Vec::new();
        for ms in 0..60_000u64 {
            prober.seek(Micros(ms * 1000), BitRate::kbps(300), MOST);
            if prober.planned.len() == 1 {
                times.push(ms);
                probe(&mut prober, ms * 1000, BitRate::kbps(290));
            }
        }
        let gaps: Vec<u64> = times.windows(2).map(|t| t[1] - t[0]).collect();
        assert!(gaps.is_sorted() && gaps.last().is_some_and(|gap| *gap >= WAIT_US.1 / 1000), "{gaps:?}");
    }

    #[test]
    fn an_unsent_probe_is_given_up() {
        let mut prober = Prober::default();
        prober.begin(BitRate::kbps(1000), BitRate::kbps(3000));
        assert!(prober.due(Micros(0)) > 0);
        assert_eq!(prober.due(Micros(GIVE_UP_US + 1)), 0);
        assert!(prober.next_due(Micros(0), 1000).is_none());
    }
}

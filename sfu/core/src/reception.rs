//! How a published stream arrives: the numbers of a receiver report (RFC 3550 appendix A.3 and A.8).

use crate::Micros;
use crate::rtcp::build::Block;

/// The sender's word that its RTP clock showed `timestamp` at its wall clock `ntp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderClock {
    /// NTP timestamp (32.32 bits) of the sender's clock.
    pub ntp: u64,
    /// RTP timestamp of the source.
    pub timestamp: u32,
    at: Micros,
}

impl SenderClock {
    /// The same mapping carried on to `now`.
    pub fn carried_to(self, now: Micros, clock_rate: u32) -> (u64, u32) {
        let elapsed = now.since(self.at);
        let ntp = self.ntp.wrapping_add(((u128::from(elapsed) << 32) / 1_000_000) as u64);
        let ticks = u128::from(elapsed) * u128::from(clock_rate) / 1_000_000;
        (ntp, self.timestamp.wrapping_add(ticks as u32))
    }
}

/// Reception of one stream.
#[derive(Debug)]
pub struct Reception {
    first: u64,
    highest: u64,
    received: u64,
    reported_expected: u64,
    reported_received: u64,
    transit: Option<i64>,
    jitter: f64,
    sender_report: Option<SenderClock>,
}

impl Reception {
    /// Begins with the first packet's extended sequence number.
    pub fn new(first: u64) -> Self {
        Self {
            first,
            highest: first,
            received: 0,
            reported_expected: 0,
            reported_received: 0,
            transit: None,
            jitter: 0.0,
            sender_report: None,
        }
    }

    /// A packet arrived.
    pub fn note(&mut self, now: Micros, index: u64, timestamp: u32, clock_rate: u32) {
        self.received += 1;
        self.highest = self.highest.max(index);
        let arrival = (u128::from(now.0) * u128::from(clock_rate) / 1_000_000) as u32;
        let transit = i64::from(arrival.wrapping_sub(timestamp) as i32);
        if let Some(last) = self.transit.replace(transit) {
            let difference = (transit - last).unsigned_abs().min(u64::from(clock_rate)) as f64;
            self.jitter += (difference - self.jitter) / 16.0;
        }
    }

    /// A sender report arrived.
    pub fn note_report(&mut self, now: Micros, ntp: u64, timestamp: u32) {
        self.sender_report = Some(SenderClock { ntp, timestamp, at: now });
    }

    /// What the sender last said of its clocks.
    pub fn sender_clock(&self) -> Option<SenderClock> {
        self.sender_report
    }

    /// The report block for now.
    pub fn block(&mut self, now: Micros, ssrc: u32) -> Block {
        let expected = self.highest.saturating_sub(self.first) + 1;
        let interval = expected - self.reported_expected;
        let lost = interval.saturating_sub(self.received.saturating_sub(self.reported_received));
        (self.reported_expected, self.reported_received) = (expected, self.received);
        Block {
            ssrc,
            lost: (lost * 256).checked_div(interval).unwrap_or(0).min(255) as u8,
            total_lost: expected.saturating_sub(self.received) as u32,
            highest: self.highest as u32,
            jitter: self.jitter as u32,
            last_sr: self.sender_report.map_or(0, |clock| (clock.ntp >> 16) as u32),
            delay: self.sender_report.map_or(0, |clock| (now.since(clock.at) * 65_536 / 1_000_000) as u32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_since_the_last_report_and_in_all() {
        let mut r = Reception::new(10);
        for index in [10, 11, 13] {
            r.note(Micros(index * 1000), index, 0, 48_000);
        }
        r.note_report(Micros(13_000), 0x0001_0002_0003_0004, 90);
        let block = r.block(Micros(513_000), 5);
        assert_eq!((block.lost, block.total_lost, block.highest), (64, 1, 13));
        assert_eq!((block.last_sr, block.delay), (0x0002_0003, 32_768));
        r.note(Micros(14_000), 14, 0, 48_000);
        assert_eq!((r.block(Micros(600_000), 5).lost, r.block(Micros(600_000), 5).total_lost), (0, 1));
    }

    #[test]
    fn a_senders_clock_goes_on_between_its_reports() {
        let clock = SenderClock { ntp: 7 << 32, timestamp: 1_000, at: Micros(2_000_000) };
        assert_eq!(clock.carried_to(Micros(2_500_000), 48_000), (7 << 32 | 1 << 31, 25_000));
    }
}

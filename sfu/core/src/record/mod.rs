//! What one recorder is owed: every message in order, numbered over its reconnections, kept until it is acknowledged, for
//! the firm's grace + 30 s or 1 GiB at most.

use crate::Micros;
use bytes::Bytes;
use domain::{Codec, ParticipantId, Slot};
use std::collections::VecDeque;

/// Kept beyond the firm's grace: a recorder's restart from its checkpoint takes seconds.
pub const KEEP_BEYOND_GRACE_MS: u64 = 30_000;
/// Most bytes kept for one recorder: 30 s of nine 2.5 Mbit/s streams are 85 MB; a bound for the worst meeting.
pub const MAX_BYTES: usize = 1 << 30;
/// Highest sequence number a recorder may claim: 10,000 messages a second reach it after 28,000 years.
const MAX_SEQ: u64 = 1 << 53;
/// Accounting cost of a message beyond its packet.
const HEAD: usize = 96;
/// Say `Idle` after so long without anything else.
pub const IDLE_US: u64 = 250_000;

/// One record link connection: `(meeting place, participant place, connection number)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId {
    pub(crate) meeting: u32,
    pub(crate) place: u32,
    pub(crate) number: u64,
}

/// A message for a recorder; the edge writes it as `domain::message::record_link::FromSfuRecord`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The link stands.
    Welcome {
        /// Oldest sequence number still kept.
        oldest: u64,
    },
    /// A track begins.
    Track {
        /// Its number on this link.
        track: u32,
        /// Whose.
        participant: ParticipantId,
        /// First slot.
        slot: Slot,
        /// Codec.
        codec: Codec,
    },
    /// One packet as the sender made it.
    Packet {
        /// Track number.
        track: u32,
        /// Arrival.
        at: Micros,
        /// RTP packet.
        rtp: Bytes,
    },
    /// A sender report.
    SenderReport {
        /// Track number.
        track: u32,
        /// Arrival.
        at: Micros,
        /// NTP timestamp.
        ntp: u64,
        /// RTP timestamp.
        timestamp: u32,
    },
    /// A track ended.
    Ended {
        /// Track number.
        track: u32,
    },
    /// Nothing else to say.
    Idle,
}

#[derive(Debug)]
struct Kept {
    at: Micros,
    record: Record,
}

#[derive(Debug)]
struct Link {
    number: u64,
    welcome: Option<Record>,
}

/// What a new connection means for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumed {
    /// It goes on where it was.
    Continued,
    /// The recorder starts without a past: the tracks must be announced again.
    Fresh,
}

/// The log of one recorder.
#[derive(Debug)]
pub struct RecordLog {
    kept: VecDeque<Kept>,
    /// Sequence number of `kept[0]`.
    first: u64,
    /// Next one to hand to the link.
    sent: u64,
    bytes: usize,
    acknowledged: u64,
    link: Option<Link>,
    begun: bool,
    down_since: Option<Micros>,
    newest: Micros,
    next_track: u32,
    retention_us: u64,
    lost: u64,
}

impl RecordLog {
    /// An empty log; nothing is kept before the first connection.
    pub fn new(grace_ms: u64) -> Self {
        let mut log = Self {
            kept: VecDeque::new(),
            first: 1,
            sent: 1,
            bytes: 0,
            acknowledged: 0,
            link: None,
            begun: false,
            down_since: None,
            newest: Micros(0),
            next_track: 1,
            retention_us: 0,
            lost: 0,
        };
        log.set_grace(grace_ms);
        log
    }

    /// The firm's grace changed.
    pub fn set_grace(&mut self, grace_ms: u64) {
        self.retention_us = (grace_ms + KEEP_BEYOND_GRACE_MS) * 1000;
    }

    fn next(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// Is anything to be written down for this recorder?
    pub fn active(&self) -> bool {
        self.begun
    }

    /// Number of the connection that is up.
    pub fn link(&self) -> Option<u64> {
        self.link.as_ref().map(|link| link.number)
    }

    /// A number for a new track, never used before on this log.
    pub fn number_track(&mut self) -> u32 {
        let number = self.next_track;
        self.next_track = number.saturating_add(1);
        number
    }

    /// A recorder connected that has everything up to `durable`. An older connection is replaced.
    pub fn connect(&mut self, now: Micros, number: u64, durable: u64) -> Resumed {
        let durable = durable.min(MAX_SEQ);
        // one that has something is believed to know its tracks, even if it is behind what it acknowledged
        let without_past = durable == 0 && self.acknowledged > 0;
        let resumed = if !self.begun || without_past || durable >= self.next() {
            self.restart(durable);
            Resumed::Fresh
        } else {
            self.acknowledge(durable);
            Resumed::Continued
        };
        (self.begun, self.down_since, self.newest) = (true, None, now);
        self.sent = self.first;
        self.link = Some(Link { number, welcome: Some(Record::Welcome { oldest: self.first }) });
        resumed
    }

    /// Numbers go on above both what was given out here and what the recorder has from elsewhere.
    fn restart(&mut self, durable: u64) {
        let next = self.next().max(durable.saturating_add(1));
        // every track was announced by a message: the recorder holds no track number above its last message's
        self.next_track = self.next_track.max(u32::try_from(next).unwrap_or(u32::MAX));
        self.lost += self.kept.len() as u64;
        self.kept.clear();
        (self.first, self.sent, self.bytes) = (next, next, 0);
        self.acknowledged = next - 1;
    }

    /// The connection ended; what comes is kept for the next.
    pub fn disconnect(&mut self, now: Micros, number: u64) -> bool {
        if self.link() != Some(number) {
            return false;
        }
        self.link = None;
        self.down_since = Some(now);
        true
    }

    /// Appends a message.
    pub fn push(&mut self, now: Micros, record: Record) {
        if !self.begun {
            return;
        }
        self.bytes += cost(&record);
        self.newest = now;
        self.kept.push_back(Kept { at: now, record });
        while self.bytes > MAX_BYTES {
            self.drop_first();
            self.lost += 1;
        }
    }

    /// Everything up to `seq` is durable.
    pub fn acknowledge(&mut self, seq: u64) {
        // nothing is acknowledged that was not handed out
        let seq = seq.min(self.next() - 1);
        while self.first <= seq && !self.kept.is_empty() {
            self.drop_first();
        }
        self.acknowledged = self.acknowledged.max(seq);
    }

    fn drop_first(&mut self) {
        if let Some(kept) = self.kept.pop_front() {
            self.bytes -= cost(&kept.record);
            self.first += 1;
            self.sent = self.sent.max(self.first);
        }
    }

    /// Drops what is older than the retention; a log whose recorder stayed away that long ends.
    pub fn expire(&mut self, now: Micros) {
        while self.kept.front().is_some_and(|kept| now.since(kept.at) >= self.retention_us) {
            self.drop_first();
            self.lost += 1;
        }
        if self.down_since.is_some_and(|since| now.since(since) >= self.retention_us) {
            self.lost += self.kept.len() as u64;
            let next = self.next();
            self.kept.clear();
            (self.first, self.sent, self.bytes) = (next, next, 0);
            (self.begun, self.down_since) = (false, None);
        }
    }

    /// Adds an `Idle` if the link is up and nothing was said for its interval.
    pub fn idle(&mut self, now: Micros) {
        if self.link.is_some() && now.since(self.newest) >= IDLE_US {
            self.push(now, Record::Idle);
        }
    }

    /// The next message for the connection that is up, with its sequence number (0 for the welcome).
    pub fn poll(&mut self, number: u64) -> Option<(u64, Record)> {
        let link = self.link.as_mut().filter(|link| link.number == number)?;
        if let Some(welcome) = link.welcome.take() {
            return Some((0, welcome));
        }
        let kept = self.kept.get((self.sent - self.first) as usize)?;
        let seq = self.sent;
        self.sent += 1;
        Some((seq, kept.record.clone()))
    }

    /// Messages lost before they were acknowledged, since last asked.
    pub fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// Bytes kept now.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn cost(record: &Record) -> usize {
    HEAD + if let Record::Packet { rtp, .. } = record { rtp.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(n: u8) -> Record {
        Record::Packet { track: 1, at: Micros(0), rtp: Bytes::from(vec![n; 100]) }
    }

    fn drain(log: &mut RecordLog, number: u64) -> Vec<(u64, Record)> {
        std::iter::from_fn(|| log.poll(number)).collect()
    }

    #[test]
    fn nothing_is_kept_before_the_first_connection() {
        let mut log = RecordLog::new(2000);
        log.push(Micros(0), packet(1));
        assert_eq!(log.bytes(), 0);
        assert_eq!(log.connect(Micros(1), 1, 0), Resumed::Fresh);
        assert_eq!(drain(&mut log, 1), [(0, Record::Welcome { oldest: 1 })]);
    }

    #[test]
    fn a_reconnection_goes_on_after_what_is_durable() {
        let mut log = RecordLog::new(2000);
        log.connect(Micros(0), 1, 0);
        for n in 1..=4 {
            log.push(Micros(0), packet(n));
        }
        assert_eq!(drain(&mut log, 1).len(), 5);
        log.acknowledge(2);
        assert!(log.disconnect(Micros(10), 1));
        log.push(Micros(20), packet(5));
        assert_eq!(log.poll(1), None);
        assert_eq!(log.connect(Micros(30), 2, 3), Resumed::Continued);
        let again = drain(&mut log, 2);
        assert_eq!(again, [(0, Record::Welcome { oldest: 4 }), (4, packet(4)), (5, packet(5))]);
        assert!(!log.disconnect(Micros(40), 1), "the old connection's end changes nothing");
        assert_eq!(log.link(), Some(2));
    }

    #[test]
    fn an_acknowledgement_beyond_what_exists_is_cut_to_it() {
        let mut log = RecordLog::new(2000);
        log.connect(Micros(0), 1, 0);
        log.push(Micros(0), packet(1));
        log.acknowledge(u64::MAX);
        log.push(Micros(0), packet(2));
        assert_eq!(drain(&mut log, 1), [(0, Record::Welcome { oldest: 1 }), (2, packet(2))]);
    }

    #[test]
    fn a_recorder_without_its_past_starts_fresh_above_all_numbers_given() {
        let mut log = RecordLog::new(2000);
        log.connect(Micros(0), 1, 0);
        for n in 1..=3 {
            log.push(Micros(0), packet(n));
        }
        log.acknowledge(2);
        assert_eq!(log.connect(Micros(1), 2, 0), Resumed::Fresh);
        assert_eq!(drain(&mut log, 2), [(0, Record::Welcome { oldest: 4 })]);
        assert_eq!(log.take_lost(), 1);
        // another node's numbers are higher than ours
        assert_eq!(log.connect(Micros(2), 3, 100), Resumed::Fresh);
        log.push(Micros(2), packet(9));
        assert_eq!(drain(&mut log, 3), [(0, Record::Welcome { oldest: 101 }), (101, packet(9))]);
    }

    #[test]
    fn a_recorder_behind_its_own_word_gets_all_that_is_left() {
        let mut log = RecordLog::new(2000);
        log.connect(Micros(0), 1, 0);
        for n in 1..=4 {
            log.push(Micros(0), packet(n));
        }
        log.acknowledge(3);
        assert_eq!(log.connect(Micros(1), 2, 1), Resumed::Continued);
        assert_eq!(drain(&mut log, 2), [(0, Record::Welcome { oldest: 4 }), (4, packet(4))]);
    }

    #[test]
    fn track_numbers_of_another_node_are_not_used_again() {
        let mut log = RecordLog::new(2000);
        log.connect(Micros(0), 1, 100);
        assert!(log.number_track() > 100);
        // a claim beyond all reason is survived
        log.connect(Micros(1), 2, u64::MAX);
        log.push(Micros(1), packet(1));
        assert_eq!(drain(&mut log, 2).len(), 2);
        assert_eq!((log.number_track(), log.number_track()), (u32::MAX, u32::MAX));
    }

    #[test]
    fn retention_is_exact_and_what_it_drops_is_counted() {
        let mut log = RecordLog::new(2000);
        log.connect(Micros(0), 1, 0);
        log.push(Micros(0), packet(1));
        log.disconnect(Micros(1000), 1);
        log.push(Micros(1000), packet(2));
        log.expire(Micros(31_999_999));
        assert_eq!(log.take_lost(), 0);
        log.expire(Micros(32_000_000));
        assert_eq!(log.take_lost(), 1);
        assert!(log.active());
        log.expire(Micros(32_001_000));
        assert_eq!((log.take_lost(), log.active(), log.bytes()), (1, false, 0));
        assert_eq!(log.connect(Micros(40_000_000), 2, 1), Resumed::Fresh);
        assert_eq!(drain(&mut log, 2), [(0, Record::Welcome { oldest: 3 })]);
    }

    #[test]
    fn idle_speaks_every_quarter_second_of_silence() {
        let mut log = RecordLog::new(2000);
        log.idle(Micros(IDLE_US));
        assert_eq!(log.bytes(), 0);
        log.connect(Micros(0), 1, 0);
        log.idle(Micros(IDLE_US - 1));
        log.idle(Micros(IDLE_US));
        log.idle(Micros(IDLE_US + 5));
        assert_eq!(drain(&mut log, 1), [(0, Record::Welcome { oldest: 1 }), (1, Record::Idle)]);
    }
}

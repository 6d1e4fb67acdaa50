//! What the delivery service keeps of one participant, and the strikes of committers.

use crate::limits::{STRIKE_WINDOW_MS, STRIKES};
use domain::{B64, Epoch, FirmId, ParticipantId, UnixMillis, UserId};
use std::collections::{BTreeMap, VecDeque};

/// A KeyPackage that waits to be added.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// MLSMessage.
    pub message: B64,
    /// KeyPackageRef.
    pub reference: Vec<u8>,
    /// When it came.
    pub since: UnixMillis,
}

/// Is its connection there?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Connected.
    Here,
    /// Its connection is gone.
    Away,
}

/// What state of the group a participant holds, as far as it told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// None: not welcomed yet.
    Nothing,
    /// Follows the commits; acknowledged this epoch.
    Epoch(Epoch),
    /// Follows the commits, has acknowledged none yet.
    Joined,
    /// None that fits: only a resync brings it back.
    Lost,
}

/// One participant.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its place in the order of arrival.
    pub arrival: u64,
    /// Recorder by its certificate.
    pub recorder: bool,
    /// Certificate of its connection.
    pub certificate_hash: [u8; 32],
    /// Connected?
    pub presence: Presence,
    /// Its leaf is ordered to go.
    pub removing: bool,
    /// What it holds.
    pub holds: Holds,
    /// Waits to be added.
    pub waiting: Option<Waiting>,
    /// Was asked for a fresh KeyPackage: it has waited for its batch already.
    pub renewing: bool,
    /// Last resync that was taken.
    pub resynced: Option<UnixMillis>,
    /// A GroupInfo is owed to it from then on.
    pub info_due: Option<UnixMillis>,
    /// The last GroupInfo sent to it: of which epoch, and when.
    pub info_sent: Option<(Epoch, UnixMillis)>,
    /// Last commit nobody had asked for.
    pub unasked: Option<UnixMillis>,
}

impl Peer {
    /// Just connected.
    pub fn new(arrival: u64, recorder: bool, certificate_hash: [u8; 32]) -> Self {
        Self {
            arrival,
            recorder,
            certificate_hash,
            presence: Presence::Here,
            removing: false,
            holds: Holds::Nothing,
            waiting: None,
            renewing: false,
            resynced: None,
            info_due: None,
            info_sent: None,
            unasked: None,
        }
    }
    /// Connected and not on its way out.
    pub fn here(&self) -> bool {
        self.presence == Presence::Here && !self.removing
    }
    /// Holds a state of the group.
    pub fn follows(&self) -> bool {
        matches!(self.holds, Holds::Epoch(_) | Holds::Joined)
    }
    /// Has acknowledged `epoch`.
    pub fn reached(&self, epoch: Epoch) -> bool {
        matches!(self.holds, Holds::Epoch(at) if at >= epoch)
    }
}

/// Whose commits were refused: by user, for a new device is cheap.
#[derive(Default)]
pub struct Strikes(BTreeMap<(FirmId, UserId), VecDeque<UnixMillis>>);

fn key(who: &ParticipantId) -> (FirmId, UserId) {
    (who.firm.clone(), who.user.clone())
}

impl Strikes {
    /// One more.
    pub fn add(&mut self, now: UnixMillis, who: &ParticipantId) {
        let strikes = self.0.entry(key(who)).or_default();
        strikes.push_back(now);
        while strikes.len() > STRIKES {
            strikes.pop_front();
        }
    }
    /// As many as it takes.
    pub fn out(&mut self, now: UnixMillis, who: &ParticipantId) {
        (0..STRIKES).for_each(|_| self.add(now, who));
    }
    /// Refused twice in the last minute?
    pub fn skipped(&self, now: UnixMillis, who: &ParticipantId) -> bool {
        let strikes = self.0.get(&key(who));
        strikes.is_some_and(|s| s.iter().filter(|at| now.since(**at) < STRIKE_WINDOW_MS).count() >= STRIKES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_strikes_within_a_minute_skip_a_user_on_every_device_until_the_first_is_a_minute_old() {
        let mut strikes = Strikes::default();
        let one: ParticipantId = "bank-a/anna/d1".parse().expect("well formed");
        let two: ParticipantId = "bank-a/anna/d2".parse().expect("well formed");
        strikes.add(UnixMillis(1_000), &one);
        assert!(!strikes.skipped(UnixMillis(1_000), &one));
        strikes.add(UnixMillis(30_000), &two);
        assert!(strikes.skipped(UnixMillis(60_999), &one) && strikes.skipped(UnixMillis(60_999), &two));
        assert!(!strikes.skipped(UnixMillis(61_000), &one));
    }
}

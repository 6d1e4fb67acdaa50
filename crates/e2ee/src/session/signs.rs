//! Hands and reactions: small, in the group like everything that is said, rated at both ends, kept by nobody. A hand that is
//! up is shown again to who comes later.

use super::application::Message;
use super::{Event, Phase, SayError, Session};
use domain::message::custody::LeafRole;
use domain::message::member::Sign;
use domain::{ParticipantId, UnixMillis};
use std::collections::BTreeMap;

/// Signs at once ...
const BURST: u64 = 5;
/// ... and then one in, ms: applause is several, more is a flicker.
const EVERY_MS: u64 = 500;
/// Others are heard a little more than they may show: what queued on the way comes together.
const HEARD_BURST: u64 = 2 * BURST;

/// People whose rate is remembered: 250 members, each four times back on another device.
const MAX_SHOWERS: usize = 1_024;

#[derive(Default)]
struct Rate {
    spent: u64,
    at: UnixMillis,
}

impl Rate {
    fn take(&mut self, now: UnixMillis, burst: u64) -> bool {
        let back = now.since(self.at) / EVERY_MS;
        if back > 0 {
            self.spent = self.spent.saturating_sub(back);
            self.at = now;
        }
        let taken = self.spent < burst;
        self.spent += u64::from(taken);
        taken
    }
}

/// Our own hand, and how fast everybody shows things.
#[derive(Default)]
pub(super) struct Signs {
    hand: Option<UnixMillis>,
    own: Rate,
    others: BTreeMap<ParticipantId, Rate>,
}

impl Session {
    /// Shows something to everybody. A hand goes up as of now, whatever time was given.
    pub fn sign(&mut self, now: UnixMillis, sign: Sign) -> Result<(), SayError> {
        if !matches!(self.phase, Phase::Member) || self.own.role == LeafRole::Recorder || !self.can_tell_group() {
            return Err(SayError::NotIn);
        }
        if !self.signs.own.take(now, BURST) {
            return Err(SayError::TooFast);
        }
        let sign = match sign {
            Sign::HandUp { .. } => Sign::HandUp { since: *self.signs.hand.get_or_insert(now) },
            Sign::HandDown {} => {
                self.signs.hand = None;
                sign
            }
            other => other,
        };
        if !self.tell_group(&Message::Sign { sign }) {
            return Err(SayError::NotIn);
        }
        let from = self.own.participant.clone();
        self.tell(Event::Sign { from, sign });
        Ok(())
    }

    /// Newcomers did not see a hand go up.
    pub(super) fn hand_again(&mut self) {
        if let Some(since) = self.signs.hand
            && self.can_tell_group()
        {
            self.tell_group(&Message::Sign { sign: Sign::HandUp { since } });
        }
    }

    pub(super) fn heard_sign(&mut self, now: UnixMillis, from: ParticipantId, sign: Sign) {
        if self.signs.others.len() >= MAX_SHOWERS {
            self.signs.others.clear();
        }
        let rate = self.signs.others.entry(from.clone()).or_default();
        // a hand that goes down is a state, not a noise
        if rate.take(now, HEARD_BURST) || matches!(sign, Sign::HandDown {}) {
            self.tell(Event::Sign { from, sign });
        }
    }
}

//! The rules of retention: a date that only rises, holds by name, and a disposal that any of them stops.

use super::{Judged, What};
use domain::{ParticipantId, UnixMillis};
use std::collections::BTreeMap;

/// Holds of one meeting at once: beyond what lawsuits bring, so that a book stays small.
const MAX_HOLDS: usize = 64;

/// For how long records of a kind are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// The calendar's years from the meeting's end.
    pub years: u16,
    /// Where the number comes from.
    pub rule: &'static str,
}

/// All classes.
pub const CLASSES: [Class; 6] = [
    Class { years: 1, rule: "CFTC 1.31, oral pre-trade communications" },
    Class { years: 3, rule: "SEC 17a-4(b)(4), communications" },
    Class { years: 5, rule: "MiFID II Art. 16(7)" },
    Class { years: 6, rule: "SEC 17a-4(a), FINRA 4511 without a stated period" },
    Class { years: 7, rule: "MiFID II Art. 16(7) on request of the authority" },
    Class { years: 10, rule: "longest usual commercial record" },
];

/// The class of so many years, if there is one.
pub fn class(years: u16) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.years == years)
}

/// A legal hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who placed it.
    pub by: [ParticipantId; 2],
    /// When.
    pub at: UnixMillis,
    /// Why.
    pub reason: String,
}

/// Where a meeting is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// All of it is kept.
    Kept,
    /// Its disposal was ordered and goes on.
    Disposing {
        /// Since.
        since: UnixMillis,
    },
    /// A hold or a longer class stopped its disposal: what was left then is kept.
    Stopped,
    /// Nothing is left but its book.
    Disposed {
        /// Since.
        at: UnixMillis,
    },
}

/// Why an act is refused. The officers can do something about each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No such class.
    #[error("{0} years are no retention class; the classes are 1, 3, 5, 6, 7 and 10 years")]
    NoClass(u16),
    /// A retention is only ever raised.
    #[error("it is kept until {} already; a retention is only ever raised", .0.rfc3339())]
    NotLater(UnixMillis),
    /// The case has a hold on it.
    #[error("the case {0} has a hold on this meeting already")]
    HeldAlready(String),
    /// It has none.
    #[error("the case {0} has no hold on this meeting; look at `retention list`")]
    NoHold(String),
    /// Too many.
    #[error("the meeting has {MAX_HOLDS} holds; release those whose case is closed")]
    TooManyHolds,
    /// A hold stands against it.
    #[error("the meeting is held for {0}; release each of them first")]
    Held(String),
    /// Its time is not over.
    #[error("it must be kept until {}, by the recorder's clock and by the clocks of both officers", .0.rfc3339())]
    NotExpired(UnixMillis),
    /// It is being done.
    #[error("its disposal was ordered already; go on with it by `retention dispose` without an act")]
    Disposing,
    /// It was not ordered.
    #[error("no disposal of this meeting was ordered")]
    NotDisposing,
    /// Nothing is left.
    #[error("the meeting was disposed of at {}; only its book is left", .0.rfc3339())]
    Disposed(UnixMillis),
}

/// What holds of a meeting now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    ended_at: UnixMillis,
    until: UnixMillis,
    holds: BTreeMap<String, Held>,
    phase: Phase,
}

impl Standing {
    /// As the signed manifest says.
    pub fn new(ended_at: UnixMillis, retain_until: UnixMillis) -> Self {
        Self { ended_at, until: retain_until, holds: BTreeMap::new(), phase: Phase::Kept }
    }

    /// The meeting's end.
    pub fn ended_at(&self) -> UnixMillis {
        self.ended_at
    }
    /// Kept at least until.
    pub fn until(&self) -> UnixMillis {
        self.until
    }
    /// The longest class whose years lie within [`Self::until`].
    pub fn class(&self) -> Option<&'static Class> {
        CLASSES.iter().rev().find(|class| self.ended_at.plus_years(class.years) <= self.until)
    }
    /// Holds by case.
    pub fn holds(&self) -> &BTreeMap<String, Held> {
        &self.holds
    }
    /// Where it is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// May one more piece of it be deleted now? Asked before every single one.
    ///
    /// # Errors
    /// What stands against it.
    pub fn may_delete(&self, now: UnixMillis) -> Result<(), Refusal> {
        self.is_free(now)?;
        match self.phase {
            Phase::Disposing { .. } => Ok(()),
            Phase::Kept | Phase::Stopped => Err(Refusal::NotDisposing),
            Phase::Disposed { at } => Err(Refusal::Disposed(at)),
        }
    }

    fn is_free(&self, now: UnixMillis) -> Result<(), Refusal> {
        if !self.holds.is_empty() {
            let cases: Vec<&str> = self.holds.keys().map(String::as_str).collect();
            return Err(Refusal::Held(cases.join(", ")));
        }
        if now < self.until { Err(Refusal::NotExpired(self.until)) } else { Ok(()) }
    }

    /// Takes an act at `now`.
    ///
    /// # Errors
    /// [`Refusal`]; nothing has changed then.
    pub fn take(&mut self, now: UnixMillis, judged: &Judged) -> Result<(), Refusal> {
        if let Phase::Disposed { at } = self.phase {
            return Err(Refusal::Disposed(at));
        }
        let case = &judged.act.case;
        match judged.act.what {
            What::Raise { years } => {
                class(years).ok_or(Refusal::NoClass(years))?;
                let until = self.ended_at.plus_years(years);
                if until <= self.until {
                    return Err(Refusal::NotLater(self.until));
                }
                self.until = until;
                if now < until {
                    self.stop();
                }
            }
            What::Hold {} if self.holds.contains_key(case) => return Err(Refusal::HeldAlready(case.clone())),
            What::Hold {} if self.holds.len() >= MAX_HOLDS => return Err(Refusal::TooManyHolds),
            What::Hold {} => {
                let by = [judged.first.clone(), judged.second.clone()];
                self.holds.insert(case.clone(), Held { by, at: now, reason: judged.act.reason.clone() });
                self.stop();
            }
            What::Release {} => {
                self.holds.remove(case).ok_or_else(|| Refusal::NoHold(case.clone()))?;
            }
            What::Dispose {} => {
                if matches!(self.phase, Phase::Disposing { .. }) {
                    return Err(Refusal::Disposing);
                }
                // a clock set forward at the recorder alone opens nothing
                self.is_free(now.min(judged.signed_at))?;
                self.phase = Phase::Disposing { since: now };
            }
        }
        Ok(())
    }

    fn stop(&mut self) {
        if matches!(self.phase, Phase::Disposing { .. }) {
            self.phase = Phase::Stopped;
        }
    }

    /// A disposal was carried out to its end.
    ///
    /// # Errors
    /// [`Refusal`] if it may not have been.
    pub fn finish(&mut self, at: UnixMillis) -> Result<(), Refusal> {
        self.may_delete(at)?;
        self.phase = Phase::Disposed { at };
        Ok(())
    }
}

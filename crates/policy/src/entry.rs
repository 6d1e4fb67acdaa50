//! May this person enter, with those who are there? Guests, client, region, information barriers.

use crate::cause::{Cause, Field};
use crate::resolve::Resolved;
use domain::policy::{Barrier, Side, Statement};
use domain::{FirmId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Somebody who enters, or is in.
// not a wire type: the roster of a simulation, and what admission compares
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Whose.
    pub firm: FirmId,
    /// Who.
    pub user: UserId,
    /// Groups of its firm it is in, as the directory says.
    #[serde(default)]
    pub groups: BTreeSet<String>,
    /// Let in on a firm's invitation.
    #[serde(default)]
    pub guest: bool,
    /// Version of its client, where it is known.
    #[serde(default)]
    pub client: Option<u32>,
    /// Region its media passes, where it is known.
    #[serde(default)]
    pub region: Option<String>,
}

/// Why somebody may not enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Its firm states nothing about the room.
    NoStatement,
    /// A guest.
    Guest,
    /// Too old a client.
    Client,
    /// A region that not all allow.
    Region,
    /// An information barrier against somebody who is there.
    Barrier,
}

/// A refusal and the statement behind it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Refusal {
    /// Why.
    pub why: Why,
    /// By which statement, and whom to call.
    pub cause: Cause,
}

/// Is `person` on the side of the stating firm's people?
fn ours(statement: &Statement, barrier: &Barrier, person: &Person) -> bool {
    person.firm == statement.firm && barrier.ours.as_ref().is_none_or(|group| person.groups.contains(group))
}

fn theirs(statement: &Statement, barrier: &Barrier, person: &Person) -> bool {
    match &barrier.from {
        Side::Firm(firm) => person.firm == *firm,
        Side::Group(group) => person.firm == statement.firm && person.groups.contains(group),
    }
}

/// Does a barrier of `statement` stand between the two? One person on two devices is never kept apart from itself.
fn apart(statement: &Statement, a: &Person, b: &Person) -> bool {
    let same = (&a.firm, &a.user) == (&b.firm, &b.user);
    let between = |one: &Person, other: &Person| {
        let stands = |barrier| ours(statement, barrier, one) && theirs(statement, barrier, other);
        statement.conditions.barriers.iter().any(stands)
    };
    !same && (between(a, b) || between(b, a))
}

impl Resolved {
    /// May `person` enter while `present` are in?
    ///
    /// # Errors
    /// The first rule that keeps it out, with its statement.
    pub fn may_enter(&self, person: &Person, present: &[Person]) -> Result<(), Refusal> {
        if self.firm(&person.firm).is_none() {
            return Err(Refusal { why: Why::NoStatement, cause: Cause::missing(&person.firm) });
        }
        let by = |why| move |cause| Refusal { why, cause };
        if person.guest {
            self.guests().map_err(by(Why::Guest))?;
        }
        let old = |s: &Statement| person.client.is_some_and(|version| version < s.conditions.oldest_client);
        self.refused(Field::OldestClient, old).map_err(by(Why::Client))?;
        let outside = |s: &Statement| {
            let allowed = s.conditions.regions.as_ref();
            allowed.zip(person.region.as_ref()).is_some_and(|(allowed, region)| !allowed.contains(region))
        };
        self.refused(Field::Regions, outside).map_err(by(Why::Region))?;
        let barred = |s: &Statement| present.iter().any(|other| apart(s, person, other));
        self.refused(Field::Barriers, barred).map_err(by(Why::Barrier))
    }
}

//! What would happen if these people came, in this order: who would be refused, by which statement, whom to call.

use crate::entry::{Person, Refusal};
use crate::resolve::{Clash, resolve};
use domain::policy::Statement;
use domain::{FirmId, RoomId};
use serde::Serialize;
use std::collections::BTreeSet;

/// The outcome.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Simulation {
    /// Statements that cannot hold together: nobody enters.
    pub clashes: Vec<Clash>,
    /// Who is refused, and why.
    pub refused: Vec<(Person, Refusal)>,
    /// Who enters.
    pub entered: Vec<Person>,
}

impl Simulation {
    /// Does everybody enter?
    pub fn is_good(&self) -> bool {
        self.clashes.is_empty() && self.refused.is_empty()
    }
}

/// Lets `roster` come to `room` under `statements`. Statements count as in a meeting: those of the firms on the roster.
pub fn simulate(statements: &[Statement], room: &RoomId, roster: &[Person]) -> Simulation {
    let firms: BTreeSet<&FirmId> = roster.iter().map(|person| &person.firm).collect();
    let about = |s: &&Statement| s.room == *room && firms.contains(&s.firm);
    let counted: Vec<Statement> = statements.iter().filter(about).cloned().collect();
    let resolved = match resolve(&counted) {
        Ok(resolved) => resolved,
        Err(clashes) => return Simulation { clashes, ..Simulation::default() },
    };
    let mut outcome = Simulation::default();
    for person in roster {
        match resolved.may_enter(person, &outcome.entered) {
            Ok(()) => outcome.entered.push(person.clone()),
            Err(refusal) => outcome.refused.push((person.clone(), refusal)),
        }
    }
    outcome
}

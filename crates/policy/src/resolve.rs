//! Several firms' statements as one: who keeps what, what is vetoed, what is let in; or which statements clash.
//!
//! The order of the statements and a statement given twice change nothing. One more firm never loosens anything for the
//! others: what was kept out stays out, what must be kept stays so or the meeting is refused.

use crate::cause::{Cause, Field};
use domain::policy::{ContentClass, Demand, Permission, Rule, Statement};
use domain::{FirmId, RoomId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Two or more statements that cannot hold together.
// not a wire type: an answer to whoever asks, never read back
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "clash")]
pub enum Clash {
    /// One firm must keep what another forbids it to keep.
    Veto {
        /// What.
        class: ContentClass,
        /// Who must.
        must: Cause,
        /// Who forbids.
        forbidden: Cause,
    },
    /// No region is allowed by all.
    Regions {
        /// Everybody who names regions.
        between: Vec<Cause>,
    },
    /// One firm signed two statements with the same serial.
    Serial {
        /// Whose.
        of: Cause,
    },
}

impl Clash {
    /// Every statement that takes part.
    pub fn causes(&self) -> Vec<&Cause> {
        match self {
            Self::Veto { must, forbidden, .. } => vec![must, forbidden],
            Self::Regions { between } => between.iter().collect(),
            Self::Serial { of } => vec![of],
        }
    }
}

/// What holds when several statements hold together: each firm's, with what a veto leaves of it, ordered by firm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolved {
    statements: Vec<Statement>,
}

/// Resolves the statements of one room. Of several by one firm the highest serial counts.
///
/// # Errors
/// All clashes, ordered.
pub fn resolve(statements: &[Statement]) -> Result<Resolved, Vec<Clash>> {
    let mut clashes = Vec::new();
    let mut newest: BTreeMap<(&RoomId, &FirmId), &Statement> = BTreeMap::new();
    for statement in statements {
        let known = newest.entry((&statement.room, &statement.firm)).or_insert(statement);
        if statement.serial > known.serial {
            *known = statement;
        }
    }
    for statement in statements {
        let known = newest[&(&statement.room, &statement.firm)];
        if statement.serial == known.serial && statement != known {
            clashes.push(Clash::Serial { of: Cause::of(statement, Field::Statement) });
        }
    }
    if !clashes.is_empty() {
        // which of the two counts is not known, so nothing else is judged
        clashes.sort();
        clashes.dedup();
        return Err(clashes);
    }
    let mut held: Vec<Statement> = newest.into_values().cloned().collect();
    for class in ContentClass::ALL {
        clashes.extend(veto(&mut held, class));
    }
    let resolved = Resolved { statements: held };
    if resolved.regions().is_some_and(|regions| regions.is_empty()) {
        let named = resolved.statements.iter().filter(|s| s.conditions.regions.is_some());
        clashes.push(Clash::Regions { between: named.map(|s| Cause::of(s, Field::Regions)).collect() });
    }
    if clashes.is_empty() {
        return Ok(resolved);
    }
    clashes.sort();
    clashes.dedup();
    Err(clashes)
}

/// Does the veto of `from` concern the copy of `firm`?
fn concerns(from: &Statement, firm: &FirmId) -> bool {
    from.firm != *firm && (from.conditions.veto.is_empty() || from.conditions.veto.contains(firm))
}

/// What one firm forbids those it names do not keep: a `must` is a clash, a `should` gives way. A veto that names only
/// firms which are not here is an `off` of the own copy.
fn veto(held: &mut [Statement], class: ContentClass) -> Vec<Clash> {
    let mut clashes = Vec::new();
    let mut quiet = BTreeSet::new();
    for from in held.iter().filter(|s| s.rule(class) == Rule::Forbidden) {
        let named = || held.iter().filter(|other| concerns(from, &other.firm));
        if !from.conditions.veto.is_empty() && named().next().is_none() {
            quiet.insert(from.firm.clone());
        }
        for other in named() {
            match other.rule(class) {
                Rule::Must => clashes.push(Clash::Veto {
                    class,
                    must: Cause::of(other, class),
                    forbidden: Cause::of(from, class),
                }),
                Rule::Should => drop(quiet.insert(other.firm.clone())),
                Rule::Off | Rule::Forbidden => {}
            }
        }
    }
    held.iter_mut().filter(|s| quiet.contains(&s.firm)).for_each(|s| *s.rule_mut(class) = Rule::Off);
    clashes
}

impl Resolved {
    /// What is left of each statement, ordered by firm.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }
    /// What binds a firm; `None` if it states nothing.
    pub fn firm(&self, firm: &FirmId) -> Option<&Statement> {
        self.statements.iter().find(|statement| statement.firm == *firm)
    }
    /// Who keeps a copy of `class`, and whether nothing is sent without it. Everybody who shares the content is told.
    pub fn keepers(&self, class: ContentClass) -> impl Iterator<Item = (&FirmId, Rule)> {
        self.statements.iter().map(move |s| (&s.firm, s.rule(class))).filter(|(_, rule)| rule.keeps())
    }
    /// May `class` be used at all? Forbidden chat and files are switched off; sound and picture are the meeting itself.
    ///
    /// # Errors
    /// The statement that switches it off.
    pub fn open(&self, class: ContentClass) -> Result<(), Cause> {
        if class == ContentClass::AudioVideo {
            return Ok(());
        }
        self.refused(class, |s| s.rule(class) == Rule::Forbidden)
    }
    /// May guests enter?
    ///
    /// # Errors
    /// The first statement that refuses them.
    pub fn guests(&self) -> Result<(), Cause> {
        self.refused(Field::Guests, |s| s.conditions.guests == Permission::Refused)
    }
    /// May screens be shared?
    ///
    /// # Errors
    /// The first statement that refuses it.
    pub fn share(&self) -> Result<(), Cause> {
        self.refused(Field::Share, |s| s.conditions.share == Permission::Refused)
    }
    /// Do newcomers wait to be let in? Who wants it, if somebody does.
    pub fn lobby(&self) -> Option<Cause> {
        self.refused(Field::Lobby, |s| s.conditions.lobby == Demand::Wanted).err()
    }
    /// Do newcomers need a passcode? Who wants it, if somebody does.
    pub fn passcode(&self) -> Option<Cause> {
        self.refused(Field::Passcode, |s| s.conditions.passcode == Demand::Wanted).err()
    }
    /// Regions that all allow; `None`: any.
    pub fn regions(&self) -> Option<BTreeSet<String>> {
        let named = self.statements.iter().filter_map(|s| s.conditions.regions.clone());
        named.reduce(|a, b| a.intersection(&b).cloned().collect())
    }
    /// Oldest client that all let in.
    pub fn oldest_client(&self) -> u32 {
        self.statements.iter().map(|s| s.conditions.oldest_client).max().unwrap_or(0)
    }

    pub(crate) fn refused(&self, field: impl Into<Field>, refuses: impl Fn(&Statement) -> bool) -> Result<(), Cause> {
        let field = field.into();
        self.statements.iter().find(|s| refuses(s)).map_or(Ok(()), |s| Err(Cause::of(s, field)))
    }
}

//! Who comes in: whom a host turned away, whom one let in, lock, passcode, region. Goes on over a new group.

use super::{Entrant, Meeting, SfuInfo};
use crate::limits::{MAX_TRIERS, PASSCODE_BYTES, PASSCODE_REST_MS, PASSCODE_TRIES};
use crate::problem::{bad_message, of_firm, problem};
use domain::message::client::{Passcode, Problem, ProblemCode};
use domain::{FirmId, ParticipantId, UnixMillis, UserId};
use evidence::policy::MeetingRules;
use policy::Cause;
use std::collections::{BTreeMap, BTreeSet};

/// What happens to who knocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knock {
    /// It comes in.
    Enters,
    /// It waits until a host says yes.
    Waits,
}

type Person = (FirmId, UserId);

fn person(who: &ParticipantId) -> Person {
    (who.firm.clone(), who.user.clone())
}

/// A passcode, salted and hashed: it is not kept in clear.
struct Kept {
    salt: [u8; 32],
    hash: [u8; 32],
}

impl Kept {
    fn new(salt: [u8; 32], passcode: &Passcode) -> Self {
        Self { salt, hash: hashed(&salt, passcode) }
    }
    /// Takes as long whatever is wrong.
    fn is(&self, passcode: &Passcode) -> bool {
        let tried = hashed(&self.salt, passcode);
        let apart = self.hash.iter().zip(tried).fold(0, |apart, (a, b)| apart | (a ^ b));
        std::hint::black_box(apart) == 0
    }
}

fn hashed(salt: &[u8; 32], passcode: &Passcode) -> [u8; 32] {
    let mut all = salt.to_vec();
    all.extend_from_slice(passcode.0.as_bytes());
    evidence::sha256(&all)
}

#[derive(Default, Clone, Copy)]
struct Tries {
    wrong: u32,
    last: UnixMillis,
}

/// The door of one meeting.
#[derive(Default)]
pub struct Door {
    turned_away: BTreeSet<Person>,
    let_in: BTreeSet<Person>,
    locked: bool,
    passcode: Option<Kept>,
    tries: BTreeMap<Person, Tries>,
}

impl Door {
    pub(super) fn turn_away(&mut self, who: &ParticipantId) {
        self.turned_away.insert(person(who));
        self.let_in.remove(&person(who));
    }
    pub(super) fn let_in(&mut self, who: &ParticipantId) {
        self.let_in.insert(person(who));
        self.turned_away.remove(&person(who));
    }
    /// It is in: it may come back.
    pub(super) fn came_in(&mut self, who: &ParticipantId) {
        self.let_in.insert(person(who));
    }
    pub(super) fn turned_away(&self, who: &ParticipantId) -> Result<(), Problem> {
        if self.turned_away.contains(&person(who)) {
            return Err(problem(ProblemCode::Removed, "a host removed you from this meeting"));
        }
        Ok(())
    }
    pub(super) fn lock(&mut self) {
        self.locked = true;
    }
    pub(super) fn unlock(&mut self) {
        self.locked = false;
    }

    fn judge_passcode(&mut self, now: UnixMillis, entrant: &Entrant, by: &Cause) -> Result<(), Problem> {
        let Some(kept) = &self.passcode else {
            let none = "a passcode is asked for and no host has set one yet: try again when a host is in";
            return Err(of_firm(ProblemCode::Passcode, none, &by.firm));
        };
        let who = person(&entrant.participant);
        let mut tries = self.tries.get(&who).copied().unwrap_or_default();
        if now.since(tries.last) >= PASSCODE_REST_MS {
            tries = Tries::default();
        }
        if tries.wrong >= PASSCODE_TRIES || self.tries.len() >= MAX_TRIERS {
            return Err(of_firm(ProblemCode::PasscodeTries, "too many wrong passcodes: wait ten minutes", &by.firm));
        }
        let Some(passcode) = &entrant.entering.passcode else {
            return Err(of_firm(ProblemCode::Passcode, "a passcode is asked for", &by.firm));
        };
        if kept.is(passcode) {
            self.tries.remove(&who);
            return Ok(());
        }
        self.tries.insert(who, Tries { wrong: tries.wrong + 1, last: now });
        Err(of_firm(ProblemCode::Passcode, "the passcode is wrong", &by.firm))
    }
}

/// A meeting whose statements name regions runs on a media server that says it is in one of them.
pub(super) fn region(rules: &MeetingRules, sfu: &SfuInfo) -> Result<(), Problem> {
    let Some(allowed) = rules.resolved().regions() else { return Ok(()) };
    if sfu.region.as_ref().is_some_and(|region| allowed.contains(region)) {
        return Ok(());
    }
    let by = rules.statements().iter().find(|stated| stated.conditions.regions.is_some());
    let named: Vec<_> = allowed.iter().map(String::as_str).collect();
    let detail = format!("media may pass only: {}; the media server is not there", named.join(", "));
    Err(Problem { firm: by.map(|stated| stated.firm.clone()), ..problem(ProblemCode::Region, detail) })
}

impl Meeting {
    /// Was anybody ever in?
    pub fn is_used(&self) -> bool {
        !self.people.is_empty()
    }

    /// Somebody comes to the door. Recorders, who is in already and who was let in before pass; hosts know the passcode.
    ///
    /// # Errors
    /// Why it does not come in.
    pub fn knock(&mut self, now: UnixMillis, entrant: &Entrant) -> Result<Knock, Problem> {
        let who = &entrant.participant;
        if entrant.recorder || self.people.contains_key(who) {
            return Ok(Knock::Enters);
        }
        self.may_enter(entrant)?;
        if self.hosting.is_ending() {
            return Err(problem(ProblemCode::Ended, "a host ended the meeting"));
        }
        if self.is_host(entrant) || self.door.let_in.contains(&person(who)) {
            return Ok(Knock::Enters);
        }
        if self.door.locked {
            return Err(problem(ProblemCode::Locked, "a host locked the meeting: ask one to let you in"));
        }
        if let Some(by) = self.rules.resolved().passcode() {
            self.door.judge_passcode(now, entrant, &by)?;
        }
        // guests wait everywhere
        let waits = entrant.inviter.is_some() || self.rules.resolved().lobby().is_some();
        Ok(if waits { Knock::Waits } else { Knock::Enters })
    }

    /// A host sets what newcomers know.
    pub(super) fn set_passcode(&mut self, who: &ParticipantId, passcode: &Passcode) -> Result<(), Problem> {
        if !self.people.get(who).is_some_and(|person| self.is_host(&person.entrant)) {
            return Err(problem(ProblemCode::NotHost, "only a host sets the passcode"));
        }
        if !PASSCODE_BYTES.contains(&passcode.0.len()) {
            return Err(bad_message("a passcode has 4 to 64 bytes"));
        }
        self.door.passcode = Some(Kept::new(self.ports.random.bytes(), passcode));
        self.door.tries.clear();
        Ok(())
    }
}

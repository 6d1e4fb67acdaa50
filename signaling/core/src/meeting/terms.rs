//! What binds a meeting: terms from the signed statements, what newer statements would change, and whom they keep out.

use super::{Entrant, Meeting};
use crate::limits::TERMS_CHANGE_MS;
use crate::ports::Ports;
use crate::problem::{of_firm, problem};
use crate::room::RoomRecord;
use domain::message::client::{MeetingTerms, Problem, ProblemCode, ToClient};
use domain::policy::Language;
use domain::{B64, FirmId, MeetingId, UnixMillis};
use evidence::policy::{MeetingRules, PolicyError, rules};
use policy::{Effect, Person, Why, changes, words};

/// What newer statements change for a running meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It goes on under its terms.
    Nothing,
    /// It begins anew.
    Terms {
        /// When.
        begins: UnixMillis,
        /// A firm whose statement is new.
        because: FirmId,
    },
}

fn clash(error: &PolicyError) -> Problem {
    match error {
        PolicyError::Clash { forbidden, .. } => of_firm(ProblemCode::PolicyClash, error.to_string(), forbidden),
        PolicyError::WrongRoom(firm) => of_firm(ProblemCode::PolicyClash, error.to_string(), firm),
        PolicyError::Disagree(all) => {
            let firm = all.iter().flat_map(policy::Clash::causes).next().map(|cause| cause.firm.clone());
            Problem { firm, ..problem(ProblemCode::PolicyClash, error.to_string()) }
        }
        _ => problem(ProblemCode::Internal, format!("the statements of this room do not judge well: {error}")),
    }
}

/// The signed statements of every firm with members in the room, ordered by firm.
fn signed(record: &RoomRecord) -> Result<Vec<B64>, Problem> {
    let of_each = |firm: &FirmId| {
        let found = record.statements.iter().find(|(of, _)| of == firm);
        found.map(|(_, signed)| signed.clone()).ok_or_else(|| {
            let detail = format!("{firm} has no statement about this room: its administrator must sign one");
            of_firm(ProblemCode::PolicyClash, detail, firm)
        })
    };
    record.firms().into_iter().map(of_each).collect()
}

/// Terms and rules of a meeting of this room; refused when statements are missing or clash.
pub(super) fn judged(
    now: UnixMillis,
    ports: &Ports,
    record: &RoomRecord,
    meeting: MeetingId,
) -> Result<(MeetingTerms, MeetingRules), Problem> {
    let statements = signed(record)?;
    let terms = MeetingTerms {
        meeting,
        room: record.room.clone(),
        title: record.title.clone(),
        statements,
        trust: ports.trust.hash().into(),
        started_at: now,
    };
    let rules = rules(&ports.trust, &terms).map_err(|error| clash(&error))?;
    Ok((terms, rules))
}

fn person(entrant: &Entrant, region: Option<&str>) -> Person {
    Person {
        firm: entrant.participant.firm.clone(),
        user: entrant.participant.user.clone(),
        groups: entrant.groups.clone(),
        guest: entrant.inviter.is_some(),
        client: Some(entrant.entering.client),
        region: region.map(str::to_owned),
    }
}

impl Meeting {
    /// What changes if this one comes, with the room as it is now. Who is known, and recorders, change nothing; neither
    /// do statements that do not hold together, unless it needs one of them itself.
    ///
    /// # Errors
    /// Why it cannot come: which statements clash, and whom to call.
    pub fn change_for(&self, now: UnixMillis, entrant: &Entrant, record: &RoomRecord) -> Result<Change, Problem> {
        if entrant.recorder || self.people.contains_key(&entrant.participant) {
            return Ok(Change::Nothing);
        }
        // nearly every join: nothing is judged again
        if signed(record).is_ok_and(|statements| statements == self.terms.statements) {
            return Ok(Change::Nothing);
        }
        let (_, newer) = match judged(now, &self.ports, record, self.terms.meeting.clone()) {
            Ok(judged) => judged,
            Err(_) if self.rules.firm_rule(&entrant.participant.firm).is_some() => return Ok(Change::Nothing),
            Err(problem) => return Err(problem),
        };
        let old = |firm: &FirmId| self.rules.firm_rule(firm);
        let changed = |firm: &FirmId| old(firm) != newer.firm_rule(firm);
        let Some(because) = newer.statements().iter().map(|s| &s.firm).find(|firm| changed(firm)) else {
            return Ok(Change::Nothing);
        };
        let stricter = newer.statements().iter().flat_map(|after| changes(old(&after.firm), after));
        let wait = if stricter.into_iter().any(|c| c.effect == Effect::Stricter) { TERMS_CHANGE_MS } else { 0 };
        Ok(Change::Terms { begins: now.plus(wait), because: because.clone() })
    }

    /// Does a firm's statement keep it out of this company?
    pub(super) fn barred(&self, entrant: &Entrant) -> Result<(), Problem> {
        if entrant.recorder {
            return Ok(());
        }
        let inside = self.people.values().filter(|one| !one.entrant.recorder);
        let region = self.sfu.as_ref().and_then(|sfu| sfu.region.as_deref());
        let present: Vec<Person> = inside.map(|one| person(&one.entrant, region)).collect();
        let refused = |refusal: policy::Refusal| {
            let code = match refusal.why {
                Why::Client => ProblemCode::ClientTooOld,
                Why::Region => ProblemCode::Region,
                Why::Guest => ProblemCode::NoGuests,
                Why::NoStatement | Why::Barrier => ProblemCode::Barred,
            };
            of_firm(code, words::refusal(Language::En, &refusal), &refusal.cause.firm)
        };
        self.rules.resolved().may_enter(&person(entrant, region), &present).map_err(refused)
    }

    /// Tells everybody inside something that they need not act on.
    pub fn announce(&mut self, what: &Problem) {
        self.tell_all(None, ToClient::Problem(what.clone()));
    }
}

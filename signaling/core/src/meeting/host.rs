//! What hosts order: judged by who signed it, carried out, passed on to everybody as signed. Whoever acts on it judges it
//! again (`evidence::host`): this service can keep an order back, it cannot make one.

use super::{Entrant, Followed, Meeting};
use crate::limits::{END_MS, MAX_LASTING_ACTS};
use crate::problem::{bad_message, problem};
use crate::room::Member;
use domain::message::client::{Problem, ProblemCode, ToClient, Waiter};
use domain::message::control::ToSfu;
use domain::{B64, ParticipantId, Slot, UnixMillis};
use evidence::host::{HostError, Hosts, Listed, Order, judge};
use evidence::policy::MeetingRules;

/// What a host said about somebody who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Come in.
    Yes,
    /// Go.
    No,
}

/// What hosts did so far.
pub(super) struct Hosting {
    hosts: Hosts,
    /// Acts that newcomers are told.
    lasting: Vec<B64>,
    answers: Vec<(ParticipantId, Answer)>,
    /// Somebody came in or got the role: who waits is said again.
    news: bool,
    ends_at: Option<UnixMillis>,
    over: bool,
}

impl Hosting {
    pub(super) fn new(rules: &MeetingRules) -> Self {
        let hosts = Hosts::new(rules);
        Self { hosts, lasting: Vec::new(), answers: Vec::new(), news: false, ends_at: None, over: false }
    }
    pub(super) fn entered(&mut self) {
        self.news = true;
    }
    pub(super) fn is_ending(&self) -> bool {
        self.ends_at.is_some() || self.over
    }
    /// A host ended it and the time for goodbyes is up.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }
    pub(super) fn due(&self) -> Option<UnixMillis> {
        self.ends_at
    }
    pub(super) fn timeout(&mut self, now: UnixMillis) {
        if self.ends_at.is_some_and(|at| at <= now) {
            self.ends_at = None;
            self.over = true;
        }
    }
    fn keep(&mut self, act: B64) {
        if self.lasting.len() >= MAX_LASTING_ACTS {
            self.lasting.remove(0);
        }
        self.lasting.push(act);
    }
}

fn refused(why: &HostError) -> Problem {
    let code = match why {
        HostError::NotHost => ProblemCode::NotHost,
        HostError::Signature(_) => ProblemCode::BadSignature,
        _ => ProblemCode::BadMessage,
    };
    problem(code, why.to_string())
}

impl Meeting {
    pub(super) fn is_host(&self, entrant: &Entrant) -> bool {
        let listed = if entrant.host { Listed::Host } else { Listed::Other };
        !entrant.recorder && entrant.inviter.is_none() && self.hosting.hosts.is_host(&entrant.participant, listed)
    }

    /// The directory says something else of a member: everybody sees who is host now, and new hosts are told who waits.
    pub fn member_changed(&mut self, member: &Member) {
        for who in self.devices(&member.firm, &member.user) {
            let person = self.people.get_mut(&who);
            if person.is_some_and(|person| person.entrant.follow(member) == Followed::Changed) {
                self.hosting.news = true;
                self.row_changed(&who);
            }
        }
    }

    /// An act, by the very certificate of the connection that brings it.
    pub(super) fn host_orders(&mut self, now: UnixMillis, who: &ParticipantId, signed: B64) -> Result<(), Problem> {
        let judged = judge(&self.ports.trust, &self.terms.meeting, &signed, now);
        let (act, signer) = judged.map_err(|why| refused(&why))?;
        let Some(person) = self.people.get(who) else { return Ok(()) };
        if signer.participant != *who || signer.certificate_hash != person.entrant.certificate_hash {
            return Err(problem(ProblemCode::BadSignature, "signed by another certificate"));
        }
        let listed = if person.entrant.host { Listed::Host } else { Listed::Other };
        if let Order::HandOver { to } = &act.what {
            let to = self.people.get(to).ok_or_else(|| bad_message("no such participant"))?;
            if to.entrant.recorder || to.entrant.inviter.is_some() {
                return Err(bad_message("a recorder or guest is no host"));
            }
        }
        self.hosting.hosts.take(&act, &signer, listed).map_err(|why| refused(&why))?;
        self.note(Some(&who.firm), "a host ordered something");
        if act.what.lasts() {
            self.hosting.keep(signed.clone());
        }
        self.tell_all(None, ToClient::HostAct { act: signed });
        self.carry_out(now, who, act.what)
    }

    fn carry_out(&mut self, now: UnixMillis, host: &ParticipantId, order: Order) -> Result<(), Problem> {
        match order {
            Order::Lock {} => self.door.lock(),
            Order::Unlock {} => self.door.unlock(),
            Order::Admit { participant } => {
                self.door.let_in(&participant);
                self.hosting.answers.push((participant, Answer::Yes));
            }
            Order::Deny { participant } => {
                self.door.turn_away(&participant);
                self.hosting.answers.push((participant, Answer::No));
            }
            Order::MuteAll {} => {
                let others: Vec<ParticipantId> = self.people.keys().filter(|who| *who != host).cloned().collect();
                others.iter().for_each(|who| self.silence(who));
            }
            Order::Mute { participant } => self.silence(&participant),
            Order::Remove { participant } => return self.host_removes(now, host, &participant),
            Order::HandOver { to } => {
                self.hosting.news = true;
                // everybody judged the act by now: what the rows say follows from it
                for who in [host, &to] {
                    self.devices(&who.firm, &who.user).iter().for_each(|who| self.row_changed(who));
                }
            }
            Order::End {} => self.hosting.ends_at = Some(now.plus(END_MS)),
            _ => return Err(bad_message("an order of a newer version")),
        }
        Ok(())
    }

    /// A microphone is off, at the SFU too, until its owner turns it on.
    fn silence(&mut self, who: &ParticipantId) {
        let Some(person) = self.people.get_mut(who).filter(|person| !person.entrant.recorder) else { return };
        if !person.silenced.contains(&Slot::MICROPHONE) {
            person.silenced.push(Slot::MICROPHONE);
        }
        person.sources.iter_mut().filter(|s| s.slot == Slot::MICROPHONE).for_each(|s| s.muted = true);
        self.row_changed(who);
        self.say_silenced(who);
    }

    /// Tells the SFU what of this one is off, also after it forgot.
    pub(super) fn say_silenced(&mut self, who: &ParticipantId) {
        let slots = self.people.get(who).map(|person| person.silenced.clone()).unwrap_or_default();
        for slot in slots {
            let (meeting, participant) = (self.terms.meeting.clone(), who.clone());
            self.inform_sfu(ToSfu::Mute { meeting, participant, slot, muted: true });
        }
    }

    /// The owner turned a microphone on again.
    pub(super) fn speaks_again(&mut self, who: &ParticipantId, slot: Slot) {
        let Some(person) = self.people.get_mut(who) else { return };
        let before = person.silenced.len();
        person.silenced.retain(|known| *known != slot);
        if person.silenced.len() != before {
            let (meeting, participant) = (self.terms.meeting.clone(), who.clone());
            self.inform_sfu(ToSfu::Mute { meeting, participant, slot, muted: false });
        }
    }

    pub(super) fn tell_lasting_acts(&mut self, who: &ParticipantId) {
        let acts = self.hosting.lasting.clone();
        acts.into_iter().for_each(|act| self.tell(who, ToClient::HostAct { act }));
    }

    /// What hosts said about who waits; empties the list.
    pub fn take_answers(&mut self) -> Vec<(ParticipantId, Answer)> {
        std::mem::take(&mut self.hosting.answers)
    }

    /// Did somebody come in or get the role since this was asked?
    pub fn take_new_hosts(&mut self) -> bool {
        std::mem::take(&mut self.hosting.news)
    }

    /// Who waits, to those who can let them in.
    pub fn tell_hosts(&mut self, waiting: &[Waiter]) {
        let hosts = self.people.values().filter(|person| self.is_host(&person.entrant));
        let to = hosts.filter_map(|person| person.conn).collect();
        self.send(to, ToClient::Waiting { waiting: waiting.to_vec() });
    }
}

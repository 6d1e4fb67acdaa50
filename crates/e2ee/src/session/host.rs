//! Hosts: what they order is signed by their leaf key and judged here again, whatever signaling says (`evidence::host`).

use super::{Event, IncidentKind, Phase, SayError, Session, Waiting};
use domain::message::client::{Passcode, RosterEntry, ToServer, Waiter};
use domain::message::custody::LeafRole;
use domain::{B64, ParticipantId, UnixMillis};
use evidence::host::{HostAct, HostError, Hosts, LABEL, Listed, Order, encode, judge};
use evidence::invitation::{Invited, judge_guest};
use evidence::policy::MeetingRules;
use std::collections::BTreeMap;

/// Most who are shown as waiting: a meeting takes no more.
const MAX_SHOWN: usize = domain::limits::MAX_MEMBERS;

/// Who is host, as statements, the roster and signed acts have it.
#[derive(Default)]
pub(super) struct Hosting {
    book: Hosts,
    listed: BTreeMap<ParticipantId, Listed>,
    sequence: u64,
    told: Vec<ParticipantId>,
}

impl Hosting {
    /// Another meeting: hosts begin anew.
    pub(super) fn bind(&mut self, rules: &MeetingRules) {
        *self = Self { book: Hosts::new(rules), ..Self::default() };
    }
    pub(super) fn admitted(&mut self, roster: &[RosterEntry]) {
        self.listed.clear();
        roster.iter().for_each(|entry| self.row(entry));
    }
    pub(super) fn row(&mut self, entry: &RosterEntry) {
        let listed = if entry.host && !entry.recorder { Listed::Host } else { Listed::Other };
        if self.listed.len() < domain::limits::MAX_MEMBERS || self.listed.contains_key(&entry.participant) {
            self.listed.insert(entry.participant.clone(), listed);
        }
    }
    fn listed(&self, who: &ParticipantId) -> Listed {
        self.listed.get(who).copied().unwrap_or(Listed::Other)
    }
    fn is_host(&self, who: &ParticipantId) -> bool {
        self.book.is_host(who, self.listed(who))
    }
}

impl Session {
    /// Host: orders something. Signaling carries it out, everybody judges it; [`Event::Ordered`] follows here too.
    pub fn order(&mut self, now: UnixMillis, order: Order) -> Result<(), SayError> {
        let Some(meeting) = &self.meeting else { return Err(SayError::NotIn) };
        if matches!(self.phase, Phase::Over | Phase::Greeting) {
            return Err(SayError::NotIn);
        }
        if !self.hosting.is_host(&self.own.participant) {
            return Err(SayError::NotHost);
        }
        self.hosting.sequence += 1;
        let sequence = self.hosting.sequence;
        let act = HostAct { meeting: meeting.terms.meeting.clone(), sequence, at: now, what: order };
        let signed = self.key.sign_cose(LABEL, &encode(&act), Some(&self.certificate));
        self.send(ToServer::Host { act: B64(signed) });
        Ok(())
    }

    /// Host: what newcomers are to know from now on.
    pub fn set_passcode(&mut self, passcode: &str) -> Result<(), SayError> {
        if !self.hosting.is_host(&self.own.participant) {
            return Err(SayError::NotHost);
        }
        self.send(ToServer::SetPasscode { passcode: Passcode(passcode.to_owned()) });
        Ok(())
    }

    pub(super) fn on_host_act(&mut self, now: UnixMillis, signed: &[u8]) {
        let Some(meeting) = &self.meeting else { return };
        let Ok((act, signer)) = judge(&self.trust, &meeting.terms.meeting, signed, now) else {
            return self.incident(IncidentKind::BadHostAct, None);
        };
        let listed = self.hosting.listed(&signer.participant);
        match self.hosting.book.take(&act, &signer, listed) {
            Ok(()) => {
                let signed = B64(signed.to_vec());
                self.tell(Event::Ordered { from: signer.participant, order: act.what, signed });
                self.tell_hosts();
            }
            // said again to who came back
            Err(HostError::Again) => {}
            // where the directory lists hosts, who handed over before we came is listed no more
            Err(HostError::NotHost) if act.what.lasts() => {}
            Err(_) => self.incident(IncidentKind::BadHostAct, Some(signer.participant)),
        }
    }

    pub(super) fn on_waiting(&mut self, now: UnixMillis, waiting: Vec<Waiter>) {
        let shown = waiting.into_iter().take(MAX_SHOWN).filter_map(|one| {
            let identity = evidence::identity::judge(&self.trust, &one.certificate, now.seconds()).ok()?;
            let person = matches!(identity.role, LeafRole::Member | LeafRole::Guest);
            (person && identity.participant == one.participant).then(|| Waiting {
                participant: one.participant,
                name: identity.name.clone(),
                role: identity.role,
            })
        });
        let shown = shown.collect();
        self.tell(Event::Waiting(shown));
    }

    /// Who invited a guest, by the invitation's signature.
    pub(super) fn see_guest(&mut self, now: UnixMillis, entry: &RosterEntry) {
        let Some(signed) = &entry.invitation else { return };
        match judge_guest(&self.trust, signed, &entry.participant, &self.room, now) {
            Ok(Invited { inviter, .. }) => {
                let guest = entry.participant.clone();
                self.tell(Event::Guest { guest, inviter: inviter.participant, name: inviter.name });
            }
            Err(_) => self.incident(IncidentKind::BadInvitation, Some(entry.participant.clone())),
        }
    }

    /// Says who is host, if that changed.
    pub(super) fn tell_hosts(&mut self) {
        let hosting = &mut self.hosting;
        let hosts: Vec<ParticipantId> = hosting.listed.keys().filter(|who| hosting.is_host(who)).cloned().collect();
        if hosts != hosting.told {
            hosting.told.clone_from(&hosts);
            self.tell(Event::Hosts(hosts));
        }
    }
}

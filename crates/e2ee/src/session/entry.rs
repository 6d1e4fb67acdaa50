//! Coming in: challenge, terms, and the three ways into the group (create, Welcome, external commit).

use super::commits::STUCK_MS;
use super::epochs::EpochState;
use super::{Event, IncidentKind, Meeting, Member, PING_MS, Phase, Session};
use crate::mls::{self, GroupError};
use domain::limits::{MAX_CLIENT_MESSAGE, RESYNC_SPACING_MS};
use domain::message::client::{Entry, MeetingTerms, Problem, ProblemCode, RosterEntry, ToServer, challenge_bytes};
use domain::policy::Statement;
use domain::{B64, Epoch, ParticipantId, UnixMillis};
use evidence::policy::{PolicyError, rules};
use std::sync::Arc;

/// Bytes of a challenge.
const NONCE: usize = 32;
/// A clock skew above this is told to the user, ms.
const SKEW_MS: u64 = 60_000;

/// Members of an epoch as shown.
pub(super) fn members(state: &EpochState) -> Vec<Member> {
    let show = |(leaf, identity): (&domain::LeafIndex, &evidence::identity::Identity)| Member {
        leaf: *leaf,
        participant: identity.participant.clone(),
        name: identity.name.clone(),
        role: identity.role,
        firm: identity.participant.firm.clone(),
    };
    state.members.iter().map(show).collect()
}

impl Session {
    pub(super) fn on_challenge(&mut self, nonce: &[u8]) {
        if nonce.len() != NONCE || !matches!(self.phase, Phase::Greeting) {
            return self.incident(IncidentKind::BadMessage, None);
        }
        let signature = self.key.sign(&challenge_bytes(nonce, &self.room, &self.certificate));
        self.send(ToServer::Prove { signature: B64(signature.to_vec()) });
    }

    pub(super) fn on_admitted(
        &mut self,
        now: UnixMillis,
        participant: ParticipantId,
        terms: Box<MeetingTerms>,
        entry: Entry,
        roster: Vec<RosterEntry>,
        theirs: UnixMillis,
    ) {
        // also without a new hello: who was told to create the group and did not waits for a Welcome, one that waited
        // creates it, and a lost group is begun anew under another meeting id
        if participant != self.own.participant || terms.room != self.room {
            self.incident(IncidentKind::BadTerms, None);
            return self.end(refused(ProblemCode::BadMessage, "admitted as someone else or to another room", None));
        }
        if now.since(theirs).max(theirs.since(now)) > SKEW_MS {
            self.incident(IncidentKind::ClockSkew, None);
        }
        if let Err(why) = self.bind(&terms) {
            self.incident(IncidentKind::BadTerms, None);
            return self.end(policy_problem(&why));
        }
        self.ping_at = Some(now.plus(PING_MS));
        self.recorders.reconnected(now);
        self.hosting.admitted(&roster);
        roster.iter().for_each(|entry| self.see_guest(now, entry));
        self.tell(Event::Admitted { participant, terms, roster });
        self.tell_hosts();
        self.say_yes(now);
        self.enter(now, entry);
    }

    /// Judges the terms and makes an MLS member of them. What is held of another meeting goes.
    fn bind(&mut self, terms: &MeetingTerms) -> Result<(), PolicyError> {
        let rules = Arc::new(rules(&self.trust, terms)?);
        // whoever leaves it out takes our firm's rule away
        let own = &self.own.participant.firm;
        rules.firm_rule(own).ok_or_else(|| PolicyError::Missing(own.clone()))?;
        // a signed statement stays signed for ever: the newest one seen is remembered, an older one is a downgrade
        let older = |s: &&Statement| self.serials.get(&s.firm).is_some_and(|seen| *seen > s.serial);
        if let Some(stated) = rules.statements().iter().find(older) {
            return Err(PolicyError::Older(stated.firm.clone()));
        }
        self.serials.extend(rules.statements().iter().map(|s| (s.firm.clone(), s.serial)));
        let same = self.meeting.as_ref().is_some_and(|m| m.terms.meeting == terms.meeting && m.rules == rules);
        if same {
            return Ok(());
        }
        self.drop_meeting();
        let group_id = terms.meeting.as_str().as_bytes().to_vec();
        let mls = mls::Member::new(&self.key, &self.certificate, Arc::clone(&self.trust), Arc::clone(&rules), group_id);
        self.recorders.watch(&rules);
        self.hosting.bind(&rules);
        self.signs = super::signs::Signs::default();
        self.meeting = Some(Meeting { terms: Box::new(terms.clone()), rules, mls });
        Ok(())
    }

    fn drop_meeting(&mut self) {
        self.sender.leave_epoch();
        self.sender.forget_manifests();
        self.speech = super::said::Speech::default();
        self.files.forget();
        // its leaves and epoch numbers mean others in the next one
        self.orders = super::orders::Orders::default();
        self.group = None;
        self.meeting = None;
        self.epochs.withdraw(Epoch(0));
        self.ahead_commits.clear();
        self.ahead_messages.clear();
    }

    fn enter(&mut self, now: UnixMillis, entry: Entry) {
        match entry {
            Entry::Create {} => self.create(now),
            Entry::AwaitWelcome {} => {
                self.lose_group(now);
                self.send_key_package(now);
            }
            Entry::Continue {} if self.group.is_some() => {
                self.phase = Phase::Member;
                self.speech.came_back(now);
                self.files.came_back(now);
                self.drain_ahead(now);
            }
            Entry::Continue {} => self.start_resync(now),
            Entry::Resync { epoch, group_info } => {
                self.lose_group(now);
                self.phase = Phase::Resyncing(None);
                self.on_group_info(now, epoch, &group_info);
            }
        }
    }

    fn create(&mut self, now: UnixMillis) {
        self.lose_group(now);
        self.epochs.withdraw(Epoch(0));
        let Some(meeting) = &self.meeting else { return };
        let made = meeting.mls.create(now.seconds()).and_then(|group| {
            let group_info = group.group_info()?;
            Ok((group, group_info))
        });
        match made {
            Ok((group, group_info)) => {
                self.group = Some(group);
                self.send(ToServer::Created { group_info: B64(group_info) });
                self.entered(now);
            }
            Err(_) => self.incident(IncidentKind::GroupLost, None),
        }
    }

    pub(super) fn send_key_package(&mut self, now: UnixMillis) {
        let Some(meeting) = &self.meeting else { return };
        match meeting.mls.key_package(now.seconds()) {
            Ok(key_package) => {
                self.phase = Phase::AwaitingWelcome;
                self.resync_at = None;
                self.send(ToServer::KeyPackage { key_package: B64(key_package) });
            }
            Err(_) => self.incident(IncidentKind::GroupLost, None),
        }
    }

    pub(super) fn on_need_key_package(&mut self, now: UnixMillis) {
        // a member's key package would only be a second leaf; one that resyncs in vain is added anew
        if matches!(self.phase, Phase::AwaitingWelcome | Phase::Resyncing(_)) {
            self.resync_at = None;
            self.send_key_package(now);
        }
    }

    pub(super) fn on_welcome(&mut self, now: UnixMillis, welcome: &[u8], tree: &[u8], epoch: Epoch) {
        // a duplicate, or one for a key package of before a resync
        if !matches!(self.phase, Phase::AwaitingWelcome) {
            return;
        }
        let Some(meeting) = &self.meeting else { return };
        match meeting.mls.join(welcome, tree, now.seconds()) {
            Ok(group) if group.epoch() == epoch => {
                self.group = Some(group);
                self.entered(now);
                self.send_applied();
                self.drain_ahead(now);
            }
            Ok(_) | Err(_) => {
                self.incident(IncidentKind::BadWelcome, None);
                self.start_resync(now);
            }
        }
    }

    /// The group state is gone or of no use; keys already derived stay to open what is on its way.
    pub(super) fn lose_group(&mut self, now: UnixMillis) {
        if self.group.take().is_some() {
            self.group_lost_at = Some(now);
        }
        self.stuck_until = None;
    }

    /// Asks for a GroupInfo now, or as soon as the spacing allows.
    pub(super) fn start_resync(&mut self, now: UnixMillis) {
        self.lose_group(now);
        self.phase = Phase::Resyncing(None);
        let earliest = self.resync_asked.map_or(now, |asked| asked.plus(RESYNC_SPACING_MS));
        self.resync_at = Some(earliest.max(now));
        self.resync_when_due(now);
    }

    pub(super) fn resync_when_due(&mut self, now: UnixMillis) {
        if self.stuck_until.is_some_and(|at| at <= now) {
            self.stuck_until = None;
            self.start_resync(now);
        }
        if self.resync_at.is_some_and(|at| at <= now) {
            self.resync_asked = Some(now);
            self.resync_at = Some(now.plus(RESYNC_SPACING_MS));
            self.send(ToServer::NeedResync {});
        }
    }

    pub(super) fn on_group_info(&mut self, now: UnixMillis, epoch: Epoch, group_info: &[u8]) {
        let behind = self.group.as_ref().is_none_or(|group| group.epoch() < epoch) || self.stuck_until.is_some();
        let wanted = !matches!(self.phase, Phase::Greeting | Phase::Over) && behind;
        if !wanted || group_info.len() > MAX_CLIENT_MESSAGE {
            return;
        }
        let Some(meeting) = &self.meeting else { return };
        match meeting.mls.resync(group_info, &self.own.participant, now.seconds()) {
            Ok(resync) => {
                self.lose_group(now);
                self.send(ToServer::Resync {
                    epoch: resync.made_in,
                    commit: B64(resync.commit.clone()),
                    group_info: B64(resync.group_info.clone()),
                });
                self.resync_at = Some(now.plus(RESYNC_SPACING_MS));
                self.phase = Phase::Resyncing(Some(Box::new(resync)));
            }
            Err(GroupError::NoOldLeaf) => {
                self.lose_group(now);
                self.send_key_package(now);
            }
            Err(_) => {
                self.incident(IncidentKind::BadGroupInfo, None);
                // what we still have may yet be of use: the service can withdraw what made this
                if matches!(self.phase, Phase::Member) && self.stuck_until.is_some() {
                    self.stuck_until = Some(now.plus(STUCK_MS));
                } else {
                    self.start_resync(now);
                }
            }
        }
    }

    pub(super) fn send_applied(&mut self) {
        if let Some(epoch) = self.epoch() {
            self.send(ToServer::Applied { epoch });
        }
    }

    /// The group has reached a new epoch: takes its keys and tells who is in.
    pub(super) fn entered(&mut self, now: UnixMillis) {
        let Some(group) = &mut self.group else { return };
        let code = group.code();
        let (change, code) = match (self.epochs.enter(now, group), code) {
            (Ok(change), Ok(code)) => (change, code),
            _ => {
                self.incident(IncidentKind::GroupLost, None);
                return self.start_resync(now);
            }
        };
        self.phase = Phase::Member;
        self.resync_at = None;
        self.stuck_until = None;
        if self.group_lost_at.take().is_some() {
            self.speech.came_back(now);
            self.files.came_back(now);
        }
        let bad = self.recorders.settle(now, &self.epochs);
        let Some(state) = self.epochs.latest() else { return };
        self.orders.settle(state);
        self.speech.entered(state.epoch);
        let newcomers = !change.added.is_empty();
        let event = Event::Epoch {
            epoch: state.epoch,
            members: members(state),
            code,
            added: change.added,
            removed: change.removed,
        };
        self.tell(event);
        for (kind, participant) in bad {
            self.incident(kind, Some(participant));
        }
        if newcomers {
            self.hand_again();
        }
        self.drain_messages(now);
    }
}

fn refused(code: ProblemCode, detail: &str, firm: Option<domain::FirmId>) -> Problem {
    Problem { code, detail: detail.to_owned(), firm }
}

fn policy_problem(why: &PolicyError) -> Problem {
    let detail = why.to_string();
    match why {
        PolicyError::TrustMismatch => refused(ProblemCode::TrustMismatch, &detail, None),
        PolicyError::Clash { forbidden, .. } => refused(ProblemCode::PolicyClash, &detail, Some(forbidden.clone())),
        PolicyError::Missing(firm) => refused(ProblemCode::PolicyClash, &detail, Some(firm.clone())),
        _ => refused(ProblemCode::BadMessage, &detail, None),
    }
}

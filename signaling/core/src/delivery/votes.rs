//! Acknowledgements and refusals. An epoch is ready when every connected member processes it; a commit that the majority
//! of the others cannot process is withdrawn and its sender evicted; a refusing minority resyncs.

use super::group::Maker;
use super::peer::{Holds, Peer};
use super::{Delivery, Order};
use crate::limits::DECIDE_MS;
use domain::message::client::ToClient;
use domain::{Epoch, ParticipantId, UnixMillis};
use std::collections::BTreeSet;

/// What became of one published commit.
pub(super) struct Vote {
    epoch: Epoch,
    by: ParticipantId,
    maker: Maker,
    at: UnixMillis,
    /// Members who got it, without its sender.
    voters: BTreeSet<ParticipantId>,
    /// Whom it added.
    joined: BTreeSet<ParticipantId>,
    applied: BTreeSet<ParticipantId>,
    refused: BTreeSet<ParticipantId>,
    /// Refusals already answered by a resync.
    answered: BTreeSet<ParticipantId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Open,
    Withdraw,
    Stands,
}

impl Vote {
    pub(super) fn new(
        at: UnixMillis,
        epoch: Epoch,
        by: ParticipantId,
        maker: Maker,
        voters: BTreeSet<ParticipantId>,
        joined: BTreeSet<ParticipantId>,
    ) -> Self {
        let none = BTreeSet::new;
        Self { epoch, by, maker, at, voters, joined, applied: none(), refused: none(), answered: none() }
    }

    /// Joiners decide only when nobody else can, and never one alone: it could throw out whoever invites it.
    fn verdict(&self, now: UnixMillis, here: impl Fn(&ParticipantId) -> bool) -> Verdict {
        let (electorate, needed) = if self.voters.is_empty() { (&self.joined, 2) } else { (&self.voters, 1) };
        let refused = electorate.intersection(&self.refused).count();
        let applied = electorate.intersection(&self.applied).count();
        let answered = |who: &&ParticipantId| self.refused.contains(*who) || self.applied.contains(*who);
        let total = electorate.iter().filter(|who| answered(who) || here(who)).count();
        let late = now >= self.at.plus(DECIDE_MS);
        if refused >= needed && (refused * 2 > total || late && refused > applied) {
            Verdict::Withdraw
        } else if late || refused + applied == total || applied * 2 >= total {
            Verdict::Stands
        } else {
            Verdict::Open
        }
    }
}

impl Delivery {
    /// A member processes `epoch` now.
    pub fn applied(&mut self, now: UnixMillis, who: &ParticipantId, epoch: Epoch) {
        let Some(current) = self.epoch() else { return };
        let seated = self.leaf_of(who).is_some();
        let Some(peer) = self.peers.get_mut(who).filter(|_| seated) else { return };
        if epoch > current {
            // it holds an epoch that was withdrawn
            if peer.here() {
                self.owe_info(who, now);
            }
        } else if peer.follows() || epoch == current {
            // also one that was thought lost and follows after all
            // a recorder acknowledges by its receipt, but its state is known from here on
            if !peer.recorder && !peer.reached(epoch) {
                peer.holds = Holds::Epoch(epoch);
            } else if !peer.follows() {
                peer.holds = Holds::Joined;
            }
            peer.info_due = None;
            for vote in self.votes.iter_mut().filter(|vote| vote.epoch <= epoch) {
                vote.applied.insert(who.clone());
            }
        }
        self.settle(now);
        self.tick(now);
    }

    /// A recorder's receipt for `epoch`: its acknowledgement.
    pub fn receipted(&mut self, now: UnixMillis, who: &ParticipantId, epoch: Epoch) {
        let current = self.epoch() == Some(epoch) && self.leaf_of(who).is_some();
        let Some(peer) = self.peers.get_mut(who).filter(|peer| peer.recorder) else { return };
        if (peer.follows() || current) && !peer.reached(epoch) {
            peer.holds = Holds::Epoch(epoch);
        }
        self.applied(now, who, epoch);
    }

    /// A member cannot process the commit that makes `epoch`.
    pub fn refused(&mut self, now: UnixMillis, who: &ParticipantId, epoch: Epoch) {
        let vote = self.votes.iter_mut().find(|vote| vote.epoch == epoch);
        if let Some(vote) = vote
            && !vote.applied.contains(who)
            && (vote.voters.contains(who) || vote.joined.contains(who))
        {
            vote.refused.insert(who.clone());
        }
        self.settle(now);
        self.tick(now);
    }

    /// Decides what can be decided, and tells when an epoch is ready.
    pub(super) fn settle(&mut self, now: UnixMillis) {
        let here = |who: &ParticipantId| self.peers.get(who).is_some_and(Peer::here);
        let verdicts: Vec<(Epoch, Verdict)> =
            self.votes.iter().map(|vote| (vote.epoch, vote.verdict(now, here))).collect();
        for (epoch, verdict) in verdicts {
            match verdict {
                Verdict::Withdraw => {
                    self.withdraw(now, epoch);
                    break;
                }
                Verdict::Stands => self.answer_refusals(now, epoch),
                Verdict::Open => self.answer_joiners(now, epoch),
            }
        }
        self.check_ready();
    }

    fn answer_refusals(&mut self, now: UnixMillis, epoch: Epoch) {
        let Some(vote) = self.votes.iter_mut().find(|vote| vote.epoch == epoch) else { return };
        let open: Vec<ParticipantId> = vote.refused.difference(&vote.answered).cloned().collect();
        self.resync_refusers(now, epoch, open);
    }

    /// A joiner's refusal blocks nothing, where others vote: it resyncs at once.
    fn answer_joiners(&mut self, now: UnixMillis, epoch: Epoch) {
        let Some(vote) = self.votes.iter_mut().find(|vote| vote.epoch == epoch && !vote.voters.is_empty()) else {
            return;
        };
        let open = vote.refused.intersection(&vote.joined).filter(|who| !vote.answered.contains(*who)).cloned();
        let open: Vec<ParticipantId> = open.collect();
        self.resync_refusers(now, epoch, open);
    }

    fn resync_refusers(&mut self, now: UnixMillis, epoch: Epoch, refusers: Vec<ParticipantId>) {
        let Some(vote) = self.votes.iter_mut().find(|vote| vote.epoch == epoch) else { return };
        if refusers.is_empty() {
            return;
        }
        if vote.answered.is_empty() {
            let by = vote.by.clone();
            self.strikes.add(now, &by);
        }
        vote.answered.extend(refusers.iter().cloned());
        self.note(format!("epoch {}: {} could not process the commit and resync", epoch.0, refusers.len()));
        for who in refusers {
            if self.leaf_of(&who).is_some() {
                self.owe_info(&who, now);
            }
        }
    }

    fn withdraw(&mut self, now: UnixMillis, epoch: Epoch) {
        let Some(at) = self.history.iter().position(|state| state.epoch().0 + 1 == epoch.0) else {
            self.answer_refusals(now, epoch);
            return;
        };
        let Some(vote) = self.votes.iter().find(|vote| vote.epoch == epoch) else { return };
        let (by, maker) = (vote.by.clone(), vote.maker);
        let told: Vec<ParticipantId> = self.members().cloned().collect();
        let mut states = self.history.split_off(at);
        let Some(restored) = states.pop_front() else { return };
        let Some(undone) = self.current.replace(restored.clone()) else { return };
        let holders: BTreeSet<ParticipantId> =
            self.votes.iter().filter(|v| v.epoch >= epoch).flat_map(|v| v.applied.iter().cloned()).collect();
        self.votes.retain(|vote| vote.epoch < epoch);
        self.log.withdraw(epoch);
        self.drop_offers(now);
        self.note(format!("epoch {}: withdrawn, the majority could not process the commit", epoch.0));
        self.send(told, ToClient::Withdrawn { epoch });
        self.unseat(now, &undone, &restored, &by, &holders);
        self.cancel_asks();
        self.strikes.out(now, &by);
        self.tried.insert(by.clone());
        let back = match maker {
            Maker::Member => Order::Evict(by),
            Maker::External => {
                if let Some(peer) = self.peers.get_mut(&by) {
                    peer.removing = true;
                    peer.holds = Holds::Nothing;
                    peer.info_due = None;
                }
                self.tell(&by, ToClient::NeedKeyPackage {});
                Order::Reseat(by)
            }
        };
        self.out.push_back(back);
    }

    /// After a withdrawal: who holds what, and which leaves came or went.
    fn unseat(
        &mut self,
        now: UnixMillis,
        undone: &super::Observed,
        restored: &super::Observed,
        by: &ParticipantId,
        holders: &BTreeSet<ParticipantId>,
    ) {
        let epoch = restored.epoch();
        let mut packages = Vec::new();
        for (who, peer) in &mut self.peers {
            if restored.of(who).is_none() {
                if peer.holds != Holds::Nothing && peer.here() {
                    packages.push(who.clone());
                }
                peer.holds = Holds::Nothing;
                continue;
            }
            let ahead = holders.contains(who) || who == by || peer.presence == super::Presence::Away;
            let beyond = matches!(peer.holds, Holds::Epoch(at) if at > epoch) || peer.holds == Holds::Lost;
            if ahead || beyond {
                peer.holds = Holds::Lost;
                // not its own doing: no spacing
                peer.resynced = None;
                peer.info_due = Some(now);
            }
        }
        self.send(packages, ToClient::NeedKeyPackage {});
        for (leaf, seat) in restored.seats() {
            let who = &seat.participant;
            if undone.of(who).map(|(leaf, _)| leaf) != Some(*leaf) {
                self.out.push_back(Order::Seated { participant: who.clone(), leaf: Some(*leaf) });
            }
            if !self.peers.contains_key(who) {
                self.out.push_back(Order::Orphan(who.clone()));
            }
        }
        for (_, seat) in undone.seats() {
            if restored.of(&seat.participant).is_none() {
                self.out.push_back(Order::Seated { participant: seat.participant.clone(), leaf: None });
            }
        }
        self.ready = self.ready.map(|ready| ready.min(epoch));
    }

    /// `EpochReady` once every connected member processes the current epoch.
    pub(super) fn check_ready(&mut self) {
        let Some(epoch) = self.epoch() else { return };
        if self.ready.is_some_and(|ready| ready >= epoch) {
            return;
        }
        let members: Vec<ParticipantId> = self.members().cloned().collect();
        let all = members.iter().all(|who| self.peers.get(who).is_some_and(|peer| peer.reached(epoch)));
        if all && !members.is_empty() {
            self.ready = Some(epoch);
            self.send(members, ToClient::EpochReady { epoch });
        }
    }

    pub(super) fn votes_timeout(&self) -> Option<UnixMillis> {
        let open = |vote: &&Vote| vote.refused.difference(&vote.answered).next().is_some();
        self.votes.iter().filter(open).map(|vote| vote.at.plus(DECIDE_MS)).min()
    }
}

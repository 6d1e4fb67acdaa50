//! Commits: one per epoch, first valid one wins. A commit is judged, its leaves are told to the SFU, then it is
//! published; what comes meanwhile has lost.

use super::asks::Asked;
use super::group::{GroupError, Judged, Maker, Observed};
use super::identity::Seat;
use super::peer::{Holds, Peer};
use super::votes::Vote;
use super::{Delivery, Order, SfuLink};
use crate::limits::{KEPT_STATES, LEAVES_WAIT_MS, UNASKED_COMMIT_MS};
use crate::problem::problem;
use domain::limits::{EPOCH_SPACING_MS, RESYNC_SPACING_MS};
use domain::message::client::{Entry, ProblemCode, ToClient};
use domain::{B64, Epoch, LeafIndex, ParticipantId, UnixMillis};
use std::collections::BTreeSet;

/// A commit as it came.
pub struct Offered {
    /// Epoch it was made in.
    pub epoch: Epoch,
    /// MLSMessage.
    pub commit: B64,
    /// For its Adds.
    pub welcome: Option<B64>,
    /// Of the next epoch.
    pub group_info: B64,
}

/// A commit that came too early (epochs are spaced, resyncs too).
pub(super) struct Held {
    pub(super) who: ParticipantId,
    maker: Maker,
    offered: Offered,
    not_before: UnixMillis,
}

/// A judged commit that waits for the SFU.
pub(super) struct Staged {
    pub(super) next: Observed,
    pub(super) deadline: UnixMillis,
    by: ParticipantId,
    maker: Maker,
    commit: B64,
    welcome: Option<B64>,
}

pub(super) fn leaves(group: &Observed) -> Order {
    let leaves = group.seats().iter().map(|(leaf, seat)| (*leaf, seat.participant.clone())).collect();
    Order::Leaves { epoch: group.epoch(), leaves }
}

impl Delivery {
    /// The creator's group.
    pub fn created(&mut self, now: UnixMillis, who: &ParticipantId, group_info: B64) {
        let appointed = self.creator.as_ref().is_some_and(|(creator, _)| creator == who);
        if self.current.is_some() || !appointed {
            if self.leaf_of(who).is_none() && self.peers.contains_key(who) {
                let entry = Entry::AwaitWelcome {};
                self.out.push_back(Order::Readmit { participant: who.clone(), entry });
            }
            return;
        }
        let Some(seat) = self.seat(who) else { return };
        match self.observer.created(now, &seat, &group_info) {
            Ok(observed) => {
                self.out.push_back(leaves(&observed));
                self.out.push_back(Order::Seated { participant: who.clone(), leaf: Some(LeafIndex(0)) });
                self.current = Some(observed);
                if let Some(peer) = self.peers.get_mut(who) {
                    peer.holds = Holds::Epoch(Epoch(0));
                }
                self.check_ready();
            }
            Err(why) => {
                self.note(format!("a created group is refused: {why}"));
                self.tell(who, ToClient::Problem(problem(ProblemCode::BadCommit, why.to_string())));
                self.failed_creators.insert(who.clone());
            }
        }
        self.tick(now);
    }

    fn seat(&self, who: &ParticipantId) -> Option<Seat> {
        let peer = self.peers.get(who)?;
        let (recorder, certificate_hash) = (peer.recorder, peer.certificate_hash);
        Some(Seat { participant: who.clone(), recorder, certificate_hash })
    }

    /// A member's commit.
    pub fn commit(&mut self, now: UnixMillis, who: &ParticipantId, offered: Offered) {
        self.take(now, who, Maker::Member, offered);
        self.tick(now);
    }

    /// An external commit: resync of a member that lost its state.
    pub fn resync(&mut self, now: UnixMillis, who: &ParticipantId, offered: Offered) {
        self.take(now, who, Maker::External, offered);
        self.tick(now);
    }

    fn take(&mut self, now: UnixMillis, who: &ParticipantId, maker: Maker, offered: Offered) {
        let Some(peer) = self.peers.get(who).filter(|peer| peer.here()) else { return };
        let (resynced, unasked) = (peer.resynced, peer.unasked);
        if self.leaf_of(who).is_none() {
            let why = problem(ProblemCode::BadCommit, "you have no leaf in the group");
            self.tell(who, ToClient::CommitRefused { epoch: offered.epoch, problem: why });
            return;
        }
        if self.staged.is_some() || self.epoch() != Some(offered.epoch) {
            self.lose(now, who, maker, offered.epoch);
            return;
        }
        let mut not_before = self.next_epoch_at();
        match maker {
            Maker::External => not_before = not_before.max(resynced.map(|at| at.plus(RESYNC_SPACING_MS))),
            Maker::Member if self.asked_of(who) == Asked::Nothing => {
                if unasked.is_some_and(|at| now.since(at) < UNASKED_COMMIT_MS) {
                    let why = problem(ProblemCode::RateLimited, "too many commits that nobody asked for");
                    self.tell(who, ToClient::CommitRefused { epoch: offered.epoch, problem: why });
                    return;
                }
            }
            Maker::Member => {}
        }
        if let Some(not_before) = not_before.filter(|at| now < *at) {
            self.held.retain(|held| held.who != *who);
            self.held.push_back(Held { who: who.clone(), maker, offered, not_before });
            return;
        }
        self.judge(now, who, maker, offered);
    }

    /// Earliest time of the next epoch; the first commit after the creation need not wait.
    pub(super) fn next_epoch_at(&self) -> Option<UnixMillis> {
        self.published_at.map(|at| at.plus(EPOCH_SPACING_MS))
    }

    pub(super) fn take_held(&mut self, now: UnixMillis) {
        while self.staged.is_none() {
            let Some(at) = self.held.iter().position(|held| held.not_before <= now) else { return };
            let Some(Held { who, maker, offered, .. }) = self.held.remove(at) else { return };
            self.take(now, &who, maker, offered);
        }
    }

    pub(super) fn held_timeout(&self) -> Option<UnixMillis> {
        self.held.iter().map(|held| held.not_before).min().filter(|_| self.staged.is_none())
    }

    /// Tells a sender that its commit lost. The winner reaches every member as `Commit`.
    fn lose(&mut self, now: UnixMillis, who: &ParticipantId, maker: Maker, epoch: Epoch) {
        let why = problem(ProblemCode::StaleEpoch, "another commit made this epoch, or it is past");
        self.tell(who, ToClient::CommitRefused { epoch, problem: why });
        match maker {
            Maker::External => self.owe_info(who, now),
            Maker::Member => self.answer_lost(who),
        }
    }

    /// The external commit made from the last GroupInfo is spent.
    fn spend_info(&mut self, who: &ParticipantId) {
        if let Some(peer) = self.peers.get_mut(who) {
            peer.info_sent = None;
        }
    }

    fn judge(&mut self, now: UnixMillis, who: &ParticipantId, maker: Maker, offered: Offered) {
        let Offered { epoch, commit, welcome, group_info } = offered;
        let (Some(current), Some(seat)) = (&self.current, self.seat(who)) else { return };
        let judged = self.observer.commit(now, current, (maker, &seat), &commit, welcome.as_ref(), &group_info);
        let judged = judged.and_then(|judged| self.asked_for(who, maker, judged));
        match judged {
            Ok(judged) => {
                if maker == Maker::Member
                    && self.asked_of(who) == Asked::Nothing
                    && let Some(peer) = self.peers.get_mut(who)
                {
                    peer.unasked = Some(now);
                }
                self.stage(
                    now,
                    Staged {
                        next: judged.next,
                        deadline: now.plus(LEAVES_WAIT_MS),
                        by: who.clone(),
                        maker,
                        commit,
                        welcome,
                    },
                );
            }
            Err(why) => {
                self.note(format!("a commit of {} is refused: {why}", who.firm));
                let problem = problem(ProblemCode::BadCommit, why.to_string());
                self.tell(who, ToClient::CommitRefused { epoch, problem });
                self.spend_info(who);
                self.strikes.add(now, who);
                self.tried.insert(who.clone());
                self.answer_lost(who);
            }
        }
    }

    /// Are Adds and Removes those that were asked for?
    fn asked_for(&self, who: &ParticipantId, maker: Maker, judged: Judged) -> Result<Judged, GroupError> {
        if maker == Maker::External {
            let own = self.leaf_of(who).map(|leaf| vec![leaf]) == Some(judged.removed.clone());
            let certificate = self.seat(who).as_ref() == judged.next.of(who).map(|(_, seat)| seat);
            let same_size = self.current.as_ref().is_some_and(|c| c.seats().len() == judged.next.seats().len());
            return if own && certificate && same_size && judged.added.is_empty() {
                Ok(judged)
            } else {
                Err(GroupError::Unasked("a resync replaces its own leaf and nothing else"))
            };
        }
        let offered = |reference: &Vec<u8>| self.adding.as_ref().is_some_and(|ask| ask.offers(who, reference));
        if !judged.added.iter().all(offered) {
            return Err(GroupError::Unasked("an Add"));
        }
        let pending = self.pending_removals();
        if !judged.removed.iter().all(|leaf| pending.contains(leaf)) {
            return Err(GroupError::Unasked("a Remove"));
        }
        if !pending.is_empty() && judged.removed.is_empty() && judged.added.is_empty() {
            return Err(GroupError::Unasked("a removal comes first"));
        }
        Ok(judged)
    }

    fn stage(&mut self, now: UnixMillis, staged: Staged) {
        self.out.push_back(leaves(&staged.next));
        self.staged = Some(staged);
        if self.sfu == SfuLink::Down {
            self.publish_if_staged(now, None);
        }
    }

    /// The SFU took the leaves of `epoch`.
    pub fn leaves_taken(&mut self, now: UnixMillis, epoch: Epoch) {
        self.publish_if_staged(now, Some(epoch));
        self.tick(now);
    }

    pub(super) fn publish_if_staged(&mut self, now: UnixMillis, epoch: Option<Epoch>) {
        let due = self.staged.as_ref().is_some_and(|s| epoch.is_none_or(|epoch| s.next.epoch() == epoch));
        if let Some(staged) = self.staged.take_if(|_| due) {
            self.publish(now, staged);
        }
    }

    fn publish(&mut self, now: UnixMillis, staged: Staged) {
        let Some(before) = self.current.replace(staged.next.clone()) else { return };
        let next = staged.next;
        let epoch = next.epoch();
        self.published_at = Some(now);
        self.log.push(now, epoch, staged.commit.clone());
        next.seats().iter().for_each(|(_, seat)| self.observer.identities().remember(seat.clone()));
        let joined: BTreeSet<ParticipantId> = next
            .seats()
            .iter()
            .filter(|(_, seat)| before.of(&seat.participant).is_none())
            .map(|(_, seat)| seat.participant.clone())
            .collect();
        if staged.maker == Maker::External
            && let Some(peer) = self.peers.get_mut(&staged.by)
        {
            peer.holds = Holds::Joined;
            peer.resynced = Some(now);
            peer.info_due = None;
        }
        // who lost its state gets commits too: it may find that it can follow after all
        let receivers: Vec<ParticipantId> = self.seated().filter(|who| !joined.contains(*who)).cloned().collect();
        let voters = self.members().filter(|who| **who != staged.by && !joined.contains(*who)).cloned().collect();
        self.send(receivers, ToClient::Commit { epoch, commit: staged.commit });
        self.welcome(now, &next, &joined, staged.welcome);
        self.changes(&before, &next);
        if staged.maker == Maker::External {
            // a new state in an old place: it knows nothing of removals that are still open
            self.out.push_back(Order::Seated { participant: staged.by.clone(), leaf: self.leaf_of(&staged.by) });
        }
        self.votes.push_back(Vote::new(now, epoch, staged.by.clone(), staged.maker, voters, joined));
        self.history.push_back(before);
        if self.history.len() > KEPT_STATES {
            self.history.pop_front();
            self.votes.pop_front();
        }
        self.close_asks(&staged.by);
        self.retire_certificates();
        self.settle(now);
    }

    fn welcome(&mut self, now: UnixMillis, next: &Observed, joined: &BTreeSet<ParticipantId>, welcome: Option<B64>) {
        let (mut welcomed, mut strangers) = (Vec::new(), Vec::new());
        for who in joined {
            let seat = next.of(who).map(|(_, seat)| seat.certificate_hash);
            let Some(peer) = self.peers.get_mut(who) else { continue };
            peer.waiting = None;
            let same = seat == Some(peer.certificate_hash);
            peer.holds = if same && peer.here() { Holds::Joined } else { Holds::Lost };
            if peer.here() {
                if same { welcomed.push(who.clone()) } else { strangers.push(who.clone()) }
            }
        }
        if let (Some(welcome), Ok(tree)) = (welcome, next.tree()) {
            self.send(welcomed, ToClient::Welcome { welcome, tree, epoch: next.epoch() });
        }
        // it came back with another certificate while it was being added: its KeyPackage's key is gone
        strangers.iter().for_each(|who| self.owe_info(who, now));
    }

    /// Tells which leaves are new, moved or gone; forgets who is out.
    pub(super) fn changes(&mut self, before: &Observed, after: &Observed) {
        for (leaf, seat) in after.seats() {
            if before.of(&seat.participant).map(|(leaf, _)| leaf) != Some(*leaf) {
                self.out.push_back(Order::Seated { participant: seat.participant.clone(), leaf: Some(*leaf) });
            }
        }
        for (_, seat) in before.seats() {
            let who = &seat.participant;
            if after.of(who).is_some() {
                continue;
            }
            self.out.push_back(Order::Seated { participant: who.clone(), leaf: None });
            let Some(peer) = self.peers.get_mut(who) else { continue };
            let back = peer.presence == super::Presence::Here;
            peer.removing = false;
            peer.holds = Holds::Nothing;
            if !back {
                self.peers.remove(who);
            }
        }
    }

    fn retire_certificates(&mut self) {
        let mut kept: BTreeSet<[u8; 32]> = self.peers.values().map(|peer: &Peer| peer.certificate_hash).collect();
        let states = self.history.iter().chain(&self.current);
        kept.extend(states.flat_map(|state| state.seats().iter().map(|(_, seat)| seat.certificate_hash)));
        self.observer.identities().retain(|seat| kept.contains(&seat.certificate_hash));
    }

    /// Commits that came for a state that is withdrawn.
    pub(super) fn drop_offers(&mut self, now: UnixMillis) {
        let mut losers: Vec<(ParticipantId, Maker, Epoch)> =
            self.held.drain(..).map(|held| (held.who, held.maker, held.offered.epoch)).collect();
        if let Some(staged) = self.staged.take() {
            losers.push((staged.by, staged.maker, Epoch(staged.next.epoch().0 - 1)));
        }
        for (who, maker, epoch) in losers {
            self.lose(now, &who, maker, epoch);
        }
    }
}

//! Who is asked to commit what. Adds: batched 200 ms, to the lowest connected leaf that is no recorder, the next one
//! after 2 s. Removals: to the lowest connected leaf that stays, the next one after 250 ms. Epochs are 250 ms apart.

use super::peer::{Holds, Peer, Waiting};
use super::{Delivery, Order};
use crate::limits::{ORPHAN_MS, USED_KEY_PACKAGES};
use crate::problem::{bad_message, problem};
use domain::limits::{ADD_BATCH_MS, ADD_COMMITTER_MS, REMOVE_COMMITTER_MS, RESYNC_SPACING_MS};
use domain::message::client::{Joiner, ProblemCode, ToClient};
use domain::{B64, Epoch, LeafIndex, ParticipantId, UnixMillis};

/// Adds that a committer was asked for.
pub(super) struct AddAsk {
    committer: ParticipantId,
    until: UnixMillis,
    joiners: Vec<(ParticipantId, Vec<u8>)>,
}

impl AddAsk {
    pub(super) fn has(&self, who: &ParticipantId) -> bool {
        self.joiners.iter().any(|(joiner, _)| joiner == who)
    }
    pub(super) fn offers(&self, to: &ParticipantId, reference: &Vec<u8>) -> bool {
        self.committer == *to && self.joiners.iter().any(|(_, offered)| offered == reference)
    }
}

/// Removals that a committer was asked for.
pub(super) struct RemovalAsk {
    committer: ParticipantId,
    until: UnixMillis,
}

/// What a member was asked to commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    Something,
}

impl Delivery {
    /// A KeyPackage, to be used once.
    pub fn key_package(&mut self, now: UnixMillis, who: &ParticipantId, message: B64) {
        let Some(peer) = self.peers.get(who).filter(|peer| peer.presence == super::Presence::Here) else { return };
        let certificate = peer.certificate_hash;
        if self.leaf_of(who).is_some() && !peer.removing {
            return;
        }
        let facts = match self.observer.key_package(now, &message) {
            Ok(facts) => facts,
            Err(why) => {
                self.note(format!("a KeyPackage of {} is refused: {why}", who.firm));
                self.tell(who, ToClient::Problem(bad_message(format!("the KeyPackage is refused: {why}"))));
                return;
            }
        };
        if facts.seat.participant != *who || facts.seat.certificate_hash != certificate {
            let why = "the KeyPackage carries another certificate than this connection";
            self.tell(who, ToClient::Problem(problem(ProblemCode::BadCertificate, why)));
            return;
        }
        if self.used.contains(&facts.reference) {
            self.tell(who, ToClient::Problem(bad_message("a KeyPackage is used once: send a fresh one")));
            return;
        }
        if let Some(peer) = self.peers.get_mut(who) {
            let batched = if std::mem::take(&mut peer.renewing) { ADD_BATCH_MS } else { 0 };
            let since = UnixMillis(now.0.saturating_sub(batched));
            peer.waiting = Some(Waiting { message, reference: facts.reference, since });
        }
        self.tick(now);
    }

    /// A member says it fell behind.
    pub fn need_resync(&mut self, now: UnixMillis, who: &ParticipantId) {
        let (seated, epoch) = (self.leaf_of(who).is_some(), self.epoch());
        let Some(peer) = self.peers.get_mut(who).filter(|peer| peer.here()) else { return };
        if seated {
            peer.holds = Holds::Lost;
            // a second GroupInfo would cross the external commit made from the first
            let fresh = |(of, at): (Epoch, UnixMillis)| Some(of) == epoch && now.since(at) < RESYNC_SPACING_MS;
            if !peer.info_sent.is_some_and(fresh) {
                self.owe_info(who, now);
            }
        } else if self.current.is_some() && peer.waiting.is_none() {
            self.tell(who, ToClient::NeedKeyPackage {});
        }
        self.settle(now);
        self.tick(now);
    }

    /// A GroupInfo will be sent, one resync per member per 5 s.
    pub(super) fn owe_info(&mut self, who: &ParticipantId, now: UnixMillis) {
        if let Some(peer) = self.peers.get_mut(who) {
            let spaced = peer.resynced.map_or(now, |at| at.plus(RESYNC_SPACING_MS));
            peer.holds = Holds::Lost;
            peer.info_due = Some(spaced.max(now));
        }
    }

    pub(super) fn send_infos(&mut self, now: UnixMillis) {
        if self.staged.is_some() {
            return;
        }
        let Some((epoch, group_info)) = self.group_info() else { return };
        let due = |peer: &Peer| peer.here() && peer.info_due.is_some_and(|at| at <= now);
        let to: Vec<ParticipantId> =
            self.peers.iter().filter(|(_, peer)| due(peer)).map(|(who, _)| who.clone()).collect();
        for who in &to {
            if let Some(peer) = self.peers.get_mut(who) {
                peer.info_due = None;
                peer.info_sent = Some((epoch, now));
            }
        }
        self.send(to, ToClient::GroupInfo { epoch, group_info });
    }

    /// Leaves that are ordered to go, or whose owner is forgotten.
    pub(super) fn pending_removals(&self) -> Vec<LeafIndex> {
        let Some(current) = &self.current else { return Vec::new() };
        let goes = |who: &ParticipantId| self.peers.get(who).is_none_or(|peer| peer.removing);
        current.seats().iter().filter(|(_, seat)| goes(&seat.participant)).map(|(leaf, _)| *leaf).collect()
    }

    pub(super) fn asked_of(&self, who: &ParticipantId) -> Asked {
        let adds = self.adding.as_ref().is_some_and(|ask| ask.committer == *who);
        let removes = self.removing.as_ref().is_some_and(|ask| ask.committer == *who);
        if adds || removes { Asked::Something } else { Asked::Nothing }
    }

    pub(super) fn ask(&mut self, now: UnixMillis) {
        self.expire_asks(now);
        let spaced = self.next_epoch_at().is_none_or(|at| at <= now);
        if self.current.is_none() || self.staged.is_some() || !spaced {
            return;
        }
        let leaves = self.pending_removals();
        if !leaves.is_empty() {
            if self.removing.is_none()
                && let Some(committer) = self.committer(now, RecordersToo::Yes)
            {
                let until = now.plus(REMOVE_COMMITTER_MS);
                self.removing = Some(RemovalAsk { committer: committer.clone(), until });
                self.tell(&committer, ToClient::CommitRemovals { leaves });
            }
            return;
        }
        if self.adding.is_some() || self.batch_due().is_none_or(|at| now < at) {
            return;
        }
        let people = self.committer(now, RecordersToo::No);
        let Some(committer) = people.or_else(|| self.committer(now, RecordersToo::Yes)) else { return };
        self.offer(now, committer);
    }

    fn offer(&mut self, now: UnixMillis, committer: ParticipantId) {
        let (mut joiners, mut references) = (Vec::new(), Vec::new());
        for (who, peer) in &mut self.peers {
            if self.current.as_ref().is_some_and(|group| group.of(who).is_some()) {
                continue;
            }
            if let Some(Waiting { message, reference, .. }) = peer.waiting.take() {
                joiners.push(Joiner { participant: who.clone(), key_package: message });
                references.push((who.clone(), reference));
            }
        }
        self.used.extend(references.iter().map(|(_, reference)| reference.clone()));
        while self.used.len() > USED_KEY_PACKAGES {
            self.used.pop_front();
        }
        self.adding =
            Some(AddAsk { committer: committer.clone(), until: now.plus(ADD_COMMITTER_MS), joiners: references });
        self.tell(&committer, ToClient::CommitAdds { joiners });
    }

    /// When the oldest waiting KeyPackage has waited long enough for others to join it.
    fn batch_due(&self) -> Option<UnixMillis> {
        let ready = |who: &ParticipantId| self.leaf_of(who).is_none();
        let waiting = self.peers.iter().filter(|(who, peer)| peer.here() && ready(who));
        waiting.filter_map(|(_, peer)| peer.waiting.as_ref()).map(|w| w.since.plus(ADD_BATCH_MS)).min()
    }

    /// The lowest connected leaf that can commit; those passed over or struck out only when there is no other.
    fn committer(&mut self, now: UnixMillis, recorders: RecordersToo) -> Option<ParticipantId> {
        let current = self.current.as_ref()?;
        let able: Vec<&ParticipantId> = current
            .seats()
            .iter()
            .map(|(_, seat)| &seat.participant)
            .filter(|who| self.peers.get(*who).is_some_and(|peer| peer.here() && peer.follows()))
            .filter(|who| recorders == RecordersToo::Yes || self.peers.get(*who).is_some_and(|peer| !peer.recorder))
            .collect();
        let good = |who: &&&ParticipantId| !self.strikes.skipped(now, who);
        let fresh = able.iter().filter(good).find(|who| !self.tried.contains(**who));
        let again = || able.iter().find(good);
        let last = || able.iter().find(|who| !self.tried.contains(**who)).or(able.first());
        let chosen = fresh.or_else(again).or_else(last).map(|who| (*who).clone());
        if fresh.is_none() {
            self.tried.clear();
        }
        chosen
    }

    fn expire_asks(&mut self, now: UnixMillis) {
        if let Some(ask) = self.removing.take_if(|ask| ask.until <= now) {
            self.tried.insert(ask.committer);
        }
        if let Some(ask) = self.adding.take_if(|ask| ask.until <= now) {
            self.tried.insert(ask.committer.clone());
            self.renew(&ask.joiners);
        }
    }

    /// The KeyPackages of these were shown to a committer in vain: fresh ones, please.
    fn renew(&mut self, joiners: &[(ParticipantId, Vec<u8>)]) {
        let open = |who: &ParticipantId| {
            self.leaf_of(who).is_none() && self.peers.get(who).is_some_and(|p| p.here() && p.waiting.is_none())
        };
        let to: Vec<ParticipantId> = joiners.iter().map(|(who, _)| who).filter(|who| open(who)).cloned().collect();
        for who in &to {
            if let Some(peer) = self.peers.get_mut(who) {
                peer.renewing = true;
            }
        }
        self.send(to, ToClient::NeedKeyPackage {});
        let gone: Vec<ParticipantId> = joiners
            .iter()
            .map(|(who, _)| who)
            .filter(|who| self.leaf_of(who).is_none() && self.peers.get(*who).is_some_and(|peer| peer.removing))
            .cloned()
            .collect();
        for who in gone {
            match self.peers.get_mut(&who) {
                Some(peer) if peer.presence == super::Presence::Here => peer.removing = false,
                _ => drop(self.peers.remove(&who)),
            }
        }
    }

    /// A member's answer to what it was asked lost or was refused.
    pub(super) fn answer_lost(&mut self, who: &ParticipantId) {
        self.removing.take_if(|ask| ask.committer == *who);
        if let Some(ask) = self.adding.take_if(|ask| ask.committer == *who) {
            self.renew(&ask.joiners);
        }
    }

    /// A committer that is gone cannot answer.
    pub(super) fn drop_asks_of(&mut self, who: &ParticipantId) {
        self.answer_lost(who);
    }

    /// A commit of `by` is published: what it was asked for is answered.
    pub(super) fn close_asks(&mut self, by: &ParticipantId) {
        self.removing = None;
        self.tried.clear();
        if let Some(ask) = self.adding.take_if(|ask| ask.committer == *by) {
            let left_out = ask.joiners.iter().any(|(who, _)| self.leaf_of(who).is_none());
            if left_out {
                self.tried.insert(ask.committer.clone());
            }
            self.renew(&ask.joiners);
        }
    }

    /// All asks belong to a state that is withdrawn.
    pub(super) fn cancel_asks(&mut self) {
        self.removing = None;
        if let Some(ask) = self.adding.take() {
            self.renew(&ask.joiners);
        }
    }

    /// Notices when nobody is left who could commit while someone waits for the group.
    pub(super) fn watch_loss(&mut self, now: UnixMillis) {
        let able = self.members().next().is_some();
        let waits = self.peers.iter().any(|(_, peer)| peer.presence == super::Presence::Here && !peer.recorder);
        if self.current.is_none() || able || !waits {
            self.lost_since = None;
            return;
        }
        let since = *self.lost_since.get_or_insert(now);
        if now >= since.plus(ORPHAN_MS) {
            self.lost_since = None;
            self.out.push_back(Order::GroupLost);
        }
    }

    pub(super) fn ask_timeout(&self) -> Option<UnixMillis> {
        let spacing = self.next_epoch_at();
        let wanted = !self.pending_removals().is_empty() && self.removing.is_none() && self.members().next().is_some();
        let removals = spacing.filter(|_| wanted);
        let adds = self.batch_due().filter(|_| self.adding.is_none() && self.pending_removals().is_empty());
        let adds = adds.filter(|_| self.members().next().is_some()).map(|at| spacing.map_or(at, |s| s.max(at)));
        let infos = self.peers.values().filter(|peer| peer.here()).filter_map(|peer| peer.info_due).min();
        let parts = [
            self.removing.as_ref().map(|ask| ask.until),
            self.adding.as_ref().map(|ask| ask.until),
            removals.filter(|_| self.staged.is_none()),
            adds.filter(|_| self.staged.is_none() && self.current.is_some()),
            infos.filter(|_| self.staged.is_none() && self.current.is_some()),
            self.lost_since.map(|at| at.plus(ORPHAN_MS)),
        ];
        parts.into_iter().flatten().min()
    }
}

/// May a recorder be asked?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RecordersToo {
    Yes,
    No,
}

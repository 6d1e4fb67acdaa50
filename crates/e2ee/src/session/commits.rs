//! Commits: making them when asked, applying the one that the delivery service chose, and what to do when it cannot be
//! applied (tell, wait for the service's word, resync).

use super::{IncidentKind, MAX_AHEAD, Phase, Session};
use crate::mls::{Applied, Commit, key_package_identity};
use domain::message::client::{Joiner, Problem, ProblemCode, ToServer};
use domain::{B64, Epoch, LeafIndex, UnixMillis};
use std::collections::BTreeSet;

/// A commit that is missing while a later one is here: it is not coming, ms.
const GAP_MS: u64 = 1_000;
/// After `Refused` the service decides within 2 s; without a word for so long we ask for a resync ourselves, ms.
pub(super) const STUCK_MS: u64 = 2_500;
/// KeyPackages tried one by one when they cannot be added together: each costs a commit, 15 to 60 ms.
const MAX_TRIED: usize = 16;
/// Longest reason told, characters.
const MAX_REASON: usize = 120;

impl Session {
    /// We are the committer of these joiners. Each must be who the service says; outstanding removals go along.
    pub(super) fn on_commit_adds(&mut self, now: UnixMillis, joiners: &[Joiner]) {
        if !matches!(self.phase, Phase::Member) {
            return;
        }
        let mut key_packages = Vec::new();
        let mut remove: BTreeSet<LeafIndex> = self.ordered_leaves();
        for joiner in joiners {
            let identity = key_package_identity(&self.trust, &joiner.key_package, now.seconds());
            if identity.is_none_or(|identity| identity.participant != joiner.participant) {
                self.incident(IncidentKind::BadJoiner, Some(joiner.participant.clone()));
                continue;
            }
            // a participant that lost its state and did not resync: its old leaf gives way
            let old = self.epochs.latest().and_then(|state| {
                state.members.iter().find(|(_, m)| m.participant == joiner.participant).map(|(leaf, _)| *leaf)
            });
            remove.extend(old);
            key_packages.push(joiner.key_package.0.clone());
        }
        if key_packages.is_empty() || self.make_commit(now, &key_packages, &remove) || key_packages.len() == 1 {
            return;
        }
        // one spoils it for all: those that can be added alone go together, the others when they are asked for again
        key_packages.truncate(MAX_TRIED);
        if let Some(group) = &mut self.group {
            key_packages.retain(|one| group.can_add(one, now.seconds()));
        }
        if !key_packages.is_empty() {
            self.make_commit(now, &key_packages, &remove);
        }
    }

    /// We are the committer of these removals. Only what was ordered is removed.
    pub(super) fn on_commit_removals(&mut self, now: UnixMillis, leaves: &[LeafIndex]) {
        if !matches!(self.phase, Phase::Member) {
            return;
        }
        let ordered = self.ordered_leaves();
        if leaves.iter().any(|leaf| !ordered.contains(leaf)) {
            // a leaf that is gone already is a stale request, not an incident
            let held = |leaf: &LeafIndex| self.epochs.latest().is_some_and(|state| state.members.contains_key(leaf));
            if leaves.iter().any(|leaf| !ordered.contains(leaf) && held(leaf)) {
                self.incident(IncidentKind::UnorderedRemoval, None);
            }
        }
        if !ordered.is_empty() {
            self.make_commit(now, &[], &ordered);
        }
    }

    /// Makes a commit and sends it; `false` when it cannot be made.
    fn make_commit(&mut self, now: UnixMillis, add: &[Vec<u8>], remove: &BTreeSet<LeafIndex>) -> bool {
        let Some(group) = &mut self.group else { return false };
        let own = group.own_leaf();
        let remove: Vec<LeafIndex> = remove.iter().copied().filter(|leaf| *leaf != own).collect();
        match group.commit(add, &remove, now.seconds()) {
            Ok(Commit { epoch, commit, welcome, group_info }) => {
                let (commit, welcome, group_info) = (B64(commit), welcome.map(B64), B64(group_info));
                self.send(ToServer::Commit { epoch, commit, welcome, group_info });
                true
            }
            Err(_) => {
                self.incident(IncidentKind::BadJoiner, None);
                false
            }
        }
    }

    /// The delivery service's choice for `epoch`.
    pub(super) fn on_commit(&mut self, now: UnixMillis, epoch: Epoch, commit: Vec<u8>) {
        if let Phase::Resyncing(pending) = &mut self.phase {
            let next = |made_in: Epoch| Epoch(made_in.0 + 1);
            match pending.take() {
                Some(resync) if resync.commit == commit && next(resync.made_in) == epoch => {
                    self.group = Some(resync.group);
                    self.entered(now);
                    self.send_applied();
                    return self.drain_ahead(now);
                }
                Some(resync) if epoch >= next(resync.made_in) => {
                    // lost the race: another external commit, from the winner's GroupInfo
                    self.hold_commit(now, epoch, commit);
                    return self.start_resync(now);
                }
                other => *pending = other,
            }
        }
        self.hold_commit(now, epoch, commit);
        self.drain_ahead(now);
    }

    fn hold_commit(&mut self, now: UnixMillis, epoch: Epoch, commit: Vec<u8>) {
        if self.epoch().is_some_and(|current| epoch <= current) {
            return;
        }
        if self.ahead_commits.len() >= MAX_AHEAD {
            self.ahead_commits.pop_first();
        }
        self.ahead_commits.insert(epoch, commit);
        if matches!(self.phase, Phase::Member) && self.stuck_until.is_none() {
            // cleared as soon as the one before it has come
            self.stuck_until = Some(now.plus(GAP_MS));
        }
    }

    /// Applies held commits in order as far as they reach.
    pub(super) fn drain_ahead(&mut self, now: UnixMillis) {
        while let Some(next) = self.epoch().filter(|_| matches!(self.phase, Phase::Member)) {
            self.ahead_commits = self.ahead_commits.split_off(&Epoch(next.0 + 1));
            let Some(commit) = self.ahead_commits.remove(&Epoch(next.0 + 1)) else { break };
            if !self.apply(now, Epoch(next.0 + 1), &commit) {
                return;
            }
        }
        if self.ahead_commits.is_empty() {
            self.stuck_until = None;
        }
    }

    fn apply(&mut self, now: UnixMillis, epoch: Epoch, commit: &[u8]) -> bool {
        let Some(group) = &mut self.group else { return false };
        match group.apply(commit, now.seconds()) {
            Ok(Applied::Next) => {
                self.entered(now);
                self.send_applied();
                true
            }
            Ok(Applied::Removed) => {
                let detail = "removed from the group".to_owned();
                self.end(Problem { code: ProblemCode::Removed, detail, firm: None });
                false
            }
            Err(why) => {
                self.incident(IncidentKind::BadCommit, None);
                let reason = why.to_string().chars().take(MAX_REASON).collect();
                self.send(ToServer::Refused { epoch, reason });
                self.stuck_until = Some(now.plus(STUCK_MS));
                false
            }
        }
    }

    /// Ours was not taken. A member's winner follows as a commit; a resync is tried again.
    pub(super) fn on_commit_refused(&mut self, now: UnixMillis, epoch: Epoch) {
        if let Phase::Resyncing(Some(resync)) = &self.phase
            && resync.made_in == epoch
        {
            self.start_resync(now);
        }
    }

    /// The commit that made `epoch` does not count. Who has not applied it stays where it is.
    pub(super) fn on_withdrawn(&mut self, now: UnixMillis, epoch: Epoch) {
        self.ahead_commits.retain(|held, _| *held < epoch);
        if self.epoch().is_some_and(|current| current >= epoch) {
            let sending_withdrawn = self.sending_epoch().is_some_and(|sending| sending >= epoch);
            self.epochs.withdraw(epoch);
            if sending_withdrawn {
                self.sender.leave_epoch();
            }
            return self.start_resync(now);
        }
        if matches!(self.phase, Phase::Member) {
            self.stuck_until = None;
        }
    }
}

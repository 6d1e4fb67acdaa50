//! The laws, asserted while the world turns.

use crate::node::Node;
use crate::world::{GRACE_MS, World};
use domain::{Epoch, MeetingId, ParticipantId, UnixMillis};
use e2ee::session::Member;
use std::collections::{BTreeMap, BTreeSet};

/// What a removed participant can still open after a sender learnt of it, ms.
const REMOVED_MS: u64 = 1_000;

/// Views of the group that anybody ever had.
#[derive(Default)]
pub struct Views {
    codes: BTreeMap<(MeetingId, Epoch), BTreeSet<String>>,
    members: BTreeMap<(MeetingId, Epoch, String), Vec<Member>>,
    withdrawals: BTreeMap<(MeetingId, Epoch), usize>,
}

impl Views {
    /// The service takes back `epoch` and all after it.
    pub fn withdrawn(&mut self, meeting: MeetingId, epoch: Epoch) {
        for later in 0..8 {
            *self.withdrawals.entry((meeting.clone(), Epoch(epoch.0 + later))).or_default() += 1;
        }
    }

    /// All members at an epoch have the same code and see the same people: a second code needs a withdrawal.
    pub fn invariant_one_view_per_epoch(&mut self, meeting: &MeetingId, epoch: Epoch, code: &str, members: &[Member]) {
        if epoch.0 == 0 {
            assert_eq!(members.len(), 1, "only its creator is in a new group");
            return;
        }
        let at = (meeting.clone(), epoch);
        let first = self.members.entry((at.0.clone(), at.1, code.to_owned())).or_insert_with(|| members.to_vec());
        assert_eq!(first.as_slice(), members, "two views of who is in epoch {}", epoch.0);
        let codes = self.codes.entry(at.clone()).or_default();
        codes.insert(code.to_owned());
        let allowed = 1 + self.withdrawals.get(&at).copied().unwrap_or(0);
        assert!(codes.len() <= allowed, "{} codes at epoch {}: a fork", codes.len(), epoch.0);
    }
}

/// Who is bound by its firm's recorder seals only with the recorder's word, and not beyond its clock, which stands still
/// while signaling is away.
pub fn invariant_must_firms_seal_with_a_receipt(now: UnixMillis, who: &ParticipantId, node: &Node) {
    let told = &node.told;
    let silent = told.alive.map(|at| told.away.unwrap_or(now).since(at));
    assert!(silent.is_some_and(|ms| ms <= GRACE_MS), "{who} seals {silent:?} ms after its recorder's last word");
    let (Some(epoch), Some(terms)) = (node.session.sending_epoch(), node.session.terms()) else {
        panic!("{who} seals in no epoch");
    };
    let at = (terms.meeting.clone(), epoch);
    let since = told.entered.get(&at).map(|entered| now.since(*entered));
    let due = !told.receipts.is_empty() && since.is_some_and(|ms| ms <= GRACE_MS);
    assert!(told.receipts.contains(&at) || due, "{who} seals in epoch {} without a receipt", epoch.0);
}

/// A removed participant opens nothing sealed 1 s after its sender learnt of the removal.
pub fn invariant_removed_members_open_nothing(
    ghost: &ParticipantId,
    sender: &Node,
    sealed: UnixMillis,
    wire: &[u8],
    history: &str,
) {
    let epoch = domain::sframe::header(wire).map_or(0, |header| header.kid.epoch_low());
    let learnt = sender.told.orders.get(ghost);
    assert!(
        learnt.is_none_or(|at| sealed < at.plus(REMOVED_MS)),
        "{ghost} opened a frame of epoch {epoch} from {} sealed {} ms after its sender learnt of its removal\n{history}",
        sender.session.own().participant,
        learnt.map_or(0, |at| sealed.since(*at)),
    );
}

impl World {
    /// After every event.
    pub fn invariants(&self) {
        self.invariant_timers_come_to_rest();
        self.invariant_sessions_stay_bounded();
    }

    fn invariant_timers_come_to_rest(&self) {
        assert!(self.steps_at_now < 20_000, "the world spins at {} ms", self.now.since(strongroom_tests::firms::T0));
    }

    fn invariant_sessions_stay_bounded(&self) {
        for (who, node) in &self.nodes {
            assert!(node.session.members().len() <= self.people.len() + 4, "{who} sees more members than people");
        }
    }

    /// Everybody who is there is in one group at one epoch with one code.
    pub fn invariant_one_group(&self) {
        let views: BTreeMap<_, _> = self.present().map(|(who, node)| (who.clone(), node.view.clone())).collect();
        let distinct: BTreeSet<_> = views.values().cloned().collect();
        assert!(
            distinct.len() == 1 && distinct.first().is_some_and(Option::is_some),
            "not one group: {views:?}\n{}",
            self.history()
        );
    }

    /// Frames of each present member opened at each other one since `since`.
    pub fn invariant_all_hear_all(&self, since: UnixMillis) {
        for (from, _) in self.present().filter(|(_, node)| !node.is_recorder()) {
            for (to, node) in self.present().filter(|(to, _)| *to != from) {
                let heard = node.heard.get(from);
                assert!(
                    heard.is_some_and(|at| *at >= since),
                    "{to} has not heard {from} since {heard:?} ({} ms ago); {from} {:?}\n{}",
                    heard.map_or(0, |at| self.now.since(*at)),
                    self.nodes[from].session.send_state(self.now),
                    self.history()
                );
            }
        }
    }
}

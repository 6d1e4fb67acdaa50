//! What a commit may do: add, remove, or replace one's own leaf; nothing else, by value only. Checked before a commit
//! is applied, on the sending and the receiving side alike.

use super::credentials::identity_of;
use domain::limits::MAX_MEMBERS;
use domain::message::custody::LeafRole;
use evidence::identity::Identity;
use mls_rs::group::proposal::{AddProposal, RemoveProposal};
use mls_rs::group::{GroupContext, Roster};
use mls_rs::identity::SigningIdentity;
use mls_rs::mls_rules::{
    CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle, ProposalInfo,
};
use mls_rs::{ExtensionList, MlsRules};
use mls_rs_core::error::IntoAnyError;

/// Why a commit is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RuleError {
    /// A proposal by reference: they would block application messages.
    #[error("a proposal by reference")]
    ByReference,
    /// A proposal of a kind that meetings do not use (PSK, ReInit, extensions, update, custom).
    #[error("a proposal of a kind that meetings do not use")]
    Kind,
    /// The group is bound to other terms.
    #[error("the group is bound to other terms")]
    OtherTerms,
    /// An external commit that is not exactly a replacement of the committer's own old leaf.
    #[error("an external commit that does not replace its own old leaf")]
    NotResync,
    /// A recorder removed by someone else than a recorder of its firm.
    #[error("a recorder is removed by another party")]
    RecorderRemoved,
    /// A leaf that does not exist or does not read.
    #[error("a leaf that cannot be read")]
    Leaf,
    /// Too many members.
    #[error("more than {MAX_MEMBERS} members")]
    Full,
}

impl IntoAnyError for RuleError {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(Box::new(self))
    }
}

/// The rules of one meeting's group.
#[derive(Clone)]
pub(crate) struct CommitRules {
    extensions: ExtensionList,
}

fn who(signing: &SigningIdentity) -> Result<Identity, RuleError> {
    identity_of(signing).map_err(|_| RuleError::Leaf)
}

fn removed(roster: &Roster<'_>, removal: &ProposalInfo<RemoveProposal>) -> Result<Identity, RuleError> {
    let member = roster.member_with_index(removal.proposal.to_remove()).map_err(|_| RuleError::Leaf)?;
    who(&member.signing_identity)
}

/// Adds and removals by a member: a recorder goes only by a recorder of its own firm, or when its successor comes in.
fn judge_member(committer: &Identity, roster: &Roster<'_>, proposals: &ProposalBundle) -> Result<(), RuleError> {
    if !proposals.external_init_proposals().is_empty() {
        return Err(RuleError::Kind);
    }
    let added: Vec<Identity> = proposals
        .add_proposals()
        .iter()
        .map(|add: &ProposalInfo<AddProposal>| who(add.proposal.signing_identity()))
        .collect::<Result<_, _>>()?;
    for removal in proposals.remove_proposals() {
        let gone = removed(roster, removal)?;
        let colleague = committer.role == LeafRole::Recorder && committer.participant.firm == gone.participant.firm;
        let replaced = added.iter().any(|new| new.participant == gone.participant && new.role == gone.role);
        if gone.role == LeafRole::Recorder && !colleague && !replaced {
            return Err(RuleError::RecorderRemoved);
        }
    }
    let members = roster.members_iter().count();
    if fits(members, added.len(), proposals.remove_proposals().len()) { Ok(()) } else { Err(RuleError::Full) }
}

/// Judged before mls-rs refuses a leaf removed twice: there may be more removals than members.
fn fits(members: usize, added: usize, removed: usize) -> bool {
    members + added <= MAX_MEMBERS + removed
}

/// An external commit: nothing but the replacement of the same participant's leaf.
fn judge_resync(committer: &Identity, roster: &Roster<'_>, proposals: &ProposalBundle) -> Result<(), RuleError> {
    let [removal] = proposals.remove_proposals() else { return Err(RuleError::NotResync) };
    let gone = removed(roster, removal)?;
    let same = gone.participant == committer.participant && gone.role == committer.role;
    if same && proposals.add_proposals().is_empty() { Ok(()) } else { Err(RuleError::NotResync) }
}

impl CommitRules {
    pub(crate) fn new(extensions: ExtensionList) -> Self {
        Self { extensions }
    }

    fn judge(
        &self,
        source: &CommitSource,
        roster: &Roster<'_>,
        context: &GroupContext,
        proposals: &ProposalBundle,
    ) -> Result<(), RuleError> {
        if context.extensions != self.extensions {
            return Err(RuleError::OtherTerms);
        }
        if proposals.iter_proposals().any(|proposal| proposal.is_by_reference()) {
            return Err(RuleError::ByReference);
        }
        let foreign = proposals.length()
            - proposals.add_proposals().len()
            - proposals.remove_proposals().len()
            - proposals.external_init_proposals().len();
        if foreign > 0 {
            return Err(RuleError::Kind);
        }
        match source {
            CommitSource::ExistingMember(member) => judge_member(&who(&member.signing_identity)?, roster, proposals),
            CommitSource::NewMember(signing) => judge_resync(&who(signing)?, roster, proposals),
        }
    }
}

impl MlsRules for CommitRules {
    type Error = RuleError;

    fn filter_proposals(
        &self,
        _: CommitDirection,
        source: CommitSource,
        current_roster: &Roster<'_>,
        current_context: &GroupContext,
        proposals: ProposalBundle,
    ) -> Result<ProposalBundle, RuleError> {
        self.judge(&source, current_roster, current_context, &proposals)?;
        Ok(proposals)
    }

    fn commit_options(&self, _: &Roster<'_>, _: &GroupContext, _: &ProposalBundle) -> Result<CommitOptions, RuleError> {
        // a path in every commit heals a stolen state; the tree goes into GroupInfo and Welcome both, mls-rs cannot part them
        Ok(CommitOptions::new()
            .with_path_required(true)
            .with_ratchet_tree_extension(true)
            .with_single_welcome_message(true)
            .with_allow_external_commit(true))
    }

    fn encryption_options(&self, _: &Roster<'_>, _: &GroupContext) -> Result<EncryptionOptions, RuleError> {
        // handshake in the clear: the delivery service checks form and roster
        Ok(EncryptionOptions::new(false, mls_rs::client_builder::PaddingMode::None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meeting_is_full_at_its_limit_and_any_number_of_removals_is_counted() {
        assert!(fits(MAX_MEMBERS - 1, 1, 0) && fits(MAX_MEMBERS, 1, 1) && fits(2, 0, 7));
        assert!(!fits(MAX_MEMBERS, 1, 0) && !fits(MAX_MEMBERS - 1, 2, 0));
    }
}

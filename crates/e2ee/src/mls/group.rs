//! One group: its commits in flight, its exports, its roster.

use super::credentials::{identity_of, participant_of};
use super::{Config, GroupError, Member, mls_time};
use crate::code::human_code;
use crate::sframe::BaseKey;
use domain::message::custody::LeafRole;
use domain::{Epoch, LeafIndex, ParticipantId};
use evidence::identity::Identity;
use mls_rs::extension::built_in::RatchetTreeExt;
use mls_rs::group::{CommitEffect, CommitSecrets, ContentType, ExportedTree, ReceivedMessage};
use mls_rs::{GroupStateStorage, MlsMessage, MlsMessageDescription};
use mls_rs_core::group::{EpochRecord, GroupState};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Exporter label of SFrame base keys (RFC 9605 section 5.2).
const BASE_KEY_LABEL: &[u8] = b"SFrame 1.0 Base Key";
/// Commits of ours in flight in one epoch: asked again while the first is on its way, and once more.
const MAX_PENDING: usize = 4;

/// A commit of ours, ready to be sent.
pub(crate) struct Commit {
    pub(crate) epoch: Epoch,
    pub(crate) commit: Vec<u8>,
    pub(crate) welcome: Option<Vec<u8>>,
    pub(crate) group_info: Vec<u8>,
}

/// An external commit of ours: the group as it will be if the commit is taken.
pub(crate) struct Resync {
    pub(crate) group: Group,
    pub(crate) made_in: Epoch,
    pub(crate) commit: Vec<u8>,
    pub(crate) group_info: Vec<u8>,
}

/// What applying a commit did to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applied {
    /// We are in the next epoch.
    Next,
    /// We were removed.
    Removed,
}

/// One group at one epoch.
pub(crate) struct Group {
    inner: mls_rs::Group<Config>,
    pending: Vec<(Vec<u8>, CommitSecrets)>,
}

/// MLS state as bytes, for a checkpoint.
// not a wire type: a process reads what it wrote itself
#[derive(Serialize, Deserialize)]
pub(crate) struct Stored {
    #[serde(with = "serde_bytes")]
    state: Vec<u8>,
    epochs: Vec<(u64, serde_bytes::ByteBuf)>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        use zeroize::Zeroize;
        self.state.zeroize();
        self.epochs.iter_mut().for_each(|(_, bytes)| bytes.as_mut().zeroize());
    }
}

fn read(bytes: &[u8]) -> Result<MlsMessage, GroupError> {
    MlsMessage::from_bytes(bytes).map_err(|_| GroupError::Unexpected)
}

impl Member {
    fn wrap(&self, inner: mls_rs::Group<Config>) -> Result<Group, GroupError> {
        if inner.group_id() != self.group_id {
            return Err(GroupError::Unexpected);
        }
        if inner.context().extensions != self.extensions {
            return Err(GroupError::OtherTerms);
        }
        Ok(Group { inner, pending: Vec::new() })
    }

    /// The meeting's group at epoch 0 with us alone in it.
    pub(crate) fn create(&self, now_s: u64) -> Result<Group, GroupError> {
        self.storage.delete_group(&self.group_id);
        let leaf = mls_rs::ExtensionList::new();
        let time = Some(mls_time(now_s));
        let group = self.client.create_group_with_id(self.group_id.clone(), self.extensions.clone(), leaf, time)?;
        self.wrap(group)
    }

    /// Joins by a Welcome. `tree` may be empty when the Welcome carries it.
    pub(crate) fn join(&self, welcome: &[u8], tree: &[u8], now_s: u64) -> Result<Group, GroupError> {
        self.storage.delete_group(&self.group_id);
        let tree = if tree.is_empty() {
            None
        } else {
            Some(ExportedTree::from_bytes(tree).map_err(|_| GroupError::Unexpected)?)
        };
        let (group, _) = self.client.join_group(tree, &read(welcome)?, Some(mls_time(now_s)))?;
        self.wrap(group)
    }

    /// Makes the external commit that replaces our old leaf.
    pub(crate) fn resync(&self, group_info: &[u8], own: &ParticipantId, now_s: u64) -> Result<Resync, GroupError> {
        let message = read(group_info)?;
        let info = message.as_group_info().ok_or(GroupError::Unexpected)?;
        let context = info.group_context();
        if context.group_id != self.group_id {
            return Err(GroupError::Unexpected);
        }
        if context.extensions != self.extensions {
            return Err(GroupError::OtherTerms);
        }
        let made_in = Epoch(context.epoch);
        let tree: RatchetTreeExt = info.extensions().get_as().ok().flatten().ok_or(GroupError::Unexpected)?;
        let old = tree
            .tree_data()
            .roster()
            .members_iter()
            .find(|member| participant_of(&member.signing_identity).as_ref() == Some(own))
            .ok_or(GroupError::NoOldLeaf)?
            .index;
        // only secrets of left epochs are in it; the group in memory survives a failure below
        self.storage.delete_group(&self.group_id);
        let (inner, commit) =
            self.client.external_commit_builder()?.with_removal(old).commit_time(mls_time(now_s)).build(message)?;
        let group = self.wrap(inner)?;
        let group_info = group.group_info()?;
        Ok(Resync { group, made_in, commit: commit.to_bytes()?, group_info })
    }

    /// Goes on from a checkpoint.
    pub(crate) fn restore(&self, mut stored: Stored) -> Result<Group, GroupError> {
        let state = GroupState { id: self.group_id.clone(), data: Zeroizing::new(std::mem::take(&mut stored.state)) };
        let epochs = std::mem::take(&mut stored.epochs)
            .into_iter()
            .map(|(id, bytes)| EpochRecord::new(id, Zeroizing::new(bytes.into_vec())))
            .collect();
        let broken = |_| GroupError::Unexpected;
        self.storage.clone().write(state, epochs, Vec::new()).map_err(broken)?;
        let group = self.client.load_group(&self.group_id)?;
        self.wrap(group)
    }

    /// State of a group of ours as bytes.
    pub(crate) fn store(&self, group: &mut Group) -> Result<Stored, GroupError> {
        group.inner.write_to_storage()?;
        let state = self.storage.state(&self.group_id).ok().flatten().ok_or(GroupError::Unexpected)?;
        let last = group.inner.current_epoch();
        let epochs = (last.saturating_sub(super::PRIOR_EPOCHS as u64)..last)
            .filter_map(|id| {
                let bytes = self.storage.epoch(&self.group_id, id).ok().flatten()?;
                Some((id, serde_bytes::ByteBuf::from(bytes.to_vec())))
            })
            .collect();
        Ok(Stored { state: state.to_vec(), epochs })
    }
}

impl Group {
    pub(crate) fn epoch(&self) -> Epoch {
        Epoch(self.inner.current_epoch())
    }

    /// Hash of everything committed so far (RFC 9420 section 8.2); zeros at epoch 0.
    pub(crate) fn transcript_hash(&self) -> [u8; 32] {
        self.inner.context().confirmed_transcript_hash.as_slice().try_into().unwrap_or([0; 32])
    }

    /// GroupInfo with tree and external_pub.
    pub(crate) fn group_info(&self) -> Result<Vec<u8>, GroupError> {
        Ok(self.inner.group_info_message_allowing_ext_commit(true)?.to_bytes()?)
    }

    /// Who is in it.
    pub(crate) fn members(&self) -> BTreeMap<LeafIndex, Identity> {
        let leaf = |member: mls_rs::group::Member| {
            Some((LeafIndex(member.index), identity_of(&member.signing_identity).ok()?))
        };
        self.inner.roster().members_iter().filter_map(leaf).collect()
    }

    /// Our own leaf.
    pub(crate) fn own_leaf(&self) -> LeafIndex {
        LeafIndex(self.inner.current_member_index())
    }

    /// The human code of this epoch.
    pub(crate) fn code(&self) -> Result<String, GroupError> {
        let authenticator = self.inner.epoch_authenticator()?;
        Ok(human_code(self.inner.group_id(), authenticator.as_bytes()))
    }

    /// Takes the epoch's base key out; afterwards this state can derive no other export of the epoch.
    pub(crate) fn take_base_key(&mut self) -> Result<BaseKey, GroupError> {
        let secret = self.inner.export_secret(BASE_KEY_LABEL, b"", 32)?;
        let key = BaseKey::from_bytes(secret.as_bytes()).ok_or(GroupError::Unexpected)?;
        self.inner.delete_exporter();
        // moves left epochs into the bounded store
        self.inner.write_to_storage()?;
        Ok(key)
    }

    #[cfg(feature = "test-secrets")]
    pub(crate) fn authenticator(&self) -> Vec<u8> {
        self.inner.epoch_authenticator().map(|secret| secret.as_bytes().to_vec()).unwrap_or_default()
    }

    /// Makes a commit; it counts only when the delivery service sends it back.
    pub(crate) fn commit(&mut self, add: &[Vec<u8>], remove: &[LeafIndex], now_s: u64) -> Result<Commit, GroupError> {
        let epoch = self.epoch();
        let mut builder = self.inner.commit_builder().commit_time(mls_time(now_s));
        for leaf in remove {
            builder = builder.remove_member(leaf.0)?;
        }
        for key_package in add {
            builder = builder.add_member(read(key_package)?)?;
        }
        let (output, secrets) = builder.build_detached()?;
        let commit = output.commit_message().to_bytes()?;
        let welcome = output.welcome_messages().first().map(MlsMessage::to_bytes).transpose()?;
        let group_info = output.external_commit_group_info().ok_or(GroupError::Unexpected)?.to_bytes()?;
        if self.pending.len() >= MAX_PENDING {
            self.pending.remove(0);
        }
        self.pending.push((commit.clone(), secrets));
        Ok(Commit { epoch, commit, welcome, group_info })
    }

    /// Could this KeyPackage be added alone?
    pub(crate) fn can_add(&mut self, key_package: &[u8], now_s: u64) -> bool {
        let Ok(message) = read(key_package) else { return false };
        let builder = self.inner.commit_builder().commit_time(mls_time(now_s)).add_member(message);
        builder.is_ok_and(|builder| builder.build_detached().is_ok())
    }

    /// Applies the commit that the delivery service chose: ours if it is one of ours, else another's.
    pub(crate) fn apply(&mut self, bytes: &[u8], now_s: u64) -> Result<Applied, GroupError> {
        let message = read(bytes)?;
        let epoch = self.inner.current_epoch();
        match message.description() {
            MlsMessageDescription::PublicProtocolMessage { group_id, epoch_id, content_type, .. }
                if group_id == self.inner.group_id() && epoch_id == epoch && content_type == ContentType::Commit => {}
            _ => return Err(GroupError::Unexpected),
        }
        if let Some(at) = self.pending.iter().position(|(ours, _)| ours == bytes) {
            let (_, secrets) = self.pending.swap_remove(at);
            self.inner.apply_detached_commit(secrets)?;
            self.pending.clear();
            return Ok(Applied::Next);
        }
        let received = self.inner.process_incoming_message_with_time(message, mls_time(now_s))?;
        let ReceivedMessage::Commit(description) = received else { return Err(GroupError::Unexpected) };
        self.pending.clear();
        match description.effect {
            CommitEffect::NewEpoch(_) => Ok(Applied::Next),
            CommitEffect::Removed { .. } => Ok(Applied::Removed),
            CommitEffect::ReInit(_) => Err(GroupError::Unexpected),
        }
    }

    /// Encrypts an application message.
    pub(crate) fn encrypt(&mut self, data: &[u8]) -> Result<Vec<u8>, GroupError> {
        Ok(self.inner.encrypt_application_message(data, Vec::new())?.to_bytes()?)
    }

    /// Epoch of an application message, before it is decrypted; `None` if it is anything else.
    pub(crate) fn application_epoch(&self, bytes: &[u8]) -> Option<Epoch> {
        match MlsMessage::from_bytes(bytes).ok()?.description() {
            MlsMessageDescription::PrivateProtocolMessage { group_id, epoch_id, content_type }
                if group_id == self.inner.group_id() && content_type == ContentType::Application =>
            {
                Some(Epoch(epoch_id))
            }
            _ => None,
        }
    }

    /// Decrypts an application message; who sent it and what.
    pub(crate) fn decrypt(&mut self, bytes: &[u8], now_s: u64) -> Result<(LeafIndex, Vec<u8>), GroupError> {
        self.application_epoch(bytes).ok_or(GroupError::Unexpected)?;
        let received = self.inner.process_incoming_message_with_time(read(bytes)?, mls_time(now_s))?;
        let ReceivedMessage::ApplicationMessage(message) = received else { return Err(GroupError::Unexpected) };
        Ok((LeafIndex(message.sender_index), message.data().to_vec()))
    }
}

/// Whom a KeyPackage speaks for, its certificate judged at `at_s`.
pub(crate) fn key_package_identity(
    trust: &evidence::identity::TrustMap,
    key_package: &[u8],
    at_s: u64,
) -> Option<Identity> {
    let message = MlsMessage::from_bytes(key_package).ok()?;
    let signing = message.as_key_package()?.signing_identity();
    let certificate = super::credentials::leaf_certificate(signing).ok()?;
    let identity = evidence::identity::judge(trust, certificate, at_s).ok()?;
    let in_meetings = matches!(identity.role, LeafRole::Member | LeafRole::Guest | LeafRole::Recorder);
    in_meetings.then_some(identity)
}

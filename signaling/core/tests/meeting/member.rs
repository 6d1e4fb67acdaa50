//! A client with a real MLS group. It does what it is asked; a test takes away habits one by one.

use crate::firms::{Leaf, sign};
use domain::message::client::{Entry, MeetingTerms, ToClient, ToServer};
use domain::{B64, Epoch, LeafIndex, ParticipantId, UnixMillis};
use evidence::identity::TrustMap;
use evidence::receipt::{RECEIPT_LABEL, Receipt};
use mls_rs::client_builder::{BaseConfig, PaddingMode, WithCryptoProvider, WithIdentityProvider, WithMlsRules};
use mls_rs::crypto::SignatureSecretKey;
use mls_rs::group::{CommitEffect, ExportedTree, ReceivedMessage};
use mls_rs::identity::SigningIdentity;
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::time::MlsTime;
use mls_rs::{CipherSuite, Client, Extension, ExtensionList, Group, MlsMessage};
use mls_rs_core::extension::ExtensionType;
use mls_rs_core::identity::{CertificateChain, DerCertificate};
use mls_rs_crypto_awslc::AwsLcCryptoProvider;
use signaling_core::delivery::identity::FirmIdentities;
use std::sync::Arc;

pub type Config = WithIdentityProvider<
    FirmIdentities,
    WithCryptoProvider<AwsLcCryptoProvider, WithMlsRules<DefaultMlsRules, BaseConfig>>,
>;

/// What a member does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habits {
    pub creates: bool,
    pub sends_key_packages: bool,
    pub commits: Commits,
    pub answers: Answers,
    pub resyncs: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commits {
    /// As asked.
    Good,
    /// Not at all.
    Never,
    /// With a membership tag no member can verify; the delivery service cannot see that.
    Garbage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// Applies and says so.
    Honest,
    /// Applies and says nothing.
    Silent,
    /// Refuses every commit.
    Refuses,
}

impl Habits {
    pub const GOOD: Self = Self {
        creates: true,
        sends_key_packages: true,
        commits: Commits::Good,
        answers: Answers::Honest,
        resyncs: true,
    };
}

pub struct Member {
    pub id: ParticipantId,
    pub leaf: Leaf,
    pub habits: Habits,
    pub group: Option<Group<Config>>,
    pub terms: Option<MeetingTerms>,
    pub recorder: bool,
    /// Commits made and not yet decided, by their bytes.
    pending: Vec<(Vec<u8>, mls_rs::group::CommitSecrets)>,
    resyncing: Option<(Vec<u8>, Group<Config>)>,
    client: Client<Config>,
}

pub fn time(now: UnixMillis) -> MlsTime {
    MlsTime::from(now.seconds())
}

fn client(trust: &Arc<TrustMap>, leaf: &Leaf) -> Client<Config> {
    let chain: CertificateChain = std::iter::once(DerCertificate::new(leaf.certificate.clone())).collect();
    let public = leaf.key.verifying_key().to_encoded_point(false).as_bytes().to_vec();
    let identity = SigningIdentity::new(chain.into_credential(), public.into());
    let secret = SignatureSecretKey::new(leaf.key.to_bytes().to_vec());
    let commits = CommitOptions::new().with_path_required(true).with_allow_external_commit(true);
    let rules = DefaultMlsRules::new()
        .with_commit_options(commits)
        .with_encryption_options(EncryptionOptions::new(false, PaddingMode::None));
    Client::builder()
        .mls_rules(rules)
        .crypto_provider(AwsLcCryptoProvider::with_enabled_cipher_suites(vec![CipherSuite::P256_AES128]))
        .identity_provider(FirmIdentities::new(trust.clone()))
        .extension_types([ExtensionType::new(0xF100), ExtensionType::new(0xF101)])
        .signing_identity(identity, secret, CipherSuite::P256_AES128)
        .build()
}

impl Member {
    pub fn new(trust: &Arc<TrustMap>, id: &str, leaf: Leaf, recorder: bool) -> Self {
        Self {
            id: id.parse().unwrap(),
            client: client(trust, &leaf),
            leaf,
            habits: Habits::GOOD,
            group: None,
            terms: None,
            recorder,
            pending: Vec::new(),
            resyncing: None,
        }
    }

    /// A page reloaded: nothing is left but the certificate.
    pub fn forget(&mut self, trust: &Arc<TrustMap>) {
        self.client = client(trust, &self.leaf);
        self.group = None;
        self.pending.clear();
        self.resyncing = None;
    }

    pub fn epoch(&self) -> Option<Epoch> {
        self.group.as_ref().map(|group| Epoch(group.current_epoch()))
    }

    pub fn authenticator(&self) -> Vec<u8> {
        self.group.as_ref().unwrap().epoch_authenticator().unwrap().as_bytes().to_vec()
    }

    pub fn extensions(trust: &TrustMap, terms: &MeetingTerms) -> ExtensionList {
        let rules = evidence::policy::rules(trust, terms).unwrap();
        let mut list = ExtensionList::new();
        for (kind, bytes) in rules.extensions() {
            list.set(Extension::new(ExtensionType::new(kind), bytes.to_vec()));
        }
        list
    }

    pub fn create(&mut self, now: UnixMillis, id: &[u8], extensions: ExtensionList) -> ToServer {
        let group =
            self.client.create_group_with_id(id.to_vec(), extensions, ExtensionList::new(), Some(time(now))).unwrap();
        let group_info = group.group_info_message_allowing_ext_commit(true).unwrap().to_bytes().unwrap().into();
        self.group = Some(group);
        ToServer::Created { group_info }
    }

    pub fn key_package(&self, now: UnixMillis) -> B64 {
        let none = ExtensionList::new;
        let package = self.client.generate_key_package_message(none(), none(), Some(time(now))).unwrap();
        package.to_bytes().unwrap().into()
    }

    /// A commit of these Adds and Removes in the current epoch.
    pub fn commit(&mut self, now: UnixMillis, add: &[B64], remove: &[LeafIndex]) -> ToServer {
        let group = self.group.as_mut().unwrap();
        let epoch = Epoch(group.current_epoch());
        let mut builder = group.commit_builder().commit_time(time(now));
        for package in add {
            builder = builder.add_member(MlsMessage::from_bytes(package).unwrap()).unwrap();
        }
        for leaf in remove {
            builder = builder.remove_member(leaf.0).unwrap();
        }
        let (output, secrets) = builder.build_detached().unwrap();
        let mut commit = output.commit_message().to_bytes().unwrap();
        self.pending.push((commit.clone(), secrets));
        if self.habits.commits == Commits::Garbage {
            // the last bytes of a member's PublicMessage are its membership tag
            let last = commit.len() - 1;
            commit[last] ^= 1;
            self.pending.last_mut().unwrap().0 = commit.clone();
        }
        ToServer::Commit {
            epoch,
            commit: commit.into(),
            welcome: output.welcome_messages().first().map(|w| w.to_bytes().unwrap().into()),
            group_info: output.external_commit_group_info().unwrap().to_bytes().unwrap().into(),
        }
    }

    /// External commit that replaces the leaf of `old`.
    pub fn resync(&mut self, now: UnixMillis, group_info: &B64, old: Option<&ParticipantId>) -> ToServer {
        let info = MlsMessage::from_bytes(group_info).unwrap();
        let epoch = Epoch(info.as_group_info().unwrap().group_context().epoch());
        let tree: mls_rs::extension::built_in::RatchetTreeExt =
            info.as_group_info().unwrap().extensions().get_as().unwrap().unwrap();
        let leaf_of = |who: &ParticipantId| {
            let exported: ExportedTree<'_> = tree.tree_data().clone();
            let found = exported.roster().members_iter().find(|member| {
                let chain = member.signing_identity.credential.as_x509().unwrap();
                evidence::identity::inspect(&chain[0]).unwrap().participant == *who
            });
            found.unwrap().index
        };
        let mut builder = self.client.external_commit_builder().unwrap().commit_time(time(now));
        if let Some(old) = old {
            builder = builder.with_removal(leaf_of(old));
        }
        let (group, commit) = builder.build(info).unwrap();
        let commit = commit.to_bytes().unwrap();
        let group_info = group.group_info_message_allowing_ext_commit(true).unwrap().to_bytes().unwrap().into();
        self.resyncing = Some((commit.clone(), group));
        ToServer::Resync { epoch, commit: commit.into(), group_info }
    }

    pub fn receipt(&self, epoch: Epoch) -> ToServer {
        let receipt = Receipt {
            meeting: self.terms.as_ref().unwrap().meeting.clone(),
            firm: self.id.firm.clone(),
            recorder: self.id.clone(),
            incarnation: 1,
            epoch,
            transcript_hash: [0; 32],
            sealed_hash: [0; 32],
            commitment: [0; 32],
        };
        ToServer::Receipt { receipt: self.signed(RECEIPT_LABEL, &evidence::cbor::encode(&receipt)) }
    }

    pub fn signed(&self, label: &str, payload: &[u8]) -> B64 {
        let signer = |hash: &[u8; 32]| Ok::<_, ()>(sign(&self.leaf.key, hash));
        evidence::cose::sign(label, payload, Some(&self.leaf.certificate), signer).unwrap().into()
    }

    /// What it answers by habit.
    pub fn react(&mut self, trust: &TrustMap, now: UnixMillis, message: &ToClient) -> Vec<ToServer> {
        match message {
            ToClient::Admitted { terms, entry, .. } => {
                self.terms = Some((**terms).clone());
                self.enter(trust, now, entry)
            }
            ToClient::NeedKeyPackage {} if self.habits.sends_key_packages => {
                vec![ToServer::KeyPackage { key_package: self.key_package(now) }]
            }
            ToClient::CommitAdds { joiners } if self.habits.commits != Commits::Never => {
                let add: Vec<B64> = joiners.iter().map(|joiner| joiner.key_package.clone()).collect();
                vec![self.commit(now, &add, &[])]
            }
            ToClient::CommitRemovals { leaves } if self.habits.commits != Commits::Never => {
                vec![self.commit(now, &[], leaves)]
            }
            ToClient::Commit { epoch, commit } => self.take(now, *epoch, commit),
            ToClient::Welcome { welcome, tree, epoch } => {
                if self.habits.answers == Answers::Refuses {
                    return vec![ToServer::Refused { epoch: *epoch, reason: "habit".into() }];
                }
                let tree = ExportedTree::from_bytes(tree).unwrap();
                let welcome = MlsMessage::from_bytes(welcome).unwrap();
                match self.client.join_group(Some(tree), &welcome, Some(time(now))) {
                    Ok((group, _)) => {
                        self.group = Some(group);
                        self.acknowledge(*epoch)
                    }
                    Err(_) => vec![ToServer::Refused { epoch: *epoch, reason: "welcome".into() }],
                }
            }
            ToClient::GroupInfo { group_info, .. } if self.habits.resyncs => {
                let own = self.id.clone();
                vec![self.resync(now, group_info, Some(&own))]
            }
            ToClient::Withdrawn { .. } => {
                self.pending.clear();
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn enter(&mut self, trust: &TrustMap, now: UnixMillis, entry: &Entry) -> Vec<ToServer> {
        match entry {
            Entry::Create {} if self.habits.creates => {
                let terms = self.terms.clone().unwrap();
                let extensions = Self::extensions(trust, &terms);
                vec![self.create(now, terms.meeting.as_str().as_bytes(), extensions)]
            }
            Entry::AwaitWelcome {} if self.habits.sends_key_packages => {
                vec![ToServer::KeyPackage { key_package: self.key_package(now) }]
            }
            Entry::Resync { group_info, .. } if self.habits.resyncs => {
                let own = self.id.clone();
                vec![self.resync(now, group_info, Some(&own))]
            }
            _ => Vec::new(),
        }
    }

    fn acknowledge(&self, epoch: Epoch) -> Vec<ToServer> {
        match self.habits.answers {
            Answers::Silent => Vec::new(),
            _ if self.recorder => vec![ToServer::Applied { epoch }, self.receipt(epoch)],
            _ => vec![ToServer::Applied { epoch }],
        }
    }

    fn take(&mut self, now: UnixMillis, epoch: Epoch, commit: &B64) -> Vec<ToServer> {
        if let Some((_, group)) = self.resyncing.take_if(|(own, _)| own[..] == commit[..]) {
            self.group = Some(group);
            self.pending.clear();
            return self.acknowledge(epoch);
        }
        let refused = || vec![ToServer::Refused { epoch, reason: "cannot process".into() }];
        let Some(group) = self.group.as_mut() else { return Vec::new() };
        if group.current_epoch() + 1 != epoch.0 {
            return Vec::new();
        }
        if self.habits.answers == Answers::Refuses {
            return refused();
        }
        if let Some(at) = self.pending.iter().position(|(own, _)| own[..] == commit[..]) {
            let (_, secrets) = self.pending.swap_remove(at);
            group.apply_detached_commit(secrets).unwrap();
            self.pending.clear();
            return self.acknowledge(epoch);
        }
        let message = MlsMessage::from_bytes(commit).unwrap();
        match group.process_incoming_message_with_time(message, time(now)) {
            Ok(ReceivedMessage::Commit(done)) => {
                self.pending.clear();
                if matches!(done.effect, CommitEffect::Removed { .. }) {
                    self.group = None;
                    return Vec::new();
                }
                self.acknowledge(epoch)
            }
            _ => refused(),
        }
    }
}

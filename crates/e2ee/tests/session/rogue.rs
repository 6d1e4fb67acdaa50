//! A member without scruples: in the group by a good certificate, its own checks switched off.

use crate::firm::{Leaf, World};
use crate::net::{Net, id};
use domain::message::client::{Joiner, ToClient, ToServer};
use domain::message::custody::LeafRole;
use domain::{B64, Epoch, ParticipantId, UnixMillis};
use e2ee::leaf::LeafKey;
use evidence::policy::{MEETING_POLICY, RECORDERS, rules};
use mls_rs::client_builder::{BaseConfig, WithCryptoProvider, WithIdentityProvider, WithMlsRules};
use mls_rs::extension::ExtensionType;
use mls_rs::extension::built_in::RequiredCapabilitiesExt;
use mls_rs::group::{CommitBuilder, ReceivedMessage};
use mls_rs::identity::SigningIdentity;
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules};
use mls_rs::time::MlsTime;
use mls_rs::{CipherSuite, Client, ExtensionList, Group, IdentityProvider, MlsMessage};
use mls_rs_core::crypto::SignatureSecretKey;
use mls_rs_core::identity::{CertificateChain, CredentialType, MemberValidationContext};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use std::convert::Infallible;
use std::time::Duration;

/// Believes everything.
#[derive(Clone)]
pub struct Credulous;

impl IdentityProvider for Credulous {
    type Error = Infallible;
    fn validate_member(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: MemberValidationContext<'_>,
    ) -> Result<(), Infallible> {
        Ok(())
    }
    fn validate_external_sender(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), Infallible> {
        Ok(())
    }
    fn identity(&self, signing: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, Infallible> {
        Ok(signing.signature_key.to_vec())
    }
    fn valid_successor(&self, _: &SigningIdentity, _: &SigningIdentity, _: &ExtensionList) -> Result<bool, Infallible> {
        Ok(true)
    }
    fn supported_types(&self) -> Vec<CredentialType> {
        vec![CredentialType::X509, CredentialType::BASIC]
    }
}

type Config =
    WithMlsRules<DefaultMlsRules, WithIdentityProvider<Credulous, WithCryptoProvider<RustCryptoProvider, BaseConfig>>>;

pub struct Rogue {
    pub who: ParticipantId,
    client: Client<Config>,
    pub group: Option<Group<Config>>,
}

pub fn time(now: UnixMillis) -> MlsTime {
    MlsTime::from_duration_since_epoch(Duration::from_secs(now.seconds()))
}

/// The group's extensions as everybody computes them.
pub fn extensions(world: &World) -> ExtensionList {
    let rules = rules(&world.trust, &world.terms).unwrap();
    let mut list = ExtensionList::new();
    for (kind, bytes) in rules.extensions() {
        list.set(mls_rs::Extension::new(ExtensionType::new(kind), bytes.to_vec()));
    }
    let own = vec![ExtensionType::new(MEETING_POLICY), ExtensionType::new(RECORDERS)];
    list.set_from(RequiredCapabilitiesExt::new(own, vec![], vec![CredentialType::X509])).unwrap();
    list
}

pub fn client(identity: SigningIdentity, key: &LeafKey, suite: CipherSuite) -> Client<Config> {
    let options = CommitOptions::new().with_path_required(true).with_allow_external_commit(true);
    Client::builder()
        .crypto_provider(RustCryptoProvider::new())
        .identity_provider(Credulous)
        .mls_rules(DefaultMlsRules::new().with_commit_options(options))
        .extension_type(ExtensionType::new(MEETING_POLICY))
        .extension_type(ExtensionType::new(RECORDERS))
        .signing_identity(identity, SignatureSecretKey::from(key.to_secret().to_vec()), suite)
        .build()
}

/// A KeyPackage for any chain.
pub fn key_package(chain: Vec<Vec<u8>>, key: &LeafKey, now: UnixMillis) -> Vec<u8> {
    let identity = SigningIdentity::new(CertificateChain::from(chain).into_credential(), key.public_sec1().into());
    let client = client(identity, key, CipherSuite::P256_AES128);
    client
        .generate_key_package_message(ExtensionList::new(), ExtensionList::new(), Some(time(now)))
        .unwrap()
        .to_bytes()
        .unwrap()
}

/// A KeyPackage of a client that knows none of our extensions.
pub fn bare_key_package(leaf: Vec<u8>, key: &LeafKey, now: UnixMillis) -> Vec<u8> {
    let identity = SigningIdentity::new(CertificateChain::from(vec![leaf]).into_credential(), key.public_sec1().into());
    let client = Client::builder()
        .crypto_provider(RustCryptoProvider::new())
        .identity_provider(Credulous)
        .signing_identity(identity, SignatureSecretKey::from(key.to_secret().to_vec()), CipherSuite::P256_AES128)
        .build();
    let message =
        client.generate_key_package_message(ExtensionList::new(), ExtensionList::new(), Some(time(now))).unwrap();
    message.to_bytes().unwrap()
}

impl Rogue {
    pub fn new(net: &Net, name: &str) -> Self {
        let who = id(name);
        let key = LeafKey::generate();
        let leaf = net.world.firm(&who.firm).issue(&key, &who, &Leaf::of(LeafRole::Member));
        let credential = CertificateChain::from(vec![leaf]).into_credential();
        let identity = SigningIdentity::new(credential, key.public_sec1().into());
        Self { who, client: client(identity, &key, CipherSuite::P256_AES128), group: None }
    }

    /// Gets in by an honest committer.
    pub fn enter(&mut self, net: &mut Net, committer: &ParticipantId) {
        let now = time(net.now);
        let package =
            self.client.generate_key_package_message(ExtensionList::new(), ExtensionList::new(), Some(now)).unwrap();
        let key_package = B64(package.to_bytes().unwrap());
        let joiners = vec![Joiner { participant: self.who.clone(), key_package }];
        net.deliver(committer, ToClient::CommitAdds { joiners });
        net.pump();
        let welcome = net.sent.iter().rev().find_map(|(_, message)| match message {
            ToServer::Commit { welcome: Some(welcome), .. } => Some(welcome.clone()),
            _ => None,
        });
        let welcome = MlsMessage::from_bytes(&welcome.unwrap()).unwrap();
        self.group = Some(self.client.join_group(None, &welcome, Some(now)).unwrap().0);
        net.service.members.insert(self.who.clone());
    }

    /// Commits whatever `build` wants and hands it to the service.
    pub fn commit(
        &mut self,
        net: &mut Net,
        build: impl for<'a> FnOnce(CommitBuilder<'a, Config>) -> CommitBuilder<'a, Config>,
    ) {
        let group = self.group.as_mut().unwrap();
        let epoch = Epoch(group.current_epoch());
        let output = build(group.commit_builder().commit_time(time(net.now))).build().unwrap();
        group.clear_pending_commit();
        let commit = B64(output.commit_message().to_bytes().unwrap());
        let group_info = B64(output.external_commit_group_info().unwrap().to_bytes().unwrap());
        net.receive(&self.who.clone(), ToServer::Commit { epoch, commit, welcome: None, group_info });
        net.pump();
    }

    /// An external commit as this rogue that removes leaf `victim`.
    pub fn external(&self, net: &mut Net, victim: Option<u32>) {
        let epoch = net.service.epoch.unwrap();
        let info = net.group_info(epoch);
        let mut builder = self.client.external_commit_builder().unwrap().commit_time(time(net.now));
        if let Some(victim) = victim {
            builder = builder.with_removal(victim);
        }
        let (group, commit) = builder.build(MlsMessage::from_bytes(&info).unwrap()).unwrap();
        let group_info = B64(group.group_info_message_allowing_ext_commit(true).unwrap().to_bytes().unwrap());
        let commit = B64(commit.to_bytes().unwrap());
        net.receive(&self.who.clone(), ToServer::Resync { epoch, commit, group_info });
        net.pump();
    }

    /// Encrypts bytes as an application message.
    pub fn application(&mut self, net: &mut Net, data: &[u8]) {
        let message = self.group.as_mut().unwrap().encrypt_application_message(data, vec![]).unwrap();
        let message = B64(message.to_bytes().unwrap());
        net.receive(&self.who.clone(), ToServer::Application { message });
        net.pump();
    }

    /// SFrame base key of its epoch.
    pub fn base_key(&self) -> e2ee::sframe::BaseKey {
        let secret = self.group.as_ref().unwrap().export_secret(b"SFrame 1.0 Base Key", b"", 32).unwrap();
        e2ee::sframe::BaseKey::from_bytes(secret.as_bytes()).unwrap()
    }

    /// Follows an honest commit; `false` once it is out.
    pub fn follow(&mut self, commit: &[u8], now: UnixMillis) -> bool {
        let message = MlsMessage::from_bytes(commit).unwrap();
        let received = self.group.as_mut().unwrap().process_incoming_message_with_time(message, time(now)).unwrap();
        match received {
            ReceivedMessage::Commit(description) => {
                !matches!(description.effect, mls_rs::group::CommitEffect::Removed { .. })
            }
            _ => panic!("a commit"),
        }
    }
}

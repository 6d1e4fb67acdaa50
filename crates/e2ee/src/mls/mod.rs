//! The MLS group (RFC 9420, suite 2) behind a small surface: create, join, commit, apply, resync, export.
//!
//! mls-rs is used in its synchronous form with RustCrypto, natively and in the browser, and only through the calls that
//! take the time. Who may be in the group is decided in [`credentials`], what a commit may do in [`rules`]. The session
//! owns the order of things; nothing here knows of signaling.

mod credentials;
mod group;
mod rules;

pub(crate) use group::{Applied, Commit, Group, Resync, Stored, key_package_identity};

use crate::leaf::LeafKey;
use credentials::Credentials;
use evidence::identity::TrustMap;
use evidence::policy::{MEETING_POLICY, MeetingRules, RECORDERS};
use mls_rs::client_builder::{
    BaseConfig, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider, WithMlsRules,
};
use mls_rs::extension::ExtensionType;
use mls_rs::extension::built_in::RequiredCapabilitiesExt;
use mls_rs::identity::SigningIdentity;
use mls_rs::storage_provider::in_memory::InMemoryGroupStateStorage;
use mls_rs::time::MlsTime;
use mls_rs::{CipherSuite, Client, Extension, ExtensionList};
use mls_rs_core::crypto::SignatureSecretKey;
use mls_rs_core::identity::{CertificateChain, CredentialType};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use rules::CommitRules;
use std::sync::Arc;
use std::time::Duration;

/// MLS_128_DHKEMP256_AES128GCM_SHA256_P256.
const SUITE: CipherSuite = CipherSuite::P256_AES128;
/// A KeyPackage outlives every leaf certificate (12 h): the certificate decides, and joiners judge all lifetimes.
const KEY_PACKAGE_LIFE: Duration = Duration::from_secs(24 * 3600);
/// A KeyPackage is valid from so long ago: the committer's clock may be behind ours.
const CLOCK_SLACK_S: u64 = 300;
/// Prior epochs kept to read application messages that crossed a commit.
const PRIOR_EPOCHS: usize = 4;

type Config = WithMlsRules<
    CommitRules,
    WithIdentityProvider<
        Credentials,
        WithCryptoProvider<RustCryptoProvider, WithGroupStateStorage<InMemoryGroupStateStorage, BaseConfig>>,
    >,
>;

/// Why the group refused something: a peer's fault unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum GroupError {
    /// Not an MLS message of the expected kind, group or epoch.
    #[error("not the expected MLS message")]
    Unexpected,
    /// Other extensions than the terms of the meeting give.
    #[error("the group is bound to other terms")]
    OtherTerms,
    /// The leaf to replace is not in the tree.
    #[error("our old leaf is not in the group")]
    NoOldLeaf,
    /// mls-rs refused.
    #[error("{0}")]
    Mls(String),
}

impl From<mls_rs::error::MlsError> for GroupError {
    fn from(error: mls_rs::error::MlsError) -> Self {
        Self::Mls(error.to_string())
    }
}

/// Makes and joins groups of one meeting as one leaf.
pub(crate) struct Member {
    client: Client<Config>,
    storage: InMemoryGroupStateStorage,
    group_id: Vec<u8>,
    extensions: ExtensionList,
}

fn mls_time(now_s: u64) -> MlsTime {
    MlsTime::from_duration_since_epoch(Duration::from_secs(now_s))
}

/// The extensions that every group of the meeting has, and no other.
fn extensions(rules: &MeetingRules) -> ExtensionList {
    let mut list = ExtensionList::new();
    for (kind, bytes) in rules.extensions() {
        list.set(Extension::new(ExtensionType::new(kind), bytes.to_vec()));
    }
    let own = vec![ExtensionType::new(MEETING_POLICY), ExtensionType::new(RECORDERS)];
    let required = RequiredCapabilitiesExt::new(own, Vec::new(), vec![CredentialType::X509]);
    list.set_from(required).expect("three short lists encode");
    list
}

impl Member {
    /// A member with this key and leaf certificate, in the group of one meeting under its rules.
    pub(crate) fn new(
        key: &LeafKey,
        certificate: &[u8],
        trust: Arc<TrustMap>,
        rules: Arc<MeetingRules>,
        group_id: Vec<u8>,
    ) -> Self {
        let extensions = extensions(&rules);
        let chain = CertificateChain::from(vec![certificate.to_vec()]);
        let identity = SigningIdentity::new(chain.into_credential(), key.public_sec1().into());
        let storage =
            InMemoryGroupStateStorage::new().with_max_epoch_retention(PRIOR_EPOCHS).expect("the retention is not zero");
        let client = Client::builder()
            .group_state_storage(storage.clone())
            .crypto_provider(RustCryptoProvider::with_enabled_cipher_suites(vec![SUITE]))
            .identity_provider(Credentials::new(trust, rules))
            .mls_rules(CommitRules::new(extensions.clone()))
            .extension_type(ExtensionType::new(MEETING_POLICY))
            .extension_type(ExtensionType::new(RECORDERS))
            .key_package_lifetime(KEY_PACKAGE_LIFE)
            .signing_identity(identity, SignatureSecretKey::from(key.to_secret().to_vec()), SUITE)
            .build();
        Self { client, storage, group_id, extensions }
    }

    /// A fresh KeyPackage (MLSMessage).
    pub(crate) fn key_package(&self, now_s: u64) -> Result<Vec<u8>, GroupError> {
        let from = mls_time(now_s.saturating_sub(CLOCK_SLACK_S));
        let message =
            self.client.generate_key_package_message(ExtensionList::new(), ExtensionList::new(), Some(from))?;
        Ok(message.to_bytes()?)
    }
}

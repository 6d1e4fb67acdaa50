//! The adapter from `evidence::identity` to mls-rs: who may hold a leaf. It never judges without a time.

use domain::ParticipantId;
use domain::message::custody::LeafRole;
use evidence::identity::{Identity, IdentityError, TrustMap, inspect, judge};
use evidence::policy::MeetingRules;
use mls_rs::identity::SigningIdentity;
use mls_rs::time::MlsTime;
use mls_rs::{ExtensionList, IdentityProvider};
use mls_rs_core::error::IntoAnyError;
use mls_rs_core::identity::{CredentialType, MemberValidationContext};
use std::sync::Arc;

/// A leaf that expired less than this ago does not block joins: its owner renews or is removed within the hour.
const EXPIRED_GRACE_S: u64 = 3600;

/// Why a leaf may not be in the group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CredentialError {
    /// mls-rs asked without a time: never answered.
    #[error("a certificate is not judged without a time")]
    NoTime,
    /// Not one X.509 leaf.
    #[error("the credential is not exactly one leaf certificate")]
    NotX509,
    /// The certificate is refused.
    #[error(transparent)]
    Certificate(#[from] IdentityError),
    /// The signature key is not the certificate's.
    #[error("the leaf's key is not its certificate's")]
    OtherKey,
    /// A certificate of an officer or administrator.
    #[error("this certificate is not for meetings")]
    NotForMeetings,
    /// A recorder of a firm that does not record here.
    #[error("the firm has no recorder in this meeting")]
    NoRecorderPlace,
    /// External senders are never accepted.
    #[error("external senders are not accepted")]
    ExternalSender,
}

impl IntoAnyError for CredentialError {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(Box::new(self))
    }
}

/// Judges leaves by the trust map and the rules of the meeting.
#[derive(Clone)]
pub(crate) struct Credentials {
    trust: Arc<TrustMap>,
    rules: Arc<MeetingRules>,
}

/// The one certificate of a credential.
pub(crate) fn leaf_certificate(identity: &SigningIdentity) -> Result<&[u8], CredentialError> {
    let chain = identity.credential.as_x509().ok_or(CredentialError::NotX509)?;
    match chain.as_slice() {
        [leaf] => Ok(leaf),
        _ => Err(CredentialError::NotX509),
    }
}

/// Whom a leaf already in the group speaks for (it was judged when it came in).
pub(crate) fn identity_of(identity: &SigningIdentity) -> Result<Identity, CredentialError> {
    Ok(inspect(leaf_certificate(identity)?)?)
}

/// Participant of a leaf, `None` if it is none of ours.
pub(crate) fn participant_of(identity: &SigningIdentity) -> Option<ParticipantId> {
    identity_of(identity).ok().map(|identity| identity.participant)
}

impl Credentials {
    pub(crate) fn new(trust: Arc<TrustMap>, rules: Arc<MeetingRules>) -> Self {
        Self { trust, rules }
    }

    fn judge(&self, signing: &SigningIdentity, at_s: u64) -> Result<(), CredentialError> {
        let identity = judge(&self.trust, leaf_certificate(signing)?, at_s)?;
        if signing.signature_key.as_bytes() != identity.public_key.to_sec1() {
            return Err(CredentialError::OtherKey);
        }
        match identity.role {
            LeafRole::Member | LeafRole::Guest => Ok(()),
            LeafRole::Recorder if self.rules.has_recorder_place(&identity.participant.firm) => Ok(()),
            LeafRole::Recorder => Err(CredentialError::NoRecorderPlace),
            LeafRole::Compliance | LeafRole::Administrator => Err(CredentialError::NotForMeetings),
        }
    }
}

impl IdentityProvider for Credentials {
    type Error = CredentialError;

    fn validate_member(
        &self,
        signing_identity: &SigningIdentity,
        timestamp: Option<MlsTime>,
        context: MemberValidationContext<'_>,
    ) -> Result<(), CredentialError> {
        let mut at_s = timestamp.ok_or(CredentialError::NoTime)?.seconds_since_epoch();
        if matches!(context, MemberValidationContext::ForNewGroup { .. }) {
            let ended = identity_of(signing_identity)?.not_after_s;
            if at_s > ended && at_s - ended <= EXPIRED_GRACE_S {
                at_s = ended;
            }
        }
        self.judge(signing_identity, at_s)
    }

    fn validate_external_sender(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), CredentialError> {
        Err(CredentialError::ExternalSender)
    }

    fn identity(&self, signing_identity: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, CredentialError> {
        Ok(identity_of(signing_identity)?.participant.to_string().into_bytes())
    }

    fn valid_successor(
        &self,
        predecessor: &SigningIdentity,
        successor: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<bool, CredentialError> {
        let (before, after) = (identity_of(predecessor)?, identity_of(successor)?);
        Ok(before.participant == after.participant && before.role == after.role)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![CredentialType::X509]
    }
}

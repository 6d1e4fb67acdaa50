//! `evidence::identity` as an mls-rs `IdentityProvider`: who a leaf's certificate speaks for, in the observed group.
//!
//! A certificate is judged once, at the time its connection was admitted or its commit arrived; a leaf that is in the
//! tree stays judged (e2ee.md: validity at the time the Add or Update was logged). Nothing is judged without a time.

use domain::ParticipantId;
use domain::message::custody::LeafRole;
use evidence::identity::{Identity, IdentityError, TrustMap, inspect, judge};
use mls_rs::error::IntoAnyError;
use mls_rs::identity::{CredentialType, SigningIdentity};
use mls_rs::time::MlsTime;
use mls_rs::{ExtensionList, IdentityProvider};
use mls_rs_core::identity::MemberValidationContext;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Whose a leaf is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Who.
    pub participant: ParticipantId,
    /// By the certificate's extended key usage.
    pub recorder: bool,
    /// SHA-256 of the certificate.
    pub certificate_hash: [u8; 32],
}

/// Why a leaf's identity is refused. The blame is the leaf's owner's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SeatError {
    /// Not an X.509 credential with exactly one certificate.
    #[error("a leaf must carry exactly one certificate")]
    NotOneCertificate,
    /// The certificate is refused.
    #[error("the leaf's certificate is refused: {0}")]
    Certificate(#[from] IdentityError),
    /// The leaf's key is another one than its certificate's.
    #[error("the leaf's key is not its certificate's")]
    OtherKey,
    /// A certificate for something else than meetings.
    #[error("the certificate is for another use than meetings")]
    Role,
    /// Asked to judge without a time: our bug or the library's.
    #[error("asked to judge a certificate without a time")]
    NoTime,
    /// External senders are not used.
    #[error("external senders are not allowed")]
    ExternalSender,
}

impl IntoAnyError for SeatError {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(Box::new(self))
    }
}

/// The provider: pinned firms and the certificates of this meeting judged so far.
#[derive(Clone)]
pub struct FirmIdentities {
    trust: Arc<TrustMap>,
    judged: Arc<Mutex<BTreeMap<[u8; 32], Seat>>>,
}

fn certificate(identity: &SigningIdentity) -> Result<&[u8], SeatError> {
    let chain = identity.credential.as_x509().ok_or(SeatError::NotOneCertificate)?;
    match &chain[..] {
        [leaf] => Ok(leaf),
        _ => Err(SeatError::NotOneCertificate),
    }
}

fn seat(identity: &Identity) -> Result<Seat, SeatError> {
    let recorder = match identity.role {
        LeafRole::Member | LeafRole::Guest => false,
        LeafRole::Recorder => true,
        _ => return Err(SeatError::Role),
    };
    let certificate_hash = identity.certificate_hash;
    Ok(Seat { participant: identity.participant.clone(), recorder, certificate_hash })
}

impl FirmIdentities {
    /// Nothing judged yet.
    pub fn new(trust: Arc<TrustMap>) -> Self {
        Self { trust, judged: Arc::default() }
    }

    /// A certificate that admission judged, or that stands in an accepted commit.
    pub fn remember(&self, seat: Seat) {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        judged.insert(seat.certificate_hash, seat);
    }

    /// Keeps only these certificates' judgements.
    pub fn retain(&self, keep: impl Fn(&Seat) -> bool) {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        judged.retain(|_, seat| keep(seat));
    }

    /// Whose a leaf is; reads the certificate, judges nothing.
    pub fn seat_of(&self, identity: &SigningIdentity) -> Result<Seat, SeatError> {
        let leaf = certificate(identity)?;
        let hash = evidence::sha256(leaf);
        let judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        match judged.get(&hash) {
            Some(known) => Ok(known.clone()),
            None => seat(&inspect(leaf)?),
        }
    }
}

impl IdentityProvider for FirmIdentities {
    type Error = SeatError;

    fn validate_member(
        &self,
        identity: &SigningIdentity,
        time: Option<MlsTime>,
        _: MemberValidationContext<'_>,
    ) -> Result<(), SeatError> {
        let leaf = certificate(identity)?;
        let known = {
            let judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
            judged.contains_key(&evidence::sha256(leaf))
        };
        let read = if known {
            inspect(leaf)?
        } else {
            judge(&self.trust, leaf, time.ok_or(SeatError::NoTime)?.seconds_since_epoch())?
        };
        seat(&read)?;
        if read.public_key.to_sec1() == identity.signature_key.as_bytes() { Ok(()) } else { Err(SeatError::OtherKey) }
    }

    fn validate_external_sender(
        &self,
        _: &SigningIdentity,
        _: Option<MlsTime>,
        _: Option<&ExtensionList>,
    ) -> Result<(), SeatError> {
        Err(SeatError::ExternalSender)
    }

    fn identity(&self, identity: &SigningIdentity, _: &ExtensionList) -> Result<Vec<u8>, SeatError> {
        Ok(self.seat_of(identity)?.participant.to_string().into_bytes())
    }

    fn valid_successor(
        &self,
        before: &SigningIdentity,
        after: &SigningIdentity,
        _: &ExtensionList,
    ) -> Result<bool, SeatError> {
        let (before, after) = (self.seat_of(before)?, self.seat_of(after)?);
        Ok(before.participant == after.participant && before.recorder == after.recorder)
    }

    fn supported_types(&self) -> Vec<CredentialType> {
        vec![CredentialType::X509]
    }
}

//! The group as the delivery service sees it: roster, tree and context, no secret (RFC 9420 through mls-rs
//! `ExternalGroup`). Every commit is judged here on a copy; the caller keeps the old state to withdraw.
//!
//! A commit comes with the GroupInfo of the epoch it makes. It must say, signed by a member, the very state that the commit
//! gives (context, tree, transcript, confirmation tag): then whoever resyncs from it lands in this group. It is compared with
//! that state and not observed afresh: each leaf was judged when it came, and a join does not cost a signature for each member.

use super::identity::{FirmIdentities, Seat, SeatError};
use domain::{B64, Epoch, LeafIndex, MeetingId, ParticipantId, UnixMillis};
use mls_rs::error::MlsError;
use mls_rs::extension::built_in::{ExternalPubExt, RequiredCapabilitiesExt};
use mls_rs::external_client::builder::{ExternalBaseConfig, WithCryptoProvider, WithIdentityProvider};
use mls_rs::external_client::{ExternalClient, ExternalGroup, ExternalReceivedMessage};
use mls_rs::group::CommitEffect;
use mls_rs::group::proposal::Proposal;
use mls_rs::identity::CredentialType;
use mls_rs::time::MlsTime;
use mls_rs::{CipherSuite, CipherSuiteProvider, CryptoProvider, ExtensionList, MlsMessage, WireFormat};
use mls_rs_core::extension::ExtensionType;
use mls_rs_crypto_awslc::AwsLcCryptoProvider;

type Config = WithIdentityProvider<FirmIdentities, WithCryptoProvider<AwsLcCryptoProvider, ExternalBaseConfig>>;

/// Cipher suite of every meeting: MLS_128_DHKEMP256_AES128GCM_SHA256_P256.
const SUITE: CipherSuite = CipherSuite::P256_AES128;

/// Why a GroupInfo, KeyPackage or commit is refused. The sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// Not an MLSMessage of the wanted kind.
    #[error("not the expected MLS message")]
    Malformed,
    /// Another group, suite or starting epoch than the terms say.
    #[error("another group than the terms say")]
    WrongGroup,
    /// The extensions are not the ones that follow from the terms.
    #[error("the group's extensions are not those of the terms")]
    WrongExtensions,
    /// No `external_pub` or no `ratchet_tree` in the GroupInfo.
    #[error("the GroupInfo lacks external_pub or ratchet_tree")]
    GroupInfoIncomplete,
    /// The GroupInfo is not the one of the epoch that the commit makes.
    #[error("the GroupInfo is not of the epoch that the commit makes")]
    GroupInfoMismatch,
    /// Someone else's leaf.
    #[error("the sender's leaf is not this participant's")]
    WrongSender,
    /// A proposal nobody asked for.
    #[error("a proposal that was not asked for: {0}")]
    Unasked(&'static str),
    /// The Welcome does not address exactly the added members.
    #[error("the Welcome does not fit the Adds")]
    Welcome,
    /// Certificate of a leaf.
    #[error(transparent)]
    Seat(#[from] SeatError),
    /// mls-rs refuses.
    #[error("refused by the MLS rules: {0}")]
    Mls(String),
}

impl From<MlsError> for GroupError {
    fn from(error: MlsError) -> Self {
        Self::Mls(error.to_string())
    }
}

/// What a good KeyPackage says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFacts {
    /// KeyPackageRef (RFC 9420 section 5.2).
    pub reference: Vec<u8>,
    /// Whose.
    pub seat: Seat,
}

/// What a good commit does.
pub struct Judged {
    /// State it makes.
    pub next: Observed,
    /// KeyPackageRefs it adds.
    pub added: Vec<Vec<u8>>,
    /// Leaves it removes.
    pub removed: Vec<LeafIndex>,
}

/// Who made a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// A member, from its leaf.
    Member,
    /// A new member by external commit.
    External,
}

/// One state of the observed group.
#[derive(Clone)]
pub struct Observed {
    group: ExternalGroup<Config>,
    seats: Vec<(LeafIndex, Seat)>,
    group_info: B64,
}

impl Observed {
    /// Its epoch.
    pub fn epoch(&self) -> Epoch {
        Epoch(self.group.group_context().epoch())
    }
    /// GroupInfo with tree and external_pub, as its committer made it.
    pub fn group_info(&self) -> &B64 {
        &self.group_info
    }
    /// Every leaf, in order.
    pub fn seats(&self) -> &[(LeafIndex, Seat)] {
        &self.seats
    }
    /// Leaf and seat of a participant.
    pub fn of(&self, who: &ParticipantId) -> Option<(LeafIndex, &Seat)> {
        self.seats.iter().find(|(_, seat)| seat.participant == *who).map(|(leaf, seat)| (*leaf, seat))
    }
    /// The ratchet tree, as `mls_rs::group::ExportedTree` bytes.
    pub fn tree(&self) -> Result<B64, GroupError> {
        Ok(self.group.export_tree()?.into())
    }
}

/// Judges what members send about one meeting's group.
pub struct Observer {
    client: ExternalClient<Config>,
    identities: FirmIdentities,
    meeting: MeetingId,
    extensions: Vec<(u16, Vec<u8>)>,
}

fn time(now: UnixMillis) -> MlsTime {
    MlsTime::from(now.seconds())
}

fn message(bytes: &[u8]) -> Result<MlsMessage, GroupError> {
    MlsMessage::from_bytes(bytes).map_err(|_| GroupError::Malformed)
}

fn seats(group: &ExternalGroup<Config>, identities: &FirmIdentities) -> Result<Vec<(LeafIndex, Seat)>, GroupError> {
    let members = group.roster().members_iter();
    members.map(|m| Ok((LeafIndex(m.index), identities.seat_of(&m.signing_identity)?))).collect()
}

impl Observer {
    /// `extensions`: the GroupContext extensions of the meeting (`evidence::policy`).
    pub fn new(identities: FirmIdentities, meeting: MeetingId, extensions: Vec<(u16, Vec<u8>)>) -> Self {
        let client = ExternalClient::builder()
            .crypto_provider(AwsLcCryptoProvider::with_enabled_cipher_suites(vec![SUITE]))
            .identity_provider(identities.clone())
            .extension_types(extensions.iter().map(|(kind, _)| ExtensionType::new(*kind)))
            .build();
        Self { client, identities, meeting, extensions }
    }

    /// Certificates judged so far.
    pub fn identities(&self) -> &FirmIdentities {
        &self.identities
    }

    /// The creator's group: epoch 0, one member, the terms' id and extensions.
    pub fn created(&self, now: UnixMillis, creator: &Seat, group_info: &B64) -> Result<Observed, GroupError> {
        let group = self.client.observe_group(self.complete(group_info)?, None, Some(time(now)))?;
        let seats = seats(&group, &self.identities)?;
        let observed = Observed { group, seats, group_info: group_info.clone() };
        let context = observed.group.group_context();
        if context.epoch() != 0 || context.cipher_suite() != SUITE {
            return Err(GroupError::WrongGroup);
        }
        self.check_extensions(context.extensions())?;
        match observed.seats() {
            [(LeafIndex(0), seat)] if seat == creator => Ok(observed),
            _ => Err(GroupError::WrongSender),
        }
    }

    /// A GroupInfo of this meeting that one can join by.
    fn complete(&self, group_info: &B64) -> Result<MlsMessage, GroupError> {
        let info = message(group_info)?;
        let content = info.as_group_info().ok_or(GroupError::Malformed)?;
        if content.group_context().group_id() != self.meeting.as_str().as_bytes() {
            return Err(GroupError::WrongGroup);
        }
        let extensions = content.extensions();
        let public = extensions.get_as::<ExternalPubExt>().map_err(|_| GroupError::GroupInfoIncomplete)?;
        if public.is_none() || !extensions.has_extension(ExtensionType::RATCHET_TREE) {
            return Err(GroupError::GroupInfoIncomplete);
        }
        Ok(info)
    }

    fn check_extensions(&self, found: &ExtensionList) -> Result<(), GroupError> {
        for (kind, bytes) in &self.extensions {
            let same = found.get(ExtensionType::new(*kind)).is_some_and(|e| e.extension_data == *bytes);
            if !same {
                return Err(GroupError::WrongExtensions);
            }
        }
        let own = |kind: ExtensionType| self.extensions.iter().any(|(k, _)| ExtensionType::new(*k) == kind);
        let required = found.get_as::<RequiredCapabilitiesExt>().map_err(|_| GroupError::WrongExtensions)?;
        let modest = required.is_none_or(|r| {
            r.proposals.is_empty()
                && r.extensions.iter().all(|kind| own(*kind))
                && r.credentials.iter().all(|kind| *kind == CredentialType::X509)
        });
        let known = |kind| own(kind) || kind == ExtensionType::REQUIRED_CAPABILITIES;
        if modest && found.iter().all(|e| known(e.extension_type)) { Ok(()) } else { Err(GroupError::WrongExtensions) }
    }

    /// A KeyPackage for this meeting: suite, life, signature, certificate.
    pub fn key_package(&self, now: UnixMillis, bytes: &B64) -> Result<PackageFacts, GroupError> {
        let package = self.client.validate_key_package(message(bytes)?, Some(time(now)))?;
        let seat = self.identities.seat_of(package.signing_identity())?;
        Ok(PackageFacts { reference: self.reference(&package)?, seat })
    }

    fn reference(&self, package: &mls_rs::KeyPackage) -> Result<Vec<u8>, GroupError> {
        let suite = crypto();
        Ok(package.to_reference(&suite)?.to_vec())
    }

    /// Judges a commit made in `at`'s epoch. Which Adds and Removes were asked for is the caller's to check.
    pub fn commit(
        &self,
        now: UnixMillis,
        at: &Observed,
        maker: (Maker, &Seat),
        commit: &B64,
        welcome: Option<&B64>,
        group_info: &B64,
    ) -> Result<Judged, GroupError> {
        let incoming = message(commit)?;
        if incoming.wire_format() != WireFormat::PublicMessage {
            return Err(GroupError::Malformed);
        }
        if incoming.group_id() != Some(self.meeting.as_str().as_bytes()) || incoming.epoch() != Some(at.epoch().0) {
            return Err(GroupError::WrongGroup);
        }
        if !incoming.proposals_by_reference().is_empty() {
            return Err(GroupError::Unasked("by reference"));
        }
        let mut group = at.group.clone();
        let received = group.process_incoming_message_with_time(incoming, time(now))?;
        let ExternalReceivedMessage::Commit(description) = received else { return Err(GroupError::Malformed) };
        let CommitEffect::NewEpoch(epoch) = description.effect else {
            return Err(GroupError::Unasked("reinit"));
        };
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for applied in epoch.applied_proposals() {
            match &applied.proposal {
                Proposal::Add(add) => added.push(self.reference(add.key_package())?),
                Proposal::Remove(remove) => removed.push(LeafIndex(remove.to_remove())),
                Proposal::ExternalInit(_) if maker.0 == Maker::External => {}
                _ => return Err(GroupError::Unasked("neither add nor remove")),
            }
        }
        let from_outside = if description.is_external { Maker::External } else { Maker::Member };
        let seats = seats(&group, &self.identities)?;
        let by = seats.iter().find(|(leaf, _)| leaf.0 == description.committer).map(|(_, seat)| seat);
        let sender = by.is_some_and(|s| s.participant == maker.1.participant && s.recorder == maker.1.recorder);
        if from_outside != maker.0 || !sender {
            return Err(GroupError::WrongSender);
        }
        if group.group_context().extensions() != at.group.group_context().extensions() {
            return Err(GroupError::WrongExtensions);
        }
        self.check_welcome(welcome, &added)?;
        let info = self.complete(group_info)?;
        // its signature by a leaf of the new tree; its context, tree and confirmation tag are the commit's
        match group.process_incoming_message_with_time(info, time(now)) {
            Ok(ExternalReceivedMessage::GroupInfo(_)) => {}
            _ => return Err(GroupError::GroupInfoMismatch),
        }
        let next = Observed { group, seats, group_info: group_info.clone() };
        Ok(Judged { next, added, removed })
    }

    fn check_welcome(&self, welcome: Option<&B64>, added: &[Vec<u8>]) -> Result<(), GroupError> {
        let Some(welcome) = welcome else {
            return if added.is_empty() { Ok(()) } else { Err(GroupError::Welcome) };
        };
        let welcome = message(welcome)?;
        let addressed = welcome.welcome_key_package_references();
        let same = addressed.len() == added.len() && addressed.iter().all(|r| added.iter().any(|a| a[..] == r[..]));
        if same { Ok(()) } else { Err(GroupError::Welcome) }
    }
}

fn crypto() -> impl CipherSuiteProvider {
    AwsLcCryptoProvider::with_enabled_cipher_suites(vec![SUITE])
        .cipher_suite_provider(SUITE)
        .expect("the only enabled suite is there")
}

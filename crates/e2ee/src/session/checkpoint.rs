//! Snapshot and restore: a recorder goes on after a restart. Recorders alone: whoever seals would reach, from an older
//! snapshot and the commits kept since, an epoch in which it has used counters already. Not a wire type: a recorder reads
//! what it wrote itself.

use super::epochs::EpochState;
use super::{Meeting, Phase, Session, SessionConfig, SessionError};
use crate::mls::{self, Stored};
use crate::sframe::{BaseKey, Opener};
use domain::message::client::MeetingTerms;
use domain::message::custody::LeafRole;
use domain::{Epoch, LeafIndex, UnixMillis};
use evidence::identity::Identity;
use evidence::policy::rules;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::{Zeroize, Zeroizing};

/// Version of the checkpoint's form.
const VERSION: u16 = 1;

#[derive(Serialize, Deserialize)]
struct Checkpoint {
    version: u16,
    terms: MeetingTerms,
    group: Option<Stored>,
    epochs: Vec<StoredEpoch>,
}

#[derive(Serialize, Deserialize)]
struct StoredEpoch {
    epoch: Epoch,
    members: Vec<(LeafIndex, StoredMember)>,
    own_leaf: LeafIndex,
    #[serde(with = "serde_bytes")]
    base: Vec<u8>,
    #[serde(with = "serde_bytes")]
    transcript_hash: [u8; 32],
    entered_at: UnixMillis,
    left_at: Option<UnixMillis>,
}

impl Drop for StoredEpoch {
    fn drop(&mut self) {
        self.base.zeroize();
    }
}

#[derive(Serialize, Deserialize)]
struct StoredMember {
    participant: domain::ParticipantId,
    role: LeafRole,
    name: String,
    #[serde(with = "serde_bytes")]
    public_key: Vec<u8>,
    not_before_s: u64,
    not_after_s: u64,
    #[serde(with = "serde_bytes")]
    certificate_hash: [u8; 32],
}

impl StoredMember {
    fn of(identity: &Identity) -> Self {
        Self {
            participant: identity.participant.clone(),
            role: identity.role,
            name: identity.name.clone(),
            public_key: identity.public_key.to_sec1(),
            not_before_s: identity.not_before_s,
            not_after_s: identity.not_after_s,
            certificate_hash: identity.certificate_hash,
        }
    }
    fn identity(self) -> Option<Identity> {
        Some(Identity {
            public_key: evidence::key::PublicKey::from_sec1(&self.public_key).ok()?,
            participant: self.participant,
            role: self.role,
            name: self.name,
            not_before_s: self.not_before_s,
            not_after_s: self.not_after_s,
            certificate_hash: self.certificate_hash,
        })
    }
}

impl StoredEpoch {
    fn of(state: &EpochState) -> Self {
        Self {
            epoch: state.epoch,
            members: state.members.iter().map(|(leaf, member)| (*leaf, StoredMember::of(member))).collect(),
            own_leaf: state.own_leaf,
            base: state.base.expose().to_vec(),
            transcript_hash: state.transcript_hash,
            entered_at: state.entered_at,
            left_at: state.left_at,
        }
    }
    fn state(mut self) -> Option<EpochState> {
        let base = BaseKey::from_bytes(&self.base)?;
        let members = std::mem::take(&mut self.members)
            .into_iter()
            .map(|(leaf, member)| Some((leaf, member.identity()?)))
            .collect::<Option<_>>()?;
        Some(EpochState {
            epoch: self.epoch,
            generation: 0,
            members,
            own_leaf: self.own_leaf,
            commitment: base.commitment(),
            transcript_hash: self.transcript_hash,
            entered_at: self.entered_at,
            removal: false,
            ready: true,
            left_at: self.left_at,
            opener: Opener::live(base.duplicate(), self.epoch),
            base,
        })
    }
}

impl Session {
    /// Everything needed to go on after a restart, secrets included: seal it before it touches a disk. The leaf key is
    /// not in it. Empty before admission.
    pub fn snapshot(&mut self) -> Zeroizing<Vec<u8>> {
        let Some(meeting) = &self.meeting else { return Zeroizing::new(Vec::new()) };
        let checkpoint = Checkpoint {
            version: VERSION,
            terms: (*meeting.terms).clone(),
            group: self.group.as_mut().and_then(|group| meeting.mls.store(group).ok()),
            epochs: self.epochs.states.iter().map(StoredEpoch::of).collect(),
        };
        Zeroizing::new(evidence::cbor::encode(&checkpoint))
    }

    /// A recorder's session from a snapshot; `Hello` is queued and offers the group state held.
    pub fn restore(config: SessionConfig, snapshot: &[u8], now: UnixMillis) -> Result<Self, SessionError> {
        let mut session = Self::make(config, now)?;
        if session.own.role != LeafRole::Recorder {
            return Err(SessionError::NotARecorder);
        }
        if !snapshot.is_empty() {
            session.put_back(snapshot).ok_or(SessionError::Checkpoint)?;
        }
        session.hello();
        Ok(session)
    }

    fn put_back(&mut self, snapshot: &[u8]) -> Option<()> {
        let checkpoint: Checkpoint = evidence::cbor::decode(snapshot).ok()?;
        if checkpoint.version != VERSION || checkpoint.terms.room != self.room {
            return None;
        }
        let rules = Arc::new(rules(&self.trust, &checkpoint.terms).ok()?);
        let group_id = checkpoint.terms.meeting.as_str().as_bytes().to_vec();
        let mls = mls::Member::new(&self.key, &self.certificate, Arc::clone(&self.trust), Arc::clone(&rules), group_id);
        if let Some(stored) = checkpoint.group {
            self.group = Some(mls.restore(stored).ok()?);
        }
        for stored in checkpoint.epochs {
            self.epochs.put_back(stored.state()?);
        }
        if let Some(state) = self.epochs.latest() {
            self.orders.settle(state);
        }
        self.recorders.watch(&rules);
        self.meeting = Some(Meeting { terms: Box::new(checkpoint.terms), rules, mls });
        self.phase = Phase::Greeting;
        Some(())
    }
}

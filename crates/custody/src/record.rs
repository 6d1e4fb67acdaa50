//! The record token: recorder identity, manifest and log key, and the state keys of running meetings (in memory only).

use crate::people::csr::Csr;
use crate::refusal::{Refusal, refuse};
use crate::token::{Bytes, Call, Handle, RECORD, RECORDER_IDENTITY};
use domain::message::custody::{Answer, Ask, RecordKind};
use domain::{B64, FirmId, MeetingId, UnixMillis};
use evidence::archive::{self, Checkpoint, MeetingManifest, SegmentManifest};
use evidence::cose;
use evidence::recorder_csr::{self, RecorderCsr};
use std::collections::HashMap;
use std::sync::Mutex;

/// Meetings at once whose state keys are held: beyond what one firm runs; forgotten ones make room.
const MAX_STATE_KEYS: usize = 10_000;
/// Largest checkpoint: a note of a few lines.
const MAX_CHECKPOINT: usize = 16 * 1024;

/// State of the record token's process.
pub struct Record {
    firm: FirmId,
    token: Handle,
    state_keys: Mutex<HashMap<MeetingId, Bytes>>,
}

impl Record {
    /// From configuration.
    pub fn new(firm: FirmId, token: Handle) -> Self {
        Self { firm, token, state_keys: Mutex::default() }
    }

    /// Answers what this token answers.
    ///
    /// # Errors
    /// A refusal.
    pub fn answer(&self, now: UnixMillis, ask: Ask) -> Result<Answer, Refusal> {
        match ask {
            Ask::CountersignCsr { csr } => self.countersign(now, &csr),
            Ask::SignRecord { kind, payload } => self.sign(kind, &payload),
            Ask::StateKey { meeting } => self.state_key(meeting),
            Ask::Probe {} => self.probe(),
            Ask::ForgetStateKey { meeting } => {
                self.state_keys.lock().expect("no holder panics").remove(&meeting);
                Ok(Answer::Done {})
            }
            _ => refuse("bad-request", "the record token does not do this"),
        }
    }

    fn countersign(&self, now: UnixMillis, csr: &B64) -> Result<Answer, Refusal> {
        let judged = Csr::judge(csr)?;
        if judged.participant.firm != self.firm {
            return refuse("bad-csr", "the CSR is of another firm");
        }
        let payload = RecorderCsr::of(csr, now).encode();
        let signed = cose::sign(recorder_csr::LABEL, &payload, None, |hash| self.token.sign(RECORDER_IDENTITY, hash))?;
        Ok(Answer::Signed { signed: signed.into() })
    }

    fn sign(&self, kind: RecordKind, payload: &B64) -> Result<Answer, Refusal> {
        let own = match kind {
            RecordKind::Segment => SegmentManifest::from_cbor(payload).is_some_and(|one| one.firm == self.firm),
            RecordKind::Meeting => MeetingManifest::from_cbor(payload).is_some_and(|one| one.firm == self.firm),
            RecordKind::Checkpoint => payload.len() <= MAX_CHECKPOINT && self.is_own_checkpoint(payload),
        };
        if !own {
            return refuse("bad-request", "the payload is no record of this firm of the named kind");
        }
        let signed = cose::sign(archive::label(kind), payload, None, |hash| self.token.sign(RECORD, hash))?;
        Ok(Answer::Signed { signed: signed.into() })
    }

    /// What a meeting will ask of this token.
    fn probe(&self) -> Result<Answer, Refusal> {
        let random = self.token.call(Call::Random(32))?;
        let hash = evidence::sha256(&random);
        for key in [RECORD, RECORDER_IDENTITY] {
            self.token.sign(key, &hash)?;
        }
        Ok(Answer::Done {})
    }

    fn is_own_checkpoint(&self, payload: &[u8]) -> bool {
        let checkpoint = std::str::from_utf8(payload).ok().and_then(Checkpoint::from_text);
        checkpoint.is_some_and(|checkpoint| checkpoint.origin == archive::log::origin(&self.firm))
    }

    fn state_key(&self, meeting: MeetingId) -> Result<Answer, Refusal> {
        let mut keys = self.state_keys.lock().expect("no holder panics");
        if !keys.contains_key(&meeting) {
            if keys.len() >= MAX_STATE_KEYS {
                return refuse("rate", "too many meetings have a state key; forget those that ended");
            }
            keys.insert(meeting.clone(), self.token.call(Call::Random(32))?);
        }
        Ok(Answer::Key { key: keys[&meeting].to_vec().into() })
    }
}

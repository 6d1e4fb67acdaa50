//! Opening the keys of one meeting: manifest, request and approval are judged, the ledger is written, then the token opens.

use super::Archive;
use crate::refusal::{Refusal, refuse};
use crate::token::Call;
use custody::sealing::{MeetingKey, Sealed};
use domain::message::custody::{Answer, IncarnationKey, LedgerEvent, SECOND_COPY};
use domain::{MeetingId, ParticipantId, UnixMillis};
use evidence::archive::{MEETING_LABEL, MeetingManifest, SealedKeys};
use evidence::cose;
use evidence::grant::{self, Grant, GrantError, Named, Subject};
use zeroize::Zeroizing;

/// Refused openings written to the ledger in an hour: enough to see an attack, too few to fill a disk.
pub const REFUSALS_PER_HOUR: u32 = 200;
/// Incarnations of one meeting: a recorder that restarts more often than this has other problems.
const MAX_INCARNATIONS: usize = 256;

/// What the front hands in, each a COSE_Sign1.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Meeting manifest.
    pub manifest: &'a [u8],
    /// Request.
    pub request: &'a [u8],
    /// Approval.
    pub approval: &'a [u8],
}

impl Archive {
    pub(super) fn open(&self, now: UnixMillis, asked: Asked<'_>) -> Result<Answer, Refusal> {
        let manifest = self.manifest(asked.manifest)?;
        let grant = match self.judge(now, &manifest, asked) {
            Ok(grant) => grant,
            Err(refusal) => {
                self.note_refusal(now, &manifest.meeting, &refusal)?;
                return Err(refusal);
            }
        };
        if manifest.sealed_keys.is_empty() || manifest.sealed_keys.len() > MAX_INCARNATIONS {
            return refuse("bad-request", "the manifest holds no sealed meeting key, or too many");
        }
        if !self.opens.lock().expect("no holder panics").take(now) {
            return refuse(
                "rate",
                "the limit of opened meetings an hour is reached; wait, or raise `archive.opens_per_hour`",
            );
        }
        // first the entry, durable and signed; only then the key
        self.append(entry(now, &manifest, asked.manifest, &grant))?;
        let open = |sealed: &SealedKeys| self.open_one(&manifest, sealed);
        let keys = manifest.sealed_keys.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        tracing::info!(meeting = %manifest.meeting, "meeting key opened");
        Ok(Answer::MeetingKeys { keys })
    }

    fn manifest(&self, signed: &[u8]) -> Result<MeetingManifest, Refusal> {
        let Ok(payload) = cose::verify(MEETING_LABEL, signed, &self.record_key) else {
            return refuse("bad-request", "the manifest is not signed by this firm's record key");
        };
        match MeetingManifest::from_cbor(&payload) {
            Some(manifest) if manifest.firm == self.firm => Ok(manifest),
            _ => refuse("bad-request", "this is no meeting manifest of this firm"),
        }
    }

    fn judge(&self, now: UnixMillis, manifest: &MeetingManifest, asked: Asked<'_>) -> Result<Grant, Refusal> {
        let roster: Vec<ParticipantId> = manifest.roster.iter().map(|row| row.participant.clone()).collect();
        let subject = Subject {
            firm: &self.firm,
            meeting: &manifest.meeting,
            manifest_hash: evidence::sha256(asked.manifest),
            roster: &roster,
        };
        grant::judge(&self.trust, subject, asked.request, asked.approval, now).or_else(|error| {
            let code = match error {
                GrantError::OnePerson => "two-persons",
                GrantError::InRoster(_) => "in-roster",
                GrantError::Role(_) => "role",
                _ => "bad-request",
            };
            refuse(code, error.to_string())
        })
    }

    fn note_refusal(&self, now: UnixMillis, meeting: &MeetingId, refusal: &Refusal) -> Result<(), Refusal> {
        if !self.refusals.lock().expect("no holder panics").take(now) {
            return Ok(());
        }
        let event = LedgerEvent {
            at: now,
            actor: "custody".to_owned(),
            action: "refused".to_owned(),
            meeting: meeting.clone(),
            note: refusal.0.code.clone(),
        };
        self.append(event).map(|_| ())
    }

    fn open_one(&self, manifest: &MeetingManifest, sealed: &SealedKeys) -> Result<IncarnationKey, Refusal> {
        let mine = sealed.keys.iter().find(|one| self.keys.iter().any(|key| key.id == one.key_id));
        let Some(mine) = mine else {
            return refuse("bad-request", "the meeting key was sealed to other archive keys; ask the other token");
        };
        let key = self.unseal(&mine.sealed, &manifest.meeting, sealed.incarnation)?;
        Ok(IncarnationKey { incarnation: sealed.incarnation, key: (*key).into() })
    }

    /// Opens one sealed form by the archive key it names.
    pub(super) fn unseal(
        &self,
        sealed: &[u8],
        meeting: &MeetingId,
        incarnation: u64,
    ) -> Result<Zeroizing<[u8; 32]>, Refusal> {
        let form = Sealed::parse(sealed).or_else(|e| refuse("bad-request", e.to_string()))?;
        let Some(key) = self.keys.iter().find(|key| key.id == form.key_id) else {
            return refuse("bad-request", "sealed to an archive key that is not on this token");
        };
        if form.oaep != key.oaep {
            return refuse("bad-request", "sealed with other OAEP parameters than the archive key states");
        }
        let call = Call::Open { key: key.name.clone(), oaep: key.oaep, sealed: form.sealed.0 };
        let plain = self.token.call(call)?;
        MeetingKey::open(&plain, &self.firm, meeting, incarnation).or_else(|e| refuse("bad-request", e.to_string()))
    }
}

fn entry(now: UnixMillis, manifest: &MeetingManifest, signed: &[u8], grant: &Grant) -> LedgerEvent {
    let (request, hash) = (&grant.request, evidence::sha256(signed));
    // of two copies each opening is an entry of its own, and says which it is
    let copy = match request.names(&hash) {
        Some(Named::Paired) => SECOND_COPY,
        _ if request.paired.is_some() => "; copy 1 of 2",
        _ => "",
    };
    let note = format!(
        "case {}; approved by {}; {} to {} ms; until {}; manifest {}{copy}",
        request.case,
        grant.approver.participant.uri(),
        request.from_ms,
        request.to_ms,
        grant.until.0,
        hex::encode(hash),
    );
    LedgerEvent {
        at: now,
        actor: grant.requester.participant.uri(),
        action: "open".to_owned(),
        meeting: manifest.meeting.clone(),
        note,
    }
}

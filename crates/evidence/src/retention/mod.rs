//! What becomes of a meeting after it was closed: acts that two officers sign (raise, hold, release, dispose), the book of
//! one meeting that keeps them in order, and the rules of a book ([`Standing`]).
//!
//! Each entry of a book is a leaf of the firm's log before anything is done. The recorder decides by this module, the
//! verifier checks by it. No I/O, no clock.

mod standing;

pub use standing::{CLASSES, Class, Held, Phase, Refusal, Standing, class};

use crate::archive::Digest;
use crate::cbor;
use crate::cose;
use crate::grant::{self, GrantError, MAX_CASE, MAX_REASON, MAX_REQUEST_AGE_MS, Part, Subject};
use crate::identity::TrustMap;
use domain::{B64, FirmId, MeetingId, ParticipantId, UnixMillis};
use serde::{Deserialize, Serialize};

/// COSE label of an act.
pub const ACT_LABEL: &str = "strongroom retention act v1";
/// COSE label of the second officer's consent.
pub const CONSENT_LABEL: &str = "strongroom retention consent v1";
/// Entries of one book: a case a month over the longest class, placed and lifted, with room to spare.
pub const MAX_ENTRIES: u64 = 1_000;

/// What is to become of a meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum What {
    /// Keep it for so many years from its end; only ever more than before.
    Raise {
        /// Years of a [`Class`].
        years: u16,
    },
    /// Nothing of it may go while the case is open, whatever the date.
    Hold {},
    /// The case is closed.
    Release {},
    /// Its time is over: destroy the keys, then the rest.
    Dispose {},
}

impl What {
    /// As in commands and reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Raise { .. } => "raise",
            Self::Hold {} => "hold",
            Self::Release {} => "release",
            Self::Dispose {} => "dispose",
        }
    }
}

/// What the first officer signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// Whose archive.
    pub firm: FirmId,
    /// Which meeting.
    pub meeting: MeetingId,
    /// SHA-256 of the signed meeting manifest.
    pub manifest_hash: B64,
    /// What is to be done.
    pub what: What,
    /// Case: it names a hold, and its release.
    pub case: String,
    /// Why.
    pub reason: String,
    /// When it was signed.
    pub issued_at: UnixMillis,
}

/// What the second officer signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// SHA-256 of the signed act, as received.
    pub act_hash: B64,
    /// When it was signed.
    pub issued_at: UnixMillis,
}

/// An act that two officers of the firm signed, neither of whom was in the meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The act.
    pub act: Act,
    /// Who signed it.
    pub first: ParticipantId,
    /// Who consented.
    pub second: ParticipantId,
    /// The earlier of both signatures' times.
    pub signed_at: UnixMillis,
}

/// Judges an act and its consent, for a meeting whose manifest was verified. `now`: when it is to be carried out.
///
/// # Errors
/// [`GrantError`] saying which half fails and why.
pub fn judge(
    trust: &TrustMap,
    subject: Subject<'_>,
    act: &[u8],
    consent: &[u8],
    now: UnixMillis,
) -> Result<Judged, GrantError> {
    let judged = judge_signatures(trust, subject.firm, act, consent, now)?;
    is_about(subject, &judged.act)?;
    was_not_in(subject, Part::Request, &judged.first)?;
    was_not_in(subject, Part::Approval, &judged.second)?;
    Ok(judged)
}

/// Judges the first officer's half alone, for whoever shows it to a second. It carries out nothing.
///
/// # Errors
/// [`GrantError`] saying why.
pub fn judge_first(
    trust: &TrustMap,
    subject: Subject<'_>,
    act: &[u8],
    now: UnixMillis,
) -> Result<(Act, ParticipantId), GrantError> {
    let (asked, first) = signed_act(trust, subject.firm, act, now)?;
    is_about(subject, &asked)?;
    was_not_in(subject, Part::Request, &first)?;
    Ok((asked, first))
}

fn is_about(subject: Subject<'_>, act: &Act) -> Result<(), GrantError> {
    if act.meeting == *subject.meeting && act.manifest_hash.as_slice() == subject.manifest_hash {
        Ok(())
    } else {
        Err(GrantError::Other(Part::Request, "another meeting or manifest"))
    }
}

fn was_not_in(subject: Subject<'_>, part: Part, person: &ParticipantId) -> Result<(), GrantError> {
    let same = |member: &ParticipantId| member.firm == person.firm && member.user == person.user;
    if subject.roster.iter().any(same) { Err(GrantError::InRoster(part)) } else { Ok(()) }
}

/// The same without the meeting's manifest, which a disposal destroys: signatures, roles and times.
///
/// # Errors
/// [`GrantError`] saying which half fails and why.
pub fn judge_signatures(
    trust: &TrustMap,
    firm: &FirmId,
    act: &[u8],
    consent: &[u8],
    now: UnixMillis,
) -> Result<Judged, GrantError> {
    let (asked, first) = signed_act(trust, firm, act, now)?;
    let part = Part::Approval;
    let payload = cose::payload_unverified(consent).ok_or(GrantError::Malformed(part, "not a COSE_Sign1"))?;
    let answer: Consent = cbor::decode(&payload).map_err(|_| GrantError::Malformed(part, "not a consent"))?;
    let second = grant::officer(part, CONSENT_LABEL, consent, trust, firm, answer.issued_at)?;
    if answer.act_hash.as_slice() != crate::sha256(act) {
        return Err(GrantError::Other(part, "another act"));
    }
    if first.user == second.participant.user {
        return Err(GrantError::OnePerson);
    }
    in_time(part, answer.issued_at, now)?;
    let signed_at = asked.issued_at.min(answer.issued_at);
    Ok(Judged { act: asked, first, second: second.participant, signed_at })
}

/// An act by an officer of the firm, and who that is; whatever meeting it is about.
///
/// # Errors
/// [`GrantError`] saying why it is none.
pub fn signed_act(
    trust: &TrustMap,
    firm: &FirmId,
    act: &[u8],
    now: UnixMillis,
) -> Result<(Act, ParticipantId), GrantError> {
    let part = Part::Request;
    let payload = cose::payload_unverified(act).ok_or(GrantError::Malformed(part, "not a COSE_Sign1"))?;
    let asked: Act = cbor::decode(&payload).map_err(|_| GrantError::Malformed(part, "not a retention act"))?;
    // the payload is inside the signed object, so what is verified here is what was decoded above
    let first = grant::officer(part, ACT_LABEL, act, trust, firm, asked.issued_at)?;
    if asked.firm != *firm {
        return Err(GrantError::Other(part, "another firm's archive"));
    }
    if !grant::fits(&asked.case, MAX_CASE) || !grant::fits(&asked.reason, MAX_REASON) {
        return Err(GrantError::Malformed(part, "case and reason must be given, in one line each"));
    }
    in_time(part, asked.issued_at, now)?;
    Ok((asked, first.participant))
}

/// The refusal of an act that a book has already. The second officer's signature covers every byte of it.
pub fn used() -> GrantError {
    GrantError::Other(Part::Request, "an act that was taken before; sign a new one")
}

fn in_time(part: Part, issued_at: UnixMillis, now: UnixMillis) -> Result<(), GrantError> {
    grant::not_future(part, issued_at, now)?;
    if now.since(issued_at) > MAX_REQUEST_AGE_MS { Err(GrantError::Time(part, "older than a week")) } else { Ok(()) }
}

/// What an entry of a book says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Event {
    /// The first entry: what the signed manifest said. It outlives the manifest, which holds the sealed keys.
    Kept {
        /// The meeting ended.
        ended_at: UnixMillis,
        /// Kept until, by the manifest.
        retain_until: UnixMillis,
        /// Names of its objects in a store begin so.
        prefix: String,
        /// `proof.cbor`: the manifest's place in the firm's log.
        proof: B64,
    },
    /// Two officers' will; written before it is carried out.
    Act {
        /// [`Act`], COSE_Sign1 by the first officer.
        act: B64,
        /// [`Consent`], COSE_Sign1 by the second.
        consent: B64,
    },
    /// The tombstone: a disposal was carried out to its end.
    Disposed {
        /// Of them those that held sealed keys; they went first, in all places.
        keys: u64,
        /// All files and object versions that the last run of it destroyed.
        objects: u64,
        /// Where: `local`, and the stores' names.
        places: Vec<String>,
    },
}

/// One entry of a meeting's book; the data of its leaf in the firm's log is the SHA-256 of its CBOR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Always 1.
    pub version: u16,
    /// Whose.
    pub firm: FirmId,
    /// Which meeting.
    pub meeting: MeetingId,
    /// SHA-256 of the signed meeting manifest.
    pub manifest_hash: Digest,
    /// Position, from 0.
    pub index: u64,
    /// SHA-256 of the entry before; 32 zero bytes in the first.
    pub previous: Digest,
    /// When, by the recorder's clock.
    pub at: UnixMillis,
    /// What.
    pub event: Event,
}

impl Entry {
    /// Its bytes.
    pub fn to_cbor(&self) -> Vec<u8> {
        cbor::encode(self)
    }
    /// Reads them.
    pub fn from_cbor(bytes: &[u8]) -> Option<Self> {
        cbor::decode(bytes).ok()
    }
}

/// Why a book does not hold, and where it begins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {index}: {fault}")]
pub struct BookError {
    /// First entry that does not hold.
    pub index: u64,
    /// Why.
    pub fault: BookFault,
}

/// Why an entry does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BookFault {
    /// Not an entry, or of another firm, meeting or version.
    #[error("not an entry of this meeting's book")]
    Malformed,
    /// An entry was taken out, put in, moved or changed.
    #[error("it does not continue the entry before")]
    Chain,
    /// The two signatures.
    #[error(transparent)]
    Act(#[from] GrantError),
    /// The rules.
    #[error(transparent)]
    Rule(#[from] Refusal),
}

/// A book that was read and judged.
#[derive(Debug, Clone)]
pub struct Book {
    /// Which meeting.
    pub meeting: MeetingId,
    /// Which manifest.
    pub manifest_hash: Digest,
    /// Names of its objects begin so.
    pub prefix: String,
    /// `proof.cbor` of the manifest.
    pub proof: B64,
    /// What holds now.
    pub standing: Standing,
    /// Entries.
    pub next: u64,
    /// SHA-256 of the last one.
    pub last: Digest,
    /// All entries with the acts in them, judged.
    pub entries: Vec<(Entry, Option<Judged>)>,
}

impl Book {
    /// Reads a whole book from its entries' bytes.
    ///
    /// # Errors
    /// [`BookError`] naming the first entry that does not hold.
    pub fn read<'a>(
        trust: &TrustMap,
        firm: &FirmId,
        entries: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, BookError> {
        let at = |index, fault| BookError { index, fault };
        let mut all = entries.into_iter();
        let first = all.next().ok_or(at(0, BookFault::Malformed))?;
        let entry = Entry::from_cbor(first).ok_or(at(0, BookFault::Malformed))?;
        let Event::Kept { ended_at, retain_until, prefix, proof } = &entry.event else {
            return Err(at(0, BookFault::Malformed));
        };
        if entry.version != 1 || entry.firm != *firm || entry.index != 0 || entry.previous != Digest([0; 32]) {
            return Err(at(0, BookFault::Chain));
        }
        // the prefix becomes a path
        let ours = prefix.starts_with(&format!("{firm}/")) && prefix.ends_with(&format!("/{}/", entry.meeting));
        if !ours || prefix.contains("..") {
            return Err(at(0, BookFault::Malformed));
        }
        let mut book = Self {
            meeting: entry.meeting.clone(),
            manifest_hash: entry.manifest_hash,
            prefix: prefix.clone(),
            proof: proof.clone(),
            standing: Standing::new(*ended_at, *retain_until),
            next: 1,
            last: crate::archive::sha256(first),
            entries: vec![(entry.clone(), None)],
        };
        for bytes in all {
            book.take(trust, firm, bytes).map_err(|fault| at(book.next, fault))?;
        }
        Ok(book)
    }

    /// Judges one entry as the continuation of this book.
    ///
    /// # Errors
    /// [`BookFault`]; the book is as before then.
    pub fn take(&mut self, trust: &TrustMap, firm: &FirmId, bytes: &[u8]) -> Result<(), BookFault> {
        let entry = Entry::from_cbor(bytes).ok_or(BookFault::Malformed)?;
        if entry.version != 1 || entry.firm != *firm || entry.meeting != self.meeting || self.next >= MAX_ENTRIES {
            return Err(BookFault::Malformed);
        }
        let follows = entry.index == self.next && entry.previous == self.last;
        if !follows || entry.manifest_hash != self.manifest_hash {
            return Err(BookFault::Chain);
        }
        let judged = match &entry.event {
            Event::Kept { .. } => return Err(BookFault::Chain),
            Event::Disposed { .. } => {
                self.standing.finish(entry.at)?;
                None
            }
            Event::Act { act, .. } if self.has(act) => return Err(used().into()),
            Event::Act { act, consent } => {
                let judged = judge_signatures(trust, firm, act, consent, entry.at)?;
                let same = judged.act.manifest_hash.as_slice() == self.manifest_hash.0;
                if judged.act.meeting != self.meeting || !same {
                    return Err(GrantError::Other(Part::Request, "another meeting or manifest").into());
                }
                self.standing.take(entry.at, &judged)?;
                Some(judged)
            }
        };
        self.next += 1;
        self.last = crate::archive::sha256(bytes);
        self.entries.push((entry, judged));
        Ok(())
    }

    /// Was this signed act taken before? An act is good for once: a release that was carried out lifts no later hold.
    pub fn has(&self, act: &[u8]) -> bool {
        let same = |(entry, _): &(Entry, Option<Judged>)| matches!(&entry.event, Event::Act { act: taken, .. } if taken.as_slice() == act);
        self.entries.iter().any(same)
    }

    /// The entry that follows.
    pub fn entry(&self, firm: &FirmId, at: UnixMillis, event: Event) -> Entry {
        Entry {
            version: 1,
            firm: firm.clone(),
            meeting: self.meeting.clone(),
            manifest_hash: self.manifest_hash,
            index: self.next,
            previous: self.last,
            at,
            event,
        }
    }
}

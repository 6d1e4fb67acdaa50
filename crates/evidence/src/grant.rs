//! Grants to open an archived meeting: a request by one compliance officer, an approval by another.
//!
//! Both are COSE_Sign1 by compliance leaves (x5chain), judged at the time they were issued. Custody *archive* decides by
//! this module, the front shows by it, the verifier checks by it. Nothing is opened here.

use crate::cbor;
use crate::cose::{self, CoseError};
use crate::identity::{Identity, TrustMap};
use crate::sha256;
use domain::message::custody::LeafRole;
use domain::{B64, FirmId, MeetingId, ParticipantId, UnixMillis};
use serde::{Deserialize, Serialize};

/// COSE label of a request.
pub const REQUEST_LABEL: &str = "strongroom replay request v1";
/// COSE label of an approval.
pub const APPROVAL_LABEL: &str = "strongroom replay approval v1";
/// COSE label of an administrator's consent to a statement: the payload is `statement::encode`'s bytes.
pub const STATEMENT_CONSENT_LABEL: &str = "strongroom statement consent v1";
/// A grant lasts one working day at most.
pub const MAX_GRANT_MS: u64 = 8 * 3600 * 1000;
/// A request waits for its approval one week at most; then it is made anew.
pub const MAX_REQUEST_AGE_MS: u64 = 7 * 24 * 3600 * 1000;
/// Clocks of officers and of custody may differ so much.
pub const CLOCK_SKEW_MS: u64 = 60_000;
/// Longest case number.
pub const MAX_CASE: usize = 100;
/// Longest reason.
pub const MAX_REASON: usize = 1000;

/// What an officer asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Whose archive.
    pub firm: FirmId,
    /// Which meeting.
    pub meeting: MeetingId,
    /// SHA-256 of the signed meeting manifest, as received.
    pub manifest_hash: B64,
    /// Case number.
    pub case: String,
    /// Why.
    pub reason: String,
    /// Begin of the interval, ms from the meeting's begin.
    pub from_ms: u64,
    /// End of the interval, ms from the meeting's begin.
    pub to_ms: u64,
    /// When it was signed.
    pub issued_at: UnixMillis,
    /// What may leave the firm with a copy, besides the copy itself; the second officer signs for it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed: Option<Handed>,
    /// SHA-256 of the signed manifest of the paired recorder's copy, where the firm has two: both are opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired: Option<B64>,
}

/// Which copy of a meeting a manifest is, for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The one that a request names first.
    First,
    /// The paired recorder's.
    Paired,
}

impl Request {
    /// Which of the copies that are asked for has this manifest; `None`: none.
    pub fn names(&self, manifest_hash: &[u8; 32]) -> Option<Named> {
        if self.manifest_hash.as_slice() == manifest_hash {
            return Some(Named::First);
        }
        let paired = self.paired.as_ref()?;
        (paired.as_slice() == manifest_hash).then_some(Named::Paired)
    }
}

/// What may leave with an evidence bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Handed {
    /// The meeting keys: whoever has the bundle can open all of the meeting.
    Keys,
}

/// What a second officer answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// SHA-256 of the signed request, as received.
    pub request_hash: B64,
    /// The grant ends.
    pub until: UnixMillis,
    /// When it was signed.
    pub issued_at: UnixMillis,
}

/// What is asked to be opened, taken from a manifest that was verified before.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Whose archive.
    pub firm: &'a FirmId,
    /// Which meeting.
    pub meeting: &'a MeetingId,
    /// SHA-256 of the signed manifest: the first copy's or the paired one's.
    pub manifest_hash: [u8; 32],
    /// Who was in the meeting.
    pub roster: &'a [ParticipantId],
}

/// Two officers' will, judged.
#[derive(Debug, Clone)]
pub struct Grant {
    /// The request.
    pub request: Request,
    /// Who asked.
    pub requester: Identity,
    /// Who approved.
    pub approver: Identity,
    /// The grant ends.
    pub until: UnixMillis,
}

/// Why there is no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// Not a request or approval in form, or a value out of its range.
    #[error("the {0} is malformed: {1}")]
    Malformed(Part, &'static str),
    /// Not signed by a certificate of the firm.
    #[error("the {0} is not signed as it must be: {1}")]
    Signature(Part, CoseError),
    /// Signed by somebody without the compliance role, or of another firm.
    #[error("the {0} is not by a compliance officer of the firm")]
    Role(Part),
    /// About another meeting, manifest or request.
    #[error("the {0} is about something else: {1}")]
    Other(Part, &'static str),
    /// One and the same person.
    #[error("requester and approver are the same person; a second officer must approve")]
    OnePerson,
    /// An officer was in the meeting.
    #[error("the {0} is by somebody who was in the meeting")]
    InRoster(Part),
    /// Too early, too late, or for too long.
    #[error("the {0} is out of time: {1}")]
    Time(Part, &'static str),
}

/// Which half of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first officer's.
    Request,
    /// The second officer's.
    Approval,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Approval => "approval",
        })
    }
}

pub(crate) fn fits(text: &str, longest: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= longest && !text.chars().any(char::is_control)
}

pub(crate) fn not_future(part: Part, issued_at: UnixMillis, now: UnixMillis) -> Result<(), GrantError> {
    if issued_at.since(now) > CLOCK_SKEW_MS { Err(GrantError::Time(part, "signed in the future")) } else { Ok(()) }
}

pub(crate) fn officer(
    part: Part,
    label: &str,
    signed: &[u8],
    trust: &TrustMap,
    firm: &FirmId,
    issued_at: UnixMillis,
) -> Result<Identity, GrantError> {
    let (_, identity) =
        cose::verify_by_leaf(label, signed, trust, issued_at.seconds()).map_err(|e| GrantError::Signature(part, e))?;
    let fits = identity.role == LeafRole::Compliance && identity.participant.firm == *firm;
    if fits { Ok(identity) } else { Err(GrantError::Role(part)) }
}

/// Judges a request alone: who signed it, and whether it is well formed and fresh.
///
/// # Errors
/// [`GrantError`] about [`Part::Request`].
pub fn judge_request(
    trust: &TrustMap,
    firm: &FirmId,
    signed: &[u8],
    now: UnixMillis,
) -> Result<(Request, Identity), GrantError> {
    let part = Part::Request;
    let payload = cose::payload_unverified(signed).ok_or(GrantError::Malformed(part, "not a COSE_Sign1"))?;
    let request: Request = cbor::decode(&payload).map_err(|_| GrantError::Malformed(part, "not a request"))?;
    // the payload is inside the signed object, so what is verified here is what was decoded above
    let requester = officer(part, REQUEST_LABEL, signed, trust, firm, request.issued_at)?;
    if request.firm != *firm {
        return Err(GrantError::Other(part, "another firm's archive"));
    }
    if !fits(&request.case, MAX_CASE) || !fits(&request.reason, MAX_REASON) {
        return Err(GrantError::Malformed(part, "case and reason must be given, in one line each"));
    }
    if request.from_ms >= request.to_ms {
        return Err(GrantError::Malformed(part, "its interval is empty"));
    }
    not_future(part, request.issued_at, now)?;
    if now.since(request.issued_at) > MAX_REQUEST_AGE_MS {
        return Err(GrantError::Time(part, "older than a week"));
    }
    Ok((request, requester))
}

/// Judges request and approval together, for a meeting whose manifest was verified.
///
/// # Errors
/// [`GrantError`] saying which half fails and why.
pub fn judge(
    trust: &TrustMap,
    subject: Subject<'_>,
    request: &[u8],
    approval: &[u8],
    now: UnixMillis,
) -> Result<Grant, GrantError> {
    let (asked, requester) = judge_request(trust, subject.firm, request, now)?;
    if asked.meeting != *subject.meeting || asked.names(&subject.manifest_hash).is_none() {
        return Err(GrantError::Other(Part::Request, "another meeting or manifest"));
    }
    let part = Part::Approval;
    let payload = cose::payload_unverified(approval).ok_or(GrantError::Malformed(part, "not a COSE_Sign1"))?;
    let answer: Approval = cbor::decode(&payload).map_err(|_| GrantError::Malformed(part, "not an approval"))?;
    let approver = officer(part, APPROVAL_LABEL, approval, trust, subject.firm, answer.issued_at)?;
    if answer.request_hash.as_slice() != sha256(request) {
        return Err(GrantError::Other(part, "another request"));
    }
    if requester.participant.user == approver.participant.user {
        return Err(GrantError::OnePerson);
    }
    let was_in = |who: &Identity| {
        let person = &who.participant;
        subject.roster.iter().any(|member| member.firm == person.firm && member.user == person.user)
    };
    if was_in(&requester) {
        return Err(GrantError::InRoster(Part::Request));
    }
    if was_in(&approver) {
        return Err(GrantError::InRoster(part));
    }
    not_future(part, answer.issued_at, now)?;
    if answer.until.since(answer.issued_at) > MAX_GRANT_MS {
        return Err(GrantError::Time(part, "longer than eight hours"));
    }
    if now > answer.until {
        return Err(GrantError::Time(part, "the grant has ended"));
    }
    Ok(Grant { request: asked, requester, approver, until: answer.until })
}

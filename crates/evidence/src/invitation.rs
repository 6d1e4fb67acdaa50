//! An invitation of a guest: signed by a member of the inviting firm with the certificate beside it. With it, and the one-time
//! code that came another way, the firm's people token certifies the guest; signaling lets nobody wait at the door of another
//! room by it, and every client shows by it who invited whom.

use crate::cose::{self, CoseError};
use crate::identity::{Identity, MAX_NAME, TrustMap, hidden};
use domain::message::custody::LeafRole;
use domain::{ParticipantId, RoomId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

/// COSE label.
pub const LABEL: &str = "strongroom invitation v1";
/// Largest signed one: certificate, signature and some hundred bytes.
pub const MAX: usize = 12 * 1024;
/// Users whose ids begin so are guests; no member is certified under such a name.
pub const PREFIX: &str = "guest-";
/// Longest time before the meeting that somebody is invited, ms: what is longer ago is asked for again.
pub const MAX_AHEAD_MS: u64 = 31 * 24 * 3_600_000;
/// Longest time in which it can be used, ms: a meeting's day.
pub const MAX_SPAN_MS: u64 = 12 * 3_600_000;
/// Guests may come so long before, ms: to try camera and microphone.
pub const EARLY_MS: u64 = 15 * 60_000;
/// Clocks differ so much, ms.
const SKEW_MS: u64 = 60_000;
/// Letters and digits of a code: without those that are read as another.
pub const ALPHABET: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";
/// Characters of a code: 49 bits, of which eight tries are none.
pub const CODE: usize = 10;

/// What a member signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invitation {
    /// Whereto.
    pub room: RoomId,
    /// The guest's id at the inviting firm: `guest-` and 16 hexadecimal digits, random, used for this invitation alone.
    pub guest: UserId,
    /// The name that everybody sees.
    pub name: String,
    /// [`code_hash`] of the code that the guest is told by another way.
    #[serde(with = "serde_bytes")]
    pub code_hash: [u8; 32],
    /// The member's clock.
    pub issued_at: UnixMillis,
    /// From then on it can be used ...
    pub valid_from: UnixMillis,
    /// ... until then.
    pub valid_until: UnixMillis,
}

/// Why one is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvitationError {
    /// Signature or certificate.
    #[error("it is not signed by a member: {0}")]
    Signature(#[from] CoseError),
    /// Signed, but no invitation, or beyond what one may say.
    #[error("the signed bytes are no invitation")]
    Malformed,
    /// Signed by somebody who is no member of a firm.
    #[error("only members invite")]
    NotAMember,
    /// Of the future or of another day.
    #[error("it does not hold now")]
    NotNow,
    /// For another room, guest or firm than the one that comes with it.
    #[error("it is for somebody else, or for another room")]
    Other,
}

/// An invitation that judged well, and who invites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invited {
    /// What it says.
    pub invitation: Invitation,
    /// By its certificate.
    pub inviter: Identity,
}

/// The payload to sign.
pub fn encode(invitation: &Invitation) -> Vec<u8> {
    crate::cbor::encode(invitation)
}

/// As people type it: small letters and gaps do not matter.
pub fn normal(code: &str) -> String {
    code.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_uppercase()).collect()
}

/// What stands in the invitation for a code.
pub fn code_hash(guest: &UserId, code: &str) -> [u8; 32] {
    let mut all = b"strongroom invitation code v1".to_vec();
    for part in [guest.as_str(), &normal(code)] {
        all.extend((part.len() as u32).to_be_bytes());
        all.extend_from_slice(part.as_bytes());
    }
    crate::sha256(&all)
}

fn is_guest(user: &UserId) -> bool {
    let digits = user.as_str().strip_prefix(PREFIX);
    digits
        .is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
}

fn in_range(read: &Invitation) -> bool {
    let name = read.name.trim();
    is_guest(&read.guest)
        && !name.is_empty()
        && name == read.name
        && name.chars().count() <= MAX_NAME
        && !name.chars().any(|c| c.is_control() || hidden(c))
        && read.valid_from < read.valid_until
        && read.valid_until.since(read.valid_from) <= MAX_SPAN_MS
        && read.valid_until.since(read.issued_at) <= MAX_AHEAD_MS
}

/// Judges one at `now`, whoever it is for. The inviter's certificate held when it was issued: it ends sooner than most
/// meetings begin.
pub fn judge(trust: &TrustMap, signed: &[u8], now: UnixMillis) -> Result<Invited, InvitationError> {
    if signed.len() > MAX {
        return Err(InvitationError::Malformed);
    }
    let read = |payload: &[u8]| crate::cbor::decode::<Invitation>(payload).map_err(|_| InvitationError::Malformed);
    let claimed = read(&cose::payload_unverified(signed).ok_or(InvitationError::Malformed)?)?;
    let (payload, inviter) = cose::verify_by_leaf(LABEL, signed, trust, claimed.issued_at.seconds())?;
    let invitation = read(&payload)?;
    if !in_range(&invitation) {
        return Err(InvitationError::Malformed);
    }
    if inviter.role != LeafRole::Member {
        return Err(InvitationError::NotAMember);
    }
    if invitation.issued_at > now.plus(SKEW_MS) || now > invitation.valid_until {
        return Err(InvitationError::NotNow);
    }
    Ok(Invited { invitation, inviter })
}

/// Judges one that a guest brings to a room: for this guest of the inviter's firm, for this room, usable now.
pub fn judge_guest(
    trust: &TrustMap,
    signed: &[u8],
    guest: &ParticipantId,
    room: &RoomId,
    now: UnixMillis,
) -> Result<Invited, InvitationError> {
    let invited = judge(trust, signed, now)?;
    let Invitation { room: whereto, guest: user, valid_from, .. } = &invited.invitation;
    if invited.inviter.participant.firm != guest.firm || *user != guest.user || whereto != room {
        return Err(InvitationError::Other);
    }
    if now.plus(EARLY_MS + SKEW_MS) < *valid_from {
        return Err(InvitationError::NotNow);
    }
    Ok(invited)
}

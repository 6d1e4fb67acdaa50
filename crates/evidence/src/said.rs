//! What a member says to the meeting besides sound and picture: a chat line. Signed by its leaf key with the certificate
//! beside it, so that an archive proves who said it years later; the words are sealed (`e2ee::said`), the rest is not.
//!
//! It travels inside an MLS application message: signaling sees none of it. Owns form and judgement; knows no key.

use crate::cose::{self, CoseError};
use crate::identity::{Identity, TrustMap, inspect};
use domain::{Epoch, MeetingId, UnixMillis};
use serde::{Deserialize, Serialize};

/// COSE label.
pub const LABEL: &str = "strongroom said v1";
/// Longest chat line, bytes of UTF-8: two pages of text.
pub const MAX_TEXT: usize = 4_000;
/// Bytes that sealing adds: nonce and tag.
pub const SEAL: usize = 12 + 16;
/// A signed object with certificate and signature: longer is no word of a member.
pub const MAX_SIGNED: usize = 16 * 1024;
/// A member whose certificate ran out stays in the meeting so long, s (signaling removes it then).
const EXPIRED_S: u64 = 3_600;

/// One thing said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// In which meeting.
    pub meeting: MeetingId,
    /// Under whose base key it is sealed.
    pub epoch: Epoch,
    /// Counts what this certificate says in this meeting, from 1: what is missing shows.
    pub sequence: u64,
    /// The sender's clock.
    pub at: UnixMillis,
    /// What.
    pub what: What,
}

/// Kinds of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum What {
    /// A chat line.
    Text {
        /// The words, sealed.
        #[serde(with = "serde_bytes")]
        sealed: Vec<u8>,
    },
}

impl What {
    fn is_in_range(&self) -> bool {
        match self {
            Self::Text { sealed } => (SEAL + 1..=SEAL + MAX_TEXT).contains(&sealed.len()),
        }
    }
}

/// Why it is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SaidError {
    /// Not signed by who says it.
    #[error("it is not signed by its sender: {0}")]
    Signature(#[from] CoseError),
    /// The certificate in it is another one than the member's.
    #[error("it carries another certificate than its sender's")]
    OtherCertificate,
    /// Signed, but nothing that is said in a meeting, or out of range.
    #[error("the signed bytes are nothing that is said in a meeting")]
    Malformed,
}

/// The payload to sign.
pub fn encode(said: &Said) -> Vec<u8> {
    crate::cbor::encode(said)
}

fn read(payload: &[u8]) -> Result<Said, SaidError> {
    let said: Said = crate::cbor::decode(payload).map_err(|_| SaidError::Malformed)?;
    if said.sequence > 0 && said.what.is_in_range() { Ok(said) } else { Err(SaidError::Malformed) }
}

/// Judges what a member of the group says: the certificate in it is the one of its leaf.
pub fn judge_member(member: &Identity, signed: &[u8]) -> Result<Said, SaidError> {
    if signed.len() > MAX_SIGNED {
        return Err(SaidError::Malformed);
    }
    let certificate = cose::certificate(signed).ok_or(CoseError::NoCertificate)?;
    if crate::sha256(&certificate) != member.certificate_hash {
        return Err(SaidError::OtherCertificate);
    }
    read(&cose::verify(LABEL, signed, &member.public_key)?)
}

/// Judges what an archive kept at `at`: by the certificate in it, under the firms' roots. One that ran out within the hour
/// before counts, as it did in the meeting.
pub fn judge_kept(trust: &TrustMap, signed: &[u8], at: UnixMillis) -> Result<(Said, Identity), SaidError> {
    if signed.len() > MAX_SIGNED {
        return Err(SaidError::Malformed);
    }
    let certificate = cose::certificate(signed).ok_or(CoseError::NoCertificate)?;
    let end = inspect(&certificate).map_err(CoseError::Certificate)?.not_after_s;
    let at_s = if at.seconds() <= end + EXPIRED_S { at.seconds().min(end) } else { at.seconds() };
    let (payload, identity) = cose::verify_by_leaf(LABEL, signed, trust, at_s)?;
    Ok((read(&payload)?, identity))
}

/// What it says, unverified: to count what was judged before.
pub fn read_unverified(signed: &[u8]) -> Option<Said> {
    read(&cose::payload_unverified(signed)?).ok()
}

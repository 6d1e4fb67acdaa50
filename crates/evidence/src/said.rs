//! What a member says to the meeting besides sound and picture: a chat line, what the meeting is about, that its firm's copy
//! is to stand still, that it wants a copy. Signed by its leaf key with the certificate beside it, so that an archive proves
//! who said it years later; the words of the chat are sealed (`e2ee::said`), the rest is not.
//!
//! It travels inside an MLS application message: signaling sees none of it. Owns form and judgement; knows no key.

use crate::archive::Digest;
use crate::cose::{self, CoseError};
use crate::identity::{Identity, TrustMap, inspect};
use domain::limits::PAUSE_MAX_MS;
use domain::policy::{Copies, Rule, Statement};
use domain::{BlobId, Epoch, FirmId, MeetingId, ParticipantId, UnixMillis};
use serde::{Deserialize, Serialize};

/// COSE label.
pub const LABEL: &str = "strongroom said v1";
/// Longest chat line, bytes of UTF-8: two pages of text.
pub const MAX_TEXT: usize = 4_000;
/// Bytes that sealing adds: nonce and tag.
pub const SEAL: usize = 12 + 16;
/// Longest card of a file, bytes before it is sealed: name and type at their longest, key and digest.
pub const MAX_CARD: usize = 640;
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
    /// A file: its ciphertext lies at signaling for a while, and in the archives that keep it.
    File {
        /// Its name at signaling.
        blob: BlobId,
        /// Bytes before it is sealed.
        size: u64,
        /// SHA-256 of all sealed chunks in order.
        ciphertext: Digest,
        /// `e2ee::file::Card`, sealed as words are: name, type, key, SHA-256 of the file.
        #[serde(with = "serde_bytes")]
        sealed: Vec<u8>,
    },
    /// What the meeting is about, to find it by: in clear in each firm's own archive.
    Tags {
        /// Trade ids, as the firm's books have them.
        trades: Vec<String>,
        /// Counterparties by their LEI (ISO 17442).
        counterparties: Vec<String>,
    },
    /// The sender's firm keeps no sound and picture for a while.
    Pause {
        /// Why.
        reason: PauseReason,
        /// It ends by itself after, ms.
        at_most_ms: u64,
    },
    /// The sender's firm keeps sound and picture again.
    Resume {},
    /// The sender asks the own firm for a copy.
    CopyWanted {
        /// Language of the person, as a BCP 47 tag.
        language: String,
    },
}

/// Why a record stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PauseReason {
    /// A card's number or code is said (PCI DSS forbids to keep it, sealed or not).
    PaymentCard,
    /// Something that law forbids this firm to keep.
    Legal,
}

/// Tags in one go.
pub const MAX_TAGS: usize = 20;
/// Longest trade id, bytes.
pub const MAX_TRADE: usize = 64;
/// Longest language tag.
const MAX_LANGUAGE: usize = 16;

/// An LEI: 18 letters and digits, and two check digits over them (ISO 17442, ISO 7064 modulo 97-10).
pub fn is_lei(text: &str) -> bool {
    let value = |c: char| match c {
        '0'..='9' => Some(u32::from(c) - u32::from('0')),
        'A'..='Z' => Some(u32::from(c) - u32::from('A') + 10),
        _ => None,
    };
    let step = |rest: u32, c: char| value(c).map(|v| (rest * if v < 10 { 10 } else { 100 } + v) % 97);
    text.len() == 20 && text.ends_with(|c: char| c.is_ascii_digit()) && text.chars().try_fold(0, step) == Some(1)
}

fn is_trade(text: &str) -> bool {
    (1..=MAX_TRADE).contains(&text.len()) && text.trim() == text && !text.chars().any(char::is_control)
}

impl What {
    /// Within the limits of its kind?
    pub fn is_in_range(&self) -> bool {
        match self {
            Self::Text { sealed } => (SEAL + 1..=SEAL + MAX_TEXT).contains(&sealed.len()),
            Self::File { size, sealed, .. } => {
                domain::files::chunks(*size).is_some() && (SEAL + 1..=SEAL + MAX_CARD).contains(&sealed.len())
            }
            Self::Tags { trades, counterparties } => {
                (1..=MAX_TAGS).contains(&(trades.len() + counterparties.len()))
                    && trades.iter().all(|trade| is_trade(trade))
                    && counterparties.iter().all(|lei| is_lei(lei))
            }
            Self::Pause { at_most_ms, .. } => (1..=PAUSE_MAX_MS).contains(at_most_ms),
            Self::Resume {} => true,
            Self::CopyWanted { language } => (1..=MAX_LANGUAGE).contains(&language.len()),
        }
    }

    /// May this participant say it, under these statements? `Err` names the rule.
    pub fn allowed(&self, who: &ParticipantId, statements: &[Statement]) -> Result<(), Forbidden> {
        let own = statements.iter().find(|statement| statement.firm == who.firm);
        match self {
            Self::Text { .. } => match statements.iter().find(|one| one.chat == Rule::Forbidden) {
                Some(one) => Err(Forbidden::Chat(one.firm.clone())),
                None => Ok(()),
            },
            Self::File { .. } => match statements.iter().find(|one| one.files == Rule::Forbidden) {
                Some(one) => Err(Forbidden::Files(one.firm.clone())),
                None => Ok(()),
            },
            Self::Tags { .. } => Ok(()),
            Self::Pause { at_most_ms, .. } => {
                let rule = own.and_then(|own| own.pause.as_ref()).filter(|rule| rule.by.contains(&who.user));
                let rule = rule.ok_or(Forbidden::Pause)?;
                if *at_most_ms <= rule.at_most_ms { Ok(()) } else { Err(Forbidden::TooLong) }
            }
            Self::Resume {} => {
                let named = own.and_then(|own| own.pause.as_ref()).is_some_and(|rule| rule.by.contains(&who.user));
                if named { Ok(()) } else { Err(Forbidden::Pause) }
            }
            Self::CopyWanted { .. } => match own.map(|own| own.copies) {
                Some(Copies::OnRequest) => Ok(()),
                _ => Err(Forbidden::Copy),
            },
        }
    }
}

/// Why something may not be said. The text is a stable code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// A firm forbids chat here.
    #[error("forbidden:{0}")]
    Chat(FirmId),
    /// A firm forbids files here.
    #[error("forbidden:{0}")]
    Files(FirmId),
    /// The firm's statement does not name this person among those who may pause its copy.
    #[error("no-pause")]
    Pause,
    /// Longer than the firm's statement allows.
    #[error("pause-too-long")]
    TooLong,
    /// The firm gives no copies.
    #[error("no-copies")]
    Copy,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(firm: &str) -> Statement {
        let text = serde_json::json!({
            "version": 1, "serial": 1, "firm": firm, "room": "deal-room", "audio_video": "must", "chat": "must",
            "files": "off", "tier": "full", "retention_years": 5, "pause": { "by": ["sam"], "at_most_ms": 60_000 },
            "recorder_grace_ms": 2_000, "archive_key_ids": [], "issued_at": 1,
        });
        serde_json::from_value(text).expect("a statement")
    }

    #[test]
    fn r16_a_recorded_trader_cannot_pause_the_record_and_who_may_cannot_for_longer_than_allowed() {
        let statements = [statement("bank-a"), statement("bank-b")];
        let may = |who: &str, what: &What| what.allowed(&who.parse().expect("an id"), &statements);
        let pause = |at_most_ms| What::Pause { reason: PauseReason::PaymentCard, at_most_ms };
        assert_eq!(may("bank-a/sam/1", &pause(60_000)), Ok(()));
        assert_eq!(may("bank-a/sam/1", &pause(60_001)), Err(Forbidden::TooLong));
        assert_eq!(may("bank-a/anna/1", &pause(1_000)), Err(Forbidden::Pause));
        assert_eq!(may("bank-a/anna/1", &What::Resume {}), Err(Forbidden::Pause));
        assert_eq!(may("bank-c/sam/1", &pause(1_000)), Err(Forbidden::Pause), "a namesake of another firm");
        let nobody = [Statement { pause: None, ..statement("bank-a") }];
        assert_eq!(pause(1_000).allowed(&"bank-a/sam/1".parse().expect("an id"), &nobody), Err(Forbidden::Pause));
    }

    #[test]
    fn r13_tags_are_trade_ids_and_checked_leis() {
        assert!(is_lei("5493001KJTIIGC8Y1R12"), "the Global LEI Foundation's own example");
        for wrong in ["5493001KJTIIGC8Y1R13", "5493001KJTIIGC8Y1R1", "5493001kjtiigc8y1r12", "5493001KJTIIGC8Y1RXX", ""]
        {
            assert!(!is_lei(wrong), "{wrong}");
        }
        let tags = |trades: Vec<String>, counterparties: Vec<&str>| {
            let counterparties = counterparties.into_iter().map(str::to_owned).collect();
            What::Tags { trades, counterparties }.is_in_range()
        };
        assert!(tags(vec!["IRS-2026-004711".into()], vec!["5493001KJTIIGC8Y1R12"]));
        assert!(!tags(vec![], vec![]));
        assert!(!tags(vec!["x".repeat(MAX_TRADE + 1)], vec![]));
        assert!(!tags(vec!["line\nbreak".into()], vec![]));
        assert!(!tags(vec!["a".into(); MAX_TAGS + 1], vec![]));
    }

    #[test]
    fn r11_a_copy_is_asked_for_only_where_the_firm_gives_copies() {
        let wanted = What::CopyWanted { language: "de".to_owned() };
        let anna = "bank-a/anna/1".parse().expect("an id");
        assert_eq!(wanted.allowed(&anna, &[statement("bank-a")]), Err(Forbidden::Copy));
        let gives = Statement { copies: Copies::OnRequest, ..statement("bank-a") };
        assert_eq!(wanted.allowed(&anna, &[gives]), Ok(()));
    }
}

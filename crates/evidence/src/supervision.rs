//! What compliance officers sign besides grants: drawing a sample of meetings, assigning a review, a note on an interval,
//! a disposition, a version of the word lists, a step in handing out a copy. One act, one COSE_Sign1 by a compliance leaf.
//!
//! Also the drawing itself: by a seed that nobody could choose, so that an examiner who has the ledger and the list of
//! meetings draws the same sample with `sha256sum` and `sort`. Judges form and signature; what an act may follow, the front
//! says. Nothing is opened here.

use crate::cbor;
use crate::cose::{self, CoseError};
use crate::grant::CLOCK_SKEW_MS;
use crate::identity::{Identity, TrustMap};
use crate::sha256;
use domain::message::custody::LeafRole;
use domain::{FirmId, MeetingId, ParticipantId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};

/// COSE label.
pub const LABEL: &str = "strongroom supervision v1";
/// An act is signed when it is sent; older ones are not taken.
pub const MAX_AGE_MS: u64 = 10 * 60_000;
/// Longest note, reason or receipt, in characters: a paragraph or two.
pub const MAX_TEXT: usize = 2_000;
/// Longest room id or LEI in a rule.
pub const MAX_NAME: usize = 100;
/// Reviews are due within a year at the latest.
pub const MAX_DUE_DAYS: u16 = 366;
/// Word lists of a firm.
pub const MAX_LISTS: usize = 20;
/// Words of one list: the lists of the large houses have some hundred. It bounds what a line of chat can cost.
pub const MAX_WORDS: usize = 200;
/// Longest word or phrase, in characters.
pub const MAX_WORD: usize = 64;

/// One act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Act {
    /// Whose archive.
    pub firm: FirmId,
    /// When it was signed.
    pub issued_at: UnixMillis,
    /// What.
    pub what: What,
}

/// What an officer does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum What {
    /// Draws a sample.
    Sample(Rule),
    /// Gives a review to an officer, or to another than before.
    Assign {
        /// Ledger index of the drawing or of the match that the review comes from.
        origin: u64,
        /// Which meeting.
        meeting: MeetingId,
        /// Who is to review.
        reviewer: UserId,
        /// Until when.
        due: UnixMillis,
    },
    /// Notes something about an interval.
    Note {
        /// As in [`What::Assign`].
        origin: u64,
        /// Which meeting.
        meeting: MeetingId,
        /// Begin, ms from the meeting's begin.
        from_ms: u64,
        /// End.
        to_ms: u64,
        /// The note.
        text: String,
    },
    /// Says how a review ended.
    Dispose {
        /// As in [`What::Assign`].
        origin: u64,
        /// Which meeting.
        meeting: MeetingId,
        /// How.
        disposition: Disposition,
        /// Why.
        text: String,
    },
    /// Replaces the word lists.
    Words {
        /// Follows the version before, from 1.
        version: u32,
        /// All of them.
        lists: Vec<WordList>,
    },
    /// A step in handing out a client's copy.
    Copy {
        /// Which meeting.
        meeting: MeetingId,
        /// Whose copy.
        client: ParticipantId,
        /// The replay request by which two officers allowed it.
        request: String,
        /// The step.
        step: CopyStep,
        /// SHA-256 of the file, hexadecimal.
        file: String,
        /// How it was handed out and who took it; what it is, while it is prepared.
        text: String,
    },
}

/// Which meetings a sample is drawn from, and how many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Of the meetings that fit, 1 to 100; rounded up.
    pub percent: u8,
    /// Of this room only; empty: of any.
    pub room: String,
    /// With this counterparty (LEI) only; empty: with any.
    pub counterparty: String,
    /// Not begun before.
    pub from: UnixMillis,
    /// Not begun after.
    pub to: UnixMillis,
    /// Days until its reviews are due.
    pub due_days: u16,
}

/// How a review ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// Nothing to object to.
    NoFinding,
    /// Something is to be done or asked; the review stays open.
    FollowUp,
    /// Handed to a higher place.
    Escalate,
}

/// Where a copy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyStep {
    /// The file is made.
    Prepared,
    /// The client has it.
    Handed,
}

/// Words that are looked for in chat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordList {
    /// One word: letters of ASCII, digits, `-`.
    pub name: String,
    /// Words and phrases; a `*` at a word's end stands for any ending.
    pub words: Vec<String>,
}

/// Why an act is not taken. The officer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// Not an act in form, or a value out of its range.
    #[error("the act is malformed: {0}")]
    Malformed(&'static str),
    /// Not signed by a certificate of the firm.
    #[error("the act is not signed as it must be: {0}")]
    Signature(#[from] CoseError),
    /// Signed by somebody without the compliance role, or about another firm's archive.
    #[error("the act is not by a compliance officer of the firm")]
    Role,
    /// Signed in the future or too long ago.
    #[error("the act is out of time")]
    Time,
}

fn line(text: &str, longest: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= longest && !text.chars().any(char::is_control)
}

/// Ids are plain: a ledger entry takes the longest of them.
fn empty_or_id(text: &str) -> bool {
    text.is_empty() || text.is_ascii() && line(text, MAX_NAME)
}

impl Rule {
    fn judge(&self) -> Result<(), ActError> {
        let good = (1..=100).contains(&self.percent)
            && (1..=MAX_DUE_DAYS).contains(&self.due_days)
            && self.from < self.to
            && empty_or_id(&self.room)
            && empty_or_id(&self.counterparty);
        if good { Ok(()) } else { Err(ActError::Malformed("1 to 100 percent, 1 to 366 days, from before to")) }
    }
}

impl What {
    fn judge(&self) -> Result<(), ActError> {
        let text_is = |good: bool| {
            if good { Ok(()) } else { Err(ActError::Malformed("a text is missing, too long or not one line")) }
        };
        match self {
            Self::Sample(rule) => rule.judge(),
            Self::Assign { .. } => Ok(()),
            Self::Note { from_ms, to_ms, .. } if from_ms > to_ms => {
                Err(ActError::Malformed("its interval ends before it begins"))
            }
            Self::Note { text, .. } | Self::Dispose { text, .. } => text_is(line(text, MAX_TEXT)),
            Self::Words { lists, .. } => words_fit(lists),
            Self::Copy { text, request, file, .. } => {
                let hash = file.len() == 64 && file.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
                text_is(line(text, MAX_TEXT) && line(request, MAX_NAME) && hash)
            }
        }
    }
}

fn words_fit(lists: &[WordList]) -> Result<(), ActError> {
    let named = |list: &WordList| {
        let name = &list.name;
        !name.is_empty() && name.len() <= 32 && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    let good = |list: &WordList| {
        named(list) && list.words.len() <= MAX_WORDS && list.words.iter().all(|word| line(word, MAX_WORD))
    };
    let once = (1..lists.len()).all(|at| lists[..at].iter().all(|list| list.name != lists[at].name));
    if lists.len() <= MAX_LISTS && lists.iter().all(good) && once {
        Ok(())
    } else {
        Err(ActError::Malformed("20 lists of 200 words of 64 characters at most, each with a name of its own"))
    }
}

/// Judges who signed an act, and its form. An act that is read again is judged as of its own time.
///
/// # Errors
/// [`ActError`].
pub fn judge(
    trust: &TrustMap,
    firm: &FirmId,
    signed: &[u8],
    now: Option<UnixMillis>,
) -> Result<(Act, Identity), ActError> {
    let payload = cose::payload_unverified(signed).ok_or(ActError::Malformed("not a COSE_Sign1"))?;
    let act: Act = cbor::decode(&payload).map_err(|_| ActError::Malformed("not an act"))?;
    // the payload is inside the signed object, so what is verified here is what was decoded above
    let (_, by) = cose::verify_by_leaf(LABEL, signed, trust, act.issued_at.seconds())?;
    if by.role != LeafRole::Compliance || by.participant.firm != *firm || act.firm != *firm {
        return Err(ActError::Role);
    }
    act.what.judge()?;
    let fresh = |now: UnixMillis| {
        act.issued_at.since(now) <= CLOCK_SKEW_MS && now.since(act.issued_at) <= MAX_AGE_MS + CLOCK_SKEW_MS
    };
    if now.is_some_and(|now| !fresh(now)) {
        return Err(ActError::Time);
    }
    Ok((act, by))
}

/// The meetings a sample is drawn from as text: a line each, `<meeting> <SHA-256 of its manifest>`, in order of their ids.
/// Its SHA-256 is in the ledger before the seed is known.
pub fn population(meetings: &[(MeetingId, [u8; 32])]) -> String {
    let mut lines: Vec<String> =
        meetings.iter().map(|(meeting, hash)| format!("{meeting} {}\n", hex::encode(hash))).collect();
    lines.sort();
    lines.concat()
}

/// Draws: the meetings with the lowest `SHA-256("<seed, hexadecimal> <meeting>")`, `percent` of them rounded up, lowest
/// first. The seed is the SHA-256 of the signed ledger entry that holds rule and population: the ledger key signs it, so
/// nobody who chose the rule knew the seed.
pub fn draw(seed: &[u8; 32], population: &str, percent: u8) -> Vec<MeetingId> {
    let seed = hex::encode(seed);
    let meetings = population.lines().filter_map(|line| line.split(' ').next()?.parse::<MeetingId>().ok());
    let mut scored: Vec<([u8; 32], MeetingId)> =
        meetings.map(|meeting| (sha256(format!("{seed} {meeting}").as_bytes()), meeting)).collect();
    scored.sort();
    let wanted = (scored.len() * usize::from(percent)).div_ceil(100);
    scored.into_iter().take(wanted).map(|(_, meeting)| meeting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meeting(n: u64) -> MeetingId {
        format!("{n:032x}").parse().expect("an id")
    }

    #[test]
    fn a_sample_is_the_same_whenever_it_is_drawn_and_another_by_another_seed() {
        let all: Vec<_> = (0..200).map(|n| (meeting(n), [7; 32])).collect();
        let mut turned = all.clone();
        turned.reverse();
        assert_eq!(population(&all), population(&turned), "the order in which meetings are found is no choice");
        let drawn = draw(&[1; 32], &population(&all), 10);
        assert_eq!(drawn.len(), 20);
        assert_eq!(drawn, draw(&[1; 32], &population(&turned), 10));
        assert_ne!(drawn, draw(&[2; 32], &population(&all), 10));
        // a larger sample has the smaller one in it, and everybody is drawn by all
        assert_eq!(draw(&[1; 32], &population(&all), 50)[..20], drawn);
        assert_eq!(draw(&[1; 32], &population(&all), 100).len(), 200);
    }

    #[test]
    fn a_share_is_rounded_up_and_of_nothing_nothing_is_drawn() {
        let few: Vec<_> = (0..3).map(|n| (meeting(n), [7; 32])).collect();
        assert_eq!(draw(&[1; 32], &population(&few), 1).len(), 1);
        assert_eq!(draw(&[1; 32], &population(&few), 34).len(), 2);
        assert_eq!(draw(&[1; 32], "", 100), []);
    }

    #[test]
    fn what_is_out_of_its_range_is_no_act() {
        let rule = |percent, due_days, from, to| {
            let (from, to) = (UnixMillis(from), UnixMillis(to));
            Rule { percent, room: String::new(), counterparty: String::new(), from, to, due_days }.judge().is_ok()
        };
        assert!(rule(1, 1, 0, 1) && rule(100, 366, 0, 1));
        assert!(!rule(0, 1, 0, 1) && !rule(101, 1, 0, 1) && !rule(1, 0, 0, 1) && !rule(1, 367, 0, 1));
        assert!(!rule(1, 1, 1, 1));
        let list = |name: &str, words: usize| WordList { name: name.to_owned(), words: vec!["word".to_owned(); words] };
        assert!(words_fit(&[list("insider", MAX_WORDS), list("pressure-2", 0)]).is_ok());
        assert!(words_fit(&[list("a b", 1)]).is_err() && words_fit(&[list("", 1)]).is_err());
        assert!(words_fit(&[list("a", MAX_WORDS + 1)]).is_err());
        assert!(words_fit(&[list("a", 1), list("a", 1)]).is_err());
        let lists: Vec<_> = (0..=MAX_LISTS).map(|n| list(&format!("l{n}"), 1)).collect();
        assert!(words_fit(&lists[1..]).is_ok() && words_fit(&lists).is_err());
    }
}

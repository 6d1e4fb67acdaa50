//! From the terms of a meeting to what binds its group: the judged statements, the clash check, and the bytes of the two
//! GroupContext extensions that every member recomputes and compares.

use crate::identity::TrustMap;
use crate::sha256;
use crate::statement::{StatementError, judge_statement};
use domain::message::client::MeetingTerms;
use domain::policy::{ContentClass, Rule, Statement};
use domain::{B64, FirmId, Kid, MeetingId, RoomId};
use serde::Serialize;

/// Extension type of `meeting_policy` (RFC 9420 section 17.3, private use).
pub const MEETING_POLICY: u16 = 0xF100;
/// Extension type of `recorders`.
pub const RECORDERS: u16 = 0xF101;
/// SFrame cipher suite of all media: AES_256_GCM_SHA512_128 (RFC 9605 section 4.5).
pub const MEDIA_SUITE: u16 = 5;
/// Firms in one meeting: a syndicate has a few dozen.
pub const MAX_FIRMS: usize = 64;

/// Why terms are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The terms were made under another trust map.
    #[error("the terms name another trust map")]
    TrustMismatch,
    /// A statement does not judge well.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A statement for another room.
    #[error("the statement of {0} is about another room")]
    WrongRoom(FirmId),
    /// A firm with people here states nothing.
    #[error("the statement of {0} is missing")]
    Missing(FirmId),
    /// Not ordered by firm, or one firm twice, or too many.
    #[error("the statements are not one per firm, ordered by firm")]
    Order,
    /// One firm must keep what another forbids to be kept.
    #[error("{must} must record what {forbidden} forbids to record ({class:?})")]
    Clash {
        /// Who must.
        must: FirmId,
        /// Who forbids.
        forbidden: FirmId,
        /// What.
        class: ContentClass,
    },
}

/// The rules of one meeting, made of verified statements only. A `should` that another firm forbids is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingRules {
    statements: Vec<Statement>,
    stated: [u8; 32],
    meeting_policy: Vec<u8>,
    recorders: Vec<u8>,
}

#[derive(Serialize)]
struct MeetingPolicy<'a> {
    version: u16,
    meeting: &'a MeetingId,
    room: &'a RoomId,
    #[serde(with = "serde_bytes")]
    statements: [u8; 32],
    #[serde(with = "serde_bytes")]
    trust: [u8; 32],
    media_suite: u16,
    kid_bits: [u32; 3],
    sframe_only: bool,
}

#[derive(Serialize)]
struct RecorderPlace<'a> {
    firm: &'a FirmId,
    archive_key_ids: &'a [String],
    classes: Vec<(ContentClass, Rule)>,
}

fn classes(statement: &Statement) -> [(ContentClass, Rule); 3] {
    [
        (ContentClass::AudioVideo, statement.audio_video),
        (ContentClass::Chat, statement.chat),
        (ContentClass::Files, statement.files),
    ]
}

fn keeps(rule: Rule) -> bool {
    matches!(rule, Rule::Must | Rule::Should)
}

fn clash(statements: &[Statement]) -> Result<(), PolicyError> {
    for must in statements {
        for forbidden in statements {
            for ((class, a), (_, b)) in classes(must).into_iter().zip(classes(forbidden)) {
                if a == Rule::Must && b == Rule::Forbidden {
                    let (must, forbidden) = (must.firm.clone(), forbidden.firm.clone());
                    return Err(PolicyError::Clash { must, forbidden, class });
                }
            }
        }
    }
    Ok(())
}

/// What one firm forbids no firm keeps: a `must` is a clash, a `should` gives way.
fn veto(statements: &mut [Statement]) {
    let rules: [fn(&mut Statement) -> &mut Rule; 3] = [|s| &mut s.audio_video, |s| &mut s.chat, |s| &mut s.files];
    for rule in rules {
        if statements.iter_mut().any(|s| *rule(s) == Rule::Forbidden) {
            statements.iter_mut().map(rule).filter(|r| **r == Rule::Should).for_each(|r| *r = Rule::Off);
        }
    }
}

/// SHA-256 over (u32 length ‖ signed statement) of each, in the order of the terms.
pub fn statements_hash(signed: &[B64]) -> [u8; 32] {
    let mut all = Vec::new();
    for one in signed {
        all.extend((one.len() as u32).to_be_bytes());
        all.extend_from_slice(one);
    }
    sha256(&all)
}

/// Judges the terms of a meeting.
pub fn rules(trust: &TrustMap, terms: &MeetingTerms) -> Result<MeetingRules, PolicyError> {
    let trust_hash = trust.hash();
    if terms.trust.as_slice() != trust_hash {
        return Err(PolicyError::TrustMismatch);
    }
    if terms.statements.len() > MAX_FIRMS {
        return Err(PolicyError::Order);
    }
    let mut statements: Vec<Statement> = Vec::with_capacity(terms.statements.len());
    for signed in &terms.statements {
        let statement = judge_statement(trust, signed)?;
        if statement.room != terms.room {
            return Err(PolicyError::WrongRoom(statement.firm));
        }
        if statements.last().is_some_and(|last| last.firm >= statement.firm) {
            return Err(PolicyError::Order);
        }
        statements.push(statement);
    }
    clash(&statements)?;
    veto(&mut statements);
    let stated = statements_hash(&terms.statements);
    let meeting_policy = crate::cbor::encode(&MeetingPolicy {
        version: 1,
        meeting: &terms.meeting,
        room: &terms.room,
        statements: stated,
        trust: trust_hash,
        media_suite: MEDIA_SUITE,
        kid_bits: [Kid::SLOT_BITS, Kid::LEAF_BITS, Kid::EPOCH_BITS],
        sframe_only: true,
    });
    let places: Vec<RecorderPlace<'_>> = statements.iter().filter_map(place).collect();
    let recorders = crate::cbor::encode(&places);
    Ok(MeetingRules { statements, stated, meeting_policy, recorders })
}

fn place(statement: &Statement) -> Option<RecorderPlace<'_>> {
    let kept: Vec<_> = classes(statement).into_iter().filter(|(_, rule)| keeps(*rule)).collect();
    let archive_key_ids = &statement.archive_key_ids;
    (!kept.is_empty()).then(|| RecorderPlace { firm: &statement.firm, archive_key_ids, classes: kept })
}

impl MeetingRules {
    /// Bytes of the `meeting_policy` extension.
    pub fn meeting_policy(&self) -> &[u8] {
        &self.meeting_policy
    }
    /// Bytes of the `recorders` extension.
    pub fn recorders(&self) -> &[u8] {
        &self.recorders
    }
    /// Both extensions, in the order they stand in the GroupContext.
    pub fn extensions(&self) -> [(u16, &[u8]); 2] {
        [(MEETING_POLICY, &self.meeting_policy), (RECORDERS, &self.recorders)]
    }
    /// What binds a firm; `None` if it has no statement for the room.
    pub fn firm_rule(&self, firm: &FirmId) -> Option<&Statement> {
        self.statements.iter().find(|statement| statement.firm == *firm)
    }
    /// What binds each firm, ordered by firm.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }
    /// Firms whose people send sound and picture only while their recorder keeps it.
    pub fn must_firms(&self) -> Vec<&FirmId> {
        self.statements.iter().filter(|s| s.audio_video == Rule::Must).map(|s| &s.firm).collect()
    }
    /// What people acknowledge: [`statements_hash`] of the terms.
    pub fn statements_hash(&self) -> [u8; 32] {
        self.stated
    }
    /// Does any firm keep anything here? Then people acknowledge the notices before they send.
    pub fn keeps_anything(&self) -> bool {
        self.statements.iter().any(|s| classes(s).iter().any(|(_, rule)| keeps(*rule)))
    }
    /// May a recorder of this firm be in the group?
    pub fn has_recorder_place(&self, firm: &FirmId) -> bool {
        self.firm_rule(firm).is_some_and(|s| classes(s).iter().any(|(_, rule)| keeps(*rule)))
    }
}

//! From the terms of a meeting to what binds its group: the judged statements, resolved by the crate `policy`, and the
//! bytes of the two GroupContext extensions that every member recomputes and compares.

use crate::identity::TrustMap;
use crate::sha256;
use crate::statement::{StatementError, judge_statement};
use ::policy::{Clash, Resolved, resolve, words};
use domain::message::client::MeetingTerms;
use domain::policy::{ContentClass, Language, Rule, Statement};
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
    /// An older statement than one that was shown before: whoever serves it would take back what the firm changed.
    #[error("the statement of {0} is older than one shown before")]
    Older(FirmId),
    /// Not ordered by firm, or one firm twice, or too many.
    #[error("the statements are not one per firm, ordered by firm")]
    Order,
    /// One firm must keep what another forbids to be kept.
    #[error("{}", explain(.all))]
    Clash {
        /// Who must.
        must: FirmId,
        /// Who forbids.
        forbidden: FirmId,
        /// What.
        class: ContentClass,
        /// This clash and all others, with statements and contacts.
        all: Vec<Clash>,
    },
    /// Statements that cannot hold together for another reason.
    #[error("{}", explain(.0))]
    Disagree(Vec<Clash>),
}

/// The rules of one meeting, made of verified statements only and resolved as `policy` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingRules {
    resolved: Resolved,
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

fn refuse(clashes: Vec<Clash>) -> PolicyError {
    match clashes.first() {
        Some(Clash::Veto { class, must, forbidden }) => {
            let (must, forbidden, class) = (must.firm.clone(), forbidden.firm.clone(), *class);
            PolicyError::Clash { must, forbidden, class, all: clashes }
        }
        _ => PolicyError::Disagree(clashes),
    }
}

/// In English, for logs and for who administers; the page has its own words.
fn explain(clashes: &[Clash]) -> String {
    clashes.iter().map(|clash| words::clash(Language::En, clash)).collect::<Vec<_>>().join(" ")
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
    let resolved = resolve(&statements).map_err(refuse)?;
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
    let places: Vec<RecorderPlace<'_>> = resolved.statements().iter().filter_map(place).collect();
    let recorders = crate::cbor::encode(&places);
    Ok(MeetingRules { resolved, stated, meeting_policy, recorders })
}

fn place(statement: &Statement) -> Option<RecorderPlace<'_>> {
    let each = ContentClass::ALL.into_iter().map(|class| (class, statement.rule(class)));
    let kept: Vec<_> = each.filter(|(_, rule)| rule.keeps()).collect();
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
        self.resolved.firm(firm)
    }
    /// What binds each firm, ordered by firm.
    pub fn statements(&self) -> &[Statement] {
        self.resolved.statements()
    }
    /// What the statements mean together: who keeps, what is let in, who may enter.
    pub fn resolved(&self) -> &Resolved {
        &self.resolved
    }
    /// Firms whose people send sound and picture only while their recorder keeps it.
    pub fn must_firms(&self) -> Vec<&FirmId> {
        self.statements().iter().filter(|s| s.audio_video == Rule::Must).map(|s| &s.firm).collect()
    }
    /// What people acknowledge: [`statements_hash`] of the terms.
    pub fn statements_hash(&self) -> [u8; 32] {
        self.stated
    }
    /// Does any firm keep anything here? Then people acknowledge the notices before they send.
    pub fn keeps_anything(&self) -> bool {
        ContentClass::ALL.into_iter().any(|class| self.resolved.keepers(class).next().is_some())
    }
    /// May a recorder of this firm be in the group?
    pub fn has_recorder_place(&self, firm: &FirmId) -> bool {
        self.firm_rule(firm).is_some_and(|s| ContentClass::ALL.into_iter().any(|class| s.rule(class).keeps()))
    }
}

//! What a statement says beside keeping: whom to call, whom its veto concerns, who and what is let in, which people must
//! not meet, what its notice adds. Since version 2 of the statement; a version 1 has none of it. `policy` judges them.

use crate::{FirmId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Whether something is let in. Several firms: refused by one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Let in.
    #[default]
    Allowed,
    /// Kept out.
    Refused,
}

/// Whether something is asked of everybody. Several firms: wanted by one is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Demand {
    /// Not asked.
    #[default]
    Free,
    /// Asked.
    Wanted,
}

/// Languages of what people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// French.
    Fr,
    /// German.
    De,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::En, Self::Fr, Self::De];
}

/// The other side of a barrier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Everybody of another firm.
    Firm(FirmId),
    /// A group of the stating firm's own people, as the room directory names it.
    Group(String),
}

/// People who must not meet (an information barrier).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Barrier {
    /// Which of the stating firm's people; `None`: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<String>,
    /// From whom they are kept apart.
    pub from: Side,
}

/// What a statement says beside keeping. The default asks nothing of anybody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conditions {
    /// Whom to call about this statement: an office, its telephone or address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub contact: String,
    /// Firms whose copies its `forbidden` vetoes; empty: every other firm's.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub veto: BTreeSet<FirmId>,
    /// Guests of any firm.
    pub guests: Permission,
    /// Sharing a screen.
    pub share: Permission,
    /// Newcomers wait until a host lets them in.
    pub lobby: Demand,
    /// Newcomers know a passcode.
    pub passcode: Demand,
    /// Hosts of the room among the firm's own people. Where a firm names any, nobody else is one but by handing over.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub hosts: BTreeSet<UserId>,
    /// Regions that media may pass; `None`: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<BTreeSet<String>>,
    /// Oldest client that may enter.
    pub oldest_client: u32,
    /// People who must not meet.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub barriers: BTreeSet<Barrier>,
    /// What the firm adds to the notice that everybody reads.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub notice: BTreeMap<Language, String>,
    /// SHA-256 of the signed statement that this one replaces, hexadecimal: versions are a chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

impl Conditions {
    /// Does it ask nothing?
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

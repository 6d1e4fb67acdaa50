//! What a host orders: lock, admit, mute, remove, hand over, end. Signed by the host's leaf key with the certificate beside
//! it, judged alike by signaling, which carries it out, and by every client that acts on it: signaling cannot make one.
//!
//! Who is host: the people whom their own firm's statement names (`conditions.hosts`). Where no statement names any, the
//! room directory's hosts. And whoever a host handed over to, instead of it. Owns form, judgement and that book.

use crate::cose::{self, CoseError};
use crate::identity::{Identity, TrustMap};
use crate::policy::MeetingRules;
use domain::message::custody::LeafRole;
use domain::{FirmId, MeetingId, ParticipantId, UnixMillis, UserId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// COSE label.
pub const LABEL: &str = "strongroom host act v1";
/// Largest signed one: certificate, signature and some hundred bytes.
pub const MAX: usize = 12 * 1024;
/// An act that is to be obeyed now is this young, ms: clocks differ by a minute, and one held back must not be played later.
pub const FRESH_MS: u64 = 120_000;
/// An act whose effect lasts is told to newcomers for so long, ms: no certificate, and so no meeting, lasts longer.
const LASTS_MS: u64 = domain::limits::MAX_LEAF_LIFE_S * 1_000;
/// Certificates remembered: 250 members, each four times back with a new key.
const MAX_SEEN: usize = 1_024;
/// People who can have got or given the role by handing over: more is a game.
const MAX_HANDED: usize = 256;

/// One act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostAct {
    /// In which meeting.
    pub meeting: MeetingId,
    /// Counts the acts of this certificate in this meeting, from 1: each is obeyed once.
    pub sequence: u64,
    /// The host's clock.
    pub at: UnixMillis,
    /// What.
    pub what: Order,
}

/// What a host orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Order {
    /// Nobody new comes in.
    Lock {},
    /// Somebody new may come in.
    Unlock {},
    /// Who waits comes in.
    Admit {
        /// Who.
        participant: ParticipantId,
    },
    /// Who waits goes, and is not let in to this meeting.
    Deny {
        /// Who.
        participant: ParticipantId,
    },
    /// Everybody else's microphone is off until its owner turns it on.
    MuteAll {},
    /// One person's microphone.
    Mute {
        /// Whose.
        participant: ParticipantId,
    },
    /// Out, with every device, and not back into this meeting.
    Remove {
        /// Who.
        participant: ParticipantId,
    },
    /// Host instead of me.
    HandOver {
        /// Who.
        to: ParticipantId,
    },
    /// The meeting is over for everybody.
    End {},
}

impl Order {
    /// Does it hold until another act ends it? Newcomers are told.
    pub fn lasts(&self) -> bool {
        matches!(self, Self::Lock {} | Self::Unlock {} | Self::HandOver { .. })
    }
}

/// Whether the room directory says that somebody is host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// It does.
    Host,
    /// It does not.
    Other,
}

/// Why an act is not obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// Signature or certificate.
    #[error("it is not signed by a member: {0}")]
    Signature(#[from] CoseError),
    /// Signed, but no act, or of another meeting.
    #[error("the signed bytes are no act of a host in this meeting")]
    Malformed,
    /// Signed by somebody who is no host.
    #[error("only a host may")]
    NotHost,
    /// Held back too long, or of a clock that is wrong.
    #[error("it is not of now")]
    Stale,
    /// Heard before.
    #[error("it was heard before")]
    Again,
}

/// The payload to sign.
pub fn encode(act: &HostAct) -> Vec<u8> {
    crate::cbor::encode(act)
}

/// Reads and verifies one. Whether its signer is host is the book's to say.
pub fn judge(
    trust: &TrustMap,
    meeting: &MeetingId,
    signed: &[u8],
    now: UnixMillis,
) -> Result<(HostAct, Identity), HostError> {
    if signed.len() > MAX {
        return Err(HostError::Malformed);
    }
    let read = |payload: &[u8]| crate::cbor::decode::<HostAct>(payload).map_err(|_| HostError::Malformed);
    let claimed = read(&cose::payload_unverified(signed).ok_or(HostError::Malformed)?)?;
    let apart = now.since(claimed.at).max(claimed.at.since(now));
    let old = now.since(claimed.at);
    let young = apart <= FRESH_MS || (claimed.what.lasts() && claimed.at <= now && old <= LASTS_MS);
    if !young {
        return Err(HostError::Stale);
    }
    // a lasting act is judged at its own time: its host's certificate may have been renewed since
    let at_s = if apart <= FRESH_MS { now.seconds() } else { claimed.at.seconds() };
    let (payload, signer) = cose::verify_by_leaf(LABEL, signed, trust, at_s)?;
    let act = read(&payload)?;
    if act.meeting != *meeting || act.sequence == 0 {
        return Err(HostError::Malformed);
    }
    if signer.role != LeafRole::Member {
        return Err(HostError::NotHost);
    }
    Ok((act, signer))
}

type Person = (FirmId, UserId);

fn person(who: &ParticipantId) -> Person {
    (who.firm.clone(), who.user.clone())
}

/// Who is host in one meeting, by statements and by what hosts signed; the same at signaling and at every client.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    /// By their firms' statements; `None`: no statement names any.
    named: Option<BTreeSet<Person>>,
    gave: BTreeSet<Person>,
    got: BTreeSet<Person>,
    heard: BTreeMap<[u8; 32], u64>,
}

impl Hosts {
    /// Before anybody did anything.
    pub fn new(rules: &MeetingRules) -> Self {
        let of_each = rules.statements().iter();
        let named: BTreeSet<Person> = of_each
            .flat_map(|stated| stated.conditions.hosts.iter().map(|user| (stated.firm.clone(), user.clone())))
            .collect();
        Self { named: (!named.is_empty()).then_some(named), ..Self::default() }
    }

    /// Is this person host? `listed` counts only where no statement names hosts.
    pub fn is_host(&self, who: &ParticipantId, listed: Listed) -> bool {
        let who = person(who);
        let begins = self.named.as_ref().map_or(listed == Listed::Host, |named| named.contains(&who));
        self.got.contains(&who) || (begins && !self.gave.contains(&who))
    }

    /// Obeys an act that judged well: its signer must be host, and each act counts once.
    pub fn take(&mut self, act: &HostAct, signer: &Identity, listed: Listed) -> Result<(), HostError> {
        let last = self.heard.get(&signer.certificate_hash).copied().unwrap_or(0);
        if act.sequence <= last {
            return Err(HostError::Again);
        }
        if !self.is_host(&signer.participant, listed) {
            return Err(HostError::NotHost);
        }
        if self.heard.len() >= MAX_SEEN {
            self.heard.pop_first();
        }
        self.heard.insert(signer.certificate_hash, act.sequence);
        if let Order::HandOver { to } = &act.what {
            let (from, to) = (person(&signer.participant), person(to));
            if self.got.len().max(self.gave.len()) >= MAX_HANDED || from == to {
                return Err(HostError::Malformed);
            }
            self.got.remove(&from);
            self.gave.insert(from);
            self.gave.remove(&to);
            self.got.insert(to);
        }
        Ok(())
    }
}

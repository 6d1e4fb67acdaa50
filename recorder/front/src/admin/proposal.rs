//! May this change of a statement be made? Judges an administrator's signature, the statement under it, and what it is built
//! on. Pure: whoever calls keeps, signs and hands over.

use crate::rooms::Stated;
use domain::limits::CONSENT_MAX_AGE_MS;
use domain::message::custody::LeafRole;
use domain::policy::Statement;
use domain::{FirmId, UnixMillis, UserId};
use evidence::grant::{CLOCK_SKEW_MS, STATEMENT_CONSENT_LABEL};
use evidence::identity::{Identity, TrustMap};
use evidence::key::key_id;
use evidence::statement::{StatementError, VERSION, check_ranges};

/// Why it may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// No administrator's signature over a statement.
    #[error("this is no statement signed by an administrator of the firm: {0}")]
    Signature(String),
    /// Another firm's statement.
    #[error("a firm states about its own people only")]
    OtherFirm,
    /// Signed long ago, or in the future.
    #[error("this change was signed too long ago; make it again")]
    Old,
    /// Built on another version than the one that holds.
    #[error("the statement was changed since this change was begun; look at the present one, then decide again")]
    Stale,
    /// A value out of its range.
    #[error("{0}")]
    Range(#[from] StatementError),
    /// An archive key that is not the firm's.
    #[error("it names an archive key that is not this firm's")]
    ForeignKey,
    /// One person twice.
    #[error("a second administrator must sign: the first one cannot")]
    OnePerson,
    /// Another change than the one that waits.
    #[error("this is another change than the one that waits; look at it again")]
    Another,
}

/// A change that somebody signed.
#[derive(Debug, Clone)]
pub struct Consent {
    /// What is wanted.
    pub statement: Statement,
    /// By whom.
    pub who: Identity,
    /// SHA-256 of what was signed, hexadecimal.
    pub id: String,
    payload: Vec<u8>,
}

impl Consent {
    /// Judges a signature at `now`: who, and over what.
    ///
    /// # Errors
    /// [`Refused::Signature`], [`Refused::OtherFirm`].
    pub fn judge(trust: &TrustMap, firm: &FirmId, signed: &[u8], now: UnixMillis) -> Result<Self, Refused> {
        let (payload, who) = evidence::cose::verify_by_leaf(STATEMENT_CONSENT_LABEL, signed, trust, now.seconds())
            .map_err(|e| Refused::Signature(e.to_string()))?;
        if who.role != LeafRole::Administrator || who.participant.firm != *firm {
            return Err(Refused::Signature("by somebody else".to_owned()));
        }
        let statement: Statement = evidence::cbor::decode(&payload).map_err(|e| Refused::Signature(e.to_string()))?;
        // what custody would encode is what was signed, or custody would refuse it
        if evidence::statement::encode(&statement) != payload {
            return Err(Refused::Signature("its form is not ours".to_owned()));
        }
        if statement.firm != *firm {
            return Err(Refused::OtherFirm);
        }
        let id = hex::encode(evidence::sha256(&payload));
        Ok(Self { statement, who, id, payload })
    }

    /// Does it follow the version that holds now?
    ///
    /// # Errors
    /// [`Refused`] with the reason.
    pub fn follows(&self, present: Option<&Stated>, trust: &TrustMap, now: UnixMillis) -> Result<(), Refused> {
        let statement = &self.statement;
        check_ranges(statement)?;
        let age = now.since(statement.issued_at);
        if age > CONSENT_MAX_AGE_MS || statement.issued_at.since(now) > CLOCK_SKEW_MS {
            return Err(Refused::Old);
        }
        let (serial, hash) = present.map_or((1, None), |p| (p.statement.serial + 1, Some(p.hash())));
        if statement.serial != serial || statement.conditions.previous != hash || statement.version != VERSION {
            return Err(Refused::Stale);
        }
        let own = trust.firm(&statement.firm).map(|firm| firm.archive_keys.as_slice()).unwrap_or_default();
        let known = |id: &String| own.iter().any(|spki| key_id(spki) == *id);
        if statement.archive_key_ids.iter().all(known) { Ok(()) } else { Err(Refused::ForeignKey) }
    }

    /// Is it a second person's signature under the same change as `first`?
    ///
    /// # Errors
    /// [`Refused::Another`], [`Refused::OnePerson`].
    pub fn seconds(&self, first: &Self) -> Result<(), Refused> {
        if self.payload != first.payload {
            return Err(Refused::Another);
        }
        if self.by() == first.by() { Err(Refused::OnePerson) } else { Ok(()) }
    }

    /// Who signed.
    pub fn by(&self) -> &UserId {
        &self.who.participant.user
    }

    /// Until when a second one may.
    pub fn until(&self) -> UnixMillis {
        self.statement.issued_at.plus(CONSENT_MAX_AGE_MS)
    }
}

//! Signing statements: against administrators' signatures on the socket, or by the ceremony's own hands at the token.

use super::People;
use crate::config::Config;
use crate::failure::Failure;
use crate::refusal::{Refusal, refuse};
use crate::token::{Call, Device, POLICY, Token, TokenError};
use domain::limits::CONSENT_MAX_AGE_MS;
use domain::message::custody::{LeafRole, TokenRole};
use domain::policy::Statement;
use domain::{B64, UnixMillis};
use evidence::grant::STATEMENT_CONSENT_LABEL;
use evidence::{cose, statement};
use std::collections::BTreeSet;
use std::path::Path;

/// Signs a statement that enough administrators of the firm consented to.
///
/// # Errors
/// `bad-request` for a statement out of range, `two-persons` when consents are missing.
pub fn sign(people: &People, now: UnixMillis, wanted: &Statement, administrators: &[B64]) -> Result<Vec<u8>, Refusal> {
    if wanted.firm != people.firm {
        return refuse("bad-request", "a statement is signed by its own firm only");
    }
    if let Err(error) = statement::check_ranges(wanted) {
        return refuse("bad-request", error.to_string());
    }
    if now.since(wanted.issued_at).max(wanted.issued_at.since(now)) > CONSENT_MAX_AGE_MS {
        return refuse("bad-request", "the statement was not made within the last hours; make it again");
    }
    let payload = statement::encode(wanted);
    let mut consenting = BTreeSet::new();
    // two signatures are all that is ever needed; each costs a verification
    for signed in administrators.iter().take(4) {
        let Ok((agreed, who)) = cose::verify_by_leaf(STATEMENT_CONSENT_LABEL, signed, &people.trust, now.seconds())
        else {
            continue;
        };
        if who.role == LeafRole::Administrator && agreed == payload {
            consenting.insert(who.participant.user);
        }
    }
    let needed = people.settings.administrators;
    if consenting.len() < needed {
        return refuse("two-persons", format!("{needed} administrator(s) of the firm must sign this very statement"));
    }
    service::security::report(service::security::Event::StatementSigned);
    tracing::info!(room = %wanted.room, serial = wanted.serial, "statement signed");
    Ok(cose::sign(statement::LABEL, &payload, None, |hash| people.token.sign(POLICY, hash))?)
}

/// `sign-statement`: whoever holds the PIN at the ceremony signs directly.
///
/// # Errors
/// See [`Failure`].
pub fn sign_statement_file(config: &Config, input: &Path, out: &Path) -> Result<(), Failure> {
    if config.role != TokenRole::People {
        return Err(Failure::Config("statements are signed by the people token".to_owned()));
    }
    let bad = |why: String| Failure::Config(format!("statement {}: {why}", input.display()));
    let bytes = std::fs::read(input).map_err(|e| bad(e.to_string()))?;
    let wanted: Statement = serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
    if wanted.firm != config.firm {
        return Err(bad(format!("it is of {}, this token of {}", wanted.firm, config.firm)));
    }
    statement::check_ranges(&wanted).map_err(|e| bad(e.to_string()))?;
    let mut device = Device::open(crate::ceremony::settings(config)?)?;
    let signed = cose::sign(statement::LABEL, &statement::encode(&wanted), None, |hash| {
        let bytes = device.call(&Call::Sign { key: POLICY, hash: *hash })?;
        <[u8; 64]>::try_from(bytes.as_slice())
            .map_err(|_| TokenError::Failed { what: "signing", why: "odd length".to_owned() })
    })?;
    std::fs::write(out, signed).map_err(|e| Failure::Other(format!("{}: {e}", out.display())))
}

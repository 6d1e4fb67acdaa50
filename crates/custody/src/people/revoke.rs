//! Ending certificates before their time, and the firm's signed list of them. `certificates list|revoke` for people at a terminal.

use super::People;
use super::journal::{self, Whom as Meant};
use crate::config::Config;
use crate::failure::Failure;
use crate::refusal::Refusal;
use crate::token::POLICY;
use domain::message::custody::{Answer, Ask, Whom};
use domain::{B64, UnixMillis};
use evidence::cose;
use evidence::revocation::{LABEL, MAX_REVOKED, Revocations, Revoked, encode};
use std::io::Write;

/// A list and what it says.
pub struct Signed {
    revoked: Vec<Revoked>,
    signed: B64,
}

impl People {
    pub(super) fn revoke(&self, now: UnixMillis, whom: &Whom) -> Result<Answer, Refusal> {
        let meant = match whom {
            Whom::User(user) => Meant::User(user),
            Whom::Serial(serial) => Meant::Serial(serial),
        };
        let ended = self.journal.lock().expect("no holder panics").revoke(&meant, now)?;
        tracing::info!(ended, "certificates ended before their time");
        self.revocations(now)
    }

    pub(super) fn revocations(&self, now: UnixMillis) -> Result<Answer, Refusal> {
        let mut newest = self.list.lock().expect("no holder panics");
        let mut journal = self.journal.lock().expect("no holder panics");
        let mut revoked: Vec<Revoked> = journal
            .revoked(now.seconds())
            .filter_map(|one| {
                let certificate = B64(hex::decode(&one.certificate).ok()?);
                Some(Revoked { certificate, until_s: one.until_s })
            })
            .collect();
        // those that end last stay: nobody can use the others for long
        revoked.sort_by_key(|one| std::cmp::Reverse(one.until_s));
        revoked.truncate(MAX_REVOKED);
        if let Some(list) = newest.as_ref().filter(|list| list.revoked == revoked) {
            return Ok(Answer::Signed { signed: list.signed.clone() });
        }
        let serial = journal.next_list()?;
        let list =
            Revocations { version: 1, firm: self.firm.clone(), serial, issued_at: now, revoked: revoked.clone() };
        let signed = B64(cose::sign(LABEL, &encode(&list), None, |hash| self.token.sign(POLICY, hash))?);
        *newest = Some(Signed { revoked, signed: signed.clone() });
        Ok(Answer::Signed { signed })
    }
}

/// `certificates list`: those alive, as JSON or as a table.
///
/// # Errors
/// See [`Failure`].
pub fn list(config: &Config, json: bool) -> Result<(), Failure> {
    let issued = journal::read(&config.journal()?).map_err(Failure::Config)?;
    let now_s = crate::ceremony::now().seconds();
    let alive: Vec<_> = issued.into_iter().filter(|one| one.until_s > now_s).collect();
    let mut out = std::io::stdout().lock();
    let failed = |e: std::io::Error| Failure::Other(e.to_string());
    if json {
        let text = serde_json::to_string_pretty(&alive).expect("texts and numbers serialise");
        return writeln!(out, "{text}").map_err(failed);
    }
    for one in alive {
        let role = format!("{:?}", one.role).to_lowercase();
        let state = if one.revoked_at.is_some() { "revoked" } else { "alive" };
        let (serial, holder, until) = (one.serial, one.holder, one.until_s);
        writeln!(out, "{serial} {state:<8} {role:<14} until {until} {holder}").map_err(failed)?;
    }
    Ok(())
}

/// `certificates revoke`: asks the running process, which alone writes its journal.
///
/// # Errors
/// See [`Failure`].
pub fn revoke_from_terminal(config: &Config, whom: Whom) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::Other(e.to_string()))?;
    config.journal()?;
    let client = custody::Client::new(&config.socket);
    match runtime.block_on(client.ask(Ask::Revoke { whom })) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Other(format!("{error}; `strongroom-custody run` must be running"))),
    }
}

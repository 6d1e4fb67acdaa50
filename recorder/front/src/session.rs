//! Front sessions: made at enrolment from the certificate that custody issued, sent as `Authorization: Bearer`. One
//! secret, one person, one role, until the certificate ends.

use crate::idp::secret;
use crate::problem::ApiProblem;
use axum::http::{HeaderMap, header};
use dashmap::DashMap;
use domain::message::custody::LeafRole;
use domain::{FirmId, ParticipantId, UnixMillis, UserId};
use evidence::identity::Identity;
use std::collections::HashSet;

/// Sessions kept at once: every person of a large firm with some reloads. Beyond it the one that ends first goes.
const MAX_SESSIONS: usize = 50_000;

/// Who is behind a session.
#[derive(Clone)]
pub struct Session {
    /// From the certificate.
    pub participant: ParticipantId,
    /// Name from the certificate.
    pub name: String,
    /// Role from the certificate.
    pub role: LeafRole,
    /// SHA-256 of the certificate.
    pub certificate: [u8; 32],
    /// End of the certificate.
    pub until: UnixMillis,
}

/// All sessions.
#[derive(Default)]
pub struct Sessions(DashMap<String, Session>);

impl Sessions {
    /// A new session for a certified person; answers its secret.
    pub fn begin(&self, identity: &Identity, now: UnixMillis) -> String {
        self.0.retain(|_, session| session.until > now);
        if self.0.len() >= MAX_SESSIONS {
            let first = self.0.iter().min_by_key(|entry| entry.until).map(|entry| entry.key().clone());
            if let Some(first) = first {
                self.0.remove(&first);
            }
        }
        let token = secret();
        let session = Session {
            participant: identity.participant.clone(),
            name: identity.name.clone(),
            role: identity.role,
            certificate: identity.certificate_hash,
            until: UnixMillis(identity.not_after_s.saturating_mul(1000)),
        };
        self.0.insert(token.clone(), session);
        token
    }

    /// The living session of a request.
    ///
    /// # Errors
    /// 401 without one.
    pub fn of(&self, headers: &HeaderMap, now: UnixMillis) -> Result<Session, ApiProblem> {
        let session = bearer(headers).and_then(|token| self.0.get(token).map(|session| session.clone()));
        session.filter(|session| session.until > now).ok_or_else(ApiProblem::signed_out)
    }

    /// Ends the living session of a request; answers whose it was.
    ///
    /// # Errors
    /// 401 without one.
    pub fn end(&self, headers: &HeaderMap, now: UnixMillis) -> Result<Session, ApiProblem> {
        let session = self.of(headers, now)?;
        bearer(headers).and_then(|token| self.0.remove(token));
        Ok(session)
    }

    /// Ends the sessions of these certificates.
    pub fn end_certificates(&self, ended: &HashSet<[u8; 32]>) {
        self.0.retain(|_, session| !ended.contains(&session.certificate));
    }

    /// Ends every session of a person.
    pub fn end_of(&self, user: &UserId) {
        self.0.retain(|_, session| session.participant.user != *user);
    }

    /// The living session of a request, of a compliance officer.
    ///
    /// # Errors
    /// 401 without a session, 403 for everybody else.
    pub fn officer(&self, headers: &HeaderMap, now: UnixMillis) -> Result<Session, ApiProblem> {
        let session = self.of(headers, now)?;
        match session.role {
            LeafRole::Compliance => Ok(session),
            _ => Err(ApiProblem::forbidden("This page is for compliance officers. Sign in with that role.")),
        }
    }

    /// The living session of a request, of an administrator of `firm`.
    ///
    /// # Errors
    /// 401 without a session, 403 for everybody else.
    pub fn administrator(&self, headers: &HeaderMap, firm: &FirmId, now: UnixMillis) -> Result<Session, ApiProblem> {
        let session = self.of(headers, now)?;
        if session.role == LeafRole::Administrator && session.participant.firm == *firm {
            return Ok(session);
        }
        Err(ApiProblem::forbidden("This page is for the firm's administrators. Sign in with that role."))
    }
}

/// The bearer token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

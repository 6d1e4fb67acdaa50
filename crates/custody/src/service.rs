//! One token's service: which role answers what, and how a refusal looks. No socket here.

use crate::archive::Archive;
use crate::config::Config;
use crate::failure::Failure;
use crate::people::People;
use crate::record::Record;
use crate::token::{Facts, Handle, TokenError};
use domain::UnixMillis;
use domain::message::custody::{Answer, Ask, CustodyProblem, Info, TokenRole};

/// A request that is not carried out.
#[derive(Debug)]
pub struct Refusal(pub CustodyProblem);

/// Refuses with a stable code and a text that says what to do.
pub fn refuse<T>(code: &str, detail: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(CustodyProblem { code: code.to_owned(), detail: detail.into() }))
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Pin(_) => "pin-incorrect",
            TokenError::Missing { .. } => "token-missing",
            TokenError::Sealed => "bad-request",
            _ => "unavailable",
        };
        tracing::warn!("{error}");
        Self(CustodyProblem { code: code.to_owned(), detail: error.to_string() })
    }
}

/// The service of this process.
pub struct Service {
    info: Info,
    role: Role,
}

enum Role {
    People(Box<People>),
    Record(Record),
    Archive(Box<Archive>),
}

impl Service {
    /// Puts it together.
    ///
    /// # Errors
    /// What the role's own start may fail with.
    pub fn new(config: &Config, facts: &Facts, token: Handle) -> Result<Self, Failure> {
        let role = match config.role {
            TokenRole::People => Role::People(Box::new(People::new(config, facts, token)?)),
            TokenRole::Record => Role::Record(Record::new(config.firm.clone(), token)),
            TokenRole::Archive => Role::Archive(Box::new(Archive::new(config, facts, token)?)),
        };
        Ok(Self { info: facts.info(&config.firm, config.role), role })
    }

    /// Answers one request; may block for as long as the token does.
    pub fn answer(&self, now: UnixMillis, ask: Ask) -> Answer {
        let answered = match (&self.role, ask) {
            (_, Ask::Info {}) => Ok(Answer::Info(self.info.clone())),
            (Role::People(people), ask) => people.answer(now, ask),
            (Role::Record(record), ask) => record.answer(now, ask),
            (Role::Archive(archive), ask) => archive.answer(now, ask),
        };
        answered.unwrap_or_else(|Refusal(problem)| {
            tracing::info!(code = %problem.code, "refused");
            Answer::Refused(problem)
        })
    }
}

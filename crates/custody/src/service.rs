//! One token's service: which role answers what. No socket here.

use crate::archive::Archive;
use crate::config::Config;
use crate::failure::Failure;
use crate::people::People;
use crate::record::Record;
use crate::refusal::Refusal;
use crate::token::{Facts, Handle};
use ::service::metrics::names::custody as names;
use ::service::security::{Code, Event, report, report_as};
use domain::UnixMillis;
use domain::message::custody::{Answer, Ask, Info, TokenRole};

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
        let begun = std::time::Instant::now();
        let answer = self.judged(now, ask);
        names::REQUESTS.count();
        names::BUSY_MILLISECONDS.add(begun.elapsed().as_millis() as u64);
        tell(&answer);
        answer
    }

    fn judged(&self, now: UnixMillis, ask: Ask) -> Answer {
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

/// What an answer means to whoever watches: counted, and reported without a word of what was asked.
fn tell(answer: &Answer) {
    match answer {
        Answer::Refused(problem) => {
            let code = Code::of(&problem.code);
            if ["unavailable", "pin-incorrect", "token-missing"].contains(&problem.code.as_str()) {
                names::UNAVAILABLE.count();
                report_as(Event::TokenFailing, code);
            } else {
                names::REFUSED.count();
                report_as(Event::CustodyRefused, code);
            }
        }
        Answer::MeetingKeys { .. } => report(Event::KeyOpened),
        Answer::Certificate { .. } => report(Event::CertificateIssued),
        _ => {}
    }
}

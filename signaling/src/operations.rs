//! How signaling is seen by its operators: numbers, and what keeps it from new meetings.

use crate::hub::Hub;
use domain::message::client::ProblemCode;
use service::metrics::Sample;
use service::metrics::names::signaling as names;
use service::operations::reason::Reason;
use service::operations::{Answer, Watched};
use service::security::{Code, Event, report_as};
use std::future::ready;

impl Watched for Hub {
    fn troubles(&self) -> Answer<'_, Vec<Reason>> {
        Box::pin(async {
            let (directory, statements) = self.readable().await;
            let is = [
                (self.sfu.borrow().is_none(), Reason::NoSfu),
                (!directory, Reason::DirectoryUnreadable),
                (!statements, Reason::StatementsUnreadable),
                (self.truth.is_replaced(), Reason::Replaced),
            ];
            is.into_iter().filter_map(|(is, reason)| is.then_some(reason)).collect()
        })
    }

    fn samples(&self) -> Answer<'_, Option<Vec<Sample>>> {
        names::CONNECTIONS.set(self.connections.len() as u64);
        names::MEETINGS.set(self.meetings.len() as u64);
        names::SFU_UP.set(u64::from(self.sfu.borrow().is_some()));
        Box::pin(ready(Some(Vec::new())))
    }
}

/// A connection is refused, before or in a room: counted, logged and reported by what it did, not by who it was.
pub fn refused(code: ProblemCode) -> Code {
    names::REFUSED.count();
    let event = match code {
        ProblemCode::BadCertificate | ProblemCode::BadSignature | ProblemCode::TrustMismatch => Event::ProofRefused,
        ProblemCode::NotAMember => Event::MembershipRefused,
        _ => Event::ConnectionRefused,
    };
    let name = serde_json::to_value(code).ok();
    let code = Code::of(name.as_ref().and_then(|name| name.as_str()).unwrap_or_default());
    report_as(event, code);
    code
}

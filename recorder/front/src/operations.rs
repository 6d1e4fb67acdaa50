//! How a front is seen by its operators: numbers, and what keeps it from serving its people.

use crate::app::App;
use axum::http::StatusCode;
use service::metrics::Sample;
use service::metrics::names::front as names;
use service::operations::look::takes_connections;
use service::operations::reason::Reason;
use service::operations::{Answer, Watched};
use service::security::{Event, report};

impl App {
    async fn custody_up(&self) -> bool {
        let sockets = &self.config.custody;
        takes_connections(&sockets.people).await && takes_connections(&sockets.archive).await
    }
}

impl Watched for App {
    fn troubles(&self) -> Answer<'_, Vec<Reason>> {
        Box::pin(async {
            let readable = |folder| std::fs::read_dir(folder).is_ok();
            let is = [
                (!self.custody_up().await, Reason::CustodyUnreachable),
                (!readable(&self.config.archive), Reason::ArchiveUnreadable),
                (!self.config.statements.as_ref().is_none_or(readable), Reason::StatementsUnreadable),
            ];
            is.into_iter().filter_map(|(is, reason)| is.then_some(reason)).collect()
        })
    }

    fn samples(&self) -> Answer<'_, Option<Vec<Sample>>> {
        Box::pin(async {
            names::CUSTODY_UP.set(u64::from(self.custody_up().await));
            Some(Vec::new())
        })
    }
}

/// A request was answered: counted, and reported where somebody was refused.
pub fn answered(status: StatusCode) {
    names::REQUESTS.count();
    match status {
        StatusCode::UNAUTHORIZED => {
            names::REFUSED.count();
            report(Event::LoginRefused);
        }
        StatusCode::FORBIDDEN => {
            names::REFUSED.count();
            report(Event::AccessDenied);
        }
        status if status.is_server_error() => names::FAILED.count(),
        _ => {}
    }
}

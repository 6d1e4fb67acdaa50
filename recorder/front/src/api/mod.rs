//! Handlers of the front's endpoints (`domain::message::front`). They judge sessions and forms; custody judges tokens,
//! grants and signatures again by itself.

pub mod admin;
pub mod bundle;
pub mod enrol;
pub mod export;
pub mod files;
pub mod guests;
pub mod idp;
pub mod ledger;
pub mod matching;
pub mod oidc;
pub mod opened;
pub mod probe;
pub mod public;
pub mod replay;
pub mod retention;
pub mod review;
pub mod supervision;

use crate::problem::ApiProblem;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

/// A body has 64 KiB at most: a slow network sends it in seconds, and who takes longer only holds a connection.
const BODY: std::time::Duration = std::time::Duration::from_secs(15);

/// A JSON body whose rejection is a problem document.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiProblem;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiProblem> {
        let read = tokio::time::timeout(BODY, Json::<T>::from_request(request, state)).await;
        let Json(value) = read.map_err(|_| {
            ApiProblem::new(axum::http::StatusCode::REQUEST_TIMEOUT, "bad-message", "The body came too slowly.")
        })??;
        Ok(Self(value))
    }
}

impl From<JsonRejection> for ApiProblem {
    fn from(rejection: JsonRejection) -> Self {
        // the rejection's own text may quote the body
        Self::new(rejection.status(), "bad-message", "The body is not the JSON this address takes.")
    }
}

/// Runs blocking work off the event loop.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiProblem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| ApiProblem::internal("This request failed inside the front; the log says more."))
}

/// A custody error as an officer or a banker sees it.
pub fn custody_problem(error: &custody::CustodyError) -> ApiProblem {
    use axum::http::StatusCode;
    match error {
        custody::CustodyError::Refused(problem) => {
            let status = match problem.code.as_str() {
                "rate" => StatusCode::TOO_MANY_REQUESTS,
                "pin-incorrect" | "token-missing" | "unavailable" => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::FORBIDDEN,
            };
            ApiProblem::new(status, &problem.code, problem.detail.clone())
        }
        other => {
            tracing::warn!("{other}");
            ApiProblem::unavailable(
                "The firm's key custody does not answer. Nothing was opened. Call your security desk.",
            )
        }
    }
}

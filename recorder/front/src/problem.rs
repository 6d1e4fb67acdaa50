//! Errors as browsers see them: `application/problem+json` (RFC 9457) of the shape `{code, detail, firm}`. No personal
//! data, no key, no path of this machine.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::FirmId;
use serde::Serialize;

/// A refusal or a failure with its stable code.
#[derive(Debug, Clone, Serialize)]
pub struct ApiProblem {
    #[serde(skip)]
    status: StatusCode,
    /// Stable code; the page has its own words for each.
    pub code: String,
    /// What happened and what to do.
    pub detail: String,
    /// The firm whose rule it is, when one is.
    pub firm: Option<FirmId>,
}

impl ApiProblem {
    /// Any status and code.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), detail: detail.into(), firm: None }
    }
    /// 400: the request is malformed or does not fit together.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-message", detail)
    }
    /// 401: no session, or one that ended.
    pub fn signed_out() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "signed-out", "Sign in again: there is no session, or it has ended.")
    }
    /// 403: this person may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }
    /// 404.
    pub fn unknown(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown", detail)
    }
    /// 409: not in this state.
    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }
    /// 429.
    pub fn slow_down(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", detail)
    }
    /// 503: something we need is not there.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }
    /// 500: our fault.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }
}

impl IntoResponse for ApiProblem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("three text fields serialise");
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}

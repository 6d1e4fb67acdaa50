//! Problems as HTTP answers (RFC 9457), and the extractors that answer with one.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::FirmId;
use domain::message::rest::{RestCode, RestProblem};
use serde::de::DeserializeOwned;
use signaling_store::database::DatabaseError;

/// A problem on its way out.
#[derive(Debug, Clone)]
pub struct Problem(pub Box<RestProblem>);

/// What a request comes to.
pub type Answer<T> = Result<T, Problem>;

fn status(code: RestCode) -> (StatusCode, &'static str) {
    match code {
        RestCode::BadMessage => (StatusCode::BAD_REQUEST, "The request is not what is taken here"),
        RestCode::Unauthorized => (StatusCode::UNAUTHORIZED, "A bearer token is wanted"),
        RestCode::Forbidden => (StatusCode::FORBIDDEN, "The token is not for this"),
        RestCode::NotFound => (StatusCode::NOT_FOUND, "No such thing"),
        RestCode::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Not this method"),
        RestCode::Conflict => (StatusCode::CONFLICT, "Not in its present state"),
        RestCode::IdempotencyBusy => (StatusCode::CONFLICT, "The same request is being worked on"),
        RestCode::IdempotencyMismatch => {
            (StatusCode::UNPROCESSABLE_ENTITY, "The idempotency key was used for another request")
        }
        RestCode::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, "Somebody changed it meanwhile"),
        RestCode::PreconditionRequired => (StatusCode::PRECONDITION_REQUIRED, "Say which version is to be replaced"),
        RestCode::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Too long"),
        RestCode::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "JSON is wanted"),
        RestCode::BadSignature => (StatusCode::UNPROCESSABLE_ENTITY, "The signed object does not judge well"),
        RestCode::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        RestCode::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Not available now"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "Our fault"),
    }
}

/// A problem with its words.
pub fn problem(code: RestCode, detail: impl Into<String>) -> Problem {
    let (status, title) = status(code);
    let name = serde_json::to_value(code).ok();
    let name = name.as_ref().and_then(|name| name.as_str()).unwrap_or("internal");
    Problem(Box::new(RestProblem {
        kind: format!("urn:strongroom:problem:{name}"),
        title: title.to_owned(),
        status: status.as_u16(),
        code,
        detail: detail.into(),
        firm: None,
    }))
}

/// No such thing, or not for this client.
pub fn unknown() -> Problem {
    problem(RestCode::NotFound, "there is no such thing, or this client may not see it")
}

/// Our database or disk.
pub fn broken(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!("the REST interface cannot work: {error}");
    problem(RestCode::Unavailable, "what this needs is not there: try again")
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        broken(&error)
    }
}

impl Problem {
    /// Made by one firm's rule.
    pub fn of(mut self, firm: &FirmId) -> Self {
        self.0.firm = Some(firm.clone());
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).expect("texts and numbers are JSON");
        let mut answer = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        let headers = answer.headers_mut();
        match self.0.code {
            RestCode::RateLimited | RestCode::IdempotencyBusy | RestCode::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            RestCode::Unauthorized => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        answer
    }
}

/// A JSON body.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(problem(RestCode::UnsupportedMediaType, "send application/json"))
            }
            Err(JsonRejection::BytesRejection(_)) => Err(problem(RestCode::TooLarge, "the body is too long")),
            // the parser's own words may repeat what was sent
            Err(_) => Err(problem(RestCode::BadMessage, "the body is not what docs/api/openapi.json says")),
        }
    }
}

/// The query.
pub struct Asked<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let asked = Query::<T>::from_request_parts(parts, state).await;
        asked.map(|Query(asked)| Self(asked)).map_err(|_| problem(RestCode::BadMessage, "the query has another form"))
    }
}

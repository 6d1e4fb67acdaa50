//! What every request passes: the token, the rate, the idempotency key, the version tags of answers.

use super::Rest;
use super::clients::{Client, Scope};
use super::problem::{Answer, Problem, broken, problem};
use aws_lc_rs::digest::{Context, SHA256, digest};
use axum::Json;
use axum::body::to_bytes;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::message::rest::RestCode;
use serde::Serialize;
use service::security::Code;
use service::traces::{self, Name};
use signaling_store::records::{Earlier, Kept};
use std::sync::Arc;

/// Longest body: an alert manager groups some hundred alerts into 100 kB; a statement has 64 kB at most, as base64.
pub const MAX_BODY: usize = 512 * 1024;
/// Longest idempotency key: a UUID has 36 characters, some clients put a request's hash there.
const MAX_KEY: usize = 128;
/// The request header of draft-ietf-httpapi-idempotency-key-header.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Lets in who has a good token, not too fast.
pub async fn enter(State(rest): State<Arc<Rest>>, mut request: Request, next: Next) -> Response {
    let now = rest.hub.clock.now();
    let Some(client) = rest.clients.of(request.headers()) else {
        service::security::report(service::security::Event::ProofRefused);
        return match rest.clients.count_stranger(now) {
            true => problem(RestCode::Unauthorized, "send `Authorization: Bearer` with a token of rest.clients"),
            false => problem(RestCode::RateLimited, "too many requests without a good token"),
        }
        .into_response();
    };
    if !client.count(now) {
        return problem(RestCode::RateLimited, "too many requests of this client").into_response();
    }
    request.extensions_mut().insert(client);
    let span = traces::begin(Name::Request);
    let answer = next.run(request).await;
    span.end(if answer.status().is_server_error() { Code::of("unavailable") } else { Code::NONE });
    answer
}

/// The same key with the same request gets the same answer; with another one it is refused.
pub async fn once(State(rest): State<Arc<Rest>>, request: Request, next: Next) -> Response {
    let key = request.headers().get(&KEY).filter(|_| request.method() == Method::POST).cloned();
    match key {
        Some(key) => once_by(&rest, key, request, next).await.unwrap_or_else(IntoResponse::into_response),
        None => next.run(request).await,
    }
}

async fn once_by(rest: &Arc<Rest>, key: HeaderValue, request: Request, next: Next) -> Answer<Response> {
    let text = key.to_str().ok().filter(|text| (1..=MAX_KEY).contains(&text.len()));
    let Some(text) = text else {
        return Err(problem(RestCode::BadMessage, "Idempotency-Key has 1 to 128 visible characters"));
    };
    let client = request.extensions().get::<Arc<Client>>().cloned();
    let name = client.map(|client| client.name.clone()).unwrap_or_default();
    let id = (name, text.to_owned());
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| problem(RestCode::TooLarge, "the body is too long"))?;
    let mut hash = Context::new(&SHA256);
    [parts.method.as_str(), " ", parts.uri.path(), "\n"].iter().for_each(|part| hash.update(part.as_bytes()));
    hash.update(&body);
    let (hash, now) = (hash.finish().as_ref().to_vec(), rest.hub.clock.now());
    match rest.records.begin(&id, &hash, now).await? {
        Earlier::None => {}
        Earlier::Busy => return Err(problem(RestCode::IdempotencyBusy, "the first request with this key is not done")),
        Earlier::Other => {
            return Err(problem(RestCode::IdempotencyMismatch, "use a key of its own for each different request"));
        }
        Earlier::Answered(kept) => return Ok(given_again(kept)),
    }
    // whatever ends the work before it is answered, a dropped connection included, frees the key again
    let freed = Freed { rest: rest.clone(), id: Some(id) };
    let answer = next.run(Request::from_parts(parts, body.into())).await;
    freed.keep(answer).await
}

/// Headers that are kept with an answer.
const KEPT: [HeaderName; 3] = [header::CONTENT_TYPE, header::LOCATION, header::ETAG];

/// An answer as it was given the first time.
fn given_again(kept: Kept) -> Response {
    let mut answer = kept.body.into_response();
    *answer.status_mut() = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().remove(header::CONTENT_TYPE);
    for (name, value) in KEPT.into_iter().zip(kept.headers) {
        if let Some(value) = HeaderValue::from_str(&value).ok().filter(|value| !value.is_empty()) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

struct Freed {
    rest: Arc<Rest>,
    id: Option<(String, String)>,
}

impl Freed {
    /// Keeps an answer that will not change; a failure of ours may go away, so it is tried again.
    async fn keep(mut self, answer: Response) -> Answer<Response> {
        if answer.status().is_server_error() {
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, 2 * MAX_BODY).await.map_err(|error| broken(&error))?;
        let header = |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
        let headers = KEPT.each_ref().map(|name| header(name).to_owned());
        let kept = Kept { status: parts.status.as_u16(), headers, body: body.to_vec() };
        if let Some(id) = self.id.take() {
            self.rest.records.keep(&id, &kept).await?;
        }
        Ok(Response::from_parts(parts, body.into()))
    }
}

impl Drop for Freed {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let rest = self.rest.clone();
        tokio::spawn(async move { rest.records.free(&id).await });
    }
}

/// The client of a request.
pub struct Caller(pub Arc<Client>);

impl Caller {
    /// # Errors
    /// 403 if its token is not for this.
    pub fn needs(&self, scope: Scope) -> Answer<()> {
        if self.0.may(scope) {
            return Ok(());
        }
        Err(problem(RestCode::Forbidden, "the token of this client has not the scope that this needs"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let client = parts.extensions.get::<Arc<Client>>().cloned();
        client.map(Self).ok_or_else(|| problem(RestCode::Internal, "a request came past the gate"))
    }
}

/// An answer with the tag of its version; 304 to who has it.
pub fn tagged(headers: &HeaderMap, body: &impl Serialize) -> Response {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let tag = tag(digest(&SHA256, &bytes).as_ref());
    tagged_as(headers, &tag, body)
}

/// ... where the tag is known.
pub fn tagged_as(headers: &HeaderMap, tag: &str, body: &impl Serialize) -> Response {
    let named = headers.get(header::IF_NONE_MATCH).is_some_and(|named| names(named, tag));
    let tag = [(header::ETAG, tag.to_owned())];
    if named { (StatusCode::NOT_MODIFIED, tag).into_response() } else { (tag, Json(body)).into_response() }
}

/// A strong entity tag (RFC 9110 section 8.8.3) of some bytes.
pub fn tag(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{text}\"")
}

/// Is `tag` in the list of a header?
pub fn names(list: &HeaderValue, tag: &str) -> bool {
    list.to_str().is_ok_and(|list| list.split(',').map(str::trim).any(|one| one == "*" || one == tag))
}

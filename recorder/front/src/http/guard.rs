//! What every request must satisfy, whatever it asks for: the right host name, and no writing from a foreign origin. Every
//! answer gets the security headers, refusals too.

use crate::app::App;
use crate::config::{Config, is_localhost_name};
use crate::operations;
use crate::problem::ApiProblem;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Is `host` one this front answers to? Over TLS its own name; over plain HTTP any name under `.localhost` with its own
/// port, which no outside name can be made to resolve to.
pub fn is_our_host(config: &Config, host: &str) -> bool {
    if host.eq_ignore_ascii_case(config.host()) {
        return true;
    }
    let port = |text: &str| text.rsplit_once(':').map(|(_, port)| port.to_owned());
    config.tls.is_none() && is_localhost_name(&host.to_ascii_lowercase()) && port(host) == port(config.host())
}

fn host_of(request: &Request) -> Option<&str> {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    named.or_else(|| request.uri().authority().map(|authority| authority.as_str()))
}

/// A browser names the origin of whoever writes; a foreign page may not write here. Native clients name none.
fn is_our_origin(config: &Config, headers: &HeaderMap) -> bool {
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    origin.is_none_or(|origin| {
        origin == config.origin
            || origin.strip_prefix("http://").is_some_and(|host| config.tls.is_none() && is_our_host(config, host))
    })
}

/// Middleware around everything.
pub async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let config = &app.config;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = if !host_of(&request).is_some_and(|host| is_our_host(config, host)) {
        ApiProblem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected",
            format!("This front answers as {} only.", config.host()),
        )
        .into_response()
    } else if !reads && !is_our_origin(config, request.headers()) {
        ApiProblem::forbidden("Requests from other origins are not taken.").into_response()
    } else {
        next.run(request).await
    };
    operations::answered(response.status());
    for (name, value) in &app.headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    // answers are about people and grants; only pages say otherwise
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

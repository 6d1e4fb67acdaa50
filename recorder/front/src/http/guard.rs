//! What every answer carries and what every request must satisfy, whatever it asks for: security headers generated from
//! the configuration, the right host name, and no writing from a foreign origin.

use crate::app::App;
use crate::config::{Config, is_localhost_name};
use crate::problem::ApiProblem;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The content security policy of this firm's pages.
pub fn content_security_policy(config: &Config) -> String {
    // connect-src takes an origin: the path of the address does not belong there
    let signaling: String = config.signaling.split('/').take(3).collect::<Vec<_>>().join("/");
    format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' {signaling}; \
         media-src 'self' blob:; style-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'; \
         frame-ancestors 'none'; form-action 'self'; require-trusted-types-for 'script'; trusted-types strongroom"
    )
}

/// All headers that every answer carries.
pub fn security_headers(config: &Config) -> Vec<(HeaderName, HeaderValue)> {
    let policy =
        HeaderValue::from_str(&content_security_policy(config)).expect("the configuration was judged printable");
    let mut headers = vec![
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            HeaderName::from_static("permissions-policy"),
            HeaderValue::from_static(
                "camera=(self), microphone=(self), display-capture=(self), geolocation=(), usb=(), payment=()",
            ),
        ),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    ];
    if config.tls.is_some() {
        headers.push((header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000")));
    }
    headers
}

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
    for (name, value) in &app.headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    // answers are about people and grants; only pages say otherwise
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

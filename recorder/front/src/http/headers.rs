//! Security headers of every answer, generated from the configuration. Pure.

use crate::config::Config;
use axum::http::{HeaderName, HeaderValue, header};

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

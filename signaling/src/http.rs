//! Routes of the two listeners, and the life of the process.

use crate::clock::Clock;
use crate::failure::Failure;
use crate::hub::Hub;
use crate::loaded::Loaded;
use crate::revoked::Lists;
use crate::truth::Truth;
use crate::{control, meet, revoked};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use service::listen;
use std::net::SocketAddr;
use std::sync::Arc;

/// Plain HTTP is for names of this machine only; a page elsewhere that resolves a name to it has another one.
fn is_local(host: &str) -> bool {
    let name = host
        .rsplit_once(':')
        .map_or(host, |(name, port)| if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host });
    matches!(name, "localhost" | "127.0.0.1" | "[::1]") || name.ends_with(".localhost")
}

async fn local_only(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(is_local) {
        next.run(request).await
    } else {
        let text = "plain HTTP is served on localhost names only: configure [tls]\n";
        (StatusCode::MISDIRECTED_REQUEST, text).into_response()
    }
}

async fn ready(State(hub): State<Arc<Hub>>) -> Response {
    if hub.sfu.borrow().is_some() {
        (StatusCode::OK, "ready\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no SFU is connected\n").into_response()
    }
}

async fn bound(address: SocketAddr, key: &'static str) -> Result<tokio::net::TcpListener, Failure> {
    listen::bind(address, key).await.map_err(|error| Failure::Unavailable(error.to_string()))
}

/// Serves until SIGTERM or Ctrl-C.
pub async fn serve(loaded: Loaded) -> Result<(), Failure> {
    let public = bound(loaded.config.listen, "listen").await?;
    let link = bound(loaded.config.control.listen, "control.listen").await?;
    let rest = loaded.config.rest.as_ref();
    let unusable = |error| Failure::Unavailable(format!("cannot use the database of `store`: {error}"));
    let truth = Truth::begin(loaded.records.clone(), Clock::start().now()).await.map_err(unusable)?;
    let rest_ready = match rest {
        Some(rest) => Some(crate::rest::read(rest, &truth.records, Clock::start().now()).await?),
        None => None,
    };
    let programs = match rest {
        Some(rest) => Some(bound(rest.listen, "rest.listen").await?),
        None => None,
    };
    let operations = service::operations::open(&loaded.config.operations, service::metrics::Service::Signaling)?;
    let revoked = Lists::open(&loaded.config.revocations, &loaded.trust)?;
    let hub = Hub::new(&loaded, revoked, truth);
    let _pushes = match &loaded.matrix {
        Some(matrix) => Some(matrix.listen().await.map_err(|error| Failure::Unavailable(error.to_string()))?),
        None => None,
    };
    operations.serve(hub.clone())?;
    let mut app = Router::new()
        .route("/v1/meet", get(meet::upgrade))
        .route("/v1/revocations", post(revoked::post).layer(DefaultBodyLimit::max(revoked::MAX_LIST)))
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .with_state(hub.clone());
    if loaded.tls.is_none() {
        app = app.layer(from_fn(local_only));
    }
    let sfus = Router::new().route("/v1/sfu", get(control::upgrade)).with_state(hub.clone());
    let rest = crate::rest::open(&loaded, rest_ready, &hub);
    let shown = |listener: &tokio::net::TcpListener| listener.local_addr().map(|at| at.to_string()).unwrap_or_default();
    let at = programs.as_ref().map(shown).unwrap_or_default();
    tracing::info!(listen = shown(&public), control = shown(&link), rest = at, "ready");
    let asked = async {
        match (programs, rest) {
            (Some(listener), Some(rest)) => {
                listen::serve(listener, loaded.rest_tls, rest, std::future::pending()).await
            }
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        () = listen::serve(public, loaded.tls, app, std::future::pending()) => {}
        () = listen::serve(link, Some(loaded.control_tls), sfus, std::future::pending()) => {}
        () = asked => {}
        () = service::stop::asked() => {}
    }
    tracing::info!("stopped");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for good in ["localhost", "localhost:8440", "signaling.localhost:8440", "127.0.0.1:1", "[::1]:8440", "[::1]"] {
            assert!(is_local(good), "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example:80", "127.0.0.1.evil", "", "notlocalhost", "10.0.0.1:80"] {
            assert!(!is_local(bad), "{bad}");
        }
    }
}

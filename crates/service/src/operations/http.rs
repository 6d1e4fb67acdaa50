//! The operations listener: three pages over HTTP/1.1, one request a connection, bounded against peers that say nothing.

use super::Watched;
use crate::metrics::{Service, page};
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Connections at once: some probes and scrapers, and a person.
const MAX_CONNECTIONS: usize = 32;
/// A request's head comes within this time: monitoring is near.
const HEAD: Duration = Duration::from_secs(5);
/// From the connection to the end of the answer, whatever the service does.
const WHOLE: Duration = Duration::from_secs(15);
/// After a failed accept (no descriptors left), before the next.
const BREATHE: Duration = Duration::from_millis(100);
/// Prometheus' text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Serves for ever.
pub async fn serve(listener: TcpListener, service: Service, watched: Arc<dyn Watched>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!("the operations listener cannot accept: {error}");
                tokio::time::sleep(BREATHE).await;
                continue;
            }
        };
        let watched = watched.clone();
        tokio::spawn(async move {
            let _ = timeout(WHOLE, talk(socket, service, &*watched)).await;
            drop(place);
        });
    }
}

async fn talk(socket: TcpStream, service: Service, watched: &dyn Watched) {
    let answer = service_fn(|request: Request<Incoming>| async move {
        Ok::<_, Infallible>(answer(request.method(), request.uri().path(), service, watched).await)
    });
    let mut http = Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).keep_alive(false).max_buf_size(16 * 1024);
    if let Err(error) = http.serve_connection(TokioIo::new(socket), answer).await {
        tracing::debug!("operations: a connection ended: {error}");
    }
}

async fn answer(method: &Method, path: &str, service: Service, watched: &dyn Watched) -> Response<String> {
    if method != Method::GET {
        let mut refused = said(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".to_owned());
        refused.headers_mut().insert(ALLOW, "GET".parse().expect("a header value"));
        return refused;
    }
    match path {
        "/livez" if watched.alive().await => said(StatusCode::OK, TEXT, "alive\n".to_owned()),
        "/livez" => said(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not alive\n".to_owned()),
        "/readyz" => ready(watched).await,
        "/metrics" => match watched.samples().await {
            Some(more) => said(StatusCode::OK, EXPOSITION, page(service, &more)),
            None => said(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the service does not answer\n".to_owned()),
        },
        _ => said(StatusCode::NOT_FOUND, TEXT, "/livez, /readyz, /metrics\n".to_owned()),
    }
}

async fn ready(watched: &dyn Watched) -> Response<String> {
    let mut troubles = watched.troubles().await;
    troubles.sort();
    troubles.dedup();
    if troubles.is_empty() {
        return said(StatusCode::OK, TEXT, "ready\n".to_owned());
    }
    let lines = troubles.iter().map(|reason| format!("{}: {}\n", reason.code(), reason.text()));
    said(StatusCode::SERVICE_UNAVAILABLE, TEXT, lines.collect())
}

fn said(status: StatusCode, kind: &'static str, text: String) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, kind.parse().expect("a header value"));
    response.headers_mut().insert(CACHE_CONTROL, "no-store".parse().expect("a header value"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Sample, names};
    use crate::operations::reason::Reason;
    use crate::operations::{Answer, Settings, open};
    use std::future::ready;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    struct Made {
        alive: bool,
        troubles: Vec<Reason>,
    }

    impl Watched for Made {
        fn alive(&self) -> Answer<'_, bool> {
            Box::pin(ready(self.alive))
        }
        fn troubles(&self) -> Answer<'_, Vec<Reason>> {
            Box::pin(ready(self.troubles.clone()))
        }
        fn samples(&self) -> Answer<'_, Option<Vec<Sample>>> {
            names::custody::REQUESTS.count();
            Box::pin(ready(self.alive.then(Vec::new)))
        }
    }

    async fn asked(watched: &Made, method: Method, path: &str) -> (u16, String) {
        let answer = answer(&method, path, Service::Custody, watched).await;
        (answer.status().as_u16(), answer.into_body())
    }

    #[tokio::test]
    async fn what_keeps_a_service_from_being_ready_stands_in_the_answer() {
        let good = Made { alive: true, troubles: Vec::new() };
        assert_eq!(asked(&good, Method::GET, "/readyz").await, (200, "ready\n".to_owned()));
        assert_eq!(asked(&good, Method::GET, "/livez").await.0, 200);
        let bad = Made { alive: false, troubles: vec![Reason::DiskBelowReserve, Reason::CustodyUnreachable] };
        let (status, text) = asked(&bad, Method::GET, "/readyz").await;
        assert_eq!(status, 503);
        assert!(text.starts_with("custody-unreachable: ") && text.contains("\ndisk-below-reserve: "), "{text}");
        assert_eq!(asked(&bad, Method::GET, "/livez").await.0, 503);
        assert_eq!(asked(&bad, Method::GET, "/metrics").await.0, 503);
        assert_eq!(asked(&good, Method::POST, "/metrics").await.0, 405);
        assert_eq!(asked(&good, Method::GET, "/").await.0, 404);
    }

    #[tokio::test]
    async fn the_pages_are_served_on_a_port_of_their_own_and_a_silent_peer_takes_none_away() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr()).expect("a port");
        let settings = Settings { listen: Some(free), ..Settings::default() };
        let operations = open(&settings, Service::Custody).expect("opened");
        operations.serve(Arc::new(Made { alive: true, troubles: Vec::new() })).expect("serving");
        let _silent = TcpStream::connect(free).await.expect("connected");
        let mut socket = TcpStream::connect(free).await.expect("connected");
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
        let mut text = String::new();
        socket.read_to_string(&mut text).await.expect("answered and closed");
        assert!(text.starts_with("HTTP/1.1 200") && text.contains("text/plain; version=0.0.4"), "{text}");
        assert!(text.contains("\nstrongroom_custody_requests_total 1\n"), "{text}");
    }
}

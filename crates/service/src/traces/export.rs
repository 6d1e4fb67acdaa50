//! Spans on their way to a collector: OTLP 1, HTTP POST of JSON, in batches. A collector that is away costs its spans and one
//! line in the log.
//! Not a wire type: what is read here is configuration, what is written is OpenTelemetry's.

use super::Ended;
use crate::metrics::Service;
use crate::security::Code;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::fmt::Write;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Spans of one request: some 100 kB.
const BATCH: usize = 512;
/// A batch waits so long for more.
const GATHER: Duration = Duration::from_secs(1);
/// A collector beside us answers at once.
const ANSWER: Duration = Duration::from_secs(5);
/// Where OTLP takes traces when the address has no path.
const PATH: &str = "/v1/traces";

/// A collector's address: `http://host:port`, with a path or without.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint {
    authority: String,
    path: String,
    local: bool,
}

impl Endpoint {
    /// Is it on this machine?
    pub fn is_local(&self) -> bool {
        self.local
    }
}

impl TryFrom<String> for Endpoint {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WRONG: &str = "an OTLP endpoint is http://host:port, with a path or without";
        let uri: Uri = text.parse().map_err(|_| WRONG)?;
        let (Some("http"), Some(host), Some(port)) = (uri.scheme_str(), uri.host(), uri.port_u16()) else {
            return Err(WRONG);
        };
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        let local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        let path = if uri.path() == "/" { PATH } else { uri.path() };
        Ok(Self { authority: format!("{host}:{port}"), path: path.to_owned(), local })
    }
}

/// Sends for as long as the process lives.
pub async fn run(endpoint: Endpoint, service: Service, mut ended: mpsc::Receiver<Ended>) {
    let mut away = false;
    let mut batch = Vec::with_capacity(BATCH);
    while ended.recv_many(&mut batch, BATCH).await > 0 {
        if batch.len() < BATCH {
            sleep(GATHER).await;
            while batch.len() < BATCH
                && let Ok(more) = ended.try_recv()
            {
                batch.push(more);
            }
        }
        let sent = timeout(ANSWER, post(&endpoint, body(service, &batch))).await;
        let failed = sent.unwrap_or_else(|_| Err("no answer in time".to_owned())).err();
        if let Some(why) = failed.as_ref().filter(|_| !away) {
            tracing::warn!("the collector of traces takes none, they are left out: {why}");
        }
        away = failed.is_some();
        batch.clear();
    }
}

async fn post(endpoint: &Endpoint, body: String) -> Result<(), String> {
    let socket = TcpStream::connect(endpoint.authority.as_str()).await.map_err(|error| error.to_string())?;
    let connected = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await;
    let (mut sender, connection) = connected.map_err(|error| error.to_string())?;
    let driven = tokio::spawn(connection);
    let request = Request::post(endpoint.path.as_str())
        .header(HOST, endpoint.authority.as_str())
        .header(CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await;
    driven.abort();
    let status = answer.map_err(|error| error.to_string())?.status();
    if status.is_success() { Ok(()) } else { Err(format!("status {}", status.as_u16())) }
}

/// `ExportTraceServiceRequest` as OTLP writes JSON. Nothing in it needs escaping: our own words and numbers.
fn body(service: Service, batch: &[Ended]) -> String {
    let mut spans = String::new();
    for one in batch {
        let Ended { name, code, begun, took, ids: [high, low, span] } = one;
        let (name, begun, end) = (name.text(), begun.as_nanos(), (*begun + *took).as_nanos());
        let comma = if spans.is_empty() { "" } else { "," };
        let (status, attributes) = match *code {
            Code::NONE => (1, String::new()),
            code => (2, format!("{{\"key\":\"code\",\"value\":{{\"stringValue\":\"{}\"}}}}", code.text())),
        };
        // kind 2: a server's work
        write!(
            spans,
            "{comma}{{\"traceId\":\"{high:016x}{low:016x}\",\"spanId\":\"{span:016x}\",\"name\":\"{name}\",\"kind\":2,\
             \"startTimeUnixNano\":\"{begun}\",\"endTimeUnixNano\":\"{end}\",\"attributes\":[{attributes}],\
             \"status\":{{\"code\":{status}}}}}"
        )
        .expect("a string takes everything");
    }
    let program = service.name();
    format!(
        "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"service.name\",\"value\":\
         {{\"stringValue\":\"{program}\"}}}}]}},\"scopeSpans\":[{{\"scope\":{{\"name\":\"strongroom\"}},\"spans\":[{spans}]}}]}}]}}"
    )
}

#[cfg(test)]
mod tests {
    use super::super::Name;
    use super::*;

    #[test]
    fn spans_are_written_as_otlp_says_it() {
        let span = |name, code| Ended {
            name,
            code,
            begun: Duration::new(1_700_000_000, 5),
            took: Duration::from_millis(2),
            ids: [1, 2, 3],
        };
        let body =
            body(Service::Signaling, &[span(Name::Join, Code::NONE), span(Name::Request, Code::of("bad-token"))]);
        for part in [
            r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"strongroom-signaling"}}]}"#,
            r#"{"traceId":"00000000000000010000000000000002","spanId":"0000000000000003","name":"join","kind":2,"#,
            r#""startTimeUnixNano":"1700000000000000005","endTimeUnixNano":"1700000000002000005","attributes":[],"status":{"code":1}},"#,
            r#""attributes":[{"key":"code","value":{"stringValue":"bad-token"}}],"status":{"code":2}}]}]}]}"#,
        ] {
            assert!(body.contains(part), "{part}: {body}");
        }
    }

    #[test]
    fn an_endpoint_is_plain_http_with_a_port() {
        let read = |text: &str| Endpoint::try_from(text.to_owned());
        let here = read("http://127.0.0.1:4318").expect("good");
        assert_eq!((here.authority.as_str(), here.path.as_str(), here.is_local()), ("127.0.0.1:4318", PATH, true));
        let there = read("http://10.0.0.9:4318/otlp/v1/traces").expect("good");
        assert!(!there.is_local() && there.path == "/otlp/v1/traces");
        for bad in ["", "127.0.0.1:4318", "https://127.0.0.1:4318", "http://127.0.0.1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

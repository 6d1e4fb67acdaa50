//! A fake of an OpenTelemetry collector: takes OTLP traces as JSON on loopback and keeps them. It judges the shape that the
//! specification asks for, and nothing else.

use anyhow::Context;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Json, Router, routing::post};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

#[derive(Default)]
struct Taken {
    spans: Mutex<Vec<Value>>,
    more: Notify,
}

/// A running collector. Ends with it.
pub struct Collector {
    taken: Arc<Taken>,
    address: std::net::SocketAddr,
    serving: JoinHandle<()>,
}

fn hex(value: &Value, digits: usize) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.bytes().any(|byte| byte != b'0')
}

/// What the specification wants of a span.
fn well_formed(span: &Value) -> bool {
    let nanos = |key: &str| span[key].as_str().and_then(|text| text.parse::<u64>().ok());
    hex(&span["traceId"], 32)
        && hex(&span["spanId"], 16)
        && span["name"].as_str().is_some_and(|name| !name.is_empty())
        && nanos("startTimeUnixNano").is_some_and(|start| nanos("endTimeUnixNano").is_some_and(|end| start <= end))
}

async fn take(State(taken): State<Arc<Taken>>, Json(request): Json<Value>) -> (StatusCode, Json<Value>) {
    let each = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let resources = each(&request, "resourceSpans");
    let scopes = resources.iter().flat_map(|resource| each(resource, "scopeSpans"));
    let spans: Vec<Value> = scopes.flat_map(|scope| each(&scope, "spans")).collect();
    if spans.is_empty() || !spans.iter().all(well_formed) {
        return (StatusCode::BAD_REQUEST, Json(Value::Null));
    }
    taken.spans.lock().unwrap_or_else(PoisonError::into_inner).extend(spans);
    taken.more.notify_one();
    (StatusCode::OK, Json(serde_json::json!({})))
}

impl Collector {
    /// Starts one.
    pub async fn start() -> anyhow::Result<Self> {
        let taken = Arc::<Taken>::default();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.context("listen")?;
        let address = listener.local_addr()?;
        let app = Router::new().route("/v1/traces", post(take)).with_state(taken.clone());
        let serving = tokio::spawn(async move { drop(axum::serve(listener, app).await) });
        Ok(Self { taken, address, serving })
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for another batch.
    pub async fn more(&self) {
        self.taken.more.notified().await;
    }

    /// Waits until spans of all these names came; what came so far.
    pub async fn spans(&self, names: &[&str]) -> Vec<Value> {
        loop {
            let more = self.taken.more.notified();
            let all = self.taken.spans.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if names.iter().all(|name| all.iter().any(|span| span["name"] == *name)) {
                return all;
            }
            more.await;
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

//! Where the homeserver pushes: transactions and pings, under `hs_token`. Nothing else is answered.

use super::Matrix;
use crate::directory::DirectoryError;
use crate::outside::same;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// Largest transaction: Synapse sends a hundred events of 64 KiB at most.
const MAX_TRANSACTION: usize = 8 * 1024 * 1024;
/// Transactions whose numbers are remembered: one is sent again only until it was answered.
const REMEMBERED: usize = 128;

/// A running listener; dropped, it ends.
pub struct Listening(JoinHandle<()>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Shared {
    matrix: Arc<Matrix>,
    seen: Mutex<VecDeque<String>>,
}

impl Matrix {
    /// Listens where the configuration says.
    pub async fn listen(self: &Arc<Self>) -> Result<Listening, DirectoryError> {
        let at = self.config.listen;
        let listener = tokio::net::TcpListener::bind(at).await.map_err(|error| {
            DirectoryError::Unreachable(format!("cannot listen on {at} (`directory.matrix.listen`): {error}"))
        })?;
        let shared = Arc::new(Shared { matrix: self.clone(), seen: Mutex::default() });
        let app = Router::new()
            .route("/_matrix/app/v1/transactions/{number}", put(transaction))
            .route("/_matrix/app/v1/ping", post(async || Json(json!({}))))
            .layer(DefaultBodyLimit::max(MAX_TRANSACTION))
            .layer(from_fn_with_state(shared.clone(), homeserver_only))
            .with_state(shared);
        Ok(Listening(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!("the listener for Matrix ended: {error}");
            }
        })))
    }
}

async fn homeserver_only(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|shown| shown.to_str().ok());
    let token = shown.and_then(|shown| shown.strip_prefix("Bearer ")).unwrap_or_default();
    if same(token.as_bytes(), shared.matrix.hs_token.as_bytes()) {
        return next.run(request).await;
    }
    tracing::warn!("somebody who is not the homeserver called the listener for Matrix");
    (StatusCode::FORBIDDEN, Json(json!({ "errcode": "M_FORBIDDEN", "error": "not the homeserver's token" })))
        .into_response()
}

/// Sent again until it is answered with success; the same number is the same transaction.
async fn transaction(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<String>,
    Json(body): Json<Value>,
) -> Json<Value> {
    {
        let mut seen = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(&number) {
            return Json(json!({}));
        }
        seen.push_back(number);
        if seen.len() > REMEMBERED {
            seen.pop_front();
        }
    }
    for event in body["events"].as_array().into_iter().flatten() {
        let (Some(room), Some(about)) = (event["room_id"].as_str(), event["state_key"].as_str()) else { continue };
        let ours = about == shared.matrix.config.sender;
        if ours && event["type"] == "m.room.member" && event["content"]["membership"] == "invite" {
            let (matrix, room) = (shared.matrix.clone(), room.to_owned());
            tokio::spawn(async move { matrix.accept(&room).await });
        } else {
            shared.matrix.journal.note(shared.matrix.names.remember(room));
        }
    }
    // with a length: Synapse takes an answer without one for a failure, and waits
    Json(json!({}))
}

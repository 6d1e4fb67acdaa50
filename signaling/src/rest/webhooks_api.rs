//! How webhooks are seen, and asked to tell once more.

use super::Rest;
use super::clients::Scope;
use super::gate::Caller;
use super::problem::{Answer, Body, unknown};
use axum::Json;
use axum::extract::{Path, State};
use domain::message::rest::{Page, ReplayWebhook, Replayed, RestProblem, WebhookInfo};
use std::sync::Arc;

/// The webhooks that concern the client, and how their deliveries go.
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks", operation_id = "listWebhooks",
    responses((status = 200, body = Page<WebhookInfo>), (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn list(State(rest): State<Arc<Rest>>, caller: Caller) -> Answer<Json<Page<WebhookInfo>>> {
    caller.needs(Scope::WebhooksWrite)?;
    let mut items = Vec::new();
    for hook in rest.hooks.0.iter().filter(|hook| caller.0.sees(hook.settings.firm.iter())) {
        let [waiting, delivered, dead, attempts] = rest.records.counts(&hook.settings.name).await?;
        items.push(WebhookInfo { name: hook.settings.name.clone(), waiting, delivered, dead, attempts });
    }
    // as many as the configuration has: one page
    Ok(Json(Page { items, next: None }))
}

/// Sends messages once more, delivered or not: a receiver that lost them asks for it.
#[utoipa::path(post, path = "/v1/webhooks/{name}/replay", tag = "webhooks", operation_id = "replayWebhook",
    params(("name" = String, Path), ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 128)),
    request_body = ReplayWebhook,
    responses((status = 200, body = Replayed), (status = "default", body = RestProblem, content_type = "application/problem+json")))]
pub async fn replay(
    State(rest): State<Arc<Rest>>,
    caller: Caller,
    Path(name): Path<String>,
    Body(asked): Body<ReplayWebhook>,
) -> Answer<Json<Replayed>> {
    caller.needs(Scope::WebhooksWrite)?;
    let known = |hook: &&super::webhooks::Hook| hook.settings.name == name && caller.0.sees(hook.settings.firm.iter());
    if !rest.hooks.0.iter().any(|hook| known(&hook)) {
        return Err(unknown());
    }
    let messages = rest.records.replay(&name, asked.since, rest.hub.clock.now()).await?;
    rest.hooks.wake(&name);
    Ok(Json(Replayed { messages }))
}

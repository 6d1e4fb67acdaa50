//! `/metrics` (Prometheus text), `/livez` and `/readyz` on a loopback address. No room, meeting or person is ever a label.

use crate::shard::EdgeStats;
use crate::shard::commands::{Command, Commands};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use sfu_core::Stats;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// A shard that does not answer in so long is not well.
const ANSWER: Duration = Duration::from_secs(2);

/// What the pages are made from.
#[derive(Clone)]
pub struct Admin {
    /// The shard.
    pub commands: Commands,
    /// Is the control link up?
    pub connected: Arc<AtomicBool>,
}

/// The routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(admin)
}

async fn counters(admin: &Admin) -> Option<(EdgeStats, Stats)> {
    let (reply, answer) = oneshot::channel();
    admin.commands.send(Command::Stats(reply)).ok()?;
    tokio::time::timeout(ANSWER, answer).await.ok()?.ok()
}

async fn livez(State(admin): State<Admin>) -> StatusCode {
    match counters(&admin).await {
        Some(_) => StatusCode::OK,
        None => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Ready for new meetings: the shard answers and the control link is up.
async fn readyz(State(admin): State<Admin>) -> StatusCode {
    if admin.connected.load(Ordering::Relaxed) { livez(State(admin)).await } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn metrics(State(admin): State<Admin>) -> Result<String, StatusCode> {
    let (edge, core) = counters(&admin).await.ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let connected = u64::from(admin.connected.load(Ordering::Relaxed));
    Ok(render(&edge, &core, connected))
}

fn render(edge: &EdgeStats, core: &Stats, connected: u64) -> String {
    let gauges = [
        ("control_link_up", connected),
        ("transports", edge.transports),
        ("proven_addresses", edge.addresses),
        ("meetings", edge.meetings),
        ("participants", edge.participants),
    ];
    let counters = [
        ("received_packets_total", core.received),
        ("received_bytes_total", core.received_bytes),
        ("forwarded_packets_total", core.forwarded),
        ("forwarded_bytes_total", core.forwarded_bytes),
        ("retransmitted_packets_total", core.retransmitted),
        ("recovered_packets_total", core.recovered),
        ("refused_not_sealed_total", core.not_sealed),
        ("refused_wrong_leaf_total", core.wrong_leaf),
        ("leaf_unchecked_frames_total", core.leaf_unchecked),
        ("dropped_suspended_total", core.suspended),
        ("dropped_not_permitted_total", core.not_permitted),
        ("dropped_unusable_total", core.unusable),
        ("key_requests_total", core.key_requests),
        ("nacked_total", core.nacked),
        ("nacks_sent_total", core.nacks_sent),
        ("recorded_messages_total", core.recorded),
        ("record_lost_messages_total", core.record_lost),
        ("unproven_datagrams_total", edge.unproven),
        ("bad_stun_total", edge.bad_stun),
        ("srtp_not_opened_total", edge.not_opened),
        ("srtp_not_sealed_total", edge.not_sealed),
        ("send_dropped_total", edge.send_dropped),
        ("sent_in_runs_total", edge.sent_in_runs),
        ("sent_alone_total", edge.sent_alone),
        ("control_messages_dropped_total", edge.control_dropped),
    ];
    let mut out = String::new();
    for (kind, list) in [("gauge", &gauges[..]), ("counter", &counters[..])] {
        for (name, value) in list {
            let _ = write!(out, "# TYPE strongroom_sfu_{name} {kind}\nstrongroom_sfu_{name} {value}\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_shown_in_the_text_format() {
        let core = Stats { forwarded: 7, ..Stats::default() };
        let text = render(&EdgeStats::default(), &core, 1);
        assert!(text.contains("# TYPE strongroom_sfu_forwarded_packets_total counter\n"));
        assert!(text.contains("strongroom_sfu_forwarded_packets_total 7\n"));
        assert!(text.contains("strongroom_sfu_control_link_up 1\n"));
    }
}

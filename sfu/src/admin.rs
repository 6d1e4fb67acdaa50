//! `/metrics` (Prometheus text), `/livez` and `/readyz` on a loopback address. No room, meeting or person is ever a label.

use crate::shard::EdgeStats;
use crate::shards::Shards;
use crate::tcp::gate::Gate;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use sfu_core::Stats;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A shard that does not answer in so long is not well.
const ANSWER: Duration = Duration::from_secs(2);

/// What the pages are made from.
#[derive(Clone)]
pub struct Admin {
    /// All shards.
    pub shards: Shards,
    /// Is the control link up?
    pub connected: Arc<AtomicBool>,
    /// Counts TCP connections.
    pub gate: Arc<Gate>,
}

/// The routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(admin)
}

/// Counters of each shard, if all of them answer.
async fn counters(admin: &Admin) -> Option<Vec<(EdgeStats, Stats)>> {
    admin.shards.stats(ANSWER).await
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
    let shards = counters(&admin).await.ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let connected = u64::from(admin.connected.load(Ordering::Relaxed));
    let own = [
        ("gauge", "control_link_up", connected),
        ("gauge", "shards", shards.len() as u64),
        ("counter", "tcp_refused_at_gate_total", admin.gate.refused()),
    ];
    Ok(render(&shards, &own))
}

/// Counters are those of all shards together; how busy each of them is stands beside its number.
fn render(shards: &[(EdgeStats, Stats)], own: &[(&'static str, &'static str, u64)]) -> String {
    let mut out = String::new();
    let numbers = shards.iter().map(|(edge, core)| one(edge, core)).reduce(|mut sum, shard| {
        for ((_, _, total), (_, _, value)) in sum.iter_mut().zip(shard) {
            *total += value;
        }
        sum
    });
    for (kind, name, value) in own.iter().copied().chain(numbers.unwrap_or_default()) {
        let _ = write!(out, "# TYPE strongroom_sfu_{name} {kind}\nstrongroom_sfu_{name} {value}\n");
    }
    for (name, value) in [("shard_busy_permille", 0), ("shard_shedding", 1)] {
        let _ = writeln!(out, "# TYPE strongroom_sfu_{name} gauge");
        for (shard, (edge, _)) in shards.iter().enumerate() {
            let value = [edge.busy_permille, edge.shedding][value];
            let _ = writeln!(out, "strongroom_sfu_{name}{{shard=\"{shard}\"}} {value}");
        }
    }
    out
}

/// Type, name and value of every number of one shard.
fn one(edge: &EdgeStats, core: &Stats) -> Vec<(&'static str, &'static str, u64)> {
    let gauges = [
        ("transports", edge.transports),
        ("tcp_connections", edge.tcp_connections),
        ("tcp_queued_bytes", edge.tcp_queued),
        ("proven_addresses", edge.addresses),
        ("packet_history_bytes", edge.history),
        ("udp_socket_buffer_bytes", edge.socket_buffers),
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
        ("dropped_flood_total", core.flooded),
        ("dropped_unusable_total", core.unusable),
        ("key_requests_total", core.key_requests),
        ("nacked_total", core.nacked),
        ("nacks_sent_total", core.nacks_sent),
        ("recorded_messages_total", core.recorded),
        ("record_lost_messages_total", core.record_lost),
        ("unproven_datagrams_total", edge.unproven),
        ("bad_stun_total", edge.bad_stun),
        ("tcp_refused_total", edge.tcp_refused),
        ("tcp_dropped_total", edge.tcp_dropped),
        ("srtp_not_opened_total", edge.not_opened),
        ("srtp_not_sealed_total", edge.not_sealed),
        ("send_dropped_total", edge.send_dropped),
        ("sent_in_runs_total", edge.sent_in_runs),
        ("sent_alone_total", edge.sent_alone),
        ("control_messages_dropped_total", edge.control_dropped),
        ("rtcp_sent_total", edge.rtcp_sent),
        ("dropped_overload_total", core.shed),
        ("panics_total", edge.panics),
    ];
    let gauges = gauges.into_iter().map(|(name, value)| ("gauge", name, value));
    gauges.chain(counters.into_iter().map(|(name, value)| ("counter", name, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_shown_in_the_text_format() {
        let core = Stats { forwarded: 7, ..Stats::default() };
        let edge = EdgeStats { busy_permille: 250, ..EdgeStats::default() };
        let text = render(&[(edge, core), (EdgeStats::default(), core)], &[("gauge", "control_link_up", 1)]);
        assert!(text.contains("# TYPE strongroom_sfu_forwarded_packets_total counter\n"));
        assert!(text.contains("strongroom_sfu_forwarded_packets_total 14\n"));
        assert!(text.contains("strongroom_sfu_control_link_up 1\n"));
        assert!(text.contains("strongroom_sfu_shard_busy_permille{shard=\"0\"} 250\n"));
        assert!(text.contains("strongroom_sfu_shard_busy_permille{shard=\"1\"} 0\n"));
    }
}

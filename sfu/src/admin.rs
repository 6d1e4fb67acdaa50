//! How the node is seen by its operators: the numbers of all shards, and what keeps it from new meetings. No room, meeting
//! or person is ever a label.

use crate::shard::EdgeStats;
use crate::shards::Shards;
use crate::tcp::gate::Gate;
use service::metrics::names::sfu as names;
use service::metrics::{Label, Metric, Sample};
use service::operations::reason::Reason;
use service::operations::{Answer, Watched};
use sfu_core::Stats;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A shard that does not answer in so long is not well.
const ANSWER: Duration = Duration::from_secs(2);

/// What the pages are made from.
pub struct Admin {
    /// All shards.
    pub shards: Shards,
    /// Is the control link up?
    pub connected: Arc<AtomicBool>,
    /// Counts TCP connections.
    pub gate: Arc<Gate>,
}

impl Watched for Admin {
    fn alive(&self) -> Answer<'_, bool> {
        Box::pin(async { self.shards.stats(ANSWER).await.is_some() })
    }

    /// Ready for new meetings: the shards answer and the control link is up.
    fn troubles(&self) -> Answer<'_, Vec<Reason>> {
        Box::pin(async {
            let linked = self.connected.load(Ordering::Relaxed);
            let silent = self.shards.stats(ANSWER).await.is_none();
            [(!linked, Reason::ControlLinkDown), (silent, Reason::ShardSilent)]
                .into_iter()
                .filter_map(|(is, reason)| is.then_some(reason))
                .collect()
        })
    }

    fn samples(&self) -> Answer<'_, Option<Vec<Sample>>> {
        Box::pin(async {
            let shards = self.shards.stats(ANSWER).await?;
            names::CONTROL_LINK_UP.set(u64::from(self.connected.load(Ordering::Relaxed)));
            names::TCP_REFUSED_AT_GATE.set(self.gate.refused());
            Some(show(&shards))
        })
    }
}

/// Counters are those of all shards together; how busy each of them is stands beside its number.
fn show(shards: &[(EdgeStats, Stats)]) -> Vec<Sample> {
    names::SHARDS.set(shards.len() as u64);
    for (at, (metric, _)) in one(&EdgeStats::default(), &Stats::default()).into_iter().enumerate() {
        metric.set(shards.iter().map(|(edge, core)| one(edge, core)[at].1).sum());
    }
    let each = |metric: &'static Metric, value: fn(&EdgeStats) -> u64| {
        let line = move |(shard, (edge, _)): (usize, &(EdgeStats, Stats))| Sample {
            metric,
            label: Label::Shard(shard),
            value: value(edge),
        };
        shards.iter().enumerate().map(line).collect::<Vec<_>>()
    };
    let mut samples = each(&names::SHARD_BUSY, |edge| edge.busy_permille);
    samples.extend(each(&names::SHARD_SHEDDING, |edge| edge.shedding));
    samples
}

/// Every number of one shard.
fn one(edge: &EdgeStats, core: &Stats) -> [(&'static Metric, u64); 39] {
    [
        (&names::TRANSPORTS, edge.transports),
        (&names::TCP_CONNECTIONS, edge.tcp_connections),
        (&names::TCP_QUEUED_BYTES, edge.tcp_queued),
        (&names::PROVEN_ADDRESSES, edge.addresses),
        (&names::PACKET_HISTORY_BYTES, edge.history),
        (&names::UDP_SOCKET_BUFFER_BYTES, edge.socket_buffers),
        (&names::MEETINGS, edge.meetings),
        (&names::PARTICIPANTS, edge.participants),
        (&names::RECEIVED_PACKETS, core.received),
        (&names::RECEIVED_BYTES, core.received_bytes),
        (&names::FORWARDED_PACKETS, core.forwarded),
        (&names::FORWARDED_BYTES, core.forwarded_bytes),
        (&names::RETRANSMITTED_PACKETS, core.retransmitted),
        (&names::RECOVERED_PACKETS, core.recovered),
        (&names::REFUSED_NOT_SEALED, core.not_sealed),
        (&names::REFUSED_WRONG_LEAF, core.wrong_leaf),
        (&names::LEAF_UNCHECKED, core.leaf_unchecked),
        (&names::DROPPED_SUSPENDED, core.suspended),
        (&names::DROPPED_NOT_PERMITTED, core.not_permitted),
        (&names::DROPPED_FLOOD, core.flooded),
        (&names::DROPPED_UNUSABLE, core.unusable),
        (&names::KEY_REQUESTS, core.key_requests),
        (&names::NACKED, core.nacked),
        (&names::NACKS_SENT, core.nacks_sent),
        (&names::RECORDED_MESSAGES, core.recorded),
        (&names::RECORD_LOST_MESSAGES, core.record_lost),
        (&names::UNPROVEN_DATAGRAMS, edge.unproven),
        (&names::BAD_STUN, edge.bad_stun),
        (&names::TCP_REFUSED, edge.tcp_refused),
        (&names::TCP_DROPPED, edge.tcp_dropped),
        (&names::SRTP_NOT_OPENED, edge.not_opened),
        (&names::SRTP_NOT_SEALED, edge.not_sealed),
        (&names::SEND_DROPPED, edge.send_dropped),
        (&names::SENT_IN_RUNS, edge.sent_in_runs),
        (&names::SENT_ALONE, edge.sent_alone),
        (&names::CONTROL_MESSAGES_DROPPED, edge.control_dropped),
        (&names::RTCP_SENT, edge.rtcp_sent),
        (&names::DROPPED_OVERLOAD, core.shed),
        (&names::PANICS, edge.panics),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use service::metrics::{Service, page};

    #[test]
    fn counters_are_sums_over_the_shards_and_every_number_of_the_list_is_filled() {
        let core = Stats { forwarded: 7, ..Stats::default() };
        let edge = EdgeStats { busy_permille: 250, ..EdgeStats::default() };
        let text = page(Service::Sfu, &show(&[(edge, core), (EdgeStats::default(), core)]));
        assert!(text.contains("# TYPE strongroom_sfu_forwarded_packets_total counter\n"));
        assert!(
            text.contains("\nstrongroom_sfu_forwarded_packets_total 14\n")
                && text.contains("\nstrongroom_sfu_shards 2\n")
        );
        assert!(text.contains("\nstrongroom_sfu_shard_busy_permille{shard=\"0\"} 250\n"));
        assert!(text.contains("\nstrongroom_sfu_shard_busy_permille{shard=\"1\"} 0\n"));
        let of_shards = one(&EdgeStats::default(), &Stats::default()).map(|(metric, _)| metric.name);
        let of_node = [&names::CONTROL_LINK_UP, &names::SHARDS, &names::TCP_REFUSED_AT_GATE].map(|metric| metric.name);
        for metric in Service::Sfu.metrics() {
            assert!(of_shards.contains(&metric.name) || of_node.contains(&metric.name), "{}", metric.name);
        }
    }
}

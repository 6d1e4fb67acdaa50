//! `cargo bench -p benches --bench forward -- --json`: what one packet forwarded costs, from 1 publisher to N
//! subscribers, beside the floor of the same machine and the same run. Method and reading: benches/README.md.

#[path = "../../../sfu/tests/client/mod.rs"]
mod client;
mod floor;
mod generator;
mod load;
mod peer_str0m;
mod strongroom;

use clap::{Parser, ValueEnum};
use generator::{Measured, Running};
use load::Load;
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// Runs of one case; the median counts.
const RUNS: usize = 3;

/// Who forwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
enum Who {
    /// Receive, open, seal and send, nothing else; a frame in one GSO send.
    FloorGso,
    /// The same with one `sendmmsg` a packet.
    FloorSendmmsg,
    /// Our shard with everything on.
    Strongroom,
    /// A plain forwarder on str0m in RTP mode.
    Str0m,
}

#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object a line, and nothing else.
    #[arg(long)]
    json: bool,
    /// Only these.
    #[arg(long, value_delimiter = ',')]
    who: Vec<Who>,
    /// Only these loads.
    #[arg(long, value_delimiter = ',')]
    load: Vec<Load>,
    /// Only these numbers of subscribers.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 50])]
    subscribers: Vec<usize>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// One line of the result.
#[derive(Debug, Serialize)]
struct Line {
    who: Who,
    load: Load,
    subscribers: usize,
    pps_in: u64,
    ns_per_packet: u64,
    p50_us: u64,
    p99_us: u64,
    loss: f64,
    gso_share: Option<f64>,
}

fn start(who: Who, subscribers: usize) -> anyhow::Result<Running> {
    match who {
        Who::FloorGso => floor::start(subscribers, floor::Send::Gso),
        Who::FloorSendmmsg => floor::start(subscribers, floor::Send::Mmsg),
        Who::Strongroom => strongroom::start(subscribers),
        Who::Str0m => peer_str0m::start(subscribers),
    }
}

fn case(who: Who, load: Load, subscribers: usize, packets: &[load::Packet]) -> anyhow::Result<Line> {
    let mut running = start(who, subscribers)?;
    running.window(&packets[..load::warm(packets)])?;
    let mut runs: Vec<Measured> = (0..RUNS).map(|_| running.window(packets)).collect::<anyhow::Result<_>>()?;
    let gso_share = running.stop();
    runs.sort_by_key(|run| run.ns_per_packet);
    let lost = runs.iter().map(|run| run.loss).fold(0.0, f64::max);
    let median = &runs[RUNS / 2];
    Ok(Line {
        who,
        load,
        subscribers,
        pps_in: median.pps_in,
        ns_per_packet: median.ns_per_packet,
        p50_us: median.p50_us,
        p99_us: median.p99_us,
        loss: (lost * 10_000.0).round() / 10_000.0,
        gso_share,
    })
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    generator::pin(generator::Core::Generator);
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces");
    let all = |chosen: &[Who]| if chosen.is_empty() { Who::value_variants().to_vec() } else { chosen.to_vec() };
    let loads = if arguments.load.is_empty() { Load::value_variants().to_vec() } else { arguments.load.clone() };
    let mut out = std::io::stdout().lock();
    if !arguments.json {
        writeln!(out, "{}", generator::machine())?;
        writeln!(out, "who            load    subs  pps in  ns/packet  p50 us  p99 us    loss  by GSO")?;
    }
    for load in loads {
        let packets = load.packets(&traces)?;
        for subscribers in &arguments.subscribers {
            for who in all(&arguments.who) {
                let line = case(who, load, *subscribers, &packets)?;
                if arguments.json {
                    writeln!(out, "{}", serde_json::to_string(&line)?)?;
                } else {
                    let share = line.gso_share.map_or_else(|| "-".into(), |share| format!("{:.0} %", share * 100.0));
                    writeln!(
                        out,
                        "{:<14} {:<7} {:>4} {:>7} {:>10} {:>7} {:>7} {:>7} {:>7}",
                        format!("{who:?}"),
                        format!("{load:?}"),
                        line.subscribers,
                        line.pps_in,
                        line.ns_per_packet,
                        line.p50_us,
                        line.p99_us,
                        line.loss,
                        share
                    )?;
                }
                out.flush()?;
            }
        }
    }
    Ok(())
}

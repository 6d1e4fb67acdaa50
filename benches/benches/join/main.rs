//! `cargo bench -p benches --bench join -- --json`: what a join costs the SFU: ICE, DTLS, offer and answer, first packet.
//! CPU time of the shard's thread; people arrive in groups, as at the beginning of a meeting.

use benches::forwarders::strongroom::{Host, Roles, Shape, meeting, who};
use benches::load::bursts;
use benches::machine::{self, Core};
use benches::packet::Kind;
use benches::sink::Tally;
use clap::Parser;
use sfu_core::Micros;
use std::io::Write;
use std::time::{Duration, Instant};

/// The first packet comes within this time of the last handshake.
const FIRST_PACKET: Duration = Duration::from_secs(5);
/// Runs; the median counts.
const RUNS: usize = 3;

#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// People who come at once.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 50, 200])]
    joins: Vec<usize>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// CPU microseconds a join, and wall milliseconds until everybody had a packet.
fn run(joins: usize) -> anyhow::Result<(u64, u64)> {
    let mut host = Host::start(1, Roles::Apart)?;
    let (at, publisher) = (meeting(0), who("pub0"));
    host.open(&at, std::slice::from_ref(&publisher))?;
    host.publish(&at, &publisher, 0, Kind::Video)?;
    host.ready(1, 0)?;
    let meter = host.meter.clone();
    let (cpu, began) = (meter.cpu_ns()?, Instant::now());
    (0..joins).try_for_each(|n| host.admit(&at, &who(&format!("sub{n}"))))?;
    host.ready(1 + joins, 1)?;
    let mut running = host.running(&Shape::broadcast(joins));
    let frame = bursts(1500, 5_000);
    frame.iter().for_each(|packet| running.publishers[0].send(packet));
    let (sent, mut served) = (Instant::now(), vec![false; joins]);
    while served.contains(&false) {
        let missing = served.iter().filter(|served| !**served).count();
        anyhow::ensure!(sent.elapsed() < FIRST_PACKET, "{missing} of {joins} got no packet");
        for (subscriber, served) in running.subscribers.iter_mut().zip(&mut served) {
            let mut tally = Tally::default();
            subscriber.empty(Micros(1), &mut tally);
            *served |= tally.received > 0;
        }
    }
    let (cpu, wall) = (meter.cpu_ns()? - cpu, began.elapsed());
    running.stop();
    Ok((cpu / 1000 / joins as u64, wall.as_millis() as u64))
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    machine::pin(Core::Generator);
    let mut out = std::io::stdout().lock();
    if !arguments.json {
        writeln!(out, "{}\njoins  CPU us each  joins/s a core  all there, ms", machine::describe())?;
    }
    for joins in arguments.joins {
        let mut runs = (0..RUNS).map(|_| run(joins)).collect::<anyhow::Result<Vec<_>>>()?;
        runs.sort_unstable();
        let (us, wall_ms) = runs[RUNS / 2];
        let rate = 1_000_000 / us.max(1);
        if arguments.json {
            let line = serde_json::json!({"who": "strongroom", "bench": "join", "joins": joins, "us_per_join": us,
                "joins_per_core_second": rate, "all_there_ms": wall_ms, "machine_load": machine::load()});
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{joins:>5} {us:>12} {rate:>15} {wall_ms:>14}")?;
        }
    }
    Ok(())
}

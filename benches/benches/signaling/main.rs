//! `cargo bench -p benches --bench signaling -- --json`: what a join costs the whole of signaling, and what a connection costs
//! its memory. The real process over TLS, as in production: challenge, certificate, admission, KeyPackage, commit with
//! GroupInfo judged, Welcome; a media server that only acknowledges on the control link. The participants are real sessions in
//! this process; their CPU is not counted.

mod crowd;
mod process;
mod site;

use benches::machine::{self, Meter};
use clap::Parser;
use crowd::{Arrival, Crowd};
use process::Signaling;
use serde_json::{Value, json};
use site::Site;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Before memory is read: what the last join left to do is done.
const CALM: Duration = Duration::from_secs(2);

#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Small meetings.
    #[arg(long, default_value_t = 40)]
    meetings: usize,
    /// People in each of them.
    #[arg(long, default_value_t = 10)]
    people: usize,
    /// People in the one large meeting.
    #[arg(long, default_value_t = 100)]
    large: usize,
    /// Connections that said hello and wait, to count their memory.
    #[arg(long, value_delimiter = ',', default_values_t = [1000, 3500])]
    idle: Vec<usize>,
    /// The service; built by `cargo build --release -p signaling`.
    #[arg(long)]
    signaling: Option<PathBuf>,
    /// Prints its process id and waits so long before people come, seconds: to attach a profiler.
    #[arg(long, default_value_t = 0)]
    wait: u64,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A phase with joins: rooms, people in each, how they come, rooms at a time.
struct Joins {
    meetings: usize,
    people: usize,
    arrival: Arrival,
    at_once: usize,
}

fn beside(arguments: &Arguments) -> anyhow::Result<PathBuf> {
    if let Some(given) = &arguments.signaling {
        return Ok(given.clone());
    }
    // target/release/deps/signaling-… -> target/release/strongroom-signaling
    let own = std::env::current_exe()?;
    let found = own.parent().and_then(|deps| deps.parent()).map(|target| target.join("strongroom-signaling"));
    found.filter(|path| path.exists()).ok_or_else(|| anyhow::anyhow!("first: cargo build --release -p signaling"))
}

async fn joins(arguments: &Arguments, wanted: Joins) -> anyhow::Result<Value> {
    let site = Arc::new(Site::new(wanted.meetings, wanted.people)?);
    let running = Signaling::start(&beside(arguments)?, &site).await?;
    if arguments.wait > 0 {
        eprintln!("signaling is process {}", running.id());
        tokio::time::sleep(Duration::from_secs(arguments.wait)).await;
    }
    let meter = Meter::Process(running.id());
    let mut crowd = Crowd::new(site.clone(), running.port)?;
    // what is made once is there before it is counted
    crowd.bare(1).await?;
    let (cpu, memory, began) = (meter.cpu_ns()?, meter.resident_kib(), Instant::now());
    crowd.meet(&wanted.arrival, wanted.at_once).await?;
    let (spent, wall) = (meter.cpu_ns()? - cpu, began.elapsed());
    tokio::time::sleep(CALM).await;
    let people = (wanted.meetings * wanted.people) as u64;
    let grown = meter.resident_kib().zip(memory).map(|(after, before)| after.saturating_sub(before) / people);
    let us = spent / 1000 / people;
    Ok(json!({
        "who": "strongroom", "bench": "signaling-join", "meetings": wanted.meetings, "people": wanted.people,
        "arrival": wanted.arrival.name(), "joins": people, "us_per_join": us,
        "joins_per_core_second": 1_000_000 / us.max(1), "joins_per_second_here": people as f64 / wall.as_secs_f64(),
        "kib_a_member": grown, "machine_load": machine::load(),
    }))
}

async fn idle(arguments: &Arguments, connections: usize) -> anyhow::Result<Value> {
    let site = Arc::new(Site::new(1, 1)?);
    let running = Signaling::start(&beside(arguments)?, &site).await?;
    let meter = Meter::Process(running.id());
    let mut crowd = Crowd::new(site, running.port)?;
    crowd.bare(10).await?;
    let before = meter.resident_kib().unwrap_or_default();
    crowd.bare(connections).await?;
    let after = meter.resident_kib().unwrap_or_default();
    Ok(json!({
        "who": "strongroom", "bench": "signaling-idle", "connections": connections,
        "kib_a_connection": (after.saturating_sub(before)) as f64 / connections as f64, "machine_load": machine::load(),
    }))
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    let mut out = std::io::stdout().lock();
    if !arguments.json {
        writeln!(out, "{}", machine::describe())?;
    }
    let mut say = |line: Value| -> anyhow::Result<()> {
        if arguments.json {
            writeln!(out, "{line}")?;
        } else {
            for (name, value) in line.as_object().into_iter().flatten() {
                writeln!(out, "{name:<24} {value}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    };
    let small = |arrival| Joins { meetings: arguments.meetings, people: arguments.people, arrival, at_once: 8 };
    for arrival in [Arrival::Together, Arrival::InTurn] {
        if arguments.meetings > 0 {
            say(runtime.block_on(joins(&arguments, small(arrival)))?)?;
        }
    }
    if arguments.large > 0 {
        let arrival = Arrival::Every(Duration::from_millis(100));
        let large = Joins { meetings: 1, people: arguments.large, arrival, at_once: 1 };
        say(runtime.block_on(joins(&arguments, large))?)?;
    }
    for connections in arguments.idle.clone() {
        say(runtime.block_on(idle(&arguments, connections))?)?;
    }
    Ok(())
}

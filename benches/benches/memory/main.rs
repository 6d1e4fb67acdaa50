//! `cargo bench -p benches --bench memory -- --json`: what the SFU holds for each subscriber of ten tracks, and apart from
//! it what it holds for the tracks (packet history) and what the kernel may hold (socket buffers). Resident memory of a
//! process that runs one shard and nothing else.

use anyhow::Context;
use benches::forwarders::served::serve;
use benches::forwarders::strongroom::{Host, Roles, Shape, meeting, who};
use benches::load::even;
use benches::machine::{self, Core};
use benches::packet::Kind;
use clap::Parser;
use domain::ParticipantId;
use std::io::Write;
use std::process::Command;

/// Windows of 0.7 s before memory is read: the history holds a second.
const WINDOWS: usize = 5;
/// Packets a second of each track: few, so that many subscribers are served on any machine.
const RATE: u64 = 60;
/// Their payload.
const PAYLOAD: usize = 1_100;

#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Tracks of each subscriber.
    #[arg(long, default_value_t = 10)]
    tracks: usize,
    /// Subscribers: the difference between the two numbers is what counts.
    #[arg(long, value_delimiter = ',', default_values_t = [40, 200])]
    subscribers: Vec<usize>,
    /// The process that is measured.
    #[arg(long, hide = true)]
    serve: bool,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Resident KiB: with the publishers connected, after their traffic, with the subscribers connected, after traffic.
fn run(tracks: usize, subscribers: usize) -> anyhow::Result<[u64; 3]> {
    let mut host = Host::apart(Command::new(std::env::current_exe()?).arg("--serve"), Roles::Apart)?;
    let at = meeting(0);
    let names: Vec<ParticipantId> = (0..tracks).map(|n| who(&format!("pub{n}"))).collect();
    host.open(&at, &names)?;
    for (place, name) in names.iter().enumerate() {
        host.publish(&at, name, place as u16, Kind::Video)?;
    }
    host.ready(tracks, 0)?;
    let meter = host.meter.clone();
    let resident = || meter.resident_kib().context("the shard's process is gone");
    let publishers = resident()?;
    (0..subscribers).try_for_each(|n| host.admit(&at, &who(&format!("sub{n}"))))?;
    host.ready(tracks + subscribers, tracks)?;
    let connected = resident()?;
    let shape = Shape { publishers: tracks, ..Shape::broadcast(subscribers) };
    let mut running = host.running(&shape);
    let packets = even(RATE, PAYLOAD);
    for _ in 0..WINDOWS {
        let measured = running.window(&packets)?;
        anyhow::ensure!(measured.loss < 0.01, "{:.1} % was lost: the machine is too busy", measured.loss * 100.0);
    }
    let flowing = resident()?;
    running.stop();
    Ok([publishers, connected, flowing])
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.serve {
        return serve();
    }
    machine::pin(Core::Generator);
    let [few, many] = arguments.subscribers[..] else { anyhow::bail!("--subscribers wants two numbers") };
    anyhow::ensure!(few < many, "--subscribers wants the smaller number first");
    let (a, b) = (run(arguments.tracks, few)?, run(arguments.tracks, many)?);
    let more = (many - few) as i64;
    let each = |at: usize| ((b[at] as i64 - b[0] as i64) - (a[at] as i64 - a[0] as i64)) / more;
    let (connected, flowing) = (each(1), each(2));
    // what does not grow with subscribers: histories of the tracks, buffers of the shard
    let shared = a[2] as i64 - a[0] as i64 - flowing * few as i64;
    let line = serde_json::json!({"who": "strongroom", "bench": "memory", "tracks": arguments.tracks,
        "kib_per_subscriber": flowing, "kib_per_subscriber_connected": connected, "kib_history_and_buffers": shared,
        "kib_process_empty_meeting": a[0], "machine_load": machine::load()});
    let mut out = std::io::stdout().lock();
    if arguments.json {
        writeln!(out, "{line}")?;
    } else {
        writeln!(out, "{}\n{line:#}", machine::describe())?;
    }
    Ok(())
}

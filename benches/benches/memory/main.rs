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
const RATE: u64 = 20;
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

/// KiB of one run.
struct Seen {
    /// Resident, with the publishers alone.
    empty: i64,
    /// Resident, with the subscribers connected.
    connected: i64,
    /// Resident, after traffic.
    flowing: i64,
    /// Of it: packet histories.
    history: u64,
    /// Besides, what the kernel may hold for the sockets.
    sockets: u64,
}

fn run(tracks: usize, subscribers: usize) -> anyhow::Result<Seen> {
    let mut host = Host::apart(Command::new(std::env::current_exe()?).arg("--serve"), Roles::Apart)?;
    let at = meeting(0);
    let names: Vec<ParticipantId> = (0..tracks).map(|n| who(&format!("pub{n}"))).collect();
    host.open(&at, &names)?;
    for (place, name) in names.iter().enumerate() {
        host.publish(&at, name, place as u16, Kind::Video)?;
    }
    host.ready(tracks, 0)?;
    let meter = host.meter.clone();
    let resident = || Ok::<_, anyhow::Error>(meter.resident_kib().context("the shard's process is gone")? as i64);
    let empty = resident()?;
    (0..subscribers).try_for_each(|n| host.admit(&at, &who(&format!("sub{n}"))))?;
    host.ready(tracks + subscribers, tracks)?;
    let connected = resident()?;
    let shape = Shape { publishers: tracks, ..Shape::broadcast(subscribers) };
    let mut running = host.running(&shape);
    let packets = even(RATE, PAYLOAD);
    // links are estimated from a careful start
    running.ramp(&packets)?;
    for _ in 0..WINDOWS {
        let measured = running.window(&packets)?;
        anyhow::ensure!(measured.loss < 0.01, "{:.1} % was lost: the machine is too busy", measured.loss * 100.0);
    }
    let flowing = resident()?;
    let (history, sockets) = running.stop().kept_kib.context("the shard said nothing at its end")?;
    Ok(Seen { empty, connected, flowing, history, sockets })
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
    let each = |of: fn(&Seen) -> i64| ((of(&b) - b.empty) - (of(&a) - a.empty)) / more;
    let (connected, flowing) = (each(|seen| seen.connected), each(|seen| seen.flowing));
    let line = serde_json::json!({"who": "strongroom", "bench": "memory", "tracks": arguments.tracks,
        "kib_per_subscriber": flowing, "kib_per_subscriber_connected": connected, "kib_packet_history": b.history,
        "kib_socket_buffers": b.sockets, "kib_process_empty_meeting": a.empty, "machine_load": machine::load()});
    let mut out = std::io::stdout().lock();
    if arguments.json {
        writeln!(out, "{line}")?;
    } else {
        writeln!(out, "{}\n{line:#}", machine::describe())?;
    }
    Ok(())
}

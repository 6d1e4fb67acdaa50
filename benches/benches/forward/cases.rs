//! One publisher to N subscribers: who is measured, and how one case is.

use super::peers;
use benches::forwarders::strongroom::Shape;
use benches::forwarders::{floor, namespace, strongroom};
use benches::generator::{Measured, Running};
use benches::load::{self, Load, Packet};
use benches::report::Line;
use benches::{forwarders, machine};
use clap::ValueEnum;

/// Windows of one case; the median counts.
pub const RUNS: usize = 3;

/// Who forwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Receive, open, seal and send, nothing else; a frame in one GSO send.
    FloorGso,
    /// The same with one `sendmmsg` a packet.
    FloorSendmmsg,
    /// Our shard with everything on.
    Strongroom,
    /// A plain forwarder on str0m in RTP mode.
    Str0m,
    /// Janus, one event loop.
    Janus,
    /// A plain forwarder on Pion.
    Pion,
    /// Named by the environment: name and program.
    Other(String, String),
}

impl ValueEnum for Who {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::FloorGso, Self::FloorSendmmsg, Self::Strongroom, Self::Str0m, Self::Janus, Self::Pion]
    }
    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(match self {
            Self::FloorGso => "floor_gso",
            Self::FloorSendmmsg => "floor_sendmmsg",
            Self::Strongroom => "strongroom",
            Self::Str0m => "str0m",
            Self::Janus => "janus",
            Self::Pion => "pion",
            Self::Other(..) => return None,
        }))
    }
}

impl Who {
    /// Its name in a result.
    pub fn name(&self) -> String {
        match self {
            Self::Other(name, _) => name.clone(),
            known => known.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned()),
        }
    }
}

/// What a load is called in a result.
pub fn name_of(load: Load) -> String {
    load.to_possible_value().map_or_else(|| format!("{load:?}").to_lowercase(), |value| value.get_name().to_owned())
}

/// Who is measured: those named, or those that need nothing installed, with the other peers if they are wanted.
pub fn chosen(named: &[Who], with_peers: bool) -> anyhow::Result<Vec<Who>> {
    let mut who = if named.is_empty() { Who::value_variants()[..4].to_vec() } else { named.to_vec() };
    if with_peers {
        who.extend([Who::Janus, Who::Pion]);
        who.extend(peers::named()?);
    }
    who.dedup();
    peers::present(&who)?;
    Ok(who)
}

fn start(who: &Who, subscribers: usize) -> anyhow::Result<Running> {
    match who {
        Who::FloorGso => floor::start(subscribers, floor::Send::Gso),
        Who::FloorSendmmsg => floor::start(subscribers, floor::Send::Mmsg),
        Who::Strongroom => strongroom::start(&Shape::broadcast(subscribers)),
        Who::Str0m => forwarders::str0m::start(subscribers),
        Who::Janus => forwarders::janus::start(subscribers),
        Who::Pion => forwarders::pion::start(subscribers),
        Who::Other(_, program) => peers::start(program, subscribers),
    }
}

/// Starts a forwarder and hands it to `each`; Janus in a network of its own.
pub fn with<T: Send>(
    who: &Who,
    subscribers: usize,
    each: impl FnOnce(Running) -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    let run = || {
        let mut running = start(who, subscribers)?;
        running.probe()?;
        each(running)
    };
    if *who == Who::Janus { namespace::alone(run) } else { run() }
}

/// A case: a new forwarder, a warm-up, the median of some windows.
pub fn case(who: &Who, load: Load, subscribers: usize) -> anyhow::Result<Line> {
    let packets = load.packets()?;
    with(who, subscribers, |running| measure(running, &packets, who.name(), name_of(load)))
}

/// Runs the windows.
pub fn measure(mut running: Running, packets: &[Packet], who: String, load: String) -> anyhow::Result<Line> {
    running.window(&packets[..load::warm(packets)])?;
    running.ramp(packets)?;
    let mut runs: Vec<Measured> = (0..RUNS).map(|_| running.window(packets)).collect::<anyhow::Result<_>>()?;
    runs.sort_by_key(|run| run.ns_per_packet);
    let (cipher, subscribers) = (running.cipher.to_owned(), running.subscribers.len());
    let resident_kib = running.meter.resident_kib();
    let farewell = running.stop();
    let median = runs[RUNS / 2].clone();
    let worst = runs.iter().map(|run| run.loss).fold(0.0, f64::max);
    Ok(Line {
        loss: (worst * 10_000.0).round() / 10_000.0,
        out_of_order: runs.iter().map(|run| run.late).sum(),
        gso_share: farewell.gso_share,
        ..line(who, load, subscribers, &median, cipher, resident_kib)
    })
}

/// A line of one window.
pub fn line(
    who: String,
    load: String,
    subscribers: usize,
    of: &Measured,
    cipher: String,
    resident_kib: Option<u64>,
) -> Line {
    Line {
        who,
        load,
        subscribers,
        pps_in: of.pps_in,
        ns_per_packet: of.ns_per_packet,
        p50_us: of.p50_us,
        p99_us: of.p99_us,
        loss: (of.loss * 10_000.0).round() / 10_000.0,
        out_of_order: of.late,
        gso_share: None,
        cipher,
        pps_out: of.pps_out,
        core_share: (of.core_share * 1000.0).round() / 1000.0,
        resident_kib,
        machine_load: machine::load(),
    }
}

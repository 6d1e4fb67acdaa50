//! `tun-relay`: the emulator's link in real time, for browsers. Makes two TUN interfaces and carries IP packets between
//! them under a schedule of seeded conditions; whoever starts it moves one of them into another network namespace and
//! gives both addresses. Wants root. Ends when its standard input ends.
//!
//! ```text
//! tun-relay --near NAME --far NAME --down 0:10000,10:1000 [--up 0:10000] [--delay-ms 50] [--queue-ms 300] [--seed 1]
//! ```
//!
//! A schedule is `second:kbit/s[:losses in a million]`, from the line `begin` on standard input on; before it the first
//! conditions hold. Says `ready` once both interfaces are there, and at the end what each direction did.

mod schedule;

use anyhow::{Context, bail};
use emulator::link::{Link, OVERHEAD};
use schedule::{Path, Plan};
use sfu_core::Micros;
use std::io::Write;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio_tun::Tun;

/// The usual one of Ethernet; longer packets do not occur, as the kernel cuts them for the interface.
const MTU: i32 = 1_500;
/// Longest packet that is read.
const BUFFER: usize = 2_048;

/// Both directions; a packet is an IP packet.
struct Relay {
    down: Link<Vec<u8>>,
    up: Link<Vec<u8>>,
    began: Instant,
}

impl Relay {
    fn new(plan: &Plan) -> Self {
        // one seed for both would lose the same packets each way
        let link = |path: &Path, seed| Link::new(path.first(), seed);
        Self { down: link(&plan.down, plan.seed), up: link(&plan.up, plan.seed ^ 0x5bd1_e995), began: Instant::now() }
    }

    fn now(&self) -> Micros {
        Micros(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The schedule runs from now on.
    fn begin(&mut self, plan: &Plan) {
        let now = self.now();
        for (link, path) in [(&mut self.down, &plan.down), (&mut self.up, &plan.up)] {
            for (second, conditions) in path.changes() {
                link.change_at(now.plus(second * 1_000_000), conditions);
            }
        }
    }

    /// How long nothing happens.
    fn wait(&self) -> Duration {
        let next = [&self.down, &self.up].into_iter().filter_map(Link::poll_timeout).min();
        // nothing under way: packets wake it
        next.map_or(Duration::from_secs(1), |at| Duration::from_micros(at.since(self.now())))
    }
}

/// The size that the link knows: it adds the headers of IP and UDP again.
fn payload(packet: &[u8]) -> usize {
    packet.len().saturating_sub(OVERHEAD)
}

fn interface(name: &str) -> anyhow::Result<Tun> {
    let made = Tun::builder().name(name).mtu(MTU).up().build().with_context(|| format!("make the interface {name}"))?;
    made.into_iter().next().context("an interface has one queue")
}

async fn run(plan: Plan) -> anyhow::Result<Relay> {
    let (near, far) = (interface(&plan.near)?, interface(&plan.far)?);
    let mut relay = Relay::new(&plan);
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    say("ready")?;
    let (mut from_near, mut from_far) = ([0; BUFFER], [0; BUFFER]);
    loop {
        tokio::select! {
            got = near.recv(&mut from_near) => {
                let packet = &from_near[..got?];
                relay.down.send(relay.now(), payload(packet), packet.to_vec());
            }
            got = far.recv(&mut from_far) => {
                let packet = &from_far[..got?];
                relay.up.send(relay.now(), payload(packet), packet.to_vec());
            }
            line = lines.next_line() => match line?.as_deref() {
                Some("begin") => relay.begin(&plan),
                Some(other) => bail!("`{other}` is not known here; `begin` is"),
                None => return Ok(relay),
            },
            () = tokio::time::sleep(relay.wait()) => {}
        }
        let now = relay.now();
        for (link, to) in [(&mut relay.down, &far), (&mut relay.up, &near)] {
            while let Some(packet) = link.poll(now) {
                // an interface that is down loses it, as a cable would
                let _ = to.try_send(&packet);
            }
        }
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

fn main() -> anyhow::Result<()> {
    let plan = Plan::read(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let relay = runtime.block_on(run(plan))?;
    for (name, link) in [("down", &relay.down), ("up", &relay.up)] {
        say(&format!("{name} {:?}", link.tally()))?;
    }
    // standard input is read by a thread that may never end
    runtime.shutdown_background();
    Ok(())
}

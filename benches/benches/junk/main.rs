//! `cargo bench -p benches --bench junk -- --json`: what a flood of junk takes away from people who speak. One core floods
//! a shard's port, ten microphones and a camera go on; counted is what of them does not arrive, what the kernel dropped at
//! the shard's socket, and what one datagram of junk costs the shard.

mod flood;

use anyhow::Context;
use benches::forwarders::strongroom::Host;
use benches::generator::Running;
use benches::load::Packet;
use benches::machine::{self, Core};
use benches::packet::Kind as Media;
use benches::sink::Tally;
use clap::Parser;
use flood::{Flood, Form, Kind, Source};
use serde::Serialize;
use sfu_core::Micros;
use sfu_core::rtcp::{self, Item};
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Microphones: enough that one packet is far less than the loss that is allowed.
const SPEAKERS: usize = 10;
/// One packet of sound.
const FRAME: Duration = Duration::from_millis(20);
/// Packets of a picture, one every [`FRAME`]: 1.3 Mbit/s.
const PICTURE: u32 = 3;
/// Before anything is counted: estimates of the links grow.
const WARM: Duration = Duration::from_secs(3);
/// After the last packet, nothing comes any more after so long.
const QUIET: Duration = Duration::from_millis(500);

#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Only these kinds of junk.
    #[arg(long, value_delimiter = ',')]
    kind: Vec<Kind>,
    /// Only these ways to send it.
    #[arg(long, value_delimiter = ',', default_values = ["runs", "singles"])]
    form: Vec<Form>,
    /// Datagrams of junk a second.
    #[arg(long, default_value_t = 500_000)]
    rate: u64,
    /// Length of each flood.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// One flood's result.
#[derive(Debug, Serialize)]
struct Line {
    who: &'static str,
    bench: &'static str,
    kind: Kind,
    form: Form,
    /// Junk that left its sender, a second.
    junk_pps: u64,
    /// Share of all datagrams that the kernel dropped before the shard, junk and others alike.
    kernel_dropped: f64,
    /// CPU time of the shard for one datagram of junk that reached it.
    ns_per_junk: u64,
    /// Share of one core that the shard used.
    core_share: f64,
    sound_sent: u64,
    sound_loss: f64,
    picture_loss: f64,
    machine_load: f64,
}

/// A meeting of those who speak and one with a camera.
struct Call {
    running: Running,
    at: SocketAddr,
    name: String,
}

/// What arrived of what was sent.
struct Heard {
    sound: (u64, u64),
    picture: (u64, u64),
    cpu_ns: u64,
    took: Duration,
}

impl Call {
    fn start() -> anyhow::Result<Self> {
        let (mut running, ()) = Host::talk_and_show(SPEAKERS, 1, |_| Ok(()))?;
        for subscriber in &mut running.subscribers {
            subscriber.probe()?;
        }
        let client = &running.publishers[0].client;
        let (at, name) = (client.server().context("a client that is connected")?, client.user_name());
        Ok(Self { running, at, name })
    }

    /// Everybody speaks for so long.
    fn speak(&mut self, time: Duration) -> anyhow::Result<Heard> {
        let began = Instant::now();
        let cpu = self.running.meter.cpu_ns()?;
        let (mut sound, mut picture) = (Tally::default(), Tally::default());
        let frames = (time.as_micros() / FRAME.as_micros()) as u32;
        for frame in 0..frames {
            std::thread::sleep((began + FRAME * frame).saturating_duration_since(Instant::now()));
            let shape = |at: u32, of: u32, size| Packet {
                at_us: 0,
                size,
                start: at == 0,
                marker: at + 1 == of,
                frame,
                layer: 0,
            };
            for publisher in &mut self.running.publishers {
                match publisher.kind {
                    Media::Audio => publisher.send(&shape(0, 1, 100)),
                    Media::Video | Media::Layers => {
                        (0..PICTURE).for_each(|at| publisher.send(&shape(at, PICTURE, 1_100)))
                    }
                }
            }
            self.listen(began, frame.is_multiple_of(5), &mut sound, &mut picture);
            self.answer();
        }
        let took = began.elapsed();
        let cpu_ns = self.running.meter.cpu_ns()? - cpu;
        while began.elapsed() < took + QUIET {
            self.listen(began, false, &mut sound, &mut picture);
            std::thread::sleep(FRAME / 4);
        }
        self.running.publishers.iter_mut().for_each(|publisher| publisher.advance(frames));
        let (spoken, shown) = (u64::from(frames) * SPEAKERS as u64, u64::from(frames * PICTURE));
        Ok(Heard { sound: (spoken, sound.received), picture: (shown, picture.received), cpu_ns, took })
    }

    /// The camera's next picture is a key frame if one was asked for.
    fn answer(&mut self) {
        let camera = &mut self.running.publishers[SPEAKERS];
        camera.client.drive();
        let asked = |item: &Item| matches!(item, Item::KeyFrame { .. });
        if camera.client.rtcp.drain(..).any(|compound| rtcp::parse(&compound).iter().any(asked)) {
            camera.advance(0);
        }
    }

    fn listen(&mut self, began: Instant, report: bool, sound: &mut Tally, picture: &mut Tally) {
        let now = Micros(1_000_000 + began.elapsed().as_micros() as u64);
        for (subscriber, tally) in self.running.subscribers.iter_mut().zip([sound, picture]) {
            subscriber.empty(now, tally);
            if report {
                subscriber.report();
            }
        }
    }
}

/// Datagrams that the kernel dropped at the socket of this port.
fn kernel_drops(at: SocketAddr) -> anyhow::Result<u64> {
    let port = format!(":{:04X}", at.port());
    let table = std::fs::read_to_string("/proc/net/udp")?;
    let line = table.lines().find(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&port)));
    Ok(line.and_then(|line| line.split_whitespace().last()).context("the shard's socket")?.parse()?)
}

fn run(kind: Kind, form: Form, arguments: &Arguments) -> anyhow::Result<Line> {
    let mut call = Call::start()?;
    call.speak(WARM)?;
    let calm = call.speak(WARM)?;
    let time = Duration::from_secs(arguments.seconds);
    let source = match kind.of_a_member() {
        true => Source::Member(call.running.publishers[0].client.socket.try_clone()?),
        false => Source::Strangers,
    };
    let flood = Flood { kind, form, to: call.at, rate: arguments.rate, name: call.name.clone() };
    let before = kernel_drops(call.at)?;
    let (began, flooding) = (Instant::now(), std::thread::spawn(move || flood.run(source, time)));
    let heard = call.speak(time)?;
    let sent = flooding.join().map_err(|_| anyhow::anyhow!("the flood panicked"))??;
    let flooded = began.elapsed().min(time);
    let dropped = kernel_drops(call.at)? - before;
    let calm_ns = calm.cpu_ns as f64 / calm.took.as_secs_f64() * heard.took.as_secs_f64();
    let loss = |(sent, received): (u64, u64)| ((1.0 - received as f64 / sent as f64) * 10_000.0).round() / 10_000.0;
    let line = Line {
        who: "strongroom",
        bench: "junk",
        kind,
        form,
        junk_pps: (sent as f64 / flooded.as_secs_f64()) as u64,
        kernel_dropped: (dropped as f64 / (sent + heard.sound.0 + heard.picture.0) as f64 * 10_000.0).round()
            / 10_000.0,
        ns_per_junk: ((heard.cpu_ns as f64 - calm_ns).max(0.0) / sent.saturating_sub(dropped).max(1) as f64) as u64,
        core_share: (heard.cpu_ns as f64 / heard.took.as_nanos() as f64 * 1_000.0).round() / 1_000.0,
        sound_sent: heard.sound.0,
        sound_loss: loss(heard.sound),
        picture_loss: loss(heard.picture),
        machine_load: machine::load(),
    };
    call.running.stop();
    Ok(line)
}

const HEAD: &str = "kind         form      junk/s   dropped  ns/junk    core   sound   lost  pictures lost  load";

impl Line {
    fn row(&self) -> String {
        let name =
            |value: Option<clap::builder::PossibleValue>| value.map_or(String::new(), |v| v.get_name().to_owned());
        use clap::ValueEnum;
        format!(
            "{:<12} {:<8} {:>8} {:>7.2} % {:>7} {:>5.0} % {:>7} {:>4.2} % {:>12.2} % {:>5.1}",
            name(self.kind.to_possible_value()),
            name(self.form.to_possible_value()),
            self.junk_pps,
            self.kernel_dropped * 100.0,
            self.ns_per_junk,
            self.core_share * 100.0,
            self.sound_sent,
            self.sound_loss * 100.0,
            self.picture_loss * 100.0,
            self.machine_load
        )
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    machine::pin(Core::Generator);
    let mut out = std::io::stdout().lock();
    if !arguments.json {
        writeln!(out, "{}\n{HEAD}", machine::describe())?;
    }
    let kinds = if arguments.kind.is_empty() { <Kind as clap::ValueEnum>::value_variants() } else { &arguments.kind };
    for kind in kinds {
        for form in &arguments.form {
            if kind.of_a_member() && *form == Form::Singles {
                continue; // one source's datagrams are joined by the kernel anyway
            }
            let line = run(*kind, *form, &arguments)?;
            writeln!(out, "{}", if arguments.json { serde_json::to_string(&line)? } else { line.row() })?;
            out.flush()?;
        }
    }
    Ok(())
}

//! `cargo bench -p benches --bench overload -- --json`: what a shard loses at twice its capacity. One core forwards a camera
//! to many; then threads that only spin take so much of that core away that the shard has half of what it needs. Counted
//! is what arrives of sound, of its record and of the pictures, step by step, and how long a new join waits for its refusal.

mod call;

use benches::machine::{self, Core};
use call::{Call, Heard};
use clap::Parser;
use serde::Serialize;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Share of the core that the load is to need.
const WANTED: f64 = 0.3;
/// What it needs over what it is left.
const OF_CAPACITY: f64 = 2.0;
/// Pictures' packets a second, first and most.
const RATES: (u64, u64) = (100, 4_000);
/// ... and so many times that, where joins are refused too.
const FAR: usize = 4;
/// Length of a step of the calibration, and of one line.
const STEP: Duration = Duration::from_secs(1);
/// Before anything counts: estimates of the links grow.
const WARM: Duration = Duration::from_secs(3);
/// Lines of the overload, and at most after it.
const LINES: (usize, usize) = (8, 15);

#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Who watches the camera.
    #[arg(long, default_value_t = 50)]
    subscribers: usize,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// One second.
#[derive(Debug, Serialize)]
struct Line {
    who: &'static str,
    bench: &'static str,
    phase: &'static str,
    /// What the load needs over what the shard has.
    of_capacity: f64,
    /// What is left out, 0 to 6.
    shedding: u64,
    sound_loss: f64,
    record_loss: f64,
    pictures_arrived: f64,
    /// Until a new join was answered, and how.
    join_ms: Option<f64>,
    join: Option<String>,
    machine_load: f64,
}

impl Line {
    fn new(phase: &'static str, of_capacity: f64, heard: &Heard) -> Self {
        let share = |(sent, got): (u64, u64)| ((got as f64 / sent.max(1) as f64) * 10_000.0).round() / 10_000.0;
        Self {
            who: "strongroom",
            bench: "overload",
            phase,
            of_capacity: (of_capacity * 100.0).round() / 100.0,
            shedding: heard.shedding,
            sound_loss: (1.0 - share(heard.sound)).max(0.0),
            record_loss: (1.0 - share(heard.record)).max(0.0),
            pictures_arrived: share(heard.pictures).min(1.0),
            join_ms: None,
            join: None,
            machine_load: machine::load(),
        }
    }

    const HEAD: &str = "phase      of capacity  left out  sound lost  record lost  pictures  join";

    fn row(&self) -> String {
        let join =
            self.join_ms.map_or(String::new(), |ms| format!("{ms:.1} ms: {}", self.join.as_deref().unwrap_or("")));
        format!(
            "{:<10} {:>11.2} {:>9} {:>9.2} % {:>10.2} % {:>7.0} %  {join}",
            self.phase,
            self.of_capacity,
            self.shedding,
            self.sound_loss * 100.0,
            self.record_loss * 100.0,
            self.pictures_arrived * 100.0
        )
    }
}

/// Threads that take the shard's core away, until this is dropped.
struct Burden {
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Burden {
    fn new(spinning: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let spin = |stop: Arc<AtomicBool>| {
            move || {
                machine::pin(Core::Forwarder);
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            }
        };
        let threads = (0..spinning).map(|_| std::thread::spawn(spin(stop.clone()))).collect();
        Self { stop, threads }
    }
}

impl Drop for Burden {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // it does nothing that could fail
            let _ = thread.join();
        }
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    machine::pin(Core::Generator);
    let mut out = std::io::stdout().lock();
    let mut say = |line: Line| -> anyhow::Result<()> {
        writeln!(out, "{}", if arguments.json { serde_json::to_string(&line)? } else { line.row() })?;
        Ok(out.flush()?)
    };
    if !arguments.json {
        writeln!(std::io::stdout(), "{}\n{}", machine::describe(), Line::HEAD)?;
    }
    let mut call = Call::start(arguments.subscribers)?;
    let mut rate = RATES.0;
    call.speak(rate, WARM)?;
    let calm = loop {
        let heard = call.speak(rate, STEP)?;
        if heard.core_share >= WANTED || rate >= RATES.1 {
            break heard;
        }
        rate = (rate as f64 * (WANTED / heard.core_share.max(0.1)).clamp(1.1, 1.5)) as u64;
    };
    say(Line::new("calm", calm.core_share, &calm))?;
    // all threads of the core have equal shares of it
    let spinning = (OF_CAPACITY / calm.core_share).ceil() as usize - 1;
    let of_capacity = calm.core_share * (1 + spinning) as f64;
    for (phase, times, lines) in [("overload", 1, LINES.0), ("far beyond", FAR, LINES.0 / 2)] {
        let _burden = Burden::new(spinning * times);
        for _ in 0..lines {
            let heard = call.speak(rate, STEP)?;
            let mut line = Line::new(phase, of_capacity * times as f64, &heard);
            let (took, answer) = call.join()?;
            (line.join_ms, line.join) = (Some((took.as_secs_f64() * 10_000.0).round() / 10.0), Some(answer));
            say(line)?;
        }
    }
    for _ in 0..LINES.1 {
        let heard = call.speak(rate, STEP)?;
        let over = heard.shedding == 0;
        say(Line::new("after", calm.core_share, &heard))?;
        if over {
            break;
        }
    }
    call.stop();
    Ok(())
}

//! `strongroom-export`: composes a meeting's clear frames from standard input to one WebM. Runs in a sandbox: no network,
//! no socket, no home; its only output is the file it is told and progress lines.
//!
//! The only program that links GStreamer. Exit codes: 0 ok, 1 failed, 2 usage.

mod compose;
mod decoder;
mod grid;
mod input;
#[cfg(test)]
mod tests;

use clap::{Parser, Subcommand};
use compose::Composer;
use domain::message::export::Progress;
use gstreamer as gst;
use input::Input;
use std::io::{BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// Without a frame taken for so long the pipeline hangs (some do, for ever): stop with an error. A tick takes
/// milliseconds, on a loaded machine a second.
const STALL: Duration = Duration::from_secs(60);
/// How often the watcher looks.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Parser)]
#[command(
    name = "strongroom-export",
    version,
    about = "Composes a meeting to one WebM; started by strongroom-front in a sandbox"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Read frames from standard input, write the file, report on standard output.
    Run {
        /// Where the file goes.
        #[arg(long)]
        out: PathBuf,
    },
    /// Say whether this machine's GStreamer has all that is needed.
    CheckConfig {},
}

fn say(progress: &Progress) {
    let mut out = std::io::stdout().lock();
    // whoever listened may be gone; the file is what counts
    if let Ok(line) = serde_json::to_string(progress) {
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let done = match arguments.command {
        Command::Run { out } => run(BufReader::new(std::io::stdin()), &out),
        Command::CheckConfig {} => check(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(detail) => {
            say(&Progress::Failed { detail });
            ExitCode::FAILURE
        }
    }
}

fn check() -> Result<(), String> {
    gst::init().map_err(|e| e.to_string())?;
    let needed = [
        "appsrc",
        "appsink",
        "vp8dec",
        "opusdec",
        "compositor",
        "audiomixer",
        "textoverlay",
        "timeoverlay",
        "videoconvert",
        "videoscale",
        "audioconvert",
        "audioresample",
        "vp8enc",
        "opusenc",
        "webmmux",
        "filesink",
        "queue",
    ];
    let missing: Vec<&str> = needed.into_iter().filter(|name| gst::ElementFactory::find(name).is_none()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "GStreamer lacks {}: apt-get install gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-x",
        missing.join(", ")
    ))
}

/// Composes everything from `frames` to `out`.
fn run(frames: impl Read, out: &Path) -> Result<(), String> {
    let (begin, mut input) = Input::begin(frames).map_err(|e| e.to_string())?;
    let mut composer = Composer::start(&begin, out).map_err(|e| e.to_string())?;
    match drive(&mut composer, &mut input, out) {
        Ok(bytes) => {
            say(&Progress::Done { bytes });
            composer.close();
            Ok(())
        }
        Err(detail) => {
            // taking a broken pipeline down may hang; the process ends now and the system takes it down
            std::mem::forget(composer);
            Err(detail)
        }
    }
}

fn drive(composer: &mut Composer, input: &mut Input<impl Read>, out: &Path) -> Result<u64, String> {
    let taken = Arc::new(AtomicU64::new(0));
    let ended = watch(composer, taken.clone())?;
    let mut told = 0;
    while let Some(frame) = input.next_frame().map_err(|e| e.to_string())? {
        composer.push(frame).map_err(|e| e.to_string())?;
        taken.fetch_add(1, Ordering::Relaxed);
        if composer.percent() > told {
            told = composer.percent();
            say(&Progress::Running { percent: told });
        }
    }
    composer.finish().map_err(|e| e.to_string())?;
    ended.recv_timeout(STALL).map_err(|_| "the pipeline did not finish its file".to_owned())?;
    Ok(std::fs::metadata(out).map_err(|e| format!("the file was not written: {e}"))?.len())
}

/// Watches the pipeline from its own thread: on an error or a stall the process ends at once, because a broken pipeline
/// may hang even in being taken down.
fn watch(composer: &Composer, taken: Arc<AtomicU64>) -> Result<mpsc::Receiver<()>, String> {
    let bus = composer.bus().ok_or("the pipeline has no bus")?;
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut last, mut still) = (0, Duration::ZERO);
        loop {
            let wanted = [gst::MessageType::Error, gst::MessageType::Eos];
            let message = bus.timed_pop_filtered(gst::ClockTime::from_mseconds(LOOK.as_millis() as u64), &wanted);
            match message.as_ref().map(|message| message.view()) {
                Some(gst::MessageView::Eos(_)) => {
                    // main may have given up already
                    let _ = sender.send(());
                    return;
                }
                Some(gst::MessageView::Error(error)) => fail(format!("GStreamer: {}", error.error())),
                _ => {}
            }
            let now = taken.load(Ordering::Relaxed);
            still = if now == last { still + LOOK } else { Duration::ZERO };
            last = now;
            if still >= STALL {
                fail("the pipeline stopped taking frames".to_owned());
            }
        }
    });
    Ok(ended)
}

fn fail(detail: String) -> ! {
    say(&Progress::Failed { detail });
    std::process::exit(1)
}

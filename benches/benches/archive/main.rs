//! `cargo bench -p benches --bench archive -- --json`: what recording costs, and how fast what was recorded is read. The
//! recorder's own core and journal on real files; the record link's packets are made in memory, of frames sealed as a page
//! seals them. Beside each rate stands the floor of the same run: the same bytes written and synced plainly, and hashed alone.

mod capture;
mod reading;
mod restart;

use benches::machine;
use clap::Parser;
use std::io::Write;
use std::path::PathBuf;

/// How much is recorded.
#[derive(Debug, Clone, Parser)]
pub struct Arguments {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Streams in all.
    #[arg(long, default_value_t = 250)]
    streams: u32,
    /// Meetings that they are spread over: each is a core and an archive thread.
    #[arg(long, default_value_t = 10)]
    meetings: u32,
    /// Seconds of meeting.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Mbit/s of each stream.
    #[arg(long, default_value_t = 2.5)]
    mbit: f64,
    /// GB of the meeting that is opened again; 0: none is.
    #[arg(long, default_value_t = 1.0)]
    reopen_gb: f64,
    /// Where archives lie; the disk is what is measured.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = tempfile::Builder::new().prefix("strongroom-bench-").tempdir_in(&arguments.folder)?;
    let mut out = std::io::stdout().lock();
    if !arguments.json {
        writeln!(out, "{}", machine::describe())?;
    }
    let mut say = |line: serde_json::Value| -> anyhow::Result<()> {
        if arguments.json {
            writeln!(out, "{line}")?;
        } else {
            for (name, value) in line.as_object().into_iter().flatten() {
                writeln!(out, "{name:<28} {value}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    };
    let recorded = capture::record(&arguments, folder.path())?;
    say(recorded.line)?;
    say(capture::floor(&arguments, folder.path(), recorded.bytes)?)?;
    say(reading::read(folder.path(), &recorded.base, recorded.one)?)?;
    if arguments.reopen_gb > 0.0 {
        say(restart::measure(folder.path(), arguments.reopen_gb)?)?;
    }
    Ok(())
}

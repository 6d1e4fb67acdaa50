//! `strongroom-recorder`: a firm's visible member in its own meetings, which keeps what the firm must keep.
//!
//! Owns the sockets and files around `recorder_core`: signaling, record link, custody, archive folder. It never writes a
//! clear frame and acknowledges nothing that is not durable.

mod acts;
mod archive;
mod checkpoint;
mod clock;
mod config;
mod copies;
mod enrol;
mod firm_log;
mod link;
mod live;
mod net;
mod operations;
mod probe;
mod recording;
mod retention;
mod room;
mod seal;
mod stamps;
mod stores;
mod tls;
mod upkeep;

use clap::{Parser, Subcommand};
use config::Config;
use copies::Wanted;
use recorder_journal::{journal, store};
pub use service::ended::Failure;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Firm's recorder: joins the rooms it is configured for and archives their meetings.
#[derive(Parser)]
#[command(name = "strongroom-recorder", version)]
struct Arguments {
    /// Log as JSON lines.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Records until it is stopped.
    Run {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Probes the stores: what each of them is, and what it allowed. Leaves small objects locked for a minute.
    CheckStore {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
        /// Only the store of this name.
        #[arg(long)]
        store: Option<String>,
    },
    /// Restores meetings from the stores into an empty folder and judges every digest, signature and log proof there.
    Drill {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
        /// Only the store of this name.
        #[arg(long)]
        store: Option<String>,
        /// So many meetings of each store, the oldest among them; without it all.
        #[arg(long)]
        sample: Option<usize>,
        /// Where they go and stay; without it a temporary folder in the archive's.
        #[arg(long)]
        to: Option<PathBuf>,
    },
    /// Brings a meeting back into the archive from a store, and judges it.
    Restore {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
        /// Which meeting.
        #[arg(long)]
        meeting: domain::MeetingId,
        /// From this store; without it the first that has it.
        #[arg(long)]
        store: Option<String>,
    },
    /// Judges every closed meeting here and reads samples back from the stores, as a running recorder does daily.
    Scrub {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Retention of closed meetings: lists it, raises it, holds, releases, disposes. Works beside a running recorder.
    Retention {
        #[command(subcommand)]
        command: retention::Command,
    },
    /// Reads the configuration and what it names; says what is wrong.
    CheckConfig {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(|e| Failure::Other(format!("cannot start threads: {e}")))
}

/// What an operator asked for goes to standard output; the log is on standard error.
fn say(lines: &[String]) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    for line in lines {
        // a reader that went away wants no more
        if writeln!(out, "{line}").is_err() {
            return;
        }
    }
}

fn copies(config: &Path, wanted: Wanted, json: bool) -> Result<(), Failure> {
    let (lines, ended) = runtime()?.block_on(copies::run(config, wanted, json));
    say(&lines);
    ended
}

fn execute(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::CheckConfig { config } => {
            let config = Config::read(&config)?;
            config.trust_map()?;
            archive::check_folder(&config)?;
            tracing::info!(firm = %config.firm, rooms = config.rooms.len(), "the configuration is good");
            Ok(())
        }
        Command::CheckStore { config: path, store } => {
            let config = Config::read(&path)?;
            let folder = service::config::folder(&path);
            let (lines, ended) = match runtime()?.block_on(stores::check(&config, &folder, store.as_deref())) {
                Ok(lines) => (lines, Ok(())),
                Err((lines, failure)) => (lines, Err(failure)),
            };
            say(&lines);
            ended
        }
        Command::Drill { config, store, sample, to } => {
            copies(&config, Wanted::Drill { store, sample, to }, arguments.json)
        }
        Command::Restore { config, meeting, store } => {
            copies(&config, Wanted::Restore { meeting, store }, arguments.json)
        }
        Command::Scrub { config } => copies(&config, Wanted::Scrub, arguments.json),
        Command::Retention { command } => {
            let (lines, ended) = runtime()?.block_on(retention::run(command, arguments.json));
            say(&lines);
            ended
        }
        Command::Run { config: path } => {
            let config = Config::read(&path)?;
            runtime()?.block_on(room::run_all(config, &service::config::folder(&path)))
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    service::log::start(service::log::Form::of(arguments.json));
    service::ended::end(execute(arguments))
}

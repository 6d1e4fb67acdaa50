//! `strongroom-recorder`: a firm's visible member in its own meetings, which keeps what the firm must keep.
//!
//! Owns the sockets and files around `recorder_core`: signaling, record link, custody, archive folder. It never writes a
//! clear frame and acknowledges nothing that is not durable.

mod archive;
mod checkpoint;
mod clock;
mod config;
mod enrol;
mod firm_log;
mod link;
mod live;
mod net;
mod operations;
mod probe;
mod recording;
mod room;
mod seal;
mod stamps;
mod stores;
mod tls;

use clap::{Parser, Subcommand};
use config::Config;
use recorder_journal::{journal, store};
pub use service::ended::Failure;
use std::path::PathBuf;
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

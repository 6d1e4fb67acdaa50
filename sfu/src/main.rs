//! `strongroom-sfu`: command line, logs and exit codes.

use clap::{Parser, Subcommand};
use sfu::config::Config;
use sfu::node;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Something failed while running.
const FAILED: u8 = 1;
/// The command line or the configuration is wrong.
const USAGE: u8 = 2;
/// Something the node needs is not there: an address, a port.
const UNAVAILABLE: u8 = 4;

/// Forwards sealed media between the participants of meetings. It holds no key to what it forwards.
#[derive(Debug, Parser)]
#[command(name = "strongroom-sfu", version)]
struct Arguments {
    #[command(subcommand)]
    action: Action,
    /// Log as JSON, one object a line.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Serve until terminated.
    Run {
        /// Path of sfu.toml.
        #[arg(long)]
        config: PathBuf,
    },
    /// Read the configuration and its certificates, and say what is wrong.
    CheckConfig {
        /// Path of sfu.toml.
        #[arg(long)]
        config: PathBuf,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    start_log(arguments.json);
    log_panics();
    let (Action::Run { config: file } | Action::CheckConfig { config: file }) = &arguments.action;
    let config = match Config::load(file) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::from(USAGE);
        }
    };
    match arguments.action {
        Action::CheckConfig { .. } => match node::open(&config) {
            Ok(_) => {
                tracing::info!("the configuration is good");
                ExitCode::SUCCESS
            }
            Err(error) => report(&error),
        },
        Action::Run { .. } => run(config),
    }
}

/// A panic is logged with its place alone: what it says may hold what a packet held.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(at, "panic");
    }));
}

fn start_log(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    if json {
        log.json().init();
    } else {
        log.init();
    }
}

fn run(config: Config) -> ExitCode {
    // links and metrics only: media has its own threads
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::from(FAILED);
        }
    };
    match runtime.block_on(node::run(config, terminated())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

fn report(error: &node::NodeError) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::from(match error {
        node::NodeError::Tls(_) => USAGE,
        node::NodeError::Listen { .. } => UNAVAILABLE,
        _ => FAILED,
    })
}

/// SIGTERM or SIGINT.
async fn terminated() {
    let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
}

//! `strongroom-sfu`: command line, logs and exit codes.

use clap::{Parser, Subcommand};
use service::ended::{Failure, end};
use service::log::{Form, start};
use sfu::config::Config;
use sfu::node::{self, NodeError};
use std::path::PathBuf;
use std::process::ExitCode;

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
    start(Form::of(arguments.json));
    log_panics();
    end(act(&arguments.action))
}

fn act(action: &Action) -> Result<(), Failure> {
    let (Action::Run { config: file } | Action::CheckConfig { config: file }) = action;
    let config = Config::load(file)?;
    match action {
        Action::CheckConfig { .. } => {
            node::open(&config).map_err(blame)?;
            tracing::info!("the configuration is good");
            Ok(())
        }
        Action::Run { .. } => run(config),
    }
}

/// A panic is logged with its place alone: what it says may hold what a packet held.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(at, "panic");
        service::security::report(service::security::Event::Panicked);
    }));
}

fn run(config: Config) -> Result<(), Failure> {
    // links and metrics only: media has its own threads
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|e| Failure::Other(format!("cannot start: {e}")))?;
    let operations = service::operations::open(&config.operations, service::metrics::Service::Sfu)?;
    runtime.block_on(async { node::run(config, operations, service::stop::asked()).await }).map_err(blame)
}

fn blame(error: NodeError) -> Failure {
    let text = error.to_string();
    match error {
        NodeError::Operations(failure) => failure,
        NodeError::Tls(_) => Failure::Config(text),
        NodeError::Listen { .. } => Failure::Unavailable(text),
        _ => Failure::Other(text),
    }
}

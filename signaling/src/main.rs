//! `strongroom-signaling`: the operator's edge around `signaling-core`. WebSockets for participants, the control link for
//! the SFU, the room directory, signed statements.
//!
//! Trusted with nothing secret: it links neither `e2ee` nor `custody`, serves no page and no script, and never sees a
//! media key, a login or an SDP it would understand.

mod actor;
mod clock;
mod config;
mod control;
mod failure;
mod http;
mod hub;
mod loaded;
mod meet;
mod operations;
mod relays;
mod rest;
mod revoked;
mod rooms;
mod statements;
mod truth;

use clap::{Args, Parser, Subcommand};
use failure::Failure;
use std::path::PathBuf;
use std::process::ExitCode;

/// Signaling of Strongroom: rooms, admission, the order of group changes, and the way to the SFU.
#[derive(Parser)]
#[command(name = "strongroom-signaling", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until told to stop.
    Run(Options),
    /// Read the configuration and every file it names, then exit.
    CheckConfig(Options),
    /// Send messages of a webhook once more; the running process does it within seconds.
    ReplayWebhook {
        #[command(flatten)]
        options: Options,
        /// Its name in the configuration.
        #[arg(long)]
        name: String,
        /// Messages since then, milliseconds since 1970.
        #[arg(long, value_name = "MILLISECONDS")]
        since: u64,
    },
}

#[derive(Args)]
struct Options {
    /// Configuration file (TOML). `STRONGROOM__A__B` in the environment overrides key `b` of table `a`.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Write logs as JSON lines.
    #[arg(long)]
    json: bool,
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Runtime::new().map_err(|error| Failure::Unavailable(format!("cannot start the runtime: {error}")))
}

fn check(options: &Options) -> Result<(), Failure> {
    let loaded = runtime()?.block_on(loaded::load(&options.config))?;
    tracing::info!("{}", loaded.summary());
    Ok(())
}

fn start(options: &Options) -> Result<(), Failure> {
    runtime()?.block_on(async { http::serve(loaded::load(&options.config).await?).await })
}

fn replay(options: &Options, name: &str, since: u64) -> Result<(), Failure> {
    let config = config::read(&options.config)?;
    let now = clock::Clock::start().now();
    let messages = runtime()?.block_on(rest::replay(&config, name, domain::UnixMillis(since), now))?;
    tracing::info!(messages, "these wait to be sent once more");
    Ok(())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (Command::Run(options) | Command::CheckConfig(options) | Command::ReplayWebhook { options, .. }) = &cli.command;
    service::log::start(service::log::Form::of(options.json));
    service::ended::end(match &cli.command {
        Command::Run(options) => start(options),
        Command::CheckConfig(options) => check(options),
        Command::ReplayWebhook { options, name, since } => replay(options, name, *since),
    })
}

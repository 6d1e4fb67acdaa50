//! `strongroom-custody`: one process per token of a firm. It alone holds the PIN, checks what it signs or opens, and answers
//! on a Unix socket.
//!
//! It opens no network connection: whatever it needs to know (issuer keys, trust map) is a file.

mod archive;
mod ceremony;
mod check;
mod config;
mod failure;
#[cfg(test)]
mod fixture;
mod people;
mod record;
mod serve;
mod service;
mod token;

use clap::{Parser, Subcommand};
use config::Config;
use failure::Failure;
use std::path::PathBuf;
use std::process::ExitCode;

/// Holds one PKCS#11 token of a firm.
#[derive(Parser)]
#[command(name = "strongroom-custody", version, about)]
struct Arguments {
    /// Log as JSON lines.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Subcommand)]
enum Command {
    /// Serve the token on its socket.
    Run {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Read the configuration and say what is wrong with it; the token is not touched.
    CheckConfig {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Prove what the token can do; prints JSON.
    Check {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Make the token's keys where they are missing (and a SoftHSM test token itself); prints its public facts as JSON.
    Ceremony {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Print the token's public facts as JSON.
    Info {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Sign a statement with the policy key, at the token (people): for the ceremony, where no administrator exists yet.
    SignStatement {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
        /// Statement, JSON.
        #[arg(long)]
        statement: PathBuf,
        /// Where the COSE_Sign1 goes.
        #[arg(long)]
        out: PathBuf,
    },
}

impl Command {
    fn config(&self) -> &PathBuf {
        match self {
            Self::Run { config }
            | Self::CheckConfig { config }
            | Self::Check { config }
            | Self::Ceremony { config }
            | Self::Info { config }
            | Self::SignStatement { config, .. } => config,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    ::service::log::start(::service::log::Form::of(arguments.json));
    ::service::ended::end(act(&arguments.command))
}

fn act(command: &Command) -> Result<(), Failure> {
    let config = Config::read(command.config())?;
    if matches!(command, Command::CheckConfig { .. }) {
        return config.check();
    }
    config.point_softhsm()?;
    match command {
        Command::CheckConfig { .. } => Ok(()),
        Command::Run { .. } => serve::run(&config),
        Command::Check { .. } => check::run(&config),
        Command::Ceremony { .. } => ceremony::run(&config),
        Command::Info { .. } => ceremony::info(&config),
        Command::SignStatement { statement, out, .. } => people::sign_statement_file(&config, statement, out),
    }
}

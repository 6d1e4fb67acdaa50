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
mod refusal;
mod serve;
mod service;
mod test_token;
mod token;

use ceremony::plan::Keys;
use clap::{Parser, Subcommand};
use config::Config;
use domain::UserId;
use domain::message::custody::Whom;
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
    /// Prove what the token can do, and say when each archive key last opened a recorder's probe; `--json` for JSON.
    Check {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Make the token's keys where they are missing (and a test token itself); prints its public facts as JSON.
    Ceremony {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
        #[command(flatten)]
        manner: Manner,
    },
    /// Make the next keys beside the present ones; prints the public facts as they will be.
    Rotate {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
        /// Which keys.
        #[arg(long, value_enum)]
        keys: Keys,
        #[command(flatten)]
        manner: Manner,
    },
    /// Print what lies on the token as JSON.
    List {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Destroy a key that the configuration names no more. What is sealed to it alone can never be opened again.
    Destroy {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
        /// Its id, as `list` prints it.
        #[arg(long)]
        key: String,
        /// Its fingerprint, as `list` prints it.
        #[arg(long)]
        fingerprint: String,
        #[command(flatten)]
        manner: Manner,
    },
    /// Print the token's public facts as JSON.
    Info {
        /// Configuration file (TOML).
        #[arg(long)]
        config: PathBuf,
    },
    /// Certificates that are alive: list them, or end some before their time.
    Certificates {
        #[command(subcommand)]
        what: Certificates,
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

/// About certificates.
#[derive(Subcommand)]
enum Certificates {
    /// Those whose end has not come, from the journal; `--json` for JSON.
    List {
        /// Configuration file (TOML) of the people token.
        #[arg(long)]
        config: PathBuf,
    },
    /// End a person's certificates, or one; whoever holds one is out of its meetings within seconds.
    Revoke {
        /// Configuration file (TOML) of the people token.
        #[arg(long)]
        config: PathBuf,
        /// Every certificate of this person.
        #[arg(long, conflicts_with = "serial", required_unless_present = "serial")]
        user: Option<UserId>,
        /// One certificate, by its serial number as `list` shows it.
        #[arg(long)]
        serial: Option<String>,
    },
}

/// How a ceremony is held.
#[derive(clap::Args)]
struct Manner {
    /// Show what would be done as JSON, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// The signed protocol goes into this new file; without it beside the configuration.
    #[arg(long)]
    protocol: Option<PathBuf>,
}

impl Manner {
    fn read(&self) -> ceremony::Manner<'_> {
        ceremony::Manner { dry_run: self.dry_run, protocol: self.protocol.as_deref() }
    }
}

impl Command {
    fn config(&self) -> &PathBuf {
        match self {
            Self::Run { config }
            | Self::CheckConfig { config }
            | Self::Check { config }
            | Self::Ceremony { config, .. }
            | Self::Rotate { config, .. }
            | Self::List { config }
            | Self::Destroy { config, .. }
            | Self::Info { config }
            | Self::Certificates { what: Certificates::List { config } | Certificates::Revoke { config, .. } }
            | Self::SignStatement { config, .. } => config,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    ::service::log::start(::service::log::Form::of(arguments.json));
    ::service::ended::end(act(&arguments.command, arguments.json))
}

fn act(command: &Command, json: bool) -> Result<(), Failure> {
    let config = Config::read(command.config())?;
    if matches!(command, Command::CheckConfig { .. }) {
        return config.check();
    }
    if let Command::Certificates { what } = command {
        return match what {
            Certificates::List { .. } => people::list(&config, json),
            Certificates::Revoke { user, serial, .. } => {
                let one = || Whom::Serial(serial.clone().unwrap_or_default());
                people::revoke_from_terminal(&config, user.clone().map_or_else(one, Whom::User))
            }
        };
    }
    if let Some(token) = config.test_token() {
        token.point()?;
    }
    match command {
        Command::CheckConfig { .. } | Command::Certificates { .. } => Ok(()),
        Command::Run { .. } => serve::run(&config),
        Command::Check { .. } => check::run(&config, json),
        Command::Ceremony { manner, .. } => ceremony::run(&config, manner.read()),
        Command::Rotate { keys, manner, .. } => ceremony::rotate(&config, *keys, manner.read()),
        Command::List { .. } => ceremony::list(&config),
        Command::Destroy { key, fingerprint, manner, .. } => {
            ceremony::destroy(&config, key, fingerprint, manner.read())
        }
        Command::Info { .. } => ceremony::info(&config),
        Command::SignStatement { statement, out, .. } => people::sign_statement_file(&config, statement, out),
    }
}

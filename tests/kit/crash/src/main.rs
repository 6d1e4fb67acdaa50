//! `crash-campaign kill --kills 1000` and `crash-campaign power --cuts 200`: 0 acknowledged frames lost, or exit code 3.
//! Each recording's seed is printed; `--seed` plays it again. `--manner early|unsynced` is a recorder that acknowledges
//! too soon: the campaign must find what it loses.

use clap::{Parser, Subcommand};
use crash::kills::{Program, Score};
use crash::recording::{Manner, Recording};
use crash::{kills, power};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Parser)]
#[command(name = "crash-campaign")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Kills recording processes.
    Kill {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        kills: u64,
        #[command(flatten)]
        how: How,
    },
    /// Cuts the power of a disk image.
    Power {
        /// How often.
        #[arg(long, default_value_t = 200)]
        cuts: u64,
        #[command(flatten)]
        how: How,
    },
    /// The process that is killed.
    #[command(hide = true)]
    Record {
        #[arg(long)]
        folder: PathBuf,
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        after: u64,
        #[arg(long)]
        messages: u64,
        #[arg(long, value_enum)]
        manner: Manner,
    },
}

#[derive(clap::Args)]
struct How {
    /// First seed; one of now if none is given.
    #[arg(long)]
    seed: Option<u64>,
    /// What the recorder does wrong.
    #[arg(long, value_enum, default_value_t = Manner::Honest)]
    manner: Manner,
}

impl How {
    fn seed(&self) -> u64 {
        let of_now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.seed.unwrap_or_else(of_now)
    }
    fn program(&self) -> anyhow::Result<Program> {
        Ok(Program { path: std::env::current_exe()?, manner: self.manner })
    }
}

fn said(seed: u64, score: &Score) {
    // a reader that went away does not stop a campaign
    let _ = writeln!(std::io::stderr(), "seed {seed}: {}", score.json());
}

fn run() -> anyhow::Result<ExitCode> {
    let (kind, score) = match Arguments::parse().what {
        What::Record { folder, seed, after, messages, manner } => {
            let out = std::io::LineWriter::new(std::io::stdout());
            let at_ms = crash::stream::Stream::new(seed).find(|told| told.seq > after).map_or(0, |told| told.at_ms);
            Recording::open(&folder, at_ms, manner, out)?.run(seed, after, messages)?;
            return Ok(ExitCode::SUCCESS);
        }
        What::Kill { kills, how } => ("kill", kills::campaign(&how.program()?, how.seed(), kills, said)?),
        What::Power { cuts, how } => match power::missing() {
            Some(why) => {
                writeln!(std::io::stdout(), "{}", serde_json::json!({ "campaign": "power", "skipped": why }))?;
                return Ok(ExitCode::from(4));
            }
            None => ("power", power::campaign(&how.program()?, how.seed(), cuts, said)?),
        },
    };
    let mut line = score.json();
    line["campaign"] = kind.into();
    writeln!(std::io::stdout(), "{line}")?;
    Ok(if score.is_good() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        // nobody is left to tell if this fails
        let _ = writeln!(std::io::stderr(), "{error:#}");
        ExitCode::FAILURE
    })
}

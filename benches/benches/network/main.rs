//! What a subscriber sees and hears on bad networks: the real engine over the emulated link, in virtual time, so that the
//! numbers are the same on every machine; beside it what str0m's own estimation makes of the same. `-- --json` prints one
//! object a case and seed.
#![expect(clippy::print_stdout, reason = "results go to standard output")]

use benches::baseline::Baseline;
use clap::Parser;
use domain::policy::Rule;
use emulator::call::{Call, Outcome};
use emulator::cases;
use serde_json::json;

#[derive(Debug, Parser)]
#[command(about = "Calls over impaired links in virtual time")]
struct Options {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
    /// Seeds per case.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Only `strongroom` or `str0m`.
    #[arg(long, default_value = "")]
    who: String,
    /// A firm's recorder is in the meeting: the highest layer is kept as it is. Ours alone: str0m's side has no recorder.
    #[arg(long)]
    recorded: bool,
    /// Cargo says so to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if !options.json {
        println!(
            "who        case                   seed delivered sound_gap freezes longest recovery first_picture switches"
        );
    }
    anyhow::ensure!(
        !options.recorded || options.who != "str0m",
        "str0m's side has no recorder: --recorded is ours alone"
    );
    if options.recorded && options.who.is_empty() {
        eprintln!("str0m is left out: its side has no recorder");
    }
    for case in cases::all().into_iter().filter(|case| case.name.contains(&options.only)) {
        for seed in 1..=options.seeds {
            if options.shows("strongroom") {
                let rule = if options.recorded { Rule::Must } else { Rule::Off };
                print(&options, "strongroom", seed, &Call::under(case.clone(), seed, rule).run());
            }
            if options.shows("str0m") && !options.recorded {
                print(&options, "str0m", seed, &Baseline::new(case.clone(), seed)?.run()?);
            }
        }
    }
    Ok(())
}

impl Options {
    fn shows(&self, who: &str) -> bool {
        self.who.is_empty() || self.who == who
    }
}

fn print(options: &Options, who: &str, seed: u64, outcome: &Outcome) {
    let (freezes, longest) = outcome.freezes();
    let switches: usize = outcome.measured.iter().map(emulator::subscriber::Measured::switches).sum();
    let (share, gap) = (outcome.delivered_share(), outcome.sound_gap_ms());
    let (recovery, first, name) = (outcome.recovery_ms(), outcome.first_picture_ms(), outcome.case.name);
    let (delays, layers) = (outcome.picture_delay_ms(), outcome.layer_shares());
    if options.json {
        let line = json!({
            "who": who, "case": name, "recorded": options.recorded, "seed": seed, "subscribers": outcome.case.subscribers,
            "delivered_share": (share * 1000.0).round() / 1000.0, "audio_gap_ms": gap, "audio_late_ms": outcome.sound_delay_ms(), "freeze_ms": longest,
            "freezes": freezes, "recovery_ms": recovery, "start_ms": outcome.start_ms(), "first_picture_ms": first,
            "switches": switches, "picture_delay_p50_ms": delays.0, "picture_delay_p95_ms": delays.1, "layer_shares": layers,
            "overflowed": outcome.down.overflowed, "queue_ms": outcome.down.longest_wait / 1000,
        });
        println!("{line}");
    } else {
        let first = first.map_or_else(|| "never".into(), |ms| format!("{ms} ms"));
        println!(
            "{who:<10} {name:<22} {seed:>4} {share:>9.3} {gap:>6} ms {freezes:>7} {longest:>4} ms {recovery:>5} ms {first:>13} {switches:>8}"
        );
    }
}

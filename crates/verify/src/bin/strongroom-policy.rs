//! `strongroom-policy`: what do signed statements say, alone and together? Offline, without any secret. For whoever
//! administers a firm's policy, before a statement is signed and after.

use clap::{Args, Parser, Subcommand, ValueEnum};
use domain::RoomId;
use domain::policy::{Language, Statement};
use evidence::identity::TrustMap;
use evidence::statement::judge_statement;
use policy::words::Key;
use policy::{Person, Price, Usage, changes, cost, notices, resolve, simulate, words};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A statement is a few hundred bytes.
const MAX_FILE: u64 = 64 * 1024;
/// Files of one folder: 64 firms in a few dozen rooms.
const MAX_FILES: usize = 4_096;

/// Reads signed statements and says what they mean.
///
/// Exit codes: 0 all is well, 1 statements clash, or somebody would be refused, 2 usage or an unreadable file, 3 a
/// statement is not its firm's own.
#[derive(Parser)]
#[command(name = "strongroom-policy", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Common {
    /// Trust map (JSON).
    #[arg(long)]
    trust: PathBuf,
    /// Language of the answer.
    #[arg(long, value_enum, default_value = "en")]
    language: Spoken,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Spoken {
    En,
    Fr,
    De,
}

impl From<Spoken> for Language {
    fn from(spoken: Spoken) -> Self {
        match spoken {
            Spoken::En => Self::En,
            Spoken::Fr => Self::Fr,
            Spoken::De => Self::De,
        }
    }
}

#[derive(Subcommand)]
enum Command {
    /// Is each statement signed by its firm, and in its ranges?
    Check {
        #[command(flatten)]
        common: Common,
        /// Signed statements, or folders of them (`*.cose`).
        #[arg(required = true)]
        statements: Vec<PathBuf>,
    },
    /// What do the statements about a room mean together?
    Resolve {
        #[command(flatten)]
        common: Common,
        /// The room.
        #[arg(long)]
        room: RoomId,
        /// Signed statements, or folders of them (`*.cose`).
        #[arg(required = true)]
        statements: Vec<PathBuf>,
    },
    /// What do two versions of a statement differ in?
    Diff {
        #[command(flatten)]
        common: Common,
        /// The older one, signed.
        before: PathBuf,
        /// The newer one: signed, or as JSON before it is signed.
        after: PathBuf,
    },
    /// Who would be refused, by which statement, and whom is to be called?
    Simulate {
        #[command(flatten)]
        common: Common,
        /// The room.
        #[arg(long)]
        room: RoomId,
        /// Who comes, in this order: JSON list of {firm, user, groups?, guest?, client?, region?}.
        #[arg(long)]
        roster: PathBuf,
        /// Signed statements, or folders of them (`*.cose`); also drafts (`*.json`), each named by itself.
        #[arg(required = true)]
        statements: Vec<PathBuf>,
    },
    /// What does the firm's copy cost?
    Cost {
        #[command(flatten)]
        common: Common,
        /// Hours of meetings in the room a month.
        #[arg(long)]
        hours: u32,
        /// Price of 10^9 bytes a month in hundredths of a cent, all copies of the archive together.
        #[arg(long)]
        price: u32,
        /// The statement, signed or as JSON.
        statement: PathBuf,
    },
}

/// Exit code and what went wrong.
struct Failed(u8, String);

/// Said to the person, the same for a program, and whether all is well.
struct Answer {
    lines: Vec<String>,
    json: Value,
    good: bool,
}

fn read(path: &Path) -> Result<Vec<u8>, Failed> {
    let fail = |e: std::io::Error| Failed(2, format!("{}: {e}", path.display()));
    if std::fs::metadata(path).map_err(fail)?.len() > MAX_FILE {
        return Err(Failed(2, format!("{}: too long for a statement", path.display())));
    }
    std::fs::read(path).map_err(fail)
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, what: &str) -> Result<T, Failed> {
    let bytes = std::fs::read(path).map_err(|e| Failed(2, format!("{}: {e}", path.display())))?;
    serde_json::from_slice(&bytes).map_err(|e| Failed(2, format!("{}: not {what} ({e})", path.display())))
}

/// A signed statement, verified; or a draft (`.json`), which binds nobody.
fn statement(trust: &TrustMap, path: &Path) -> Result<Statement, Failed> {
    if path.extension().is_some_and(|extension| extension == "json") {
        let draft: Statement = parse(path, "a statement")?;
        evidence::statement::check_ranges(&draft).map_err(|e| Failed(2, format!("{}: {e}", path.display())))?;
        return Ok(draft);
    }
    judge_statement(trust, &read(path)?).map_err(|e| Failed(3, format!("WRONG {}: {e}", path.display())))
}

/// The files named, and the signed statements in the folders named, in the order of their names.
fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failed> {
    let mut found = Vec::new();
    for path in named {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let fail = |e: std::io::Error| Failed(2, format!("{}: {e}", path.display()));
        let mut inside = Vec::new();
        for entry in std::fs::read_dir(path).map_err(fail)?.take(MAX_FILES) {
            inside.push(entry.map_err(fail)?.path());
        }
        inside.retain(|file| file.extension().is_some_and(|extension| extension == "cose"));
        inside.sort();
        found.extend(inside);
    }
    Ok(found)
}

fn statements(trust: &TrustMap, named: &[PathBuf]) -> Result<Vec<Statement>, Failed> {
    files(named)?.iter().map(|path| statement(trust, path)).collect()
}

fn check(trust: &TrustMap, named: &[PathBuf]) -> Result<Answer, Failed> {
    let (mut lines, mut rows, mut good) = (Vec::new(), Vec::new(), true);
    for path in files(named)? {
        let shown = path.display().to_string();
        match statement(trust, &path) {
            Ok(s) => {
                lines.push(format!("{shown}: {} about {}, serial {}", s.firm, s.room, s.serial));
                rows.push(json!({"file": shown, "firm": s.firm, "room": s.room, "serial": s.serial}));
            }
            Err(Failed(2, why)) => return Err(Failed(2, why)),
            Err(Failed(_, why)) => {
                good = false;
                rows.push(json!({"file": shown, "wrong": why}));
                lines.push(why);
            }
        }
    }
    Ok(Answer { lines, json: json!({"statements": rows}), good })
}

fn together(given: &[Statement], room: &RoomId, language: Language) -> Answer {
    let about: Vec<Statement> = given.iter().filter(|s| s.room == *room).cloned().collect();
    match resolve(&about) {
        Ok(resolved) => {
            let lines = notices(&resolved, language);
            let json = json!({
                "notices": lines,
                "statements": resolved.statements(),
                "regions": resolved.regions(),
                "oldest_client": resolved.oldest_client(),
                "guests_refused_by": resolved.guests().err(),
                "share_refused_by": resolved.share().err(),
                "lobby_wanted_by": resolved.lobby(),
                "passcode_wanted_by": resolved.passcode(),
            });
            Answer { lines, json, good: true }
        }
        Err(clashes) => {
            let lines: Vec<String> = clashes.iter().map(|clash| words::clash(language, clash)).collect();
            Answer { json: json!({"clashes": clashes, "said": lines}), lines, good: false }
        }
    }
}

fn difference(before: &Statement, after: &Statement, language: Language) -> Result<Answer, Failed> {
    if (&before.firm, &before.room) != (&after.firm, &after.room) {
        return Err(Failed(2, "the two are of other firms or about other rooms: nothing to compare".to_owned()));
    }
    let found = changes(Some(before), after);
    let lines = found.iter().map(|change| words::change(language, change)).collect();
    let json = json!({"before": before.serial, "after": after.serial, "changes": found});
    Ok(Answer { lines, json, good: true })
}

fn simulated(given: &[Statement], room: &RoomId, roster: &[Person], language: Language) -> Answer {
    let outcome = simulate(given, room, roster);
    let mut lines: Vec<String> = outcome.clashes.iter().map(|clash| words::clash(language, clash)).collect();
    for (person, refusal) in &outcome.refused {
        lines.push(format!("{}/{}: {}", person.firm, person.user, words::refusal(language, refusal)));
    }
    let (entered, all) = (outcome.entered.len().to_string(), roster.len().to_string());
    lines.push(words::say(language, Key::Enter, &[("n", &entered), ("all", &all)]));
    Answer { lines, json: json!(outcome), good: outcome.is_good() }
}

fn priced(statement: &Statement, hours: u32, price: u32, language: Language) -> Answer {
    let of = cost(statement, Usage { hours_a_month: hours }, Price { gigabyte_month: price });
    let money = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
    let parts = [
        ("gb", &*(of.bytes_a_month / 1_000_000_000).to_string()),
        ("first", &*money(of.first_month_cents)),
        ("full", &*money(of.full_month_cents)),
        ("n", &*statement.retention_years.to_string()),
    ];
    Answer { lines: vec![words::say(language, Key::CostGrows, &parts)], json: json!(of), good: true }
}

fn run(command: &Command) -> Result<(Answer, u8), Failed> {
    let common = common(command);
    let trust: TrustMap = parse(&common.trust, "a trust map")?;
    let language = common.language.into();
    Ok(match command {
        Command::Check { statements, .. } => (check(&trust, statements)?, 3),
        Command::Resolve { room, statements: named, .. } => (together(&statements(&trust, named)?, room, language), 1),
        Command::Diff { before, after, .. } => {
            (difference(&statement(&trust, before)?, &statement(&trust, after)?, language)?, 1)
        }
        Command::Simulate { room, roster, statements: named, .. } => {
            let roster: Vec<Person> = parse(roster, "a roster")?;
            (simulated(&statements(&trust, named)?, room, &roster, language), 1)
        }
        Command::Cost { hours, price, statement: path, .. } => {
            (priced(&statement(&trust, path)?, *hours, *price, language), 1)
        }
    })
}

fn common(command: &Command) -> &Common {
    match command {
        Command::Check { common, .. }
        | Command::Resolve { common, .. }
        | Command::Diff { common, .. }
        | Command::Simulate { common, .. }
        | Command::Cost { common, .. } => common,
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments.command) {
        Err(Failed(code, why)) => {
            // nothing to do about a closed standard error
            let _ = writeln!(std::io::stderr(), "{why}");
            ExitCode::from(code)
        }
        Ok((answer, bad)) => {
            let text = if common(&arguments.command).json { answer.json.to_string() } else { answer.lines.join("\n") };
            // a reader that went away does not change the verdict
            let _ = writeln!(std::io::stdout(), "{text}");
            ExitCode::from(if answer.good { 0 } else { bad })
        }
    }
}

//! `cargo xtask demo`: two firms and an operator on this machine, as twelve processes with their own keys, tokens and
//! configuration. The state is kept between runs.

pub mod configs;
pub mod files;
pub mod firm;
pub mod operator;
pub mod plan;
pub mod ports;
pub mod process;
pub mod supervise;

use crate::compiler::Compiler;
use crate::ended::{unavailable, usage};
use crate::place::Place;
use crate::{binaries, say, setup};
use anyhow::Context;
use plan::{FIRMS, Plan};
use std::fs::{self, File, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};
use supervise::{Demo, Stop};

/// How it was asked for.
pub struct Wanted {
    /// First port.
    pub base: u16,
    /// Earlier state is thrown away.
    pub fresh: bool,
    /// Neither set-up nor build: what was built last is started.
    pub as_built: bool,
    /// Stop when all is ready.
    pub only_start: bool,
}

/// Runs until Ctrl-C.
pub fn run(place: &Place, wanted: &Wanted) -> anyhow::Result<()> {
    if !(1_024..=65_000).contains(&wanted.base) {
        return Err(usage("--port-base wants a number from 1024 to 65000"));
    }
    if !wanted.as_built {
        setup::all(place)?;
        say::heading("build");
        binaries::build(place, Compiler::Plain)?;
    }
    say::heading("demo");
    let plan = Plan::new(place, place.own("demo"), wanted.base);
    if wanted.fresh && plan.state.exists() {
        let _only_one = alone(&plan)?;
        fs::remove_dir_all(&plan.state).with_context(|| format!("remove {}", plan.state.display()))?;
    }
    let _only_one = alone(&plan)?;
    ports::free(&plan)?;
    ports::interface();
    prepare(&plan)?;
    let stop = Stop::catch()?;
    let mut demo = Demo::start(&plan)?;
    greet(&plan);
    if wanted.only_start {
        drop(demo);
        say::line("all twelve processes were ready; stopped again");
        return Ok(());
    }
    let watched = demo.watch(&stop);
    say::line("\nstopping (recorders close their archives first) ...");
    drop(demo);
    say::line("stopped; the state is kept in .strongroom/demo");
    watched
}

/// Only one demo per state folder; the lock goes with the process.
fn alone(plan: &Plan) -> anyhow::Result<File> {
    files::folder(&plan.state)?;
    let path = plan.at("lock");
    let file = File::create(&path).with_context(|| format!("make {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(unavailable(
            "A demo is already running from this checkout. Stop it with Ctrl-C in its window, then try again.",
        )),
        Err(TryLockError::Error(error)) => Err(error).context("lock the demo's state"),
    }
}

/// Keys, tokens, trust, statements, users, configuration: what is there is kept.
pub fn prepare(plan: &Plan) -> anyhow::Result<()> {
    operator::keys(plan)?;
    let facts = FIRMS.iter().map(|firm| firm::tokens(plan, firm)).collect::<anyhow::Result<Vec<_>>>()?;
    firm::trust(plan, &facts, &operator::order_key(plan)?)?;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    for firm in &FIRMS {
        firm::people(plan, firm)?;
        firm::statements(plan, firm, now_ms)?;
        files::write(&plan.firm(firm, "front.toml"), &configs::front(plan, firm))?;
        files::write(&plan.firm(firm, "recorder.toml"), &configs::recorder(plan, firm))?;
    }
    operator::clients(plan)?;
    files::write(&plan.at("operator/rooms.json"), &configs::rooms())?;
    files::write(&plan.at("operator/signaling.toml"), &configs::signaling(plan))?;
    files::write(&plan.at("operator/sfu.toml"), &configs::sfu(plan))
}

fn greet(plan: &Plan) {
    say::heading("ready");
    for firm in &FIRMS {
        say::line(format!("{}   {}", firm.name, plan.origin(firm)));
        for person in &firm.people {
            let login = format!("{} / {}-demo", person.user, person.user);
            say::line(format!("   {:<22} {:<16} {}", login, person.name, person.what));
        }
    }
    say::line(
        "\nA meeting: open both addresses, log in as anna and ben, enter \"Project Alder\" (both firms record it)\n\
         or \"Coffee corner\" (nobody does). A replay: log in as carol, request; as chris, approve.\n\
         A rule: log in at /admin as adam, change a room's statement; as alma, approve.\n\
         The login page is a development identity provider, and the tokens are test tokens: for demonstration only.\n\
         Logs: .strongroom/demo/logs. Ctrl-C stops everything.",
    );
}

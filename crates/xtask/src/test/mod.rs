//! `cargo xtask test`: the cheap checks first, then the slow ones; all of them even when one failed, so that one run
//! tells everything. Ends with what was skipped and why, and one plain line of counts.

mod lints;
mod outcome;
mod suites;

use crate::compiler::Compiler;
use crate::ended::failed;
use crate::laws;
use crate::laws::prove::{Depth, prove};
use crate::place::Place;
use crate::{binaries, run, say, setup};
use outcome::{Passed, Tally};
use std::process::Command;
use std::time::Instant;

/// What to run.
pub struct Wanted {
    /// Also what takes longer than the 40 minutes of a plain run.
    pub full: bool,
    /// Only tests with this in their name; the checks of the sources are left out.
    pub filter: Option<String>,
}

/// Runs it.
pub fn all(place: &Place, wanted: &Wanted) -> anyhow::Result<()> {
    let began = Instant::now();
    let ready = setup::all(place)?;
    setup::stores::provide(place)?;
    setup::synapse::provide(place)?;
    setup::api::provide(place)?;
    let mut tally = Tally::default();
    let mut compiler = Compiler::Plain;
    say::heading("sources");
    if wanted.filter.is_none() {
        tally.check("format", || format(place));
        tally.check("tidy", || laws::tidy(place));
        tally.check("laws", || laws::laws(place));
        tally.check("laws fire: texts and dependencies", || prove(place, Depth::Quick).map(|_| ()));
        if tally.check("clippy", || lints::all(place)) == Passed::Yes {
            compiler = Compiler::Clippy;
        }
        tally.check("laws fire: calls", || prove(place, Depth::OnlyClippy).map(|_| ()));
    } else {
        tally.skip("format, tidy, laws, clippy", "a filter was given");
    }
    say::heading("build");
    let built = tally.check("build", || binaries::build(place, compiler));
    say::heading("tests");
    suites::rust(place, wanted, compiler, &mut tally);
    suites::fuzz(place, wanted, compiler, &mut tally);
    suites::page(place, &ready.node, wanted, &mut tally);
    suites::browsers(place, &ready.node, wanted, (built, compiler), &mut tally);
    say::heading("summary");
    tally.print();
    say::line(format!("whole run: {:.0} s", began.elapsed().as_secs_f32()));
    say::line(tally.closing());
    if tally.failed() == 0 { Ok(()) } else { Err(failed("not all is well: see `failed` above")) }
}

fn format(place: &Place) -> anyhow::Result<()> {
    run::logged(
        Command::new("cargo").current_dir(&place.root).args(["fmt", "--all", "--check"]),
        &place.own("logs/format.log"),
    )
}

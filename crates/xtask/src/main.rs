//! `cargo xtask`: set-up, demo, checks and tests of a checkout. Depends on little, so that it starts in seconds.

use std::process::ExitCode;
use xtask::args::Args;
use xtask::ended::{Ended, usage};
use xtask::place::Place;
use xtask::{check, demo, laws, page_hash, say, sbom, setup, test};

const HELP: &str = "usage: cargo xtask COMMAND

  setup                  install what a checkout needs, build the page
  wasm                   only the WebAssembly module, into web-demo/pkg
  demo                   set-up, build, then run two firms and an operator on this machine until Ctrl-C
    --port-base N        first of ten ports (default 8440)
    --fresh              forget the meetings, keys and tokens of earlier runs
    --no-build           start what was built last
    --headless-check     start, check that all is ready, stop
  check meeting          run the demo with two headless browsers for 20 s; one JSON line
  check browsers         the same, then its replay and export, Chromium with Firefox, attack T10, tabs that close
    --only STEP          one of: meeting, replay, firefox, t10, leaving, layers, tcp; not played unless named: relay,
                         network (as root), codecs
  check record           recorders are killed, tokens and stores proven, a meeting replayed, exported, changed; one JSON line
    --long               instead: an hour of nine people, replayed and exported; 2.5 GB, two minutes
  check rooms            rooms, identity, policy and incidents with real servers; one JSON line
  test                   set-up, then every check and test that fits in 40 minutes
    --full               also what takes longer
    --filter WORD        only tests whose name has WORD in it
  tidy                   sizes, module docs, machine paths
  laws [--prove]         the four laws of docs/ARCHITECTURE.md; --prove plants a violation of each
  sbom [--out FILE]      the bill of materials, CycloneDX 1.6, from the lock files (default strongroom.cdx.json)
  page-hash              build the page twice and print its hash; fails if the two differ

exit codes: 0 ok, 1 failed, 2 usage, 3 verification failed, 4 something it needs is not there
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::line(format!("\n{error:#}"));
            ExitCode::from(error.downcast_ref::<Ended>().map_or(1, |ended| ended.code))
        }
    }
}

fn dispatch() -> anyhow::Result<()> {
    let mut args = Args::of(std::env::args().skip(1));
    let place = Place::find()?;
    match args.word().as_deref() {
        Some("setup") => {
            args.finish()?;
            setup::all(&place).map(|_| ())
        }
        Some("wasm") => {
            args.finish()?;
            setup::wasm_only(&place)
        }
        Some("demo") => {
            let base = args.value("--port-base")?.unwrap_or(demo::plan::PORT_BASE);
            let wanted = demo::Wanted {
                base,
                fresh: args.flag("--fresh"),
                as_built: args.flag("--no-build"),
                only_start: args.flag("--headless-check"),
            };
            args.finish()?;
            demo::run(&place, &wanted)
        }
        Some("check") => checks(&place, args),
        Some("test") => {
            let wanted = test::Wanted { full: args.flag("--full"), filter: args.value("--filter")? };
            args.finish()?;
            test::all(&place, &wanted)
        }
        Some("tidy") => {
            args.finish()?;
            laws::tidy(&place)
        }
        Some("laws") => {
            let prove = args.flag("--prove");
            args.finish()?;
            if prove { laws::prove::prove(&place, laws::prove::Depth::All).map(|_| ()) } else { laws::laws(&place) }
        }
        Some("sbom") => {
            let out = args.value("--out")?.unwrap_or_else(|| sbom::FILE.to_owned());
            args.finish()?;
            sbom::write(&place, &out)
        }
        Some("page-hash") => {
            args.finish()?;
            page_hash::print(&place)
        }
        Some("help") | None => {
            say::line(HELP);
            Ok(())
        }
        Some(other) => Err(usage(format!("`{other}` is no command.\n\n{HELP}"))),
    }
}

fn checks(place: &Place, mut args: Args) -> anyhow::Result<()> {
    match args.word().as_deref() {
        Some("meeting") => {
            let as_built = args.flag("--no-build");
            args.finish()?;
            check::alone(place, as_built, check::meeting)
        }
        Some("browsers") => {
            let as_built = args.flag("--no-build");
            let only: Vec<String> = args.value("--only")?.into_iter().collect();
            args.finish()?;
            check::alone(place, as_built, |place, node| check::browsers(place, node, &only))
        }
        Some("record") => {
            let (as_built, long) = (args.flag("--no-build"), args.flag("--long"));
            args.finish()?;
            if long { check::long_record(place, as_built) } else { check::record_alone(place, as_built) }
        }
        Some("rooms") => {
            let as_built = args.flag("--no-build");
            args.finish()?;
            check::rooms::alone(place, as_built)
        }
        _ => Err(usage("`cargo xtask check` wants a word: meeting, browsers, record or rooms")),
    }
}

//! `cargo bench -p benches --bench forward -- --json`: what one packet forwarded costs, from 1 publisher to N
//! subscribers, beside the floor of the same machine and the same run. Method and reading: benches/README.md.

mod cases;
mod meetings;
mod peers;
mod saturate;

use anyhow::Context;
use benches::load::Load;
use benches::report::Line;
use benches::{machine, plot};
use cases::Who;
use clap::Parser;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Parser)]
struct Arguments {
    /// One JSON object a line, and nothing else.
    #[arg(long)]
    json: bool,
    /// Only these.
    #[arg(long, value_delimiter = ',')]
    who: Vec<Who>,
    /// Also Janus, Pion and the peers that STRONGROOM_BENCH_PEERS names (`name=program,…`).
    #[arg(long)]
    peers: bool,
    /// Installs Debian's packages of Janus and Pion (wants root), then ends.
    #[arg(long)]
    install_peers: bool,
    /// Only these loads; `saturate` adds subscribers until packets are lost.
    #[arg(long, value_delimiter = ',')]
    load: Vec<Load>,
    /// Only these numbers of subscribers.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 50])]
    subscribers: Vec<usize>,
    /// Ours in meetings of many shapes instead: 9 x 9, 30 x 30 with sound only, ten at once, growing.
    #[arg(long)]
    meetings: bool,
    /// Only meetings whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Also writes the result as a plot (SVG).
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Where results go.
struct Out {
    json: bool,
    lines: Vec<Line>,
}

impl Out {
    fn say(&mut self, line: Line) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", if self.json { serde_json::to_string(&line)? } else { line.row() })?;
        out.flush()?;
        self.lines.push(line);
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.install_peers {
        return peers::install();
    }
    machine::pin(machine::Core::Generator);
    let machine = machine::describe();
    let mut out = Out { json: arguments.json, lines: Vec::new() };
    if !out.json {
        writeln!(std::io::stdout(), "{machine}\n{}", Line::HEAD)?;
    }
    let who = cases::chosen(&arguments.who, arguments.peers)?;
    if arguments.meetings {
        meetings::all(&mut out, &arguments.only)?;
    } else {
        let loads = if arguments.load.is_empty() { Load::USUAL.to_vec() } else { arguments.load.clone() };
        for load in loads {
            if load == Load::Saturate {
                who.iter().try_for_each(|who| saturate::until_lost(who, &mut out))?;
                continue;
            }
            for subscribers in &arguments.subscribers {
                who.iter().try_for_each(|who| out.say(cases::case(who, load, *subscribers)?))?;
            }
        }
    }
    if let Some(file) = arguments.plot {
        // cargo runs benches in their own folder; who types the command is at the root
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        std::fs::write(&file, plot::svg(&out.lines, &machine)).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

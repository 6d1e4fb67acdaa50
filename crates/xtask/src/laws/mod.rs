//! The four laws of docs/ARCHITECTURE.md and the tidiness of the files, each as a rule that a planted violation is
//! shown to break ([`prove`]).
//!
//! | law | enforced by |
//! |---|---|
//! | 1 the operator's binaries link no key | [`links`] (what cargo would link), clippy's `disallowed-types` |
//! | 2 cores are told time and randomness | clippy's `disallowed-methods` in each core's `.clippy.toml` |
//! | 3 wire types live in `domain::message` | [`text::wire_types`] |
//! | 4 everything has a limit | [`text::limits`] |

pub mod links;
pub mod logs;
pub mod prove;
pub mod source;
pub mod text;

use crate::ended::Ended;
use crate::place::Place;
use crate::say;
use source::Source;

/// One thing that is not as it should be.
pub struct Finding {
    /// `file:line`, or a package.
    pub place: String,
    /// What to do.
    pub text: String,
}

impl Finding {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into() }
    }
}

/// Sizes, headers, leftovers and machine paths.
pub fn tidy(place: &Place) -> anyhow::Result<()> {
    let step = say::step("tidy: sizes, module docs, leftovers, machine paths, lock files");
    let sources = source::all(&place.root)?;
    let large = sources.iter().filter(|source| source.is_rust() && source.lines().count() > text::AIM_LINES).count();
    judge(text::tidy(&sources))?;
    step.done_with(&format!("{} files, {large} Rust files over {} lines", sources.len(), text::AIM_LINES));
    Ok(())
}

/// Laws 1, 3 and 4, and that logs name nobody; law 2 and the rest of law 1 are clippy's.
pub fn laws(place: &Place) -> anyhow::Result<()> {
    let step = say::step("laws: what the shipped binaries link, wire types, limits, logs");
    let sources: Vec<Source> = source::all(&place.root)?;
    let mut findings = links::judge_all(&place.root)?;
    findings.extend(text::wire_types(&sources));
    findings.extend(text::limits(&sources));
    findings.extend(logs::logs(&sources));
    judge(findings)?;
    step.done();
    Ok(())
}

fn judge(findings: Vec<Finding>) -> anyhow::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = findings.iter().map(|found| format!("  {}: {}", found.place, found.text)).collect();
    Err(Ended { code: 1, text: format!("{} findings:\n{}", list.len(), list.join("\n")) }.into())
}

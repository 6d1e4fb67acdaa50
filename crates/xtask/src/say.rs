//! What the developer reads: one line when a step begins and one when it ended, with its time. The only module that
//! prints.
#![allow(clippy::print_stdout, reason = "this program speaks to a person at a terminal")]

use std::io::Write;
use std::time::Instant;

/// A plain line.
pub fn line(text: impl AsRef<str>) {
    println!("{}", text.as_ref());
}

/// A heading.
pub fn heading(text: &str) {
    println!("\n== {text}");
}

/// A step under way; [`Step::done`] prints its time.
pub struct Step {
    began: Instant,
    what: String,
}

/// Announces a step.
pub fn step(what: impl Into<String>) -> Step {
    let what = what.into();
    println!("   {what} ...");
    // Nothing to do about a terminal that went away.
    let _ = std::io::stdout().flush();
    Step { began: Instant::now(), what }
}

impl Step {
    /// It went well.
    pub fn done(self) {
        self.done_with("");
    }
    /// It went well, and this came out.
    pub fn done_with(self, outcome: &str) {
        let comma = if outcome.is_empty() { "" } else { ", " };
        println!("   {}: done in {:.1} s{comma}{outcome}", self.what, self.began.elapsed().as_secs_f32());
    }
}

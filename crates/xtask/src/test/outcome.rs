//! What passed, failed and was skipped.

use crate::say;

/// Counts, and a line for what failed or was skipped.
#[derive(Default)]
pub struct Tally {
    passed: usize,
    failures: Vec<String>,
    failed: usize,
    skipped: Vec<(String, String)>,
    skipped_tests: usize,
}

impl Tally {
    /// Runs a check that counts as one; its error is printed at once.
    pub fn check(&mut self, name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> Passed {
        match run() {
            Ok(()) => {
                self.passed += 1;
                Passed::Yes
            }
            Err(error) => {
                say::line(format!("   {name}: FAILED\n{error:#}"));
                self.failed += 1;
                self.failures.push(name.to_owned());
                Passed::No
            }
        }
    }
    /// Something was left out.
    pub fn skip(&mut self, name: &str, why: &str) {
        say::line(format!("   {name}: skipped, {why}"));
        self.skipped.push((name.to_owned(), why.to_owned()));
    }
    /// A runner's own counts.
    pub fn add(&mut self, name: &str, counts: Counts) {
        self.passed += counts.passed;
        self.failed += counts.failed;
        self.skipped_tests += counts.skipped;
        if counts.failed > 0 {
            self.failures.push(format!("{name}: {} tests", counts.failed));
        }
    }
    /// How many failed.
    pub fn failed(&self) -> usize {
        self.failed
    }
    /// Names of what failed and was skipped.
    pub fn print(&self) {
        for failure in &self.failures {
            say::line(format!("failed: {failure}"));
        }
        for (name, why) in &self.skipped {
            say::line(format!("skipped: {name} ({why})"));
        }
        if self.failures.is_empty() && self.skipped.is_empty() {
            say::line("nothing failed, nothing was skipped");
        }
    }
    /// The closing line.
    pub fn closing(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped.len() + self.skipped_tests)
    }
}

/// Did it?
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    /// It did.
    Yes,
    /// It did not.
    No,
}

/// Tests of one runner.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Went well.
    pub passed: usize,
    /// Did not.
    pub failed: usize,
    /// Were left out.
    pub skipped: usize,
}

impl Counts {
    /// Reads the closing lines of nextest, `cargo test` and node's test runner; other lines count nothing.
    pub fn read(line: &str) -> Self {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("test result:") {
            return Self {
                passed: before(rest, "passed"),
                failed: before(rest, "failed"),
                skipped: before(rest, "ignored"),
            };
        }
        if line.starts_with("Summary [") {
            let failed = before(line, "failed") + before(line, "timed out");
            return Self { passed: before(line, "passed"), failed, skipped: before(line, "skipped") };
        }
        let node = |word: &str| {
            let rest = line.trim_start_matches(['#', 'ℹ', ' ']);
            rest.strip_prefix(word).and_then(|count| count.trim().parse().ok()).unwrap_or(0)
        };
        if line.starts_with(['#', 'ℹ']) {
            return Self { passed: node("pass "), failed: node("fail "), skipped: node("skipped ") };
        }
        Self::default()
    }
    /// Sum.
    pub fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// The number that stands before `word`.
fn before(line: &str, word: &str) -> usize {
    let Some(at) = line.find(word) else { return 0 };
    let digits: String = line[..at].trim_end().chars().rev().take_while(char::is_ascii_digit).collect();
    digits.chars().rev().collect::<String>().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_three_runners_are_read() {
        let counts = |passed, failed, skipped| Counts { passed, failed, skipped };
        assert_eq!(
            Counts::read("test result: FAILED. 11 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out"),
            counts(11, 2, 1)
        );
        assert_eq!(
            Counts::read("     Summary [   1.2s] 40 tests run: 38 passed (1 slow), 1 failed, 1 timed out, 4 skipped"),
            counts(38, 2, 4)
        );
        assert_eq!(Counts::read("     Summary [   1.2s] 40 tests run: 40 passed, 0 skipped"), counts(40, 0, 0));
        assert_eq!(Counts::read("# pass 12"), counts(12, 0, 0));
        assert_eq!(Counts::read("ℹ fail 3"), counts(0, 3, 0));
        assert_eq!(Counts::read("running 3 tests"), counts(0, 0, 0));
    }
}

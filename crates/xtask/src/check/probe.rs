//! A native member of the meeting under check that searches the operator's processes, files and the wire for what only
//! members know: `tests/examples/canary-probe.rs`, a program of the tests, because no shipped one may reveal a key.

use crate::compiler::Compiler;
use crate::demo::plan::{FIRMS, Plan, ROOMS};
use crate::ended::{failed, unavailable};
use crate::place::Place;
use crate::{run, say};
use anyhow::Context;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Its program, and how the name of its device begins.
pub const NAME: &str = "canary-probe";
/// Search of files and of what was on the wire, and a goodbye, on two busy cores.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// Where it is built.
fn program(place: &Place) -> PathBuf {
    place.target().join("debug/examples").join(NAME)
}

/// Says so if it was never built.
pub fn there(place: &Place) -> anyhow::Result<()> {
    let program = program(place);
    if program.is_file() {
        return Ok(());
    }
    Err(unavailable(format!("{} is not there: run it without --no-build once", program.display())))
}

/// Builds it with the features that the tests have.
pub fn build(place: &Place, compiler: Compiler) -> anyhow::Result<()> {
    let step = say::step("build the probe that searches for secrets");
    let mut command = Command::new("cargo");
    command.current_dir(&place.root).args([
        "build",
        "--locked",
        "--workspace",
        "--example",
        NAME,
        "--bin",
        super::network::RELAY,
    ]);
    compiler.of(&mut command);
    run::logged(&mut command, &place.own("logs/probe-build.log"))?;
    step.done();
    Ok(())
}

/// A running one.
pub struct Probe {
    child: Child,
    log: PathBuf,
    answer: PathBuf,
}

impl Probe {
    /// Joins the recorded room as a further device of the first firm's banker.
    pub fn start(place: &Place, plan: &Plan, pids: &[u32], folders: &[PathBuf]) -> anyhow::Result<Self> {
        let (log, answer) = (plan.at("logs/probe.log"), plan.at("probe.json"));
        let mut command = Command::new(program(place));
        let firm = &FIRMS[0];
        command.args(["--front", &plan.origin(firm), "--user", firm.people[0].user, "--room", ROOMS[0].id]);
        for pid in pids {
            command.args(["--pid", &pid.to_string()]);
        }
        for folder in folders {
            command.arg("--folder").arg(folder);
        }
        command.stdin(Stdio::piped()).stdout(File::create(&answer)?).stderr(File::create(&log)?);
        let child = command.spawn().with_context(|| format!("start `{}`", run::text(&command)))?;
        Ok(Self { child, log, answer })
    }

    /// Tells it that the meeting ends; what it found.
    pub fn finish(mut self) -> anyhow::Result<Value> {
        drop(self.child.stdin.take());
        let until = Instant::now() + ENDS_WITHIN;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > until {
                // its last words are in the log
                let _ = self.child.kill();
                let _ = self.child.wait();
                return Err(failed(format!("the probe did not end in {ENDS_WITHIN:?}:\n{}", run::tail(&self.log, 20))));
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        read(&self.answer)
            .filter(|_| status.success())
            .ok_or_else(|| failed(format!("the probe failed ({status}):\n{}", run::tail(&self.log, 20))))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // already ended, if all went well
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(answer: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(answer).ok()?).ok()
}

/// What is wrong with a search, whatever it found.
pub fn faults(seen: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for hit in seen["hits"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        faults.push(format!("a secret was found: {hit}"));
    }
    if seen["control_hits"].as_u64().unwrap_or(0) == 0 {
        faults.push("the search found no secret where there are some: it proves nothing".into());
    }
    for place in seen["blind"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        faults.push(format!("the search missed a name that is known to be there: {place}"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn hits_blind_spots_and_a_search_that_finds_nothing_at_all_are_faults() {
        let good = json!({ "hits": [], "control_hits": 9, "blind": [] });
        assert_eq!(faults(&good), Vec::<String>::new());
        for (key, bad) in
            [("hits", json!(["a key in a log"])), ("control_hits", json!(0)), ("blind", json!(["the wire"]))]
        {
            let mut seen = good.clone();
            seen[key] = bad;
            assert_eq!(faults(&seen).len(), 1, "{key}");
        }
        assert_eq!(faults(&Value::Null).len(), 1);
    }
}

//! `cargo xtask check meeting`: the demo in a state of its own, held by two headless browsers for 20 s, judged by what
//! the browsers decoded and by what the archives prove. Ends with one JSON line.

mod archives;

use crate::demo::plan::{FIRMS, Plan};
use crate::demo::supervise::Demo;
use crate::demo::{ports, prepare};
use crate::ended::{Ended, failed};
use crate::place::Place;
use crate::setup::node::Node;
use crate::{binaries, run, say, setup};
use anyhow::Context;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Length of the meeting.
const SECONDS: u32 = 20;
/// Start of two browsers, login, enrolment, the meeting itself and its end on two busy cores.
const AT_MOST: Duration = Duration::from_secs(150);
/// Audio and video of one sender may differ by so much where they are seen, ms.
const MOST_OFFSET_MS: f64 = 100.0;

/// With set-up and build, or with what was built last.
pub fn alone(place: &Place, as_built: bool) -> anyhow::Result<()> {
    if as_built {
        return meeting(place, &setup::node::provide(place)?);
    }
    let ready = setup::all(place)?;
    say::heading("build");
    binaries::build(place)?;
    meeting(place, &ready.node)
}

/// A state folder that goes with the run, unless the run failed.
struct State(PathBuf);

/// The check itself; everything is built.
pub fn meeting(place: &Place, node: &Node) -> anyhow::Result<()> {
    say::heading("check meeting");
    // Short: a Unix socket's path has at most 107 bytes.
    let state = State(std::env::temp_dir().join(format!("strongroom-{}", std::process::id())));
    let base = ports::find_free(place, &state.0)?;
    let mut plan = Plan::new(place, state.0.clone(), base);
    crate::demo::files::folder(&state.0)?;
    // A copy: a page that is built anew meanwhile would lose its worker.
    run::capture(Command::new("cp").arg("-r").arg(&plan.pages).arg(plan.at("pages")))?;
    plan.pages = plan.at("pages");
    prepare(&plan)?;
    let mut demo = Demo::start(&plan)?;
    let step = say::step(format!("two browsers meet for {SECONDS} s"));
    let seen = drive(place, node, &plan, &mut demo)?;
    step.done();
    for switch in seen["switches"].as_array().into_iter().flatten() {
        say::line(format!("   browser switch {}: {}", switch["name"], switch["why"]));
    }
    let mut line = json!({ "participants": seen["participants"], "av_offset_ms": seen["av_offset_ms"] });
    let proven = archives::judge(&plan)?;
    line["recorders"] = json!(proven.recorders);
    line["frames_archived"] = json!(proven.frames);
    line["gaps"] = json!(proven.gaps);
    line["canary_hits"] = archives::canary(&plan, &seen)?;
    line["archives_verified"] = json!(proven.verified);
    drop(demo);
    say::line(line.to_string());
    let mut wrong = wrong(&line);
    if seen["ok"] != true {
        wrong.push(format!("the browsers did not see and hear what the other sent: {seen}"));
    }
    if wrong.is_empty() {
        // Nobody needs the keys of a finished check.
        let _ = fs::remove_dir_all(&state.0);
        return Ok(());
    }
    Err(Ended { code: 3, text: format!("{}\nlogs and archives: {}", wrong.join("\n"), state.0.display()) }.into())
}

/// What is not as it should be.
fn wrong(line: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut want = |holds: bool, text: &str| {
        if !holds {
            wrong.push(text.to_owned());
        }
    };
    let participants = line["participants"].as_array().cloned().unwrap_or_default();
    want(participants.len() == 2, "there were not two participants");
    for one in &participants {
        want(one["frames_decoded"].as_u64() > Some(0), "a participant decoded no frame of the other");
        want(one["frames_rejected"] == 0, "a participant rejected frames");
        want(one["first_frame_ms"].as_f64().is_some(), "a participant never saw a first frame");
    }
    want(line["recorders"] == FIRMS.len(), "not every firm's recorder was seen");
    want(line["frames_archived"].as_u64() > Some(0), "nothing was archived");
    want(line["gaps"] == 0, "the archives have gaps");
    want(line["canary_hits"] == 0, "a secret was found where none may be");
    want(line["archives_verified"] == FIRMS.len(), "not every firm's archive was verified");
    want(
        line["av_offset_ms"].as_f64().is_some_and(|offset| offset.abs() <= MOST_OFFSET_MS),
        "sound and picture are not together",
    );
    wrong
}

/// Lets the page's own driver hold the meeting; the processes are watched meanwhile.
fn drive(place: &Place, node: &Node, plan: &Plan, demo: &mut Demo) -> anyhow::Result<Value> {
    let log = plan.at("logs/browsers.log");
    let result = plan.at("browsers.json");
    let mut command = setup::browser::node(place, node);
    command.arg("drive/meeting.mjs");
    for (firm, person) in FIRMS.iter().zip(["--a", "--b"]) {
        command.args([person, &plan.origin(firm)]);
    }
    command.args(["--seconds", &SECONDS.to_string(), "--json"]);
    command.stdin(Stdio::null()).stdout(fs::File::create(&result)?).stderr(fs::File::create(&log)?);
    let mut child = command.spawn().with_context(|| format!("start `{}`", run::text(&command)))?;
    let until = Instant::now() + AT_MOST;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        demo.look()?;
        if Instant::now() > until {
            // It hangs; its browsers end with it.
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(format!(
                "the browsers did not finish in {} s:\n{}",
                AT_MOST.as_secs(),
                run::tail(&log, 30)
            )));
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    // A meeting that was not well still prints its numbers: they say what was wrong.
    let text = fs::read_to_string(&result)?;
    match text.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok()) {
        Some(seen) if seen.is_object() => Ok(seen),
        _ => Err(failed(format!("the browsers' run failed ({status}):\n{}", run::tail(&log, 40)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Value {
        let one = json!({ "frames_decoded": 400, "frames_rejected": 0, "first_frame_ms": 900 });
        json!({
            "participants": [one, one], "recorders": 2, "frames_archived": 2000, "gaps": 0, "canary_hits": 0,
            "archives_verified": 2, "av_offset_ms": 12.5,
        })
    }

    #[test]
    fn each_number_alone_can_fail_the_check() {
        assert_eq!(wrong(&good()), Vec::<String>::new());
        for (key, bad) in [
            ("participants", json!([])),
            ("recorders", json!(1)),
            ("frames_archived", json!(0)),
            ("gaps", json!(3)),
            ("canary_hits", json!(1)),
            ("archives_verified", json!(1)),
            ("av_offset_ms", json!(140.0)),
            ("av_offset_ms", Value::Null),
        ] {
            let mut line = good();
            line[key] = bad;
            assert!(!wrong(&line).is_empty(), "{key}");
        }
        let mut line = good();
        line["participants"][1]["frames_rejected"] = json!(1);
        assert_eq!(wrong(&line).len(), 1);
    }
}

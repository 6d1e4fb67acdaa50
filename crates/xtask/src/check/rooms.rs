//! `cargo xtask check rooms`: rooms, identity, policy and incidents against the real servers. Each number comes from a test
//! that prints `rooms: {...}`; this runs them, gathers what they say and fails when anything is missing or false.

use crate::compiler::Compiler;
use crate::ended::failed;
use crate::place::Place;
use crate::{binaries, say, setup};
use anyhow::Context;
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// What a test says begins so; an object follows.
const SAID: &str = "rooms: ";
/// Adapters that must each have passed the directories' suite.
const DIRECTORIES: [&str; 3] = ["embedded", "matrix", "symphony"];
/// Targets whose tests say something: only these are built, with the features that the whole workspace gives them.
const TARGETS: [&str; 5] = ["directories", "process", "meeting", "token", "e2e"];
/// Names of the tests, by a part of them: the directories' suite, the real process under rooms that change and databases that
/// go away, statements that clash and change, wrong tokens, people who sign in and leave, the incident.
const TESTS: [&str; 9] = [
    "rooms_in_",
    "rooms_at_",
    "rooms::",
    "a_clash_is_explained",
    "a_stricter_version_holds",
    "a_statement_is_taken",
    "softhsm2::each_wrong_enrolment",
    "incident::",
    "identity::",
];

/// A number and the most it may be: three times its goal, on a busy machine.
const MOST_MS: [(&str, u64); 4] = [
    ("join_ms", 3 * 5_000),
    ("leaver_out_ms", 3 * 5_000),
    ("membership_effect_ms", 3 * 2_000),
    ("incident_ten_in_media_ms", 3 * 60_000),
];
/// Attacks with a token: at least one, each refused.
const REFUSED: &str = "tokens_refused";

/// Runs the tests and says the line.
pub fn alone(place: &Place, as_built: bool) -> anyhow::Result<()> {
    setup::all(place)?;
    setup::synapse::provide(place)?;
    if !as_built {
        binaries::build(place, Compiler::Plain)?;
    }
    let said = ask(place)?;
    let line = line(&said);
    let wrong = wrong(&line);
    say::line(line.to_string());
    if wrong.is_empty() { Ok(()) } else { Err(failed(wrong.join("\n"))) }
}

fn ask(place: &Place) -> anyhow::Result<Map<String, Value>> {
    let step = say::step("rooms, identity, policy and incidents with real servers");
    let mut command = Command::new("cargo");
    command.current_dir(&place.root).env("STRONGROOM_BIN", place.binaries()).env("CARGO_TERM_COLOR", "never");
    command.args(["test", "--quiet", "--locked", "--workspace", "--no-fail-fast"]);
    for target in TARGETS {
        command.args(["--test", target]);
    }
    command.arg("--").args(TESTS).args(["--nocapture", "--test-threads", "1"]);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("start cargo")?;
    let lines = child.stdout.take().map(BufReader::new).context("its output")?.lines();
    let mut said = Map::new();
    for text in lines.map_while(Result::ok) {
        let object = text.split_once(SAID).and_then(|(_, json)| serde_json::from_str::<Value>(json.trim()).ok());
        match object {
            Some(Value::Object(object)) => add(&mut said, object),
            _ => say::line(format!("   | {text}")),
        }
    }
    let ended = child.wait()?;
    step.done();
    if ended.success() { Ok(said) } else { Err(failed("a test failed: see above")) }
}

/// Lists grow and counts add up over several tests; of two measurements of one thing the larger counts.
fn add(said: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, new) in more {
        let merged = match (said.remove(&key), new) {
            (Some(Value::Array(mut old)), Value::Array(new)) => {
                old.extend(new);
                Value::Array(old)
            }
            (Some(old), new) => match (old.as_u64(), new.as_u64()) {
                (Some(a), Some(b)) if key == REFUSED => json!(a + b),
                (Some(a), Some(b)) => json!(a.max(b)),
                _ => new,
            },
            (None, new) => new,
        };
        said.insert(key, merged);
    }
}

fn line(said: &Map<String, Value>) -> Value {
    let of = |key: &str| said.get(key).cloned().unwrap_or(Value::Null);
    let mut directories: Vec<String> = of("directories")
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    directories.sort();
    directories.dedup();
    json!({
        "directories": directories, "join_ms": of("join_ms"), "leaver_out_ms": of("leaver_out_ms"),
        "membership_effect_ms": of("membership_effect_ms"), "clash_explained": of("clash_explained"),
        "tokens_refused": of(REFUSED), "incident_ten_in_media_ms": of("incident_ten_in_media_ms"),
    })
}

/// What is missing or false.
fn wrong(line: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for name in DIRECTORIES {
        if !line["directories"].as_array().is_some_and(|all| all.contains(&json!(name))) {
            wrong.push(format!("the directory {name} was not shown"));
        }
    }
    for (key, most) in MOST_MS {
        match line[key].as_u64() {
            None => wrong.push(format!("{key} was not measured")),
            Some(ms) if ms > most => wrong.push(format!("{key} is {ms}, at most {most} on a busy machine")),
            Some(_) => {}
        }
    }
    if line["clash_explained"] != true {
        wrong.push("no clash of statements was explained".into());
    }
    if line[REFUSED].as_u64().is_none_or(|count| count == 0) {
        wrong.push("no bad token was refused".into());
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Map<String, Value> {
        let mut said = Map::new();
        for one in [
            json!({ "directories": ["embedded"], "join_ms": 900 }),
            json!({ "directories": ["matrix", "symphony"], "membership_effect_ms": 700, "tokens_refused": 9 }),
            json!({ "leaver_out_ms": 1_200, "clash_explained": true, "tokens_refused": 3, "join_ms": 700 }),
            json!({ "incident_ten_in_media_ms": 9_000 }),
        ] {
            add(&mut said, one.as_object().expect("an object").clone());
        }
        said
    }

    #[test]
    fn what_tests_say_becomes_one_line() {
        let line = line(&good());
        assert_eq!(wrong(&line), Vec::<String>::new());
        assert_eq!((&line["tokens_refused"], &line["join_ms"]), (&json!(12), &json!(900)));
    }

    #[test]
    fn each_thing_that_is_missing_or_false_alone_fails_it() {
        for key in good().keys() {
            let mut said = good();
            said.remove(key);
            assert!(!wrong(&line(&said)).is_empty(), "{key}");
        }
        for (key, bad) in [
            ("directories", json!(["embedded", "matrix"])),
            ("join_ms", json!(15_001)),
            ("clash_explained", json!(false)),
            ("tokens_refused", json!(0)),
        ] {
            let mut said = good();
            said.insert(key.to_owned(), bad);
            assert_eq!(wrong(&line(&said)).len(), 1, "{key}");
        }
    }
}

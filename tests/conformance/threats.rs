//! The attack table of docs/threat-model.md names tests; each must exist, and the attacks that a first release must
//! withstand must all be there. A test is a function of Rust's tests, or of a drive that `cargo xtask check browsers` runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Attacks that have named tests from the first day.
const FIRST: [&str; 11] = ["T1", "T2", "T3", "T4", "T5", "T6", "T9", "T10", "T12", "T13", "T18"];

/// Files that have tests: Rust's, and the browsers' drives.
const KINDS: [&str; 2] = [".rs", ".mjs"];

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests package is in the workspace").to_owned()
}

/// Rows of the table: attack and the tests it names as (path, function).
fn table(text: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && KINDS.iter().any(|kind| line.contains(&format!("{kind}::"))));
    rows.map(|line| {
        let attack = line.split('|').nth(1).unwrap_or_default().trim().to_owned();
        let named = line.split('`').filter_map(|word| word.split_once("::"));
        let named = named
            .filter(|(path, _)| KINDS.iter().any(|kind| path.ends_with(kind)))
            .map(|(path, name)| (path.to_owned(), name.to_owned()));
        (attack, named.collect())
    })
    .collect()
}

/// A test function, of Rust or of a drive, or a line of the fuzz tests' list.
pub(super) fn has_test(source: &str, name: &str) -> bool {
    source.lines().map(str::trim_start).any(|line| {
        let line = line.trim_start_matches("async ");
        let function = line.strip_prefix("fn ").or_else(|| line.strip_prefix("function "));
        let function = function.and_then(|rest| rest.strip_prefix(name));
        let listed = line.strip_prefix(name).is_some_and(|rest| rest.starts_with(": "));
        function.is_some_and(|rest| rest.starts_with('(')) || listed
    })
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let text = std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let mut missing = Vec::new();
    for (attack, tests) in table(&text) {
        for (path, name) in tests {
            let source = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
            if !has_test(&source, &name) {
                missing.push(format!("{attack}: {path}::{name}"));
            }
        }
    }
    assert!(missing.is_empty(), "docs/threat-model.md names tests that are not there:\n{}", missing.join("\n"));
}

#[test]
fn the_attacks_of_the_first_release_each_have_a_test() {
    let text = std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let table = table(&text);
    for attack in FIRST {
        assert!(table.get(attack).is_some_and(|tests| !tests.is_empty()), "{attack} has no test in the table");
    }
}

#[test]
fn a_name_that_is_nowhere_is_noticed() {
    let source = "    #[test]\n    fn t1_is_there() {}\nasync fn t2_too() {\n    t3_listed: media::stun, 3;\nasync function t10_played(scene) {\n";
    assert!(["t1_is_there", "t2_too", "t3_listed", "t10_played"].iter().all(|name| has_test(source, name)));
    assert!(!["t1_is", "t4_gone", "t3"].iter().any(|name| has_test(source, name)));
    let row = "| T1 | a | b | `x/y.rs::t1_is_there` and `z.mjs::t2` and `a.txt::no` |";
    assert_eq!(table(row)["T1"].len(), 2);
}

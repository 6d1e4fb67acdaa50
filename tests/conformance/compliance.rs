//! docs/compliance.md: every rule has its row, and every test that a row names exists. A row without a test says what is
//! not there yet.

use super::threats::{has_test, root};

/// Rules of the table.
const RULES: usize = 16;

fn rows(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("|---"));
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// `path::name` of a cell.
fn named(cell: &str) -> Vec<(String, String)> {
    let words = cell.split('`').filter_map(|word| word.split_once("::"));
    words.map(|(path, name)| (path.to_owned(), name.to_owned())).collect()
}

fn text() -> String {
    std::fs::read_to_string(root().join("docs/compliance.md")).expect("the table is in the repository")
}

#[test]
fn every_test_that_the_compliance_table_names_exists() {
    let tests = rows(&text()).into_iter().flat_map(|row| row.iter().flat_map(|cell| named(cell)).collect::<Vec<_>>());
    let missing: Vec<String> = tests
        .filter(|(path, name)| !has_test(&std::fs::read_to_string(root().join(path)).unwrap_or_default(), name))
        .map(|(path, name)| format!("{path}::{name}"))
        .collect();
    assert!(missing.is_empty(), "docs/compliance.md names tests that are not there:\n{}", missing.join("\n"));
}

#[test]
fn every_rule_has_a_row_with_a_test_or_says_what_is_not_there_yet() {
    let rows = rows(&text());
    for number in 1..=RULES {
        let row = rows.iter().find(|row| row[0].starts_with(&format!("R{number} ")));
        let row = row.unwrap_or_else(|| panic!("R{number} has no row"));
        assert_eq!(row.len(), 5, "R{number}");
        assert!(!named(&row[3]).is_empty() || !row[4].is_empty(), "R{number} has neither a test nor what is missing");
    }
}

//! Rules that read source text: tidiness, law 3 and law 4. Each says in its finding what to do instead.

use super::Finding;
use super::source::Source;

/// Hard limit of a Rust file's length.
pub const MOST_LINES: usize = 800;
/// Length aimed at; more is counted, not refused.
pub const AIM_LINES: usize = 300;

/// Leftovers, written in two parts so that this file does not find itself.
const LEFTOVERS: [&str; 4] =
    [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("unimple", "mented!(")];
/// Places that exist on one machine only.
const MACHINE: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp", "/sr/")];
/// Names that say nothing about what a file owns.
const VAGUE: [&str; 8] = ["utils", "util", "common", "helpers", "helper", "manager", "misc", "stuff"];

/// Folders whose types are no wire types of the product, or which own them.
const NOT_EDGES: [&str; 6] =
    ["crates/domain/", "crates/evidence/", "crates/xtask/", "crates/participant/", "tests/", "benches/"];
/// Says that a type read from bytes is no wire type, and why.
const MARK: &str = "not a wire type:";

fn code(path: &str) -> bool {
    [".rs", ".ts", ".tsx", ".mjs", ".js", ".css", ".html"].iter().any(|end| path.ends_with(end))
}

/// Sizes, module docs, leftovers, vague names, machine paths, hosts in lock files.
pub fn tidy(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources {
        if source.is_rust() {
            shape(source, &mut found);
        }
        if code(&source.path) {
            leftovers(source, &mut found);
        }
        if source.path.ends_with("package-lock.json") {
            hosts(source, &mut found);
        }
        machine_paths(source, &mut found);
    }
    found
}

fn shape(source: &Source, found: &mut Vec<Finding>) {
    let lines = source.lines().count();
    if lines > MOST_LINES {
        found.push(Finding::new(&source.path, format!("{lines} lines, at most {MOST_LINES}: cut it by owned state")));
    }
    if !source.text.trim_start().starts_with("//!") {
        found.push(Finding::new(&source.path, "begins without `//!`: say what it owns and what it must not do"));
    }
    let stem = source.path.rsplit('/').next().and_then(|name| name.strip_suffix(".rs")).unwrap_or_default();
    if VAGUE.contains(&stem) {
        found.push(Finding::new(&source.path, "a name that says nothing: name it after what it owns"));
    }
    for (at, line) in source.lines() {
        if line.trim() == "#[ignore]" {
            found.push(Finding::new(source.at(at), "`#[ignore]` without a reason"));
        }
    }
}

fn leftovers(source: &Source, found: &mut Vec<Finding>) {
    for (at, line) in source.lines() {
        if let Some(word) = LEFTOVERS.iter().find(|word| line.contains(**word)) {
            found.push(Finding::new(source.at(at), format!("`{word}` is left over: finish it or drop it")));
        }
    }
}

fn machine_paths(source: &Source, found: &mut Vec<Finding>) {
    for (at, line) in source.lines() {
        let hit = MACHINE.iter().find(|path| {
            // the slash must begin a path: a folder of that name inside a relative one is no machine path
            line.match_indices(**path).any(|(begin, _)| {
                !line[..begin].chars().next_back().is_some_and(|c| c.is_alphanumeric() || "._-$}".contains(c))
            })
        });
        if let Some(path) = hit {
            found.push(Finding::new(source.at(at), format!("`{path}` is a place on one machine only")));
        }
    }
}

fn hosts(source: &Source, found: &mut Vec<Finding>) {
    for (at, line) in source.lines() {
        if line.trim_start().starts_with("\"resolved\": \"http") {
            found.push(Finding::new(
                source.at(at),
                "a lock file names no registry host: npm's omit-lockfile-registry-resolved",
            ));
            return;
        }
    }
}

fn marked(line: &str) -> bool {
    line.to_lowercase().contains(MARK)
}

fn is_edge(source: &Source) -> bool {
    source.is_rust() && !NOT_EDGES.iter().any(|folder| source.path.starts_with(folder))
}

/// Law 3: outside `domain::message` (and the signed formats of `evidence`) whatever is a tagged message or read from bytes
/// says in its file's first lines or in its own comment why it is no wire type; configuration needs no saying.
pub fn wire_types(sources: &[Source]) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| is_edge(source)) {
        let name = source.path.rsplit('/').next().unwrap_or_default();
        let excused = name.contains("config") || source.text.lines().take(12).any(marked);
        let lines: Vec<&str> = source.product_lines().map(|(_, line)| line).collect();
        for (at, line) in lines.iter().enumerate() {
            let excused = excused || lines[at.saturating_sub(4)..at].iter().any(|above| marked(above));
            if !excused && (line.contains("serde(tag") || line.contains("serde(untagged")) {
                found.push(Finding::new(source.at(at + 1), "a tagged message: wire types live in domain::message"));
            }
            let derives = line.contains("derive(") && line.contains("Deserialize");
            if derives && !excused {
                found.push(Finding::new(
                    source.at(at + 1),
                    format!("read from bytes: move it to domain::message, or say `// {MARK} <reason>` above"),
                ));
            }
        }
    }
    found
}

/// Law 4: no queue and no body without a limit; every limit has its reason beside it.
pub fn limits(sources: &[Source]) -> Vec<Finding> {
    const ENDLESS: [&str; 6] = [
        "unbounded_channel",
        "mpsc::unbounded",
        "channel::unbounded",
        "DefaultBodyLimit::disable",
        "to_bytes(body, usize::MAX",
        "mpsc::channel()",
    ];
    let mut found = Vec::new();
    let product = |source: &&Source| {
        source.is_rust() && !["tests/", "benches/", "crates/xtask/"].iter().any(|at| source.path.starts_with(at))
    };
    for source in sources.iter().filter(product) {
        let lines: Vec<&str> = source.product_lines().map(|(_, line)| line).collect();
        for (at, line) in lines.iter().enumerate() {
            if !line.trim_start().starts_with("//") && ENDLESS.iter().any(|word| line.contains(word)) {
                found.push(Finding::new(source.at(at + 1), "has no limit: give it one, a const with its reason"));
            }
            if is_limit(line) && !has_reason(&lines, at) {
                found.push(Finding::new(
                    source.at(at + 1),
                    "a limit without its reason: say above or beside it why this number",
                ));
            }
        }
    }
    found
}

/// `const MAX_X: usize = 7;` and its kin.
fn is_limit(line: &str) -> bool {
    let Some(rest) =
        line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ").strip_prefix("const ")
    else {
        return false;
    };
    let Some((name, rest)) = rest.split_once(':') else { return false };
    let number =
        rest.split_once('=').is_some_and(|(_, value)| value.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    number && ["MAX", "LIMIT", "MOST"].iter().any(|word| name.split('_').any(|part| part == *word))
}

fn has_reason(lines: &[&str], at: usize) -> bool {
    let above = at.checked_sub(1).map(|above| lines[above].trim_start()).unwrap_or_default();
    lines[at].contains("//") || above.starts_with("//") || above.starts_with("#[")
        // A block of limits may share one reason.
        || at.checked_sub(1).is_some_and(|above| is_limit(lines[above]) && has_reason(lines, above))
}

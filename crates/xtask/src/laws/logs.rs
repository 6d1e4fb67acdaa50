//! What a log line at `info` or above may not hold: whoever reads logs learns nothing of people, and no secret. A rule over
//! source text: it looks at the names of what is written, so a new line with a person in it is found before it is ever written.

use super::Finding;
use super::source::Source;

/// Names of values that stay out of the log, as fields, as values or inside a text's braces.
const BANNED: [&str; 14] = [
    "participant",
    "user",
    "person",
    "people",
    "display_name",
    "sdp",
    "password",
    "secret",
    "pin",
    "claims",
    "csr",
    "passcode",
    "email",
    "private_key",
];
/// Levels that are on in production.
const MACROS: [&str; 3] = ["tracing::info!(", "tracing::warn!(", "tracing::error!("];
/// No call of ours is longer.
const MOST_LINES: usize = 30;
/// Folders that are no product.
const NOT_PRODUCT: [&str; 4] = ["tests/", "benches/", "crates/xtask/", "crates/participant/"];

/// Names and secrets in log lines.
pub fn logs(sources: &[Source]) -> Vec<Finding> {
    let product = |source: &&Source| source.is_rust() && !NOT_PRODUCT.iter().any(|at| source.path.starts_with(at));
    let mut found = Vec::new();
    for source in sources.iter().filter(product) {
        let text: String = source.product_lines().flat_map(|(_, line)| [line, "\n"]).collect();
        for name in MACROS {
            for (at, _) in text.match_indices(name) {
                let rest = text[at + name.len()..].lines().take(MOST_LINES).collect::<Vec<_>>().join("\n");
                let call = call(&rest.replace("{{", "").replace("}}", ""));
                if let Some(word) = banned(&call) {
                    let line = text[..at].matches('\n').count() + 1;
                    let why = format!(
                        "logs `{word}`: no person and no secret at info or above; log a firm, a code or a count"
                    );
                    found.push(Finding::new(source.at(line), why));
                }
            }
        }
    }
    found
}

/// What stands between the parentheses, texts left out but for what their braces name.
fn call(rest: &str) -> String {
    let (mut depth, mut text, mut brace, mut escaped, mut out) = (1, false, false, false, String::new());
    for c in rest.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if text => escaped = true,
            '"' => (text, brace) = (!text, false),
            '{' if text => (brace, out) = (true, out + " "),
            '}' | ':' if text => brace = false,
            _ if text && !brace => {}
            '(' => (depth, out) = (depth + 1, out + " "),
            ')' if depth == 1 => return out,
            ')' => (depth, out) = (depth - 1, out + " "),
            c => out.push(c),
        }
    }
    out
}

/// The first banned name; of `a.b.c` the last part counts.
fn banned(call: &str) -> Option<&'static str> {
    let paths = call.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
    paths.filter_map(|path| path.rsplit('.').next()).find_map(|last| BANNED.into_iter().find(|word| *word == last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> usize {
        let text = format!("//! A file.\nfn f() {{\n    {line}\n}}\n");
        logs(&[Source { path: "sfu/src/planted.rs".to_owned(), text }]).len()
    }

    #[test]
    fn a_person_or_secret_in_a_log_line_is_found() {
        for bad in [
            "tracing::info!(%user, \"joined\");",
            "tracing::warn!(participant = ?id, \"x\");",
            "tracing::error!(\"{person} was refused\");",
            "tracing::info!(\"{}\", identity.user);",
            "tracing::info!(\n        \"pin {pin:?}\"\n    );",
            "tracing::warn!(who = %entry.participant, \"x\");",
        ] {
            assert_eq!(found(bad), 1, "{bad}");
        }
        for good in [
            "tracing::info!(firm = %participant.firm, \"a participant and a user joined\");",
            "tracing::debug!(%user, \"not at info\");",
            "tracing::info!(members = members.len(), \"said \\\"{{user}}\\\"\");",
        ] {
            assert_eq!(found(good), 0, "{good}");
        }
    }
}

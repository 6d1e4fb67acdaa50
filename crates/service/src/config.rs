//! One TOML file, overridden by `STRONGROOM__A__B` from the environment (key `b` of table `a`). An unknown key is an error,
//! and every error names the file, the key and what to do. Secrets are in files that a key names: one that stands in the
//! configuration itself is refused, and no error repeats a value that could be one.

use crate::nearest::nearest;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// Prefix of overriding environment variables.
const PREFIX: &str = "STRONGROOM__";

/// Why a configuration cannot be used; always the caller's to correct.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file, or one it names, is not readable.
    #[error("{file}: {key}: cannot read {path}: {cause}. Correct the path or its permissions.", file = file.display(), path = path.display())]
    Unreadable {
        /// Configuration file.
        file: PathBuf,
        /// Key that names the path (`file` for the configuration itself).
        key: &'static str,
        /// What could not be read.
        path: PathBuf,
        /// By the system.
        cause: String,
    },
    /// Not TOML, an unknown key, a missing key or a wrong type.
    #[error("{file}: {detail}. Remove or correct this key.", file = file.display())]
    Malformed {
        /// Configuration file.
        file: PathBuf,
        /// Names key and place.
        detail: String,
    },
    /// A value that cannot be.
    #[error("{file}: {key}: {detail}", file = file.display())]
    Value {
        /// Configuration file.
        file: PathBuf,
        /// Which key.
        key: &'static str,
        /// What is wrong and what to do.
        detail: String,
    },
}

/// This process's environment; what is not UTF-8 is none of ours.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Reads `file` with the overrides among `environment`. `T` refuses unknown keys (`deny_unknown_fields`).
///
/// # Errors
/// [`ConfigError`] naming file and key.
pub fn read<T: DeserializeOwned>(
    file: &Path,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let malformed = |detail: String| ConfigError::Malformed { file: file.to_owned(), detail };
    let text =
        String::from_utf8(bytes(file, "file", file)?).map_err(|_| malformed("the file is not UTF-8".to_owned()))?;
    let mut table: Table = toml::from_str(&text).map_err(|e| malformed(said(&e, &text)))?;
    let mut overridden = Vec::new();
    for (name, value) in environment {
        if let Some(keys) = name.strip_prefix(PREFIX) {
            let keys = keys.to_ascii_lowercase();
            set(&mut table, &keys.split("__").collect::<Vec<_>>(), &value)
                .map_err(|key| malformed(format!("environment {name}: `{key}` is not a table")))?;
            overridden.push(name);
        }
    }
    if let Some(key) = secret_in(&table, "") {
        return Err(malformed(format!(
            "`{key}` holds a private key; write it into a file of mode 0600 and name that file"
        )));
    }
    if overridden.is_empty() {
        // from the text itself: its errors know the line
        return toml::from_str(&text).map_err(|e| malformed(said(&e, &text)));
    }
    let with = overridden.join(", ");
    T::deserialize(Value::Table(table))
        .map_err(|e| malformed(format!("{} (with {with} of the environment)", said(&e, &text))))
}

/// The key below which a private key in PEM stands, if one does.
fn secret_in(table: &Table, above: &str) -> Option<String> {
    table.iter().find_map(|(key, value)| secret_value(value, &format!("{above}{key}")))
}

fn secret_value(value: &Value, key: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains("PRIVATE KEY-----").then(|| key.to_owned()),
        Value::Array(list) => list.iter().find_map(|one| secret_value(one, key)),
        Value::Table(table) => secret_in(table, &format!("{key}.")),
        _ => None,
    }
}

/// Reads a file that `key` of `file` names.
///
/// # Errors
/// [`ConfigError::Unreadable`].
pub fn bytes(file: &Path, key: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path).map_err(|e| ConfigError::Unreadable {
        file: file.to_owned(),
        key,
        path: path.to_owned(),
        cause: e.to_string(),
    })
}

/// A value of `file` that cannot be; `detail` says what to do.
pub fn value(file: &Path, key: &'static str, detail: impl Into<String>) -> ConfigError {
    ConfigError::Value { file: file.to_owned(), key, detail: detail.into() }
}

/// The folder from which relative paths of `file` count.
pub fn folder(file: &Path) -> PathBuf {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    file.parent().unwrap_or(Path::new(".")).to_owned()
}

/// What the parser says, without the line it quotes: a secret may stand there. An unknown key gets the nearest known one.
fn said(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().and_then(|at| text.get(..at.start)).map(|before| before.matches('\n').count() + 1);
    let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let message = error.message().lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let Some(rest) = message.strip_prefix("unknown field ") else {
        return format!("{place}{}", message.trim_end_matches('.'));
    };
    let names: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let Some((wrong, known)) = names.split_first() else { return format!("{place}{message}") };
    let hint = match nearest(wrong, known) {
        Some(near) => format!("did you mean `{near}`"),
        None => format!("known here: {}", known.join(", ")),
    };
    let secret = ["pin", "secret", "password", "token", "private_key"].contains(wrong);
    let file =
        if secret { "; secrets are never in the configuration, a key ending in `_file` names their file" } else { "" };
    format!("{place}unknown key `{wrong}`; {hint}{file}")
}

/// Sets `path` in `table`. On failure names the part that is no table.
fn set(table: &mut Table, path: &[&str], text: &str) -> Result<(), String> {
    let [first, rest @ ..] = path else { return Ok(()) };
    if rest.is_empty() {
        let new = typed(table.get(*first), text);
        table.insert((*first).to_owned(), new);
        return Ok(());
    }
    let inner = table.entry((*first).to_owned()).or_insert_with(|| Value::Table(Table::new()));
    set(inner.as_table_mut().ok_or_else(|| (*first).to_owned())?, rest, text)
}

/// The override's text as what stands there: a text stays a text even if it looks like a number, a list may be written with
/// commas. What is new is a TOML value, or a text where it is none.
fn typed(there: Option<&Value>, text: &str) -> Value {
    let plain = || Value::String(text.to_owned());
    let literal = toml::from_str::<Table>(&format!("v = {text}")).ok().and_then(|mut table| table.remove("v"));
    match (there, literal) {
        (Some(Value::String(_)), Some(Value::String(quoted))) => Value::String(quoted),
        (Some(Value::String(_)), _) | (None, None) => plain(),
        (Some(Value::Array(_)), Some(Value::Array(list))) => Value::Array(list),
        (Some(Value::Array(_)), _) => {
            Value::Array(text.split(',').map(|part| Value::String(part.trim().to_owned())).collect())
        }
        (_, Some(literal)) => literal,
        (Some(_), None) => plain(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        name: String,
        port: u16,
        rooms: Vec<String>,
        inner: Option<Inner>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        limit: u32,
    }

    const GOOD: &str = "name = 'a'\nport = 1\nrooms = ['x']\n";

    fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("service.toml");
        std::fs::write(&file, text).expect("written");
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        read(&file, environment).map_err(|e| e.to_string())
    }

    #[test]
    fn an_unknown_key_is_named_with_its_file_and_line() {
        let said = load(&format!("{GOOD}colour = 1\n"), &[]).expect_err("refused");
        assert!(said.contains("service.toml") && said.contains("colour") && said.contains("line 4"), "{said}");
        let said = load(GOOD, &[("STRONGROOM__COLOUR", "1")]).expect_err("refused");
        assert!(said.contains("colour") && said.contains("STRONGROOM__COLOUR"), "{said}");
        let said = load(GOOD, &[("STRONGROOM__NAME__DEEP", "1")]).expect_err("refused");
        assert!(said.contains("STRONGROOM__NAME__DEEP") && said.contains("`name`"), "{said}");
    }

    #[test]
    fn the_nearest_known_key_is_named() {
        let said = load(&GOOD.replace("port", "prot"), &[]).expect_err("refused");
        assert!(said.contains("unknown key `prot`; did you mean `port`"), "{said}");
        let said = load(&format!("{GOOD}[inner]\nlimits = 1\n"), &[]).expect_err("refused");
        assert!(said.contains("line 5: unknown key `limits`; did you mean `limit`"), "{said}");
        let said = load(&format!("{GOOD}colour = 1\n"), &[]).expect_err("refused");
        assert!(said.contains("known here: name, port, rooms, inner"), "{said}");
    }

    #[test]
    fn a_secret_in_the_configuration_is_refused_and_never_repeated() {
        for key in ["pin", "password", "secret"] {
            let said = load(&format!("{GOOD}{key} = 'hunter2'\n"), &[]).expect_err("refused");
            assert!(said.contains("`_file`") && !said.contains("hunter2"), "{said}");
        }
        let pem = "-----BEGIN PRIVATE KEY-----\\nMIGH\\n-----END PRIVATE KEY-----";
        let said = load(&GOOD.replace("name = 'a'", &format!("name = \"{pem}\"")), &[]).expect_err("refused");
        assert!(said.contains("`name` holds a private key") && !said.contains("MIGH"), "{said}");
        let said = load(GOOD, &[("STRONGROOM__ROOMS", "-----BEGIN EC PRIVATE KEY-----")]).expect_err("refused");
        assert!(said.contains("`rooms` holds a private key"), "{said}");
        let said = load(&format!("{GOOD}pin = hunter2\n"), &[]).expect_err("not TOML");
        assert!(!said.contains("hunter2"), "{said}");
    }

    #[test]
    fn an_override_has_the_type_of_what_it_replaces() {
        let environment = [
            ("STRONGROOM__NAME", "007"),
            ("STRONGROOM__PORT", "9000"),
            ("STRONGROOM__ROOMS", "y, z"),
            ("STRONGROOM__INNER__LIMIT", "5"),
            ("OTHER__NAME", "b"),
        ];
        let config = load(GOOD, &environment).expect("good");
        let rooms = vec!["y".to_owned(), "z".to_owned()];
        assert_eq!(config, Config { name: "007".to_owned(), port: 9000, rooms, inner: Some(Inner { limit: 5 }) });
        let listed = load(GOOD, &[("STRONGROOM__ROOMS", "['p']")]).expect("good");
        assert_eq!(listed.rooms, ["p"]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let said = read::<Config>(Path::new("nowhere.toml"), std::iter::empty()).expect_err("missing").to_string();
        assert!(said.contains("nowhere.toml") && said.contains("Correct the path"), "{said}");
    }
}

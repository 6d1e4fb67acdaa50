//! Words and `--options` of the command line. Small on purpose: the usual crate would double the time to a first start.

use crate::ended::usage;
use std::str::FromStr;

/// What is left of the command line.
pub struct Args(Vec<String>);

impl Args {
    /// All words after the program's name.
    pub fn of(words: impl Iterator<Item = String>) -> Self {
        Self(words.collect())
    }
    /// Takes the next word that is no option.
    pub fn word(&mut self) -> Option<String> {
        let at = self.0.iter().position(|word| !word.starts_with("--"))?;
        Some(self.0.remove(at))
    }
    /// Takes `--name`, if it is there.
    pub fn flag(&mut self, name: &str) -> bool {
        let at = self.0.iter().position(|word| word == name);
        at.map(|at| self.0.remove(at)).is_some()
    }
    /// Takes `--name VALUE`. To be called before [`Args::word`] would see the value.
    pub fn value<T: FromStr>(&mut self, name: &str) -> anyhow::Result<Option<T>> {
        let Some(at) = self.0.iter().position(|word| word == name) else { return Ok(None) };
        self.0.remove(at);
        if at >= self.0.len() {
            return Err(usage(format!("{name} wants a value")));
        }
        let text = self.0.remove(at);
        text.parse().map(Some).map_err(|_| usage(format!("{name} {text}: not a value it takes")))
    }
    /// Nothing may be left.
    pub fn finish(self) -> anyhow::Result<()> {
        match self.0.first() {
            None => Ok(()),
            Some(word) => Err(usage(format!("`{word}` is not known here; see `cargo xtask help`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_words_and_leftovers_are_told_apart() {
        let mut args = Args::of(["demo", "--port-base", "9000", "--fresh", "--odd"].map(String::from).into_iter());
        assert_eq!(args.word().as_deref(), Some("demo"));
        assert_eq!(args.value::<u16>("--port-base").expect("a number"), Some(9000));
        assert!(args.flag("--fresh") && !args.flag("--headless-check"));
        assert!(args.finish().is_err(), "--odd is left");
    }
}

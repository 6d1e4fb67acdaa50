//! The files of the repository: what git tracks or would track.

use crate::run;
use std::path::Path;
use std::process::Command;

/// One text file.
pub struct Source {
    /// Path from the root, with `/`.
    pub path: String,
    /// Content.
    pub text: String,
}

impl Source {
    /// A Rust file?
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
    /// Numbered from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }
    /// The part before the file's own tests; rules about the product end there.
    pub fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().take_while(|(_, line)| line.trim() != "#[cfg(test)]")
    }
    /// `path:line`.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }
}

/// Names of all files, without those that git ignores.
pub fn names(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root).args([
        "-c",
        "safe.directory=*",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let listed = run::capture(&mut git)?;
    Ok(listed.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// All text files (binary ones and those removed since are left out).
pub fn all(root: &Path) -> anyhow::Result<Vec<Source>> {
    let read = |path: String| std::fs::read_to_string(root.join(&path)).ok().map(|text| Source { path, text });
    Ok(names(root)?.into_iter().filter_map(read).collect())
}

//! The files of the repository: what git tracks or would track.

use crate::{run, stamp};
use anyhow::Context;
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

/// Names of all files, without those that git ignores. Where there is no git, or no repository (an unpacked archive), all
/// files but those in folders of outputs: the same, as long as nobody left something else lying there.
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
    match run::capture(&mut git) {
        Ok(listed) => Ok(listed.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()),
        Err(_) => walked(root),
    }
}

fn walked(root: &Path) -> anyhow::Result<Vec<String>> {
    let (mut names, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() && !stamp::is_output(&entry.file_name()) {
                folders.push(path);
            } else if kind.is_file() {
                names.extend(path.strip_prefix(root).ok().and_then(Path::to_str).map(str::to_owned));
            }
        }
    }
    names.sort();
    Ok(names)
}

/// All text files (binary ones and those removed since are left out).
pub fn all(root: &Path) -> anyhow::Result<Vec<Source>> {
    let read = |path: String| std::fs::read_to_string(root.join(&path)).ok().map(|text| Source { path, text });
    Ok(names(root)?.into_iter().filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_git_all_files_are_found_but_outputs() {
        let root = std::env::temp_dir().join(format!("strongroom-source-{}", std::process::id()));
        for folder in ["sfu/src", "target/debug", "target-wasm/x", "web-demo/node_modules/y", ".strongroom", ".git"] {
            std::fs::create_dir_all(root.join(folder)).expect("made");
            std::fs::write(root.join(folder).join("a.rs"), "//! A.\n").expect("written");
        }
        std::fs::write(root.join("README.md"), "x").expect("written");
        assert_eq!(names(&root).expect("walked"), ["README.md", "sfu/src/a.rs"]);
        std::fs::remove_dir_all(&root).expect("removed");
    }
}

//! The page's hash: one number for all files that browsers are served. Builds the page twice and refuses if the two differ, so
//! that whoever has the checkout can tell what a front serves.

use crate::ended::failed;
use crate::place::Place;
use crate::setup::{self, node};
use crate::{run, say};
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds twice from the same WebAssembly module, compares, prints.
pub fn print(place: &Place) -> anyhow::Result<()> {
    setup::wasm_only(place)?;
    let node = node::provide(place)?;
    let mut hashes = Vec::new();
    for round in ["one", "two"] {
        let out = place.own(format!("page-hash/{round}"));
        let mut build = node.command(place);
        build.current_dir(place.page()).arg("build.mjs").arg("--out").arg(&out);
        run::logged(&mut build, &place.own("logs/page-hash.log"))?;
        hashes.push(hash(&out)?);
    }
    let [one, two] = &hashes[..] else { return Err(failed("two builds were made")) };
    if one != two {
        return Err(failed(format!("two builds of the page differ: {one} and {two}")));
    }
    say::line(format!("page sha256 {one}"));
    say::line("by hand: cd FOLDER && find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum");
    Ok(())
}

/// SHA-256 over the list of SHA-256 and path of every file in `folder`, as `sha256sum` prints it.
fn hash(folder: &Path) -> anyhow::Result<String> {
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", "find . -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"]);
    let said = run::capture(&mut command).with_context(|| format!("hash {}", folder.display()))?;
    let hash = said.split_whitespace().next().unwrap_or_default().to_owned();
    let files: Vec<PathBuf> = std::fs::read_dir(folder)?.flatten().map(|entry| entry.path()).collect();
    if files.is_empty() || hash.len() != 64 {
        return Err(failed(format!("{} holds no page", folder.display())));
    }
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_changes_with_any_byte_or_name_and_with_nothing_else() {
        let root = std::env::temp_dir().join(format!("strongroom-page-hash-{}", std::process::id()));
        let made = |name: &str, files: &[(&str, &str)]| {
            let folder = root.join(name);
            std::fs::create_dir_all(folder.join("e2ee")).expect("made");
            for (path, text) in files {
                std::fs::write(folder.join(path), text).expect("written");
            }
            hash(&folder).expect("a hash")
        };
        let first = made("a", &[("index.html", "x"), ("e2ee/m.wasm", "y")]);
        let same = made("b", &[("e2ee/m.wasm", "y"), ("index.html", "x")]);
        let byte = made("c", &[("index.html", "x"), ("e2ee/m.wasm", "z")]);
        let name = made("d", &[("index.html", "x"), ("e2ee/n.wasm", "y")]);
        std::fs::remove_dir_all(&root).expect("removed");
        assert_eq!(first, same);
        assert!(first != byte && first != name);
    }
}

//! Where things are: the repository, our own state below it, cargo's output.

use anyhow::Context;
use std::path::{Path, PathBuf};

/// Folders of one checkout.
#[derive(Clone)]
pub struct Place {
    /// The repository.
    pub root: PathBuf,
}

impl Place {
    /// The checkout this program was started in.
    pub fn find() -> anyhow::Result<Self> {
        let here = std::env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .map_or_else(std::env::current_dir, Ok)
            .context("find the current folder")?;
        here.ancestors()
            .find(|folder| folder.join("Cargo.lock").is_file() && folder.join("sfu").is_dir())
            .map(|root| Self { root: root.to_owned() })
            .context("this is not a checkout of Strongroom: start it inside the repository")
    }
    /// A path inside the repository.
    pub fn at(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.root.join(inside)
    }
    /// Everything that `cargo xtask` makes and cargo does not. Removing it loses the demo's meetings, nothing else.
    pub fn own(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.root.join(".strongroom").join(inside)
    }
    /// The page's package.
    pub fn page(&self) -> PathBuf {
        self.at("web-demo")
    }
    /// Cargo's output.
    pub fn target(&self) -> PathBuf {
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| self.at("target"), PathBuf::from)
    }
    /// The shipped binaries, built without the features of tests.
    pub fn binaries(&self) -> PathBuf {
        self.own("bin")
    }
}

//! Test tokens for tests: which module each kind has, how a custody configuration names it, and a module around it that
//! fails on demand ([`faulty`]). Makes no token: `strongroom-custody ceremony` does.

pub mod faulty;

use std::path::{Path, PathBuf};

/// Places of SoftHSM2's module: Debian's first, then the multiarch ones.
const SOFTHSM: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
];
/// Where the set-up lays kryoptic's module, inside the repository.
pub const KRYOPTIC: &str = ".strongroom/lib/libkryoptic_token.so";

/// A test token that every release is tried with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// SoftHSM2 of the system.
    SoftHsm2,
    /// kryoptic, built by `cargo xtask setup`.
    Kryoptic,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::SoftHsm2, Self::Kryoptic];

    /// Name, as in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::SoftHsm2 => "softhsm2",
            Self::Kryoptic => "kryoptic",
        }
    }

    /// Its PKCS#11 module.
    ///
    /// # Panics
    /// If it is not there: `cargo xtask setup` puts both in place.
    pub fn module(self) -> PathBuf {
        let path = match self {
            Self::SoftHsm2 => {
                SOFTHSM.iter().map(Path::new).find(|path| path.is_file()).unwrap_or(Path::new(SOFTHSM[0])).to_owned()
            }
            Self::Kryoptic => root().join(KRYOPTIC),
        };
        assert!(path.is_file(), "{} is missing: run `cargo xtask setup`", path.display());
        path
    }

    /// The section of a custody configuration that says which test token it is, with the path of the module's own file;
    /// it comes after every key that stands in no section. One file for each token: kryoptic has one slot in each.
    pub fn section(self, file: &str) -> String {
        match self {
            Self::SoftHsm2 => format!("[softhsm]\nconfig = \"{file}\"\n"),
            Self::Kryoptic => format!("[kryoptic]\nconfig = \"{file}\"\n"),
        }
    }

    /// The environment variable from which the module takes the path of its own file, for tools that are not ours.
    pub fn variable(self) -> &'static str {
        match self {
            Self::SoftHsm2 => "SOFTHSM2_CONF",
            Self::Kryoptic => "KRYOPTIC_CONF",
        }
    }
}

/// The repository.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(3).expect("the package lies in tests/kit").to_owned()
}

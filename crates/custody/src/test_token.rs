//! The two test tokens, SoftHSM2 and kryoptic: their modules read a configuration file of their own, whose path they take
//! from the environment. Owns that file and that variable; knows no key and no PIN.

use crate::failure::Failure;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// Which module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SoftHSM2: a folder of files.
    SoftHsm,
    /// kryoptic: one SQLite file a slot.
    Kryoptic,
}

/// A test token of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct TestToken<'a> {
    /// Which module.
    pub kind: Kind,
    /// The module's own configuration file; the ceremony writes one if it is missing.
    pub config: &'a Path,
}

impl Kind {
    /// The module reads the path of its configuration from here when it is loaded.
    pub fn variable(self) -> &'static str {
        match self {
            Self::SoftHsm => "SOFTHSM2_CONF",
            Self::Kryoptic => "KRYOPTIC_CONF",
        }
    }

    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::SoftHsm => "SoftHSM",
            Self::Kryoptic => "kryoptic",
        }
    }

    /// What the module's own file says, for tokens in `folder`; `stem` tells files of one folder apart.
    fn settings(self, folder: &Path, stem: &str) -> String {
        let folder = folder.display();
        match self {
            Self::SoftHsm => format!(
                "directories.tokendir = {folder}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
            ),
            Self::Kryoptic => {
                format!("[[slots]]\nslot = 1\ndbtype = \"sqlite\"\ndbargs = \"{folder}/{stem}.sql\"\n")
            }
        }
    }
}

impl TestToken<'_> {
    /// Writes the module's configuration file and makes the folder of its tokens, where they are missing.
    ///
    /// # Errors
    /// [`Failure::Other`].
    pub fn prepare(self) -> Result<(), Failure> {
        if self.config.exists() {
            return Ok(());
        }
        let io = |e: std::io::Error| Failure::Other(format!("{}: {e}", self.config.display()));
        let tokens = self.config.parent().expect("made absolute when read").join("tokens");
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&tokens).map_err(io)?;
        let stem = self.config.file_stem().unwrap_or_default().to_string_lossy();
        std::fs::write(self.config, self.kind.settings(&tokens, &stem)).map_err(io)
    }

    /// Starts this program again with the module's environment variable where it is not set: the module reads it when it
    /// is loaded, and a running process must not change its own environment.
    ///
    /// # Errors
    /// [`Failure::Other`] if the program cannot be started again.
    pub fn point(self) -> Result<(), Failure> {
        let variable = self.kind.variable();
        if std::env::var_os(variable).is_some_and(|now| now == *self.config.as_os_str()) {
            return Ok(());
        }
        let program = std::env::current_exe().map_err(|e| Failure::Other(format!("cannot find this program ({e})")))?;
        let error =
            std::process::Command::new(program).args(std::env::args_os().skip(1)).env(variable, self.config).exec();
        Err(Failure::Other(format!("cannot start again with {variable} ({error})")))
    }
}

//! A PKCS#11 module around a test token's that delays, hangs, refuses or loses what a test says, and writes down what it
//! was asked. A fake for tests, in C because a module exports C functions: `src/faulty.c`, compiled by the system's `cc`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a call does, by the name of its function; `*` means every function but the two that load and unload.
#[derive(Debug, Clone, Copy)]
pub enum Fault<'a> {
    /// It takes so much longer.
    Delay(&'a str, u32),
    /// It never returns.
    Hang(&'a str),
    /// It answers this CKR_ code and does nothing.
    Return(&'a str, u32),
    /// Every session is closed behind its holder's back, once for each new number.
    CloseSessions(u32),
    /// No slot has a token, and every other call answers CKR_DEVICE_REMOVED.
    Removed,
}

/// A faulty module in a folder of its own.
pub struct Faulty {
    module: PathBuf,
}

impl Faulty {
    /// Makes one in `folder` around `real`, without a fault.
    ///
    /// # Panics
    /// If the system has no C compiler.
    pub fn around(real: &Path, folder: &Path) -> Self {
        let module = folder.join("libfaulty.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/faulty.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&module).arg(source);
        let done = compiler.args(["-ldl", "-lpthread"]).status().expect("cc is where Rust's linker is");
        assert!(done.success(), "the faulty module does not compile");
        std::fs::write(folder.join("libfaulty.so.real"), real.to_string_lossy().as_bytes())
            .expect("the folder is ours");
        let faulty = Self { module };
        faulty.set(&[]);
        faulty
    }

    /// Its path, for a configuration.
    pub fn module(&self) -> &Path {
        &self.module
    }

    /// From the next call on it has these faults and no others. A call that hangs goes on hanging.
    ///
    /// # Panics
    /// If the folder is gone.
    pub fn set(&self, faults: &[Fault<'_>]) {
        let lines: String = faults.iter().map(|fault| format!("{}\n", line(*fault))).collect();
        // a call that reads meanwhile sees the old faults or the new ones
        let fresh = self.beside("new");
        std::fs::write(&fresh, lines).expect("the folder is ours");
        std::fs::rename(fresh, self.beside("faults")).expect("the folder is ours");
    }

    /// How often the function was called, by all processes; a call counts when it begins.
    pub fn calls(&self, function: &str) -> usize {
        let log = std::fs::read_to_string(self.beside("log")).unwrap_or_default();
        log.lines().filter(|line| *line == function).count()
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut path = self.module.clone().into_os_string();
        path.push(".");
        path.push(end);
        path.into()
    }
}

fn line(fault: Fault<'_>) -> String {
    match fault {
        Fault::Delay(function, ms) => format!("{function} delay {ms}"),
        Fault::Hang(function) => format!("{function} hang 0"),
        Fault::Return(function, code) => format!("{function} return {code}"),
        Fault::CloseSessions(number) => format!("sessions close {number}"),
        Fault::Removed => "token removed 0".to_owned(),
    }
}

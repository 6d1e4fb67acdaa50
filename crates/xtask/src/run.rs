//! Running other programs: shown, captured, or kept in a log that is shown when they fail.

use crate::ended::failed;
use anyhow::Context;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

/// Lines of a log shown when its program failed: enough for one compiler error.
const TAIL: usize = 60;

/// The command as a person would type it.
pub fn text(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

/// Is there such a program on the path?
pub fn is_there(program: &str) -> bool {
    find(program).is_some()
}

/// Where a program is.
pub fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    let extra = ["/usr/sbin", "/sbin"].map(std::path::PathBuf::from);
    std::env::split_paths(&path).chain(extra).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// What it writes to standard output; an error when it fails.
pub fn capture(command: &mut Command) -> anyhow::Result<String> {
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("start `{}`", text(command)))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        return Err(failed(format!("`{}` failed ({}):\n{}", text(command), out.status, said.trim())));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Its output goes to `log`; when it fails the end of the log is part of the error.
pub fn logged(command: &mut Command, log: &Path) -> anyhow::Result<()> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    let file = File::create(log).with_context(|| format!("write {}", log.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| format!("start `{}`", text(command)))?;
    if status.success() {
        return Ok(());
    }
    Err(failed(format!("`{}` failed ({status}); the end of {}:\n{}", text(command), log.display(), tail(log, TAIL))))
}

/// The last lines of a file.
pub fn tail(log: &Path, lines: usize) -> String {
    let all = std::fs::read(log).unwrap_or_default();
    let all = String::from_utf8_lossy(&all);
    let kept: Vec<&str> = all.lines().rev().take(lines).collect();
    kept.into_iter().rev().collect::<Vec<_>>().join("\n")
}
